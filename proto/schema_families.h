/* SPDX-License-Identifier: MIT */
/* The parts of the schema that have a file of their own, one a family of
 * operations: the records of their arguments. */
#ifndef ASUPERSYNC_PROTO_SCHEMA_FAMILIES_H
#define ASUPERSYNC_PROTO_SCHEMA_FAMILIES_H

#include "schema_rows.h"

/* schema_saga.c */
extern const struct proto_record proto_saga_begin_record, proto_saga_step_record, proto_saga_record,
    proto_saga_abort_record, proto_saga_list_record, proto_saga_resolve_record,
    proto_saga_wait_record;

/* schema_cx.c */
extern const struct proto_record proto_cx_derive_record, proto_cx_revoke_record,
    proto_cx_list_record;

#endif
