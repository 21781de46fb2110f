/* SPDX-License-Identifier: MIT */
/*
 * Samples made from the schema: requests that use every field, and fields at
 * and beyond each of their bounds. schema_dump writes them as seeds for the
 * fuzzers; tests decode them.
 */
#ifndef ASUPERSYNC_PROTO_SAMPLE_H
#define ASUPERSYNC_PROTO_SAMPLE_H

#include "message.h"

enum sample_kind {
    SAMPLE_TYPICAL, /* right, and not what absence means */
    SAMPLE_LEAST,   /* the lower bound */
    SAMPLE_MOST,    /* the upper bound */
    SAMPLE_BELOW,   /* just below the lower bound: wrong */
    SAMPLE_ABOVE,   /* just above the upper bound: wrong */
    SAMPLE_WRONG,   /* of a type the field never has */
    SAMPLE_KIND_COUNT,
};

/* Whether the field has such a sample: there is nothing below 0 bytes. */
bool sample_exists(const struct proto_field *field, enum sample_kind kind);

/* Write one value for the field. */
void sample_field(struct proto_writer *w, const struct proto_field *field, enum sample_kind kind);

/* Write a map with what the record requires, and with `special`, which may be a
 * field of a nested record, as a sample of that kind (NULL: nothing more). */
void sample_record(struct proto_writer *w, const struct proto_record *record,
                   const struct proto_field *special, enum sample_kind kind);

/* Write a map with every field there is. */
void sample_record_full(struct proto_writer *w, const struct proto_record *record);

/* Call `each` for every field of a record, those of nested records included. */
void sample_each_field(const struct proto_record *record,
                       void (*each)(void *context, const struct proto_field *field), void *context);

/* Whole requests. */
void sample_request(struct proto_writer *w, const struct proto_op *op,
                    const struct proto_field *special, enum sample_kind kind);
void sample_request_full(struct proto_writer *w, const struct proto_op *op);

/* Whole replies: the writers' shapes by number; false when there is none left. */
bool sample_reply(struct proto_writer *w, unsigned number);

#endif
