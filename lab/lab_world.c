/* SPDX-License-Identifier: MIT */
/* The lab's world: time, choices, injected cancels and faults. */
#include "lab/lab_internal.h"

#include <string.h>

__thread struct asup_lab *lab_here;

static const uint64_t jump_unit_ns = 1000;

/* ---- Ending ---------------------------------------------------------------------- */

/* Faults are over; everything ends now, within its bounds (liveness). */
static void
stop(struct asup_lab *lab)
{
    if (lab->stopped)
        return;
    lab->stopped = true;
    lab->faulty = false;
    shell_shutdown(lab->shell, ASUP_NEVER);
}

/* ---- Time ------------------------------------------------------------------------- */

static asup_time
world_now(void *ctx)
{
    struct asup_lab *lab = ctx;

    return lab->now;
}

/* What a task waits for, of sort NONE: nothing that the kernel knows of. */
static struct asup_ref
wanted_by(const struct kernel *k, uint64_t task)
{
    struct asup_ref wanted = {0};

    (void)kernel_waits_for(k, (struct asup_ref){.id = task, .sort = ASUP_SORT_TASK}, &wanted);
    return wanted;
}

/* Who can never run again: one that holds something, else one that waits for something other
 * than the end of others, else any. */
static void
stalled(struct asup_lab *lab)
{
    const struct kernel *k = shell_kernel(lab->shell);
    uint64_t waiting = 0, holding = 0, held = 0;
    struct asup_ref for_what;
    bool for_others = true;
    char who[160];
    char what[ASUP_REF_TEXT_SIZE] = "something";

    for (uint64_t id = ASUP_ROOT_ID + 1; id <= kernel_id_last(k) && holding == 0; id++) {
        struct task_view t;

        if (!kernel_task(k, id, &t) || t.state == ASUP_TASK_COMPLETED || !t.started)
            continue;
        for_what = wanted_by(k, id);
        if (waiting == 0 ||
            (for_others && for_what.sort != ASUP_SORT_REGION && for_what.sort != ASUP_SORT_TASK)) {
            waiting = id;
            for_others = for_what.sort == ASUP_SORT_REGION || for_what.sort == ASUP_SORT_TASK;
        }
        held = kernel_held_next(k, (struct asup_ref){.id = id, .sort = ASUP_SORT_TASK}, 0);
        if (held != 0)
            holding = id;
    }
    if (waiting == 0) {
        lab_fail(lab, "nothing can ever happen any more, and no task is to blame");
        return;
    }
    waiting = holding != 0 ? holding : waiting;
    for_what = wanted_by(k, waiting);
    if (for_what.id != 0)
        (void)asup_ref_format(for_what, what, sizeof what);
    (void)lab_task_text(lab, waiting, who, sizeof who);
    if (holding != 0) {
        oracles_complain(lab->oracles, ASUP_ORACLE_FUTURELOCK,
                         "%s holds o%llu and waits for %s, which can never come (R-OBL-6)", who,
                         (unsigned long long)held, what);
        if (!lab->effective.panic_on_futurelock)
            return;
    }
    lab_fail(lab, "deadlock: nothing can run, and no timer is set; %s waits for %s for ever", who,
             what);
}

static bool
world_idle(void *ctx, asup_time until)
{
    struct asup_lab *lab = ctx;
    struct trace_choice jump;

    if (until == ASUP_NEVER || !lab->effective.auto_advance) {
        if (until != ASUP_NEVER)
            lab_fail(lab, "a task waits for time, which does not advance (auto_advance)");
        else if (!lab->stopped)
            stalled(lab);
        if (lab->stopped)
            return false;
        stop(lab);
        return true;
    }
    if (lab->now < until)
        lab->now = until;
    lab->idles++;
    if (lab->replaying) {
        if (replay_peek(lab, CHOICE_JUMP, &jump) && jump.among == (uint32_t)lab->idles &&
            replay_choice(lab, CHOICE_JUMP, &jump))
            lab->now += jump.taken * jump_unit_ns;
    } else if (lab->faulty && prng_chance(&lab->choices, lab->effective.faults.clock_jump)) {
        uint64_t most = lab->effective.faults.clock_jump_ns / jump_unit_ns;
        uint32_t leap =
            (uint32_t)prng_below(&lab->choices, (most < UINT32_MAX ? most : UINT32_MAX - 1) + 1);

        lab->now += leap * jump_unit_ns;
        lab->report.faults++;
        record_choice(lab, CHOICE_JUMP, leap, (uint32_t)lab->idles);
    }
    return true;
}

static uint64_t
world_random(void *ctx)
{
    struct asup_lab *lab = ctx;

    return prng_next(&lab->entropy);
}

/* ---- Who goes on --------------------------------------------------------------------- */

static size_t
index_of(const uint64_t *tasks, size_t count, uint64_t task)
{
    size_t i = 0;

    while (i < count && tasks[i] != task)
        i++;
    return i;
}

static size_t
world_choose(void *ctx, const uint64_t *tasks, size_t count)
{
    struct asup_lab *lab = ctx;
    struct trace_choice said;
    size_t at;

    if (lab->replaying) {
        if (!replay_choice(lab, CHOICE_NEXT, &said) || said.among != count)
            return 0; /* it goes another way: the events will say so */
        return said.taken;
    }
    at = (size_t)prng_below(&lab->choices, count);
    if (lab->faulty && lab->slow_task == 0 &&
        prng_chance(&lab->choices, lab->effective.faults.slow)) {
        lab->slow_task = tasks[at];
        lab->slow_until = lab->report.steps + 1 + prng_below(&lab->choices, 256);
        lab->report.faults++;
    }
    if (lab->slow_task != 0 && lab->report.steps >= lab->slow_until)
        lab->slow_task = 0;
    if (lab->slow_task != 0 && tasks[at] == lab->slow_task &&
        index_of(tasks, count, lab->slow_task) < count)
        at = (at + 1) % count;
    record_choice(lab, CHOICE_NEXT, (uint32_t)at, (uint32_t)count);
    return at;
}

/* ---- Interventions ----------------------------------------------------------------------- */

static bool
injects(struct asup_lab *lab, uint64_t checkpoint)
{
    uint32_t n = lab->effective.inject_n;

    switch (lab->effective.inject) {
    case ASUP_INJECT_NEVER:
        return false;
    case ASUP_INJECT_EVERY: /* without asup_lab_explore(): each task at its first */
        return true;
    case ASUP_INJECT_RANDOM:
        return prng_below(&lab->choices, n) == 0;
    case ASUP_INJECT_FIRST:
        return checkpoint <= n;
    case ASUP_INJECT_LAST:
        return checkpoint >= lab->inject_from;
    case ASUP_INJECT_NTH:
        return checkpoint % n == 0;
    case ASUP_INJECT_AT:
        return checkpoint == n;
    }
    return false;
}

static bool
draws(struct asup_lab *lab, enum world_point point)
{
    switch (point) {
    case POINT_CHECKPOINT:
        return injects(lab, lab->report.checkpoints);
    case POINT_ALLOCATE:
        return prng_chance(&lab->choices, lab->effective.faults.no_memory);
    case POINT_ADMIT:
        return prng_chance(&lab->choices, lab->effective.faults.busy);
    }
    return false;
}

/* Points are counted in the phase of safety only, so that a replay meets the same. */
static bool
world_intervenes(void *ctx, enum world_point point, uint64_t task)
{
    struct asup_lab *lab = ctx;
    struct trace_choice said;
    bool yes;

    (void)task;
    if (!lab->faulty)
        return false;
    lab->points++;
    if (point == POINT_CHECKPOINT)
        lab->report.checkpoints++;
    if (lab->replaying) {
        yes = replay_peek(lab, CHOICE_POINT, &said) && said.taken == (uint32_t)lab->points;
        if (yes)
            (void)replay_choice(lab, CHOICE_POINT, &said);
    } else {
        yes = draws(lab, point);
        if (yes)
            record_choice(lab, CHOICE_POINT, (uint32_t)lab->points, (uint32_t)point);
    }
    if (yes && point == POINT_CHECKPOINT)
        lab->report.injected++;
    else if (yes)
        lab->report.faults++;
    return yes;
}

/* ---- Looking on ----------------------------------------------------------------------------- */

static void
world_stepped(void *ctx, const struct kernel *k, const struct input *in, const struct step *out)
{
    struct asup_lab *lab = ctx;

    lab->report.events += out->event_count;
    for (size_t i = 0; i < out->event_count; i++) {
        const struct event *ev = &out->events[i];

        record_event(lab, ev);
        if (ev->kind == EV_REGION_SEALED && ev->region == ASUP_ROOT_ID)
            lab->faulty = false; /* the body has ended: what is left must end in time */
        if (ev->kind == EV_TASK_MAIN_ENDED && idmap_find(&lab->ran, ev->task) != NULL)
            idmap_drop(&lab->ran, ev->task);
    }
    if (out->event_count > 0)
        record_step(lab);
    oracles_step(lab->oracles, k, in, out);
}

static void
world_traced(void *ctx, uint64_t task, const char *text)
{
    record_text(ctx, task, text);
}

/* One that waits is given up, as at the end of a drain. */
static void
give_up_perhaps(struct asup_lab *lab, const uint64_t *tasks, size_t count)
{
    struct trace_choice said;
    uint64_t task = 0;

    if (!lab->faulty)
        return;
    if (lab->replaying) {
        if (replay_peek(lab, CHOICE_GIVE_UP, &said) && said.among == (uint32_t)lab->turns &&
            replay_choice(lab, CHOICE_GIVE_UP, &said))
            task = said.taken;
    } else if (prng_chance(&lab->choices, lab->effective.faults.kill)) {
        task = tasks[prng_below(&lab->choices, count)];
        record_choice(lab, CHOICE_GIVE_UP, (uint32_t)task, (uint32_t)lab->turns);
    }
    if (task != 0) {
        struct input in = {.kind = IN_TASK_CANCEL, .task = task};

        in.u.cancel.message = (struct bytes){.data = "given up by the lab", .size = 19};
        (void)shell_input(lab->shell, &in);
        lab->kills++;
        lab->report.faults++;
    }
}

/* The tasks that have begun and not ended, at most `most`. */
static size_t
some_tasks(struct asup_lab *lab, uint64_t *out, size_t most)
{
    const struct task_ran *t;
    size_t cursor = 0;
    size_t count = 0;

    while (count < most && (t = idmap_next(&lab->ran, &cursor)) != NULL)
        out[count++] = t->id;
    return count;
}

/* A holder that waits for others, and they go on without it (R-OBL-6). */
static void
look_for_futurelocks(struct asup_lab *lab)
{
    const struct kernel *k = shell_kernel(lab->shell);
    const struct task_ran *t;
    size_t cursor = 0;

    while ((t = idmap_next(&lab->ran, &cursor)) != NULL) {
        struct asup_ref me = {.id = t->id, .sort = ASUP_SORT_TASK};
        uint64_t idle = lab->report.steps - t->step;
        uint64_t held = kernel_held_next(k, me, 0);
        struct asup_ref wanted = wanted_by(k, t->id);
        char who[160], what[ASUP_REF_TEXT_SIZE] = "";

        if (idle < lab->effective.futurelock_max_idle_steps || held == 0 || wanted.id == 0)
            continue;
        (void)asup_ref_format(wanted, what, sizeof what);
        oracles_complain(lab->oracles, ASUP_ORACLE_FUTURELOCK,
                         "%s holds o%llu and waits for %s while others took %llu steps (R-OBL-6)",
                         lab_task_text(lab, t->id, who, sizeof who), (unsigned long long)held, what,
                         (unsigned long long)idle);
        if (lab->effective.panic_on_futurelock)
            lab_fail(lab, "futurelock: %s",
                     oracles_complaint(lab->oracles, ASUP_ORACLE_FUTURELOCK));
    }
}

/* When a task ran last: since it began, until its function is over. */
static void
ran(struct asup_lab *lab, uint64_t task)
{
    struct task_ran *t = idmap_find(&lab->ran, task);

    if (t == NULL)
        t = idmap_add(&lab->ran, task);
    t->step = lab->report.steps;
}

static void
world_switched(void *ctx, uint64_t task)
{
    struct asup_lab *lab = ctx;
    char who[160];

    lab->running = task;
    lab_here = task != 0 ? lab : NULL;
    if (task == 0)
        return;
    lab->report.steps++;
    ran(lab, task);
    if (lab->report.steps > lab->effective.max_steps && !lab->stopped) {
        lab_fail(lab, "no end within %llu steps: %s still runs",
                 (unsigned long long)lab->effective.max_steps,
                 lab_task_text(lab, task, who, sizeof who));
    }
}

/* Before somebody is chosen: the place where the world may act by itself. */
static void
world_between(void *ctx)
{
    struct asup_lab *lab = ctx;
    uint64_t tasks[64];
    size_t count;

    lab->turns++;
    if (lab->failure[0] != '\0' && !lab->stopped)
        stop(lab);
    if (lab->faulty && lab->effective.faults.kill != 0) {
        count = some_tasks(lab, tasks, sizeof tasks / sizeof tasks[0]);
        if (count > 0)
            give_up_perhaps(lab, tasks, count);
    } else if (lab->replaying) {
        give_up_perhaps(lab, NULL, 0);
    }
    if (lab->report.steps >= lab->idle_looked + lab->effective.futurelock_max_idle_steps) {
        lab->idle_looked = lab->report.steps;
        look_for_futurelocks(lab);
    }
}

struct world
lab_world(struct asup_lab *lab)
{
    return (struct world){
        .ctx = lab,
        .now = world_now,
        .random = world_random,
        .choose = world_choose,
        .idle = world_idle,
        .intervenes = world_intervenes,
        .stepped = world_stepped,
        .traced = world_traced,
        .switched = world_switched,
        .between = world_between,
    };
}

/* ---- Swarm ------------------------------------------------------------------------------------
 */

static uint32_t
intensity(struct prng *p)
{
    return prng_below(p, 2) == 0 ? 0 : (uint32_t)1 << (6 + prng_below(p, 8));
}

/* A random part of what can go wrong, each as often as the seed says. */
void
lab_draw(struct asup_lab *lab)
{
    struct asup_lab_config *c = &lab->effective;
    struct prng p;

    prng_seed(&p, lab->config.seed ^ UINT64_C(0x7377617266756c6c));
    switch (prng_below(&p, 5)) {
    case 0:
        c->inject = ASUP_INJECT_NEVER;
        break;
    case 1:
    case 2:
        c->inject = ASUP_INJECT_RANDOM;
        c->inject_n = (uint32_t)(2 + prng_below(&p, 100));
        break;
    case 3:
        c->inject = ASUP_INJECT_AT;
        c->inject_n = (uint32_t)(1 + prng_below(&p, 64));
        break;
    default:
        c->inject = ASUP_INJECT_NTH;
        c->inject_n = (uint32_t)(2 + prng_below(&p, 30));
        break;
    }
    c->faults.no_memory = intensity(&p) / 16;
    c->faults.busy = intensity(&p) / 16;
    c->faults.slow = intensity(&p);
    c->faults.clock_jump = intensity(&p);
    c->faults.clock_jump_ns = UINT64_C(1) << (20 + prng_below(&p, 22));
    c->faults.kill = intensity(&p) / 32;
}
