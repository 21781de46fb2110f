/* SPDX-License-Identifier: MIT */
#include "daemon/engine/crash.h"

#if defined ASUP_CRASH_POINTS && ASUP_CRASH_POINTS

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LINES_MAX = 16 };

struct planned {
    char point[32];       /* crash; "": fail or plant */
    char plant[32];       /* plant; "": crash or fail */
    enum fault_call call; /* fail */
    enum fault fault;
    unsigned long n;
    bool ever;
    unsigned long passes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct planned plan[LINES_MAX];
static size_t plan_count;
static struct stat plan_seen;

static int
index_of(const char *word, const char *const *words, int count)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(word, words[i]) == 0)
            return i;
    }
    fprintf(stderr, "crash plan: %s is not known\n", word);
    abort();
}

static void
read_line(const char *line)
{
    static const char *const calls[] = {"write", "sync", "truncate", "open"};
    static const char *const faults[] = {"none", "full", "io", "readonly", "torn"};
    struct planned p = {.n = 1};
    char call[16];
    char often[16];
    char why[16];

    /* Of a plan that is wrong nothing happens, which its test sees. */
    if (sscanf(line, "crash %31s %lu", p.point, &p.n) >= 1) { /* NOLINT(cert-err34-c) */
        plan[plan_count++] = p;
    } else if (sscanf(line, "plant %31s", p.plant) == 1) {
        plan[plan_count++] = p;
    } else if (sscanf(line, "fail %15s %lu %15s %15s", /* NOLINT(cert-err34-c) */
                      call, &p.n, often, why) == 4) {
        p.call = (enum fault_call)index_of(call, calls, FAULT_CALL_COUNT);
        p.fault = (enum fault)index_of(why, faults, 5);
        p.ever = strcmp(often, "ever") == 0;
        plan[plan_count++] = p;
    }
}

/* The plan as it is now, read anew when the file is another one. */
static void
look(void)
{
    const char *path = getenv("ASUP_CRASH_PLAN");
    struct stat st;
    char line[128];

    if (!path || stat(path, &st) != 0) {
        plan_count = 0;
        plan_seen = (struct stat){0};
        return;
    }
    if (st.st_ino == plan_seen.st_ino && st.st_mtim.tv_sec == plan_seen.st_mtim.tv_sec &&
        st.st_mtim.tv_nsec == plan_seen.st_mtim.tv_nsec && st.st_size == plan_seen.st_size)
        return;
    FILE *f = fopen(path, "re");
    plan_count = 0;
    plan_seen = st;
    while (f && plan_count < LINES_MAX && fgets(line, sizeof line, f))
        read_line(line);
    if (f)
        fclose(f);
}

void
crash_now(void)
{
    const char *path = getenv("ASUP_CRASH_PLAN");

    if (path)
        unlink(path);
    kill(getpid(), SIGKILL);
    abort();
}

void
crash_point(const char *name)
{
    pthread_mutex_lock(&lock);
    look();
    for (size_t i = 0; i < plan_count; i++) {
        if (strcmp(plan[i].point, name) == 0 && ++plan[i].passes == plan[i].n)
            crash_now();
    }
    pthread_mutex_unlock(&lock);
}

bool
crash_planted(const char *name)
{
    bool planted = false;

    pthread_mutex_lock(&lock);
    look();
    for (size_t i = 0; i < plan_count; i++)
        planted = planted || strcmp(plan[i].plant, name) == 0;
    pthread_mutex_unlock(&lock);
    return planted;
}

enum fault
crash_fault(enum fault_call call)
{
    enum fault fault = FAULT_NONE;

    pthread_mutex_lock(&lock);
    look();
    for (size_t i = 0; i < plan_count; i++) {
        struct planned *p = &plan[i];
        if (p->point[0] || p->plant[0] || p->call != call)
            continue;
        p->passes++;
        if (p->passes == p->n || (p->ever && p->passes > p->n))
            fault = p->fault;
    }
    pthread_mutex_unlock(&lock);
    return fault;
}

#endif
