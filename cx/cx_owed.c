/* SPDX-License-Identifier: MIT */
#include "cx/cx_owed.h"

#include "cx/shell_state.h"

void *
cx_refused(int rc, int *code)
{
    if (code != NULL)
        *code = rc;
    return NULL;
}

void *
cx_object_new(struct asup_cx *cx, enum object_kind kind, void (*drop)(void *object), int *code)
{
    void *object;
    int rc = cx_check(cx);

    if (rc == 0)
        rc = cx_admit_point(cx);
    if (rc != 0)
        return cx_refused(rc, code);
    object = shell_object_new(shell_of(cx), kind, drop);
    return object != NULL ? object : cx_refused(-ASUP_ENOMEM, code);
}

void *
owed_new(struct asup_cx *cx, enum object_kind kind, void (*drop)(void *object), int *code)
{
    struct owed *o = cx_object_new(cx, kind, drop, code);

    if (o == NULL)
        return NULL;
    o->task = cx->task;
    o->capability = cx->capability;
    return o;
}

void *
owed_granted(void *owed, int rc, const struct shell_reply *reply, int *code)
{
    struct owed *o = owed;

    if (rc != 0) {
        shell_object_free(o);
        return cx_refused(rc, code);
    }
    o->obligation = reply->made.id;
    if (code != NULL)
        *code = 0;
    return o;
}

struct input
owed_request_of(const struct shell_object *object, uint64_t task, uint64_t capability,
                enum input_kind kind)
{
    struct input in = cx_input(object->owner->cx, kind);

    in.caller = cx_caller(object->owner->cx); /* whoever runs: only the holder may (R-OBL-2) */
    in.caller.task = capability == 0 ? task : 0;
    in.caller.cx = capability;
    return in;
}

struct input
owed_input(const void *owed, enum input_kind kind)
{
    const struct owed *o = owed;
    struct input in = owed_request_of(&o->object, o->task, o->capability, kind);

    in.subject = o->obligation;
    return in;
}

int
owed_request(const void *owed, struct input *in)
{
    const struct owed *o = owed;

    return shell_request(o->object.owner->cx, in, NULL);
}

int
owed_check(const void *owed, enum object_kind kind)
{
    const struct shell_object *o = owed;

    if (o == NULL)
        return -ASUP_EINVALID;
    if (o->kind == OBJECT_GONE)
        return -ASUP_ERESOLVED;
    if (o->kind != kind)
        return -ASUP_EINVALID;
    return o->owner == o->shell->running ? 0 : -ASUP_EDENIED;
}

/* What was refused for want of a right still stands. To give it back none is needed (R-CAP-4). */
static void
give_back(const struct owed *o)
{
    struct input in = cx_input(o->object.owner->cx, IN_OBLIGATION_ABORT);
    struct obligation_view v;

    if (!kernel_obligation(shell_kernel(o->object.shell), o->obligation, &v))
        return;
    in.subject = o->obligation;
    (void)owed_request(o, &in);
}

int
owed_resolve(void *owed, enum object_kind kind, struct input *in)
{
    int rc = owed_check(owed, kind);

    if (rc != 0)
        return rc;
    rc = owed_request(owed, in);
    if (rc != 0)
        give_back(owed);
    shell_object_free(owed);
    return rc;
}
