/* SPDX-License-Identifier: MIT */
/*
 * Blocking callers sleep on one futex of the client. Each listens for its own
 * bit of it, so an answer wakes (nearly) only its own caller, while an
 * interrupt wakes all. That makes asup_client_interrupt() an atomic store and
 * one system call: safe in a signal handler, as a condition variable is not.
 */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void
futex_wait(atomic_uint *word, unsigned seen, uint32_t bits, uint64_t until)
{
    struct timespec at = {.tv_sec = (time_t)(until / ASUP_NS_PER_S),
                          .tv_nsec = (long)(until % ASUP_NS_PER_S)};

    /* FUTEX_WAIT_BITSET takes an instant of CLOCK_MONOTONIC. Whatever ends the
     * wait, the caller looks again. */
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, seen, until == ASUP_NEVER ? NULL : &at,
            NULL, bits);
}

static void
futex_wake(atomic_uint *word, uint32_t bits)
{
    syscall(SYS_futex, word, FUTEX_WAKE_BITSET_PRIVATE, INT_MAX, NULL, NULL, bits);
}

static uint32_t
call_bit(const struct call *call)
{
    return (uint32_t)1 << (call->index % 32);
}

void
wait_wake(struct asup_client *c, const struct call *call)
{
    atomic_fetch_add(&c->wake, 1);
    futex_wake(&c->wake, call != NULL ? call_bit(call) : FUTEX_BITSET_MATCH_ANY);
}

int
wait_call(struct call *call)
{
    struct asup_client *c = call->client;

    for (;;) {
        unsigned seen = atomic_load(&c->wake);

        if (atomic_load(&call->done))
            return 0;
        if (atomic_load(&c->interrupted))
            return -ASUP_EINTERRUPTED;
        futex_wait(&c->wake, seen, call_bit(call), ASUP_NEVER);
    }
}

void
wait_link(struct asup_client *c, uint64_t until)
{
    for (;;) {
        unsigned seen = atomic_load(&c->wake);
        enum link_state link;

        pthread_mutex_lock(&c->mutex);
        link = c->link;
        pthread_mutex_unlock(&c->mutex);
        if (link == LINK_READY || link == LINK_REFUSED || clock_now() >= until)
            return;
        futex_wait(&c->wake, seen, FUTEX_BITSET_MATCH_ANY, until);
    }
}

void
asup_client_interrupt(struct asup_client *c)
{
    int saved = errno;

    atomic_store(&c->interrupted, true);
    wait_wake(c, NULL);
    errno = saved;
}

bool
asup_client_interrupt_clear(struct asup_client *c)
{
    return atomic_exchange(&c->interrupted, false);
}
