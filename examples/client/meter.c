/* SPDX-License-Identifier: MIT */
/*
 * meter - the client library inside an event loop of one's own.
 *
 *     meter 5          five readings of the daemon, one a second
 *
 * The loop is poll(2): one descriptor belongs to the library, one is a timer.
 * Nothing here ever blocks on the daemon.
 */
#include <inttypes.h>
#include <msgpack.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <asupersync/client.h>
#include <asupersync/values.h>

struct meter {
    long left;
    int failed;
};

/* The unsigned number under a key of a map, or 0. */
static uint64_t
number_of(const msgpack_object *map, const char *key)
{
    for (uint32_t i = 0; i < map->via.map.size; i++) {
        const msgpack_object_kv *pair = &map->via.map.ptr[i];
        if (pair->key.type == MSGPACK_OBJECT_STR && pair->key.via.str.size == strlen(key) &&
            memcmp(pair->key.via.str.ptr, key, strlen(key)) == 0 &&
            pair->val.type == MSGPACK_OBJECT_POSITIVE_INTEGER)
            return pair->val.via.u64;
    }
    return 0;
}

static void
on_status(void *arg, int code, const void *body, size_t body_size)
{
    struct meter *meter = arg;
    msgpack_unpacked answer;
    size_t offset = 0;

    meter->left--;
    if (code != 0) {
        fprintf(stderr, "meter: %s\n", asup_error_text(code));
        meter->failed = 1;
        return;
    }
    msgpack_unpacked_init(&answer);
    if (msgpack_unpack_next(&answer, body, body_size, &offset) == MSGPACK_UNPACK_SUCCESS &&
        answer.data.type == MSGPACK_OBJECT_MAP) {
        printf("regions %" PRIu64 "  tasks %" PRIu64 "  running %" PRIu64 "\n",
               number_of(&answer.data, "regions"), number_of(&answer.data, "tasks"),
               number_of(&answer.data, "running"));
        fflush(stdout);
    }
    msgpack_unpacked_destroy(&answer);
}

int
main(int argc, char **argv)
{
    struct asup_client *client = NULL;
    struct asup_error_info err;
    struct meter meter = {.left = argc == 2 ? strtol(argv[1], NULL, 10) : 0};
    struct itimerspec each_second = {.it_interval = {1, 0}, .it_value = {0, 1}};
    struct pollfd fds[2];
    long asked = 0;
    long wanted = meter.left;

    if (meter.left <= 0) {
        fprintf(stderr, "usage: meter READINGS\n");
        return 64;
    }
    if (asup_client_connect(NULL, &client, &err) != 0) {
        fprintf(stderr, "meter: %s\n", err.message);
        return 125;
    }
    fds[0] = (struct pollfd){.fd = asup_client_fd(client), .events = POLLIN};
    fds[1] = (struct pollfd){.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN};
    timerfd_settime(fds[1].fd, 0, &each_second, NULL);

    while (meter.left > 0 && !meter.failed && poll(fds, 2, -1) > 0) {
        uint64_t ticks;
        if (fds[0].revents != 0)
            asup_client_dispatch(client);
        if (fds[1].revents != 0 && read(fds[1].fd, &ticks, sizeof ticks) > 0 && asked < wanted) {
            if (asup_client_call_start(client, "daemon.status", NULL, 0, -1, on_status, &meter,
                                       NULL) != 0)
                break;
            asked++;
        }
    }
    close(fds[1].fd);
    asup_client_free(client);
    return meter.left == 0 && !meter.failed ? 0 : 1;
}
