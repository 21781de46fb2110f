/* SPDX-License-Identifier: MIT */
/* Idempotency keys, between the files that they are made of. */
#ifndef ASUPERSYNC_CORE_KEY_H
#define ASUPERSYNC_CORE_KEY_H

#include "core/decide.h"

static inline struct key_record *
key_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->keys.records, i);
}

/* Where a key counts, and what it says. */
struct key_name {
    uint32_t uid;
    struct asup_ref scope;
    struct bytes text;
};

uint64_t key_hash(const struct key_name *name);
uint64_t key_made_hash(struct asup_ref made);
/* The record of that name; NIL: none. */
uint32_t key_find(const struct kernel *k, const struct key_name *name);

#endif
