/* SPDX-License-Identifier: MIT */
/* The rules of "access" in asupersyncd.yaml (policy.h). */
#include <stdlib.h>
#include <string.h>

#include "daemon/config_reader.h"

static const char *
plain(struct fy_node *node)
{
    const char *text = node && fy_node_is_scalar(node) ? fy_node_get_scalar0(node) : NULL;

    return text && *text ? text : NULL;
}

/* ---- Who ------------------------------------------------------------------------------ */

static void
read_somebody(struct reader *r, struct fy_node *node, bool group, struct policy_spans *out)
{
    const char *text = plain(node);
    struct policy_span span;

    if (!text) {
        complain(r, node, "a %s is a name, a number such as 1000, or a range such as 1000-1999",
                 group ? "group" : "user");
        return;
    }
    if (out->count >= POLICY_SPANS_MAX) {
        complain(r, node, "more %s than a rule may name; use a range, or a rule more",
                 group ? "groups" : "users");
        return;
    }
    if (!policy_span_read(text, group, &span)) {
        if (strspn(text, "0123456789-") == strlen(text))
            complain(r, node, "\"%s\" is no range: write the smaller number first, as in 1000-1999",
                     text);
        else
            complain(r, node, "there is no %s \"%s\"; correct it, or give a number",
                     group ? "group" : "user", text);
        return;
    }
    if (!policy_span_add(out, span.low, span.high))
        complain(r, node, "no memory for the rule");
}

static void
read_somebodies(struct reader *r, struct fy_node *key, struct fy_node *value, bool group,
                struct policy_spans *out)
{
    struct fy_node *item;
    void *cursor = NULL;

    if (value && fy_node_is_sequence(value)) {
        while ((item = fy_node_sequence_iterate(value, &cursor)) != NULL)
            read_somebody(r, item, group, out);
    } else if (plain(value)) {
        read_somebody(r, value, group, out);
    } else {
        complain(r, key, "\"%s\" needs a list, such as [%s, 1000-1999], or all",
                 group ? "groups" : "users", group ? "staff" : "alice");
    }
}

/* ---- What ----------------------------------------------------------------------------- */

static uint32_t
read_right(struct reader *r, struct fy_node *node)
{
    const char *text = plain(node);
    uint32_t right = text ? policy_right(text) : 0;

    if (right == 0)
        complain(r, node,
                 "there is no right \"%s\"; spawn, cancel, close, observe, channel, lease, io, "
                 "saga, serve, delegate and admin are, and time, random, trace",
                 text ? text : "");
    return right;
}

static void
read_rights(struct reader *r, struct fy_node *key, struct fy_node *value, uint32_t *out)
{
    const char *text = plain(value);
    struct fy_node *item;
    void *cursor = NULL;

    *out = 0;
    if (text && strcmp(text, "all") == 0) {
        *out = ASUP_RIGHTS_TASK;
    } else if (text && strcmp(text, "none") == 0) {
        *out = 0;
    } else if (text) {
        *out = read_right(r, value);
    } else if (value && fy_node_is_sequence(value)) {
        while ((item = fy_node_sequence_iterate(value, &cursor)) != NULL)
            *out |= read_right(r, item);
    } else {
        complain(r, key, "\"rights\" needs a list, such as [spawn, observe], or all, or none");
    }
}

static void
read_region(struct reader *r, struct fy_node *key, struct fy_node *value, char **out)
{
    const char *text = plain(value);

    free(*out);
    *out = NULL;
    if (!text || *text != '/' || strlen(text) > POLICY_PATH_MAX) {
        complain(r, text ? value : key, "\"region\" needs a path, such as /ci");
        return;
    }
    *out = strdup(text);
    if (!*out)
        complain(r, value, "no memory for the rule");
}

/* ---- How much ------------------------------------------------------------------------- */

static void
read_ceiling(struct reader *r, const char *name, struct fy_node *key, struct fy_node *value,
             struct policy_rule *rule)
{
    const char *text = plain(value);
    uint64_t number = 0;

    if (!text) {
        complain(r, key, "\"budget.%s\" needs a value", name);
    } else if (strcmp(name, "timeout") == 0) {
        if (config_duration(text, &number) && number > 0)
            rule->timeout_ns = number;
        else
            complain(r, value, "\"budget.timeout\" is \"%s\", but must be a duration, such as 1h",
                     text);
    } else if (strcmp(name, "priority") == 0) {
        if (config_number(text, 10, &number) && number >= 1 && number <= UINT8_MAX)
            rule->priority = (uint8_t)number;
        else
            complain(r, value, "\"budget.priority\" is \"%s\", but must be from 1 to 255", text);
    } else if (strcmp(name, "polls") == 0) {
        if (config_number(text, 10, &number) && number >= 1 && number < UINT32_MAX)
            rule->polls = (uint32_t)number;
        else
            complain(r, value, "\"budget.polls\" is \"%s\", but must be from 1 to 4294967294",
                     text);
    } else if (strcmp(name, "cost") == 0) {
        if (config_number(text, 10, &number) && number >= 1)
            rule->cost = number;
        else
            complain(r, value, "\"budget.cost\" is \"%s\", but must be a number from 1", text);
    } else {
        complain(r, key, "there is no key \"budget.%s\"; timeout, priority, polls and cost are",
                 name);
    }
}

static void
read_budget(struct reader *r, struct fy_node *key, struct fy_node *value, struct policy_rule *rule)
{
    struct fy_node_pair *pair;
    void *cursor = NULL;

    if (!value || !fy_node_is_mapping(value)) {
        complain(r, key, "\"budget\" needs ceilings, such as {timeout: 1h, priority: 150}");
        return;
    }
    while ((pair = fy_node_mapping_iterate(value, &cursor)) != NULL) {
        const char *name = plain(fy_node_pair_key(pair));
        read_ceiling(r, name ? name : "", fy_node_pair_key(pair), fy_node_pair_value(pair), rule);
    }
}

/* ---- Rules ---------------------------------------------------------------------------- */

static void
read_rule(struct reader *r, struct fy_node *node, struct policy_rule *rule)
{
    struct fy_node_pair *pair;
    void *cursor = NULL;

    while ((pair = fy_node_mapping_iterate(node, &cursor)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct fy_node *value = fy_node_pair_value(pair);
        const char *name = plain(key);

        if (!name)
            complain(r, key, "a key must be plain text");
        else if (strcmp(name, "users") == 0)
            read_somebodies(r, key, value, false, &rule->users);
        else if (strcmp(name, "groups") == 0)
            read_somebodies(r, key, value, true, &rule->groups);
        else if (strcmp(name, "rights") == 0)
            read_rights(r, key, value, &rule->rights);
        else if (strcmp(name, "region") == 0)
            read_region(r, key, value, &rule->region);
        else if (strcmp(name, "budget") == 0)
            read_budget(r, key, value, rule);
        else
            complain(r, key,
                     "there is no key \"%s\" in a rule; users, groups, rights, region and budget "
                     "are",
                     name);
    }
}

void
config_read_access(struct reader *r, struct fy_node *key, struct fy_node *value)
{
    struct fy_node *item;
    void *cursor = NULL;

    if (!value || fy_node_is_null(value))
        return;
    if (!fy_node_is_sequence(value)) {
        complain(r, key, "\"access\" is a list of rules: begin each with \"- users: [...]\"");
        return;
    }
    r->config->access = calloc(1, sizeof *r->config->access);
    while (r->config->access && (item = fy_node_sequence_iterate(value, &cursor)) != NULL) {
        const struct fy_mark *mark = config_mark(item);
        int errors = r->error_count;
        struct policy_rule *rule;

        if (!fy_node_is_mapping(item)) {
            complain(r, item, "a rule has keys, such as \"users: [alice]\" and \"rights: none\"");
            continue;
        }
        if (r->config->access->count >= POLICY_RULES_MAX ||
            !(rule = policy_add(r->config->access))) {
            complain(r, item, "more rules than there may be (%d)", POLICY_RULES_MAX);
            return;
        }
        rule->line = mark ? mark->line + 1 : 0;
        read_rule(r, item, rule);
        if (r->error_count > errors)
            continue;
        if (rule->users.count + rule->groups.count == 0)
            complain(r, item, "the rule matches nobody: add users or groups, or \"users: all\"");
        if ((rule->rights & ASUP_RIGHT_ADMIN) != 0 && rule->region)
            complain(r, item, "\"admin\" is for the whole daemon: leave out either it or region");
        r->config->access->by_group |= rule->groups.count > 0;
    }
    if (!r->config->access)
        complain(r, key, "no memory for the rules");
}
