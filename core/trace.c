/* SPDX-License-Identifier: MIT */
#include "core/trace_form.h"

static struct touched *
touched_find(const struct form *f, enum resource_sort sort, uint64_t id)
{
    uint64_t key = hash_mix(hash_mix(4, sort), id) | 1;
    uint32_t cursor;

    for (uint32_t i = index_first(&f->keys, key, &cursor); i != NIL;
         i = index_next(&f->keys, key, &cursor)) {
        struct touched *t = arena_at(&f->touched, i);

        if (t->sort == sort && t->id == id)
            return t;
    }
    return NULL;
}

/* Room for it was reserved. */
static struct touched *
touched_get(struct form *f, enum resource_sort sort, uint64_t id)
{
    struct touched *t = touched_find(f, sort, id);
    uint32_t i;

    if (t != NULL)
        return t;
    i = arena_take(&f->touched, f->allocator);
    t = arena_at(&f->touched, i);
    t->key = hash_mix(hash_mix(4, sort), id) | 1;
    t->sort = sort;
    t->id = id;
    index_add(&f->keys, f->allocator, i);
    return t;
}

/* ---- Steps ------------------------------------------------------------------------------ */

/* The step right behind everything that the event depends on. */
static uint32_t
step_of(struct form *f, const struct event *ev)
{
    struct resource resources[EVENT_RESOURCES_MAX];
    size_t count = event_resources(ev, resources);
    uint32_t step = 0;
    struct resource made;

    for (size_t i = 0; i < count; i++) {
        const struct touched *t = touched_get(f, resources[i].sort, resources[i].id);

        if (step < t->owned_in)
            step = t->owned_in;
        if (resources[i].owned && step < t->shared_in)
            step = t->shared_in;
    }
    step++;
    for (size_t i = 0; i < count; i++) {
        struct touched *t = touched_get(f, resources[i].sort, resources[i].id);

        if (resources[i].owned)
            t->owned_in = step;
        else if (t->shared_in < step)
            t->shared_in = step;
    }
    if (event_makes(ev, &made))
        touched_get(f, made.sort, made.id)->made = ++f->made[made.sort];
    return step;
}

static void
form_end(struct form *f)
{
    index_fini(&f->keys, f->allocator);
    arena_fini(&f->touched, f->allocator);
    memory_release(f->allocator, f->places, f->trace->count, sizeof f->places[0]);
}

/* Read the trace once; on failure there is nothing to end. */
static bool
form_steps(struct form *f, const struct trace *trace, const struct kernel_allocator *allocator)
{
    *f = (struct form){.trace = trace, .allocator = allocator};
    arena_init(&f->touched, sizeof(struct touched));
    index_init(&f->keys, &f->touched, offsetof(struct touched, key));
    must(trace->count < NIL);
    if (trace->count == 0)
        return true;
    f->places = allocator->resize(allocator->ctx, NULL, 0, trace->count * sizeof f->places[0]);
    if (f->places == NULL)
        return false;
    for (size_t i = 0; i < trace->count; i++) {
        if (!arena_reserve(&f->touched, allocator, EVENT_RESOURCES_MAX + 1) ||
            !index_reserve(&f->keys, allocator, EVENT_RESOURCES_MAX + 1)) {
            form_end(f);
            return false;
        }
        f->places[i] = (struct place){
            .step = step_of(f, &trace->events[i]),
            .kind = trace->events[i].kind,
            .event = (uint32_t)i,
        };
    }
    return true;
}

/* ---- Names -------------------------------------------------------------------------------- */

#define MADE_BIT (UINT64_C(1) << 63)

uint64_t
name_of(const struct form *f, enum resource_sort sort, uint64_t id)
{
    const struct touched *t = touched_find(f, sort, id);

    return t != NULL && t->made != 0 ? MADE_BIT | t->made : id;
}

uint64_t
name_by_sort(const struct form *f, uint32_t sort, uint64_t id)
{
    switch (sort) {
    case ASUP_SORT_TASK:
        return name_of(f, RESOURCE_TASK, id);
    case ASUP_SORT_REGION:
        return name_of(f, RESOURCE_REGION, id);
    case ASUP_SORT_SESSION:
        return name_of(f, RESOURCE_SESSION, id);
    case ASUP_SORT_OBLIGATION:
        return name_of(f, RESOURCE_OBLIGATION, id);
    case ASUP_SORT_CHANNEL:
        return name_of(f, RESOURCE_CHANNEL, id);
    case ASUP_SORT_MESSAGE:
        return name_of(f, RESOURCE_MESSAGE, id);
    case ASUP_SORT_SAGA:
        return name_of(f, RESOURCE_SAGA, id);
    case ASUP_SORT_CAPABILITY:
        return name_of(f, RESOURCE_CAPABILITY, id);
    default:
        return id;
    }
}

/* ---- Order within the form ------------------------------------------------------------------ */

static bool
place_before(const struct place *a, const struct place *b)
{
    if (a->step != b->step)
        return a->step < b->step;
    if (a->kind != b->kind)
        return a->kind < b->kind;
    if (a->task != b->task)
        return a->task < b->task;
    if (a->region != b->region)
        return a->region < b->region;
    if (a->session != b->session)
        return a->session < b->session;
    return a->subject < b->subject;
}

static void
sift_down(struct place *places, size_t at, size_t count)
{
    for (;;) {
        size_t largest = at;
        struct place moved = places[at];

        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < count; child++) {
            if (place_before(&places[largest], &places[child]))
                largest = child;
        }
        if (largest == at)
            return;
        places[at] = places[largest];
        places[largest] = moved;
        at = largest;
    }
}

/* In place, by a heap: no recursion, no memory. */
static void
form_sort(struct form *f)
{
    size_t count = f->trace->count;

    for (size_t i = 0; i < count; i++) {
        const struct event *ev = &f->trace->events[f->places[i].event];

        f->places[i].task = name_of(f, RESOURCE_TASK, ev->task);
        f->places[i].region = name_of(f, RESOURCE_REGION, ev->region);
        f->places[i].session = name_of(f, RESOURCE_SESSION, ev->session);
        f->places[i].subject = name_of(f, event_subject_sort(ev->kind), ev->subject);
    }
    for (size_t i = count / 2; i-- > 0;)
        sift_down(f->places, i, count);
    for (size_t end = count; end-- > 1;) {
        struct place last = f->places[end];

        f->places[end] = f->places[0];
        f->places[0] = last;
        sift_down(f->places, 0, end);
    }
}

/* ---- Comparing ------------------------------------------------------------------------------- */

static int
forms_compare(const struct form *left, const struct form *right, bool loosely,
              struct trace_difference *out)
{
    size_t count =
        left->trace->count < right->trace->count ? left->trace->count : right->trace->count;
    struct pair p = {.left = left, .right = right, .loosely = loosely};

    *out = (struct trace_difference){.left = SIZE_MAX, .right = SIZE_MAX};
    for (size_t i = 0; i < count; i++) {
        const struct place *l = &left->places[i];
        const struct place *r = &right->places[i];

        p.a = &left->trace->events[l->event];
        p.b = &right->trace->events[r->event];
        if (l->step == r->step && same_event(&p))
            continue;
        /* One that stands in an earlier step has nothing on the other side. */
        out->step = l->step < r->step ? l->step : r->step;
        if (l->step <= r->step)
            out->left = l->event;
        if (r->step <= l->step)
            out->right = r->event;
        return 1;
    }
    if (left->trace->count > count) {
        out->left = left->places[count].event;
        out->step = left->places[count].step;
    } else if (right->trace->count > count) {
        out->right = right->places[count].event;
        out->step = right->places[count].step;
    }
    return out->step != 0;
}

static int
compare(const struct trace *left, const struct trace *right, bool loosely,
        const struct kernel_allocator *allocator, struct trace_difference *out)
{
    struct trace_difference unwanted;
    struct form of_left;
    struct form of_right;
    int rc = -ASUP_ENOMEM;

    if (!form_steps(&of_left, left, allocator))
        return rc;
    if (form_steps(&of_right, right, allocator)) {
        form_sort(&of_left);
        form_sort(&of_right);
        rc = forms_compare(&of_left, &of_right, loosely, out != NULL ? out : &unwanted);
        form_end(&of_right);
    }
    form_end(&of_left);
    return rc;
}

int
trace_compare(const struct trace *left, const struct trace *right,
              const struct kernel_allocator *allocator, struct trace_difference *out)
{
    return compare(left, right, false, allocator, out);
}

int
trace_compare_loosely(const struct trace *left, const struct trace *right,
                      const struct kernel_allocator *allocator, struct trace_difference *out)
{
    return compare(left, right, true, allocator, out);
}

int
trace_steps(const struct trace *trace, const struct kernel_allocator *allocator, uint32_t *steps)
{
    struct form f;

    if (!form_steps(&f, trace, allocator))
        return -ASUP_ENOMEM;
    for (size_t i = 0; i < trace->count; i++)
        steps[i] = f.places[i].step;
    form_end(&f);
    return 0;
}
