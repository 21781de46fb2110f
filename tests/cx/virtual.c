/* SPDX-License-Identifier: MIT */
#include "virtual.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

static asup_time
now(void *ctx)
{
    return ((struct virtual *)ctx)->now;
}

static uint64_t
chance(void *ctx)
{
    return ++((struct virtual *)ctx)->asked;
}

static bool
idle(void *ctx, asup_time until)
{
    struct virtual *v = ctx;

    if (until == ASUP_NEVER) {
        v->stuck = true;
        return false;
    }
    v->now = until;
    return true;
}

static void
traced(void *ctx, uint64_t task, const char *text)
{
    struct virtual *v = ctx;
    size_t used = strlen(v->trace);

    (void)task;
    (void)snprintf(v->trace + used, sizeof v->trace - used, "%s\n", text);
}

void
virtual_init(struct virtual *v)
{
    memset(v, 0, sizeof *v);
    v->now = ASUP_NS_PER_S;
    v->stack_size = 65536;
    shell_kernel_config_init(&v->config, 200000);
}

int
virtual_run(struct virtual *v, asup_body body, void *arg, struct kernel_outcome *out)
{
    const struct shell_options options = {.kernel = v->config, .stack_size = v->stack_size};
    const struct world world = {.ctx = v,
                                .now = now,
                                .random = chance,
                                .idle = idle,
                                .traced = traced,
                                .choose = v->choose,
                                .intervenes = v->intervenes,
                                .stepped = v->stepped};
    struct kernel_outcome outcome;
    int rc;

    v->shell = shell_new(&options, &world);
    ck_assert_ptr_nonnull(v->shell);
    ck_assert_int_eq(shell_run(v->shell, body, arg, &outcome), 0);
    rc = shell_result(&outcome);
    if (out != NULL)
        *out = outcome;
    shell_free(v->shell);
    v->shell = NULL;
    return rc;
}

struct asup_task
spawned(struct asup_cx *cx, asup_body body, void *arg)
{
    struct asup_task task = {0};

    ck_assert_int_eq(asup_cx_spawn(cx, body, arg, &task), 0);
    return task;
}

struct asup_outcome
joined(struct asup_cx *cx, struct asup_task task)
{
    struct asup_outcome out;

    ck_assert_int_eq(asup_cx_join(cx, task, &out), 0);
    return out;
}

int
sleeps(struct asup_cx *cx, void *arg)
{
    return asup_cx_sleep(cx, arg == NULL ? ASUP_NEVER : *(uint64_t *)arg);
}
