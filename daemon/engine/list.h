/* SPDX-License-Identifier: MIT */
/* Intrusive doubly linked lists with a head that is a link itself. A link that
 * is in no list points to itself. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_LIST_H
#define ASUPERSYNC_DAEMON_ENGINE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev, *next;
};

static inline void
list_init(struct list *l)
{
    l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
    return l->next == l;
}

static inline void
list_append(struct list *head, struct list *l)
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static inline void
list_prepend(struct list *head, struct list *l)
{
    list_append(head->next, l);
}

static inline void
list_remove(struct list *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

/* Take out the first link; NULL when there is none. */
static inline struct list *
list_take_first(struct list *head)
{
    struct list *l = head->next;

    if (l == head)
        return NULL;
    head->next = l->next;
    l->next->prev = head;
    list_init(l);
    return l;
}

#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

#endif
