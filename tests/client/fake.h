/* SPDX-License-Identifier: MIT */
/*
 * A daemon that is not one: a socket in the test's own process whose manners the
 * test decides. It speaks the framing of nng's REP by itself, so that it can
 * also break off anywhere; it decodes and checks requests as the daemon does,
 * keeps sessions, and says hello. Everything else goes to the test's handler.
 *
 *     static void manners(struct fake *f, struct fake_request *r)
 *     {
 *         if (fake_asks(r, PROTO_TASK_STAT))
 *             fake_answer_error(r, -ASUP_ENOTFOUND, "no such task");
 *     }
 *
 *     struct fake *f = fake_start(manners, NULL);
 *     struct asup_client *c = fake_client(f, NULL);
 *
 * Handlers run one after the other on the fake's own thread. Everything that
 * arrives is counted, so that a test waits for a fact, never for a time.
 */
#ifndef ASUPERSYNC_TESTS_CLIENT_FAKE_H
#define ASUPERSYNC_TESTS_CLIENT_FAKE_H

#include <check.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "asupersync/asupersync.h"
#include "proto/message.h"
#include "proto/read.h"

struct fake;

struct fake_request {
    struct fake *fake;
    struct proto_request decoded;
    struct proto_memory *memory;
    uint64_t connection; /* where the answer goes to, */
    uint8_t tag[4];      /* and how the peer will know it */
    int session;         /* index of its session, counted from 1; 0: none; -1: unknown */
    uint32_t nth;        /* of its operation, counted from 1 */
    uint32_t restarts;   /* of the fake so far */
};

typedef void (*fake_manners)(struct fake *f, struct fake_request *r);

/* Start to listen on a socket of its own, in a directory of its own. */
struct fake *fake_start(fake_manners manners, void *arg);
/* Stop, and remove everything. */
void fake_stop(struct fake *f);

void *fake_arg(const struct fake *f);
/* "ipc://..." */
const char *fake_url(const struct fake *f);
/* The directory; a path in it is at most 60 bytes. */
const char *fake_directory(const struct fake *f);

/* Close the socket, as an engine that dies; and listen again. */
void fake_die(struct fake *f);
void fake_revive(struct fake *f);
/* Forget all sessions: the next hello that wants one back is Expired. */
void fake_forget_sessions(struct fake *f);
/* How to answer a hello: the code, and how often (-1: always). 0: properly. */
void fake_hello_code(struct fake *f, int code, int times);
/* Answer nothing by itself any more, hello included: all goes to the handler. */
void fake_stay_raw(struct fake *f);

/* Wait until so many requests of an operation have arrived in all. */
void fake_wait(struct fake *f, enum proto_op_id op, uint32_t count);
uint32_t fake_count(struct fake *f, enum proto_op_id op);

/* ---- In a handler ------------------------------------------------------------- */

bool fake_asks(const struct fake_request *r, enum proto_op_id op);
/* An answer that is right: the body is one map, {} for NULL. */
void fake_answer(struct fake_request *r, struct proto_writer *body);
void fake_answer_error(struct fake_request *r, int code, const char *message);
/* Any bytes as the answer. */
void fake_answer_bytes(struct fake_request *r, const void *data, size_t size);
/* Any bytes on the connection, framing and all; and the frame that an answer of
 * {} would be, to take apart. */
void fake_write(struct fake_request *r, const void *data, size_t size);
size_t fake_frame(const struct fake_request *r, uint8_t frame[64]);
/* Answer later, perhaps never: what is kept is to be given to fake_answer...
 * and then to fake_let_go(), from any thread. */
struct fake_request *fake_keep(struct fake_request *r);
void fake_let_go(struct fake_request *kept);
/* Close the connection the request came by. */
void fake_hang_up(struct fake_request *r);

/* ---- For tests ------------------------------------------------------------------- */

/* Connect, and fail the test when that fails. */
struct asup_client *fake_client(struct fake *f, const struct asup_client_options *options);
/* A generic call without arguments. */
int
fake_ask(struct asup_client *c, const char *op, int64_t timeout_ms, struct asup_error_info *err);
/* {"text": ...}: body of a made-up answer. */
void fake_text_body(struct proto_writer *w, const char *key, const char *text);

#endif
