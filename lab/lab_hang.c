/* SPDX-License-Identifier: MIT */
/*
 * A task that neither waits nor checks anything cannot be stopped from within:
 * its thread is never given back. A timer of the process's CPU time looks
 * whether tasks change; when they have not for too long the program ends with a
 * report. SIGVTALRM is taken for that while a run lasts.
 */
#include "lab/lab_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

enum { LOOKS = 10, EXIT_HANGS = 70 };

static struct {
    const struct asup_lab *lab;
    uint64_t steps;
    unsigned looks;
    struct sigaction before;
} watched;

static size_t
put(char *out, size_t at, const char *text)
{
    while (*text != '\0')
        out[at++] = *text++;
    return at;
}

static size_t
put_number(char *out, size_t at, uint64_t n)
{
    char digits[20];
    size_t count = 0;

    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (count > 0)
        out[at++] = digits[--count];
    return at;
}

/* Only what a signal handler may call. */
static void
look(int signal)
{
    const struct asup_lab *lab = watched.lab;
    char text[256];
    size_t at = 0;

    (void)signal;
    if (lab == NULL || lab->running == 0 || lab->report.steps != watched.steps) {
        watched.steps = lab == NULL ? 0 : lab->report.steps;
        watched.looks = 0;
        return;
    }
    if (++watched.looks < LOOKS)
        return;
    at = put(text, at, "FAILED: t");
    at = put_number(text, at, lab->running);
    at = put(text, at, " has run for ");
    at = put_number(text, at, lab->effective.hang_cpu_ms);
    at = put(text, at, " ms of CPU time without a checkpoint (step ");
    at = put_number(text, at, lab->report.steps);
    at = put(text, at, ", seed ");
    at = put_number(text, at, lab->effective.seed);
    at = put(text, at, "): it cannot be cancelled, nor can the run go on\n");
    (void)!write(STDERR_FILENO, text, at);
    _exit(EXIT_HANGS);
}

void
hang_watch(struct asup_lab *lab)
{
    struct sigaction action = {.sa_handler = look, .sa_flags = SA_RESTART | SA_ONSTACK};
    uint64_t us = (uint64_t)lab->effective.hang_cpu_ms * 1000 / LOOKS;
    struct itimerval every = {
        .it_interval = {.tv_sec = (time_t)(us / 1000000), .tv_usec = (suseconds_t)(us % 1000000)}};

    if (us == 0)
        return;
    every.it_value = every.it_interval;
    watched.lab = lab;
    watched.steps = 0;
    watched.looks = 0;
    (void)sigaction(SIGVTALRM, &action, &watched.before);
    (void)setitimer(ITIMER_VIRTUAL, &every, NULL);
}

void
hang_forget(void)
{
    static const struct itimerval none;

    if (watched.lab == NULL)
        return;
    (void)setitimer(ITIMER_VIRTUAL, &none, NULL);
    (void)sigaction(SIGVTALRM, &watched.before, NULL);
    watched.lab = NULL;
}
