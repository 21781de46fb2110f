/* SPDX-License-Identifier: MIT */
/*
 * run -- CMD: a command in a region of its own, as if it ran here.
 *
 *     open the region, attached to this session
 *       -> hand over stdio, submit the task
 *         -> wait for the task   (meanwhile: relay the terminal, take signals)
 *           -> finish the region, wait until it is closed
 *             -> exit by its outcome
 *
 * One loop over three descriptors: the daemon's answers, signals, the
 * terminal. A cancel may come at any moment; before the region is there it is
 * remembered. If this process is killed its session ends, and with it the
 * region.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "asupersync/capability.h"
#include "asupersync/values.h"

#include "ctl.h"
#include "guard.h"
#include "relay.h"
#include "render.h"
#include "request.h"
#include "wait.h"
#include "wire_json.h"

/* How long the program is given for tidying its screen after ^Z. */
#define SUSPEND_AFTER_NS (100 * ASUP_NS_PER_MS)
/* How often it is looked for while the daemon has not told who it is, and for
 * how long: then this command stops alone. */
#define SUSPEND_AGAIN_NS (20 * ASUP_NS_PER_MS)
#define SUSPEND_LOOK_NS (2 * ASUP_NS_PER_S)
/* How long to wait for the pty to be let go of after the task is gone. */
#define DRAIN_OUTPUT_NS (500 * ASUP_NS_PER_MS)

/* One wish to stop may come as two signals: timeout(1) tells its child and then
 * its group. So until the first was answered, or for this long. */
#define SAME_WISH_NS (100 * ASUP_NS_PER_MS)

/* How often a background job looks whether it is in the foreground. */
#define LOOK_AGAIN_NS (200 * ASUP_NS_PER_MS)

/* The outcome of what nobody knows the end of. */
#define EXIT_LOST 70

struct run {
    struct ctl *ctl;
    struct relay relay;
    int fds[3];
    int offer; /* the connection that handed the streams over; -1: it has ended */
    uint8_t token[ASUP_STDIO_TOKEN_SIZE];
    uint64_t offer_look_at_ns; /* 0: its end is no question */
    int signals;
    json_t *task_args;     /* until submitted */
    char *region;          /* NULL until opened */
    char *task;            /* NULL until submitted */
    json_t *end;           /* what has an outcome, once it is there */
    const char *cancel_by; /* "Ctrl-C", "SIGTERM", ...; NULL: not cancelled */
    unsigned cancels;
    uint64_t signalled_at_ns; /* 0: none that is not answered yet */
    uint64_t suspend_at_ns;   /* 0: not asked for */
    uint64_t suspend_by_ns;   /* at the latest */
    uint64_t drain_until_ns;
    bool task_ended;
    bool closing;
    bool in_region; /* a task of a region that is not this command's own */
    bool drains;    /* the first wish to stop is for the program to see to */
    bool done;
    int exit_code;
};

static void
run_fail(struct run *run, int exit_code)
{
    run->exit_code = exit_code;
    run->done = true;
}

/* Refused, or the daemon is gone: say so on a terminal as it was. */
static void
run_refused(struct run *run, const struct asup_error_info *error)
{
    relay_give_terminal(&run->relay);
    run->ctl->raw = false;
    run_fail(run, ctl_fail(run->ctl, error));
}

/* Start the next call; what it says comes to `fn`. */
static void
run_call(struct run *run, const char *op, json_t *args, asup_reply_fn fn)
{
    struct asup_error_info error;

    if (ctl_start(run->ctl, op, args, fn, run, &error) != 0)
        run_refused(run, &error);
}

/* ---- The end ----------------------------------------------------------------------------- */

/* What to look at, by the stage at which a program could not be started. */
static const char *
stage_advice(const char *stage, uint64_t number)
{
    static const struct {
        const char *stage, *advice;
    } rows[] = {
        {"chdir", "the directory it was to run in: --cwd, else this one"},
        {"stdin", "the file of --stdin, opened as the user it runs as"},
        {"stdout", "the file of --stdout, opened as the user it runs as"},
        {"stderr", "the file of --stderr, opened as the user it runs as"},
        {"user", "run-as.conf decides who may run tasks, see asupersyncd(8)"},
    };

    if (strcmp(stage, "limits") == 0 && number == EOPNOTSUPP)
        return "asupersyncctl status says which limits do not work here";
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(stage, rows[i].stage) == 0)
            return rows[i].advice;
    }
    return NULL;
}

/* What a shell would say, and only that: a plain exit code speaks for itself. */
static void
say_outcome(struct run *run, const json_t *outcome)
{
    const json_t *error = json_object_get(outcome, "error");
    struct look plain = {.utf8 = run->ctl->err.utf8};
    struct text words = {0};

    if (outcome_severity(outcome) < 1 || (outcome_severity(outcome) == 1 && !json_is_object(error)))
        return;
    text_put(&words, "", 0);
    render_outcome(&words, &plain, outcome);
    if (outcome_severity(outcome) == 1)
        ctl_remark(run->ctl, "%s: %s", run->ctl->args.command[0], words.data);
    else
        ctl_remark(run->ctl, "%s", words.data);
    const char *advice = stage_advice(get_text(error, "stage"), get_number(error, "errno", 0));
    if (advice != NULL && !run->ctl->quiet)
        fprintf(stderr, "  hint: %s%s", advice, run->ctl->raw ? "\r\n" : "\n");
    text_free(&words);
}

/* The daemon no longer knows what it ran: its engine was started again. */
static bool
was_lost(const struct asup_error_info *error)
{
    return error->code == -ASUP_ENOTFOUND || error->code == -ASUP_EEXPIRED;
}

static void
run_lost(struct run *run, const struct asup_error_info *error)
{
    if (!was_lost(error)) {
        run_refused(run, error);
        return;
    }
    relay_give_terminal(&run->relay);
    run->ctl->raw = false;
    (void)ctl_failf(run->ctl, error->code, "the daemon's log says why",
                    "the daemon was started again; the command was killed");
    run_fail(run, EXIT_LOST);
}

/* The body of an answer about what runs already; NULL: what is wrong has been told. */
static json_t *
run_answer(struct run *run, int code, const void *bytes, size_t size)
{
    struct asup_error_info error;
    json_t *body;

    if (ctl_answer(code, bytes, size, &body, &error) == 0)
        return body;
    run_lost(run, &error);
    return NULL;
}

/* The end of what ran, told by `run->end`. */
static void
run_end(struct run *run)
{
    json_t *body = run->end;
    const json_t *outcome = json_object_get(body, "outcome");

    run->end = NULL;
    run->exit_code = outcome_exit_code(outcome);
    run->done = true;
    relay_give_terminal(&run->relay);
    run->ctl->raw = false;
    if (!run->ctl->json) {
        say_outcome(run, outcome);
        json_decref(body);
        return;
    }
    json_object_set_new(body, "task", json_string(run->task != NULL ? run->task : ""));
    json_object_set_new(body, "exit_code", json_integer(run->exit_code));
    ctl_print_json(run->ctl, body);
}

static void
on_closed(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    json_t *body = run_answer(run, code, bytes, size);

    if (body == NULL)
        return;
    json_decref(run->end); /* the task's; the region's says more */
    run->end = body;
    run_end(run);
}

static void
on_finish(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    json_t *body = run_answer(run, code, bytes, size);

    if (body == NULL)
        return;
    json_decref(body);
    run_call(run, "region.wait", json_pack("{s:s}", "region", run->region), on_closed);
}

/* Nothing of the task is left and its output is shown: close its region. */
static void
run_finish(struct run *run)
{
    run->closing = true;
    if (run->in_region) {
        run_end(run);
        return;
    }
    relay_give_terminal(&run->relay);
    run->ctl->raw = false;
    run_call(run, "region.close", json_pack("{s:s, s:s}", "region", run->region, "mode", "finish"),
             on_finish);
}

/* ---- Cancelling ---------------------------------------------------------------------------- */

/* The tree of what a cancel waits for, and the time it has. */
static void
on_draining(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    struct asup_error_info error;
    struct text words = {0};
    struct text line = {0};
    json_t *tree;

    run->signalled_at_ns = 0; /* answered: the next one is another wish */
    if (ctl_answer(code, bytes, size, &tree, &error) != 0 || run->done)
        return;
    if (render_draining(&words, &run->ctl->err, tree, 5) > 0 && !run->ctl->quiet) {
        text_addf(&line, "asupersyncctl: %s: cancelling %s; press Ctrl-C again to kill\n%s",
                  run->cancel_by, run->region, words.data);
        /* The terminal may be raw. */
        for (size_t i = 0; i < line.size; i++) {
            if (line.data[i] == '\n' && run->relay.raw)
                fputc('\r', stderr);
            fputc(line.data[i], stderr);
        }
        fflush(stderr);
    }
    text_free(&words);
    text_free(&line);
    json_decref(tree);
}

static void
on_cancelled(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    struct asup_error_info error;
    json_t *body;

    /* A failure shows in what is waited for. */
    if (ctl_answer(code, bytes, size, &body, &error) != 0)
        return;
    json_decref(body);
    if (run->cancels > 1)
        ctl_remark(run->ctl, "%s: killing %s", run->cancel_by,
                   run->in_region ? run->task : run->region);
    else if (run->in_region)
        ctl_remark(run->ctl, "%s: cancelling %s; press Ctrl-C again to kill", run->cancel_by,
                   run->task);
    else if (!run->done)
        run_call(run, "region.tree", json_pack("{s:s}", "region", run->region), on_draining);
}

/* Ask the program itself, and nothing that it has started. */
static bool
run_ask_program(struct run *run)
{
    struct asup_error_info error;
    json_t *body = NULL;
    pid_t pid;

    if (!run->drains || run->cancels > 1 || run->task == NULL ||
        ctl_call(run->ctl, "task.stat", json_pack("{s:s}", "task", run->task), 2000, &body,
                 &error) != 0)
        return false;
    pid = (pid_t)get_number(body, "pid", 0);
    json_decref(body);
    return pid > 0 && kill(pid, SIGTERM) == 0;
}

static void
run_cancel(struct run *run, const char *by)
{
    run->cancel_by = by;
    run->cancels++;
    if (run_ask_program(run)) {
        run->signalled_at_ns = 0;
        return;
    }
    if (run->in_region && run->task != NULL) {
        json_t *args = json_pack("{s:s, s:s}", "task", run->task, "message", by);

        if (run->cancels > 1)
            json_object_set_new(args, "drain_ns", json_integer(0));
        run->signalled_at_ns = 0;
        run_call(run, "task.cancel", args, on_cancelled);
    } else if (run->region != NULL && !run->in_region) {
        run_call(run, "region.close", cancel_by_signal_args(run->region, by, run->cancels),
                 on_cancelled);
    } else if (run->cancels > 1) {
        /* Nothing runs yet; the daemon is slow, the user is not. */
        run_fail(run, 128 + SIGINT);
    }
}

/* ---- Streams that were not taken --------------------------------------------------------- */

/* How long after the connection's end to ask whether the program has them. */
#define OFFER_LOOK_NS (100 * ASUP_NS_PER_MS)

static void
offer_again(struct run *run)
{
    struct asup_error_info error;

    run->offer = asup_stdio_offer_again(run->ctl->client, run->fds, run->token, &error);
    if (run->offer < 0) /* no engine yet */
        run->offer_look_at_ns = now_steady_ns() + OFFER_LOOK_NS;
}

static void
on_offer_looked(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    struct asup_error_info error;
    json_t *task;

    if (run->task_ended || run->done || ctl_answer(code, bytes, size, &task, &error) != 0)
        return;
    if (get_number(task, "started_age_ns", UINT64_MAX) != UINT64_MAX)
        relay_handed_over(&run->relay);
    else
        offer_again(run);
    json_decref(task);
}

/* The program has taken the streams, and its start closed the connection; or
 * the engine died before, and wants them again. */
static void
run_offer_ended(struct run *run)
{
    if (run->offer >= 0)
        close(run->offer);
    run->offer = -1;
    run->offer_look_at_ns = now_steady_ns() + OFFER_LOOK_NS;
}

static void
run_offer_look(struct run *run)
{
    run->offer_look_at_ns = 0;
    if (run->task != NULL)
        run_call(run, "task.stat", json_pack("{s:s}", "task", run->task), on_offer_looked);
    else
        offer_again(run); /* its submission is not even answered */
}

/* ---- The way there --------------------------------------------------------------------------- */

static void
on_ended(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    json_t *body = run_answer(run, code, bytes, size);

    if (body == NULL)
        return;
    json_decref(run->end);
    run->end = body;
    run->task_ended = true;
    run->offer_look_at_ns = 0;
    relay_handed_over(&run->relay);
    run->drain_until_ns = now_steady_ns() + DRAIN_OUTPUT_NS;
    if (run->offer >= 0)
        close(run->offer);
    run->offer = -1;
}

static void
on_submitted(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    struct asup_error_info error;
    json_t *body;

    if (ctl_answer(code, bytes, size, &body, &error) != 0) {
        /* Cancelled in between: the region's outcome says it all. */
        if (error.code == -ASUP_ECLOSED && run->cancels > 0 && !run->in_region)
            run_finish(run);
        else
            run_refused(run, &error);
        return;
    }
    run->task = must_copy(get_text(body, "task"));
    if (error.message[0] != '\0')
        ctl_remark(run->ctl, "advice: %s", error.message);
    json_decref(body);
    run_call(run, "task.wait", json_pack("{s:s}", "task", run->task), on_ended);
    if (run->in_region && run->cancels > 0) {
        run->cancels--;
        run_cancel(run, run->cancel_by);
    }
}

/* Hand the standard streams over, and submit. */
static void
run_submit(struct run *run)
{
    struct asup_error_info error;

    run->offer = asup_stdio_offer(run->ctl->client, run->fds, run->token, &error);
    if (run->offer < 0) {
        error.code = run->offer;
        run_refused(run, &error);
        return;
    }
    /* Before there is anything to show. */
    relay_take_terminal(&run->relay);
    run->ctl->raw = run->relay.raw;
    json_object_set_new(run->task_args, "stdio", json_wire_bytes(run->token, sizeof run->token));
    json_object_set_new(run->task_args, "region", json_string(run->region));
    json_t *args = run->task_args;
    run->task_args = NULL;
    run_call(run, "task.submit", args, on_submitted);
}

static void
on_opened(void *arg, int code, const void *bytes, size_t size)
{
    struct run *run = arg;
    struct asup_error_info error;
    json_t *body;

    if (ctl_answer(code, bytes, size, &body, &error) != 0) {
        run_refused(run, &error);
        return;
    }
    run->region = must_copy(get_text(body, "region"));
    json_decref(body);
    if (run->cancels > 0) {
        run_call(run, "region.close",
                 cancel_by_signal_args(run->region, run->cancel_by, run->cancels), on_finish);
        return;
    }
    run_submit(run);
}

/* ---- The guard of a task in another region --------------------------------------------------- */

/* See guard.h. 0 or an exit code. */
static int
run_guarded(struct run *run)
{
    struct asup_region_options region;
    struct asup_cx_options options;
    struct asup_error_info error;
    uint8_t token[ASUP_CX_SIZE];
    char hex[ASUP_CX_TEXT_SIZE];
    char id[ASUP_REF_TEXT_SIZE];
    json_t *env = json_object_get(run->task_args, "env");
    int rc;

    asup_region_options_init(&region);
    region.attach = true;
    asup_cx_options_init(&options);
    options.rights = ASUP_RIGHT_OBSERVE;
    rc = asup_client_region_open(run->ctl->client, &region, &options.region, &error);
    if (rc == 0)
        rc = asup_client_cx_derive(run->ctl->client, &options, NULL, token, &error);
    if (rc != 0)
        return ctl_fail(run->ctl, &error);
    asup_cx_format(token, hex);
    asup_ref_format((struct asup_ref){options.region.id, ASUP_SORT_REGION}, id, sizeof id);
    if (env == NULL) {
        env = json_object();
        json_object_set_new(run->task_args, "env", env);
    }
    json_object_set_new(env, GUARD_VARIABLE, json_sprintf("%s:%s", id, hex));
    return 0;
}

/* ---- Signals and keys ---------------------------------------------------------------------------
 */

/* Whom to stop: the program's foreground group on its pty, else the group of
 * its main process, which leads a session of its own. */
static pid_t
group_to_stop(struct run *run)
{
    struct asup_error_info error;
    json_t *body = NULL;
    pid_t group = relay_foreground(&run->relay);

    if (group != 0 || run->task == NULL)
        return group;
    if (ctl_call(run->ctl, "task.stat", json_pack("{s:s}", "task", run->task), 2000, &body,
                 &error) != 0)
        return 0;
    group = (pid_t)get_number(body, "pid", 0);
    json_decref(body);
    return group;
}

/* Stop the program and this command, as a shell's job; go on with `fg`. */
static void
run_suspend(struct run *run)
{
    pid_t group = group_to_stop(run);
    uint64_t now = now_steady_ns();

    /* It may run before its start has been told. */
    if (run->suspend_by_ns == 0)
        run->suspend_by_ns = now + SUSPEND_LOOK_NS;
    if (group <= 0 && !run->task_ended && now < run->suspend_by_ns) {
        run->suspend_at_ns = now + SUSPEND_AGAIN_NS;
        return;
    }
    run->suspend_at_ns = 0;
    run->suspend_by_ns = 0;
    /* Another user's program (sudo) cannot be stopped, so neither does this. */
    if (group > 0 && kill(-group, SIGSTOP) < 0 && errno != ESRCH)
        return;
    relay_flush(&run->relay);
    relay_give_terminal(&run->relay);
    run->ctl->raw = false;
    raise(SIGSTOP);
    /* Continued. */
    relay_take_terminal(&run->relay);
    run->ctl->raw = run->relay.raw;
    if (group > 0)
        (void)kill(-group, SIGCONT);
}

static void
run_key(struct run *run, enum relay_key key)
{
    if (key == RELAY_KEY_CANCEL)
        run_cancel(run, "Ctrl-C");
    else if (key == RELAY_KEY_SUSPEND && run->suspend_at_ns == 0)
        run->suspend_at_ns = now_steady_ns() + SUSPEND_AFTER_NS;
}

static void
run_cancel_by_signal(struct run *run, const char *by)
{
    uint64_t now = now_steady_ns();

    if (run->signalled_at_ns != 0 && now - run->signalled_at_ns < SAME_WISH_NS)
        return;
    run->signalled_at_ns = now;
    run_cancel(run, by);
}

static void
run_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGINT:
            run_cancel_by_signal(run, "Ctrl-C");
            break;
        case SIGTERM:
            run_cancel_by_signal(run, "SIGTERM");
            break;
        case SIGHUP:
            run_cancel_by_signal(run, "SIGHUP");
            break;
        case SIGQUIT: /* at once */
            run->cancels++;
            run_cancel(run, "SIGQUIT");
            break;
        case SIGWINCH:
            relay_resize(&run->relay);
            break;
        case SIGTSTP:
            run_suspend(run);
            break;
        case SIGCONT:
            /* Perhaps in the foreground now. */
            if (run->task != NULL && !run->task_ended)
                relay_take_terminal(&run->relay);
            run->ctl->raw = run->relay.raw;
            break;
        default:
            break;
        }
    }
}

/* ---- The loop
 * -------------------------------------------------------------------------------------- */

/* In the background with a pty: a shell's `fg` gives the terminal to a job that
 * runs without a word to it. */
static bool
waits_for_terminal(const struct run *run)
{
    return run->relay.master >= 0 && !run->relay.raw && !run->relay.program_gone &&
           run->task != NULL && !run->task_ended;
}

/* Milliseconds until something is due; -1: nothing is. */
static int
run_timeout(const struct run *run)
{
    uint64_t due = UINT64_MAX;

    if (waits_for_terminal(run))
        due = now_steady_ns() + LOOK_AGAIN_NS;

    if (run->suspend_at_ns != 0 && run->suspend_at_ns < due)
        due = run->suspend_at_ns;
    if (run->offer_look_at_ns != 0 && run->offer_look_at_ns < due)
        due = run->offer_look_at_ns;
    if (run->task_ended && !run->closing && run->drain_until_ns < due)
        due = run->drain_until_ns;
    return (int)wait_left_ms(due);
}

static void
run_loop(struct run *run)
{
    while (!run->done) {
        struct pollfd fds[6] = {{.fd = asup_client_fd(run->ctl->client), .events = POLLIN},
                                {.fd = run->signals, .events = POLLIN},
                                {.fd = run->offer}};
        size_t relayed = relay_poll(&run->relay, fds + 3);

        if (poll(fds, 3 + relayed, run_timeout(run)) < 0 && errno != EINTR)
            break;
        run_key(run, relay_move(&run->relay, fds + 3, relayed));
        run_signals(run);
        if (fds[2].revents != 0 && !run->task_ended)
            run_offer_ended(run);
        (void)asup_client_dispatch(run->ctl->client);
        /* It let go of its terminal: Ctrl-C comes as a signal again. */
        if (run->relay.program_gone && run->relay.raw) {
            relay_give_terminal(&run->relay);
            run->ctl->raw = false;
        }
        if (waits_for_terminal(run)) {
            relay_take_terminal(&run->relay);
            run->ctl->raw = run->relay.raw;
        }
        uint64_t now = now_steady_ns();
        if (run->suspend_at_ns != 0 && now >= run->suspend_at_ns)
            run_suspend(run);
        if (run->offer_look_at_ns != 0 && now >= run->offer_look_at_ns)
            run_offer_look(run);
        if (run->task_ended && !run->closing && !run->done &&
            (relay_drained(&run->relay) || now >= run->drain_until_ns))
            run_finish(run);
    }
}

/* ---- The verb
 * -------------------------------------------------------------------------------------- */

/* Signals come in by a descriptor. Before the library's threads begin, so that
 * none of them takes one. */
static int
block_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};
    sigset_t set;
    sigset_t blocked;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        sigaddset(&set, numbers[i]);
    blocked = set;
    /* Setting the terminal from the background is asked for only in the
     * foreground; a change in between must not stop this process. */
    sigaddset(&blocked, SIGTTOU);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Streams, signals and the loop around what was asked for first. */
static int
run_here(struct run *run, json_t *region)
{
    struct ctl *ctl = run->ctl;
    struct asup_client_options how;
    int rc;

    run->signals = block_signals();
    ctl_client_options(ctl, &how);
    how.session_ttl_ns = ATTACHED_TTL_NS;
    rc = ctl_connect(ctl, &how);
    if (rc == 0 && run->in_region)
        rc = run_guarded(run);
    if (rc != 0) {
        json_decref(region);
        return rc;
    }
    /* With its input from a file the command needs no terminal of its own. */
    rc = relay_open(&run->relay, args_value(&ctl->args, OPTION_STDIN) == NULL, run->fds);
    if (rc < 0)
        ctl_remark(ctl, "no pty: %s; the command gets the terminal itself", strerror(-rc));
    if (run->relay.master >= 0)
        json_object_set_new(run->task_args, "tty", json_true());
    if (run->in_region)
        run_submit(run);
    else
        run_call(run, "region.open", region, on_opened);
    run_loop(run);
    relay_close(&run->relay);
    ctl->raw = false;
    return run->exit_code;
}

static void
run_free(struct run *run)
{
    if (run->offer >= 0)
        close(run->offer);
    if (run->signals >= 0)
        close(run->signals);
    json_decref(run->task_args);
    json_decref(run->end);
    free(run->region);
    free(run->task);
}

int
verb_run(struct ctl *ctl)
{
    struct run run = {.ctl = ctl, .offer = -1, .signals = -1, .exit_code = EXIT_DAEMON};
    json_t *region = json_object();
    int rc;

    ctl->stream = true; /* one line, as the last */
    run.task_args = json_object();
    request_parent(ctl, region);
    json_object_set_new(region, "attach", json_true());
    rc = request_region_options(ctl, region, ENVIRONMENT_OWN);
    if (rc == 0)
        rc = request_process(ctl, run.task_args, ctl->args.command, ENVIRONMENT_OWN);
    if (rc == 0)
        rc = run_here(&run, region);
    else
        json_decref(region);
    run_free(&run);
    return rc;
}

int
run_draining(struct ctl *ctl, json_t *task_args)
{
    struct run run = {.ctl = ctl,
                      .offer = -1,
                      .signals = -1,
                      .exit_code = EXIT_DAEMON,
                      .drains = true,
                      .task_args = task_args};
    int rc;

    ctl->stream = true;
    rc = run_here(&run, json_pack("{s:b}", "attach", 1));
    run_free(&run);
    return rc;
}

int
run_in_region(struct ctl *ctl, const char *region, json_t *task_args)
{
    struct run run = {.ctl = ctl,
                      .offer = -1,
                      .signals = -1,
                      .exit_code = EXIT_DAEMON,
                      .in_region = true,
                      .task_args = task_args,
                      .region = must_copy(region)};
    int rc;

    ctl->stream = true;
    rc = run_here(&run, NULL);
    run_free(&run);
    return rc;
}
