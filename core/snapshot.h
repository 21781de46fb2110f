/* SPDX-License-Identifier: MIT */
/*
 * The layout of a snapshot, shared by save.c and load.c. Private to core/.
 *
 *     magic
 *     frame: size (4 bytes), check (8 bytes), that many bytes; at most 64 KiB
 *     ...    the bytes of all frames together are
 *
 *     version
 *     the kernel's own fields
 *     section: number, fields of a record, records; for each index in use a tag
 *              and, if it lives, the record; then the free ones in order
 *     ...
 *     0
 *
 * Records keep their indices, and the links among them are written as they are:
 * so the digest stays, and what comes next is the same. What is derived is
 * rebuilt by load.c (indices, timers, the timed lane), which also refuses links
 * that make no sense.
 *
 * A family adds its records as sections and arenas, with tables beside the others
 * in codec_state.c, its own fields of struct kernel to kernel_fields, and has a
 * load_<family>.c that says what of them is derived and how links are checked.
 */
#ifndef ASUPERSYNC_CORE_SNAPSHOT_H
#define ASUPERSYNC_CORE_SNAPSHOT_H

#include "core/codec.h"

enum {
    SNAPSHOT_VERSION = 1, /* more fields at the end of a record need no new one: see in_struct() */
    FRAME_SEED = 1,       /* of check sums, in every version: a snapshot of another is told from a
                             damaged one */
    FRAME_SIZE_MAX = 65536,
    FRAME_HEAD = 12,
};

#define SNAPSHOT_MAGIC "ASUPSNP1"
#define SNAPSHOT_MAGIC_SIZE 8

/* Arenas by name, for FIELD_INDEX. */
enum arena_name {
    ARENA_NONE,
    ARENA_TASKS,
    ARENA_REGIONS,
    ARENA_SESSIONS,
    ARENA_REQUESTS,
    ARENA_OBLIGATIONS,
    ARENA_HOLDERS,
    ARENA_LEASES,
    ARENA_ENDED,
    ARENA_CHANNELS,
    ARENA_MESSAGES,
    ARENA_HISTORIES,
    ARENA_SAGAS,
    ARENA_STEPS,
    ARENA_CALLS,
    ARENA_WORKERS,
    ARENA_OFFERS,
    ARENA_SERVICES,
    ARENA_CAPABILITIES,
    ARENA_COUNT,
};

struct section {
    uint16_t number;       /* never that of another one */
    uint32_t arena_offset; /* in struct kernel */
    const struct table *table;
    /* More of a record, by what it says of itself: NULL, or never. */
    const struct table *(*variant)(const void *record);
};

extern const struct section sections[];
extern const size_t section_count;
extern const struct table kernel_table;

static inline const struct arena *
section_arena(const struct kernel *k, const struct section *s)
{
    return (const struct arena *)(const void *)((const uint8_t *)k + s->arena_offset);
}

const struct arena *arena_of(const struct kernel *k, enum arena_name name);

/* Check of a frame: its number among the frames is part of it. */
uint64_t frame_check(uint64_t number, const uint8_t *data, size_t size);

/* load.c: all records of an arena into an index, or those that are wanted. False: no memory. */
bool index_fill(struct kernel *k, struct index *x, bool (*wanted)(const void *record));

/* Of each family: its indices and what else is derived, before links are checked,
 * so nothing may follow one; whether its links make sense; its timers. */
bool obligations_indices(struct kernel *k);
bool obligations_sound(const struct kernel *k);
void obligations_rearm_all(struct kernel *k);
bool saga_indices(struct kernel *k);
bool saga_sound(struct kernel *k);
void saga_rearm_all(struct kernel *k);

/* load_check.c: whether all links lead to what they are meant for, so that
 * walking them ends, and every invariant holds. */
bool links_sound(struct kernel *k);
/* load_call.c: likewise of calls and workers; then what is derived of them. */
bool calls_sound(const struct kernel *k);
void calls_rebuild(struct kernel *k);

/* load_channel.c: the lists of channels, messages and dead letters; and what is
 * derived from them. */
bool channel_has_name(const void *record);
bool channels_sound(const struct kernel *k);
bool channels_fill(struct kernel *k);

/* load_capability.c */
bool capabilities_sound(const struct kernel *k);
void capabilities_fill(struct kernel *k);

/* load_key.c */
bool keys_sound(const struct kernel *k);
void keys_fill(struct kernel *k);

#endif
