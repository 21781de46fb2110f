/* SPDX-License-Identifier: MIT */
/* The fields of the requests about capabilities. */
#include "schema_families.h"

static const struct proto_field cx_derive_fields[] = {
    REGION(args_cx_derive, region, "region",
           "The region that it is for, and those in it; absent: that of the capability that is "
           "shown, else \"/\"."),
    TEXTS(args_cx_derive, rights, "rights",
          "What it lets do: spawn, cancel, close, observe, time, random, trace, channel, lease, "
          "io, saga, serve, delegate, admin.",
          REQUIRED, RANGE(1, ASUP_RIGHT_COUNT)),
    UINT(args_cx_derive, priority, "priority",
         "The highest priority of what is made with it; absent: no ceiling of its own.",
         RANGE(1, 255), PRESET(0)),
    DURATION(args_cx_derive, timeout_ns, "timeout_ns",
             "Its time: then it is good no more, and what was made with it reaches its deadline.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(ASUP_NEVER)),
    UINT(args_cx_derive, cost, "cost", "The most cost that anything made with it may spend.",
         RANGE(1, UINT64_MAX - 1), PRESET(UINT64_MAX)),
    UINT(args_cx_derive, polls, "polls",
         "The most checkpoints that anything made with it may spend.", RANGE(1, UINT32_MAX - 1),
         PRESET(UINT32_MAX)),
};
static const struct proto_field cx_revoke_fields[] = {
    ID(args_cx_revoke, cx, "cx", "The capability; all that were derived from it go with it.",
       ASUP_SORT_CAPABILITY, REQUIRED),
};
static const struct proto_field cx_list_fields[] = {
    REGION(args_cx_list, region, "region",
           "Whose capabilities, with those of the regions in it; absent: \"/\", or the region of "
           "the capability that is shown."),
    ID(args_cx_list, after, "after", "Go on after this capability.", ASUP_SORT_CAPABILITY),
    UINT(args_cx_list, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
};

#define ARGS(s)                                                                                    \
    const struct proto_record proto_##s##_record = RECORD_OF("", "", args_##s, s##_fields)
ARGS(cx_derive);
ARGS(cx_revoke);
ARGS(cx_list);
