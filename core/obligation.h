/* SPDX-License-Identifier: MIT */
/*
 * What the families that make obligations (channels, leases, I/O operations)
 * use of them. Private to core/.
 *
 * A family checks with obligation_reserve_check(), reserves memory (for one
 * more with obligation_memory(), and in need.obligations for the events of what
 * may end or be granted), makes with obligation_make() and ends with
 * obligation_finish(). It says what its kind adds to the state
 * in the table of apply_obligation.c, and what it does after an end, whoever
 * brought it about, in recover() of obligation.c.
 */
#ifndef ASUPERSYNC_CORE_OBLIGATION_H
#define ASUPERSYNC_CORE_OBLIGATION_H

#include "core/decide.h"

struct obligation *obligation_at(const struct kernel *k, uint32_t i);
struct holder *holder_at(const struct kernel *k, uint32_t i);
struct lease *lease_at(const struct kernel *k, uint32_t i);
/* NIL: there is none that is Reserved. */
uint32_t obligation_of_id(const struct kernel *k, uint64_t id);
/* How it ended; NULL: it did not, or that is no longer remembered. */
const struct ended *obligation_ended(const struct kernel *k, uint64_t id);
struct asup_ref obligation_ref(const struct kernel *k, uint32_t i);

/* ---- Making: check, memory, do ---------------------------------------------------- */

/* Whether the caller may hold a new one in the region: its right, its life, the
 * state of the region (R-REG-2), limits. `bytes`: text kept with it. 0 or a code. */
int obligation_reserve_check(const struct kernel *k, const struct caller *c, uint32_t region,
                             uint8_t kind, size_t bytes, struct refusal *why);
/* Only the state of region and holder: again, when a parked request's turn comes. */
int obligation_admits(const struct kernel *k, uint32_t region, uint8_t kind, struct asup_ref holder,
                      struct refusal *why);
bool holder_lives(const struct kernel *k, struct asup_ref holder);

struct obligation_new {
    struct asup_ref holder;
    uint64_t span_ns; /* Aborted after that; ASUP_NEVER: never */
    uint64_t number;  /* see struct obligation */
    uint64_t channel; /* permits and acks: its id */
    struct bytes name;
    uint32_t region;
    uint8_t kind;
};
uint32_t obligation_make(struct kernel *k, const struct obligation_new *n);

/* ---- Ending ---------------------------------------------------------------------------- */

/* The one the request is about, if its caller holds it; else NIL and why (R-OBL-1, R-OBL-2). */
uint32_t obligation_held(const struct kernel *k, const struct input *in, struct refusal *why);
void obligation_finish(struct kernel *k, uint32_t i, enum obligation_end end,
                       enum obligation_why why, struct bytes text);

/* What is known of one that ended, for its kind to recover. */
struct obligation_gone {
    uint64_t id;
    uint64_t number;
    struct asup_ref holder;
    uint32_t region;
    uint32_t thing;
    uint8_t kind;
    enum obligation_end end;
    enum obligation_why why;
    struct bytes text; /* what a nack said; borrowed for the call */
};

/* ---- Channels ---------------------------------------------------------------------------- */

void permit_gone(struct kernel *k, const struct obligation_gone *g);
void ack_gone(struct kernel *k, const struct obligation_gone *g);

/* ---- Leases ------------------------------------------------------------------------------ */

void lease_gone(struct kernel *k, const struct obligation_gone *g);
/* Nothing of that task is left: names that cooled for it are granted again. */
void leases_cooled(struct kernel *k, struct asup_ref holder);

#endif
