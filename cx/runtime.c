/* SPDX-License-Identifier: MIT */
/*
 * The in-process runtime: the world of a shell that is the real one. Time is
 * CLOCK_MONOTONIC, chance is getrandom(2), and when nothing can run the thread
 * waits in poll(2) for descriptors, signals and the next instant that is due.
 * While there is always something that can run, descriptors are looked at every
 * so many switches.
 */
#include "cx/runtime_internal.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { SWITCHES_MOST = 64, STACK_SIZE = 65536, TASKS_MAX = 100000, WATCHES_LEAST = 16 };

static _Thread_local struct runtime *runtime_here;

void
asup_runtime_options_init(struct asup_runtime_options *options)
{
    *options = (struct asup_runtime_options){
        .stack_size = STACK_SIZE, .tasks_max = TASKS_MAX, .stop_on_signals = true};
}

/* ---- Descriptors ---------------------------------------------------------------------- */

struct runtime *
runtime_of(const struct asup_cx *cx)
{
    return runtime_here != NULL && runtime_here->shell == shell_of(cx) ? runtime_here : NULL;
}

static bool
watches_reserve(struct runtime *r)
{
    uint32_t capacity = r->capacity == 0 ? WATCHES_LEAST : 2 * r->capacity;
    struct pollfd *fds;
    struct runtime_watch **watches;

    if (r->count < r->capacity)
        return true;
    fds = realloc(r->fds, capacity * sizeof *fds);
    if (fds == NULL)
        return false;
    r->fds = fds;
    watches = realloc(r->watches, capacity * sizeof(struct runtime_watch *));
    if (watches == NULL)
        return false;
    r->watches = watches;
    r->capacity = capacity;
    return true;
}

int
runtime_watch(struct runtime *r, struct runtime_watch *w, int fd, short events)
{
    if (!watches_reserve(r))
        return -ASUP_ENOMEM;
    w->place = r->count++;
    r->fds[w->place] = (struct pollfd){.fd = fd, .events = events};
    r->watches[w->place] = w;
    return 0;
}

void
runtime_unwatch(struct runtime *r, struct runtime_watch *w)
{
    uint32_t last = --r->count;

    r->fds[w->place] = r->fds[last];
    r->watches[w->place] = r->watches[last];
    r->watches[w->place]->place = w->place;
}

/* From the last on: who ends its watch takes one from the end, which was looked at. */
static void
look(struct runtime *r, const struct timespec *patience)
{
    int ready = ppoll(r->fds, r->count, patience, NULL);

    r->switches = 0;
    for (uint32_t at = r->count; ready > 0 && at-- > 0;) {
        short revents = at < r->count ? r->fds[at].revents : 0;

        if (revents == 0)
            continue;
        ready--;
        r->fds[at].revents = 0;
        r->watches[at]->ready(r->watches[at], revents);
    }
}

/* ---- Signals ---------------------------------------------------------------------------- */

struct alarm_watch {
    struct runtime_watch watch;
    struct runtime *runtime;
};

static void
signals_see(struct runtime *r)
{
    unsigned count = r->options.stop_on_signals ? signals_count() : r->signals_seen;

    while (r->signals_seen != count) {
        r->signals_seen++;
        shell_shutdown(r->shell, ASUP_NEVER);
    }
}

static void
on_alarm(struct runtime_watch *w, short revents)
{
    struct runtime *r = ((struct alarm_watch *)w)->runtime;
    uint64_t count;

    (void)revents;
    if (read(r->alarm, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    signals_see(r);
    if (r->alarmed != NULL)
        r->alarmed(r);
}

/* ---- The world ----------------------------------------------------------------------------- */

static asup_time
world_now(void *ctx)
{
    struct timespec now;

    (void)ctx;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (asup_time)now.tv_sec * ASUP_NS_PER_S + (asup_time)now.tv_nsec;
}

static uint64_t
world_random(void *ctx)
{
    uint64_t bits = 0;

    (void)ctx;
    while (getrandom(&bits, sizeof bits, 0) != (ssize_t)sizeof bits) {
        if (errno != EINTR)
            abort(); /* no guess is as good */
    }
    return bits;
}

static bool
world_idle(void *ctx, asup_time until)
{
    asup_time now = world_now(ctx);
    uint64_t left = until <= now ? 0 : until - now;
    struct timespec patience = {.tv_sec = (time_t)(left / ASUP_NS_PER_S),
                                .tv_nsec = (long)(left % ASUP_NS_PER_S)};

    look(ctx, until == ASUP_NEVER ? NULL : &patience);
    return true;
}

static void
world_switched(void *ctx, uint64_t task)
{
    static const struct timespec none;
    struct runtime *r = ctx;

    if (task != 0 || ++r->switches < SWITCHES_MOST)
        return;
    look(r, &none);
}

/* ---- Running --------------------------------------------------------------------------------- */

static pthread_key_t kept_key;
static pthread_once_t kept_once = PTHREAD_ONCE_INIT;

static void
kept_free(void *kept)
{
    shell_memory_free(kept);
}

static void
kept_init(void)
{
    (void)pthread_key_create(&kept_key, kept_free);
}

void
asup_runtime_outcome_fini(void)
{
    (void)pthread_once(&kept_once, kept_init);
    shell_memory_free(pthread_getspecific(kept_key));
    (void)pthread_setspecific(kept_key, NULL);
}

static int
run(struct runtime *r, asup_body body, void *arg, struct asup_outcome *out)
{
    struct memory_chunk *kept = NULL;
    struct kernel_outcome outcome;
    int rc = shell_run(r->shell, body, arg, &outcome);

    if (rc != 0)
        return rc;
    if (out != NULL) {
        (void)shell_outcome_in(r->shell, &kept, &outcome, out);
        (void)pthread_setspecific(kept_key, kept);
    }
    return shell_result(&outcome);
}

int
asup_runtime_run(const struct asup_runtime_options *options, asup_body body, void *arg,
                 struct asup_outcome *out)
{
    struct runtime r = {.alarm = -1};
    struct alarm_watch alarm = {.watch.ready = on_alarm, .runtime = &r};
    const struct world world = {.ctx = &r,
                                .now = world_now,
                                .random = world_random,
                                .idle = world_idle,
                                .switched = world_switched};
    struct shell_options shell;
    bool attached = false;
    int rc = -ASUP_ENOMEM;

    if (runtime_here != NULL || body == NULL)
        return -ASUP_EINVALID;
    asup_runtime_outcome_fini();
    asup_runtime_options_init(&r.options);
    if (options != NULL)
        r.options = *options;
    shell.stack_size = r.options.stack_size;
    shell_kernel_config_init(&shell.kernel, r.options.tasks_max);
    r.signals_seen = signals_count();
    r.alarm = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r.alarm >= 0 && runtime_watch(&r, &alarm.watch, r.alarm, POLLIN) == 0)
        r.shell = shell_new(&shell, &world);
    if (r.shell != NULL)
        rc = r.options.stop_on_signals ? signals_attach(r.alarm) : 0;
    if (rc == 0) {
        attached = r.options.stop_on_signals;
        runtime_here = &r;
        rc = run(&r, body, arg, out);
        runtime_here = NULL;
    }
    if (attached)
        signals_detach(r.alarm);
    shell_free(r.shell);
    if (r.alarm >= 0)
        (void)close(r.alarm);
    free(r.fds);
    free(r.watches);
    return rc;
}
