/* SPDX-License-Identifier: MIT */
/*
 * Named computations a second: put in, taken out, finished, in batches.
 *
 *   bench-calls beanstalkd PORT COUNT BATCH    put, reserve, delete; each batch in one write
 *
 * One client, one job of 8 bytes at a time in each place of the batch; it is
 * producer and worker at once, so that only the server differs. Prints one JSON
 * object.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 1024, LINE_MAX_SIZE = 64 };

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void
fail(const char *what)
{
    fprintf(stderr, "bench-calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- beanstalkd ----------------------------------------------------------------- */

struct lines {
    int fd;
    size_t used, taken;
    char data[BATCH_MAX * 2 * LINE_MAX_SIZE];
};

static void
lines_send(struct lines *l, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(l->fd, text, size);

        if (n <= 0)
            fail("write");
        text += n;
        size -= (size_t)n;
    }
}

/* The next line of the answer, without its end. */
static char *
lines_next(struct lines *l)
{
    for (;;) {
        char *start = l->data + l->taken;
        char *end = memchr(start, '\n', l->used - l->taken);
        ssize_t n;

        if (end != NULL) {
            l->taken = (size_t)(end + 1 - l->data);
            end[end > start && end[-1] == '\r' ? -1 : 0] = '\0';
            return start;
        }
        memmove(l->data, start, l->used - l->taken);
        l->used -= l->taken;
        l->taken = 0;
        n = read(l->fd, l->data + l->used, sizeof l->data - l->used);
        if (n <= 0)
            fail("read");
        l->used += (size_t)n;
    }
}

static void
lines_expect(struct lines *l, const char *word)
{
    const char *line = lines_next(l);

    if (strncmp(line, word, strlen(word)) != 0) {
        fprintf(stderr, "bench-calls: beanstalkd said \"%s\", not %s\n", line, word);
        exit(1);
    }
}

static void
beanstalkd_batch(struct lines *l, unsigned batch)
{
    static char out[BATCH_MAX * LINE_MAX_SIZE];
    unsigned long long ids[BATCH_MAX];
    size_t size = 0;

    for (unsigned i = 0; i < batch; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "put 0 0 60 8\r\n%08u\r\n", i);
    lines_send(l, out, size);
    for (unsigned i = 0; i < batch; i++)
        lines_expect(l, "INSERTED");
    size = 0;
    for (unsigned i = 0; i < batch; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "reserve\r\n");
    lines_send(l, out, size);
    for (unsigned i = 0; i < batch; i++) {
        const char *line = lines_next(l);

        if (strncmp(line, "RESERVED ", 9) != 0)
            fail(line);
        ids[i] = strtoull(line + 9, NULL, 10);
        (void)lines_next(l); /* its body */
    }
    size = 0;
    for (unsigned i = 0; i < batch; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "delete %llu\r\n", ids[i]);
    lines_send(l, out, size);
    for (unsigned i = 0; i < batch; i++)
        lines_expect(l, "DELETED");
}

static void
beanstalkd(unsigned port, unsigned count, unsigned batch)
{
    static struct lines lines;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    double from;

    lines.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lines.fd < 0 || connect(lines.fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connect");
    setsockopt(lines.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    beanstalkd_batch(&lines, batch); /* warm */
    from = seconds();
    for (unsigned done = 0; done < count; done += batch)
        beanstalkd_batch(&lines, batch);
    printf("{\"seconds\": %.6f, \"count\": %u}\n", seconds() - from,
           (count + batch - 1) / batch * batch);
    close(lines.fd);
}

/* ---- Which ------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
    unsigned count = argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    unsigned batch = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;

    if (argc == 5 && count > 0 && batch > 0 && batch <= BATCH_MAX &&
        strcmp(argv[1], "beanstalkd") == 0) {
        beanstalkd((unsigned)strtoul(argv[2], NULL, 10), count, batch);
        return 0;
    }
    fprintf(stderr, "usage: bench-calls beanstalkd PORT COUNT BATCH (of at most %d)\n", BATCH_MAX);
    return 64;
}
