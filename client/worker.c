/* SPDX-License-Identifier: MIT */
/*
 * The worker loop.
 *
 * The thread that called asup_worker_run() talks to the daemon, the others run
 * functions. Between them stands one mutex:
 *
 *     calls:  READY --thread--> RUNNING --thread--> ENDED --talker--> told, freed
 *             TAKEN --talker asks whether it may begin--> READY, or taken back
 *
 * The talker asks with worker.next, which waits with the daemon. When something
 * has ended meanwhile it asks again, telling that; the daemon answers the former
 * question then (interrupted). While two are under way what ends gathers, so
 * under load many completions go in one message. Cancels come in the answers and
 * set a flag of the call.
 */
#include "worker_parts.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ---- Threads that run functions ------------------------------------------------------ */

static void
worker_wake(struct worker *w)
{
    uint64_t one = 1;

    (void)!write(w->wake_fd, &one, sizeof one); /* cannot fail: it never comes near its end */
}

static void
call_run(struct asup_worker_call *call)
{
    enum asup_severity outcome = call->function->fn(call, call->function->arg);

    if ((unsigned)outcome > ASUP_PANICKED)
        outcome = ASUP_PANICKED;
    if (outcome == ASUP_CANCELLED && !atomic_load(&call->cancelled))
        outcome = ASUP_ERR; /* nobody asked it to end */
    call->outcome = outcome;
}

static void *
thread_main(void *arg)
{
    struct worker *w = arg;

    pthread_mutex_lock(&w->mutex);
    for (;;) {
        struct asup_worker_call *call;

        while ((call = row_take(&w->ready)) == NULL && !w->over)
            pthread_cond_wait(&w->work, &w->mutex);
        if (call == NULL)
            break;
        call->state = WORK_RUNNING;
        row_add(&w->running, call);
        w->idle--;
        pthread_mutex_unlock(&w->mutex);
        call_run(call);
        pthread_mutex_lock(&w->mutex);
        row_remove(&w->running, call);
        call->state = WORK_ENDED;
        row_add(&w->ended, call);
        w->idle++;
        worker_wake(w);
    }
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void
threads_end(struct worker *w)
{
    pthread_mutex_lock(&w->mutex);
    w->over = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->mutex);
    for (uint32_t i = 0; i < w->thread_count; i++)
        pthread_join(w->threads[i], NULL);
    free(w->threads);
}

static int
threads_begin(struct worker *w)
{
    w->threads = calloc(w->options.threads, sizeof *w->threads);
    if (w->threads == NULL)
        return -ASUP_ENOMEM;
    w->idle = w->options.threads;
    for (; w->thread_count < w->options.threads; w->thread_count++) {
        if (pthread_create(&w->threads[w->thread_count], NULL, thread_main, w) != 0)
            return -ASUP_ENOMEM;
    }
    return 0;
}

/* ---- Answers ----------------------------------------------------------------------------- */

static bool
is_known(const struct worker *w, uint64_t task, uint32_t attempt)
{
    const struct row *rows[] = {&w->taken, &w->ready, &w->running, &w->ended};

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct asup_worker_call *call = row_find(rows[i], task);

        if (call != NULL && call->attempt == attempt)
            return true;
    }
    return false;
}

static void
calls_take(struct worker *w, const msgpack_object *calls)
{
    for (uint32_t i = 0; i < proto_list_size(calls); i++) {
        struct asup_worker_call *call = call_read(w, proto_list_at(calls, i));

        if (call == NULL)
            continue; /* the daemon takes it back with our session */
        if (is_known(w, call->task, call->attempt)) {
            call_free(call); /* the answer came twice */
            continue;
        }
        if (call->state == WORK_READY) {
            row_add(&w->ready, call);
            pthread_cond_signal(&w->work);
        } else {
            row_add(&w->taken, call);
        }
    }
}

static void
cancels_take(struct worker *w, const msgpack_object *cancels)
{
    for (uint32_t i = 0; i < proto_list_size(cancels); i++) {
        uint64_t task = proto_get_ref(proto_list_at(cancels, i), "task", ASUP_SORT_TASK).id;
        struct row *rows[] = {&w->running, &w->ready};

        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
            struct asup_worker_call *call = row_find(rows[r], task);

            if (call != NULL)
                atomic_store(&call->cancelled, true);
        }
    }
}

/* A question under way: what it told and asked, in the order of the codes. */
struct question {
    struct worker *worker;
    struct told *told; /* completions */
    uint32_t told_count;
    uint32_t started;
    uint64_t tasks[];
};

struct told {
    uint64_t task;
    uint32_t attempt;
    int code; /* 0: taken, or nobody knows */
};

static void
question_free(struct question *q)
{
    if (q != NULL)
        free(q->told);
    free(q);
}

static void
started_take(struct worker *w, const struct question *q, const msgpack_object *codes)
{
    for (uint32_t i = 0; i < q->started; i++) {
        struct asup_worker_call *call = row_find(&w->taken, q->tasks[i]);
        const msgpack_object *code = proto_list_at(codes, i);

        if (call == NULL)
            continue;
        if (code == NULL) {
            call->state = WORK_TAKEN; /* it was not taken notice of: ask again */
        } else if (code->type == MSGPACK_OBJECT_POSITIVE_INTEGER && code->via.u64 == 0) {
            row_remove(&w->taken, call);
            call->state = WORK_READY;
            row_add(&w->ready, call);
            pthread_cond_signal(&w->work);
        } else if (code->type == MSGPACK_OBJECT_NEGATIVE_INTEGER && code->via.i64 == -ASUP_EBUSY) {
            call->state = WORK_TAKEN;
        } else { /* taken back */
            row_remove(&w->taken, call);
            call_free(call);
        }
    }
}

/* What it had is no longer its own. */
static void
worker_forget(struct worker *w)
{
    row_free(&w->taken);
    row_free(&w->ready);
    for (struct asup_worker_call *call = w->running.first; call != NULL; call = call->next) {
        call->fenced = true;
        atomic_store(&call->cancelled, true);
    }
    row_free(&w->ended);
}

static void
worker_fails(struct worker *w, int code, const void *body, size_t size)
{
    if (w->code != 0)
        return;
    w->code = code;
    if (w->err != NULL)
        asup_error_info_read(w->err, code, body, size);
}

static void
refused(struct worker *w, int code, const void *body, size_t size)
{
    switch (-code) {
    case ASUP_ETIMEDOUT:
    case ASUP_EINTERRUPTED:
    case ASUP_EBUSY:
        break; /* it is asked again */
    case ASUP_EENDED:
        w->drained = true;
        break;
    case ASUP_EINVALID: /* a new session knows of no offer */
    case ASUP_EEXPIRED:
    case ASUP_EUNAVAILABLE:
        if (w->session != asup_client_session(w->c).id) {
            w->offer_due = true;
            break;
        }
        worker_fails(w, code, body, size);
        break;
    default:
        worker_fails(w, code, body, size);
        break;
    }
}

/* Which completions the daemon did not take. One with too large a result is told
 * once more, without: its call would run for ever. */
static void
told_take(struct worker *w, struct question *q, int code, const msgpack_object *codes)
{
    for (uint32_t i = 0; i < q->told_count; i++) {
        const msgpack_object *said = proto_list_at(codes, i);
        struct told *told = &q->told[i];
        struct asup_worker_call *again = NULL;

        if (code == -ASUP_EEXPIRED)
            told->code = code; /* the session ended first */
        else if (said != NULL && said->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
            told->code = (int)said->via.i64;
        if (told->code == -ASUP_ETOOLARGE)
            again = call_failed_new(w, told->task, told->attempt,
                                    "its result is larger than the daemon takes");
        if (again != NULL)
            row_add(&w->ended, again);
    }
}

/* Without the mutex: the hook may do what it likes. */
static void
refusals_tell(const struct worker *w, const struct question *q)
{
    for (uint32_t i = 0; i < q->told_count && w->options.on_refused != NULL; i++) {
        if (q->told[i].code != 0)
            w->options.on_refused(w->options.on_refused_arg, (struct asup_task){q->told[i].task},
                                  q->told[i].attempt, q->told[i].code);
    }
}

static void
on_answer(void *arg, int code, const void *body, size_t size)
{
    struct question *q = arg;
    struct worker *w = q->worker;
    struct proto_memory *m = proto_memory_new();
    msgpack_object map;

    pthread_mutex_lock(&w->mutex);
    w->asking--;
    if (code == 0 && (m == NULL || wire_unpack(body, size, m, &map) != 0))
        code = -ASUP_ENOMEM;
    if (code == 0) {
        told_take(w, q, 0, proto_get(&map, "completed"));
        started_take(w, q, proto_get(&map, "started"));
        calls_take(w, proto_get(&map, "calls"));
        cancels_take(w, proto_get(&map, "cancels"));
    } else {
        told_take(w, q, code, NULL);
        started_take(w, q, NULL);
        refused(w, code, body, size);
    }
    pthread_mutex_unlock(&w->mutex);
    proto_memory_free(m);
    refusals_tell(w, q);
    question_free(q);
}

/* ---- Questions ------------------------------------------------------------------------------ */

/* What has ended goes with the message, and is forgotten but for who it was: of
 * what the daemon does not take, the program is told (on_refused). */
static uint32_t
completions_write(struct row *ended, struct proto_completion *out, struct told *told)
{
    uint32_t count = 0;

    for (const struct asup_worker_call *call = ended->first; call != NULL && count < ended->count;
         call = call->next) {
        struct proto_completion *p = &out[count];

        told[count++] = (struct told){.task = call->task, .attempt = call->attempt};
        *p = (struct proto_completion){
            .task = call->task,
            .attempt = call->attempt,
            .outcome = call->outcome,
            .code = call->code,
            .message = text_of(call->message),
            .result = {call->result, call->result_size},
        };
    }
    return count;
}

/* Those to tell now: not more than a message holds. */
static void
ended_take(struct worker *w, struct row *out, size_t size_most)
{
    size_t size = 0;

    while (w->ended.first != NULL && out->count < COMPLETED_MAX) {
        struct asup_worker_call *call = w->ended.first;

        if (out->count > 0 && size + call->result_size > size_most)
            return;
        size += call->result_size + 128;
        (void)row_take(&w->ended);
        if (call->fenced)
            call_free(call);
        else
            row_add(out, call);
    }
}

/* Taken calls for threads that have none. */
static struct question *
question_new(struct worker *w)
{
    uint32_t wanted = w->idle > w->ready.count ? w->idle - w->ready.count : 0;
    struct question *q = calloc(1, sizeof *q + wanted * sizeof q->tasks[0]);

    if (q == NULL)
        return NULL;
    q->worker = w;
    for (struct asup_worker_call *call = w->taken.first; call != NULL && q->started < wanted;
         call = call->next) {
        if (call->state != WORK_TAKEN)
            continue;
        call->state = WORK_ASKED;
        q->tasks[q->started++] = call->task;
    }
    return q;
}

static int64_t
wait_ms(const struct worker *w)
{
    return w->options.quiet_ns == ASUP_NEVER
               ? -1
               : (int64_t)(w->options.quiet_ns / 3 / ASUP_NS_PER_MS) + 1;
}

/* Called with the mutex held. Returns 0 or an error. */
static int
ask(struct worker *w)
{
    struct row told = {0};
    struct proto_completion *completed = NULL;
    struct question *q = question_new(w);
    union proto_args args;
    struct proto_writer pw;
    int rc = -ASUP_ENOMEM;

    ended_take(w, &told, PROTO_SIZE_MAX / 2);
    if (told.count > 0) {
        completed = calloc(told.count, sizeof *completed);
        if (q != NULL)
            q->told = calloc(told.count, sizeof *q->told);
    }
    if (q == NULL || (told.count > 0 && (completed == NULL || q->told == NULL))) {
        row_free(&told);
        question_free(q);
        free(completed);
        return rc;
    }
    q->told_count = told.count;
    args_begin(PROTO_WORKER_NEXT, &args);
    args.worker_next.most = w->options.threads + w->options.prefetch;
    if (args.worker_next.most > PROTO_CALLS_MAX)
        args.worker_next.most = PROTO_CALLS_MAX;
    args.worker_next.completed =
        (struct proto_records){completed, completions_write(&told, completed, q->told)};
    args.worker_next.started = (struct proto_ids){q->tasks, q->started};
    proto_writer_init(&pw);
    proto_args_encode(&pw, &proto_ops[PROTO_WORKER_NEXT], &args);
    if (!pw.failed)
        rc = asup_client_call_start(w->c, proto_ops[PROTO_WORKER_NEXT].name, pw.data, pw.size,
                                    wait_ms(w), on_answer, q, NULL);
    proto_writer_fini(&pw);
    free(completed);
    row_free(&told);
    if (rc != 0)
        question_free(q);
    else
        w->asking++;
    w->speak_at = clock_after(clock_now(), wait_ms(w));
    return rc;
}

/* ---- Offering -----------------------------------------------------------------------------------
 */

static int
offer(struct worker *w)
{
    const struct asup_worker_options *o = &w->options;
    struct proto_text names[PROTO_OFFERS_MAX];
    union proto_args args;

    args_begin(PROTO_WORKER_OFFER, &args);
    for (size_t i = 0; i < w->function_count; i++)
        names[i] = text_of(w->functions[i].name);
    args.worker_offer.names = (struct proto_texts){names, (uint32_t)w->function_count};
    if (o->region.id != 0)
        args.worker_offer.region = target_of(o->region);
    args.worker_offer.concurrency = o->threads;
    args.worker_offer.prefetch = o->prefetch;
    args.worker_offer.response_ns = o->response_ns;
    args.worker_offer.quiet_ns = o->quiet_ns;
    w->session = asup_client_session(w->c).id;
    return typed_call(w->c, PROTO_WORKER_OFFER, &args, -1, NULL, w->err);
}

static int
drain(struct worker *w)
{
    union proto_args args;

    args_begin(PROTO_WORKER_DRAIN, &args);
    return typed_call(w->c, PROTO_WORKER_DRAIN, &args, -1, NULL, w->err);
}

/* ---- The talker
 * ----------------------------------------------------------------------------------- */

/* Whether there is something to say, or nobody listens. */
static bool
ask_is_due(const struct worker *w)
{
    bool begins = false;

    if (w->asking == 0)
        return true;
    if (w->asking >= ASKED_MAX)
        return false;
    for (const struct asup_worker_call *call = w->taken.first; call != NULL; call = call->next)
        begins = begins || call->state == WORK_TAKEN;
    return w->ended.count > 0 || (begins && w->idle > w->ready.count) || clock_now() >= w->speak_at;
}

static bool
is_over(const struct worker *w)
{
    return w->code != 0 || (w->drained && w->running.count == 0 && w->ready.count == 0 &&
                            w->ended.count == 0 && w->asking == 0);
}

/* Sleep until something happened. */
static void
talker_sleep(struct worker *w)
{
    struct pollfd fds[] = {
        {.fd = asup_client_fd(w->c), .events = POLLIN},
        {.fd = w->wake_fd, .events = POLLIN},
        {.fd = w->draining ? -1 : w->options.stop_fd, .events = POLLIN},
    };
    uint64_t count;

    (void)poll(fds, 3, clock_left(clock_now(), w->speak_at));
    (void)!read(w->wake_fd, &count, sizeof count);
    (void)asup_client_dispatch(w->c);
    if (fds[2].revents != 0 && !w->draining) {
        w->draining = true;
        if (drain(w) != 0)
            w->drained = true; /* nobody to finish for */
    }
}

static void
talk(struct worker *w)
{
    pthread_mutex_lock(&w->mutex);
    while (!is_over(w)) {
        bool sleep = true;
        int rc = 0;

        if (w->offer_due && w->asking == 0) {
            w->offer_due = false;
            worker_forget(w);
            pthread_mutex_unlock(&w->mutex);
            rc = w->draining ? -ASUP_EENDED : offer(w);
            pthread_mutex_lock(&w->mutex);
            if (w->draining)
                w->drained = true;
            else if (rc != 0)
                w->code = rc;
            rc = 0;
            sleep = false; /* who has just offered has to ask */
        } else if (!w->offer_due && !(w->drained && w->ended.count == 0) && ask_is_due(w)) {
            rc = ask(w);
        }
        if (rc != 0)
            w->code = rc;
        pthread_mutex_unlock(&w->mutex);
        if (rc == 0 && sleep)
            talker_sleep(w);
        pthread_mutex_lock(&w->mutex);
    }
    worker_forget(w);
    pthread_mutex_unlock(&w->mutex);
}

static int
options_check(const struct asup_worker_function *functions, size_t count,
              const struct asup_worker_options *o, struct asup_error_info *err)
{
    if (functions == NULL || count == 0 || count > PROTO_OFFERS_MAX)
        return error_invalid(err, "functions", "1 to 64 functions are needed");
    for (size_t i = 0; i < count; i++) {
        if (functions[i].name == NULL || functions[i].fn == NULL)
            return error_invalid(err, "functions", "a function needs a name and a body");
    }
    if (o->threads == 0 || o->threads > THREADS_MAX || o->prefetch > PREFETCH_MAX)
        return error_invalid(err, "threads", "threads are 1 to 1024, prefetch at most 65535");
    return 0;
}

void
asup_worker_options_init(struct asup_worker_options *options)
{
    *options = (struct asup_worker_options){.threads = 1, .quiet_ns = ASUP_NEVER, .stop_fd = -1};
}

int
asup_worker_run(struct asup_client *c, const struct asup_worker_function *functions, size_t count,
                const struct asup_worker_options *options, struct asup_error_info *err)
{
    struct worker w = {.c = c, .functions = functions, .function_count = count, .err = err};
    int rc;

    asup_worker_options_init(&w.options);
    if (options != NULL)
        w.options = *options;
    error_clear(err);
    if (c == NULL)
        return error_invalid(err, "c", "there is no client");
    rc = options_check(functions, count, &w.options, err);
    if (rc != 0)
        return rc;
    w.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w.wake_fd < 0)
        return error_memory(err);
    pthread_mutex_init(&w.mutex, NULL);
    pthread_cond_init(&w.work, NULL);
    w.speak_at = ASUP_NEVER;
    rc = threads_begin(&w);
    if (rc != 0)
        (void)error_memory(err);
    else
        rc = offer(&w);
    if (rc == 0) {
        talk(&w);
        rc = w.code;
    }
    threads_end(&w);
    /* Questions that are still under way know this worker. */
    while (w.asking > 0) {
        struct pollfd fd = {.fd = asup_client_fd(c), .events = POLLIN};

        (void)poll(&fd, 1, -1);
        (void)asup_client_dispatch(c);
    }
    row_free(&w.taken);
    row_free(&w.ready);
    row_free(&w.ended);
    pthread_cond_destroy(&w.work);
    pthread_mutex_destroy(&w.mutex);
    close(w.wake_fd);
    return rc;
}
