/* SPDX-License-Identifier: MIT */
/* Objects (shell_internal.h): one size, in chunks that stay until the shell
 * goes; a released one is used again when OBJECTS_KEPT others were released
 * after it. */
#include "cx/shell_state.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS_PER_CHUNK = 256 };

union object_memory {
    struct shell_object head;
    unsigned char bytes[OBJECT_SIZE];
};
_Static_assert(sizeof(struct asup_cx) <= OBJECT_SIZE, "a Cx is an object");

static void
released_add(struct shell *s, struct shell_object *o)
{
    o->next = NULL;
    if (s->objects_free_last != NULL)
        s->objects_free_last->next = o;
    else
        s->objects_free = o;
    s->objects_free_last = o;
    s->objects_kept++;
}

static bool
chunk_add(struct shell *s)
{
    void **chunks = realloc(s->object_chunks, (s->object_chunk_count + 1) * sizeof *chunks);
    union object_memory *chunk;

    if (chunks == NULL)
        return false;
    s->object_chunks = chunks;
    chunk = calloc(OBJECTS_PER_CHUNK, sizeof *chunk);
    if (chunk == NULL)
        return false;
    chunks[s->object_chunk_count++] = chunk;
    /* At the head: nobody ever had a pointer to them. */
    for (unsigned i = OBJECTS_PER_CHUNK; i-- > 0;) {
        chunk[i].head.next = s->objects_free;
        if (s->objects_free == NULL)
            s->objects_free_last = &chunk[i].head;
        s->objects_free = &chunk[i].head;
    }
    s->objects_kept += OBJECTS_PER_CHUNK;
    return true;
}

void *
object_make(struct shell *s, struct task_fiber *owner, enum object_kind kind,
            void (*drop)(void *object))
{
    struct shell_object *o;

    /* One that nobody had is at the head, or all there are have been released. */
    if ((s->objects_free == NULL ||
         (s->objects_free->shell != NULL && s->objects_kept <= OBJECTS_KEPT)) &&
        !chunk_add(s))
        return NULL;
    o = s->objects_free;
    s->objects_free = o->next;
    if (s->objects_free == NULL)
        s->objects_free_last = NULL;
    s->objects_kept--;
    memset(o, 0, OBJECT_SIZE);
    o->shell = s;
    o->owner = owner;
    o->kind = kind;
    o->drop = drop;
    o->next = owner->objects;
    if (o->next != NULL)
        o->next->prev = o;
    owner->objects = o;
    return o;
}

struct making {
    enum object_kind kind;
    void (*drop)(void *object);
    void *made;
};

static void
make(struct shell *s, void *ctx)
{
    struct making *m = ctx;

    if (s->world.intervenes != NULL &&
        s->world.intervenes(s->world.ctx, POINT_ALLOCATE, s->running->id))
        return;
    m->made = object_make(s, s->running, m->kind, m->drop);
}

void *
shell_object_new(struct shell *s, enum object_kind kind, void (*drop)(void *object))
{
    struct making m = {.kind = kind, .drop = drop};

    if (s->running == NULL)
        return NULL;
    shell_call(s, make, &m);
    return m.made;
}

bool
shell_object_is(const void *object, enum object_kind kind)
{
    const struct shell_object *o = object;

    return o != NULL && o->kind == kind && o->owner != NULL;
}

static void
release(struct shell *s, void *ctx)
{
    struct shell_object *o = ctx;

    shell_must(o->owner != NULL);
    if (o->drop != NULL)
        o->drop(o);
    if (o->prev != NULL)
        o->prev->next = o->next;
    else
        o->owner->objects = o->next;
    if (o->next != NULL)
        o->next->prev = o->prev;
    o->owner = NULL;
    o->kind = OBJECT_GONE;
    released_add(s, o);
}

void
shell_object_free(void *object)
{
    struct shell_object *o = object;

    shell_call(o->shell, release, o);
}

void
objects_release(struct shell *s, struct task_fiber *owner)
{
    struct shell_object *next;

    for (struct shell_object *o = owner->objects; o != NULL; o = next) {
        next = o->next;
        release(s, o);
    }
}

void
objects_free(struct shell *s)
{
    for (uint32_t i = 0; i < s->object_chunk_count; i++)
        free(s->object_chunks[i]);
    free(s->object_chunks);
}
