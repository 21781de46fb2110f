/* SPDX-License-Identifier: MIT */
/*
 * What is owed: obligations, obligation, leases, lease.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "guard.h"
#include "lease_hold.h"
#include "render.h"
#include "request.h"
#include "target.h"
#include "wait.h"

#define TTL_DEFAULT_NS (30 * ASUP_NS_PER_S)

static int
connect_plainly(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.without_session = how.session_secret == NULL;
    return ctl_connect(ctl, &how);
}

/* ---- Lists --------------------------------------------------------------------------- */

static json_t *
list_args(const struct ctl *ctl)
{
    json_t *args = json_pack("{s:b}", "recursive", 1);

    request_look(ctl, args);
    return args;
}

static int
print_list(struct ctl *ctl, const char *key, json_t *list,
           void (*render)(struct text *, const struct look *, const json_t *))
{
    struct text out = {0};

    if (ctl->json) {
        ctl_print_json(ctl, json_pack("{s:o}", key, list));
        return 0;
    }
    render(&out, &ctl->out, list);
    json_decref(list);
    ctl_print(&out);
    return 0;
}

int
verb_obligations(struct ctl *ctl)
{
    const char *holder = args_value(&ctl->args, OPTION_HOLDER);
    const char *kind = args_value(&ctl->args, OPTION_KIND);
    json_t *all = json_array();
    int rc = targets_check(ctl, false, true, false);

    if (rc == 0)
        rc = connect_plainly(ctl);
    while (rc == 0) {
        json_t *args = list_args(ctl);
        json_t *page = NULL;
        size_t known = json_array_size(all);

        if (holder != NULL)
            json_object_set_new(args, "holder", json_string_nocheck(holder));
        if (kind != NULL)
            json_object_set_new(args, "kind", json_string_nocheck(kind));
        if (known > 0)
            json_object_set(args, "after", json_object_get(json_array_get(all, known - 1), "id"));
        rc = ctl_ask(ctl, "obligation.list", args, &page);
        if (rc != 0)
            break;
        json_array_extend(all, json_object_get(page, "obligations"));
        bool again = get_true(page, "more") && json_array_size(all) > known;
        json_decref(page);
        if (!again)
            return print_list(ctl, "obligations", all, render_obligations);
    }
    json_decref(all);
    return rc;
}

int
verb_leases(struct ctl *ctl)
{
    json_t *body = NULL;
    json_t *list;
    int rc = targets_check(ctl, false, true, false);

    if (rc == 0)
        rc = connect_plainly(ctl);
    if (rc == 0)
        rc = ctl_ask(ctl, "lease.list", list_args(ctl), &body);
    if (rc != 0)
        return rc;
    list = json_incref(json_object_get(body, "leases"));
    json_decref(body);
    return print_list(ctl, "leases", list, render_leases);
}

/* ---- Who holds ------------------------------------------------------------------------- */

static int
needs_holder(struct ctl *ctl, const char *hint)
{
    if (ctl_in_task(ctl) || ctl_in_session())
        return 0;
    return ctl_usage(ctl, "nobody would hold it when this command has ended", hint);
}

static int
words_check(struct ctl *ctl, int least, int most)
{
    struct text message = {0};
    struct text hint = {0};
    int count = ctl->args.operand_count - 1;
    int exit_code;

    if (count >= least && count <= most)
        return 0;
    text_addf(&message, "%s %s: %s", ctl->args.verb->name, ctl->args.operands[0],
              count < least ? "an argument is missing" : "there are too many arguments");
    text_addf(&hint, "asupersyncctl %s %s", ctl->args.verb->name, ctl->args.verb->synopsis);
    exit_code = ctl_usage(ctl, message.data, hint.data);
    text_free(&message);
    text_free(&hint);
    return exit_code;
}

static int
unknown_word(struct ctl *ctl)
{
    struct text message = {0};
    struct text hint = {0};
    int exit_code;

    text_addf(&message, "%s knows no such word: ", ctl->args.verb->name);
    text_safe(&message, &ctl->err, ctl->args.operands[0], strlen(ctl->args.operands[0]));
    text_addf(&hint, "asupersyncctl %s %s", ctl->args.verb->name, ctl->args.verb->synopsis);
    exit_code = ctl_usage(ctl, message.data, hint.data);
    text_free(&message);
    text_free(&hint);
    return exit_code;
}

/* The same for every id behind the word; the worst exit code. */
static int
each_obligation(struct ctl *ctl, const char *op, const char *key, json_t *more)
{
    int worst = words_check(ctl, 1, INT32_MAX);

    if (worst == 0)
        worst = connect_plainly(ctl);
    for (int i = 1; worst == 0 && i < ctl->args.operand_count; i++) {
        json_t *args = json_pack("{s:o}", key, json_string_nocheck(ctl->args.operands[i]));
        json_t *body = NULL;
        int rc;

        json_object_update(args, more);
        rc = ctl_ask(ctl, op, args, &body);
        if (rc != 0)
            worst = rc;
        else if (ctl->json)
            ctl_print_json(ctl, body);
        else
            json_decref(body);
    }
    json_decref(more);
    return worst;
}

/* ---- obligation -------------------------------------------------------------------------- */

static int
obligation_reserve(struct ctl *ctl)
{
    const char *label = args_value(&ctl->args, OPTION_LABEL);
    json_t *args = json_object();
    json_t *body = NULL;
    struct text out = {0};
    int rc = words_check(ctl, 0, 0);

    if (rc == 0)
        rc = needs_holder(ctl, "say it in a task, or in a session: "
                               "export ASUPERSYNC_SESSION=$(asupersyncctl session)");
    json_object_set_new(args, "region", json_string_nocheck(request_region(ctl)));
    if (label != NULL)
        json_object_set_new(args, "label", json_string_nocheck(label));
    if (rc == 0)
        rc = request_duration(ctl, args, OPTION_OWED_TIMEOUT, "timeout_ns");
    if (rc == 0)
        rc = connect_plainly(ctl);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "obligation.reserve", args, &body);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    text_addf(&out, "%s\n", get_text(body, "obligation"));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

static int
obligation_transfer(struct ctl *ctl)
{
    json_t *body = NULL;
    int rc = words_check(ctl, 2, 2);

    if (rc == 0)
        rc = connect_plainly(ctl);
    if (rc == 0)
        rc = ctl_ask(ctl, "obligation.transfer",
                     json_pack("{s:o, s:o}", "obligation",
                               json_string_nocheck(ctl->args.operands[1]), "to",
                               json_string_nocheck(ctl->args.operands[2])),
                     &body);
    if (rc == 0 && ctl->json)
        ctl_print_json(ctl, body);
    else
        json_decref(body);
    return rc;
}

int
verb_obligation(struct ctl *ctl)
{
    const char *word = ctl->args.operands[0];
    const char *note = args_value(&ctl->args, OPTION_MESSAGE);

    if (ctl->args.command != NULL)
        return ctl_usage(ctl, "obligation runs no command", "asupersyncctl lease run runs one");
    if (strcmp(word, "reserve") == 0)
        return obligation_reserve(ctl);
    if (strcmp(word, "transfer") == 0)
        return obligation_transfer(ctl);
    if (strcmp(word, "commit") == 0)
        return each_obligation(ctl, "obligation.commit", "obligation", json_object());
    if (strcmp(word, "abort") == 0)
        return each_obligation(ctl, "obligation.abort", "obligation",
                               note != NULL ? json_pack("{s:s}", "note", note) : json_object());
    return unknown_word(ctl);
}

/* ---- lease ---------------------------------------------------------------------------------- */

struct lease_wish {
    uint64_t ttl_ns;
    uint64_t wait_ns;
    uint64_t conflict_exit;
};

static int
lease_wish(struct ctl *ctl, struct lease_wish *wish)
{
    enum option_id wait_id =
        args_have(&ctl->args, OPTION_LEASE_WAIT) ? OPTION_LEASE_WAIT : OPTION_LEASE_TIMEOUT;
    const char *ttl = args_value(&ctl->args, OPTION_TTL);
    const char *wait = args_value(&ctl->args, wait_id);
    const char *code = args_value(&ctl->args, OPTION_CONFLICT_EXIT);

    *wish = (struct lease_wish){TTL_DEFAULT_NS, INT64_MAX, EXIT_WAIT_TIMEOUT};
    if (ttl != NULL && (!parse_duration(ttl, &wish->ttl_ns) || wish->ttl_ns == 0))
        return ctl_bad_value(ctl, OPTION_TTL, ttl, DURATION_FORMS);
    if (wait != NULL && !parse_duration(wait, &wish->wait_ns))
        return ctl_bad_value(ctl, wait_id, wait, DURATION_FORMS);
    if (wish->wait_ns > INT64_MAX)
        wish->wait_ns = INT64_MAX;
    if (args_have(&ctl->args, OPTION_NONBLOCK))
        wish->wait_ns = 0;
    if (code != NULL && !parse_number(code, 0, 255, &wish->conflict_exit))
        return ctl_bad_value(ctl, OPTION_CONFLICT_EXIT, code, "a number from 0 to 255");
    return 0;
}

/* Get it, for the task whose capability is shown. */
static int
lease_get(struct ctl *ctl, const struct lease_wish *wish, json_t **body)
{
    struct asup_error_info error;
    uint64_t wait_ms = wish->wait_ns / ASUP_NS_PER_MS;
    json_t *args =
        json_pack("{s:o, s:o, s:I}", "region", json_string_nocheck(request_region(ctl)), "name",
                  json_string_nocheck(ctl->args.operands[1]), "ttl_ns", (json_int_t)wish->ttl_ns);

    if (ctl_call(ctl, "lease.acquire", args, wish->wait_ns >= INT64_MAX ? -1 : (int64_t)wait_ms,
                 body, &error) == 0)
        return 0;
    if (error.code == -ASUP_ETIMEDOUT && wish->conflict_exit != EXIT_WAIT_TIMEOUT)
        return (int)wish->conflict_exit;
    return ctl_fail(ctl, &error);
}

static int
lease_acquire(struct ctl *ctl)
{
    struct lease_wish wish;
    struct text out = {0};
    json_t *body = NULL;
    int rc = words_check(ctl, 1, 1);

    if (rc == 0)
        rc = needs_holder(ctl, "asupersyncctl lease run NAME -- CMD holds it while a command runs; "
                               "in $ASUPERSYNC_SESSION the session does");
    if (rc == 0)
        rc = lease_wish(ctl, &wish);
    if (rc == 0)
        rc = connect_plainly(ctl);
    if (rc == 0)
        rc = lease_get(ctl, &wish, &body);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    text_addf(&out, "%s %llu\n", get_text(body, "obligation"),
              (unsigned long long)get_number(body, "token", 0));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

static int
lease_renew(struct ctl *ctl)
{
    json_t *more = json_object();
    int rc = request_duration(ctl, more, OPTION_TTL, "ttl_ns");

    if (rc == 0)
        return each_obligation(ctl, "lease.renew", "obligation", more);
    json_decref(more);
    return rc;
}

/* Here, as a child of this process, held by this task. */
static int
lease_run_inside(struct ctl *ctl, const struct lease_wish *wish)
{
    json_t *body = NULL;
    uint64_t until_ns;
    int rc = guard_watch(ctl);

    if (rc == 0)
        rc = connect_plainly(ctl);
    if (rc == 0)
        rc = lease_get(ctl, wish, &body);
    if (rc != 0)
        return rc;
    /* What is left of it was told when it was granted; the answer was under way
     * since. The first renewal comes soon enough to make that up. */
    until_ns = now_steady_ns() + get_number(body, "expires_in_ns", 0);
    rc = lease_hold(ctl, get_text(body, "obligation"), get_number(body, "token", 0), wish->ttl_ns,
                    until_ns);
    json_decref(body);
    return rc;
}

/* This very program, as a task of the region, does it there. */
static int
lease_run_outside(struct ctl *ctl)
{
    static const enum option_id passed[] = {OPTION_TTL, OPTION_LEASE_TIMEOUT, OPTION_LEASE_WAIT,
                                            OPTION_CONFLICT_EXIT};
    json_t *words = json_pack("[s, s]", "lease", "run");
    json_t *task = json_object();
    int rc;

    if (args_have(&ctl->args, OPTION_NONBLOCK))
        json_array_append_new(words, json_string("--nonblock"));
    rc = request_self(ctl, task, words, passed, sizeof passed / sizeof passed[0]);
    if (rc != 0) {
        json_decref(task);
        return rc;
    }
    return run_in_region(ctl, request_region(ctl), task);
}

int
verb_lease(struct ctl *ctl)
{
    const char *word = ctl->args.operands[0];
    struct lease_wish wish;
    int rc;

    if (strcmp(word, "run") == 0) {
        rc = words_check(ctl, 1, 1);
        if (rc == 0 && ctl->args.command == NULL)
            rc = ctl_usage(ctl, "lease run needs a command",
                           "it stands behind --: asupersyncctl lease run NAME -- CMD [ARG...]");
        if (rc == 0)
            rc = lease_wish(ctl, &wish);
        if (rc != 0)
            return rc;
        return ctl_in_task(ctl) ? lease_run_inside(ctl, &wish) : lease_run_outside(ctl);
    }
    if (ctl->args.command != NULL)
        return ctl_usage(ctl, "only lease run runs a command",
                         "asupersyncctl lease run NAME -- CMD");
    if (strcmp(word, "acquire") == 0)
        return lease_acquire(ctl);
    if (strcmp(word, "renew") == 0)
        return lease_renew(ctl);
    if (strcmp(word, "release") == 0)
        return each_obligation(ctl, "lease.release", "obligation", json_object());
    return unknown_word(ctl);
}
