/* SPDX-License-Identifier: MIT */
/*
 * The combinators of cx.h: regions with a policy (R-POL-1, R-POL-2). Each opens
 * a scope, fills it, and joins it; so it returns when no branch runs any more
 * (R-COM-1), whatever decided and whoever was cancelled.
 */
#include <stdint.h>

#include "cx/cx_owed.h"

/* ---- Branches ---------------------------------------------------------------------- */

struct plan {
    enum asup_policy policy;
    uint32_t quorum;
    uint64_t timeout_ns; /* of all together */
};

/* Each is a call that waits: a checkpoint before anything else. */
static struct asup_cx *
scope_begin(struct asup_cx *cx, const struct plan *plan, int *code)
{
    struct asup_scope_options options;

    *code = shell_checkpoint(cx);
    if (*code != 0)
        return NULL;
    asup_scope_options_init(&options);
    options.policy = plan->policy;
    options.quorum = plan->quorum;
    options.limits.timeout_ns = plan->timeout_ns;
    return asup_cx_scope_open(cx, &options, code);
}

/* rc: why not all of it could be made, which is what counts then. */
static int
scope_finish(struct asup_cx *scope, int rc, struct asup_outcome *out)
{
    int joined;

    if (rc != 0)
        asup_cx_scope_close(scope, "not all of it could be made");
    joined = asup_cx_scope_join(scope, out);
    return rc != 0 ? rc : joined;
}

/* Spawn them; their ids go to tasks, where somebody asks. */
static int
branches_spawn(struct asup_cx *scope, const struct asup_branch *branches, size_t count,
               struct asup_task *tasks)
{
    struct asup_spawn_options spawn;
    int rc = 0;

    asup_spawn_options_init(&spawn);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        spawn.label = branches[i].label;
        rc = asup_cx_spawn_with(scope, &spawn, branches[i].body, branches[i].arg,
                                tasks == NULL ? NULL : &tasks[i]);
    }
    return rc;
}

static int
branches_run(struct asup_cx *cx, const struct plan *plan, const struct asup_branch *branches,
             size_t count, struct asup_outcome *out)
{
    struct asup_cx *scope;
    int rc;

    if (branches == NULL && count > 0)
        return -ASUP_EINVALID;
    scope = scope_begin(cx, plan, &rc);
    if (scope == NULL)
        return rc;
    return scope_finish(scope, branches_spawn(scope, branches, count, NULL), out);
}

/* One of them wins. */
static int
contest_run(struct asup_cx *cx, const struct plan *plan, const struct asup_branch *branches,
            size_t count, size_t *winner, struct asup_outcome *out)
{
    struct asup_task *tasks;
    struct asup_cx *scope;
    int rc;

    if (winner == NULL)
        return branches_run(cx, plan, branches, count, out);
    *winner = SIZE_MAX;
    if ((branches == NULL && count > 0) || count > SIZE_MAX / sizeof *tasks)
        return -ASUP_EINVALID;
    scope = scope_begin(cx, plan, &rc);
    if (scope == NULL)
        return rc;
    tasks = scope_memory(scope, count * sizeof *tasks);
    rc = tasks == NULL ? -ASUP_ENOMEM : branches_spawn(scope, branches, count, tasks);
    if (rc != 0)
        return scope_finish(scope, rc, out);
    scope_await(scope);
    for (size_t i = 0; scope->decider != 0 && i < count; i++) {
        if (tasks[i].id == scope->decider)
            *winner = i;
    }
    return scope_finish(scope, 0, out);
}

int
asup_cx_all(struct asup_cx *cx, const struct asup_branch *branches, size_t count, bool fail_fast,
            struct asup_outcome *out)
{
    const struct plan plan = {.policy = fail_fast ? ASUP_POLICY_FAIL_FAST : ASUP_POLICY_COLLECT,
                              .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, out);
}

int
asup_cx_race(struct asup_cx *cx, const struct asup_branch *branches, size_t count, size_t *winner,
             struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_RACE, .timeout_ns = ASUP_NEVER};

    return contest_run(cx, &plan, branches, count, winner, out);
}

int
asup_cx_first_ok(struct asup_cx *cx, const struct asup_branch *branches, size_t count,
                 size_t *winner, struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_FIRST_OK, .timeout_ns = ASUP_NEVER};

    return contest_run(cx, &plan, branches, count, winner, out);
}

int
asup_cx_quorum(struct asup_cx *cx, uint32_t k, const struct asup_branch *branches, size_t count,
               struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_QUORUM, .quorum = k, .timeout_ns = ASUP_NEVER};

    return branches_run(cx, &plan, branches, count, out);
}

int
asup_cx_timeout(struct asup_cx *cx, uint64_t ns, asup_body body, void *arg,
                struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_COLLECT, .timeout_ns = ns};
    const struct asup_branch branch = {.body = body, .arg = arg};

    return branches_run(cx, &plan, &branch, 1, out);
}

/* Wait for a task of ours, for so long, whatever our rights are. 0, -ASUP_ETIMEDOUT, and the rest.
 */
static int
branch_wait(const struct asup_cx *scope, struct asup_task task, uint64_t timeout_ns)
{
    struct input in = {.kind = IN_WAIT, .task = task.id};

    in.u.wait.timeout_ns = timeout_ns;
    in.u.wait.until = WAIT_FINISHED;
    return shell_wait_request(scope, &in, WAIT_ORDINARY, NULL);
}

int
asup_cx_hedge(struct asup_cx *cx, uint64_t delay_ns, asup_body body, void *arg,
              struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_FIRST_OK, .timeout_ns = ASUP_NEVER};
    struct asup_task first;
    struct asup_cx *scope;
    int rc;

    scope = scope_begin(cx, &plan, &rc);
    if (scope == NULL)
        return rc;
    rc = asup_cx_spawn(scope, body, arg, &first);
    if (rc != 0)
        return scope_finish(scope, rc, out);
    rc = branch_wait(scope, first, delay_ns);
    if (rc == -ASUP_ETIMEDOUT)
        rc = asup_cx_spawn(scope, body, arg, NULL);
    return scope_finish(scope, rc, out);
}

/* ---- Again and again -------------------------------------------------------------------- */

uint64_t
backoff_after(const struct asup_retry *rule, uint32_t attempt)
{
    uint64_t most = rule->backoff_most_ns != 0 ? rule->backoff_most_ns : ASUP_NEVER;
    uint64_t pause = rule->backoff_ns;

    for (uint32_t i = 1; i < attempt && pause < most; i++)
        pause = pause > UINT64_MAX / 2 ? UINT64_MAX : 2 * pause;
    return pause < most ? pause : most;
}

/* An Err, or a cancel because its own time was over: that is a failure, any other is an order. */
static bool
may_try_again(struct asup_cx *scope, struct asup_task task)
{
    const struct kernel *k = shell_kernel(shell_of(scope));
    struct reason_view reason;
    struct task_view view;

    if (!kernel_task(k, task.id, &view))
        return false;
    if (view.outcome.key.severity == ASUP_ERR)
        return true;
    return view.outcome.key.severity == ASUP_CANCELLED &&
           kernel_reason(k, view.outcome.reason, &reason, 1) == 1 &&
           reason.key.kind == ASUP_CANCEL_TIMEOUT && reason.key.origin == task.id &&
           reason.origin_sort == ASUP_SORT_TASK;
}

static int
attempts_run(struct asup_cx *scope, const struct asup_retry *rule, asup_body body, void *arg)
{
    struct asup_spawn_options spawn;

    asup_spawn_options_init(&spawn);
    if (rule->timeout_ns != 0)
        spawn.limits.timeout_ns = rule->timeout_ns;
    for (uint32_t attempt = 1;; attempt++) {
        struct asup_task task;
        uint64_t now, pause;
        int rc = asup_cx_spawn_with(scope, &spawn, body, arg, &task);

        if (rc == 0)
            rc = branch_wait(scope, task, ASUP_NEVER);
        if (rc != 0)
            return rc;
        if (attempt >= rule->attempts || !may_try_again(scope, task))
            return 0;
        now = shell_time(shell_of(scope));
        pause = backoff_after(rule, attempt);
        rc = shell_sleep_until(scope, pause > ASUP_NEVER - now ? ASUP_NEVER : now + pause);
        if (rc != 0)
            return rc;
    }
}

/* One task per attempt in a `last` region. */
int
asup_cx_retry(struct asup_cx *cx, const struct asup_retry *rule, asup_body body, void *arg,
              struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_LAST, .timeout_ns = ASUP_NEVER};
    struct asup_cx *scope;
    int rc;

    if (rule == NULL || rule->attempts == 0)
        return -ASUP_EINVALID;
    scope = scope_begin(cx, &plan, &rc);
    if (scope == NULL)
        return rc;
    return scope_finish(scope, attempts_run(scope, rule, body, arg), out);
}

/* ---- Pipelines ------------------------------------------------------------------------- */

struct line;

struct stage_run {
    struct line *line;
    const struct asup_stage *stage;
    struct asup_channel in, out;
    struct asup_task task;
};

struct line {
    int failed; /* what the first stage that failed returned */
    struct stage_run runs[];
};

/* Who ends takes and gives nothing more: the one behind it comes to the end, the one before it is
 * told so instead of waiting for room for ever. */
static int
stage_main(struct asup_cx *cx, void *arg)
{
    struct stage_run *run = arg;
    int result = run->stage->body(cx, run->in, run->out, run->stage->arg);

    if (run->line->failed == 0)
        run->line->failed = result;
    if (run->out.id != 0)
        (void)asup_cx_channel_seal(cx, run->out);
    if (run->in.id != 0)
        (void)asup_cx_channel_seal(cx, run->in);
    return result;
}

static int
stages_spawn(struct asup_cx *scope, const struct asup_stage *stages, size_t count,
             uint32_t capacity, struct line *line)
{
    const struct asup_channel_limits limits = {.capacity = capacity};
    struct asup_spawn_options spawn;
    int rc = 0;

    asup_spawn_options_init(&spawn);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        struct stage_run *run = &line->runs[i];

        run->line = line;
        run->stage = &stages[i];
        if (i > 0)
            run->in = run[-1].out;
        if (stages[i].body == NULL)
            rc = -ASUP_EINVALID;
        else if (i + 1 < count)
            rc = asup_cx_channel_open(scope, NULL, &limits, &run->out);
    }
    for (size_t i = 0; rc == 0 && i < count; i++) {
        spawn.label = stages[i].label;
        rc = asup_cx_spawn_with(scope, &spawn, stage_main, &line->runs[i], &line->runs[i].task);
    }
    return rc;
}

/* What a stage that had seen enough left behind is no loss. */
static void
leftovers_take(struct asup_cx *scope, const struct stage_run *run)
{
    struct shell_reply reply;
    struct input in;

    for (;;) {
        in = cx_input(scope, IN_CHANNEL_RECEIVE);
        in.subject = run->in.id;
        if (shell_request(scope, &in, &reply) != 0)
            return;
        in = cx_input(scope, IN_CHANNEL_ACK);
        in.subject = reply.made.id;
        if (shell_request(scope, &in, NULL) != 0)
            return;
    }
}

static void
line_wait(struct asup_cx *scope, const struct line *line, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct input in = {.kind = IN_WAIT, .task = line->runs[i].task.id};

        in.u.wait.timeout_ns = ASUP_NEVER;
        in.u.wait.until = WAIT_FINISHED;
        (void)shell_wait_request(scope, &in, WAIT_REGARDLESS, NULL);
    }
    for (size_t i = 1; i < count; i++)
        leftovers_take(scope, &line->runs[i]);
}

int
asup_cx_pipeline(struct asup_cx *cx, const struct asup_stage *stages, size_t count,
                 uint32_t capacity, struct asup_outcome *out)
{
    const struct plan plan = {.policy = ASUP_POLICY_FAIL_FAST, .timeout_ns = ASUP_NEVER};
    struct asup_cx *scope;
    struct line *line;
    int rc, failed;

    if ((stages == NULL && count > 0) || count > ASUP_NEVER / 2 / sizeof(struct stage_run) ||
        capacity == 0)
        return -ASUP_EINVALID;
    scope = scope_begin(cx, &plan, &rc);
    if (scope == NULL)
        return rc;
    line = scope_memory(scope, sizeof *line + count * sizeof line->runs[0]);
    rc = line == NULL ? -ASUP_ENOMEM : stages_spawn(scope, stages, count, capacity, line);
    if (rc != 0)
        return scope_finish(scope, rc, out);
    line_wait(scope, line, count);
    failed = line->failed;
    rc = scope_finish(scope, 0, out);
    /* What it left unconsumed counts, too, at the same instant perhaps: the failure says more. */
    return rc != 0 && rc != -ASUP_ECANCELLED && rc != -ASUP_EPANICKED && failed != 0 ? failed : rc;
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

        if (rc == 0 && run->next < run->count)
            rc = asup_cx_checkpoint(cx);
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
    const struct plan plan = {.policy = ASUP_POLICY_FAIL_FAST, .timeout_ns = ASUP_NEVER};
    size_t mappers = at_once == 0 || at_once > count ? count : at_once;
    struct map_run *run;
    struct asup_cx *scope;
    int rc;

    if (map == NULL || (items == NULL && count > 0))
        return -ASUP_EINVALID;
    scope = scope_begin(cx, &plan, &rc);
    if (scope == NULL)
        return rc;
    run = scope_memory(scope, sizeof *run);
    if (run == NULL)
        return scope_finish(scope, -ASUP_ENOMEM, out);
    *run = (struct map_run){
        .items = items, .count = count, .item_size = item_size, .map = map, .arg = arg};
    for (size_t i = 0; rc == 0 && i < mappers; i++)
        rc = asup_cx_spawn(scope, mapper_main, run, NULL);
    rc = scope_finish(scope, rc, out);
    for (size_t i = 0; rc == 0 && reduce != NULL && i < count; i++)
        rc = reduce(cx, i, (char *)items + i * item_size, arg);
    return rc;
}
