/* SPDX-License-Identifier: MIT */
#include "daemon/engine/call.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "asupersync/values.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/standing.h"
#include "daemon/engine/users.h"
#include "proto/text.h"

int
call_fail(struct call *c, int code, const char *field, const char *hint, const char *format, ...)
{
    char message[sizeof c->error.message];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    proto_error_set(&c->error, code, "%s", message);
    if (field)
        snprintf(c->error.field, sizeof c->error.field, "%s", field);
    if (hint)
        snprintf(c->error.hint, sizeof c->error.hint, "%s", hint);
    return code;
}

/* What ended, when it was not the caller's session. */
static const char *
expired_hint(const struct call *c)
{
    struct session_view session;

    if (c->caller.session == 0 || !kernel_session(c->engine->kernel, c->caller.session, &session))
        return "the session has ended, with what it held: connect again";
    if (c->op->id == PROTO_CHANNEL_ACK || c->op->id == PROTO_CHANNEL_EXTEND)
        return "an ack gives its message back at the end of its time: receive it again";
    return "";
}

static const char *
refusal_hint(const struct call *c, int code)
{
    switch (-code) {
    case ASUP_ECLOSED:
        return "it is closing or closed; open another region";
    case ASUP_EEXISTS:
        return "choose another name, or use what has it: asupersyncctl tree, channels, leases";
    case ASUP_ECONFLICT:
        return "use a new request id, or another idempotency key, for a new request";
    case ASUP_EEXPIRED:
        return expired_hint(c);
    default:
        return "";
    }
}

int
call_no_journal(struct call *c)
{
    struct journal_state state;

    journal_look(c->engine->journal, &state);
    return call_fail(c, -ASUP_EUNAVAILABLE, NULL,
                     "ask again: service goes on by itself when the disk does; "
                     "asupersyncctl status tells",
                     "JournalFailed: the journal cannot be written: %s", state.reason);
}

int
call_refused(struct call *c, const struct answer *a)
{
    if (a->code == -ASUP_EUNAVAILABLE && c->engine->journal_failing)
        return call_no_journal(c);
    if (a->limit)
        proto_error_set(&c->error, a->code, "%s (the limit is %s)",
                        a->detail[0] ? a->detail : asup_error_text(a->code), a->limit);
    else
        proto_error_set(&c->error, a->code, "%s",
                        a->detail[0] ? a->detail : asup_error_text(a->code));
    snprintf(c->error.hint, sizeof c->error.hint, "%s", refusal_hint(c, a->code));
    standing_hint(c, a->code, a->detail);
    if (a->limit) {
        snprintf(c->error.limit, sizeof c->error.limit, "%s", a->limit);
        if (strcmp(a->limit, "channel-capacity") == 0)
            snprintf(
                c->error.hint, sizeof c->error.hint,
                "wait for room with a timeout (asupersyncctl send --timeout), or open a larger "
                "channel");
        else
            snprintf(c->error.hint, sizeof c->error.hint,
                     "wait until something ends, or raise limits.%s in asupersyncd.yaml", a->limit);
    }
    return a->code;
}

void
call_ask(struct call *c, struct input *in, struct answer *a)
{
    in->caller = c->caller;
    if (c->op->flags & PROTO_MUTATES) {
        in->request = c->repeat_id;
        in->part.digest = c->part.digest;
        in->part.place = c->part.place;
        in->part.count = c->part.count;
        in->digest = c->digest;
        in->key = (struct bytes){.data = c->key->key.data, .size = c->key->key.size};
        in->key_retention_ns = c->key->retention_ns;
    }
    engine_ask(c->engine, in, a);
    c->asked = true;
    if (a->after > c->after)
        c->after = a->after;
}

static bool
call_key_known(const struct call *c, struct asup_ref scope)
{
    return c->key && c->key->key.data && (c->op->flags & PROTO_MUTATES) &&
           kernel_key_known(c->engine->kernel, c->caller.uid, scope,
                            (struct bytes){c->key->key.data, c->key->key.size});
}

/* "/web/api" as this caller sees it: 0 when there is no such region. */
static uint64_t
walk_path(const struct call *c, const struct proto_text *path)
{
    const char *p = path->data;
    const char *end = path->data + path->size;
    uint64_t id = ASUP_ROOT_ID;

    while (p < end) {
        while (p < end && *p == '/')
            p++;
        const char *slash = memchr(p, '/', (size_t)(end - p));
        const char *stop = slash ? slash : end;
        if (stop > p) {
            struct bytes name = {.data = p, .size = (size_t)(stop - p)};
            uint64_t given = id == ASUP_ROOT_ID ? standing_top(c, name) : 0;
            id = given ? given : kernel_find(c->engine->kernel, id, c->caller.uid, name);
        }
        if (!id)
            return 0;
        p = stop;
    }
    return id;
}

int
call_region(struct call *c, const struct proto_target *target, const char *field,
            struct region_view *out)
{
    uint64_t id = target->ref.id;

    if (!id && target->path.data) {
        id = walk_path(c, &target->path);
        if (!id)
            return call_fail(
                c, -ASUP_ENOTFOUND, field, "asupersyncctl tree shows the regions there are",
                "there is no live region \"%.*s\"", (int)target->path.size, target->path.data);
    } else if (!id) {
        id = call_region_default(c);
    }
    /* R-IDM-1: also after the region closed, was forgotten, and the capability died with it. */
    if (call_key_known(c, (struct asup_ref){.id = id, .sort = ASUP_SORT_REGION})) {
        if (!kernel_region(c->engine->kernel, id, out))
            *out = (struct region_view){.id = id};
        return 0;
    }
    if (kernel_region(c->engine->kernel, id, out)) {
        /* "/" is everybody's, but for who shows that it is not. */
        if ((id == ASUP_ROOT_ID && !call_shows_cx(c)) || call_sees(c, id, out->uid))
            return 0;
        int rc = call_hidden(c, id, out->uid, field);
        if (rc != 0)
            return rc;
    }
    return call_fail(c, -ASUP_ENOTFOUND, field, "asupersyncctl tree --all shows what is known",
                     "there is no region r%" PRIu64 " of yours, or it was forgotten", id);
}

int
call_task(struct call *c, uint64_t id, struct task_view *out)
{
    if (kernel_task(c->engine->kernel, id, out)) {
        /* A program that runs as another user may look at its own task. */
        if (call_sees(c, out->region, out->uid) || c->caller.task == id)
            return 0;
        int rc = call_hidden(c, out->region, out->uid, "task");
        if (rc != 0)
            return rc;
    }
    return call_fail(c, -ASUP_ENOTFOUND, "task", "asupersyncctl ps --all shows what is known",
                     "there is no task t%" PRIu64 " of yours, or it was forgotten", id);
}

/* ---- Parameters ------------------------------------------------------------------- */

static uint64_t
wall_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * ASUP_NS_PER_S + (uint64_t)ts.tv_nsec;
}

int
call_budget(struct call *c, const struct proto_budget *b, struct budget_request *out)
{
    asup_time now = engine_now(c->engine);

    *out = (struct budget_request){
        .timeout_ns = b->timeout_ns,
        .deadline_at = b->deadline_ns,
        .poll_quota = (uint32_t)b->polls,
        .cost_quota = b->cost,
        .priority = (uint8_t)b->priority,
    };
    if (b->deadline_ns != ASUP_NEVER && b->deadline_ns <= now)
        return call_fail(c, -ASUP_EINVALID, "budget.deadline_ns",
                         "asupersyncctl status --json tells the kernel's time as now_ns",
                         "the deadline has passed");
    if (b->deadline_wall_ns != ASUP_NEVER) {
        uint64_t wall = wall_now();
        if (b->deadline_wall_ns <= wall) {
            char ago[32];
            uint64_t late = wall - b->deadline_wall_ns;
            late -= late % (late < ASUP_NS_PER_S ? ASUP_NS_PER_MS : ASUP_NS_PER_S);
            asup_duration_format(late, ago, sizeof ago);
            return call_fail(c, -ASUP_EINVALID, "budget.deadline_wall_ns",
                             "give an instant that is still to come", "the deadline passed %s ago",
                             ago);
        }
        asup_time at = now + (b->deadline_wall_ns - wall);
        if (at < out->deadline_at)
            out->deadline_at = at;
    }
    return 0;
}

/* Whom it runs as (R-CAP-3): the caller; in user mode always the owner; only
 * root may name another. */
static int
run_user(struct call *c, const struct proto_process *p, const char *field, uint32_t *out)
{
    struct engine *e = c->engine;
    uint32_t natural = e->hello.system_mode ? c->caller.uid : (uint32_t)e->options.owner_uid;

    *out = natural;
    if (!p->user.data || users_is(p->user.data, p->user.size, natural))
        return 0;
    /* The user database may be asked over a network: not for just anybody. */
    if (!e->hello.system_mode)
        return call_fail(c, -ASUP_EDENIED, field, "leave it out",
                         "a daemon in user mode runs everything as its own user");
    if (c->caller.uid != 0)
        return call_fail(c, -ASUP_EDENIED, field, "leave it out",
                         "only root may run something as another user");
    if (!users_find(p->user.data, p->user.size, out))
        return call_fail(c, -ASUP_EINVALID, field, "a name from the user database, or a number",
                         "there is no user \"%.*s\"", (int)p->user.size, p->user.data);
    return 0;
}

/* What listings show of a task without a label: the program's name, where
 * that is text that fits. */
static struct bytes
default_label(const struct proto_process *p)
{
    const char *data = p->argv.items[0].data;
    size_t size = p->argv.items[0].size;

    if (size > ASUP_LABEL_MAX || !text_is_utf8(data, size) || text_has_control(data, size))
        return (struct bytes){0};
    return (struct bytes){.data = data, .size = (uint32_t)size};
}

/* A call to make, by whoever offers it. */
static int
call_call(struct call *c, const struct proto_process *p, const char *field, struct task_params *out)
{
    char wrong[80];

    if (p->argv.count > 0) {
        snprintf(wrong, sizeof wrong, "%s%sargv", field, *field ? "." : "");
        return call_fail(c, -ASUP_EINVALID, wrong, "leave one of them out",
                         "a task is either a program (argv) or a call");
    }
    *out = (struct task_params){
        .label = {.data = p->label.data, .size = p->label.size},
        .spec = {.data = p->input.data, .size = p->input.size},
        .call = {.data = p->call.data, .size = p->call.size},
        .retry = {.attempts = (uint32_t)p->retry.attempts,
                  .backoff_ns = p->retry.backoff_ns == ASUP_NEVER ? 0 : p->retry.backoff_ns,
                  .backoff_most_ns =
                      p->retry.backoff_most_ns == ASUP_NEVER ? 0 : p->retry.backoff_most_ns},
        .run_uid = c->caller.uid,
        .delay_ns = p->delay_ns,
        .drain_ns = p->drain_ns,
        .leftover_ns = ASUP_NEVER,
        .response_ns = p->response_ns,
        .mask_depth = (uint32_t)p->mask_depth,
        .cancel_signal = (int32_t)p->cancel_signal,
    };
    return call_budget(c, &p->budget, &out->budget);
}

int
call_process(struct call *c, const struct proto_process *p, const char *field,
             struct task_params *out)
{
    char user_field[80];
    int rc;

    if (p->call.data)
        return call_call(c, p, field, out);
    *out = (struct task_params){
        .label = p->label.data ? (struct bytes){.data = p->label.data, .size = p->label.size}
                               : default_label(p),
        .spec = {.data = p->raw.data, .size = p->raw.size},
        .delay_ns = p->delay_ns,
        .drain_ns = p->drain_ns,
        .leftover_ns = p->leftover_ns,
        .watchdog_ns = p->watchdog_ns,
        .response_ns = p->response_ns,
        .mask_depth = (uint32_t)p->mask_depth,
        .cancel_signal = (int32_t)p->cancel_signal,
        .leftover_wait = p->leftover_wait,
        .notify = p->notify || p->watchdog_ns != 0,
    };
    snprintf(user_field, sizeof user_field, "%s%suser", field, *field ? "." : "");
    if ((rc = run_user(c, p, user_field, &out->run_uid)) != 0)
        return rc;
    return call_budget(c, &p->budget, &out->budget);
}
