/* SPDX-License-Identifier: MIT */
/* A client's life: connecting, what it is connected to, leaving. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* The largest answer that is taken. */
#define ANSWER_SIZE_MAX ((size_t)256 << 20)

/* How long asup_client_free() waits for the daemon to take leave. */
#define BYE_MS 1000

void
asup_client_options_init(struct asup_client_options *options)
{
    *options = (struct asup_client_options){
        .connect_timeout_ms = 5000,
        .patience_ms = 10000,
        .answer_timeout_ms = 30000,
    };
}

/* Everything of it but the connection. NULL: see err. */
static struct asup_client *
client_new(const struct asup_client_options *options, struct proto_error *err)
{
    struct asup_client *c = calloc(1, sizeof *c);

    if (c == NULL) {
        proto_error_set(err, -ASUP_ENOMEM, "no memory for a client");
        return NULL;
    }
    pthread_mutex_init(&c->mutex, NULL);
    sp_init(&c->conn, SP_REQ, ANSWER_SIZE_MAX);
    c->wake_fd = -1;
    c->without_session = options->without_session;
    c->keep_session = options->keep_session;
    c->patience_ms = options->patience_ms;
    c->answer_timeout_ms = options->answer_timeout_ms;
    c->session_ttl_ns = options->session_ttl_ns;
    c->message_size_max = PROTO_SIZE_MAX;
    if (options->session_secret != NULL && !options->without_session) {
        memcpy(c->session.secret, options->session_secret, ASUP_SECRET_SIZE);
        c->session.known = true;
        c->resuming = true;
    }
    c->loop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->loop_fd < 0) {
        proto_error_set(err, -ASUP_ENOMEM, "no descriptor is left");
        return c;
    }
    c->url = address_find(options->url, err);
    if (c->url != NULL)
        cx_choose(c, options, err);
    return c;
}

static void
client_free(struct asup_client *c)
{
    if (c == NULL)
        return;
    link_stop(c);
    calls_free(c);
    if (c->loop_fd >= 0)
        close(c->loop_fd);
    free(c->url);
    free(c->stdio_path);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

/* Wait for the first hello. Returns 0 or err->code. */
static int
client_wait(struct asup_client *c, int32_t timeout_ms, struct proto_error *err)
{
    enum link_state link;

    wait_link(c, clock_after(clock_now(), timeout_ms));
    pthread_mutex_lock(&c->mutex);
    link = c->link;
    *err = c->refusal;
    pthread_mutex_unlock(&c->mutex);
    if (link == LINK_READY)
        return 0;
    return err->code != 0 ? err->code : address_explain(c->url, err);
}

int
asup_client_connect(const struct asup_client_options *options, struct asup_client **out,
                    struct asup_error_info *err)
{
    struct asup_client_options defaults;
    struct proto_error own;
    struct asup_client *c;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the client");
    if (options == NULL) {
        asup_client_options_init(&defaults);
        options = &defaults;
    }
    proto_error_set(&own, 0, "%s", "");
    c = client_new(options, &own);
    if (own.code == 0)
        address_check(c->url, &own);
    if (own.code == 0)
        link_start(c, &own);
    if (own.code == 0 && options->connect_timeout_ms != 0)
        client_wait(c, options->connect_timeout_ms, &own);
    if (own.code != 0) {
        client_free(c);
        return error_local(err, &own);
    }
    error_clear(err);
    *out = c;
    return 0;
}

/* Forget every call that was started and not dispatched. */
static void
client_drop_calls(struct asup_client *c)
{
    for (uint32_t i = 0; i < c->call_count; i++) {
        struct call *call = c->calls[i];
        bool drop;

        pthread_mutex_lock(&c->mutex);
        drop = call->fn != NULL;
        if (drop)
            call_abandon(call);
        pthread_mutex_unlock(&c->mutex);
        if (drop)
            call_recycle(call);
    }
}

void
asup_client_free(struct asup_client *c)
{
    struct call *bye = NULL;

    if (c == NULL)
        return;
    client_drop_calls(c);
    c->leaving = true;
    if (!c->without_session && !c->keep_session && asup_client_connected(c)) {
        asup_client_interrupt_clear(c);
        ask_begin(c, proto_ops[PROTO_SESSION_BYE].name, NULL, 0, BYE_MS, &bye, NULL);
        if (bye != NULL)
            call_recycle(bye);
    }
    client_free(c);
}

const char *
asup_client_url(const struct asup_client *c)
{
    return c->url;
}

struct asup_session
asup_client_session(struct asup_client *c)
{
    struct asup_session session;

    pthread_mutex_lock(&c->mutex);
    session.id = c->session.known ? c->session.id : 0;
    pthread_mutex_unlock(&c->mutex);
    return session;
}

int
asup_client_secret(struct asup_client *c, uint8_t secret[ASUP_SECRET_SIZE])
{
    bool known;

    pthread_mutex_lock(&c->mutex);
    known = c->session.known;
    if (known)
        memcpy(secret, c->session.secret, ASUP_SECRET_SIZE);
    pthread_mutex_unlock(&c->mutex);
    return known ? 0 : -ASUP_ENOTFOUND;
}

bool
asup_client_connected(struct asup_client *c)
{
    bool connected;

    pthread_mutex_lock(&c->mutex);
    connected = c->link == LINK_READY;
    pthread_mutex_unlock(&c->mutex);
    return connected;
}
