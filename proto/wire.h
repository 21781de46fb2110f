/* SPDX-License-Identifier: MIT */
/*
 * msgpack as bytes: walking over an untrusted message without trusting any of
 * its counts, and unpacking one that has passed the walk.
 *
 * msgpack-c's own unpacker stops at 32 levels, which a reply about a deep
 * region tree passes, and allocates as counts tell it to. So the walk comes
 * first and the unpacking here builds msgpack-c's objects itself; a test
 * compares both unpackers wherever the other one can follow.
 */
#ifndef ASUPERSYNC_PROTO_WIRE_H
#define ASUPERSYNC_PROTO_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include <msgpack/object.h>

#include "message.h"

/* One value's head: what it is, and how much belongs to it. */
struct wire_head {
    msgpack_object_type type;
    union {
        bool boolean;
        uint64_t u64;   /* POSITIVE_INTEGER */
        int64_t i64;    /* NEGATIVE_INTEGER */
        double f64;     /* FLOAT32, FLOAT64 */
        uint32_t size;  /* STR, BIN, EXT: bytes of payload */
        uint32_t count; /* ARRAY: elements, MAP: pairs */
    } u;
    int8_t ext; /* EXT: its type */
};

enum wire_result {
    WIRE_OK,
    WIRE_TRUNCATED, /* the bytes end inside a value */
    WIRE_RESERVED,  /* byte 0xc1, which msgpack never uses */
    WIRE_DEEP,      /* nesting beyond the bound */
    WIRE_MANY,      /* more values than the bound */
    WIRE_TRAILING,  /* bytes after the value */
};

/* Read one head at *offset and move past it, not past the payload. */
enum wire_result wire_head(const uint8_t *data, size_t size, size_t *offset, struct wire_head *out);

/* Move past one whole value. */
enum wire_result
wire_skip(const uint8_t *data, size_t size, size_t *offset, const struct proto_bounds *bounds);

/* The message is exactly one value within bounds. Allocates nothing. */
enum wire_result wire_check(const uint8_t *data, size_t size, const struct proto_bounds *bounds);

/* Fill `err` from a result that is not WIRE_OK. Returns err->code. */
int wire_error(enum wire_result result, const struct proto_bounds *bounds, struct proto_error *err);

/* Unpack a checked message. Payloads are copied into the memory, text with a
 * NUL after it. Returns 0 or -ASUP_ENOMEM. */
int wire_unpack(const uint8_t *data, size_t size, struct proto_memory *m, msgpack_object *out);

#endif
