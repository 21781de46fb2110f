/* SPDX-License-Identifier: MIT */
/*
 * The combinators of cx.h: regions with a policy (R-POL-1, R-POL-2). Each opens
 * a scope, fills it, and joins it; so it returns when no branch runs any more
 * (R-COM-1), whatever decided and whoever was cancelled.
 */
#include <stdint.h>
#include <stdlib.h>

#include "cx/shell_internal.h"

/* ---- Branches ---------------------------------------------------------------------- */

struct contest;

struct contender {
    struct contest *contest;
    const struct asup_branch *branch;
    size_t index;
};

/* What the branches of a scope share; on the stack of who joins it. */
struct contest {
    struct asup_cx *scope;
    size_t winner; /* SIZE_MAX: none yet */
    bool ok_only;  /* only an Ok wins */
    size_t left;   /* that may still be Ok */
    size_t needed; /* so many Oks; 0: not counted */
};

static bool
is_decided(const struct asup_cx *scope)
{
    struct region_view r;

    return kernel_region(shell_kernel(shell_of(scope)), asup_cx_region(scope).id, &r) && r.decided;
}

/* Whether a quorum has become impossible is judged once nothing more is admitted (R-POL-2). */
static void
seal(const struct asup_cx *scope)
{
    struct input in = cx_input(scope, IN_REGION_END);

    in.u.end.mode = ASUP_END_FINISH;
    in.u.end.drain_ns = ASUP_NEVER;
    (void)shell_request(scope, &in, NULL);
}

/* Runs a branch; the first to come back before anything was decided has won. */
static int
contender_run(struct asup_cx *cx, void *arg)
{
    struct contender *c = arg;
    struct contest *all = c->contest;
    int result = c->branch->body(cx, c->branch->arg);

    if (all->winner == SIZE_MAX && (result == 0 || !all->ok_only) && !is_decided(all->scope))
        all->winner = c->index;
    all->left -= result != 0;
    if (all->needed != 0 && all->left < all->needed)
        seal(all->scope);
    return result;
}

struct plan {
    enum asup_policy policy;
    uint32_t quorum;
    uint64_t timeout_ns; /* of all together */
    uint64_t later_ns;   /* each branch begins so much later than the one before */
};

static int
branches_run(struct asup_cx *cx, const struct plan *plan, const struct asup_branch *branches,
             size_t count, size_t *winner, struct asup_outcome *out)
{
    struct contest contest = {.winner = SIZE_MAX,
                              .ok_only = plan->policy != ASUP_POLICY_RACE,
                              .left = count,
                              .needed = plan->quorum};
    struct asup_scope_options options;
    struct contender *contenders;
    size_t made = 0;
    int rc = 0, joined;

    if (winner != NULL)
        *winner = SIZE_MAX;
    if (cx == NULL || (branches == NULL && count > 0))
        return -ASUP_EINVALID;
    contenders = calloc(count + 1, sizeof contenders[0]);
    if (contenders == NULL)
        return -ASUP_ENOMEM;
    asup_scope_options_init(&options);
    options.policy = plan->policy;
    options.quorum = plan->quorum;
    options.limits.timeout_ns = plan->timeout_ns;
    contest.scope = asup_cx_scope_open(cx, &options, &rc);
    for (size_t i = 0; contest.scope != NULL && rc == 0 && i < count; i++) {
        struct asup_spawn_options spawn;

        contenders[i] = (struct contender){&contest, &branches[i], i};
        asup_spawn_options_init(&spawn);
        spawn.label = branches[i].label;
        spawn.delay_ns = i * plan->later_ns;
        rc = asup_cx_spawn_with(contest.scope, &spawn, contender_run, &contenders[i], NULL);
        made += rc == 0;
    }
    if (contest.scope == NULL) {
        free(contenders);
        return rc;
    }
    if (made < count)
        asup_cx_scope_close(contest.scope, "not every branch could be made");
    joined = asup_cx_scope_join(contest.scope, out);
    free(contenders);
    if (made < count)
        return rc;
    if (winner != NULL)
        *winner = contest.winner;
    return joined;
}

int
asup_cx_all(struct asup_cx *cx, const struct asup_branch *branches, size_t count, bool fail_fast,
            struct asup_outcome *out)
{
    const struct plan plan = {.policy = fail_fast ? ASUP_POLICY_FAIL_FAST : ASUP_POLICY_COLLECT,
                              .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, NULL, out);
}

int
asup_cx_race(struct asup_cx *cx, const struct asup_branch *branches, size_t count, size_t *winner,
             struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_RACE, .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, winner, out);
}

int
asup_cx_first_ok(struct asup_cx *cx, const struct asup_branch *branches, size_t count,
                 size_t *winner, struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_FIRST_OK, .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, winner, out);
}

int
asup_cx_quorum(struct asup_cx *cx, uint32_t k, const struct asup_branch *branches, size_t count,
               struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_QUORUM, .quorum = k, .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, NULL, out);
}

int
asup_cx_timeout(struct asup_cx *cx, uint64_t ns, asup_body body, void *arg,
                struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_COLLECT, .timeout_ns = ns};
    const struct asup_branch branch = {.body = body, .arg = arg};

    return branches_run(cx, &plan, &branch, 1, NULL, out);
}

int
asup_cx_hedge(struct asup_cx *cx, uint64_t delay_ns, asup_body body, void *arg,
              struct asup_outcome *out)
{
    const struct plan plan = {
        .policy = ASUP_POLICY_FIRST_OK, .timeout_ns = ASUP_NEVER, .later_ns = delay_ns};
    const struct asup_branch branches[2] = {{.body = body, .arg = arg}, {.body = body, .arg = arg}};

    return branches_run(cx, &plan, branches, 2, NULL, out);
}

/* ---- Retry --------------------------------------------------------------------------- */

static uint64_t
backoff_after(const struct asup_retry *rule, uint32_t attempt)
{
    uint64_t most = rule->backoff_most_ns != 0 ? rule->backoff_most_ns : ASUP_NEVER;
    uint64_t pause = rule->backoff_ns;

    for (uint32_t i = 1; i < attempt && pause < most; i++)
        pause = pause > UINT64_MAX / 2 ? UINT64_MAX : 2 * pause;
    return pause < most ? pause : most;
}

/* One task per attempt in a `last` region. */
int
asup_cx_retry(struct asup_cx *cx, const struct asup_retry *rule, asup_body body, void *arg,
              struct asup_outcome *out)
{
    struct asup_scope_options options;
    struct asup_cx *scope;
    int rc = 0;

    if (rule == NULL || rule->attempts == 0)
        return -ASUP_EINVALID;
    asup_scope_options_init(&options);
    options.policy = ASUP_POLICY_LAST;
    scope = asup_cx_scope_open(cx, &options, &rc);
    if (scope == NULL)
        return rc;
    for (uint32_t attempt = 1; attempt <= rule->attempts; attempt++) {
        struct asup_spawn_options spawn;
        struct asup_outcome outcome;
        struct asup_task task;

        asup_spawn_options_init(&spawn);
        spawn.limits.timeout_ns = rule->timeout_ns;
        rc = asup_cx_spawn_with(scope, &spawn, body, arg, &task);
        if (rc != 0)
            break;
        if (asup_cx_join(scope, task, &outcome) != 0)
            break; /* cancelled, and the scope with it */
        /* An attempt whose own time was over is one that failed. */
        if (outcome.key.severity == ASUP_OK || outcome.key.severity == ASUP_PANICKED ||
            (outcome.key.severity == ASUP_CANCELLED && asup_cx_is_cancel_requested(scope)))
            break;
        if (attempt < rule->attempts && asup_cx_sleep(scope, backoff_after(rule, attempt)) != 0)
            break;
    }
    if (rc != 0)
        asup_cx_scope_close(scope, "an attempt could not be made");
    {
        int joined = asup_cx_scope_join(scope, out);

        return rc != 0 ? rc : joined;
    }
}

/* ---- Pipelines ------------------------------------------------------------------------- */

struct stage_run {
    const struct asup_stage *stage;
    struct asup_channel in, out;
};

static int
stage_main(struct asup_cx *cx, void *arg)
{
    struct stage_run *run = arg;
    int result = run->stage->body(cx, run->in, run->out, run->stage->arg);
    int sealed = run->out.id == 0 ? 0 : asup_cx_channel_seal(cx, run->out);

    return result != 0 ? result : sealed;
}

int
asup_cx_pipeline(struct asup_cx *cx, const struct asup_stage *stages, size_t count,
                 uint32_t capacity, struct asup_outcome *out)
{
    const struct asup_channel_limits limits = {
        .capacity = capacity, .ack_timeout_ns = ASUP_NEVER, .permit_timeout_ns = ASUP_NEVER};
    struct asup_scope_options options;
    struct stage_run *runs;
    struct asup_cx *scope;
    int rc = 0, joined;

    if ((stages == NULL && count > 0) || capacity == 0)
        return -ASUP_EINVALID;
    runs = calloc(count + 1, sizeof runs[0]);
    if (runs == NULL)
        return -ASUP_ENOMEM;
    asup_scope_options_init(&options);
    options.policy = ASUP_POLICY_FAIL_FAST;
    scope = asup_cx_scope_open(cx, &options, &rc);
    if (scope == NULL) {
        free(runs);
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        runs[i].stage = &stages[i];
        if (i + 1 == count)
            continue;
        rc = asup_cx_channel_open(scope, NULL, &limits, &runs[i].out);
        runs[i + 1].in = runs[i].out;
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct asup_spawn_options spawn;

        asup_spawn_options_init(&spawn);
        spawn.label = stages[i].label;
        rc = asup_cx_spawn_with(scope, &spawn, stage_main, &runs[i], NULL);
    }
    if (rc != 0)
        asup_cx_scope_close(scope, "not every stage could be made");
    joined = asup_cx_scope_join(scope, out);
    free(runs);
    return rc != 0 ? rc : joined;
}

/* ---- Map and reduce ----------------------------------------------------------------------- */

struct map_run {
    char *items;
    size_t count, item_size, next;
    asup_map_body map;
    void *arg;
};

/* Takes one item after the other until none is left. */
static int
mapper_main(struct asup_cx *cx, void *arg)
{
    struct map_run *run = arg;

    while (run->next < run->count) {
        size_t i = run->next++;
        int rc = run->map(cx, i, run->items + i * run->item_size, run->arg);

        if (rc != 0)
            return rc;
    }
    return 0;
}

int
asup_cx_map_reduce(struct asup_cx *cx, void *items, size_t count, size_t item_size,
                   uint32_t at_once, asup_map_body map, asup_reduce_body reduce, void *arg,
                   struct asup_outcome *out)
{
    struct map_run run = {
        .items = items, .count = count, .item_size = item_size, .map = map, .arg = arg};
    size_t mappers = at_once == 0 || at_once > count ? count : at_once;
    struct asup_scope_options options;
    struct asup_cx *scope;
    int rc = 0, joined;

    if (map == NULL || (items == NULL && count > 0))
        return -ASUP_EINVALID;
    asup_scope_options_init(&options);
    options.policy = ASUP_POLICY_FAIL_FAST;
    scope = asup_cx_scope_open(cx, &options, &rc);
    if (scope == NULL)
        return rc;
    for (size_t i = 0; rc == 0 && i < mappers; i++)
        rc = asup_cx_spawn(scope, mapper_main, &run, NULL);
    if (rc != 0)
        asup_cx_scope_close(scope, "not every task could be made");
    joined = asup_cx_scope_join(scope, out);
    if (rc != 0 || joined != 0 || reduce == NULL)
        return rc != 0 ? rc : joined;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = reduce(cx, i, run.items + i * item_size, arg);
    return rc;
}
