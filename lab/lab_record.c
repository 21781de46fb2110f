/* SPDX-License-Identifier: MIT */
/*
 * What a run did, in memory: every event as the bytes that would be saved, every
 * choice, every line of text. A replay compares as it goes.
 */
#include "lab/lab_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/version.h"
#include "lab/bytes.h"

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new > 0)
        return realloc(ptr, size_new);
    free(ptr);
    return NULL;
}

static const struct kernel_allocator from_heap = {.resize = resize};

void
record_fini(struct record *r)
{
    durable_buffer_fini(&r->bytes);
    bytes_file_fini(&r->snapshot);
    free(r->items);
    memset(r, 0, sizeof *r);
}

static struct record_item *
item_new(struct record *r, enum trace_frame_kind kind)
{
    if (r->count == r->capacity) {
        size_t capacity = r->capacity == 0 ? 1024 : 2 * r->capacity;
        struct record_item *items = realloc(r->items, capacity * sizeof *items);

        if (items == NULL) {
            r->failed = true;
            return NULL;
        }
        r->items = items;
        r->capacity = capacity;
    }
    r->items[r->count] = (struct record_item){.kind = kind};
    return &r->items[r->count++];
}

void
record_begin(struct asup_lab *lab)
{
    struct durable_sink sink;

    lab->record.bytes.allocator = from_heap;
    if (!lab->effective.capture_trace)
        return;
    sink = bytes_sink(&lab->record.snapshot);
    if (kernel_save(shell_kernel(lab->shell), &sink) != 0)
        lab->record.failed = true;
}

/* ---- Events ------------------------------------------------------------------------ */

/* FNV-1a, 64 bits, eight bytes at a time where there are as many. */
static uint64_t
digest_of(uint64_t digest, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        digest = (digest ^ data[i]) * UINT64_C(0x100000001b3);
    return digest;
}

static void
compare(struct asup_lab *lab, const struct event *ev, const uint8_t *data, size_t size)
{
    const struct record *x = &lab->expected;

    while (lab->replay_event < x->count && x->items[lab->replay_event].kind != TRACE_EVENT)
        lab->replay_event++;
    if (lab->replay_differs)
        return;
    if (lab->replay_event == x->count) {
        lab->replay_differs = true;
        lab_fail(lab, "the trace ends where %s (event %llu) comes now", event_kind_name(ev->kind),
                 (unsigned long long)ev->seq);
        return;
    }
    if (x->items[lab->replay_event].size != size ||
        memcmp(x->bytes.data + x->items[lab->replay_event].offset, data, size) != 0) {
        const struct record_item *item = &x->items[lab->replay_event];
        struct durable_buffer scratch = {.allocator = from_heap};
        struct bytes bytes = {.data = x->bytes.data + item->offset, .size = item->size};
        struct event was;
        const char *before = kernel_event_decode(bytes, &scratch, &was) == 0
                                 ? event_kind_name(was.kind)
                                 : "something else";

        lab->replay_differs = true;
        lab_fail(lab, "event %llu at %llu ns is %s; in the trace it was %s%s",
                 (unsigned long long)ev->seq, (unsigned long long)ev->at, event_kind_name(ev->kind),
                 before,
                 strcmp(before, event_kind_name(ev->kind)) == 0 ? " of something else" : "");
        durable_buffer_fini(&scratch);
    }
    lab->replay_event++;
}

void
record_event(struct asup_lab *lab, const struct event *ev)
{
    struct record *r = &lab->record;
    struct record_item *item;
    size_t offset;

    if (!lab->effective.capture_trace)
        r->bytes.size = 0;
    offset = r->bytes.size;
    if (r->failed || kernel_event_encode(ev, &r->bytes) != 0) {
        r->failed = true;
        return;
    }
    lab->digest = digest_of(lab->digest, r->bytes.data + offset, r->bytes.size - offset);
    if (lab->replaying)
        compare(lab, ev, r->bytes.data + offset, r->bytes.size - offset);
    if (!lab->effective.capture_trace)
        return;
    item = item_new(r, TRACE_EVENT);
    if (item != NULL) {
        item->offset = offset;
        item->size = r->bytes.size - offset;
    }
}

void
record_choice(struct asup_lab *lab, enum choice_kind kind, uint32_t taken, uint32_t among)
{
    struct record_item *item;

    if (!lab->effective.capture_trace)
        return;
    item = item_new(&lab->record, TRACE_CHOICE);
    if (item != NULL)
        item->choice = (struct trace_choice){.kind = (uint8_t)kind, .taken = taken, .among = among};
}

void
record_step(struct asup_lab *lab)
{
    if (lab->effective.capture_trace)
        (void)item_new(&lab->record, TRACE_STEP);
}

static bool
bytes_keep(struct record *r, const void *data, size_t size, size_t *offset)
{
    if (r->bytes.size + size > r->bytes.capacity) {
        size_t capacity = 2 * (r->bytes.size + size) + 256;
        uint8_t *grown = realloc(r->bytes.data, capacity);

        if (grown == NULL) {
            r->failed = true;
            return false;
        }
        r->bytes.data = grown;
        r->bytes.capacity = capacity;
    }
    *offset = r->bytes.size;
    if (size > 0)
        memcpy(r->bytes.data + r->bytes.size, data, size);
    r->bytes.size += size;
    return true;
}

void
record_text(struct asup_lab *lab, uint64_t task, const char *text)
{
    struct record_item *item;
    size_t offset;

    if (!lab->effective.capture_trace || !bytes_keep(&lab->record, text, strlen(text) + 1, &offset))
        return;
    item = item_new(&lab->record, TRACE_TEXT);
    if (item != NULL) {
        item->task = task;
        item->at = lab->now;
        item->offset = offset;
        item->size = strlen(text);
    }
}

/* ---- On disk --------------------------------------------------------------------------- */

static int
write_item(struct trace_writer *w, const struct record *r, const struct record_item *item,
           struct durable_buffer *scratch)
{
    struct event ev;
    int rc;

    switch (item->kind) {
    case TRACE_CHOICE:
        return trace_write_choice(w, &item->choice);
    case TRACE_TEXT:
        return trace_write_text(w, item->task, item->at,
                                (const char *)r->bytes.data + item->offset);
    case TRACE_STEP:
        return trace_write_step(w);
    case TRACE_EVENT:
        rc = kernel_event_decode(
            (struct bytes){.data = r->bytes.data + item->offset, .size = item->size}, scratch, &ev);
        return rc != 0 ? rc : trace_write_event(w, &ev);
    default:
        return -ASUP_EINVALID;
    }
}

int
asup_lab_trace_save(const struct asup_lab *lab, const char *path)
{
    const struct record *r = &lab->record;
    struct durable_buffer scratch = {.allocator = from_heap};
    struct trace_writer *w;
    char options[1024];
    char command[5000];
    int rc;

    if (!lab->effective.capture_trace || r->snapshot.size == 0)
        return -ASUP_EINVALID;
    w = trace_create(path);
    if (w == NULL)
        return -ASUP_EUNAVAILABLE;
    lab_command(lab, options, sizeof options);
    (void)snprintf(command, sizeof command, "%s --replay %s", lab_invoked(lab), path);
    trace_meta_text(w, "program", lab->program);
    trace_meta_text(w, "command", command);
    trace_meta_text(w, "version", ASUP_VERSION);
    trace_meta_text(w, "options", options);
    trace_meta_text(w, "made-by", "lab");
    trace_meta_text(w, "failure", lab->failure);
    trace_meta_number(w, "seed", lab->effective.seed);
    trace_meta_number(w, "entropy-seed", lab->effective.entropy_seed);
    trace_meta_number(w, "max-steps", lab->effective.max_steps);
    trace_meta_number(w, "digest", lab->digest);
    if (lab->kills > 0 || !lab->effective.panic_on_obligation_leak)
        trace_meta_number(w, "leaks-allowed", 1);
    rc = trace_write_snapshot_bytes(
        w, (struct bytes){.data = r->snapshot.data, .size = r->snapshot.size});
    for (size_t i = 0; rc == 0 && i < r->count; i++)
        rc = write_item(w, r, &r->items[i], &scratch);
    durable_buffer_fini(&scratch);
    if (rc == 0)
        return trace_finish(w);
    trace_abandon(w);
    return rc;
}

/* ---- Replaying ------------------------------------------------------------------------------ */

static int
read_item(struct record *x, const struct trace_frame *frame)
{
    struct record_item *item;
    size_t offset = x->bytes.size;
    int rc;

    if (frame->kind == TRACE_EVENT) {
        rc = kernel_event_encode(&frame->event, &x->bytes);
        if (rc != 0)
            return rc;
    } else if (frame->kind != TRACE_CHOICE) {
        return 0;
    }
    item = item_new(x, frame->kind);
    if (item == NULL)
        return -ASUP_ENOMEM;
    item->choice = frame->choice;
    item->offset = offset;
    item->size = x->bytes.size - offset;
    return 0;
}

/* What the run needs to be told that choices do not say. */
static int
meta_take(struct asup_lab *lab, const struct trace_reader *r)
{
    const char *program = trace_meta(r, "program");
    uint64_t number;

    if (program == NULL || strcmp(program, lab->program) != 0) {
        lab_fail(lab, "the trace is of the program '%s', this is '%s'",
                 program != NULL ? program : "?", lab->program);
        return -ASUP_EUNSUPPORTED;
    }
    if (trace_meta_number_of(r, "seed", &number))
        lab->config.seed = lab->effective.seed = number;
    if (trace_meta_number_of(r, "entropy-seed", &number))
        lab->config.entropy_seed = lab->effective.entropy_seed = number;
    if (trace_meta_number_of(r, "max-steps", &number))
        lab->effective.max_steps = number;
    return 0;
}

int
replay_load(struct asup_lab *lab, const char *path)
{
    struct record *x = &lab->expected;
    struct trace_reader *r = NULL;
    struct trace_frame frame;
    char why[FAILURE_SIZE] = "";
    int rc;

    record_fini(x);
    x->bytes.allocator = from_heap;
    lab->replay_differs = false;
    free(lab->replay_path);
    lab->replay_path = strdup(path);
    if (lab->replay_path == NULL)
        return -ASUP_ENOMEM;
    rc = trace_open(path, &r, why, sizeof why);
    if (rc == 0)
        rc = meta_take(lab, r);
    while (rc == 0 && (rc = trace_next(r, &frame, why, sizeof why)) == 1)
        rc = read_item(x, &frame);
    trace_close(r);
    if (rc != 0)
        lab_fail(lab, "%s", why[0] != '\0' ? why : asup_error_text(rc));
    return rc;
}

bool
replay_peek(struct asup_lab *lab, enum choice_kind kind, struct trace_choice *out)
{
    const struct record *x = &lab->expected;

    while (lab->replay_choice < x->count && x->items[lab->replay_choice].kind != TRACE_CHOICE)
        lab->replay_choice++;
    if (lab->replay_choice == x->count || x->items[lab->replay_choice].choice.kind != kind)
        return false;
    *out = x->items[lab->replay_choice].choice;
    return true;
}

bool
replay_choice(struct asup_lab *lab, enum choice_kind kind, struct trace_choice *out)
{
    if (!replay_peek(lab, kind, out))
        return false;
    lab->replay_choice++;
    /* Kept as in the run that it repeats, so that this one can be saved, too. */
    record_choice(lab, kind, out->taken, out->among);
    return true;
}

void
replay_end(struct asup_lab *lab)
{
    const struct record *x = &lab->expected;

    while (lab->replay_event < x->count && x->items[lab->replay_event].kind != TRACE_EVENT)
        lab->replay_event++;
    if (lab->replay_differs || lab->replay_event == x->count)
        return;
    lab->replay_differs = true;
    lab_fail(lab, "the run ends where the trace goes on");
}
