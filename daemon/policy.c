/* SPDX-License-Identifier: MIT */
#include "daemon/policy.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

/* ---- Rules ------------------------------------------------------------------------- */

void
policy_free(struct policy *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->count; i++) {
        free(p->rules[i].users.items);
        free(p->rules[i].groups.items);
        free(p->rules[i].region);
    }
    free(p->rules);
    free(p);
}

struct policy_rule *
policy_add(struct policy *p)
{
    struct policy_rule *rules = realloc(p->rules, (p->count + 1) * sizeof *rules);

    if (rules == NULL)
        return NULL;
    p->rules = rules;
    rules[p->count] = (struct policy_rule){.rights = ASUP_RIGHTS_TASK};
    return &rules[p->count++];
}

bool
policy_span_add(struct policy_spans *spans, uint32_t low, uint32_t high)
{
    struct policy_span *items = realloc(spans->items, (spans->count + 1) * sizeof *items);

    if (items == NULL)
        return false;
    spans->items = items;
    items[spans->count++] = (struct policy_span){low, high};
    return true;
}

static bool
covers(const struct policy_spans *spans, uint32_t id)
{
    for (uint32_t i = 0; i < spans->count; i++) {
        if (spans->items[i].low <= id && id <= spans->items[i].high)
            return true;
    }
    return false;
}

const struct policy_rule *
policy_find(const struct policy *p, uint32_t uid, const uint32_t *groups, size_t group_count)
{
    for (uint32_t i = p == NULL ? 0 : p->count; i > 0; i--) {
        const struct policy_rule *rule = &p->rules[i - 1];
        if (covers(&rule->users, uid))
            return rule;
        for (size_t g = 0; g < group_count; g++) {
            if (covers(&rule->groups, groups[g]))
                return rule;
        }
    }
    return NULL;
}

struct standing
policy_standing(const struct policy_rule *rule)
{
    if (rule == NULL)
        return (struct standing){0};
    return (struct standing){
        .timeout_ns = rule->timeout_ns,
        .cost = rule->cost,
        .polls = rule->polls,
        .withheld = ASUP_RIGHTS_TASK & ~rule->rights,
        .granted = rule->rights & ASUP_RIGHT_ADMIN,
        .priority = rule->priority,
    };
}

bool
policy_narrower(const struct standing *now, const struct standing *before)
{
    return now->region != before->region || (now->withheld & ~before->withheld) != 0 ||
           (before->granted & ~now->granted) != 0;
}

/* ---- Names ------------------------------------------------------------------------- */

static const char *const right_names[ASUP_RIGHT_COUNT] = {
#define RIGHT_NAME(name, bit, wire) [bit] = (wire),
    ASUP_RIGHT_LIST(RIGHT_NAME)
#undef RIGHT_NAME
};

const char *
policy_right_name(unsigned bit)
{
    return right_names[bit];
}

uint32_t
policy_right(const char *name)
{
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if (strcmp(right_names[bit], name) == 0)
            return 1U << bit;
    }
    return 0;
}

/* Digits, moved past; (uid_t)-1 is nobody's number. */
static bool
read_id(const char **text, uint32_t *out)
{
    const char *p = *text;
    uint64_t number = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (uint64_t)(*p - '0');
        if (number >= UINT32_MAX)
            return false;
    }
    if (p == *text)
        return false;
    *text = p;
    *out = (uint32_t)number;
    return true;
}

static bool
find_name(const char *name, bool group, uint32_t *out)
{
    int rc = ERANGE;

    for (size_t size = 1024; rc == ERANGE && size <= (size_t)1 << 20; size *= 4) {
        char *room = malloc(size);
        struct passwd user;
        struct passwd *user_found = NULL;
        struct group its;
        struct group *its_found = NULL;

        if (room == NULL)
            return false;
        if (group)
            rc = getgrnam_r(name, &its, room, size, &its_found);
        else
            rc = getpwnam_r(name, &user, room, size, &user_found);
        if (its_found != NULL)
            *out = its_found->gr_gid;
        if (user_found != NULL)
            *out = user_found->pw_uid;
        free(room);
        if (rc == 0)
            return its_found != NULL || user_found != NULL;
    }
    return false;
}

bool
policy_span_read(const char *text, bool group, struct policy_span *out)
{
    const char *at = text;

    if (strcmp(text, "all") == 0) {
        *out = (struct policy_span){0, UINT32_MAX - 1};
        return true;
    }
    if (strspn(text, "0123456789-") < strlen(text)) {
        bool found = find_name(text, group, &out->low);
        out->high = out->low;
        return found;
    }
    if (!read_id(&at, &out->low))
        return false;
    out->high = out->low;
    if (*at == '-') {
        at++;
        if (!read_id(&at, &out->high))
            return false;
    }
    return *at == '\0' && out->low <= out->high;
}

/* ---- Printing ------------------------------------------------------------------------ */

static void
print_spans(const char *key, const struct policy_spans *spans, FILE *out)
{
    if (spans->count == 0)
        return;
    fprintf(out, "    %s: [", key);
    for (uint32_t i = 0; i < spans->count; i++) {
        const struct policy_span *s = &spans->items[i];
        fputs(i == 0 ? "" : ", ", out);
        if (s->low == 0 && s->high == UINT32_MAX - 1)
            fputs("all", out);
        else if (s->low == s->high)
            fprintf(out, "%" PRIu32, s->low);
        else
            fprintf(out, "%" PRIu32 "-%" PRIu32, s->low, s->high);
    }
    fputs("]\n", out);
}

static void
print_rule(const struct policy_rule *rule, FILE *out)
{
    const char *comma = "";

    fputs("  -\n", out);
    print_spans("users", &rule->users, out);
    print_spans("groups", &rule->groups, out);
    if (rule->region != NULL) {
        fputs("    region: '", out);
        for (const char *p = rule->region; *p; p++)
            fputs(*p == '\'' ? "''" : (char[2]){*p, '\0'}, out);
        fputs("'\n", out);
    }
    fputs("    rights: [", out);
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if ((rule->rights >> bit & 1) != 0) {
            fprintf(out, "%s%s", comma, right_names[bit]);
            comma = ", ";
        }
    }
    fputs("]\n    budget: {", out);
    comma = "";
    if (rule->timeout_ns != 0) {
        fprintf(out, "timeout: %" PRIu64 "ns", rule->timeout_ns);
        comma = ", ";
    }
    if (rule->priority != 0) {
        fprintf(out, "%spriority: %u", comma, rule->priority);
        comma = ", ";
    }
    if (rule->polls != 0) {
        fprintf(out, "%spolls: %" PRIu32, comma, rule->polls);
        comma = ", ";
    }
    if (rule->cost != 0)
        fprintf(out, "%scost: %" PRIu64, comma, rule->cost);
    fputs("}\n", out);
}

void
policy_print(const struct policy *p, FILE *out)
{
    fputs("# who may do what, by user and group: see asupersyncd.yaml(5). The last rule that\n"
          "# matches counts; whom none matches may do everything in its own regions and nothing\n"
          "# elsewhere (R-CAP-2). With rules for [] such as\n"
          "#   - groups: [ci]\n"
          "#     region: /ci\n"
          "#     rights: [spawn, cancel, close, observe]\n"
          "#     budget: {timeout: 1h, priority: 150}\n",
          out);
    if (p == NULL || p->count == 0) {
        fputs("access: []\n", out);
        return;
    }
    fputs("access:\n", out);
    for (uint32_t i = 0; i < p->count; i++)
        print_rule(&p->rules[i], out);
}
