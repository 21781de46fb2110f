/* SPDX-License-Identifier: MIT */
/* The world of the random walk: the keeper's rows, what processes do by
 * themselves, and the configuration of a seed. */
#include "walk.h"

#include <string.h>

struct process processes[TASKS_MAX];
bool sweeping[TASKS_MAX];

void
walk_config(struct kernel_config *config)
{
    kernel_config_init(config);
    config->start_window = 1 + dice(8);
    config->start_patience_ns = 1 + dice(4) * ASUP_NS_PER_S;
    config->fairness = 1 + dice(5);
    config->picks_per_step = 1 + dice(9);
    config->limits.retained = 10 + dice(50);
    config->limits.requests_per_session = 1 + dice(20);
    config->limits.tasks_per_user = 5 + dice(60);
    config->limits.regions_per_user = 3 + dice(20);
    config->limits.waits_per_user = dice(10);
    config->limits.bytes_per_user = 20000;
    config->limits.dead_letters_per_user = dice(20);
    config->limits.channels_per_user = 1 + dice(10);
    config->limits.depth = 1 + dice(6);
    config->retention_ns = dice(60) * ASUP_NS_PER_S;
    config->futurelock_ns = dice(4) == 0 ? ASUP_NEVER : 1 + dice(5) * ASUP_NS_PER_S;
    config->limits.obligations_per_user = 2 + dice(40);
    config->limits.leases_per_user = 1 + dice(8);
    for (unsigned tier = 0; tier < 6; tier++)
        config->allowance[tier].polls = 1 + dice(6);
}

void
effect_take(const struct effect *fx)
{
    struct process *p = &processes[fx->task % TASKS_MAX];

    switch (fx->kind) {
    case FX_START:
        if (p->ordered)
            walk_fail("R-TSK-5:", "a task is started twice");
        p->ordered = true;
        break;
    case FX_KILL:
        if (!p->ordered)
            walk_fail("killed", "what was never started");
        p->killed = true;
        break;
    case FX_SIGNAL:
        if (!p->started)
            walk_fail("signalled", "what has not started");
        p->signalled = true;
        break;
    case FX_SAMPLE:
        if (!p->started)
            walk_fail("sampled", "what has not started");
        break;
    case FX_FORGET:
        if (!p->ordered)
            walk_fail("forgotten", "what was never started");
        break;
    case FX_SWEEP:
        sweeping[fx->region % TASKS_MAX] = true;
        break;
    default:
        break;
    }
}

/* ---- Facts -------------------------------------------------------------------------------- */

/* What a process can do next, seen by an honest shell; false: nothing. */
bool
honest_fact(struct input *in, uint64_t id, bool hurry)
{
    struct process *p = &processes[id % TASKS_MAX];

    in->task = id;
    if (!p->ordered || (p->ended && p->emptied))
        return false;
    if (!p->started && !p->ended) {
        in->kind = dice(8) == 0 ? IN_TASK_START_FAILED : IN_TASK_STARTED;
        p->started = in->kind == IN_TASK_STARTED;
        if (p->started)
            in->u.started.pid = (uint32_t)id + 1;
        if (in->kind == IN_TASK_START_FAILED) {
            in->u.start_failed.stage = "exec";
            in->u.start_failed.error = 2;
            p->ended = p->emptied = p->start_failed = true;
        }
        return true;
    }
    if (p->ended || dice(6) == 0) {
        if (p->emptied)
            return false;
        in->kind = IN_TASK_EMPTY;
        p->emptied = p->ended; /* said too early it still counts */
        return p->ended;
    }
    if (id % 3 == 0 && !p->killed)
        return false; /* ignores what it is told, until it is killed */
    if (!hurry && !p->killed && !p->signalled && dice(3) != 0)
        return false;
    in->kind = IN_TASK_EXITED;
    in->u.exited.exit_code = p->killed || p->signalled ? -1 : (int32_t)dice(3) - (dice(9) == 0);
    in->u.exited.signal = p->killed ? 9 : p->signalled ? 15 : 0;
    in->u.exited.kill_delivered = p->killed;
    in->u.exited.cancel_delivered = p->signalled;
    in->u.exited.lost = dice(30) == 0;
    in->u.exited.oom_killed = dice(30) == 0;
    in->u.exited.cpu_ns = dice(500) * ASUP_NS_PER_MS;
    p->exit = in->u.exited;
    p->ended = true;
    return true;
}

bool
any_fact(struct input *in)
{
    static struct kernel_config config;

    memset(in, 0, sizeof *in);
    in->task = walk_id(kernel);
    in->region = walk_id(kernel);
    in->session = walk_session(kernel);
    switch (dice(16)) {
    case 0:
        in->kind = IN_SESSION_LOST;
        return true;
    case 1:
        in->kind = IN_SESSION_ATTACHED;
        return true;
    case 2:
        in->kind = IN_WAIT_DROPPED;
        in->token = 1 + dice((uint32_t)token + 1);
        return true;
    case 3:
        in->kind = IN_TASK_SIGNALLED;
        in->u.signalled.delivered = dice(2) == 0;
        return true;
    case 4:
        in->kind = (enum input_kind)(IN_TASK_READY + dice(2));
        return true;
    case 5:
        in->kind = IN_TASK_EXTEND;
        in->u.extend.extend_ns = walk_duration();
        return true;
    case 6:
        in->kind = IN_TASK_WATCHDOG;
        return true;
    case 7:
        in->kind = IN_TASK_SAMPLED;
        in->u.sampled.cpu_ns = dice(300) * ASUP_NS_PER_MS;
        return true;
    case 8:
        in->kind = IN_TASK_LOG_LOST;
        in->u.log_lost.size = dice(5);
        return true;
    case 9:
        if (dice(10) != 0)
            return false;
        config = *kernel_configuration(kernel);
        config.fairness = dice(5);
        config.start_window = 1 + dice(6);
        config.start_patience_ns = dice(4) * ASUP_NS_PER_S;
        config.limits.retained = dice(30);
        config.limits.requests_per_session = dice(12);
        config.retention_ns = dice(9) * ASUP_NS_PER_S;
        config.futurelock_ns = 1 + dice(9) * ASUP_NS_PER_S;
        in->kind = IN_CONFIG;
        in->u.config = &config;
        return true;
    case 10:
    case 11:
        in->kind = IN_REGION_SWEPT;
        in->u.swept.error = dice(3) == 0 ? 16 : 0;
        return true;
    default:
        return honest_fact(in, in->task, false);
    }
}

/* ---- The end --------------------------------------------------------------------------------- */

/* An operator who settles what needs attention. */
static void
resolve_all(void)
{
    uint64_t id = 0;

    while ((id = kernel_saga_attention_next(kernel, id)) != 0) {
        struct input in = {.kind = IN_SAGA_RESOLVE, .subject = id, .token = ++token};

        in.u.resolve.how = SAGA_RESOLVE;
        (void)take_step(&in);
    }
}

void
walk_settle(int rounds, uint64_t pause_ns)
{
    for (int round = 0; round < rounds; round++) {
        struct input in = {.kind = IN_TICK};
        uint64_t last = kernel_id_last(kernel);

        if (round == 0 || round == rounds / 2) {
            in.kind = IN_SHUTDOWN;
            in.token = ++token;
            in.u.shutdown.within_ns = ASUP_NEVER;
        }
        (void)take_step(&in);
        for (uint64_t id = 1; id <= last; id++) {
            memset(&in, 0, sizeof in);
            if (honest_fact(&in, id, true))
                (void)take_step(&in);
            if (!sweeping[id % TASKS_MAX])
                continue;
            sweeping[id % TASKS_MAX] = false;
            in = (struct input){.kind = IN_REGION_SWEPT, .region = id};
            (void)take_step(&in);
        }
        resolve_all();
        now += pause_ns;
    }
}
