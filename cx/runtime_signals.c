/* SPDX-License-Identifier: MIT */
/*
 * SIGINT and SIGTERM while a runtime runs that wants them. The handler only
 * counts and raises the alarm of each; who handled them before does so again
 * when the last of these runtimes has ended.
 */
#include "cx/runtime_internal.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

enum { ALARMS_MOST = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint came;
static atomic_int alarms[ALARMS_MOST]; /* descriptor + 1; 0: free */
static unsigned attached;
static struct sigaction former_int, former_term;

static void
on_signal(int signal)
{
    const uint64_t one = 1;
    int saved = errno;

    (void)signal;
    atomic_fetch_add(&came, 1);
    for (unsigned i = 0; i < ALARMS_MOST; i++) {
        int alarm = atomic_load(&alarms[i]);

        if (alarm != 0 && write(alarm - 1, &one, sizeof one) < 0)
            continue; /* full: it is raised already */
    }
    errno = saved;
}

static int
install(void)
{
    struct sigaction own = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};

    (void)sigemptyset(&own.sa_mask);
    if (sigaction(SIGINT, &own, &former_int) != 0)
        return -1;
    if (sigaction(SIGTERM, &own, &former_term) != 0) {
        (void)sigaction(SIGINT, &former_int, NULL);
        return -1;
    }
    return 0;
}

int
signals_attach(int alarm)
{
    unsigned at = 0;
    int rc = -ASUP_EBUSY;

    (void)pthread_mutex_lock(&lock);
    while (at < ALARMS_MOST && atomic_load(&alarms[at]) != 0)
        at++;
    if (at < ALARMS_MOST && (attached > 0 || install() == 0)) {
        atomic_store(&alarms[at], alarm + 1);
        attached++;
        rc = 0;
    }
    (void)pthread_mutex_unlock(&lock);
    return rc;
}

void
signals_detach(int alarm)
{
    (void)pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < ALARMS_MOST; i++) {
        if (atomic_load(&alarms[i]) != alarm + 1)
            continue;
        if (--attached == 0) {
            (void)sigaction(SIGINT, &former_int, NULL);
            (void)sigaction(SIGTERM, &former_term, NULL);
        }
        atomic_store(&alarms[i], 0);
    }
    (void)pthread_mutex_unlock(&lock);
}

unsigned
signals_count(void)
{
    return atomic_load(&came);
}
