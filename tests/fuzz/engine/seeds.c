/* SPDX-License-Identifier: MIT */
/* Seeds for fuzz_engine: short lives, one for every operation of the schema,
 * which is asked for in several ways after there is something of everything, and
 * some in which the operations of one family meet.
 *
 *     engine_seeds DIRECTORY
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "proto/schema.h"
#include "script.h"

static FILE *file;

static void
step(uint8_t kind, uint8_t op, uint8_t who, uint8_t how, uint32_t seed)
{
    uint8_t bytes[SCRIPT_STEP_SIZE] = {kind, op, who, how};

    memcpy(bytes + 4, &seed, sizeof seed);
    (void)fwrite(bytes, 1, sizeof bytes, file);
}

/* A session of connection 1, and by it one of everything. */
static void
prelude(uint32_t seed)
{
    static const uint8_t ops[] = {
        PROTO_REGION_OPEN,  PROTO_REGION_OPEN,        PROTO_TASK_SUBMIT,   PROTO_FINALIZER_DEFER,
        PROTO_CHANNEL_OPEN, PROTO_OBLIGATION_RESERVE, PROTO_LEASE_ACQUIRE, PROTO_SAGA_BEGIN,
        PROTO_SAGA_STEP,    PROTO_WORKER_OFFER,       PROTO_CHANNEL_SEND,  PROTO_TASK_SUBMIT,
    };
    const uint8_t with_session = 1 | 1 << 3;

    step(DO_REQUEST, PROTO_SESSION_HELLO, 1, 0, seed);
    for (unsigned i = 0; i < sizeof ops; i++)
        step(DO_REQUEST, ops[i], with_session, (uint8_t)(seed % 64), seed + i);
    step(DO_TURN, 1, 0, 0, 0);
    for (uint8_t i = 0; i < 3; i++)
        step(DO_PROCESS, i, 0, 0, seed + i);
}

static void
life(const struct proto_op *op, uint32_t seed)
{
    static const uint8_t who[] = {1 | 1 << 3, 0, 1 | 1 << 3 | 2 << 5, 3, 2 | 3 << 3};

    step(0, 0, 0, 0, seed);
    prelude(seed);
    for (uint8_t i = 0; i < 10; i++) {
        step(DO_REQUEST, (uint8_t)op->id, who[i % sizeof who], (uint8_t)(i * 20), seed + i);
        step(i % 2 == 0 ? DO_TIME : DO_PROCESS, i, 0, 0, seed + i);
    }
    step(DO_TURN, 1, 0, 0, 0);
    step(DO_CRASH, (uint8_t)(seed % 4), 0, 0, seed);
    step(DO_REQUEST, (uint8_t)op->id, who[0] | WHO_AGAIN, 0, seed);
    step(DO_HANG_UP, 1, 0, 0, 0);
    for (uint8_t i = 0; i < 4; i++)
        step(DO_TIME, 4, 0, 0, 0);
}

/* Operations whose names begin alike, among processes and time. */
static void
family(const char *prefix, uint32_t seed)
{
    uint32_t chance = seed * 2654435761u + 1;

    step(0, 0, 0, 0, seed);
    prelude(seed);
    for (unsigned i = 0; i < 60; i++) {
        unsigned op;

        do {
            chance = chance * 1664525u + 1013904223u;
            op = (chance >> 16) % PROTO_OP_COUNT;
        } while (strncmp(proto_ops[op].name, prefix, strlen(prefix)) != 0 &&
                 (chance >> 8) % 128 != 0);
        /* Of the session that the prelude began, mostly. */
        step(DO_REQUEST, (uint8_t)op, chance % 8 == 7 ? (uint8_t)(chance >> 24) : 1 | 1 << 3,
             (uint8_t)(i % 4 * 8), chance);
        if (i % 6 == 5)
            step(DO_TIME, (uint8_t)(chance >> 20), 0, 0, chance);
        if (i % 3 == 2)
            step(DO_PROCESS, (uint8_t)i, 0, 0, chance);
        if (i == 40)
            step(DO_CRASH, (uint8_t)(seed % 4), 0, 0, chance);
    }
}

static bool
seed_open(const char *directory, const char *name, unsigned number)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s/%s-%u", directory, name, number);
    file = fopen(path, "wb");
    return file != NULL;
}

int
main(int argc, char **argv)
{
    static const char *const families[] = {"region",     "task",  "channel", "saga",
                                           "obligation", "lease", "worker",  "cx"};
    bool good = argc == 2;

    for (unsigned i = 0; i < PROTO_OP_COUNT && good; i++) {
        for (uint32_t seed = 0; seed < 4 && good; seed++) {
            good = seed_open(argv[1], proto_ops[i].name, seed);
            if (good) {
                life(&proto_ops[i], 100 * i + seed);
                good = fclose(file) == 0;
            }
        }
    }
    for (unsigned i = 0; i < sizeof families / sizeof families[0] && good; i++) {
        for (uint32_t seed = 0; seed < 12 && good; seed++) {
            good = seed_open(argv[1], families[i], seed);
            if (good) {
                family(families[i], 1000 * i + seed);
                good = fclose(file) == 0;
            }
        }
    }
    return !good;
}
