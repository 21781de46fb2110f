/* SPDX-License-Identifier: MIT */
/* The fields of the requests about sagas. */
#include "schema_families.h"

#define NEVER PRESET(ASUP_NEVER)
#define ANY_DURATION RANGE(0, PROTO_DURATION_MAX)

static const char *const how_names[] = {
    [PROTO_HOW_RETRY] = "retry",
    [PROTO_HOW_RESOLVE] = "resolve",
    [PROTO_HOW_RESOLVE + 1] = NULL,
};

static const struct proto_field retry_fields[] = {
    UINT(proto_retry, attempts, "attempts", "Attempts in all; absent: by the operation.",
         RANGE(1, 1000), PRESET(0)),
    DURATION(proto_retry, backoff_ns, "backoff_ns",
             "The wait after the first attempt; it doubles from one to the next.", ANY_DURATION,
             NEVER),
    DURATION(proto_retry, backoff_most_ns, "backoff_most_ns", "The longest wait.", ANY_DURATION,
             NEVER),
};
const struct proto_record proto_retry_record =
    RECORD_OF("Y", "When something is tried again.", proto_retry, retry_fields);

static const struct proto_field saga_begin_fields[] = {
    REGION(args_saga_begin, region, "region", "The region on whose stack it stands.", REQUIRED),
    NAME(args_saga_begin, name, "name", "Name, for people; absent: its id.",
         RANGE(1, ASUP_NAME_MAX)),
};
static const struct proto_field saga_step_fields[] = {
    ID(args_saga_step, saga, "saga", "The saga.", ASUP_SORT_SAGA, REQUIRED),
    NAME(args_saga_step, name, "name", "Name of the step.", REQUIRED, RANGE(1, ASUP_NAME_MAX)),
    PROCESS(args_saga_step, action, "action",
            "What the step does; absent: the driver does it by itself, and it is done when the "
            "next step begins or the saga completes."),
    PROCESS(args_saga_step, undo, "undo",
            "What makes up for it, a program or a call. It runs also when the action failed or did "
            "nothing. Its budget.timeout_ns is the time one attempt may take, for a call with the "
            "wait for a worker. It has the rights of who asks, and runs also when they were "
            "revoked.",
            REQUIRED),
    RETRY(args_saga_step, retry, "retry",
          "Of the compensation; absent: 3 attempts, 1 s between the first two, at most 30 s."),
};
static const struct proto_field saga_fields[] = {
    ID(args_saga, saga, "saga", "The saga.", ASUP_SORT_SAGA, REQUIRED),
};
static const struct proto_field saga_abort_fields[] = {
    ID(args_saga_abort, saga, "saga", "The saga.", ASUP_SORT_SAGA, REQUIRED),
    TEXT(args_saga_abort, message, "message", "Why.", RANGE(0, ASUP_MESSAGE_MAX)),
};
static const struct proto_field saga_list_fields[] = {
    REGION(args_saga_list, region, "region",
           "Whose sagas, with those of the regions in it; "
           "absent: \"/\"."),
    BOOL(args_saga_list, all, "all", "With those that have ended and are still kept."),
    ID(args_saga_list, after, "after", "Go on after this saga.", ASUP_SORT_SAGA),
    UINT(args_saga_list, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
};
static const struct proto_field saga_resolve_fields[] = {
    ID(args_saga_resolve, saga, "saga", "The saga that needs attention.", ASUP_SORT_SAGA, REQUIRED),
    ENUM(args_saga_resolve, how, "how",
         "retry: the compensation has its attempts anew; resolve: it was made up for by other "
         "means, and the next one follows.",
         how_names, REQUIRED),
};
static const struct proto_field saga_wait_fields[] = {
    ID(args_saga_wait, saga, "saga", "The saga.", ASUP_SORT_SAGA, REQUIRED),
    DURATION(args_saga_wait, timeout_ns, "timeout_ns",
             "How long to wait; 0 asks without waiting; absent: for ever.", ANY_DURATION, NEVER),
};

#define ARGS(s)                                                                                    \
    const struct proto_record proto_##s##_record = RECORD_OF("", "", args_##s, s##_fields)
ARGS(saga_begin);
ARGS(saga_step);
ARGS(saga);
ARGS(saga_abort);
ARGS(saga_list);
ARGS(saga_resolve);
ARGS(saga_wait);
