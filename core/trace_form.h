/* SPDX-License-Identifier: MIT */
/* Normal forms: what trace.c (forms, names, comparing) and trace_same.c (what
 * two events say) share. */
#ifndef ASUPERSYNC_CORE_TRACE_FORM_H
#define ASUPERSYNC_CORE_TRACE_FORM_H

#include "core/event.h"
#include "core/trace.h"

struct touched {
    uint64_t key; /* of (sort, id), for the index; not 0 */
    uint64_t id;
    uint32_t sort;
    uint32_t owned_in;  /* last step in which it was owned; 0: none */
    uint32_t shared_in; /* likewise */
    uint32_t made;      /* the how-manieth that the trace made; 0: it was there before */
};

/* An event in the normal form. Within a step no two have the same name: each
 * owns something that it names. */
struct place {
    uint32_t step;
    uint32_t kind;
    uint64_t task, region, session, subject; /* new names */
    uint32_t event;
};

struct form {
    const struct trace *trace;
    const struct kernel_allocator *allocator;
    struct arena touched;
    struct index keys;
    uint32_t made[RESOURCE_SORT_MADE];
    struct place *places;
};

/* The id by which both traces know it: its number among those of its sort that
 * the trace made, or the id itself. */
uint64_t name_of(const struct form *f, enum resource_sort sort, uint64_t id);
uint64_t name_by_sort(const struct form *f, uint32_t sort, uint64_t id);

struct pair {
    const struct form *left, *right;
    const struct event *a, *b;
    bool loosely;
};

bool same_event(const struct pair *p);

#endif
