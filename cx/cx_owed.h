/* SPDX-License-Identifier: MIT */
/*
 * What a task holds and owes a resolution: permits, deliveries, leases, I/O
 * operations. Each is an object (shell_internal.h) around the id of its
 * obligation. It belongs to the task that got it, which alone resolves it
 * (R-OBL-2), through its own Cx: the one that it was got with may be gone by
 * then.
 */
#ifndef ASUPERSYNC_CX_OWED_H
#define ASUPERSYNC_CX_OWED_H

#include "cx/shell_internal.h"

struct owed {
    struct shell_object object;
    uint64_t task, capability; /* who got it: as in a Cx */
    uint64_t obligation;
};

/* The object that a request through cx is to grant, made before it is asked. NULL with *code. */
void *owed_new(struct asup_cx *cx, enum object_kind kind, void (*drop)(void *object), int *code);
/* It was granted, or not: then it is released. */
void *owed_granted(void *owed, int rc, const struct shell_reply *reply, int *code);
/* Whether the task that runs may resolve it. -ASUP_ERESOLVED: it is released; -ASUP_EDENIED: it is
 * another's (R-OBL-2); -ASUP_EINVALID: it is none. */
int owed_check(const void *owed, enum object_kind kind);
/* A request that resolves it, or renews. */
struct input owed_input(const void *owed, enum input_kind kind);
/* Ask it. 0 or a code. */
int owed_request(const void *owed, struct input *in);
/* Ask it and release the object, whatever is answered. Else as owed_check(). */
int owed_resolve(void *owed, enum object_kind kind, struct input *in);

/* The one that resolves it: as who got it would ask. */
struct input owed_request_of(const struct shell_object *object, uint64_t task, uint64_t capability,
                             enum input_kind kind);

struct asup_retry;
/* The pause after that attempt, from 1. */
uint64_t backoff_after(const struct asup_retry *rule, uint32_t attempt);

/* An object for what a request through cx is to make. NULL with *code. */
void *
cx_object_new(struct asup_cx *cx, enum object_kind kind, void (*drop)(void *object), int *code);

/* Store a code where somebody wants it; NULL, for what returns a pointer. */
void *cx_refused(int rc, int *code);

#endif
