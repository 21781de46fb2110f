/* SPDX-License-Identifier: MIT */
/*
 * Between the wire's msgpack and JSON. Every answer becomes JSON once, and
 * both --json and what people read are made from that.
 *
 *   - byte strings become base64 text, where the caller does not take them out
 *     first (logs);
 *   - text that is no UTF-8 gets U+FFFD for each wrong byte;
 *   - a number beyond 2^63 - 1 ("for ever") becomes null.
 *
 * The other way, an object made by json_wire_bytes() becomes a byte string, so
 * that requests are built as JSON values, too.
 */
#ifndef ASUPERSYNC_CTL_WIRE_JSON_H
#define ASUPERSYNC_CTL_WIRE_JSON_H

#include <stddef.h>

#include <jansson.h>

/* Deeper values are refused: a tree of regions takes two levels each. */
#define WIRE_DEPTH_MAX 256

/* A new reference, or NULL when the bytes are not exactly one value. */
json_t *wire_to_json(const void *bytes, size_t size);

/* The value as msgpack in fresh memory (free it). */
void *json_to_wire(json_t *value, size_t *size);

/* A byte string for json_to_wire(). */
json_t *json_wire_bytes(const void *bytes, size_t size);

/* 2^64 - 1 for json_to_wire(): "unlimited". */
json_t *json_wire_endless(void);

/* Text of any bytes: what is no UTF-8 becomes U+FFFD. */
json_t *json_text(const char *bytes, size_t size);

#endif
