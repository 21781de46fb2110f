/* SPDX-License-Identifier: MIT */
/*
 * The state of idempotency keys (R-IDM-1). Private to core/.
 *
 *     bound --> in flight --> complete --> forgotten
 *
 * A key is a text in a scope: the user, and the region that the request names,
 * or the channel, saga, obligation, task or capability when it names one of
 * those. It remembers a digest of the request and what was made. While what was
 * made by it lives (a task, a region, a saga) it is in flight; then its
 * retention runs, and for as long the outcome is kept: see the list of what is
 * kept beside the retained in apply.c.
 */
#ifndef ASUPERSYNC_CORE_STATE_KEY_H
#define ASUPERSYNC_CORE_STATE_KEY_H

#include "core/arena.h"

struct key_record {
    uint64_t id;
    uint64_t hash; /* of scope and text */
    uint64_t made; /* hash of what was made; of one that holds nothing, of itself */
    uint64_t digest;
    uint64_t scope_id;
    uint64_t made_id;
    uint64_t retention_ns;
    asup_time forget_at; /* ASUP_NEVER: in flight */
    uint32_t uid;
    uint8_t scope_sort;
    uint8_t made_sort;
    bool holds;   /* what was made keeps its outcome as long as the key */
    bool durable; /* false: of something in a volatile region */
    /* not state (of the text, what it says is, not where it is): */
    uint32_t text;
    uint32_t timer_place;
};

struct keys {
    struct arena records;
    struct index hashes, made, ids;
    uint64_t id_next;
};

#endif
