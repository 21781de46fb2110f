/* SPDX-License-Identifier: MIT */
/*
 * Request round trips a second at a depth, against nng's own REQ/REP echo.
 * Both are asked by the very same client code, a REQ socket with one context
 * for each request in flight, so that only the peer differs.
 *
 *   bench-roundtrip echo-server URL           serves until standard input ends
 *   bench-roundtrip ask URL DEPTH COUNT        the smallest real request
 *
 * `ask` prints one JSON object.
 */
#include <msgpack.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
must(int rv, const char *what)
{
    if (rv != 0) {
        fprintf(stderr, "bench-roundtrip: %s: %s\n", what, nng_strerror(rv));
        exit(1);
    }
}

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- Echo server -------------------------------------------------------------- */

struct echo {
    nng_ctx ctx;
    nng_aio *aio;
    enum { ECHO_RECEIVING, ECHO_SENDING } state;
};

static void
echo_turn(void *arg)
{
    struct echo *e = arg;

    if (nng_aio_result(e->aio) != 0)
        return;
    if (e->state == ECHO_RECEIVING) {
        e->state = ECHO_SENDING; /* the message stays in the aio: an echo */
        nng_ctx_send(e->ctx, e->aio);
    } else {
        e->state = ECHO_RECEIVING;
        nng_ctx_recv(e->ctx, e->aio);
    }
}

static void
echo_server(const char *url)
{
    static struct echo pool[128];
    nng_socket socket;

    must(nng_rep0_open(&socket), "open");
    for (size_t i = 0; i < sizeof pool / sizeof pool[0]; i++) {
        must(nng_ctx_open(&pool[i].ctx, socket), "context");
        must(nng_aio_alloc(&pool[i].aio, echo_turn, &pool[i]), "aio");
        pool[i].state = ECHO_RECEIVING;
        nng_ctx_recv(pool[i].ctx, pool[i].aio);
    }
    must(nng_listen(socket, url, NULL, 0), url);
    printf("ready\n");
    fflush(stdout);
    while (getchar() != EOF)
        continue;
    nng_close(socket);
}

/* ---- Asking --------------------------------------------------------------------- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long left_to_send;
static long left_to_come;
static uint64_t next_id = 2; /* 1 is session.hello */
static char secret[16];

struct ask {
    nng_ctx ctx;
    nng_aio *aio;
    enum { ASK_SENDING, ASK_RECEIVING } state;
};

static void
ask_send(struct ask *a)
{
    msgpack_sbuffer buffer;
    msgpack_packer packer;
    nng_msg *msg;

    msgpack_sbuffer_init(&buffer);
    msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
    msgpack_pack_array(&packer, 6);
    msgpack_pack_uint8(&packer, 1);
    pthread_mutex_lock(&lock);
    msgpack_pack_uint64(&packer, next_id++);
    pthread_mutex_unlock(&lock);
    msgpack_pack_bin_with_body(&packer, secret, sizeof secret);
    msgpack_pack_nil(&packer);
    msgpack_pack_str_with_body(&packer, "session.keepalive", 17);
    msgpack_pack_map(&packer, 0);
    must(nng_msg_alloc(&msg, 0), "message");
    must(nng_msg_append(msg, buffer.data, buffer.size), "message");
    msgpack_sbuffer_destroy(&buffer);
    a->state = ASK_SENDING;
    nng_aio_set_msg(a->aio, msg);
    nng_ctx_send(a->ctx, a->aio);
}

static void
ask_turn(void *arg)
{
    struct ask *a = arg;
    bool more;

    must(nng_aio_result(a->aio), "exchange");
    if (a->state == ASK_SENDING) {
        a->state = ASK_RECEIVING;
        nng_ctx_recv(a->ctx, a->aio);
        return;
    }
    nng_msg_free(nng_aio_get_msg(a->aio));
    pthread_mutex_lock(&lock);
    more = left_to_send > 0;
    if (more)
        left_to_send--;
    if (--left_to_come == 0)
        pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    if (more)
        ask_send(a);
}

/* The daemon's answer holds the session's secret; an echo leaves it zero. */
static void
hello(nng_socket socket)
{
    static const char request[] = "\x96\x01\x01\xc0\xc0\xad"
                                  "session.hello"
                                  "\x80";
    msgpack_unpacked reply;
    nng_msg *msg;

    must(nng_msg_alloc(&msg, 0), "message");
    must(nng_msg_append(msg, request, sizeof request - 1), "message");
    must(nng_sendmsg(socket, msg, 0), "hello");
    must(nng_recvmsg(socket, &msg, 0), "hello");
    msgpack_unpacked_init(&reply);
    if (msgpack_unpack_next(&reply, nng_msg_body(msg), nng_msg_len(msg), NULL) ==
            MSGPACK_UNPACK_SUCCESS &&
        reply.data.type == MSGPACK_OBJECT_ARRAY && reply.data.via.array.size == 4) {
        const msgpack_object_map *body = &reply.data.via.array.ptr[3].via.map;

        for (uint32_t i = 0; i < body->size; i++) {
            const msgpack_object *value = &body->ptr[i].val;

            if (value->type == MSGPACK_OBJECT_BIN && value->via.bin.size == sizeof secret)
                memcpy(secret, value->via.bin.ptr, sizeof secret);
        }
    }
    msgpack_unpacked_destroy(&reply);
    nng_msg_free(msg);
}

static void
ask(const char *url, int depth, long count)
{
    struct ask *asks = calloc((size_t)depth, sizeof *asks);
    nng_socket socket;
    double began;

    if (asks == NULL)
        exit(1);
    must(nng_req0_open(&socket), "open");
    must(nng_dial(socket, url, NULL, 0), url);
    hello(socket);
    for (int i = 0; i < depth; i++) {
        must(nng_ctx_open(&asks[i].ctx, socket), "context");
        must(nng_aio_alloc(&asks[i].aio, ask_turn, &asks[i]), "aio");
    }
    left_to_come = count;
    left_to_send = count - depth;
    began = seconds();
    for (int i = 0; i < depth; i++)
        ask_send(&asks[i]);
    pthread_mutex_lock(&lock);
    while (left_to_come > 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    began = seconds() - began;
    printf("{\"depth\": %d, \"count\": %ld, \"seconds\": %.6f}\n", depth, count, began);
    nng_close(socket);
    free(asks);
}

int
main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "echo-server") == 0) {
        echo_server(argv[2]);
        return 0;
    }
    if (argc == 5 && strcmp(argv[1], "ask") == 0 && (int)strtol(argv[3], NULL, 10) > 0 &&
        strtol(argv[4], NULL, 10) >= (int)strtol(argv[3], NULL, 10)) {
        ask(argv[2], (int)strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10));
        return 0;
    }
    fprintf(stderr, "usage: bench-roundtrip echo-server URL | ask URL DEPTH COUNT\n");
    return 64;
}
