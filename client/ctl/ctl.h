/* SPDX-License-Identifier: MIT */
/*
 * What every verb has at hand: its arguments, the daemon, the two streams, and
 * one way to fail.
 *
 * Standard output carries what was asked for and nothing else: ids, listings,
 * JSON. Remarks, progress and errors go to standard error; with --json errors
 * are JSON objects on standard output, too (`run` leaves standard output to
 * its command and writes to standard error).
 */
#ifndef ASUPERSYNC_CTL_CTL_H
#define ASUPERSYNC_CTL_CTL_H

#include <jansson.h>

#include "asupersync/client.h"

#include "args.h"
#include "fields.h"
#include "text.h"

/* Exit codes beside those of outcomes. */
enum {
    EXIT_QUIESCENT = 0,
    EXIT_USAGE = 64,
    EXIT_WAIT_TIMEOUT = 75,
    EXIT_DAEMON = 125, /* could not be reached, or refused */
};

/* The version of the JSON that --json prints, under the key "format". Keys are
 * only ever added within one version. */
#define JSON_FORMAT 1

struct ctl {
    struct args args;
    struct asup_client *client; /* NULL before ctl_connect() */
    bool json;
    bool quiet;
    uint8_t session[ASUP_SECRET_SIZE]; /* $ASUPERSYNC_SESSION */
    bool has_cx;                       /* --cx */
    const char *key;                   /* --key; NULL: none */
    uint64_t key_retention_ns;
    uint8_t cx[ASUP_CX_SIZE];
    bool raw;          /* the terminal is raw: lines end in \r\n */
    bool stream;       /* many objects: one a line */
    FILE *json_stream; /* NULL: standard output */
    struct look out;   /* standard output */
    struct look err;   /* standard error */
};

/* ---- Failing ---------------------------------------------------------------- */

/* Print an error and return the exit code for it. */
int ctl_usage(struct ctl *ctl, const char *message, const char *hint);
int ctl_fail(struct ctl *ctl, const struct asup_error_info *error);
int ctl_failf(struct ctl *ctl, int code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A value that could not be understood; says what is accepted. */
int ctl_bad_value(struct ctl *ctl, enum option_id id, const char *value, const char *accepted);

/* Give --key to the next typed call of the library. */
int ctl_next_key(struct ctl *ctl);

/* A line to standard error, unless --quiet. */
/* Is there something that holds what this command asks for when it has ended: a
 * task that it shows the capability of; a session in $ASUPERSYNC_SESSION. */
bool ctl_in_task(const struct ctl *ctl);
bool ctl_in_session(void);

void ctl_remark(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- Printing ---------------------------------------------------------------- */

/* Print what was asked for and release it. */
void ctl_print(struct text *t);
/* Print the object as --json does, the format added; consumes it. */
void ctl_print_json(struct ctl *ctl, json_t *object);

/* ---- The daemon ----------------------------------------------------------------- */

/* Connect; 0 or an exit code. */
int ctl_connect(struct ctl *ctl, const struct asup_client_options *given);
/* The defaults for a verb that opens nothing that is attached: no session to
 * begin and end. */
void ctl_client_options(struct ctl *ctl, struct asup_client_options *how);

/* Call an operation; consumes args (NULL: none). Returns the answer's code;
 * on success with *body, which is the caller's. error may not be NULL. */
int ctl_call(struct ctl *ctl, const char *op, json_t *args, int64_t timeout_ms, json_t **body,
             struct asup_error_info *error);
/* The answer that a callback of asup_client_call_start() got, as ctl_call()
 * gives it. */
int
ctl_answer(int code, const void *bytes, size_t size, json_t **body, struct asup_error_info *error);
/* Start a call without end; consumes args. 0, or an error told in *error. */
int ctl_start(struct ctl *ctl, const char *op, json_t *args, asup_reply_fn fn, void *arg,
              struct asup_error_info *error);
/* As ctl_call, but a failure is reported and answered as an exit code. */
int ctl_ask(struct ctl *ctl, const char *op, json_t *args, json_t **body);

/* ---- Verbs -------------------------------------------------------------------------- */

int verb_run(struct ctl *ctl);
/* A task of that region, as if it ran here; consumes its arguments. The task
 * watches its guard (guard.h). */
int run_in_region(struct ctl *ctl, const char *region, json_t *task_args);
/* In a region of its own, and what asks it to end asks the program first, alone. */
int run_draining(struct ctl *ctl, json_t *task_args);
int verb_submit(struct ctl *ctl);
int verb_open(struct ctl *ctl);
int verb_defer(struct ctl *ctl);
int verb_wait(struct ctl *ctl);
int verb_close(struct ctl *ctl);
int verb_cancel(struct ctl *ctl);
int verb_channels(struct ctl *ctl);
int verb_channel(struct ctl *ctl);
int verb_send(struct ctl *ctl);
int verb_receive(struct ctl *ctl);
int verb_ack(struct ctl *ctl);
int verb_nack(struct ctl *ctl);
int verb_dead(struct ctl *ctl);
int verb_session(struct ctl *ctl);
int verb_call(struct ctl *ctl);
int verb_workers(struct ctl *ctl);
int verb_worker(struct ctl *ctl);
int verb_saga(struct ctl *ctl);
int verb_cx(struct ctl *ctl);
int verb_tree(struct ctl *ctl);
int verb_ps(struct ctl *ctl);
int verb_show(struct ctl *ctl);
int verb_why(struct ctl *ctl);
int verb_logs(struct ctl *ctl);
int verb_obligations(struct ctl *ctl);
int verb_obligation(struct ctl *ctl);
int verb_leases(struct ctl *ctl);
int verb_lease(struct ctl *ctl);
int verb_events(struct ctl *ctl);
int verb_status(struct ctl *ctl);
int verb_drain(struct ctl *ctl);
int verb_reload(struct ctl *ctl);
int verb_upgrade(struct ctl *ctl);
int verb_shutdown(struct ctl *ctl);
int verb_completion(struct ctl *ctl);
int verb_help(struct ctl *ctl);
int verb_version(struct ctl *ctl);

#endif
