/* SPDX-License-Identifier: MIT */
#include "daemon/engine/report.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

enum { LINE_MAX_BYTES = 512, QUEUE_MAX = 128 };

static bool to_journal;

/* $JOURNAL_STREAM names device and inode of the stream that a service manager
 * connected; only if that is still our standard error is it the journal. */
void
report_init(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;

    if (!stream || fstat(STDERR_FILENO, &st) != 0)
        return;
    char *colon;
    char *end;
    uintmax_t device = strtoumax(stream, &colon, 10);
    if (colon == stream || *colon != ':')
        return;
    uintmax_t inode = strtoumax(colon + 1, &end, 10);
    to_journal = end != colon + 1 && *end == '\0' && (uintmax_t)st.st_dev == device &&
                 (uintmax_t)st.st_ino == inode;
}

/* A line on its way: the text and, for a trouble, what it is about. */
struct line {
    enum report_level level;
    char trouble[32]; /* "": plain */
    uint64_t region, task;
    char text[LINE_MAX_BYTES];
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    pthread_t thread;
    bool running, stopping;
    struct line *lines; /* QUEUE_MAX of them */
    unsigned first, count;
    unsigned lost;
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
write_plain(enum report_level level, const char *text)
{
    char line[LINE_MAX_BYTES + 64];
    int size = to_journal ? snprintf(line, sizeof line, "<%d>%s\n", (int)level, text)
                          : snprintf(line, sizeof line, "asupersyncd: %s\n", text);

    if (size < 0)
        return;
    if ((size_t)size >= sizeof line) {
        size = sizeof line - 1;
        line[size - 1] = '\n';
    }
    /* One write, so that lines of several processes do not mix. A reader that
     * is gone loses the line; there is nobody else to tell. */
    ssize_t written;
    do
        written = write(STDERR_FILENO, line, (size_t)size);
    while (written < 0 && errno == EINTR);
}

static void
write_line(const struct line *line)
{
    if (line->trouble[0] && to_journal) {
        char region[48] = "ASUPERSYNC_REGION=";
        char task[48] = "ASUPERSYNC_TASK=";
        if (line->region)
            snprintf(region, sizeof region, "ASUPERSYNC_REGION=r%" PRIu64, line->region);
        if (line->task)
            snprintf(task, sizeof task, "ASUPERSYNC_TASK=t%" PRIu64, line->task);
        if (sd_journal_send("MESSAGE=%s", line->text, "PRIORITY=%d", (int)line->level,
                            "SYSLOG_IDENTIFIER=asupersyncd", "ASUPERSYNC_TROUBLE=%s", line->trouble,
                            "%s", region, "%s", task, NULL) == 0)
            return;
    }
    write_plain(line->level, line->text);
}

static void *
report_thread(void *arg)
{
    struct line line;

    (void)arg;
    pthread_mutex_lock(&queue.lock);
    for (;;) {
        if (queue.count == 0 && queue.lost == 0) {
            if (queue.stopping)
                break;
            pthread_cond_wait(&queue.changed, &queue.lock);
            continue;
        }
        unsigned lost = queue.lost;
        bool any = queue.count > 0;
        if (any) {
            line = queue.lines[queue.first];
            queue.first = (queue.first + 1) % QUEUE_MAX;
            queue.count--;
        } else {
            queue.lost = 0;
        }
        pthread_mutex_unlock(&queue.lock);
        if (any) {
            write_line(&line);
        } else {
            snprintf(line.text, sizeof line.text, "%u lines were lost here: nobody read them",
                     lost);
            write_plain(REPORT_WARNING, line.text);
        }
        pthread_mutex_lock(&queue.lock);
    }
    queue.running = false;
    pthread_cond_broadcast(&queue.changed);
    pthread_mutex_unlock(&queue.lock);
    return NULL;
}

bool
report_start(void)
{
    pthread_condattr_t attributes;

    queue.lines = malloc(QUEUE_MAX * sizeof *queue.lines);
    if (!queue.lines)
        return false;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&queue.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    queue.running = true;
    if (pthread_create(&queue.thread, NULL, report_thread, NULL) != 0) {
        queue.running = false;
        free(queue.lines);
        queue.lines = NULL;
        return false;
    }
    return true;
}

void
report_stop(void)
{
    struct timespec until;

    pthread_mutex_lock(&queue.lock);
    bool started = queue.running;
    queue.stopping = true;
    if (started) {
        pthread_cond_broadcast(&queue.changed);
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        while (queue.running && pthread_cond_timedwait(&queue.changed, &queue.lock, &until) == 0)
            ;
    }
    bool ended = started && !queue.running;
    pthread_mutex_unlock(&queue.lock);
    if (ended) {
        pthread_join(queue.thread, NULL);
        free(queue.lines);
        queue.lines = NULL;
    } else if (started) {
        pthread_detach(queue.thread); /* it hangs in a write; the process ends anyway */
    }
}

static void
say(const struct line *line)
{
    pthread_mutex_lock(&queue.lock);
    bool queued = queue.running && !queue.stopping;
    if (queued && queue.count < QUEUE_MAX) {
        queue.lines[(queue.first + queue.count++) % QUEUE_MAX] = *line;
        pthread_cond_broadcast(&queue.changed);
    } else if (queued) {
        queue.lost++;
    }
    pthread_mutex_unlock(&queue.lock);
    if (!queued)
        write_line(line);
}

void
report(enum report_level level, const char *format, ...)
{
    struct line line = {.level = level};
    va_list args;

    va_start(args, format);
    vsnprintf(line.text, sizeof line.text, format, args);
    va_end(args);
    say(&line);
}

void
report_trouble(const char *name, uint64_t region, uint64_t task, const char *format, ...)
{
    struct line line = {.level = REPORT_WARNING, .region = region, .task = task};
    int used = snprintf(line.text, sizeof line.text, "%s: ", name);
    va_list args;

    snprintf(line.trouble, sizeof line.trouble, "%s", name);
    va_start(args, format);
    vsnprintf(line.text + used, sizeof line.text - (size_t)used, format, args);
    va_end(args);
    say(&line);
}
