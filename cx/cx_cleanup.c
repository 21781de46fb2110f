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

struct asup_saga_open *
asup_cx_saga_begin(struct asup_cx *cx, const char *name, int *code)
{
    struct asup_saga_open *saga;
    struct shell_reply reply;
    struct input in;
    int rc = cx_check(cx);

    if (rc == 0)
        rc = cx_admit_point(cx);
    if (rc != 0)
        return cx_refused(rc, code);
    saga = shell_object_new(shell_of(cx), OBJECT_SAGA, NULL);
    if (saga == NULL)
        return cx_refused(-ASUP_ENOMEM, code);
    in = cx_input(cx, IN_SAGA_BEGIN);
    in.u.saga_begin.name = cx_text(name, ASUP_NAME_MAX);
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

static void
saga_task(struct task_params *p, const uint32_t *job, const char *label)
{
    shell_task_params(p);
    p->label = cx_text(label, ASUP_LABEL_MAX);
    p->spec = (struct bytes){.data = job, .size = sizeof *job};
}

int
asup_saga_step_run(struct asup_saga_open *saga, const struct asup_saga_step *step)
{
    struct task_params action, undo;
    struct shell_reply reply;
    struct asup_outcome outcome;
    uint32_t action_job = 0, undo_job = 0;
    struct shell *s;
    struct input in;
    int rc;

    if (!shell_object_is(saga, OBJECT_SAGA) || step == NULL || step->compensation == NULL)
        return -ASUP_EINVALID;
    s = saga->object.shell;
    if ((rc = shell_checkpoint(saga->object.owner->cx)) != 0)
        return rc;
    undo_job = shell_job_new(
        s, &(struct shell_body){.body = step->compensation, .arg = step->compensation_arg});
    if (step->action != NULL)
        action_job =
            shell_job_new(s, &(struct shell_body){.body = step->action, .arg = step->action_arg});
    if (undo_job == 0 || (step->action != NULL && action_job == 0)) {
        rc = -ASUP_ENOMEM;
        goto out;
    }
    in = saga_input(saga, IN_SAGA_STEP);
    in.u.saga_step.name = cx_text(step->name, ASUP_NAME_MAX);
    saga_task(&undo, &undo_job, step->name);
    undo.budget.timeout_ns = step->budget_ns;
    in.u.saga_step.undo = &undo;
    in.u.saga_step.retry = (struct retry_params){
        .attempts = step->retry.attempts,
        .backoff_ns = step->retry.backoff_ns,
        .backoff_most_ns =
            step->retry.backoff_most_ns != 0 ? step->retry.backoff_most_ns : step->retry.backoff_ns,
    };
    if (step->action != NULL) {
        saga_task(&action, &action_job, step->name);
        in.u.saga_step.action = &action;
    }
    rc = shell_request(saga->object.owner->cx, &in, &reply);
    if (rc != 0)
        goto out;
    undo_job = 0; /* the kernel's, until the saga is forgotten */
    if (step->action == NULL)
        return 0;
    rc = asup_cx_join(saga->object.owner->cx, (struct asup_task){reply.made.id}, &outcome);
    if (rc == -ASUP_ECANCELLED) {
        /* The action ends with who drives it; the saga is then undone, or was completed as far
         * as it came. */
        struct input stop = saga_input(saga, IN_TASK_CANCEL);
        struct input end = saga_input(saga, IN_WAIT);

        stop.task = reply.made.id;
        stop.u.cancel.drain_ns = ASUP_NEVER;
        stop.u.cancel.message = cx_text("the task that drives its saga was cancelled", 64);
        (void)shell_request(saga->object.owner->cx, &stop, NULL);
        end.subject = 0;
        end.task = reply.made.id;
        end.u.wait.timeout_ns = ASUP_NEVER;
        end.u.wait.until = WAIT_FINISHED;
        (void)shell_wait_request(saga->object.owner->cx, &end, WAIT_REGARDLESS, NULL);
    } else if (rc == 0) {
        rc = asup_outcome_result(&outcome);
    }
out:
    shell_job_free(s, action_job);
    shell_job_free(s, undo_job);
    return rc;
}

int
asup_saga_complete(struct asup_saga_open *saga)
{
    struct input in;
    int rc;

    if (!shell_object_is(saga, OBJECT_SAGA))
        return -ASUP_EINVALID;
    in = saga_input(saga, IN_SAGA_COMPLETE);
    rc = shell_request(saga->object.owner->cx, &in, NULL);
    shell_object_free(saga);
    return rc;
}

int
asup_saga_abort(struct asup_saga_open *saga, const char *note)
{
    struct saga_view v = {0};
    struct input in;
    int rc;

    if (saga == NULL)
        return 0;
    if (!shell_object_is(saga, OBJECT_SAGA))
        return -ASUP_EINVALID;
    in = saga_input(saga, IN_SAGA_ABORT);
    in.u.nack.note = cx_text(note, ASUP_MESSAGE_MAX);
    rc = shell_request(saga->object.owner->cx, &in, NULL);
    if (rc == 0 || rc == -ASUP_ERESOLVED) { /* it may be undone by itself: a step failed */
        in = saga_input(saga, IN_WAIT);
        in.u.wait.timeout_ns = ASUP_NEVER;
        in.u.wait.until = WAIT_FINISHED;
        rc = shell_wait_request(saga->object.owner->cx, &in, WAIT_REGARDLESS, NULL);
        if (rc == 0 && kernel_saga(shell_kernel(saga->object.shell), saga->id, &v) &&
            v.state == SAGA_NEEDS_ATTENTION)
            rc = -ASUP_EUNAVAILABLE;
    }
    shell_object_free(saga);
    return rc;
}
