/* SPDX-License-Identifier: MIT */
/* Finalizers and sagas of cx.h (§5). */
#include "cx/cx_owed.h"
#include "cx/shell_state.h"

int
asup_cx_defer(struct asup_cx *cx, asup_body body, void *arg, uint64_t budget_ns)
{
    const struct shell_body job = {.body = body, .arg = arg};
    struct input in;
    int rc = cx_check(cx);

    if (body == NULL)
        return -ASUP_EINVALID;
    if (rc != 0 || (rc = cx_admit_point(cx)) != 0)
        return rc;
    in = cx_input(cx, IN_FINALIZER_DEFER);
    shell_task_params(&in.u.submit);
    in.u.submit.budget.timeout_ns = budget_ns;
    return shell_submit(cx, &in, &job, NULL);
}

/* ---- Sagas --------------------------------------------------------------------------- */

struct asup_saga_open {
    struct shell_object object;
    uint64_t task, capability; /* who began it: as in a Cx */
    uint64_t id;
};
_Static_assert(sizeof(struct asup_saga_open) <= OBJECT_SIZE, "it is an object");

uint64_t
saga_id(const struct asup_saga_open *saga)
{
    return saga->id;
}

struct asup_saga_open *
asup_cx_saga_begin(struct asup_cx *cx, const char *name, int *code)
{
    struct asup_saga_open *saga = cx_object_new(cx, OBJECT_SAGA, NULL, code);
    struct shell_reply reply;
    struct input in;
    int rc;

    if (saga == NULL)
        return NULL;
    in = cx_input(cx, IN_SAGA_BEGIN);
    in.u.saga_begin.name = cx_text(name, ASUP_NAME_MAX + 1); /* one too long is refused */
    rc = shell_request(cx, &in, &reply);
    if (rc != 0) {
        shell_object_free(saga);
        return cx_refused(rc, code);
    }
    saga->id = reply.made.id;
    saga->task = cx->task;
    saga->capability = cx->capability;
    if (code != NULL)
        *code = 0;
    return saga;
}

/* A request about it, in the name of who began it; through the owner's own Cx where that which
 * it was begun with is gone. */
static struct input
saga_input(const struct asup_saga_open *saga, enum input_kind kind)
{
    struct input in = owed_request_of(&saga->object, saga->task, saga->capability, kind);

    in.subject = saga->id;
    return in;
}

struct stepping {
    struct asup_saga_open *saga;
    const struct asup_saga_step *step;
    uint64_t action; /* the task */
    int code;
};

static struct retry_params
undo_rule(const struct asup_retry *r)
{
    return (struct retry_params){
        .attempts = r->attempts,
        .backoff_ns = r->backoff_ns,
        .backoff_most_ns = r->backoff_most_ns != 0 ? r->backoff_most_ns
                           : r->attempts > 1       ? backoff_after(r, r->attempts - 1)
                                                   : r->backoff_ns,
    };
}

/* The compensation is known under the number of a job before the kernel knows of it. */
static void
step_now(struct shell *s, void *ctx)
{
    struct stepping *st = ctx;
    const struct asup_saga_step *step = st->step;
    const struct shell_body undo_body = {.body = step->compensation, .arg = step->compensation_arg};
    const struct shell_body action_body = {.body = step->action, .arg = step->action_arg};
    struct input in = saga_input(st->saga, IN_SAGA_STEP);
    struct task_params undo, action;
    struct shell_reply reply = {0};
    uint32_t job = id_map_reserve(&s->sagas, 1) ? shell_job_new(s, &undo_body) : 0;

    st->code = -ASUP_ENOMEM;
    if (job == 0)
        return;
    shell_task_params(&undo);
    undo.label = cx_text(step->name, ASUP_LABEL_MAX);
    undo.spec = (struct bytes){.data = &job, .size = sizeof job};
    if (step->budget_ns != 0)
        undo.budget.timeout_ns = step->budget_ns;
    in.u.saga_step.name = cx_text(step->name, ASUP_NAME_MAX + 1); /* one too long is refused */
    in.u.saga_step.undo = &undo;
    in.u.saga_step.retry = undo_rule(&step->retry);
    if (step->action != NULL) {
        shell_task_params(&action);
        action.label = undo.label;
        in.u.saga_step.action = &action;
        st->code = shell_submit_own(s, &in, &action_body, &reply);
    } else {
        st->code = shell_ask(s, &in);
    }
    if (st->code != 0) {
        shell_job_free(s, job);
        return;
    }
    (void)shell_job_give(s, job, st->saga->id); /* there is room */
    st->action = step->action == NULL ? 0 : reply.made.id;
}

/* Wait for a task of ours, whatever our rights are. */
static int
action_wait(const struct asup_cx *cx, uint64_t task, enum wait_how how)
{
    struct input in = {.kind = IN_WAIT, .task = task};

    in.u.wait.timeout_ns = ASUP_NEVER;
    in.u.wait.until = WAIT_FINISHED;
    return shell_wait_request(cx, &in, how, NULL);
}

/* The action ends with who drives it. */
static void
action_stop(const struct asup_cx *cx, uint64_t task)
{
    static const char why[] = "the task that drives its saga was cancelled";
    struct input in = {.kind = IN_TASK_CANCEL, .task = task};

    in.u.cancel.drain_ns = ASUP_NEVER;
    in.u.cancel.message = (struct bytes){why, sizeof why - 1};
    (void)shell_request(cx, &in, NULL);
    (void)action_wait(cx, task, WAIT_REGARDLESS);
}

/* 0; else what a call about it answers. */
static int
saga_check(const struct asup_saga_open *saga)
{
    return owed_check(saga, OBJECT_SAGA);
}

int
asup_saga_step_run(struct asup_saga_open *saga, const struct asup_saga_step *step)
{
    struct stepping stepping = {.saga = saga, .step = step};
    const struct asup_cx *cx;
    struct task_view view;
    int rc = saga_check(saga);

    if (rc == 0 && (step == NULL || step->compensation == NULL))
        rc = -ASUP_EINVALID;
    if (rc != 0)
        return rc;
    cx = saga->object.owner->cx;
    rc = shell_checkpoint(cx);
    if (rc == 0)
        rc = cx_admit_point(cx);
    if (rc != 0)
        return rc;
    shell_call(saga->object.shell, step_now, &stepping);
    if (stepping.code != 0 || stepping.action == 0)
        return stepping.code;
    rc = action_wait(cx, stepping.action, WAIT_ORDINARY);
    if (rc != 0) {
        action_stop(cx, stepping.action);
        return rc;
    }
    if (!kernel_task(shell_kernel(saga->object.shell), stepping.action, &view))
        return -ASUP_ENOTFOUND;
    return shell_result(&view.outcome);
}

int
asup_saga_complete(struct asup_saga_open *saga)
{
    struct saga_view v;
    struct input in;
    int rc;

    rc = saga_check(saga);
    if (rc != 0)
        return rc;
    in = saga_input(saga, IN_SAGA_COMPLETE);
    rc = shell_request(saga->object.owner->cx, &in, NULL);
    if (rc != 0 && kernel_saga(shell_kernel(saga->object.shell), saga->id, &v) &&
        v.state != SAGA_RUNNING)
        rc = -ASUP_ERESOLVED; /* it may be its region's end that has undone it */
    shell_object_free(saga);
    return rc;
}

static bool
was_given_up(const struct asup_saga_open *saga)
{
    const struct kernel *k = shell_kernel(saga->object.shell);
    struct saga_step_view step;
    struct saga_view v;

    if (!kernel_saga(k, saga->id, &v))
        return false;
    for (uint32_t i = 1; i <= v.step_count; i++) {
        if (kernel_saga_step(k, saga->id, i, &step) && step.state == STEP_RESOLVED)
            return true;
    }
    return false;
}

/* Until all of it is undone, what needs attention given up (shell_step.c). */
static int
saga_wait(const struct asup_saga_open *saga)
{
    struct saga_view v = {.state = SAGA_COMPENSATING};
    int rc = 0;

    while (rc == 0 && v.state != SAGA_COMPENSATED && v.state != SAGA_COMPLETED) {
        struct input in = {.kind = IN_WAIT, .subject = saga->id};

        in.u.wait.timeout_ns = ASUP_NEVER;
        in.u.wait.until = WAIT_FINISHED;
        rc = shell_wait_request(saga->object.owner->cx, &in, WAIT_REGARDLESS, NULL);
        if (rc == 0 && !kernel_saga(shell_kernel(saga->object.shell), saga->id, &v))
            rc = -ASUP_ENOTFOUND;
    }
    return rc;
}

int
asup_saga_abort(struct asup_saga_open *saga, const char *note)
{
    struct saga_view v;
    struct input in;
    int rc;

    if (saga == NULL)
        return 0;
    rc = saga_check(saga);
    if (rc != 0)
        return rc;
    in = saga_input(saga, IN_SAGA_ABORT);
    in.u.nack.note = cx_text(note, ASUP_MESSAGE_MAX);
    rc = shell_request(saga->object.owner->cx, &in, NULL);
    if (kernel_saga(shell_kernel(saga->object.shell), saga->id, &v) && v.state == SAGA_COMPENSATED)
        rc = 0; /* with its region, perhaps */
    else if (rc == 0)
        rc = saga_wait(saga);
    if (rc == 0 && was_given_up(saga))
        rc = -ASUP_EUNAVAILABLE;
    shell_object_free(saga);
    return rc;
}
