/* SPDX-License-Identifier: MIT */
/*
 * Scripts for the fuzzer of the engine: steps of eight bytes each, the first of
 * which sets limits. Whatever a step leaves open, it decides by its seed, so that
 * a mutation of one step leaves the others what they are.
 */
#ifndef ASUPERSYNC_FUZZ_SCRIPT_H
#define ASUPERSYNC_FUZZ_SCRIPT_H

#include <stdint.h>

enum { SCRIPT_STEP_SIZE = 8, SCRIPT_STEPS_MAX = 512 };

enum script_kind {
    DO_REQUEST, /* op: enum proto_op_id; who: see below */
    DO_PROCESS, /* one of the processes; op: which */
    DO_TIME,    /* op: how much */
    DO_TURN,    /* the loop turns; op & 1: the disk commits */
    DO_FACT,    /* op: which */
    DO_DISK,    /* op & 1: fails, or works again */
    DO_HANG_UP, /* op: which connection */
    DO_CRASH,   /* op & 1: the keeper too; & 2: the machine too */
    DO_MEMORY,  /* the kernel gets no more memory after op allocations, for one step */
    DO_CONFIG,  /* another configuration */
    DO_KIND_COUNT,
};

/* who: the connection, and what it shows. */
#define WHO_CONNECTION(who) ((who)&7)
#define WHO_SESSION(who) ((who) >> 3 & 3) /* 0: none; 1, 2: its own; 3: anybody's */
#define WHO_CX(who) ((who) >> 5 & 3)      /* 2: a task's; 3: a derived one, or none that is */
#define WHO_AGAIN 128                     /* its last request, once more */

struct script_step {
    uint8_t kind, op, who, how; /* how: for requests, how much is wrong or unusual */
    uint32_t seed;
};

#endif
