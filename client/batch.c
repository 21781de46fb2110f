/* SPDX-License-Identifier: MIT */
/* Many tasks with few messages. */
#include "typed.h"

#include <string.h>

/* What one call of asup_client_task_submit_many() works on. */
struct many {
    struct asup_client *c;
    struct asup_region region;
    const struct asup_process *processes;
    size_t count;
    bool atomic;
    struct asup_task *tasks;
    int *codes; /* NULL: not wanted */
    int worst;  /* first code that is neither 0 nor "not done because of another" */
    struct asup_error_info *err;
};

static void
many_result(struct many *many, size_t index, int code, uint64_t task)
{
    many->tasks[index].id = code == 0 ? task : 0;
    if (many->codes != NULL)
        many->codes[index] = code;
}

/* Write one operation of the batch: [cx, op, args]. */
static int
many_write(struct many *many, size_t index, struct proto_writer *w)
{
    const struct proto_op *op = &proto_ops[PROTO_TASK_SUBMIT];
    struct proto_memory *m = proto_memory_new();
    union proto_args args;
    int rc;

    if (m == NULL)
        return error_memory(many->err);
    proto_args_init(op, &args);
    args.submit.region = target_of(many->region);
    rc = request_process(&many->processes[index], m, &args.submit.process, many->err);
    if (rc == 0) {
        pw_list(w);
        pw_nil(w);
        pw_str(w, op->name);
        proto_args_encode(w, op, &args);
        pw_end(w);
    }
    proto_memory_free(m);
    return rc;
}

/* One [code, body] of the answer. */
static void
many_read(struct many *many, size_t index, const msgpack_object *result)
{
    const msgpack_object *code = proto_list_at(result, 0);
    const msgpack_object *body = proto_list_at(result, 1);
    int number = -ASUP_EMALFORMED;
    uint64_t task = 0;

    if (code != NULL && code->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        number = (int)code->via.i64;
    else if (code != NULL && code->type == MSGPACK_OBJECT_POSITIVE_INTEGER && code->via.u64 == 0)
        number = 0;
    if (number == 0) {
        task = proto_get_ref(body, "task", ASUP_SORT_TASK).id;
        if (task == 0)
            number = -ASUP_EMALFORMED;
    }
    many_result(many, index, number, task);
    if (number == 0 || number == -ASUP_EINTERRUPTED || many->worst != 0)
        return;
    many->worst = number;
    if (many->err != NULL) {
        struct proto_writer w;

        proto_writer_init(&w);
        if (body != NULL)
            pw_object(&w, body);
        asup_error_info_read(many->err, number, w.failed ? NULL : w.data, w.size);
        proto_writer_fini(&w);
    }
}

/* Send operations `first` to `first + count` as one message and read what came
 * of them. Returns 0 when the daemon answered. */
static int
many_send(struct many *many, size_t first, size_t count, struct proto_writer *w)
{
    struct asup_error_info failure;
    const msgpack_object *results;
    struct typed answer;
    int rc;

    pw_end(w);
    pw_key(w, "atomic");
    pw_bool(w, many->atomic);
    pw_end(w);
    if (w->failed)
        rc = error_memory(&failure);
    else
        rc = typed_call_raw(many->c, PROTO_BATCH, w->data, w->size, -1, &answer, &failure);
    if (rc != 0) {
        if (many->err != NULL && many->worst == 0)
            *many->err = failure;
        return rc;
    }
    results = proto_get(&answer.body, "results");
    for (size_t i = 0; i < count; i++)
        many_read(many, first + i, proto_list_at(results, (uint32_t)i));
    typed_end(&answer);
    return 0;
}

static void
many_begin(struct proto_writer *w)
{
    proto_writer_clear(w);
    pw_map(w);
    pw_key(w, "ops");
    pw_list(w);
}

/* Send as many as fit into one message, beginning with `first`; *sent says how
 * many. An operation that has to wait for the next message is written again. */
static int
many_chunk(struct many *many, size_t first, size_t size_max, size_t *sent, struct proto_writer *w)
{
    size_t count = 0;
    bool full = false;

    many_begin(w);
    while (first + count < many->count && count < ASUP_BATCH_MAX && !full) {
        struct proto_writer before = *w;
        int rc = many_write(many, first + count, w);

        if (rc != 0)
            return rc;
        full = !many->atomic && count > 0 && w->size > size_max;
        if (full) { /* take the last one back */
            w->size = before.size;
            w->open[w->depth - 1].count--;
        } else {
            count++;
        }
    }
    *sent = count;
    return many_send(many, first, count, w);
}

int
asup_client_task_submit_many(struct asup_client *c, struct asup_region region,
                             const struct asup_process *processes, size_t count, bool atomic,
                             struct asup_task *tasks, int *codes, struct asup_error_info *err)
{
    struct many many = {c, region, processes, count, atomic, tasks, codes, 0, err};
    struct proto_writer w;
    size_t done = 0, size_max, sent;
    int rc = 0;

    if (c == NULL || region.id == 0 || processes == NULL || tasks == NULL || count == 0)
        return error_invalid(err, "", "a region, processes and a place for the tasks are needed");
    if (atomic && count > ASUP_BATCH_MAX)
        return error_invalid(err, "ops", "an atomic batch holds at most 1024 operations");
    error_clear(err);
    for (size_t i = 0; i < count; i++)
        many_result(&many, i, -ASUP_EINTERRUPTED, 0);
    pthread_mutex_lock(&c->mutex);
    size_max = c->message_size_max - c->message_size_max / 8; /* room for the envelope */
    pthread_mutex_unlock(&c->mutex);
    proto_writer_init(&w);
    while (done < count && rc == 0) {
        rc = many_chunk(&many, done, size_max, &sent, &w);
        if (rc == 0)
            done += sent;
    }
    proto_writer_fini(&w);
    if (rc != 0)
        for (size_t i = done; i < count; i++)
            many_result(&many, i, rc, 0);
    return many.worst != 0 ? many.worst : rc;
}
