/* SPDX-License-Identifier: MIT */
/* Requests from the schema: each field that an operation has, with a value that
 * means something here, mostly. What the fields are, the tables of proto/ say;
 * an operation that is added there is asked for from then on. */
#ifndef ASUPERSYNC_FUZZ_REQUEST_H
#define ASUPERSYNC_FUZZ_REQUEST_H

#include "proto/message.h"

void request_reset(void);
/* `how`: the smaller, the more of what is optional is left out. */
void request_write(struct proto_writer *w, const struct proto_op *op, uint64_t id,
                   const uint8_t *session, const uint8_t *cx, uint8_t how);
/* An id of that sort: mostly one that somebody was told, mostly late. */
uint64_t request_id(enum asup_sort sort);

#endif
