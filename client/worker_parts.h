/* SPDX-License-Identifier: MIT */
/* What the two halves of a worker share: the loop that talks to the daemon
 * (worker.c), and the calls it has (worker_call.c). */
#ifndef ASUPERSYNC_CLIENT_WORKER_PARTS_H
#define ASUPERSYNC_CLIENT_WORKER_PARTS_H

#include "typed.h"

#include <pthread.h>
#include <stdatomic.h>

#include "asupersync/worker.h"
#include "proto/wire.h"

enum { THREADS_MAX = 1024, PREFETCH_MAX = 65535, ASKED_MAX = 2, COMPLETED_MAX = 512 };

enum work_state { WORK_TAKEN, WORK_ASKED, WORK_READY, WORK_RUNNING, WORK_ENDED };

struct asup_worker_call {
    struct worker *worker;
    struct asup_worker_call *next; /* in its row */
    enum work_state state;
    uint64_t task, region;
    uint32_t attempt;
    const struct asup_worker_function *function;
    char *name, *key;
    void *input;
    size_t input_size;
    struct asup_budget_left budget;
    atomic_bool cancelled;
    bool fenced; /* its session is gone: nobody is to be told */

    enum asup_severity outcome;
    int32_t code;
    char *message;
    void *result;
    size_t result_size;
};

struct row {
    struct asup_worker_call *first, *last;
    uint32_t count;
};

struct worker {
    struct asup_client *c;
    const struct asup_worker_function *functions;
    size_t function_count;
    struct asup_worker_options options;
    int wake_fd; /* eventfd: the talker shall look */

    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct row taken, ready, running, ended;
    uint32_t idle; /* threads without a call */
    bool over;     /* threads end */

    /* the talker's own */
    pthread_t *threads;
    uint32_t thread_count;
    uint32_t asking; /* questions under way */
    uint64_t session;
    bool draining, drained, offer_due;
    int code; /* why it ends; 0: not yet */
    struct asup_error_info *err;
    uint64_t speak_at; /* because of the lease */
};

/* ---- worker_call.c ------------------------------------------------------------------ */

void row_add(struct row *r, struct asup_worker_call *call);
/* The first; NULL: it is empty. */
struct asup_worker_call *row_take(struct row *r);
void row_remove(struct row *r, struct asup_worker_call *call);
struct asup_worker_call *row_find(const struct row *r, uint64_t task);
void row_free(struct row *r);
void call_free(struct asup_worker_call *call);
/* What the daemon gave; NULL: no memory, or it makes no sense. */
struct asup_worker_call *call_read(struct worker *w, const msgpack_object *from);
/* One that has ended so, whatever its function said; NULL: no memory. */
struct asup_worker_call *
call_failed_new(struct worker *w, uint64_t task, uint32_t attempt, const char *message);

#endif
