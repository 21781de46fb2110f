/* SPDX-License-Identifier: MIT */
/*
 * The typed calls: public structures into arguments (request.c), a blocking
 * call (typed.c), the body of the answer into public structures (info.c).
 */
#ifndef ASUPERSYNC_CLIENT_TYPED_H
#define ASUPERSYNC_CLIENT_TYPED_H

#include "internal.h"
#include "proto/read.h"

/* The body of an answer, for as long as it is being read. */
struct typed {
    struct proto_memory *memory;
    msgpack_object body;
};

/* Ask and read. Returns the code and fills err; `out` (NULL: not wanted) is to
 * be ended when the code is 0. */
int typed_call(struct asup_client *c, enum proto_op_id op, const union proto_args *args,
               int64_t timeout_ms, struct typed *out, struct asup_error_info *err);
/* The same with arguments that are msgpack already. */
int typed_call_raw(struct asup_client *c, enum proto_op_id op, const void *args, size_t args_size,
                   int64_t timeout_ms, struct typed *out, struct asup_error_info *err);
void typed_end(struct typed *typed);
/* A reader failed: end, and say what that means. Returns the code. */
int typed_unreadable(struct typed *typed, int code, struct asup_error_info *err);
/* An id that the answer must hold; 0 when it does not. */
uint64_t typed_id(const struct typed *typed, const char *key, enum asup_sort sort);

/* Arguments with everything absent. */
void args_begin(enum proto_op_id op, union proto_args *args);

/* ---- request.c: all return 0 or -ASUP_E... with err filled in --------------- */

struct proto_text text_of(const char *text);
struct proto_target target_of(struct asup_region region);
void request_budget(const struct asup_budget_request *from, struct proto_budget *to);
struct asup_call_options;
/* A call; what it names is borrowed. */
void request_call(const struct asup_call_options *from, struct proto_process *to);
int request_process(const struct asup_process *from, struct proto_memory *m,
                    struct proto_process *to, struct asup_error_info *err);
int request_region(const struct asup_region_options *from, struct proto_memory *m,
                   struct args_region_open *to, struct asup_error_info *err);

/* ---- info.c: all return 0, -ASUP_ENOMEM or -ASUP_EMALFORMED; on failure
 * `out` holds nothing ---------------------------------------------------------- */

int info_outcome(const msgpack_object *from, struct proto_memory *m, struct asup_outcome *out);
int info_reason(const msgpack_object *from, struct proto_memory *m, struct asup_reason **out);
int info_task(const msgpack_object *from, struct proto_memory *m, struct asup_task_info *out);
int info_region(const msgpack_object *from, struct proto_memory *m, struct asup_region_info *out);
int info_event(const msgpack_object *from, struct proto_memory *m, struct asup_event *out);
/* "" for what is not there. NULL: no memory. */
char *info_text(const msgpack_object *map, const char *key);

#endif
