/* SPDX-License-Identifier: MIT */
/*
 * Who may do what on this machine: the rules below "access" in
 * asupersyncd.yaml(5), for the kernel's `struct standing` (R-CAP-2).
 *
 * A rule names users and groups by number, after their names have been looked
 * up once, when the file was read. The last rule that matches somebody counts,
 * as in run-as.conf. Whom none matches may do everything in its own regions.
 * Root and the daemon's owner are asked about nowhere: they cannot be locked
 * out.
 */
#ifndef ASUPERSYNC_DAEMON_POLICY_H
#define ASUPERSYNC_DAEMON_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/kernel.h"

enum {
    POLICY_RULES_MAX = 1024,
    POLICY_SPANS_MAX = 1024, /* users of a rule, and likewise groups */
    POLICY_PATH_MAX = 1024,
};

struct policy_span {
    uint32_t low, high; /* both included */
};

struct policy_spans {
    struct policy_span *items;
    uint32_t count;
};

struct policy_rule {
    int line;
    struct policy_spans users, groups; /* it matches who is in either */
    char *region;                      /* path; NULL: the user's own ones */
    uint32_t rights;                   /* enum asup_right */
    uint64_t timeout_ns, cost;         /* ceilings; 0: none */
    uint32_t polls;
    uint8_t priority;
};

struct policy {
    struct policy_rule *rules;
    uint32_t count;
    bool by_group; /* some rule names groups */
};

/* May be NULL. */
void policy_free(struct policy *p);
/* An empty rule at the end, to be filled in; NULL: no memory. */
struct policy_rule *policy_add(struct policy *p);
bool policy_span_add(struct policy_spans *spans, uint32_t low, uint32_t high);

/* The rule that counts for somebody; NULL: none does. `p` may be NULL. */
const struct policy_rule *
policy_find(const struct policy *p, uint32_t uid, const uint32_t *groups, size_t group_count);
/* What it leaves to whom it matches; the region is the caller's to find. `rule`
 * may be NULL. */
struct standing policy_standing(const struct policy_rule *rule);
/* Whether that is less than it was, be it in one thing. */
bool policy_narrower(const struct standing *now, const struct standing *before);

/* A right's name, and back (0: there is none). */
const char *policy_right_name(unsigned bit);
uint32_t policy_right(const char *name);
/* "1000", "1000-1999", "all", or a name of the user (or group) database. */
bool policy_span_read(const char *text, bool group, struct policy_span *out);
/* As config_load reads it back. */
void policy_print(const struct policy *p, FILE *out);

#endif
