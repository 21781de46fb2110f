/* SPDX-License-Identifier: MIT */
/*
 * Time and chance that go round the Cx. The library stands before libc for the
 * calls below: within a task of a lab each is reported (no-ambient-authority),
 * since a run with it is not the same twice; anywhere else nothing happens to
 * it. It then does what it always does.
 *
 * Also calls that would stop the whole thread: sleeps. What reads or writes
 * cannot be told apart from what may: that is documented, not caught.
 */
#include "lab/lab_internal.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "asupersync/runtime.h"
#include "cx/fiber_internal.h"

static void
report(const char *call, const char *instead)
{
    struct asup_lab *lab = lab_here;
    char who[160];

    if (lab == NULL)
        return;
    lab_here = NULL; /* what is called from here on is ours */
    oracles_complain(lab->oracles, ASUP_ORACLE_NO_AMBIENT_AUTHORITY,
                     "%s called %s(): use %s, so that a run can be repeated (R-CAP-1)",
                     lab_task_text(lab, lab->running, who, sizeof who), call, instead);
    lab_here = lab;
}

/* The next one of that name: libc's. Asked for each time: it is no hot path. */
#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, name))

#define INSTEAD_NOW "asup_cx_now()"
#define INSTEAD_SLEEP "asup_cx_sleep()"
#define INSTEAD_RANDOM "asup_cx_random_u64()"

/* libc's own names of parameters are reserved ones. */
// NOLINTBEGIN(readability-inconsistent-declaration-parameter-name)
ASUP_API int
clock_gettime(clockid_t clock, struct timespec *out)
{
#if !defined(FIBER_ASAN) && !defined(FIBER_TSAN)
    /* A sanitizer's allocator asks for the time with its locks held: nothing could be said then. */
    report("clock_gettime", INSTEAD_NOW);
#endif
    return NEXT(int (*)(clockid_t, struct timespec *), "clock_gettime")(clock, out);
}

ASUP_API int
gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    report("gettimeofday", INSTEAD_NOW);
    return NEXT(int (*)(struct timeval *, void *), "gettimeofday")(out, zone);
}

ASUP_API time_t
time(time_t *out)
{
    report("time", INSTEAD_NOW);
    return NEXT(time_t(*)(time_t *), "time")(out);
}

ASUP_API int
nanosleep(const struct timespec *want, struct timespec *left)
{
    report("nanosleep", INSTEAD_SLEEP);
    return NEXT(int (*)(const struct timespec *, struct timespec *), "nanosleep")(want, left);
}

ASUP_API int
clock_nanosleep(clockid_t clock, int flags, const struct timespec *want, struct timespec *left)
{
    report("clock_nanosleep", INSTEAD_SLEEP);
    return NEXT(int (*)(clockid_t, int, const struct timespec *, struct timespec *),
                "clock_nanosleep")(clock, flags, want, left);
}

ASUP_API int
usleep(useconds_t microseconds)
{
    report("usleep", INSTEAD_SLEEP);
    return NEXT(int (*)(useconds_t), "usleep")(microseconds);
}

ASUP_API unsigned
sleep(unsigned seconds)
{
    report("sleep", INSTEAD_SLEEP);
    return NEXT(unsigned (*)(unsigned), "sleep")(seconds);
}

ASUP_API int
rand(void)
{
    report("rand", INSTEAD_RANDOM);
    return NEXT(int (*)(void), "rand")();
}

ASUP_API long
random(void)
{
    report("random", INSTEAD_RANDOM);
    return NEXT(long (*)(void), "random")();
}

ASUP_API ssize_t
getrandom(void *buffer, size_t size, unsigned flags)
{
    report("getrandom", INSTEAD_RANDOM);
    return NEXT(ssize_t(*)(void *, size_t, unsigned), "getrandom")(buffer, size, flags);
}

ASUP_API int
getentropy(void *buffer, size_t size)
{
    report("getentropy", INSTEAD_RANDOM);
    return NEXT(int (*)(void *, size_t), "getentropy")(buffer, size);
}

/* ---- Descriptors ------------------------------------------------------------- */

/* What comes from outside comes when it will: there is nothing that a seed could repeat. */
int
asup_cx_poll(struct asup_cx *cx, int fd, short events, uint64_t timeout_ns, short *revents)
{
    (void)cx;
    (void)fd;
    (void)events;
    (void)timeout_ns;
    (void)revents;
    return -ASUP_EUNSUPPORTED;
}
// NOLINTEND(readability-inconsistent-declaration-parameter-name)
