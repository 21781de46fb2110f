/* SPDX-License-Identifier: MIT */
/*
 * How a row of the schema is written. Each macro compares the type of the
 * struct member with what decoding writes there. After the sentence for the
 * manual come the bounds and whatever else differs from the usual, as
 * designated initialisers; REQUIRED is one of them.
 */
#ifndef ASUPERSYNC_PROTO_SCHEMA_ROWS_H
#define ASUPERSYNC_PROTO_SCHEMA_ROWS_H

#include "schema.h"

#define MEMBER_OF(s, m) (((struct s *)0)->m)
#define MEMBER_AT(s, m, c_type)                                                                    \
    (uint32_t)(                                                                                    \
        offsetof(struct s, m) +                                                                    \
        0 * sizeof(                                                                                \
                char[__builtin_types_compatible_p(__typeof__(MEMBER_OF(s, m)), c_type) ? 1 : -1]))

#define ROW(s, m, c_type, kind, key, sentence, ...)                                                \
    {                                                                                              \
        .name = (key), .type = (kind), .offset = MEMBER_AT(s, m, c_type), .doc = (sentence),       \
        __VA_ARGS__                                                                                \
    }

#define REQUIRED .required = true
#define RANGE(low, high) .min = (uint64_t)(low), .max = (uint64_t)(high)
#define PRESET(value) .preset = (uint64_t)(value)

#define UINT(s, m, key, doc, ...) ROW(s, m, uint64_t, PROTO_UINT, key, doc, __VA_ARGS__)
#define INT(s, m, key, doc, ...) ROW(s, m, int64_t, PROTO_INT, key, doc, __VA_ARGS__)
#define BOOL(s, m, key, doc) ROW(s, m, bool, PROTO_BOOL, key, doc, .max = 1)
#define DURATION(s, m, key, doc, ...) ROW(s, m, uint64_t, PROTO_DURATION, key, doc, __VA_ARGS__)
#define INSTANT(s, m, key, doc, ...) ROW(s, m, uint64_t, PROTO_INSTANT, key, doc, __VA_ARGS__)
#define TEXT(s, m, key, doc, ...) ROW(s, m, struct proto_text, PROTO_TEXT, key, doc, __VA_ARGS__)
#define NAME(s, m, key, doc, ...) ROW(s, m, struct proto_text, PROTO_NAME, key, doc, __VA_ARGS__)
#define OSTEXT(s, m, key, doc, ...)                                                                \
    ROW(s, m, struct proto_text, PROTO_OSTEXT, key, doc, __VA_ARGS__)
#define BYTES(s, m, key, doc, ...) ROW(s, m, struct proto_bytes, PROTO_BYTES, key, doc, __VA_ARGS__)
#define DATA(s, m, key, doc, ...)                                                                  \
    ROW(s, m, struct proto_bytes, PROTO_DATA, key, doc, .max = UINT32_MAX, __VA_ARGS__)
#define ID(s, m, key, doc, letter, ...)                                                            \
    ROW(s, m, uint64_t, PROTO_ID, key, doc, .sort = (letter), __VA_ARGS__)
#define REGION(s, m, key, doc, ...)                                                                \
    ROW(s, m, struct proto_target, PROTO_REGION, key, doc, __VA_ARGS__)
#define ANY(s, m, key, doc, ...) ROW(s, m, struct proto_target, PROTO_ANY, key, doc, __VA_ARGS__)
#define ENUM(s, m, key, doc, words, ...)                                                           \
    ROW(s, m, uint32_t, PROTO_ENUM, key, doc, .names = (words), __VA_ARGS__)
#define TEXTS(s, m, key, doc, ...) ROW(s, m, struct proto_texts, PROTO_TEXTS, key, doc, __VA_ARGS__)
#define ENVIRONMENT(s, m, key, doc, ...)                                                           \
    ROW(s, m, struct proto_environment, PROTO_ENV, key, doc, __VA_ARGS__)
#define RLIMITS(s, m, key, doc)                                                                    \
    ROW(s, m, struct proto_rlimits, PROTO_RLIMITS, key, doc, .max = PROTO_RLIMIT_COUNT)
#define BUDGET(s, m, key, doc)                                                                     \
    ROW(s, m, struct proto_budget, PROTO_RECORD, key, doc, .record = &proto_budget_record)
#define PROCESS(s, m, key, doc, ...)                                                               \
    ROW(s, m, struct proto_process, PROTO_RECORD, key, doc, .record = &proto_process_record,       \
        __VA_ARGS__)
#define PROCESS_INLINE(s, m)                                                                       \
    ROW(s, m, struct proto_process, PROTO_INLINE, NULL, "", .record = &proto_process_record)
#define PROCESSES(s, m, key, doc, ...)                                                             \
    ROW(s, m, struct proto_processes, PROTO_PROCESSES, key, doc, .record = &proto_process_record,  \
        __VA_ARGS__)

/* The families that have a file of their own: arguments, replies, shapes. */
#define PROTO_FAMILY_OP(family, name)                                                              \
    extern const struct proto_record family##_##name##_record;                                     \
    extern const struct proto_reply_field family##_##name##_reply[]
PROTO_FAMILY_OP(channel, open);
PROTO_FAMILY_OP(channel, subject); /* seal, stat */
PROTO_FAMILY_OP(channel, list);
PROTO_FAMILY_OP(channel, reserve);
PROTO_FAMILY_OP(channel, send);
PROTO_FAMILY_OP(channel, obligation); /* abort, ack */
PROTO_FAMILY_OP(channel, receive);
PROTO_FAMILY_OP(channel, nack);
PROTO_FAMILY_OP(channel, extend);
PROTO_FAMILY_OP(channel, message); /* message, discard */
PROTO_FAMILY_OP(channel, dead);
PROTO_FAMILY_OP(channel, retry);
extern const struct proto_reply_field proto_channel_shape[], proto_message_shape[];
#define RECORDS(s, m, key, doc, the_record, ...)                                                   \
    ROW(s, m, struct proto_records, PROTO_RECORDS, key, doc, .record = &(the_record), __VA_ARGS__)
#define IDS(s, m, key, doc, letter, ...)                                                           \
    ROW(s, m, struct proto_ids, PROTO_IDS, key, doc, .sort = (letter), __VA_ARGS__)
#define RETRY(s, m, key, doc)                                                                      \
    ROW(s, m, struct proto_retry, PROTO_RECORD, key, doc, .record = &proto_retry_record)

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define RECORD_OF(letter, sentence, s, rows)                                                       \
    {                                                                                              \
        .name = (letter), .doc = (sentence), .size = sizeof(struct s), .fields = (rows),           \
        .field_count = COUNT_OF(rows),                                                             \
    }

#endif
