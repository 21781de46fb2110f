/* SPDX-License-Identifier: MIT */
/*
 * One event as bytes, and back: version, number of its kind, what it has, the
 * fields that all have, outcome, text, payload with its tail, check sum.
 */
#include "core/call.h"
#include "core/codec.h"

/* The seed of check sums is the same in every version, so that an event of another one is told
 * from a damaged one. */
enum { EVENT_VERSION = 1, CHECK_SEED = 1 };
enum { HAS_OUTCOME = 1, HAS_TEXT = 2, HAS_PAYLOAD = 4, CHECK_SIZE = 4 };

static uint32_t
check_of(const uint8_t *data, size_t size)
{
    uint64_t h = hash_bytes(CHECK_SEED, data, size);

    return (uint32_t)(h ^ h >> 32);
}

static int
buffer_room(struct coder_out *o, size_t need)
{
    struct durable_buffer *b = o->ctx;
    void *data = b->data;

    if (!memory_reserve(&b->allocator, &data, &b->capacity, o->size + need, 1))
        return -ASUP_ENOMEM;
    b->data = o->data = data;
    o->capacity = b->capacity;
    return 0;
}

static void
payload_encode(struct coder_out *o, const struct event_row *row, const struct event *ev)
{
    const uint8_t *p = ev->payload;
    size_t tail;

    must(row->payload != NULL && ev->payload_size >= row->payload->size);
    tail = ev->payload_size - row->payload->size;
    out_struct(o, row->payload, p);
    p += row->payload->size;
    if (row->tail == TAIL_BYTES) {
        out_text(o, (struct bytes){p, tail});
    } else if (row->tail == TAIL_REFS) {
        must(tail % sizeof(struct asup_ref) == 0);
        out_number(o, tail / sizeof(struct asup_ref));
        for (; tail > 0; tail -= sizeof(struct asup_ref), p += sizeof(struct asup_ref))
            out_struct(o, &ref_table, p);
    } else {
        must(tail == 0);
    }
}

int
kernel_event_encode(const struct event *ev, struct durable_buffer *to)
{
    struct coder_out o = {.data = to->data,
                          .size = to->size,
                          .capacity = to->capacity,
                          .room = buffer_room,
                          .ctx = to};
    const struct event_row *row = &event_rows[ev->kind];
    uint8_t check[CHECK_SIZE];
    uint32_t sum;

    must((unsigned)ev->kind < EV_KIND_COUNT && row->number != 0);
    out_number(&o, EVENT_VERSION);
    out_number(&o, row->number);
    out_number(&o, (ev->outcome != NULL ? HAS_OUTCOME : 0U) | (ev->text.size > 0 ? HAS_TEXT : 0U) |
                       (ev->payload_size > 0 ? HAS_PAYLOAD : 0U));
    out_struct(&o, &event_table, ev);
    if (ev->outcome != NULL)
        out_struct(&o, &outcome_table, ev->outcome);
    if (ev->text.size > 0)
        out_text(&o, ev->text);
    if (ev->payload_size > 0)
        payload_encode(&o, row, ev);
    if (o.rc != 0)
        return o.rc;
    sum = check_of(o.data + to->size, o.size - to->size);
    for (unsigned i = 0; i < CHECK_SIZE; i++)
        check[i] = (uint8_t)(sum >> (8 * i));
    out_bytes(&o, check, CHECK_SIZE);
    if (o.rc == 0)
        to->size = o.size;
    return o.rc;
}

/* ---- Decoding -------------------------------------------------------------------------------- */

/* Text in place: the bytes are all there. */
static struct bytes
in_place(struct coder_in *i)
{
    uint64_t size = in_number(i);
    const uint8_t *p = i->at;

    if (size > (uint64_t)(i->end - i->at))
        in_fail(i, -ASUP_EMALFORMED);
    if (i->rc != 0 || size == 0)
        return (struct bytes){"", 0};
    i->at += size;
    return (struct bytes){p, (size_t)size};
}

/* The outcome, then the payload with its tail: at most that much memory. */
static bool
scratch_fits(struct durable_buffer *b, const struct event_row *row, size_t in_size)
{
    size_t need = sizeof(struct kernel_outcome) + 8;
    void *data = b->data;

    if (row->payload != NULL)
        need += row->payload->size;
    if (row->tail == TAIL_BYTES)
        need += in_size;
    else if (row->tail == TAIL_REFS)
        need += in_size * sizeof(struct asup_ref); /* a byte each, at least */
    if (!memory_reserve(&b->allocator, &data, &b->capacity, need, 1))
        return false;
    b->data = data;
    b->size = 0;
    return true;
}

static void *
scratch_more(struct durable_buffer *b, size_t size)
{
    void *p = b->data + b->size;

    must(b->capacity - b->size >= size);
    memset(p, 0, size);
    b->size += size;
    return p;
}

static void
payload_decode(struct coder_in *i, const struct event_row *row, struct durable_buffer *b,
               struct event *ev)
{
    size_t begin = (b->size + 7) & ~(size_t)7;
    struct bytes tail;
    uint64_t count;

    if (row->payload == NULL) {
        in_fail(i, -ASUP_EMALFORMED);
        return;
    }
    b->size = begin;
    in_struct(i, row->payload, scratch_more(b, row->payload->size));
    if (row->tail == TAIL_BYTES) {
        tail = in_place(i);
        memcpy(scratch_more(b, tail.size), tail.data, tail.size);
    } else if (row->tail == TAIL_REFS) {
        count = in_number(i);
        for (uint64_t n = 0; n < count && i->rc == 0; n++) {
            if (i->at == i->end)
                in_fail(i, -ASUP_EMALFORMED);
            else
                in_struct(i, &ref_table, scratch_more(b, sizeof(struct asup_ref)));
        }
    }
    ev->payload = b->data + begin;
    ev->payload_size = b->size - begin;
}

/* Sizes that a payload says of its own tail. */
static bool
tail_agrees(const struct event *ev)
{
    const struct task_payload *t = ev->payload;
    const struct request_payload *q = ev->payload;
    const struct request_part_payload *part = ev->payload;
    const struct step_payload *s = ev->payload;
    const struct call_end_payload *end;

    switch (ev->kind) {
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
        return ev->payload_size >= sizeof *t &&
               (uint64_t)t->spec_size + t->call_size + t->key_size == ev->payload_size - sizeof *t;
    case EV_REQUEST_BOUND:
        return ev->payload_size >= sizeof *q &&
               q->count == (ev->payload_size - sizeof *q) / sizeof(struct asup_ref);
    case EV_REQUEST_PART_BOUND:
        return ev->payload_size == sizeof *part && part->count <= REQUEST_PARTS_MAX &&
               part->place < part->count;
    case EV_WORKER_OFFERED:
    case EV_CALL_TAKEN:
    case EV_CALL_STARTED:
        return ev->payload_size > 0;
    case EV_TASK_COMPLETED:
    case EV_CALL_RETRIED:
        end = ev->payload;
        return (ev->payload_size == 0 && ev->kind == EV_TASK_COMPLETED) ||
               (ev->payload_size >= sizeof *end &&
                end->result_size == ev->payload_size - sizeof *end);
    case EV_SAGA_STEP_BEGUN:
        return ev->payload_size >= sizeof *s && s->label_size <= ASUP_LABEL_MAX &&
               s->call_size <= ASUP_NAME_MAX &&
               s->spec_size == ev->payload_size - sizeof *s - s->label_size - s->call_size;
    default:
        return true;
    }
}

static void
event_in(struct coder_in *i, struct durable_buffer *scratch, struct event *ev)
{
    uint64_t number = in_number(i);
    uint64_t has = in_number(i);
    const struct event_row *row;

    if (i->rc == 0 && (number >= EVENT_NUMBERS_MAX || event_kinds[number] == 0 ||
                       has > (HAS_OUTCOME | HAS_TEXT | HAS_PAYLOAD)))
        in_fail(i, -ASUP_EUNSUPPORTED);
    if (i->rc != 0)
        return;
    ev->kind = (enum event_kind)(event_kinds[number] - 1);
    row = &event_rows[ev->kind];
    if (!scratch_fits(scratch, row, (size_t)(i->end - i->at))) {
        in_fail(i, -ASUP_ENOMEM);
        return;
    }
    in_struct(i, &event_table, ev);
    if ((has & HAS_OUTCOME) != 0) {
        struct kernel_outcome *o = scratch_more(scratch, sizeof *o);

        in_struct(i, &outcome_table, o);
        o->stage[sizeof o->stage - 1] = '\0';
        ev->outcome = o;
    }
    ev->text = (has & HAS_TEXT) != 0 ? in_place(i) : (struct bytes){"", 0};
    if ((has & HAS_PAYLOAD) != 0)
        payload_decode(i, row, scratch, ev);
    if (i->rc == 0 && (i->at != i->end || !tail_agrees(ev)))
        in_fail(i, -ASUP_EMALFORMED);
}

int
kernel_event_decode(struct bytes in, struct durable_buffer *scratch, struct event *out)
{
    const uint8_t *data = in.data;
    struct coder_in i = {.at = data, .end = data};
    struct event ev = {0};
    uint32_t sum = 0;

    if (in.size <= CHECK_SIZE)
        return -ASUP_EMALFORMED;
    i.end = data + in.size - CHECK_SIZE;
    for (unsigned n = 0; n < CHECK_SIZE; n++)
        sum |= (uint32_t)i.end[n] << (8 * n);
    if (!check_agrees(sum, check_of(data, in.size - CHECK_SIZE)))
        return -ASUP_EMALFORMED;
    if (in_number(&i) != EVENT_VERSION && i.rc == 0)
        return -ASUP_EUNSUPPORTED;
    event_in(&i, scratch, &ev);
    if (i.rc == 0)
        *out = ev;
    return i.rc;
}
