/* SPDX-License-Identifier: MIT */
/* Tasks (cx.h): spawn, join, cancel. */
#include "cx/shell_state.h"

#include <string.h>

enum { MASK_DEPTH = 64, CANCEL_SIGNAL = 15 };

void
asup_limits_init(struct asup_limits *limits)
{
    *limits = (struct asup_limits){.timeout_ns = ASUP_NEVER,
                                   .deadline_at = ASUP_NEVER,
                                   .poll_quota = UINT32_MAX,
                                   .cost_quota = UINT64_MAX};
}

void
asup_spawn_options_init(struct asup_spawn_options *options)
{
    *options = (struct asup_spawn_options){.drain_ns = ASUP_NEVER, .mask_depth = MASK_DEPTH};
    asup_limits_init(&options->limits);
}

struct budget_request
cx_budget_request(const struct asup_limits *limits)
{
    return (struct budget_request){.timeout_ns = limits->timeout_ns,
                                   .deadline_at = limits->deadline_at,
                                   .poll_quota = limits->poll_quota,
                                   .cost_quota = limits->cost_quota,
                                   .priority = limits->priority};
}

void
shell_task_params(struct task_params *p)
{
    *p = (struct task_params){.budget = {.timeout_ns = ASUP_NEVER,
                                         .deadline_at = ASUP_NEVER,
                                         .poll_quota = UINT32_MAX,
                                         .cost_quota = UINT64_MAX},
                              .drain_ns = ASUP_NEVER,
                              .leftover_ns = ASUP_NEVER,
                              .mask_depth = MASK_DEPTH,
                              .cancel_signal = CANCEL_SIGNAL,
                              .leftover_wait = true,
                              .notify = true};
}

int
asup_cx_spawn_with(struct asup_cx *cx, const struct asup_spawn_options *options, asup_body body,
                   void *arg, struct asup_task *out)
{
    struct shell_body made = {.body = body, .arg = arg};
    struct shell_reply reply;
    struct input in;
    int rc = cx_check(cx);

    if (rc == 0 && body == NULL)
        rc = -ASUP_EINVALID;
    if (rc == 0)
        rc = cx_admit_point(cx);
    if (rc != 0)
        return rc;
    in = cx_input(cx, IN_TASK_SUBMIT);
    shell_task_params(&in.u.submit);
    if (options != NULL) {
        struct task_params *p = &in.u.submit;

        p->label = cx_text(options->label, ASUP_LABEL_MAX);
        p->budget = cx_budget_request(&options->limits);
        p->delay_ns = options->delay_ns;
        p->drain_ns = options->drain_ns;
        p->response_ns = options->response_ns;
        p->mask_depth = options->mask_depth;
        made.stack_size = options->stack_size;
    }
    rc = shell_submit(cx, &in, &made, &reply);
    if (rc == 0 && out != NULL)
        out->id = reply.made.id;
    return rc == -ASUP_ENOTFOUND ? -ASUP_ECLOSED : rc;
}

int
asup_cx_spawn(struct asup_cx *cx, asup_body body, void *arg, struct asup_task *out)
{
    return asup_cx_spawn_with(cx, NULL, body, arg, out);
}

int
asup_cx_join(struct asup_cx *cx, struct asup_task task, struct asup_outcome *out)
{
    struct shell *s;
    struct task_view view;
    struct input in;
    int rc = cx_check(cx);

    if (rc != 0)
        return rc;
    s = cx->object.shell;
    if (s->running != NULL && s->running->id == task.id)
        return -ASUP_EINVALID; /* it would wait for itself */
    in = cx_input(cx, IN_WAIT);
    in.region = 0;
    in.task = task.id;
    in.u.wait.timeout_ns = ASUP_NEVER;
    in.u.wait.until = WAIT_FINISHED;
    rc = shell_wait_request(cx, &in, WAIT_ORDINARY, NULL);
    if (rc != 0 || out == NULL)
        return rc;
    if (!kernel_task(s->kernel, task.id, &view))
        return -ASUP_ENOTFOUND;
    return shell_outcome(s, &view.outcome, out);
}

int
asup_cx_cancel(struct asup_cx *cx, struct asup_task task, const char *message)
{
    struct input in;
    int rc = cx_check(cx);

    if (rc != 0)
        return rc;
    in = cx_input(cx, IN_TASK_CANCEL);
    in.region = 0;
    in.task = task.id;
    in.u.cancel.drain_ns = ASUP_NEVER;
    in.u.cancel.message = cx_text(message, ASUP_MESSAGE_MAX);
    return shell_request(cx, &in, NULL);
}
