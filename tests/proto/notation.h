/* SPDX-License-Identifier: MIT */
/*
 * Messages in tests, as text that reads like JSON, in both directions:
 *
 *     [1, 7, nil, #16, "task.submit", {"argv": ["true"], "label": "a"*129}]
 *
 * nil, true, false, whole numbers, 1.5, "text", "a"*129 (repeated), b"text"
 * (binary), #16 (so many bytes of binary zeros), <c1 00> (bytes as they are,
 * one value to the list around them), lists, and maps whose keys may be
 * anything and may come twice.
 */
#ifndef ASUPERSYNC_TESTS_PROTO_NOTATION_H
#define ASUPERSYNC_TESTS_PROTO_NOTATION_H

#include "proto/message.h"

/* Append the message that the text stands for; a mistake in it fails the test. */
void notation_write(struct proto_writer *w, const char *text);

/* One value as such text (binary as #size), NUL-terminated; free() it. */
char *notation_print(const msgpack_object *object);

/* A request for `op` with arguments in this notation, decoded into `m`. */
int request_from(const char *op, const char *args, struct proto_memory *m,
                 struct proto_request *out, struct proto_error *err);
/* The same from a whole message. */
int message_from(const char *text, struct proto_memory *m, struct proto_request *out,
                 struct proto_error *err);

/* What encoding a decoded call gives, as text; free() it. */
char *encoded_again(const struct proto_call *call);

#endif
