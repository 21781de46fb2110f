/* SPDX-License-Identifier: MIT */
#include "daemon/engine/standing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "asupersync/values.h"
#include "daemon/engine/waits.h"

/* Of a rule whose region is not there: no region has it. */
#define REGION_ASTRAY UINT64_MAX

/* ---- Who it is -------------------------------------------------------------------------- */

/* The groups of who connected, its first one at the end; NULL: they cannot be learned. */
static uint32_t *
groups_of(const struct connection *c, size_t *count)
{
    socklen_t size = 64 * sizeof(gid_t);
    gid_t *groups = NULL;

    for (int tries = 0; tries < 3; tries++) {
        gid_t *more = realloc(groups, size + sizeof *groups);
        if (!more)
            break;
        groups = more;
        if (getsockopt(c->sp.fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
            *count = size / sizeof *groups;
            groups[(*count)++] = c->gid;
            return groups;
        }
        if (errno != ERANGE)
            break;
    }
    free(groups);
    return NULL;
}

static const struct policy_rule *
rule_of(struct engine *e, struct connection *c)
{
    /* Whose groups are not known has nothing until they are. */
    static const struct policy_rule unknown = {.rights = 0};
    const struct policy *policy = e->config.access;
    uint32_t *groups = NULL;
    size_t count = 0;

    if (c->uid == 0 || c->uid == (uint32_t)e->options.owner_uid || !policy)
        return NULL;
    if (c->rule_at == e->policy_changes + 1)
        return c->rule;
    if (policy->by_group && !(groups = groups_of(c, &count)))
        return &unknown;
    c->rule = policy_find(policy, c->uid, groups, count);
    c->rule_at = e->policy_changes + 1;
    free(groups);
    return c->rule;
}

/* The region of that path, as root sees it. */
static uint64_t
region_of(const struct engine *e, const char *path)
{
    struct region_view region;
    uint64_t id = ASUP_ROOT_ID;

    for (const char *p = path; *p; p += strcspn(p, "/")) {
        p += strspn(p, "/");
        struct bytes name = {.data = p, .size = (uint32_t)strcspn(p, "/")};
        if (name.size == 0)
            break;
        uint64_t found = kernel_find(e->kernel, id, (uint32_t)e->options.owner_uid, name);
        if (!found && id == ASUP_ROOT_ID)
            found = kernel_find(e->kernel, id, 0, name);
        if (!found || !kernel_region(e->kernel, found, &region) ||
            (region.uid != 0 && region.uid != (uint32_t)e->options.owner_uid))
            return REGION_ASTRAY;
        id = found;
    }
    return id;
}

static const struct policy_rule *
stand(struct engine *e, struct connection *c, struct standing *out)
{
    const struct policy_rule *rule = rule_of(e, c);

    *out = policy_standing(rule);
    if (rule && rule->region)
        out->region = region_of(e, rule->region);
    return rule;
}

void
standing_of_call(struct call *c)
{
    c->rule = stand(c->engine, c->connection, &c->caller.standing);
}

uint64_t
standing_top(const struct call *c, struct bytes name)
{
    struct region_view region;
    uint64_t id = c->caller.standing.region;

    while (id && kernel_region(c->engine->kernel, id, &region)) {
        if (region.parent == ASUP_ROOT_ID)
            return region.name.size == name.size &&
                           memcmp(region.name.data, name.data, name.size) == 0
                       ? id
                       : 0;
        id = region.parent;
    }
    /* Who has all of it has others' regions as well, where only one has that name. */
    if (c->caller.standing.region == ASUP_ROOT_ID)
        return kernel_find(c->engine->kernel, ASUP_ROOT_ID, 0, name);
    return 0;
}

/* ---- What it may ask for ------------------------------------------------------------------ */

void
standing_hint(struct call *c, int code, const char *detail)
{
    if (!c->rule || code != -ASUP_EDENIED || !detail || !strstr(detail, "policy"))
        return;
    snprintf(c->error.hint, sizeof c->error.hint, "%s:%d says so%s%.80s%s",
             c->engine->options.config_path, c->rule->line, c->rule->region ? ": it is for " : "",
             c->rule->region ? c->rule->region : "", c->rule->region ? " and what is in it" : "");
}

static bool
is_shut(const struct standing *s)
{
    return (~s->withheld & ASUP_RIGHTS_TASK) == 0 && s->granted == 0;
}

/* What whoever is shut out may: look what it may, and go. */
static bool
always_may(const struct call *c)
{
    switch (c->op->id) {
    case PROTO_SESSION_KEEPALIVE:
    case PROTO_SESSION_BYE:
    case PROTO_TASK_CHECKPOINT:
    case PROTO_TASK_PROGRESS:
    case PROTO_DAEMON_STATUS:
    case PROTO_BATCH:
        return true;
    case PROTO_SESSION_HELLO: /* to go on with what it has, it gives back what it holds */
        return c->args->session_hello.secret.data != NULL;
    default:
        return call_gives_back(c);
    }
}

int
standing_may_begin(struct call *c)
{
    const struct standing *s = &c->caller.standing;
    const char *detail = NULL;
    uint32_t right = 0;
    int code;

    if (!c->rule || call_shows_cx(c) || always_may(c))
        return 0;
    if (is_shut(s)) {
        code = call_fail(c, -ASUP_EDENIED, NULL, NULL, "the daemon's policy gives you no rights");
        standing_hint(c, code, c->error.message);
        return code;
    }
    if (c->op->id == PROTO_SESSION_HELLO)
        return 0;
    if (s->region == REGION_ASTRAY)
        return call_fail(
            c, -ASUP_EDENIED, NULL, "root opens it: asupersyncctl open --name; then ask again",
            "the policy (%s:%d) gives you the region %.200s, and there is none of root",
            c->engine->options.config_path, c->rule->line, c->rule->region);
    /* Calls that were taken are completed by who took them, and none are taken any more. */
    if (c->op->id == PROTO_WORKER_NEXT ||
        (!(c->op->flags & PROTO_MUTATES) && c->op->id != PROTO_TASK_COMPLETE))
        right = policy_right(c->op->right);
    code = kernel_may(c->engine->kernel, &c->caller, 0, c->caller.uid, right, &detail);
    if (code == 0)
        return 0;
    (void)call_fail(c, code, NULL, NULL, "%s", detail ? detail : asup_error_text(code));
    standing_hint(c, code, detail);
    return code;
}

/* ---- Changes -------------------------------------------------------------------------------- */

/* Of what waits on a connection, the first that may no longer; NULL: none. */
static struct parked *
first_revoked(struct connection *c, const struct standing *now)
{
    for (struct list *l = c->held.next; l != &c->held; l = l->next) {
        struct parked *p = *exchange_parked(exchange_of_link(l));
        if (p && policy_narrower(now, &p->caller.standing))
            return p;
    }
    return NULL;
}

void
standing_changed(struct engine *e)
{
    struct standing now;
    struct parked *p;

    e->policy_changes++;
    for (struct connection *c = server_next(e->server, NULL); c; c = server_next(e->server, c)) {
        (void)stand(e, c, &now);
        /* From the beginning each time: when one goes, others may be answered. */
        while ((p = first_revoked(c, &now)) != NULL) {
            waits_forget(p);
            waits_fail(p, -ASUP_EREVOKED, "the daemon's policy has changed: ask again",
                       e->durable_seq);
        }
    }
}

/* ---- Telling --------------------------------------------------------------------------------- */

static void
write_ceiling(struct proto_writer *w, const char *key, uint64_t value)
{
    pw_key(w, key);
    if (value == 0)
        pw_nil(w);
    else
        pw_uint(w, value);
}

void
standing_write(struct call *c)
{
    const struct engine *e = c->engine;
    const struct policy_rule *rule = c->rule;
    bool all = c->caller.uid == 0 || c->caller.uid == (uint32_t)e->options.owner_uid;
    uint32_t rights = rule ? rule->rights : all ? ASUP_RIGHTS_ALL : ASUP_RIGHTS_TASK;
    struct proto_writer *w = c->w;
    char where[640];

    pw_key(w, "standing");
    pw_map(w);
    pw_key(w, "rule");
    if (rule) {
        snprintf(where, sizeof where, "%s:%d", e->options.config_path, rule->line);
        pw_str(w, where);
    } else {
        pw_nil(w);
    }
    pw_key(w, "rights");
    pw_list(w);
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if ((rights >> bit & 1) != 0)
            pw_str(w, policy_right_name(bit));
    }
    pw_end(w);
    pw_key(w, "region");
    if (rule && rule->region)
        pw_str(w, rule->region);
    else if (all)
        pw_str(w, "/");
    else
        pw_nil(w);
    write_ceiling(w, "timeout_ns", rule ? rule->timeout_ns : 0);
    write_ceiling(w, "priority", rule ? rule->priority : 0);
    write_ceiling(w, "polls", rule ? rule->polls : 0);
    write_ceiling(w, "cost", rule ? rule->cost : 0);
    pw_end(w);
}
