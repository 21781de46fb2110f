/* SPDX-License-Identifier: MIT */
#include "wait.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "progress.h"
#include "render.h"
#include "target.h"

int
wait_deadline(struct ctl *ctl, enum option_id id, uint64_t *deadline_ns)
{
    const char *value = args_value(&ctl->args, id);
    uint64_t ns;

    *deadline_ns = UINT64_MAX;
    if (value == NULL)
        return 0;
    if (!parse_duration(value, &ns))
        return ctl_bad_value(ctl, id, value, DURATION_FORMS);
    uint64_t now = now_steady_ns();
    if (ns < UINT64_MAX - now)
        *deadline_ns = now + ns;
    return 0;
}

int64_t
wait_left_ms(uint64_t deadline_ns)
{
    uint64_t now = now_steady_ns();

    if (deadline_ns == UINT64_MAX)
        return -1;
    return deadline_ns <= now ? 0 : (int64_t)((deadline_ns - now + 999999) / 1000000);
}

/* ---- Until it has ended ------------------------------------------------------------ */

/* What `--until` says about a task that has come so far: its outcome decides
 * unless what was waited for has happened. */
static bool
reached(const char *until, const json_t *task)
{
    if (until == NULL || strcmp(until, "finished") == 0)
        return false;
    if (strcmp(until, "ready") == 0)
        return get_true(task, "ready");
    return get_number(task, "started_age_ns", UINT64_MAX) != UINT64_MAX ||
           get_number(task, "pid", 0) != 0;
}

static void
print_end(struct ctl *ctl, const char *id, json_t *body)
{
    const json_t *outcome = json_object_get(body, "outcome");

    if (ctl->json) {
        ctl_print_json(ctl, body);
        return;
    }
    struct text line = {0};
    text_addf(&line, "%s: ", id);
    if (json_is_object(outcome))
        render_outcome(&line, &ctl->err, outcome);
    else
        render_state(&line, &ctl->err, get_text(body, "state"));
    if (!ctl->quiet)
        fprintf(stderr, "%s\n", line.data);
    text_free(&line);
    json_decref(body);
}

/* Wait for one: until it has come so far, or has ended without. What it waits
 * for may have become impossible before the outcome is known: ask again then. */
static int
wait_for_one(struct ctl *ctl, const char *id, const char *until, uint64_t deadline, json_t **body,
             struct asup_error_info *error)
{
    bool task = target_of(id) == TARGET_TASK;
    int rc;

    for (;;) {
        json_t *args = target_args(id);
        if (task && until != NULL)
            json_object_set_new(args, "until", json_string(until));
        rc = ctl_call(ctl, task ? "task.wait" : "region.wait", args, wait_left_ms(deadline), body,
                      error);
        if (rc != 0 || until == NULL || reached(until, *body) ||
            json_is_object(json_object_get(*body, "outcome")))
            return rc;
        json_decref(*body);
        until = NULL;
    }
}

int
wait_for_all(struct ctl *ctl, char *const *ids, size_t count)
{
    const char *until = args_value(&ctl->args, OPTION_UNTIL);
    struct asup_error_info error;
    uint64_t deadline;
    int worst = -1;
    int exit_code = 0;
    int failed = wait_deadline(ctl, OPTION_WAIT_TIMEOUT, &deadline);

    if (failed != 0)
        return failed;
    if (until != NULL && strcmp(until, "started") != 0 && strcmp(until, "ready") != 0 &&
        strcmp(until, "finished") != 0)
        return ctl_bad_value(ctl, OPTION_UNTIL, until, "started, ready, finished");
    for (size_t i = 0; i < count; i++) {
        bool task = target_of(ids[i]) == TARGET_TASK;
        json_t *body = NULL;
        if (wait_for_one(ctl, ids[i], until, deadline, &body, &error) != 0) {
            failed = ctl_fail(ctl, &error);
            continue;
        }
        const json_t *outcome = json_object_get(body, "outcome");
        int severity = outcome_severity(outcome);
        if (reached(until, body)) {
            severity = 0;
        } else if (json_is_object(outcome) && severity > worst) {
            exit_code = outcome_exit_code(outcome);
            /* It ended well without ever becoming ready. */
            if (exit_code == 0 && task && until != NULL && strcmp(until, "finished") != 0)
                exit_code = 1;
        }
        if (severity > worst)
            worst = severity;
        print_end(ctl, ids[i], body);
    }
    return failed != 0 ? failed : exit_code;
}

/* ---- Until it is closed ------------------------------------------------------------- */

int
wait_closed(struct ctl *ctl, const char *region, uint64_t deadline_ns, json_t **body,
            struct asup_error_info *error)
{
    struct progress progress;
    int64_t step = 50; /* what closes at once is not worth a display */
    int rc;

    progress_begin(&progress, ctl);
    for (;;) {
        int64_t left = wait_left_ms(deadline_ns);
        int64_t timeout = !progress.shown ? left : left >= 0 && left < step ? left : step;
        json_t *tree = NULL;
        struct asup_error_info unseen;
        rc = ctl_call(ctl, "region.wait", json_pack("{s:s}", "region", region), timeout, body,
                      error);
        if (rc != -ASUP_ETIMEDOUT || wait_left_ms(deadline_ns) == 0)
            break;
        if (progress.shown && ctl_call(ctl, "region.tree", json_pack("{s:s}", "region", region),
                                       5000, &tree, &unseen) == 0) {
            progress_show(&progress, tree);
            json_decref(tree);
        }
        step = progress_step_ms(&progress);
    }
    progress_end(&progress);
    return rc;
}

/* ---- While signals may come ----------------------------------------------------------- */

json_t *
cancel_by_signal_args(const char *region, const char *what, unsigned cancels)
{
    json_t *args =
        json_pack("{s:s, s:s, s:s}", "region", region, "mode", "cancel", "message", what);

    if (cancels > 1)
        json_object_set_new(args, "drain_ns", json_integer(0));
    return args;
}

struct answer {
    bool here;
    int code;
    json_t *body;
    struct asup_error_info *error;
};

static void
on_answer(void *arg, int code, const void *body, size_t body_size)
{
    struct answer *answer = arg;

    answer->here = true;
    answer->code = ctl_answer(code, body, body_size, &answer->body, answer->error);
}

int
wait_with_signals(struct ctl *ctl, const char *region, int signals, unsigned *cancels,
                  json_t **body, struct asup_error_info *error)
{
    struct answer answer = {.error = error};
    int rc = ctl_start(ctl, "region.wait", json_pack("{s:s}", "region", region), on_answer, &answer,
                       error);

    while (rc == 0 && !answer.here) {
        struct pollfd fds[] = {{.fd = asup_client_fd(ctl->client), .events = POLLIN},
                               {.fd = signals, .events = POLLIN}};
        struct signalfd_siginfo info;
        (void)poll(fds, 2, -1);
        (void)asup_client_dispatch(ctl->client);
        if (answer.here || read(signals, &info, sizeof info) != (ssize_t)sizeof info)
            continue;
        char what[32];
        struct asup_error_info unseen;
        snprintf(what, sizeof what, "SIG%s", sigabbrev_np((int)info.ssi_signo));
        ++*cancels;
        ctl_remark(ctl, "%s %s", *cancels > 1 ? "killing" : "cancelling", region);
        (void)ctl_call(ctl, "region.close", cancel_by_signal_args(region, what, *cancels), 5000,
                       NULL, &unseen);
    }
    if (rc == 0)
        rc = answer.code;
    *body = answer.body;
    return rc;
}
