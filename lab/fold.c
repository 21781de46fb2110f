/* SPDX-License-Identifier: MIT */
/*
 * Folding a recording. The kernel trusts what it applies: events that a kernel
 * wrote follow from each other, and a trap is how it says that these do not. A
 * tool that is given such a file shall say so and not crash: one handler, that
 * knows which event is under way.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/arena.h"
#include "lab/recording.h"
#include "lab/trace_layout.h"

static const struct kernel_allocator allocator = {.resize = trace_resize};

/* ---- The guard ----------------------------------------------------------------------------- */

static volatile uint64_t applying; /* number of the event; 0: none */
static char complaint[512];        /* what is said before the number */

static size_t
digits(char *to, uint64_t number)
{
    char reverse[24];
    size_t count = 0;

    do
        reverse[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    for (size_t i = 0; i < count; i++)
        to[i] = reverse[count - 1 - i];
    return count;
}

static void
on_trap(int signal_number)
{
    static const char after[] =
        " does not follow from what stands before it: events are missing, or this was not "
        "written by a kernel; what stands before it is shown with --to\n";
    char number[24];

    if (applying == 0) {
        (void)signal(signal_number, SIG_DFL);
        (void)raise(signal_number);
        return;
    }
    (void)!write(STDERR_FILENO, complaint, strlen(complaint));
    (void)!write(STDERR_FILENO, number, digits(number, applying));
    (void)!write(STDERR_FILENO, after, sizeof after - 1);
    _exit(EX_DATAERR);
}

static void
guard(const char *path)
{
    static const int traps[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT};
    struct sigaction act = {.sa_handler = on_trap, .sa_flags = (int)SA_RESETHAND};

    (void)snprintf(complaint, sizeof complaint, "asupersync-lab: %.400s: event ", path);
    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
        (void)sigaction(traps[i], &act, NULL);
}

/* ---- Folding -------------------------------------------------------------------------------- */

struct span {
    const uint8_t *at;
    size_t left;
};

static long
span_read(void *ctx, void *data, size_t size)
{
    struct span *s = ctx;

    if (size > s->left)
        size = s->left;
    memcpy(data, s->at, size);
    s->at += size;
    s->left -= size;
    return (long)size;
}

int
fold_begin(struct fold *f, const struct recording *r, char *why, size_t why_size)
{
    struct span span = {r->snapshot, r->snapshot_size};
    const struct durable_source source = {.read = span_read, .ctx = &span};
    const char *durable = recording_meta(r, "durable");
    bool is_durable = durable != NULL && strcmp(durable, "0") != 0;
    int rc;

    *f = (struct fold){.recording = r, .at = r->snapshot_before};
    if (r->snapshot == NULL) {
        (void)snprintf(why, why_size,
                       "%s: it has no snapshot of the kernel to begin from, so that it can only be "
                       "shown and compared",
                       r->path);
        return -ASUP_EMALFORMED;
    }
    rc = kernel_load(&source, &allocator, 0, is_durable ? LOAD_RECOVER : LOAD_EXACT, &f->kernel);
    if (rc == 0)
        guard(r->path);
    else
        (void)snprintf(why, why_size, "%s: its snapshot %s", r->path,
                       rc == -ASUP_ENOMEM ? "does not fit into memory"
                       : rc == -ASUP_EUNSUPPORTED
                           ? "was written by a newer version: use that one"
                           : "is damaged: take a good copy, or record it again");
    return rc;
}

void
fold_end(struct fold *f)
{
    if (f->kernel != NULL)
        kernel_free(f->kernel);
    f->kernel = NULL;
}

const struct event *
fold_next(struct fold *f)
{
    const struct event *ev;

    if (f->at >= f->recording->event_count)
        return NULL;
    ev = &f->recording->events[f->at++];
    applying = ev->seq;
    kernel_apply(f->kernel, ev);
    applying = 0;
    return ev;
}

const struct kernel_config *
fold_config(const struct fold *f)
{
    return kernel_configuration(f->kernel);
}
