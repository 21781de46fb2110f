/* SPDX-License-Identifier: MIT */
/* channel.open, seal, stat, list, reserve, send, abort, receive, ack, nack,
 * extend, message, dead, retry, discard. */
#include <inttypes.h>
#include <string.h>

#include "asupersync/values.h"
#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/crash.h"
#include "daemon/engine/waits.h"

/* ---- Which channel, which message ----------------------------------------------------- */

static int
no_channel(struct call *c, const struct proto_target *target, const char *field)
{
    const char *hint = "asupersyncctl channels / shows those there are";

    if (target->path.data)
        return call_fail(c, -ASUP_ENOTFOUND, field, hint, "there is no live channel \"%.*s\"",
                         (int)target->path.size, target->path.data);
    return call_fail(c, -ASUP_ENOTFOUND, field, hint, "there is no channel c%" PRIu64 " of yours",
                     target->ref.id);
}

int
call_channel(struct call *c, const struct proto_target *target, const char *field,
             struct channel_view *out)
{
    const struct kernel *k = c->engine->kernel;
    uint64_t id = target->ref.id;

    if (id && target->ref.sort != ASUP_SORT_CHANNEL)
        return call_fail(c, -ASUP_EINVALID, field, NULL,
                         "\"%c%" PRIu64 "\" is no channel: expected an id such as \"c4\" or a path "
                         "such as \"/web/orders\"",
                         (char)target->ref.sort, id);
    if (!id && target->path.data) {
        struct proto_text path = target->path;
        const char *slash = memrchr(path.data, '/', path.size);
        struct proto_target region = {.path = {path.data, (size_t)(slash - path.data) + 1}};
        struct region_view view;

        if (call_region(c, &region, field, &view) != 0)
            return no_channel(c, target, field);
        id = kernel_channel_find(k, view.id,
                                 (struct bytes){slash + 1, path.size - region.path.size});
    }
    if (kernel_channel(k, id, out) && call_sees(c, out->region, out->uid))
        return 0;
    return no_channel(c, target, field);
}

static int
call_message(struct call *c, uint64_t id, struct message_view *out)
{
    if (kernel_message(c->engine->kernel, id, out) && call_sees(c, out->region, out->uid))
        return 0;
    return call_fail(c, -ASUP_ENOTFOUND, "message", NULL,
                     "there is no message m%" PRIu64 " of yours, or it was consumed", id);
}

/* 0, or a code: it is another's. One that is gone is the kernel's to refuse: the
 * request may be a repeated one (R-IDM-1). */
static int
call_message_if(struct call *c, uint64_t id)
{
    struct message_view m;

    return kernel_message(c->engine->kernel, id, &m) ? call_message(c, id, &m) : 0;
}

/* ---- Shapes -------------------------------------------------------------------------- */

static void
key_uint(struct proto_writer *w, const char *key, uint64_t value)
{
    pw_key(w, key);
    pw_uint(w, value);
}

static void
key_id(struct proto_writer *w, const char *key, enum asup_sort sort, uint64_t id)
{
    pw_key(w, key);
    pw_id(w, sort, id);
}

static void
key_text(struct proto_writer *w, const char *key, struct bytes text)
{
    pw_key(w, key);
    pw_text(w, text.size ? text.data : "", text.size);
}

size_t
channel_path(const struct kernel *k, const struct channel_view *v, char *out, size_t size)
{
    size_t used = region_path(k, v->region, out, size);

    if (v->name.size == 0 || used + v->name.size + 2 > size)
        return used;
    if (used > 1)
        out[used++] = '/';
    memcpy(out + used, v->name.data, v->name.size);
    used += v->name.size;
    out[used] = '\0';
    return used;
}

static void
body_channel(struct proto_writer *w, struct engine *e, const struct channel_view *v)
{
    char path[CHANNEL_PATH_SIZE];
    size_t size = channel_path(e->kernel, v, path, sizeof path);

    pw_map(w);
    key_id(w, "id", ASUP_SORT_CHANNEL, v->id);
    key_text(w, "name", v->name);
    key_text(w, "path", (struct bytes){path, size});
    key_id(w, "region", ASUP_SORT_REGION, v->region);
    key_uint(w, "owner", v->uid);
    pw_key(w, "state");
    pw_str(w, v->closed ? "closed" : v->sealed ? "sealed" : "open");
    key_uint(w, "capacity", v->capacity);
    key_uint(w, "queued", v->queued);
    key_uint(w, "permits", v->permits);
    key_uint(w, "unacked", v->unacked);
    key_uint(w, "dead", v->dead);
    key_uint(w, "sent", v->sent);
    key_uint(w, "consumed", v->consumed);
    key_uint(w, "bytes", v->bytes);
    key_uint(w, "senders", v->senders);
    key_uint(w, "receivers", v->receivers);
    key_uint(w, "ack_timeout_ns", v->ack_timeout_ns);
    key_uint(w, "permit_timeout_ns", v->permit_timeout_ns);
    key_uint(w, "nacks_max", v->nacks_max);
    key_uint(w, "timeouts_max", v->timeouts_max);
    key_uint(w, "dead_retention_ns", v->dead_retention_ns);
    pw_end(w);
}

const char *
message_end_name(uint8_t why)
{
    static const char *const names[] = {[MESSAGE_NACKED] = "nack",
                                        [MESSAGE_DEATH] = "death",
                                        [MESSAGE_TIMEOUT] = "timeout",
                                        [MESSAGE_CLOSED] = "closed"};

    return why < sizeof names / sizeof names[0] ? names[why] : "unknown";
}

static void
body_history(struct proto_writer *w, const struct message_view *m, asup_time now)
{
    pw_key(w, "history");
    pw_list(w);
    for (uint32_t i = 0; i < m->history_count; i++) {
        pw_map(w);
        key_id(w, "receiver", m->history[i].receiver.sort, m->history[i].receiver.id);
        pw_key(w, "why");
        pw_str(w, message_end_name(m->history[i].why));
        key_uint(w, "age_ns", now - m->history[i].at);
        pw_end(w);
    }
    pw_end(w);
}

/* The map stays open. */
static void
body_message_open(struct proto_writer *w, struct engine *e, const struct message_view *m)
{
    asup_time now = engine_now(e);

    pw_map(w);
    key_id(w, "id", ASUP_SORT_MESSAGE, m->id);
    key_id(w, "channel", ASUP_SORT_CHANNEL, m->channel);
    key_text(w, "channel_name", m->channel_name);
    key_id(w, "region", ASUP_SORT_REGION, m->region);
    key_uint(w, "owner", m->uid);
    pw_key(w, "state");
    pw_str(w, m->dead ? "dead" : m->received ? "received" : "queued");
    key_uint(w, "size", m->data.size);
    key_id(w, "sender", m->sender.sort, m->sender.id);
    key_uint(w, "age_ns", now - m->sent_at);
    key_uint(w, "deliveries", m->deliveries);
    key_uint(w, "nacks", m->nacks);
    key_uint(w, "deaths", m->deaths);
    key_uint(w, "timeouts", m->timeouts);
    key_text(w, "note", m->note);
    pw_key(w, "dead_why");
    pw_str(w, m->dead ? message_end_name(m->dead_why) : NULL);
    pw_key(w, "dead_age_ns");
    pw_time(w, m->dead ? now - m->dead_at : ASUP_NEVER);
    pw_key(w, "dead_left_ns");
    pw_time(w, m->dead ? time_left(m->dead_until, now) : ASUP_NEVER);
    body_history(w, m, now);
}

static void
key_left(struct proto_writer *w, struct engine *e, uint64_t obligation)
{
    struct obligation_view o = {.deadline = ASUP_NEVER};

    (void)kernel_obligation(e->kernel, obligation, &o);
    pw_key(w, "left_ns");
    pw_time(w, time_left(o.deadline, engine_now(e)));
}

void
body_permit(struct proto_writer *w, struct engine *e, uint64_t obligation)
{
    pw_map(w);
    key_id(w, "obligation", ASUP_SORT_OBLIGATION, obligation);
    key_left(w, e, obligation);
    pw_end(w);
}

bool
body_delivery(struct proto_writer *w, struct engine *e, uint64_t obligation)
{
    struct obligation_view o;
    struct message_view m = {0};

    if (!kernel_obligation(e->kernel, obligation, &o) || !kernel_message(e->kernel, o.message, &m))
        return false; /* settled meanwhile */
    pw_map(w);
    key_id(w, "obligation", ASUP_SORT_OBLIGATION, obligation);
    key_id(w, "message", ASUP_SORT_MESSAGE, m.id);
    key_id(w, "channel", ASUP_SORT_CHANNEL, m.channel);
    pw_key(w, "data");
    pw_bytes(w, m.data.size ? m.data.data : "", m.data.size);
    key_id(w, "sender", m.sender.sort, m.sender.id);
    key_uint(w, "sent_at_ns", m.sent_at);
    key_uint(w, "deliveries", m.deliveries);
    key_left(w, e, obligation);
    pw_end(w);
    return true;
}

/* Why the last delivery of a message failed. */
static const char *
failure_of(const struct kernel *k, const struct event *ev)
{
    struct message_view m = {0};

    if (!kernel_message(k, ev->subject, &m))
        return NULL;
    if (ev->kind == EV_MESSAGE_DEAD)
        return message_end_name(m.dead_why);
    return m.history_count == 0 ? NULL : message_end_name(m.history[m.history_count - 1].why);
}

void
body_event_channel(struct proto_writer *w, const struct kernel *k, const struct event *ev)
{
    const char *why = NULL;

    if (ev->kind >= EV_CHANNEL_OPENED && ev->kind <= EV_CHANNEL_CLOSED)
        key_id(w, "channel", ASUP_SORT_CHANNEL, ev->subject);
    if (ev->kind < EV_MESSAGE_SENT || ev->kind > EV_MESSAGE_DISCARDED)
        return;
    key_id(w, "message", ASUP_SORT_MESSAGE, ev->subject);
    if (ev->kind != EV_MESSAGE_DISCARDED)
        key_id(w, "channel", ASUP_SORT_CHANNEL, ev->value);
    if (ev->kind == EV_MESSAGE_RETURNED || ev->kind == EV_MESSAGE_DEAD)
        why = failure_of(k, ev);
    if (why) {
        pw_key(w, "kind");
        pw_str(w, why);
    }
}

static int
nothing(struct call *c)
{
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

/* ---- Open, seal, stat, list --------------------------------------------------------------- */

int
op_channel_open(struct call *c)
{
    const struct args_channel_open *a = &c->args->channel_open;
    const struct kernel_config *config = kernel_configuration(c->engine->kernel);
    struct input in = {.kind = IN_CHANNEL_OPEN};
    char path[CHANNEL_PATH_SIZE];
    char id[ASUP_REF_TEXT_SIZE];
    struct channel_view channel;
    struct region_view region;
    struct answer answer = {0};
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    in.region = region.id;
    in.u.channel_open = (struct channel_params){
        .name = {a->name.data, a->name.size},
        .capacity = (uint32_t)a->capacity,
        .ack_timeout_ns = a->ack_timeout_ns ? a->ack_timeout_ns : config->ack_timeout_ns,
        .permit_timeout_ns =
            a->permit_timeout_ns ? a->permit_timeout_ns : config->permit_timeout_ns,
        .nacks_max = a->nacks_max == PROTO_UNSET ? config->nacks_max : (uint32_t)a->nacks_max,
        .timeouts_max =
            a->timeouts_max == PROTO_UNSET ? config->timeouts_max : (uint32_t)a->timeouts_max,
        .dead_retention_ns = a->dead_retention_ns ? a->dead_retention_ns : ASUP_NEVER,
    };
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if (!kernel_channel(c->engine->kernel, answer.made.id, &channel)) {
        /* Asked once more, when it is gone: named as it was. */
        size_t size = (size_t)asup_ref_format(answer.made, id, sizeof id);
        channel = (struct channel_view){
            .region = region.id,
            .name = a->name.size ? (struct bytes){a->name.data, a->name.size}
                                 : (struct bytes){id, size},
        };
    }
    pw_map(c->w);
    key_id(c->w, "channel", ASUP_SORT_CHANNEL, answer.made.id);
    pw_key(c->w, "path");
    pw_text(c->w, path, channel_path(c->engine->kernel, &channel, path, sizeof path));
    pw_end(c->w);
    return 0;
}

static int
write_channel(struct call *c, uint64_t id)
{
    struct channel_view view = {0};

    if (!kernel_channel(c->engine->kernel, id, &view))
        return call_fail(c, -ASUP_ENOTFOUND, "channel", NULL,
                         "the channel c%" PRIu64 " is closed and forgotten", id);
    body_channel(c->w, c->engine, &view);
    return 0;
}

int
op_channel_seal(struct call *c)
{
    struct input in = {.kind = IN_CHANNEL_SEAL};
    struct channel_view view = {0};
    struct answer answer = {0};
    int rc;

    if ((rc = call_channel(c, &c->args->channel.channel, "channel", &view)) != 0)
        return rc;
    in.subject = view.id;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    return write_channel(c, view.id);
}

int
op_channel_stat(struct call *c)
{
    struct channel_view view = {0};
    int rc;

    if ((rc = call_channel(c, &c->args->channel.channel, "channel", &view)) != 0)
        return rc;
    body_channel(c->w, c->engine, &view);
    return 0;
}

static void
write_channels(struct call *c, uint64_t region)
{
    const struct kernel *k = c->engine->kernel;
    struct channel_view view = {0};

    for (uint64_t id = 0; (id = kernel_channel_next(k, region, id)) != 0;) {
        if (kernel_channel(k, id, &view) && call_sees(c, view.region, view.uid))
            body_channel(c->w, c->engine, &view);
    }
}

int
op_channel_list(struct call *c)
{
    const struct args_channel_list *a = &c->args->channel_list;
    const struct kernel *k = c->engine->kernel;
    struct region_view region;
    uint64_t top;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    top = region.id;
    pw_map(c->w);
    pw_key(c->w, "channels");
    pw_list(c->w);
    write_channels(c, top);
    /* Down, along, and up, without recursion. */
    uint64_t at = a->recursive ? region.child_first : 0;
    while (at && kernel_region(k, at, &region)) {
        if (call_sees(c, region.id, region.uid))
            write_channels(c, at);
        at = region.child_first;
        while (!at && region.id != top) {
            at = region.sibling_next;
            if (!at && !kernel_region(k, region.parent, &region))
                break;
        }
    }
    pw_end(c->w);
    pw_end(c->w);
    return 0;
}

/* ---- Permits and sending ------------------------------------------------------------------- */

/* Ask something that may have to wait: CALL_PARKED, a code, or 0 with the answer.
 * `detail`: what besides the channel makes it the same request. */
static int
ask_parking(struct call *c, struct input *in, enum parked_kind kind, uint64_t detail,
            struct answer *answer)
{
    struct parked *parked;
    int rc = waits_park(c, kind, in->subject, 0, &parked);

    if (rc != CALL_PARKED)
        return rc;
    /* Asked again with what is left of its time, it is the same request. */
    c->digest = ((uint64_t)c->op->id << 48 ^ in->subject) * 0x9e3779b97f4a7c15u ^ detail;
    in->token = exchange_token(c->exchange);
    call_ask(c, in, answer);
    if (!answer->given)
        return CALL_PARKED;
    waits_unpark(parked);
    return answer->code != 0 ? call_refused(c, answer) : 0;
}

int
op_channel_reserve(struct call *c)
{
    const struct args_channel_reserve *a = &c->args->channel_reserve;
    struct input in = {.kind = IN_CHANNEL_RESERVE, .u.reserve.timeout_ns = a->timeout_ns};
    struct channel_view view = {0};
    struct answer answer = {0};
    int rc;

    if ((rc = call_channel(c, &a->channel, "channel", &view)) != 0)
        return rc;
    in.subject = view.id;
    if ((rc = ask_parking(c, &in, PARKED_RESERVE, 0, &answer)) == 0)
        body_permit(c->w, c->engine, answer.made.id);
    return rc;
}

static void
body_sent(struct call *c, uint64_t id)
{
    struct message_view m = {0};

    (void)kernel_message(c->engine->kernel, id, &m); /* consumed already, it may be */
    pw_map(c->w);
    key_id(c->w, "message", ASUP_SORT_MESSAGE, id);
    key_id(c->w, "channel", ASUP_SORT_CHANNEL, m.channel);
    pw_end(c->w);
}

int
op_channel_send(struct call *c)
{
    const struct args_channel_send *a = &c->args->channel_send;
    struct input in = {.kind = IN_CHANNEL_SEND,
                       .subject = a->obligation,
                       .u.send.data = {a->data.data, a->data.size}};
    bool to_channel = a->channel.ref.id || a->channel.path.data;
    struct channel_view view = {0};
    struct answer answer = {0};
    int rc;

    if ((a->obligation != 0) == to_channel)
        return call_fail(c, -ASUP_EINVALID, to_channel ? "channel" : "obligation", NULL,
                         "a message goes into a permit or to a channel: give one of them");
    if (to_channel && (rc = call_channel(c, &a->channel, "channel", &view)) != 0)
        return rc;
    if (to_channel)
        in.u.send.channel = view.id;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_sent(c, answer.made.id);
    return 0;
}

/* ---- Receiving --------------------------------------------------------------------------------
 */

int
op_channel_receive(struct call *c)
{
    const struct args_channel_receive *a = &c->args->channel_receive;
    struct input in = {
        .kind = IN_CHANNEL_RECEIVE,
        .u.receive = {.timeout_ns = a->timeout_ns, .ack_timeout_ns = a->ack_timeout_ns}};
    struct channel_view view = {0};
    struct answer answer = {0};
    int rc;

    if ((rc = call_channel(c, &a->channel, "channel", &view)) != 0)
        return rc;
    in.subject = view.id;
    planted_message(c->engine, view.id);
    if ((rc = ask_parking(c, &in, PARKED_RECEIVE, a->ack_timeout_ns, &answer)) != 0)
        return rc;
    if (!body_delivery(c->w, c->engine, answer.made.id))
        return call_fail(c, -ASUP_ERESOLVED, NULL, "use a new request id for a new request",
                         "the ack o%" PRIu64 " that this request got was settled already",
                         answer.made.id);
    return 0;
}

/* Settle a permit or an ack. */
static int
settle(struct call *c, struct input *in)
{
    struct answer answer = {0};
    int rc = call_owed(c, in->subject);

    if (rc != 0)
        return rc;
    call_ask(c, in, &answer);
    return answer.code != 0 ? call_refused(c, &answer) : nothing(c);
}

int
op_channel_ack(struct call *c)
{
    return settle(c, &(struct input){.kind = IN_CHANNEL_ACK,
                                     .subject = c->args->channel_obligation.obligation});
}

int
op_channel_abort(struct call *c)
{
    return settle(c, &(struct input){.kind = IN_OBLIGATION_ABORT,
                                     .subject = c->args->channel_obligation.obligation});
}

int
op_channel_nack(struct call *c)
{
    const struct args_channel_nack *a = &c->args->channel_nack;

    return settle(c, &(struct input){.kind = IN_CHANNEL_NACK,
                                     .subject = a->obligation,
                                     .u.nack.note = {a->note.data, a->note.size}});
}

int
op_channel_extend(struct call *c)
{
    const struct args_channel_extend *a = &c->args->channel_extend;
    struct input in = {.kind = IN_CHANNEL_EXTEND,
                       .subject = a->obligation,
                       .u.receive.ack_timeout_ns = a->ack_timeout_ns};
    struct answer answer = {0};
    int rc = call_owed(c, a->obligation);

    if (rc != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    key_left(c->w, c->engine, a->obligation);
    pw_end(c->w);
    return 0;
}

/* ---- Messages and dead letters
 * ------------------------------------------------------------------- */

int
op_channel_message(struct call *c)
{
    struct message_view m = {0};
    int rc;

    if ((rc = call_message(c, c->args->message.message, &m)) != 0)
        return rc;
    body_message_open(c->w, c->engine, &m);
    pw_key(c->w, "data");
    pw_bytes(c->w, m.data.size ? m.data.data : "", m.data.size);
    pw_end(c->w);
    return 0;
}

static bool
is_below(const struct kernel *k, uint64_t id, uint64_t top)
{
    struct region_view region;

    if (top == ASUP_ROOT_ID)
        return true;
    while (id && id != top)
        id = kernel_region(k, id, &region) ? region.parent : 0;
    return id != 0;
}

int
op_channel_dead(struct call *c)
{
    const struct args_channel_dead *a = &c->args->channel_dead;
    const struct kernel *k = c->engine->kernel;
    bool of_channel = a->channel.ref.id || a->channel.path.data;
    struct channel_view channel = {0};
    struct region_view region;
    struct message_view m = {0};
    uint64_t count = 0;
    bool more = false;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    if (of_channel && (rc = call_channel(c, &a->channel, "channel", &channel)) != 0)
        return rc;
    if (a->after && (call_message(c, a->after, &m) != 0 || !m.dead))
        return call_fail(c, -ASUP_ENOTFOUND, "after", "begin again without it",
                         "m%" PRIu64 " is no dead letter any more", a->after);
    pw_map(c->w);
    pw_key(c->w, "messages");
    pw_list(c->w);
    for (uint64_t id = kernel_dead_next(k, a->after); id && kernel_message(k, id, &m);
         id = m.next) {
        if (!call_sees(c, m.region, m.uid) || (of_channel && m.channel != channel.id) ||
            !is_below(k, m.region, region.id))
            continue;
        if (count++ == a->limit) {
            more = true;
            break;
        }
        body_message_open(c->w, c->engine, &m);
        pw_end(c->w);
    }
    pw_end(c->w);
    pw_key(c->w, "more");
    pw_bool(c->w, more);
    pw_end(c->w);
    return 0;
}

int
op_channel_retry(struct call *c)
{
    const struct args_channel_retry *a = &c->args->channel_retry;
    struct input in = {.kind = IN_DEAD_RETRY, .subject = a->message};
    struct channel_view view = {0};
    struct answer answer = {0};
    int rc;

    if ((rc = call_message_if(c, a->message)) != 0)
        return rc;
    if (a->channel.ref.id || a->channel.path.data) {
        if ((rc = call_channel(c, &a->channel, "channel", &view)) != 0)
            return rc;
        in.u.dead_retry.channel = view.id;
    }
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    body_sent(c, answer.made.id);
    return 0;
}

int
op_channel_discard(struct call *c)
{
    struct input in = {.kind = IN_DEAD_DISCARD, .subject = c->args->message.message};
    struct answer answer;
    int rc = call_message_if(c, in.subject);

    if (rc != 0)
        return rc;
    call_ask(c, &in, &answer);
    return answer.code != 0 ? call_refused(c, &answer) : nothing(c);
}
