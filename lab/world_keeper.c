/* SPDX-License-Identifier: MIT */
/*
 * The keeper of a world: one row per task, resent to a new engine; orders are
 * taken in order and are idempotent. Its processes do what a script says that is
 * drawn when they start: they end, crash, hang, ignore what they are told, leave
 * children behind, outlive their kill.
 *
 * Here is the truth about processes. No task may run twice at once (R-TSK-5), and
 * nothing lives of what is completed (R-TSK-2).
 */
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

static struct process *
process_of(struct world *w, uint64_t task)
{
    return &w->processes[task % IDS_MAX];
}

static void
turn_add(struct world *w, const struct process *p, enum process_turn turn, uint64_t after_ns)
{
    agenda_add(w, (struct agenda_item){.at = w->now + after_ns,
                                       .kind = AGENDA_PROCESS,
                                       .what = turn,
                                       .number = p->row.task,
                                       .life = p->life});
}

/* ---- Rows ------------------------------------------------------------------------------- */

/* To the engine, behind what went before. */
static void
row_send(struct world *w, struct process *p, uint32_t fact)
{
    struct row *row;
    uint64_t takes = 1000 + dice(w, 100000);

    p->row.facts |= fact;
    p->row.change = ++w->changes;
    if (!w->up)
        return; /* the next one hears all of it */
    if (fault(w, FAULT_ROW_LATE))
        takes = (uint64_t)dice(w, 5000) * ASUP_NS_PER_MS;
    w->row_last = w->now + takes > w->row_last ? w->now + takes : w->row_last;
    row = malloc(sizeof *row);
    if (row == NULL)
        abort();
    *row = p->row;
    agenda_add(w, (struct agenda_item){
                      .at = w->row_last, .kind = AGENDA_ROW, .life = w->engine_run, .owned = row});
}

static void
fact(struct world *w, struct input in)
{
    (void)world_step(w, &in);
}

static void
row_feed(struct world *w, const struct row *row, uint32_t fresh)
{
    struct input exited = {.kind = IN_TASK_EXITED, .task = row->task, .u.exited = row->exit};
    bool empty_first = (fresh & ROW_EMPTY) != 0 && dice(w, 2) == 0;

    if (fresh & ROW_STARTED)
        fact(w, (struct input){.kind = IN_TASK_STARTED,
                               .task = row->task,
                               .u.started.pid = (uint32_t)row->task + 100});
    if (fresh & ROW_START_FAILED)
        fact(w, (struct input){.kind = IN_TASK_START_FAILED,
                               .task = row->task,
                               .u.start_failed = {.stage = row->stage, .error = row->error}});
    if (fresh & (ROW_SIGNALLED | ROW_SIGNAL_LATE))
        fact(w, (struct input){.kind = IN_TASK_SIGNALLED,
                               .task = row->task,
                               .u.signalled.delivered = (fresh & ROW_SIGNALLED) != 0});
    if (empty_first)
        fact(w, (struct input){.kind = IN_TASK_EMPTY, .task = row->task});
    if (fresh & ROW_EXITED)
        fact(w, exited);
    if ((fresh & ROW_EMPTY) && !empty_first)
        fact(w, (struct input){.kind = IN_TASK_EMPTY, .task = row->task});
}

/* Nobody knows it: it must go (R-TSK-5). */
static void
row_unknown(struct world *w, struct process *p)
{
    struct effect fx = {.kind = FX_KILL, .task = p->row.task};

    deed(w, DEED_UNKNOWN_ROW);
    if ((p->row.facts & ROW_EMPTY) != 0)
        fx.kind = FX_FORGET;
    keeper_order(w, &fx);
}

void
row_take(struct world *w, const struct row *row, bool again)
{
    struct process *p = process_of(w, row->task);
    uint32_t fresh = row->facts & ~p->facts_known;

    if (p->row.task != row->task)
        return; /* forgotten since */
    if (!p->expected) {
        row_unknown(w, p);
        return;
    }
    p->facts_known |= row->facts;
    row_feed(w, row, again ? row->facts : fresh);
    if (fault(w, FAULT_ROW_TWICE))
        row_feed(w, row, row->facts);
}

static int
by_change(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;

    return (x->change > y->change) - (x->change < y->change);
}

void
rows_adopt(struct world *w)
{
    struct row *rows;
    size_t count = 0;

    rows = malloc((w->process_last + 1) * sizeof *rows);
    if (rows == NULL)
        abort();
    for (uint64_t id = 1; id <= w->process_last; id++) {
        struct process *p = process_of(w, id);

        if (p->row.task != 0)
            rows[count++] = p->row;
    }
    qsort(rows, count, sizeof *rows, by_change);
    for (size_t i = 0; i < count; i++) {
        struct process *p = process_of(w, rows[i].task);
        struct task_view t;

        p->facts_known = 0;
        p->expected = kernel_task(w->kernel, rows[i].task, &t);
        if (p->expected && t.state == ASUP_TASK_COMPLETED) {
            p->expected = false;
            keeper_order(w, &(struct effect){.kind = FX_FORGET, .task = rows[i].task});
        } else {
            row_take(w, &rows[i], false);
        }
    }
    free(rows);
}

/* ---- Scripts ----------------------------------------------------------------------------------
 */

static void
script_draw(struct world *w, struct process *p)
{
    static const int32_t signals[] = {11, 6, 8, 9};
    uint64_t spans[] = {1, 20, 300, 4000};

    p->run_ns = (uint64_t)dice(w, 1 + (uint32_t)spans[dice(w, 4)]) * ASUP_NS_PER_MS;
    p->react_ns = (uint64_t)dice(w, (uint32_t)spans[dice(w, 4)]) * ASUP_NS_PER_MS + 1;
    p->end = (struct process_exit){.exit_code = dice(w, 3) == 0 ? (int32_t)dice(w, 256) : 0};
    p->speaks = p->speaks || dice(w, 4) == 0;
    p->masks = dice(w, 2) == 0;
    if (fault(w, FAULT_PROCESS_CRASH)) {
        p->end.signal = signals[dice(w, 4)];
        p->end.exit_code = -1;
        p->end.core_dumped = dice(w, 2) == 0;
    } else if (fault(w, FAULT_PROCESS_OOM)) {
        p->end = (struct process_exit){.exit_code = -1, .signal = 9, .oom_killed = true};
    }
    if (fault(w, FAULT_PROCESS_HANG))
        p->run_ns = ASUP_NEVER;
    p->deaf = fault(w, FAULT_PROCESS_DEAF);
    p->forks = fault(w, FAULT_PROCESS_FORKS);
    p->child_ns = dice(w, 2) == 0 ? ASUP_NEVER : (uint64_t)dice(w, 5000) * ASUP_NS_PER_MS;
    p->silent = fault(w, FAULT_PROCESS_SILENT);
    p->stuck = fault(w, FAULT_PROCESS_STUCK);
}

static void
process_start(struct world *w, const struct order *o)
{
    struct process *p = process_of(w, o->task);
    uint64_t takes = ASUP_NS_PER_MS / 2 + dice(w, 3000000);

    if (p->row.task != 0)
        return; /* START is idempotent */
    if (p->alive || p->children)
        world_fail(w, "R-TSK-5: t%llu is started while it runs", (unsigned long long)o->task);
    *p = (struct process){.life = p->life + 1,
                          .row.task = o->task,
                          .region = o->region,
                          .uid = o->uid,
                          .speaks = o->notify,
                          .alive = true,
                          .expected = p->expected,
                          .began_at = w->now};
    if (o->task > w->process_last)
        w->process_last = o->task;
    deed(w, DEED_START);
    script_draw(w, p);
    if (fault(w, FAULT_START_SLOW))
        takes = (uint64_t)dice(w, 4000) * ASUP_NS_PER_MS;
    turn_add(w, p, TURN_EXEC, takes);
}

/* ---- Processes
 * ------------------------------------------------------------------------------------ */

/* The main process is gone. */
static void
process_ended(struct world *w, struct process *p, struct process_exit how)
{
    if (!p->alive)
        return;
    p->alive = false;
    p->children = p->forks && !p->was_killed;
    if (fault(w, FAULT_STATUS_LOST))
        how = (struct process_exit){.exit_code = -1, .lost = true};
    how.cancel_delivered = p->signalled;
    how.kill_delivered = p->kill_delivered;
    how.cpu_ns = (w->now - p->began_at) / 3;
    how.memory_peak = 4096;
    p->row.exit = how;
    row_send(w, p, ROW_EXITED);
    if (!p->children)
        turn_add(w, p, TURN_EMPTIES, 1000 + dice(w, 1000000));
    else if (p->child_ns != ASUP_NEVER && !p->deaf)
        turn_add(w, p, TURN_EMPTIES, p->child_ns);
}

static void
process_exec(struct world *w, struct process *p)
{
    static const char *const stages[] = {"fork", "cgroup", "chdir", "exec", "stdio"};

    if (!p->alive || (p->row.facts & ROW_START_FAILED) != 0)
        return;
    if (fault(w, FAULT_START_FAILED)) {
        p->alive = false;
        p->row.stage = stages[dice(w, 5)];
        p->row.error = 1 + (int32_t)dice(w, 30);
        row_send(w, p, ROW_START_FAILED | ROW_EMPTY);
        return;
    }
    row_send(w, p, ROW_STARTED);
    if (p->run_ns != ASUP_NEVER)
        turn_add(w, p, TURN_ENDS, p->run_ns);
    if (p->speaks)
        turn_add(w, p, TURN_SPEAKS, (uint64_t)dice(w, 200) * ASUP_NS_PER_MS);
}

static void
process_signal(struct world *w, const struct order *o)
{
    struct process *p = process_of(w, o->task);

    if (p->row.task == 0 || (p->row.facts & (ROW_SIGNALLED | ROW_SIGNAL_LATE)) != 0)
        return;
    deed(w, DEED_SIGNAL);
    if (!p->alive) {
        row_send(w, p, ROW_SIGNAL_LATE);
        if (p->children && !p->deaf)
            turn_add(w, p, TURN_EMPTIES, p->react_ns);
        return;
    }
    p->signalled = true;
    p->signal = o->signal;
    row_send(w, p, ROW_SIGNALLED);
    if (!p->deaf)
        turn_add(w, p, TURN_GIVES_UP, p->react_ns);
}

static void
process_kill(struct world *w, const struct order *o)
{
    struct process *p = process_of(w, o->task);
    uint64_t takes = 1000 + dice(w, 500000);

    if (p->row.task == 0 || p->was_killed)
        return;
    deed(w, DEED_KILL);
    p->was_killed = true;
    p->kill_delivered = p->alive;
    if (p->stuck && !w->calm)
        takes = (uint64_t)dice(w, 20000) * ASUP_NS_PER_MS;
    turn_add(w, p, TURN_DIES, takes);
}

/* READY, WATCHDOG, checkpoints and the like. */
static void
process_speaks(struct world *w, struct process *p)
{
    struct input in = {.task = p->row.task};
    struct request *q;
    struct task_view t;

    if (!p->alive || !w->up || p->silent || !kernel_task(w->kernel, p->row.task, &t))
        return;
    switch (dice(w, 6)) {
    case 0:
        in.kind = IN_TASK_READY;
        break;
    case 1:
        in.kind = IN_TASK_WATCHDOG;
        break;
    case 2:
        if (t.reason == 0)
            break;
        in.kind = dice(w, 2) == 0 ? IN_TASK_STOPPING : IN_TASK_EXTEND;
        in.u.extend.extend_ns =
            in.kind == IN_TASK_EXTEND ? (uint64_t)dice(w, 3000) * ASUP_NS_PER_MS : 0;
        break;
    case 3: /* it holds something from now on, and perhaps until its end */
        q = request_new(w);
        q->in.kind = dice(w, 2) == 0 ? IN_OBLIGATION_RESERVE : IN_LEASE_ACQUIRE;
        q->in.region = t.region;
        q->in.caller.task = p->row.task;
        q->in.caller.uid = t.uid;
        if (q->in.kind == IN_LEASE_ACQUIRE) {
            q->in.u.acquire.lease = (struct lease_params){
                .name = {"db", 2}, .ttl_ns = (1 + (uint64_t)dice(w, 5000)) * ASUP_NS_PER_MS};
            q->in.u.acquire.timeout_ns = (uint64_t)dice(w, 2000) * ASUP_NS_PER_MS;
        } else {
            q->in.u.io.timeout_ns = ASUP_NEVER;
        }
        request_send(w, q, 0, false);
        request_drop(q);
        p->silent = p->silent || dice(w, 4) == 0;
        break;
    default: /* through its own capability, as any client */
        q = request_new(w);
        q->in.kind = dice(w, 2) == 0 ? IN_TASK_CHECKPOINT : IN_TASK_PROGRESS;
        q->in.task = p->row.task;
        q->in.caller.task = p->row.task;
        q->in.caller.uid = t.uid;
        if (q->in.kind == IN_TASK_CHECKPOINT) {
            q->in.u.checkpoint.masked = p->masks && dice(w, 2) == 0;
        } else {
            q->in.u.progress.cost = dice(w, 10);
            q->in.u.progress.masked = p->masks && dice(w, 2) == 0;
        }
        request_send(w, q, 0, false);
        request_drop(q);
        break;
    }
    if (in.kind != IN_TICK && (t.notify || dice(w, 4) == 0))
        fact(w, in);
    turn_add(w, p, TURN_SPEAKS, (1 + (uint64_t)dice(w, 900)) * ASUP_NS_PER_MS);
}

void
process_turn(struct world *w, const struct agenda_item *item)
{
    struct process *p = process_of(w, item->number);
    struct process_exit how = p->end;

    if (p->life != item->life || p->row.task != item->number)
        return;
    switch ((enum process_turn)item->what) {
    case TURN_EXEC:
        process_exec(w, p);
        break;
    case TURN_ENDS:
        process_ended(w, p, how);
        break;
    case TURN_GIVES_UP:
        if (!p->alive)
            break;
        deed(w, DEED_GAVE_UP);
        how = (struct process_exit){.exit_code = 0};
        if (p->signalled && dice(w, 2) == 0)
            how = (struct process_exit){.exit_code = -1, .signal = p->signal};
        else if (dice(w, 3) == 0)
            how.exit_code = 143;
        process_ended(w, p, how);
        break;
    case TURN_DIES:
        process_ended(w, p, (struct process_exit){.exit_code = -1, .signal = 9});
        if (p->children)
            turn_add(w, p, TURN_EMPTIES, 1000);
        break;
    case TURN_EMPTIES:
        if (p->alive || (p->row.facts & ROW_EMPTY) != 0)
            break;
        p->children = false;
        row_send(w, p, ROW_EMPTY);
        break;
    case TURN_SPEAKS:
        process_speaks(w, p);
        break;
    }
}

void
processes_calm(struct world *w)
{
    for (uint64_t id = 1; id <= w->process_last; id++) {
        struct process *p = process_of(w, id);

        if (p->was_killed && (p->alive || p->children))
            turn_add(w, p, TURN_DIES, ASUP_NS_PER_MS);
    }
}

/* It was told to stop by an answer. */
void
process_told(struct world *w, uint64_t task)
{
    struct process *p = process_of(w, task);

    if (p->row.task == task && p->alive && !p->deaf && !p->gives_up) {
        p->gives_up = true;
        turn_add(w, p, TURN_GIVES_UP, p->react_ns);
    }
}

/* ---- Orders
 * -------------------------------------------------------------------------------------------- */

void
keeper_order(struct world *w, const struct effect *fx)
{
    static const enum order_kind kinds[] = {
        [FX_START] = ORDER_START,   [FX_SIGNAL] = ORDER_SIGNAL, [FX_KILL] = ORDER_KILL,
        [FX_SAMPLE] = ORDER_SAMPLE, [FX_FORGET] = ORDER_FORGET, [FX_SWEEP] = ORDER_SWEEP};
    struct process *p = process_of(w, fx->task);
    struct order *o;
    struct task_view t;

    if (fx->kind == FX_QUIESCENT) {
        w->quiescent = true;
        return;
    }
    if (fx->kind == FX_START)
        p->expected = true;
    if (fx->kind == FX_FORGET)
        p->expected = false;
    o = malloc(sizeof *o);
    if (o == NULL)
        abort();
    *o = (struct order){.kind = kinds[fx->kind],
                        .task = fx->task,
                        .region = fx->region,
                        .uid = fx->uid,
                        .signal = fx->signal,
                        .notify = fx->kind == FX_START && kernel_task(w->kernel, fx->task, &t) &&
                                  (t.notify || t.mask_depth > 0)};
    w->order_last += 1;
    if (w->now + 1000 > w->order_last)
        w->order_last = w->now + 1000 + dice(w, 500000);
    agenda_add(w,
               (struct agenda_item){
                   .at = w->order_last, .kind = AGENDA_ORDER, .life = w->keeper_run, .owned = o});
}

static bool
below(struct world *w, uint64_t region, uint64_t top)
{
    while (region != top && region != 0 && region != ASUP_ROOT_ID)
        region = w->parent[region % IDS_MAX];
    return region == top;
}

/* A cgroup that is not empty cannot be removed: what is in it is killed first. */
static void
region_sweep(struct world *w, uint64_t region)
{
    struct input *in = malloc(sizeof *in);
    bool left = false;

    if (in == NULL)
        abort();
    deed(w, DEED_SWEEP);
    for (uint64_t id = 1; id <= w->process_last; id++) {
        struct process *p = process_of(w, id);

        if ((!p->alive && !p->children) || !below(w, p->region, region))
            continue;
        left = true;
        process_kill(w, &(struct order){.kind = ORDER_KILL, .task = id});
    }
    *in = (struct input){.kind = IN_REGION_SWEPT, .region = region};
    if (left || fault(w, FAULT_SWEEP_FAILED))
        in->u.swept.error = 16;
    agenda_add(w, (struct agenda_item){.at = w->now + 1000 + dice(w, 2000000),
                                       .kind = AGENDA_FACT,
                                       .life = w->engine_run,
                                       .owned = in});
}

void
keeper_take(struct world *w, const struct order *o)
{
    struct process *p = process_of(w, o->task);
    struct input *in;

    switch (o->kind) {
    case ORDER_START:
        process_start(w, o);
        break;
    case ORDER_SIGNAL:
        process_signal(w, o);
        break;
    case ORDER_KILL:
        process_kill(w, o);
        break;
    case ORDER_SAMPLE:
        in = malloc(sizeof *in);
        if (in == NULL)
            abort();
        *in = (struct input){.kind = IN_TASK_SAMPLED,
                             .task = o->task,
                             .u.sampled.cpu_ns = p->alive ? (w->now - p->began_at) / 3 : 0};
        agenda_add(
            w, (struct agenda_item){
                   .at = w->now + 1000, .kind = AGENDA_FACT, .life = w->engine_run, .owned = in});
        break;
    case ORDER_FORGET:
        if (p->row.task == 0)
            break;
        if (p->alive || p->children)
            world_fail(w, "R-TSK-2: t%llu is forgotten, and lives", (unsigned long long)o->task);
        deed(w, DEED_FORGET);
        p->row = (struct row){.task = 0};
        break;
    case ORDER_SWEEP:
        region_sweep(w, o->region);
        break;
    }
}

void
keeper_die(struct world *w)
{
    w->keeper_run++;
    for (uint64_t id = 1; id <= w->process_last; id++) {
        struct process *p = process_of(w, id);

        *p = (struct process){.life = p->life + 1};
    }
}

/* ---- The truth (R-TSK-2, R-TSK-4)
 * --------------------------------------------------------------------------- */

static const char *
untrue(const struct process *p, const struct kernel_outcome *o)
{
    const struct process_exit *x = &p->row.exit;

    if ((p->row.facts & ROW_START_FAILED) != 0)
        return o->key.severity == ASUP_OK ? "Ok, and never started" : NULL;
    if ((p->row.facts & ROW_EXITED) == 0)
        return o->lost || o->key.severity > ASUP_ERR ? NULL : "has an outcome, and no status";
    if (o->lost != x->lost && o->lost)
        return "lost, and its status is known";
    if (x->lost)
        return o->exit_code == -1 ? NULL : "a status was guessed";
    if (o->exit_code != x->exit_code || o->signal != x->signal)
        return "the status is not what the process said";
    if (o->key.severity == ASUP_OK && x->exit_code != 0)
        return "Ok, and did not exit 0";
    if (o->key.severity == ASUP_ERR && x->exit_code <= 0)
        return "Err, and did not exit with a code";
    if (o->forced && !x->kill_delivered)
        return "forced, and not killed";
    return NULL;
}

void
processes_check(struct world *w, const struct event *ev)
{
    struct process *p = process_of(w, ev->task);
    const char *wrong;

    if (ev->kind == EV_REGION_OPENED)
        w->parent[ev->region % IDS_MAX] = ev->value;
    if (ev->kind != EV_TASK_COMPLETED || ev->call || p->row.task != ev->task || w->recovering)
        return;
    if (p->alive || p->children)
        world_fail(w, "R-TSK-2: t%llu is completed, and lives", (unsigned long long)ev->task);
    wrong = untrue(p, ev->outcome);
    if (wrong != NULL)
        world_fail(w, "R-TSK-4: t%llu: %s", (unsigned long long)ev->task, wrong);
}
