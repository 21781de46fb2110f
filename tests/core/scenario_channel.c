/* SPDX-License-Identifier: MIT */
/* Channels in words: requests about them, and what happens to them as lines. */
#include "scenario_words.h"

#include <string.h>

#include "asupersync/values.h"

/* ---- Requests ---------------------------------------------------------------------- */

void
say_channel(struct words *w)
{
    struct input in = scenario_input(IN_CHANNEL_OPEN);
    struct channel_params *p = &in.u.channel_open;
    const char *name = take(w);

    *p = (struct channel_params){.capacity = 16,
                                 .ack_timeout_ns = 30 * ASUP_NS_PER_S,
                                 .permit_timeout_ns = 60 * ASUP_NS_PER_S,
                                 .nacks_max = 16,
                                 .timeouts_max = 16,
                                 .dead_retention_ns = ASUP_NEVER};
    while (more(w)) {
        if (took(w, "in"))
            in.region = thing_get(take(w))->id;
        else if (took(w, "capacity"))
            p->capacity = (uint32_t)take_number(w);
        else if (took(w, "ack"))
            p->ack_timeout_ns = take_duration(w);
        else if (took(w, "permit"))
            p->permit_timeout_ns = take_duration(w);
        else if (took(w, "nacks"))
            p->nacks_max = (uint32_t)take_number(w);
        else if (took(w, "timeouts"))
            p->timeouts_max = (uint32_t)take_number(w);
        else if (took(w, "keep"))
            p->dead_retention_ns = take_duration(w);
        else if (took(w, "named")) {
            p->name.data = take(w);
            p->name.size = strlen(p->name.data);
        } else if (!option_of_request(w, &in))
            scenario_fail("what is \"%s\"?", w->word[w->next]);
    }
    pending_add(name, ASUP_SORT_CHANNEL);
    (void)scenario_step(&in);
}

void
say_seal(struct words *w)
{
    struct input in = scenario_input(IN_CHANNEL_SEAL);

    in.subject = thing_get(take(w))->id;
    while (more(w) && option_of_request(w, &in)) {
    }
    (void)scenario_step(&in);
}

/* "p1 reserves c1", "a1 receives c1": the name stands for the request until it
 * is answered, then for the obligation. */
static void
say_take(const char *name, struct words *w, enum input_kind kind)
{
    struct input in = scenario_input(kind);
    uint64_t timeout_ns = 0;

    in.subject = thing_get(take(w))->id;
    while (more(w)) {
        if (took(w, "timeout"))
            timeout_ns = take_duration(w);
        else if (took(w, "parked"))
            timeout_ns = ASUP_NEVER;
        else if (took(w, "ack"))
            in.u.receive.ack_timeout_ns = take_duration(w);
        else if (!option_of_request(w, &in))
            scenario_fail("what is \"%s\"?", w->word[w->next]);
    }
    if (kind == IN_CHANNEL_RESERVE)
        in.u.reserve.timeout_ns = timeout_ns;
    else
        in.u.receive.timeout_ns = timeout_ns;
    thing_add(name, ASUP_SORT_NONE, in.token)->takes = true;
    (void)scenario_step(&in);
}

static void
say_sent(const char *name, struct words *w)
{
    struct input in = scenario_input(IN_CHANNEL_SEND);
    const struct thing *where;

    if (!took(w, "to") && !took(w, "into"))
        scenario_fail("where is %s sent?", name);
    where = thing_get(take(w));
    if (where->sort == ASUP_SORT_CHANNEL)
        in.u.send.channel = where->id;
    else
        in.subject = where->id;
    in.u.send.data = (struct bytes){name, strlen(name)};
    while (more(w)) {
        if (took(w, "size")) {
            static const char zeros[4096];

            in.u.send.data = (struct bytes){zeros, take_number(w)};
        } else if (!option_of_request(w, &in)) {
            scenario_fail("what is \"%s\"?", w->word[w->next]);
        }
    }
    pending_add(name, ASUP_SORT_MESSAGE);
    (void)scenario_step(&in);
}

static void
say_settled(const struct thing *t, struct words *w, enum input_kind kind)
{
    struct input in = scenario_input(kind);

    in.subject = t->id;
    while (more(w)) {
        if (took(w, "note") && kind == IN_CHANNEL_NACK) {
            in.u.nack.note.data = take(w);
            in.u.nack.note.size = strlen(in.u.nack.note.data);
        } else if (took(w, "to") && kind == IN_DEAD_RETRY) {
            in.u.dead_retry.channel = thing_get(take(w))->id;
        } else if (took(w, "ack") && kind == IN_CHANNEL_EXTEND) {
            in.u.receive.ack_timeout_ns = take_duration(w);
        } else if (!option_of_request(w, &in)) {
            scenario_fail("what is \"%s\"?", w->word[w->next]);
        }
    }
    (void)scenario_step(&in);
}

bool
say_about_channel(const char *name, const char *verb, struct words *w)
{
    static const struct {
        const char *verb;
        enum input_kind kind;
    } settlements[] = {
        {"acked", IN_CHANNEL_ACK},       {"nacked", IN_CHANNEL_NACK},
        {"extended", IN_CHANNEL_EXTEND}, {"retried", IN_DEAD_RETRY},
        {"discarded", IN_DEAD_DISCARD},  {"given-back", IN_OBLIGATION_ABORT},
    };

    const struct thing *next = more(w) ? thing_find(w->word[w->next]) : NULL;
    bool channel = next != NULL && next->sort == ASUP_SORT_CHANNEL;

    if (channel && strcmp(verb, "reserves") == 0)
        say_take(name, w, IN_CHANNEL_RESERVE);
    else if (channel && strcmp(verb, "receives") == 0)
        say_take(name, w, IN_CHANNEL_RECEIVE);
    else if (strcmp(verb, "sent") == 0)
        say_sent(name, w);
    else {
        for (size_t i = 0; i < sizeof settlements / sizeof settlements[0]; i++) {
            if (strcmp(verb, settlements[i].verb) == 0) {
                say_settled(thing_get(name), w, settlements[i].kind);
                return true;
            }
        }
        return false;
    }
    return true;
}

/* ---- The trace ------------------------------------------------------------------------- */

static const char *
end_word(const struct event *ev)
{
    static const char *const words[] = {[MESSAGE_NACKED] = "nack",
                                        [MESSAGE_DEATH] = "death",
                                        [MESSAGE_TIMEOUT] = "timeout",
                                        [MESSAGE_CLOSED] = "closed"};

    return words[*(const uint8_t *)ev->payload];
}

/* What happens to permits and acks shows in what happens to messages. */
static bool
of_channel(const struct event *ev)
{
    struct obligation_view view;

    switch (ev->kind) {
    case EV_OBLIGATION_RESERVED:
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
        return ev->value == ASUP_OBLIGATION_SEND_PERMIT || ev->value == ASUP_OBLIGATION_ACK;
    case EV_OBLIGATION_TRANSFERRED:
    case EV_OBLIGATION_RENEWED:
        return kernel_obligation(S.kernel, ev->subject, &view) &&
               (view.kind == ASUP_OBLIGATION_SEND_PERMIT || view.kind == ASUP_OBLIGATION_ACK);
    default:
        return false;
    }
}

bool
trace_channel(const struct event *ev)
{
    bool channel = ev->kind >= EV_CHANNEL_OPENED && ev->kind <= EV_CHANNEL_CLOSED;
    const struct thing *t =
        thing_by_id(channel ? ASUP_SORT_CHANNEL : ASUP_SORT_MESSAGE, ev->subject);
    const char *name = t != NULL ? t->name : "?";

    if (of_channel(ev))
        return true;
    switch (ev->kind) {
    case EV_CHANNEL_OPENED:
        trace_line("%s opened", name);
        return true;
    case EV_CHANNEL_SEALED:
        trace_line("%s sealed", name);
        return true;
    case EV_CHANNEL_CLOSED:
        trace_line("%s closed", name);
        return true;
    case EV_MESSAGE_SENT:
        trace_line("%s sent", name);
        return true;
    case EV_MESSAGE_RECEIVED:
        trace_line("%s received", name);
        return true;
    case EV_MESSAGE_CONSUMED:
        trace_line("%s consumed", name);
        return true;
    case EV_MESSAGE_RETURNED:
        trace_line("%s returned %s", name, end_word(ev));
        return true;
    case EV_MESSAGE_DEAD:
        trace_line("%s dead %s", name, end_word(ev));
        return true;
    case EV_MESSAGE_RETRIED:
        trace_line("%s retried", name);
        return true;
    case EV_MESSAGE_DISCARDED:
        trace_line("%s %s", name, ev->value == 1 ? "forgotten" : "discarded");
        return true;
    default:
        return false;
    }
}

struct channel_view
channel_of(const char *name)
{
    struct channel_view view;

    memset(&view, 0, sizeof view);
    if (!kernel_channel(the_kernel(), id_of(name), &view))
        scenario_fail("the kernel knows no channel %s", name);
    return view;
}

struct message_view
message_of(const char *name)
{
    struct message_view view;

    memset(&view, 0, sizeof view);
    if (!kernel_message(the_kernel(), id_of(name), &view))
        scenario_fail("the kernel knows no message %s", name);
    return view;
}
