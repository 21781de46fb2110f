/* SPDX-License-Identifier: MIT */
/* The channel between keeper and engine, and the spec that travels on it. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/link.h"
#include "daemon/spawn_spec.h"
#include "rules.h"

static int pair[2];

static void
begin(void)
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
}

static void
end(void)
{
    close(pair[0]);
    close(pair[1]);
}

static struct link_message
signal_message(uint64_t task)
{
    struct link_message message = {.kind = LINK_SIGNAL};

    message.u.signal.task = task;
    message.u.signal.signal = 15;
    return message;
}

/* What does not fit waits in order, up to a bound, descriptors included. */
START_TEST(full_channel_queues_in_order)
{
    struct link link;
    struct link_message message;
    uint64_t sent = 0;
    uint64_t got = 0;
    int fd;
    int rc = 0;

    link_init(&link, dup(pair[0]), 100);
    while (rc == 0) {
        message = signal_message(sent);
        rc = link_send(&link, &message, sent % 3 == 0 ? STDIN_FILENO : -1);
        sent += rc == 0;
    }
    ck_assert_int_eq(rc, -ENOBUFS);
    ck_assert_uint_eq(link.queued, 100);
    ck_assert(link_wants_write(&link));
    while (got < sent) {
        rc = link_receive(pair[1], &message, &fd);
        if (rc == 0) {
            ck_assert_int_eq(link_flush(&link), 0);
            continue;
        }
        ck_assert_int_eq(rc, 1);
        ck_assert_uint_eq(message.u.signal.task, got);
        ck_assert_int_eq(fd >= 0, got % 3 == 0);
        if (fd >= 0) {
            ck_assert_int_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
            close(fd);
        }
        got++;
    }
    ck_assert(!link_wants_write(&link));
    link_fini(&link);
}
END_TEST

/* The end is told, on either side. */
START_TEST(end_of_the_channel_is_told)
{
    struct link_message message = signal_message(1);
    int fd;

    ck_assert_int_eq(link_send_now(pair[0], &message, -1), 0);
    ck_assert_int_eq(shutdown(pair[0], SHUT_RDWR), 0);
    ck_assert_int_eq(link_receive(pair[1], &message, &fd), 1);
    ck_assert_int_eq(link_receive(pair[1], &message, &fd), -EPIPE);
    ck_assert_int_eq(link_send_now(pair[1], &message, -1), -EPIPE);
}
END_TEST

/* Packets of a wrong size or an unknown kind are refused, their descriptors
 * closed. */
START_TEST(malformed_packets_are_refused)
{
    struct link_message message = signal_message(1);
    char longer[sizeof message + 1] = {0};
    int next = dup(0);
    int fd;

    message.size = link_message_size(LINK_SIGNAL);
    for (size_t size = 1; size < sizeof message; size++) {
        if (size == message.size)
            continue;
        ck_assert_int_eq(send(pair[0], &message, size, 0), (ssize_t)size);
        ck_assert_int_eq(link_receive(pair[1], &message, &fd), -EPROTO);
    }
    for (uint32_t kind = 0; kind < 64; kind++) {
        message.kind = kind;
        message.size = link_message_size(kind) + 1;
        memcpy(longer, &message, sizeof message);
        ck_assert_int_eq(send(pair[0], longer, message.size, 0), (ssize_t)message.size);
        ck_assert_int_eq(link_receive(pair[1], &message, &fd), -EPROTO);
    }
    close(next);
    ck_assert_int_eq(dup(0), next);
    close(next);
}
END_TEST

static int
make_spec(struct spawn_header *header)
{
    static char *args[] = {(char *)"prog", (char *)"", (char *)"arg", NULL};
    static char *env[] = {(char *)"A=1", (char *)"B=", NULL};
    const struct spawn_strings strings = {
        .cwd = "/tmp", .path = {NULL, "/out", NULL}, .args = args, .env = env};

    *header = (struct spawn_header){.arg_count = 3, .env_count = 2, .umask = -1};
    return spawn_spec_seal(header, &strings);
}

/* A spec comes out as it went in, and cannot change any more. */
START_TEST(spec_survives_its_journey)
{
    struct spawn_header header;
    struct spawn_strings strings;
    char *slots[7];
    int fd = make_spec(&header);
    const void *data;

    ck_assert_int_ge(fd, 0);
    ck_assert_int_lt(write(fd, "x", 1), 0);
    ck_assert_int_lt(ftruncate(fd, 0), 0);
    data = mmap(NULL, header.size, PROT_READ, MAP_PRIVATE, fd, 0);
    ck_assert_ptr_ne(data, MAP_FAILED);
    ck_assert(spawn_spec_check(data, header.size));
    spawn_spec_strings(data, slots, &strings);
    ck_assert_str_eq(strings.cwd, "/tmp");
    ck_assert_ptr_null(strings.path[0]);
    ck_assert_str_eq(strings.path[1], "/out");
    ck_assert_str_eq(strings.args[0], "prog");
    ck_assert_str_eq(strings.args[1], "");
    ck_assert_str_eq(strings.args[2], "arg");
    ck_assert_ptr_null(strings.args[3]);
    ck_assert_str_eq(strings.env[1], "B=");
    ck_assert_ptr_null(strings.env[2]);
    close(fd);
}
END_TEST

/* Cut short, padded, or with counts that lie, it is refused; nothing is read
 * beyond its end (the sanitizers watch). */
START_TEST(spec_that_lies_is_refused)
{
    struct spawn_header header;
    int fd = make_spec(&header);
    size_t size = header.size;
    char *data = malloc(size + 1);
    struct spawn_header *inside;

    ck_assert_int_eq(pread(fd, data, size, 0), (ssize_t)size);
    close(fd);
    for (size_t cut = 0; cut < size; cut++) {
        char *part = malloc(cut + 1);

        memcpy(part, data, cut);
        if (cut >= sizeof header)
            ((struct spawn_header *)(void *)part)->size = (uint32_t)cut;
        ck_assert(!spawn_spec_check(part, cut));
        free(part);
    }
    inside = (struct spawn_header *)(void *)data;
    ck_assert(spawn_spec_check(data, size));
    inside->arg_count++;
    ck_assert(!spawn_spec_check(data, size));
    inside->arg_count -= 2;
    ck_assert(!spawn_spec_check(data, size));
    inside->arg_count = 0;
    ck_assert(!spawn_spec_check(data, size));
    inside->arg_count = UINT32_MAX;
    ck_assert(!spawn_spec_check(data, size));
    inside->arg_count = 3;
    inside->env_count = UINT32_MAX - 3;
    ck_assert(!spawn_spec_check(data, size));
    inside->env_count = 2;
    inside->stdio = 7;
    ck_assert(!spawn_spec_check(data, size));
    inside->stdio = 0;
    data[size - 1] = 'x';
    ck_assert(!spawn_spec_check(data, size));
    free(data);
}
END_TEST

static const struct rule rules[] = {
    RULE(full_channel_queues_in_order),  RULE(end_of_the_channel_is_told),
    RULE(malformed_packets_are_refused), RULE(spec_survives_its_journey),
    RULE(spec_that_lies_is_refused),
};

RULES_MAIN("link and spec", rules, begin, end)
