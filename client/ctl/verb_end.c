/* SPDX-License-Identifier: MIT */
/*
 * Verbs that end something, or wait for its end: wait, close, cancel, drain,
 * shutdown.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ctl.h"
#include "progress.h"
#include "render.h"
#include "request.h"
#include "target.h"
#include "wait.h"

int
verb_wait(struct ctl *ctl)
{
    struct asup_client_options how;
    int rc = targets_check(ctl, true, true, false);

    ctl_client_options(ctl, &how);
    how.without_session = true;
    if (rc == 0)
        rc = ctl_connect(ctl, &how);
    if (rc != 0)
        return rc;
    return wait_for_all(ctl, ctl->args.operands, (size_t)ctl->args.operand_count);
}

/* ---- close ---------------------------------------------------------------------------- */

static int
end_args(struct ctl *ctl, json_t *args)
{
    const char *message = args_value(&ctl->args, OPTION_MESSAGE);

    if (message != NULL)
        json_object_set_new(args, "message", json_string_nocheck(message));
    return request_duration(ctl, args, OPTION_DRAIN, "drain_ns");
}

/* Wait for one region that is closing. 0 when nothing of it is left. */
static int
close_wait(struct ctl *ctl, const char *region, uint64_t deadline)
{
    struct asup_error_info error;
    json_t *body = NULL;

    if (wait_closed(ctl, region, deadline, &body, &error) != 0) {
        if (error.code == -ASUP_ETIMEDOUT)
            snprintf(error.hint, sizeof error.hint, "what it waits for: asupersyncctl why %s",
                     region);
        return ctl_fail(ctl, &error);
    }
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    struct text line = {0};
    text_put(&line, "", 0);
    render_outcome(&line, &(struct look){.utf8 = ctl->err.utf8}, json_object_get(body, "outcome"));
    ctl_remark(ctl, "%s closed: %s", region, line.data);
    text_free(&line);
    json_decref(body);
    return 0;
}

int
verb_close(struct ctl *ctl)
{
    size_t count = (size_t)ctl->args.operand_count;
    bool waits = !args_have(&ctl->args, OPTION_NO_WAIT);
    char **regions = must_alloc(NULL, count * sizeof *regions);
    size_t closing = 0;
    uint64_t deadline;
    int worst = 0;
    int rc = targets_check(ctl, false, true, false);

    if (rc == 0)
        rc = wait_deadline(ctl, OPTION_WAIT_TIMEOUT, &deadline);
    json_t *args = json_object();
    if (rc == 0)
        rc = end_args(ctl, args);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0)
        goto out;
    const char *mode = args_have(&ctl->args, OPTION_FINISH)    ? "finish"
                       : args_have(&ctl->args, OPTION_MESSAGE) ? "cancel"
                                                               : "close";
    json_object_set_new(args, "mode", json_string(mode));
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_copy(args);
        json_t *body = NULL;
        json_object_set_new(one, "region", json_string_nocheck(ctl->args.operands[i]));
        int failed = ctl_ask(ctl, "region.close", one, &body);
        if (failed != 0) {
            worst = failed;
            continue;
        }
        regions[closing++] = must_copy(get_text(body, "region"));
        if (!waits && ctl->json)
            ctl_print_json(ctl, body);
        else
            json_decref(body);
    }
    for (size_t i = 0; i < closing && waits; i++) {
        int failed = close_wait(ctl, regions[i], deadline);
        if (failed != 0)
            worst = failed;
    }
    rc = worst;
out:
    for (size_t i = 0; i < closing; i++)
        free(regions[i]);
    free(regions);
    json_decref(args);
    return rc;
}

/* ---- cancel ----------------------------------------------------------------------------- */

int
verb_cancel(struct ctl *ctl)
{
    json_t *common = json_object();
    bool waits = args_have(&ctl->args, OPTION_WAIT);
    int worst = 0;
    int rc = targets_check(ctl, true, true, false);

    if (rc == 0)
        rc = end_args(ctl, common);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    for (int i = 0; rc == 0 && i < ctl->args.operand_count; i++) {
        const char *operand = ctl->args.operands[i];
        bool task = target_of(operand) == TARGET_TASK;
        json_t *args = target_args(operand);
        json_t *body = NULL;
        json_object_update(args, common);
        if (!task)
            json_object_set_new(args, "mode", json_string("cancel"));
        int failed = ctl_ask(ctl, task ? "task.cancel" : "region.close", args, &body);
        if (failed != 0)
            worst = failed;
        else if (ctl->json && !waits)
            ctl_print_json(ctl, body);
        else
            json_decref(body);
    }
    json_decref(common);
    if (rc != 0 || worst != 0 || !waits)
        return rc != 0 ? rc : worst;
    return wait_for_all(ctl, ctl->args.operands, (size_t)ctl->args.operand_count);
}

/* ---- shutdown and drain --------------------------------------------------------------------- */

/* A descriptor that becomes readable when the daemon's main process is gone;
 * -1 where that cannot be told (another pid namespace). */
static int
watch_daemon(const json_t *status)
{
    uint64_t pid = get_number(status, "pid", 0);
    char path[64];
    char name[32] = "";

    if (pid == 0)
        return -1;
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0U);
    /* Only one that looks like the daemon: the number may mean another here. */
    snprintf(path, sizeof path, "/proc/%llu/comm", (unsigned long long)pid);
    FILE *comm = fopen(path, "re");
    bool read_it = comm != NULL && fgets(name, sizeof name, comm) != NULL;
    if (comm != NULL)
        fclose(comm);
    if (fd >= 0 && !(read_it && strncmp(name, "asupersyncd", 11) == 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool
daemon_is_gone(struct ctl *ctl, int pidfd, int64_t wait_ms)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};
    struct asup_error_info error;

    if (pidfd >= 0)
        return poll(&gone, 1, (int)wait_ms) > 0;
    (void)poll(NULL, 0, (int)wait_ms);
    int rc = ctl_call(ctl, "daemon.status", NULL, 5000, NULL, &error);
    return rc == -ASUP_ENOTCONN || rc == -ASUP_EUNAVAILABLE;
}

/* Send an order that ends the daemon, and wait until it is gone. */
static int
end_daemon(struct ctl *ctl, const char *op, json_t *args)
{
    struct asup_client_options how;
    struct progress progress;
    json_t *status = NULL;
    int pidfd = -1;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    how.patience_ms = 0; /* nobody comes back, and that is what is waited for */
    int rc = ctl_connect(ctl, &how);
    if (rc == 0)
        rc = ctl_ask(ctl, "daemon.status", NULL, &status);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    pidfd = watch_daemon(status);
    json_decref(status);
    rc = ctl_ask(ctl, op, args, NULL);
    if (rc != 0 || args_have(&ctl->args, OPTION_NO_WAIT))
        goto out;
    progress_begin(&progress, ctl);
    for (int64_t step = 50; !daemon_is_gone(ctl, pidfd, step); step = progress_step_ms(&progress)) {
        struct asup_error_info unseen;
        json_t *tree = NULL;
        if (!progress.shown || ctl_call(ctl, "region.tree", NULL, 1000, &tree, &unseen) != 0)
            continue;
        progress_show(&progress, tree);
        json_decref(tree);
    }
    progress_end(&progress);
    ctl_remark(ctl, "the daemon is gone");
out:
    if (rc == 0 && ctl->json)
        ctl_print_json(ctl, json_pack("{s:b}", "gone", !args_have(&ctl->args, OPTION_NO_WAIT)));
    if (pidfd >= 0)
        close(pidfd);
    return rc;
}

int
verb_shutdown(struct ctl *ctl)
{
    json_t *args = json_object();
    int rc = request_duration(ctl, args, OPTION_WITHIN, "within_ns");

    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    return end_daemon(ctl, "daemon.shutdown", args);
}

int
verb_drain(struct ctl *ctl)
{
    return end_daemon(ctl, "daemon.drain", NULL);
}
