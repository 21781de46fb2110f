/* SPDX-License-Identifier: MIT */
/* The socket by itself: every request is answered once, held ones are dropped
 * when their client goes, connections are capped, clients that do not read are
 * cut off, and nobody's file is unlinked. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ev.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/util/platform.h>

#include "daemon/engine/server.h"
#include "rules.h"

static char directory[64];
static char path[96];
static char url[112];
static struct ev_loop *loop;
static struct ev_async stop;
static struct ev_prepare sleeping;
static struct server *server;
static pthread_t loop_thread;

/* What the loop's side has seen; "park" holds a request, all else is echoed. */
static atomic_int requests, parked, gone;
static atomic_uint connected; /* as the loop saw it before it slept */
static size_t answer_size;

static void
on_request(void *ctx, struct exchange *x, const void *data, size_t size)
{
    (void)ctx;
    ck_assert_ptr_eq(server_exchange(server, exchange_token(x)), x);
    ck_assert_uint_eq(exchange_connection(x)->uid, getuid());
    atomic_fetch_add(&requests, 1);
    if (size == 4 && memcmp(data, "park", 4) == 0) {
        atomic_fetch_add(&parked, 1);
        return;
    }
    if (answer_size) {
        char *answer = calloc(1, answer_size);
        exchange_reply(x, answer, answer_size);
        free(answer);
        return;
    }
    exchange_reply(x, data, size);
}

static void
on_gone(void *ctx, struct connection *c)
{
    (void)ctx;
    while (!list_empty(&c->held)) {
        struct exchange *x = exchange_of_link(c->held.next);
        uint64_t token = exchange_token(x);
        exchange_drop(x);
        ck_assert_ptr_null(server_exchange(server, token));
        atomic_fetch_sub(&parked, 1);
    }
    atomic_fetch_add(&gone, 1);
}

static void
on_stop(struct ev_loop *l, struct ev_async *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(l, EVBREAK_ALL);
}

static void
on_sleep(struct ev_loop *l, ev_prepare *w, int revents)
{
    (void)l;
    (void)w;
    (void)revents;
    if (server)
        atomic_store(&connected, server_connection_count(server));
}

static void *
run_loop(void *arg)
{
    (void)arg;
    ev_run(loop, 0);
    return NULL;
}

static void
start(struct server_options options)
{
    static const struct server_callbacks callbacks = {on_request, on_gone, NULL};

    options.path = path;
    options.mode = 0600;
    options.message_size_max = options.message_size_max ? options.message_size_max : 1000000;
    options.connections_max = options.connections_max ? options.connections_max : 100;
    options.connections_per_user =
        options.connections_per_user ? options.connections_per_user : 100;
    options.exchanges_max = options.exchanges_max ? options.exchanges_max : 2000;
    options.stall_ns = options.stall_ns ? options.stall_ns : 10000000000;
    server = server_new(loop, &options, &callbacks);
    if (server)
        ck_assert_int_eq(pthread_create(&loop_thread, NULL, run_loop, NULL), 0);
}

static void
begin(void)
{
    strcpy(directory, "/tmp/asup-srv-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/s", directory);
    snprintf(url, sizeof url, "ipc://%s", path);
    requests = parked = gone = 0;
    connected = 0;
    answer_size = 0;
    loop = ev_loop_new(EVFLAG_AUTO);
    ev_async_init(&stop, on_stop);
    ev_async_start(loop, &stop);
    ev_prepare_init(&sleeping, on_sleep);
    ev_prepare_start(loop, &sleeping);
}

static void
end(void)
{
    if (server) {
        ev_async_send(loop, &stop);
        pthread_join(loop_thread, NULL);
        server_free(server, 100);
        server = NULL;
        ck_assert_int_ne(access(path, F_OK), 0);
    }
    ev_async_stop(loop, &stop);
    ev_loop_destroy(loop);
    unlink(path);
    rmdir(directory);
}

static nng_socket
dial(void)
{
    nng_socket s;

    ck_assert_int_eq(nng_req0_open(&s), 0);
    ck_assert_int_eq(nng_dial(s, url, NULL, 0), 0);
    ck_assert_int_eq(nng_socket_set_ms(s, NNG_OPT_RECVTIMEO, 20000), 0);
    return s;
}

static int
send_text(nng_socket s, const char *text)
{
    char data[32];

    int size = snprintf(data, sizeof data, "%s", text); /* nng wants it writable */
    return nng_send(s, data, (size_t)size, 0);
}

/* Wait for what another thread does; the harness's timeout ends it if it does
 * not come. */
static void
await(const atomic_int *what, int value)
{
    while (atomic_load(what) != value)
        nng_msleep(1);
}

START_TEST(every_request_is_answered_with_its_own_answer)
{
    start((struct server_options){0});
    nng_socket s = dial();
    for (int i = 0; i < 2000; i++) {
        char text[32];
        char *back;
        size_t size;
        int length = snprintf(text, sizeof text, "request %d", i);
        ck_assert_int_eq(nng_send(s, text, (size_t)length, 0), 0);
        ck_assert_int_eq(nng_recv(s, &back, &size, NNG_FLAG_ALLOC), 0);
        ck_assert_uint_eq(size, length);
        ck_assert_mem_eq(back, text, size);
        nng_free(back, size);
    }
    nng_close(s);
    ck_assert_int_eq(requests, 2000);
}
END_TEST

/* A context of its own for each, so that they do not wait for each other. */
static void
ask(nng_socket s, nng_ctx *ctx, nng_aio **aio, const char *text)
{
    nng_msg *m;

    ck_assert_int_eq(nng_ctx_open(ctx, s), 0);
    ck_assert_int_eq(nng_aio_alloc(aio, NULL, NULL), 0);
    ck_assert_int_eq(nng_msg_alloc(&m, 0), 0);
    ck_assert_int_eq(nng_msg_append(m, text, strlen(text)), 0);
    nng_aio_set_msg(*aio, m);
    nng_ctx_send(*ctx, *aio);
    nng_aio_wait(*aio);
    ck_assert_int_eq(nng_aio_result(*aio), 0);
}

START_TEST(parked_requests_cost_the_others_nothing_and_go_with_their_client)
{
    enum { PARKED = 1500 };
    static nng_ctx ctx[PARKED];
    static nng_aio *aio[PARKED];
    char *back;
    size_t size;

    start((struct server_options){0});
    nng_socket waiting = dial();
    for (int i = 0; i < PARKED; i++)
        ask(waiting, &ctx[i], &aio[i], "park");
    await(&parked, PARKED);
    nng_socket other = dial();
    ck_assert_int_eq(send_text(other, "hello"), 0);
    ck_assert_int_eq(nng_recv(other, &back, &size, NNG_FLAG_ALLOC), 0);
    nng_free(back, size);
    ck_assert_int_eq(gone, 0);
    nng_close(waiting);
    for (int i = 0; i < PARKED; i++)
        nng_aio_free(aio[i]);
    await(&parked, 0);
    await(&gone, 1);
    /* Their exchanges serve others now. */
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(send_text(other, "again"), 0);
        ck_assert_int_eq(nng_recv(other, &back, &size, NNG_FLAG_ALLOC), 0);
        nng_free(back, size);
    }
    nng_close(other);
}
END_TEST

START_TEST(R_SCH_4_connections_beyond_the_cap_are_closed)
{
    nng_socket s[6];

    start((struct server_options){.connections_per_user = 3});
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(nng_req0_open(&s[i]), 0);
        ck_assert_int_eq(nng_dial(s[i], url, NULL, NNG_FLAG_NONBLOCK), 0);
    }
    while (atomic_load(&connected) < 3)
        nng_msleep(1);
    /* The other three try again and again. */
    for (int i = 0; i < 300; i++) {
        ck_assert_uint_le(atomic_load(&connected), 3);
        nng_msleep(1);
    }
    for (int i = 0; i < 6; i++)
        nng_close(s[i]);
}
END_TEST

START_TEST(a_client_that_does_not_read_is_cut_off)
{
    nng_ctx ctx[8];
    nng_aio *aio[8];
    nng_socket s;

    /* Eight answers of 200 kB do not fit into a socket that nobody reads. nng
     * always reads, so its reading is kept from it: it may take 1 kB. */
    answer_size = 200000;
    start((struct server_options){.stall_ns = 300000000});
    ck_assert_int_eq(nng_req0_open(&s), 0);
    ck_assert_int_eq(nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, 1000), 0);
    ck_assert_int_eq(nng_dial(s, url, NULL, 0), 0);
    for (int i = 0; i < 8; i++)
        ask(s, &ctx[i], &aio[i], "x");
    while (atomic_load(&gone) == 0)
        nng_msleep(1);
    nng_close(s);
    for (int i = 0; i < 8; i++)
        nng_aio_free(aio[i]);
}
END_TEST

START_TEST(an_old_socket_is_replaced)
{
    nng_socket s;
    nng_socket old;

    ck_assert_int_eq(nng_req0_open(&old), 0);
    ck_assert_int_eq(nng_listen(old, url, NULL, 0), 0);
    start((struct server_options){0});
    ck_assert_ptr_nonnull(server);
    char *back;
    size_t size;
    s = dial();
    ck_assert_int_eq(send_text(s, "x"), 0);
    ck_assert_int_eq(nng_recv(s, &back, &size, NNG_FLAG_ALLOC), 0);
    nng_free(back, size);
    nng_close(s);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_file_in_the_way_is_left_alone)
{
    char text[16] = "";
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs("precious", f);
    fclose(f);
    start((struct server_options){0});
    ck_assert_ptr_null(server);
    f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, f));
    fclose(f);
    ck_assert_str_eq(text, "precious");
}
END_TEST

static const struct rule rules[] = {
    RULE(every_request_is_answered_with_its_own_answer),
    RULE(parked_requests_cost_the_others_nothing_and_go_with_their_client),
    RULE(R_SCH_4_connections_beyond_the_cap_are_closed),
    RULE(a_client_that_does_not_read_is_cut_off),
    RULE(an_old_socket_is_replaced),
    RULE(a_file_in_the_way_is_left_alone),
};

RULES_MAIN("engine server", rules, begin, end)
