/* SPDX-License-Identifier: MIT */
/*
 * A chain: a ring of links that live inside the things they join. A link that
 * is in no chain points to itself, so removing it twice is harmless.
 */
#ifndef ASUPERSYNC_KEEPER_CHAIN_H
#define ASUPERSYNC_KEEPER_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

struct chain {
    struct chain *next, *prev;
};

static inline void
chain_init(struct chain *link)
{
    link->next = link;
    link->prev = link;
}

static inline bool
chain_empty(const struct chain *link)
{
    return link->next == link;
}

static inline void
chain_remove(struct chain *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    chain_init(link);
}

/* At the end; a link that is in a chain already leaves that one first. */
static inline void
chain_append(struct chain *head, struct chain *link)
{
    chain_remove(link);
    link->prev = head->prev;
    link->next = head;
    head->prev->next = link;
    head->prev = link;
}

/* The thing of type `type` whose member `member` is the link. */
#define CHAIN_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
