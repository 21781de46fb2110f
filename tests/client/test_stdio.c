/* SPDX-License-Identifier: MIT */
/* Handing standard streams over: one packet, a token and three descriptors. */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rules.h"

static void
answer_all(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer(r, NULL);
}

static int
listen_beside(struct fake *f, char path[96])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    snprintf(path, 96, "%s/stdio.sock", fake_directory(f));
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(fd, 4), 0);
    return fd;
}

static void
receive(int fd, uint8_t *token, int fds[3])
{
    char control[CMSG_SPACE(3 * sizeof(int))];
    struct iovec part = {token, ASUP_STDIO_TOKEN_SIZE};
    struct msghdr message = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control,
        .msg_controllen = sizeof control,
    };

    ck_assert_int_eq(recvmsg(fd, &message, MSG_CMSG_CLOEXEC), ASUP_STDIO_TOKEN_SIZE);
    ck_assert_int_eq(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC), 0);
    ck_assert_ptr_nonnull(CMSG_FIRSTHDR(&message));
    ck_assert_uint_eq(CMSG_FIRSTHDR(&message)->cmsg_len, CMSG_LEN(3 * sizeof(int)));
    memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&message)), 3 * sizeof(int));
}

START_TEST(three_descriptors_and_a_token_arrive)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);
    uint8_t given[ASUP_STDIO_TOKEN_SIZE], other[ASUP_STDIO_TOKEN_SIZE], got[ASUP_STDIO_TOKEN_SIZE];
    char path[96], text[8];
    int ends[2], fds[3], received[3], offer, second, again, listener, peer;

    listener = listen_beside(f, path);
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    fds[0] = ends[0];
    fds[1] = fds[2] = ends[1];
    offer = asup_stdio_offer(c, fds, given, NULL);
    ck_assert_int_ge(offer, 0);
    ck_assert_int_eq(fcntl(offer, F_GETFD), FD_CLOEXEC);
    peer = accept(listener, NULL, NULL);
    receive(peer, got, received);
    ck_assert_mem_eq(given, got, sizeof got);
    ck_assert_int_eq(write(received[1], "through", 8), 8);
    ck_assert_int_eq(read(ends[0], text, 8), 8);
    ck_assert_str_eq(text, "through");

    second = asup_stdio_offer(c, fds, other, NULL);
    ck_assert_int_ge(second, 0);
    ck_assert_mem_ne(given, other, sizeof other);
    for (int i = 0; i < 3; i++)
        close(received[i]);
    close(accept(listener, NULL, NULL));

    /* The same again, for an engine that has lost them. */
    again = asup_stdio_offer_again(c, fds, given, NULL);
    ck_assert_int_ge(again, 0);
    close(peer);
    peer = accept(listener, NULL, NULL);
    receive(peer, got, received);
    ck_assert_mem_eq(given, got, sizeof got);
    for (int i = 0; i < 3; i++)
        close(received[i]);
    close(again);
    close(second);
    close(offer);
    close(peer);
    close(listener);
    close(ends[0]);
    close(ends[1]);
    unlink(path);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

START_TEST(what_cannot_be_handed_over_is_told)
{
    struct fake *f = fake_start(answer_all, NULL);
    struct asup_client *c = fake_client(f, NULL);
    static const int closed[3] = {0, 1, -1}, not_open[3] = {0, 1, 987}, fine[3] = {0, 1, 2};
    uint8_t token[ASUP_STDIO_TOKEN_SIZE];
    struct asup_error_info err;
    char path[96];
    int listener;

    ck_assert_int_eq(asup_stdio_offer(c, fine, token, &err), -ASUP_ENOTCONN);
    listener = listen_beside(f, path);
    ck_assert_int_eq(asup_stdio_offer(c, closed, token, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_stdio_offer(c, not_open, token, &err), -ASUP_EINVALID);
    close(listener);
    unlink(path);
    asup_client_free(c);
    fake_stop(f);
}
END_TEST

static const struct rule rules[] = {
    RULE(three_descriptors_and_a_token_arrive),
    RULE(what_cannot_be_handed_over_is_told),
};

RULES_MAIN("client stdio", rules, NULL, NULL)
