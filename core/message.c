/* SPDX-License-Identifier: MIT */
/* The order of a channel's messages (see state_channel.h): the list, the heap
 * of those that came back, and which is next. */
#include "core/channel.h"

/* ---- The list ------------------------------------------------------------------- */

void
messages_append(struct kernel *k, struct channel *c, uint32_t i)
{
    struct message *m = message_at(k, i);

    m->next = NIL;
    m->prev = c->message_last;
    if (c->message_last != NIL)
        message_at(k, c->message_last)->next = i;
    else
        c->message_first = i;
    c->message_last = i;
    if (c->fresh == NIL)
        c->fresh = i;
}

void
messages_unlink(struct kernel *k, struct channel *c, uint32_t i)
{
    const struct message *m = message_at(k, i);

    if (m->prev != NIL)
        message_at(k, m->prev)->next = m->next;
    else
        c->message_first = m->next;
    if (m->next != NIL)
        message_at(k, m->next)->prev = m->prev;
    else
        c->message_last = m->prev;
}

/* ---- Those that came back: a pairing heap ------------------------------------------ */

/* Of two roots the one that is earlier; the other becomes its first child. */
static uint32_t
meld(struct kernel *k, uint32_t a, uint32_t b)
{
    struct message *first;
    struct message *second;

    if (a == NIL || b == NIL)
        return a == NIL ? b : a;
    if (message_at(k, b)->order < message_at(k, a)->order) {
        uint32_t swap = a;

        a = b;
        b = swap;
    }
    first = message_at(k, a);
    second = message_at(k, b);
    second->heap_next = first->heap_child;
    first->heap_child = b;
    return a;
}

void
messages_came_back(struct kernel *k, struct channel *c, uint32_t i)
{
    struct message *m = message_at(k, i);

    m->came_back = true;
    m->heap_child = m->heap_next = NIL;
    c->returned = meld(k, c->returned, i);
}

static void
returned_pop(struct kernel *k, struct channel *c)
{
    struct message *root = message_at(k, c->returned);
    uint32_t at = root->heap_child;
    uint32_t pairs = NIL; /* melded two by two, the last pair first */

    root->came_back = false;
    root->heap_child = NIL;
    c->returned = NIL;
    while (at != NIL) {
        struct message *m = message_at(k, at);
        uint32_t mate = m->heap_next;
        uint32_t rest = mate == NIL ? NIL : message_at(k, mate)->heap_next;
        uint32_t pair;

        m->heap_next = NIL;
        if (mate != NIL)
            message_at(k, mate)->heap_next = NIL;
        pair = meld(k, at, mate);
        message_at(k, pair)->heap_next = pairs;
        pairs = pair;
        at = rest;
    }
    while (pairs != NIL) {
        uint32_t next = message_at(k, pairs)->heap_next;

        message_at(k, pairs)->heap_next = NIL;
        c->returned = meld(k, c->returned, pairs);
        pairs = next;
    }
}

/* ---- The next one --------------------------------------------------------------------- */

uint32_t
messages_next(const struct channel *c)
{
    return c->returned != NIL ? c->returned : c->fresh;
}

void
messages_take(struct kernel *k, struct channel *c)
{
    if (c->returned != NIL)
        returned_pop(k, c);
    else
        c->fresh = message_at(k, c->fresh)->next;
}
