/* SPDX-License-Identifier: MIT */
/* A shell in virtual time: when nothing can run, it is the next instant that is due. */
#ifndef ASUPERSYNC_TESTS_CX_VIRTUAL_H
#define ASUPERSYNC_TESTS_CX_VIRTUAL_H

#include "cx/shell_internal.h"

struct virtual
{
    asup_time now;
    bool stuck;     /* nothing would ever happen any more */
    uint64_t asked; /* random numbers */
    char trace[4096];
    struct shell *shell;
    struct kernel_config config; /* changed before virtual_run() */
    size_t stack_size;
    size_t (*choose)(void *ctx, const uint64_t *tasks, size_t count);
    bool (*intervenes)(void *ctx, enum world_point point, uint64_t task);
    void (*stepped)(void *ctx, const struct kernel *k, const struct input *in,
                    const struct step *out);
    void *ctx; /* of the test */
};

void virtual_init(struct virtual *v);
/* Run it in a shell of its own; the result of asup_outcome_result(). */
int virtual_run(struct virtual *v, asup_body body, void *arg, struct kernel_outcome *out);

/* Words that tests share; what fails in them fails the test. */
struct asup_task spawned(struct asup_cx *cx, asup_body body, void *arg);
struct asup_outcome joined(struct asup_cx *cx, struct asup_task task);
/* A body: *(uint64_t *)arg ns, for ever without. */
int sleeps(struct asup_cx *cx, void *arg);

#endif
