/* SPDX-License-Identifier: MIT */
/* Channels of cx.h (§4): two phases on both sides. */
#include <stdlib.h>
#include <string.h>

#include "cx/cx_owed.h"

enum { CAPACITY_DEFAULT = 16 };

/* ---- Opening --------------------------------------------------------------------- */

static uint64_t
or_never(uint64_t timeout_ns)
{
    return timeout_ns == 0 ? ASUP_NEVER : timeout_ns;
}

int
asup_cx_channel_open(struct asup_cx *cx, const char *name, const struct asup_channel_limits *limits,
                     struct asup_channel *out)
{
    struct shell_reply reply;
    struct input in;
    int rc = cx_check(cx);

    if (rc == 0 && out == NULL)
        rc = -ASUP_EINVALID;
    if (rc != 0 || (rc = cx_admit_point(cx)) != 0)
        return rc;
    in = cx_input(cx, IN_CHANNEL_OPEN);
    in.u.channel_open = (struct channel_params){
        .name = cx_text(name, ASUP_NAME_MAX + 1), /* one too long is refused */
        .capacity = CAPACITY_DEFAULT,
        .ack_timeout_ns = ASUP_NEVER,
        .permit_timeout_ns = ASUP_NEVER,
        /* In a program nobody comes to look at dead letters: they are traced, counted, and gone. */
        .dead_retention_ns = 1,
    };
    if (limits != NULL) {
        in.u.channel_open.capacity = limits->capacity;
        in.u.channel_open.ack_timeout_ns = or_never(limits->ack_timeout_ns);
        in.u.channel_open.permit_timeout_ns = or_never(limits->permit_timeout_ns);
        in.u.channel_open.nacks_max = limits->nacks_max;
    }
    rc = shell_request(cx, &in, &reply);
    if (rc == 0)
        out->id = reply.made.id;
    return rc;
}

int
asup_cx_channel_seal(struct asup_cx *cx, struct asup_channel channel)
{
    struct input in;
    int rc = cx_check(cx);

    if (rc != 0)
        return rc;
    in = cx_input(cx, IN_CHANNEL_SEAL);
    in.subject = channel.id;
    return shell_request(cx, &in, NULL);
}

/* ---- Sending ---------------------------------------------------------------------- */

struct asup_permit {
    struct owed owed;
};

/* The kernel says only that it is busy. */
static bool
is_full(const struct asup_cx *cx, struct asup_channel channel)
{
    struct channel_view v;

    return kernel_channel(shell_kernel(shell_of(cx)), channel.id, &v) &&
           (v.senders > 0 || v.queued + v.permits + v.unacked >= v.capacity);
}

struct asup_permit *
asup_cx_reserve(struct asup_cx *cx, struct asup_channel channel, uint64_t timeout_ns, int *code)
{
    struct asup_permit *p = owed_new(cx, OBJECT_PERMIT, NULL, code);
    struct shell_reply reply = {0};
    struct input in;
    int rc;

    if (p == NULL)
        return NULL;
    in = cx_input(cx, IN_CHANNEL_RESERVE);
    in.subject = channel.id;
    in.u.reserve.timeout_ns = timeout_ns;
    rc = shell_wait_request(cx, &in, WAIT_ORDINARY, &reply);
    if (rc == -ASUP_EBUSY && timeout_ns == 0 && is_full(cx, channel))
        rc = -ASUP_ETIMEDOUT;
    return owed_granted(p, rc, &reply, code);
}

int
asup_permit_send(struct asup_permit *permit, const void *data, size_t size)
{
    struct input in;
    int rc = owed_check(permit, OBJECT_PERMIT);

    if (rc != 0)
        return rc;
    if (size > ASUP_SEND_SIZE_MAX || (data == NULL && size > 0)) {
        asup_permit_abort(permit);
        return size > ASUP_SEND_SIZE_MAX ? -ASUP_ETOOLARGE : -ASUP_EINVALID;
    }
    in = owed_input(permit, IN_CHANNEL_SEND);
    in.u.send.data = (struct bytes){.data = data, .size = size};
    return owed_resolve(permit, OBJECT_PERMIT, &in);
}

void
asup_permit_abort(struct asup_permit *permit)
{
    struct input in;

    if (owed_check(permit, OBJECT_PERMIT) != 0)
        return;
    in = owed_input(permit, IN_OBLIGATION_ABORT);
    (void)owed_resolve(permit, OBJECT_PERMIT, &in);
}

/* ---- Receiving ---------------------------------------------------------------------- */

struct asup_delivery {
    struct owed owed;
    uint8_t *data;
    size_t size;
    uint32_t count;
    bool there;
};
_Static_assert(sizeof(struct asup_delivery) <= OBJECT_SIZE, "it is an object");

static void
delivery_drop(void *object)
{
    struct asup_delivery *d = object;

    free(d->data);
}

/* The message lies in the kernel and may move there: a copy, on the thread's own stack. */
static void
delivery_copy(struct shell *s, void *ctx)
{
    struct asup_delivery *d = ctx;
    const struct kernel *k = shell_kernel(s);
    struct obligation_view ack;
    struct message_view m;

    d->there = kernel_obligation(k, d->owed.obligation, &ack) && kernel_message(k, ack.message, &m);
    if (!d->there)
        return;
    d->count = m.deliveries;
    d->data = malloc(m.data.size + 1);
    if (d->data == NULL)
        return;
    if (m.data.size > 0)
        memcpy(d->data, m.data.data, m.data.size);
    d->data[m.data.size] = '\0'; /* so that text may be read as such */
    d->size = m.data.size;
}

struct asup_delivery *
asup_cx_receive(struct asup_cx *cx, struct asup_channel channel, uint64_t timeout_ns, int *code)
{
    struct asup_delivery *d = owed_new(cx, OBJECT_DELIVERY, delivery_drop, code);
    struct shell_reply reply = {0};
    struct input in;

    if (d == NULL)
        return NULL;
    in = cx_input(cx, IN_CHANNEL_RECEIVE);
    in.subject = channel.id;
    in.u.receive.timeout_ns = timeout_ns;
    d = owed_granted(d, shell_wait_request(cx, &in, WAIT_ORDINARY, &reply), &reply, code);
    if (d == NULL)
        return NULL;
    shell_call(shell_of(cx), delivery_copy, d);
    if (!d->there) { /* its time was over before we ran */
        asup_ack_nack(d, NULL);
        return cx_refused(-ASUP_EEXPIRED, code);
    }
    if (d->data == NULL) {
        asup_ack_nack(d, "its receiver had no memory");
        return cx_refused(-ASUP_ENOMEM, code);
    }
    return d;
}

const void *
asup_delivery_data(const struct asup_delivery *delivery, size_t *size)
{
    bool is = shell_object_is(delivery, OBJECT_DELIVERY);

    if (size != NULL)
        *size = is ? delivery->size : 0;
    return is ? delivery->data : NULL;
}

uint32_t
asup_delivery_count(const struct asup_delivery *delivery)
{
    return shell_object_is(delivery, OBJECT_DELIVERY) ? delivery->count : 0;
}

int
asup_ack_commit(struct asup_delivery *delivery)
{
    struct input in;
    int rc = owed_check(delivery, OBJECT_DELIVERY);

    if (rc != 0)
        return rc;
    in = owed_input(delivery, IN_CHANNEL_ACK);
    return owed_resolve(delivery, OBJECT_DELIVERY, &in);
}

void
asup_ack_nack(struct asup_delivery *delivery, const char *note)
{
    struct input in;

    if (owed_check(delivery, OBJECT_DELIVERY) != 0)
        return;
    in = owed_input(delivery, IN_CHANNEL_NACK);
    in.u.nack.note = cx_text(note, ASUP_MESSAGE_MAX);
    (void)owed_resolve(delivery, OBJECT_DELIVERY, &in);
}
