/* SPDX-License-Identifier: MIT */
#include "room.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_WAIT_MS 10000

static volatile sig_atomic_t stopping;
static sigset_t mask_while_waiting;

static void
on_stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

void
room_signals(void)
{
    struct sigaction act = {.sa_handler = on_stop};
    sigset_t block;

    /* Blocked except inside room_wait: work in hand is finished first. */
    sigemptyset(&block);
    sigaddset(&block, SIGTERM);
    sigaddset(&block, SIGINT);
    sigprocmask(SIG_BLOCK, &block, &mask_while_waiting);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool
room_stopping(void)
{
    return stopping != 0;
}

bool
room_wait(int fd, int timeout_ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    struct timespec limit = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};

    return ppoll(&one, 1, timeout_ms < 0 ? NULL : &limit, &mask_while_waiting) > 0;
}

void *
room_alloc(size_t size)
{
    void *memory = calloc(1, size);

    if (memory == NULL) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return memory;
}

/* ---- Sockets ---------------------------------------------------------------- */

static int
address_of(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address->sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address->sun_path, path, strlen(path) + 1);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int
room_listen(const char *path)
{
    struct sockaddr_un address;
    int fd = address_of(path, &address);

    if (fd < 0)
        return -1;
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 64) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

int
room_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = address_of(path, &address);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

bool
room_write(int fd, const void *data, size_t size)
{
    const char *rest = data;

    while (size > 0) {
        ssize_t sent = write(fd, rest, size);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        rest += sent;
        size -= (size_t)sent;
    }
    return true;
}

int
room_ask(const char *socket_path, const char *method, const char *target, const char *body,
         size_t body_size, char *answer, size_t answer_size)
{
    char head[512];
    char *raw = NULL;
    size_t raw_size = 0;
    const char *text;
    int status = -1;
    int fd = room_connect(socket_path);

    if (fd < 0)
        return -1;
    snprintf(head, sizeof head, "%s %s HTTP/1.0\r\nContent-Length: %zu\r\n\r\n", method, target,
             body_size);
    if (!room_write(fd, head, strlen(head)) || !room_write(fd, body, body_size))
        goto out;

    /* The server closes after its answer (HTTP/1.0). */
    raw = room_alloc(answer_size + 1024);
    while (raw_size < answer_size + 1023) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        ssize_t got;
        if (poll(&one, 1, ANSWER_WAIT_MS) <= 0)
            goto out;
        got = read(fd, raw + raw_size, answer_size + 1023 - raw_size);
        if (got < 0)
            goto out;
        if (got == 0)
            break;
        raw_size += (size_t)got;
    }
    raw[raw_size] = '\0';
    text = strstr(raw, "\r\n\r\n");
    if (text == NULL || strncmp(raw, "HTTP/1.", 7) != 0 || raw_size < 12)
        goto out;
    status = (int)strtol(raw + 9, NULL, 10);
    snprintf(answer, answer_size, "%s", text + 4);
out:
    free(raw);
    close(fd);
    return status;
}

void
room_notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (path == NULL || path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))) < 0)
        perror("notify");
    close(fd);
}
