/* SPDX-License-Identifier: MIT */
/*
 * Any sequence of requests and facts against the real engine, in one process
 * (engine/world.h): whatever clients, processes, the disk, the keeper and the
 * machine do, and in whatever order, after every step the invariants hold and no
 * request is without an answer or a reason to wait; what was acknowledged
 * outlives every crash; and in the end "/" closes, with nothing left.
 *
 * FUZZ_REPORT=1 in the environment prints what is done, for a script that fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/keeper_link.h"
#include "engine/world.h"
#include "proto/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed);

/* ---- Steps ----------------------------------------------------------------------- */

static void
time_passes(uint8_t how)
{
    static const uint64_t some[] = {ASUP_NS_PER_MS,     100 * ASUP_NS_PER_MS, ASUP_NS_PER_S,
                                    5 * ASUP_NS_PER_S,  31 * ASUP_NS_PER_S,   0,
                                    600 * ASUP_NS_PER_S};
    asup_time due = kernel_next_deadline(engine->kernel);
    asup_time now = engine_now(engine);

    if (how % 8 < 7)
        machine_now += some[how % 8];
    else if (due != ASUP_NEVER && due > now)
        machine_now += due - now;
    engine_feed(engine, &(struct input){.kind = IN_TICK});
    engine_settle(engine);
}

/* What a task says by itself. */
static void
fact(uint8_t which)
{
    struct input in = {.task = clients_told(ASUP_SORT_TASK, dice(8))};

    switch (which % 8) {
    case 0:
        (void)keeper_swept(dice(3) == 0);
        return;
    case 1:
        (void)keeper_sampled();
        return;
    case 2:
        in.kind = IN_TASK_READY;
        break;
    case 3:
        in.kind = IN_TASK_STOPPING;
        break;
    case 4:
        in.kind = IN_TASK_EXTEND;
        in.u.extend.extend_ns = dice(20) * ASUP_NS_PER_S;
        break;
    case 5:
        in.kind = IN_TASK_WATCHDOG;
        break;
    case 6:
        in.kind = IN_TASK_LOG_LOST;
        in.u.log_lost.size = dice(1000);
        break;
    default:
        keeper_send_owed(engine);
        return;
    }
    engine_feed(engine, &in);
    engine_settle(engine);
}

static void
configure(void)
{
    struct kernel_config *changed = &engine->config.kernel; /* it may have to wait */

    changed->fairness = 1 + dice(5);
    changed->start_window = 1 + dice(6);
    changed->limits.retained = 4 + dice(30);
    changed->limits.requests_per_session = 1 + dice(12);
    changed->retention_ns = dice(9) * ASUP_NS_PER_S;
    changed->strict = dice(2) == 0;
    engine_feed(engine, &(struct input){.kind = IN_CONFIG, .u.config = changed});
    engine_settle(engine);
}

static void
do_step(const struct script_step *s)
{
    dice_seed(s->seed);
    switch ((enum script_kind)(s->kind % DO_KIND_COUNT)) {
    case DO_REQUEST:
        clients_request(s);
        break;
    case DO_PROCESS:
        (void)keeper_process(s->op, false);
        break;
    case DO_TIME:
        time_passes(s->op);
        break;
    case DO_TURN:
        life_turn();
        if (s->op & 1)
            disk_commit();
        break;
    case DO_FACT:
        fact(s->op);
        break;
    case DO_DISK:
        disk_fail(s->op & 1);
        break;
    case DO_HANG_UP:
        clients_hang_up(s->op);
        break;
    case DO_CRASH:
        life_crash(s->op & 1, s->op & 2);
        break;
    case DO_CONFIG:
        configure();
        break;
    case DO_MEMORY:
    case DO_KIND_COUNT:
        memory_left = s->op % 16;
        return; /* until the next step is done */
    }
    memory_left = -1;
    engine_settle(engine);
    if (s->seed % 4 != 0) { /* a disk is fast, mostly */
        life_turn();
        disk_commit();
    }
    life_check();
}

static bool
script_read(const uint8_t *data, size_t size, size_t n, struct script_step *out)
{
    const uint8_t *p = data + n * SCRIPT_STEP_SIZE;

    if ((n + 1) * SCRIPT_STEP_SIZE > size || n >= SCRIPT_STEPS_MAX)
        return false;
    *out = (struct script_step){.kind = p[0], .op = p[1], .who = p[2], .how = p[3]};
    memcpy(&out->seed, p + 4, sizeof out->seed);
    return true;
}

static void
step_report(size_t n, const struct script_step *s)
{
    static const char *const kinds[] = {"request", "process", "time",  "turn",   "fact",
                                        "disk",    "hang up", "crash", "memory", "config"};
    unsigned kind = s->kind % DO_KIND_COUNT;

    fprintf(stderr, "%zu %s %s op %u who %u how %u seed %u\n", n, kinds[kind],
            kind == DO_REQUEST ? proto_ops[s->op % PROTO_OP_COUNT].name : "", s->op, s->who, s->how,
            s->seed);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool say = getenv("FUZZ_REPORT") != NULL;
    struct script_step s;

    if (!script_read(data, size, 0, &s))
        return 0;
    life_begin(&s);
    for (size_t n = 1; script_read(data, size, n, &s); n++) {
        if (say)
            step_report(n, &s);
        do_step(&s);
    }
    life_end();
    return 0;
}

/* ---- Mutations: of whole steps, mostly ------------------------------------------------ */

static size_t
mutate_steps(uint8_t *data, size_t count, size_t count_max)
{
    uint8_t step[SCRIPT_STEP_SIZE];
    size_t at = 1 + dice((uint32_t)count - 1);
    size_t from = 1 + dice((uint32_t)count - 1);
    uint8_t *place = data + at * SCRIPT_STEP_SIZE;

    memcpy(step, data + from * SCRIPT_STEP_SIZE, sizeof step);
    switch (dice(5)) {
    case 0: /* leave one out */
        if (count < 3)
            return count;
        memmove(place, place + SCRIPT_STEP_SIZE, (count - at - 1) * SCRIPT_STEP_SIZE);
        return count - 1;
    case 1: /* one more, of any kind */
        for (size_t i = 0; i < sizeof step; i++)
            step[i] = (uint8_t)dice(256);
        if (dice(2) == 0)
            step[0] = DO_REQUEST;
        /* fall through */
    case 2: /* one that is there once more, with another seed */
        step[4] = (uint8_t)dice(256);
        if (count == count_max)
            return count;
        memmove(place + SCRIPT_STEP_SIZE, place, (count - at) * SCRIPT_STEP_SIZE);
        memcpy(place, step, sizeof step);
        return count + 1;
    case 3: /* two change places */
        memcpy(data + from * SCRIPT_STEP_SIZE, place, sizeof step);
        memcpy(place, step, sizeof step);
        return count;
    default: /* one byte */
        place[dice(SCRIPT_STEP_SIZE)] = (uint8_t)dice(256);
        return count;
    }
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    size_t count = size / SCRIPT_STEP_SIZE;
    size_t count_max = size_max / SCRIPT_STEP_SIZE;

    dice_seed(seed);
    if (count < 2 || dice(16) == 15)
        return LLVMFuzzerMutate(data, size, size_max);
    for (uint32_t n = 1 + dice(4); n > 0 && count > 1; n--)
        count = mutate_steps(data, count, count_max);
    return count * SCRIPT_STEP_SIZE;
}
