/* SPDX-License-Identifier: MIT */
/* Fields of requests about what is owed: obligations and leases. Part of
 * schema.c. */

static const char *const obligation_kind_names[] = {
#define WORD(name, number, wire) [number] = (wire),
    ASUP_OBLIGATION_KIND_LIST(WORD)
#undef WORD
        [ASUP_OBLIGATION_KIND_COUNT] = "any",
    NULL,
};

static const struct proto_field obligation_reserve_fields[] = {
    REGION(args_obligation_reserve, region, "region", "The region that will wait for it.",
           REQUIRED),
    TEXT(args_obligation_reserve, label, "label", "Label for people.", RANGE(0, ASUP_LABEL_MAX)),
    DURATION(args_obligation_reserve, timeout_ns, "timeout_ns",
             "Then it is aborted; absent: it has no end of its own.", RANGE(1, PROTO_DURATION_MAX),
             NEVER),
};
static const struct proto_field obligation_fields[] = {
    ID(args_obligation, obligation, "obligation", "The obligation.", ASUP_SORT_OBLIGATION,
       REQUIRED),
};
static const struct proto_field obligation_abort_fields[] = {
    ID(args_obligation_abort, obligation, "obligation", "The obligation.", ASUP_SORT_OBLIGATION,
       REQUIRED),
    TEXT(args_obligation_abort, note, "note", "Why, for people.", RANGE(0, ASUP_MESSAGE_MAX)),
};
static const struct proto_field obligation_transfer_fields[] = {
    ID(args_obligation_transfer, obligation, "obligation", "The obligation.", ASUP_SORT_OBLIGATION,
       REQUIRED),
    ANY(args_obligation_transfer, to, "to", "The new holder, a task or a session.", REQUIRED),
};
static const struct proto_field obligation_list_fields[] = {
    REGION(args_obligation_list, region, "region", "What is owed in this region; absent: \"/\"."),
    BOOL(args_obligation_list, recursive, "recursive", "And in the regions in it."),
    ANY(args_obligation_list, holder, "holder",
        "Only what this task or session holds, wherever it is owed."),
    ENUM(args_obligation_list, kind, "kind", "Only of this kind.", obligation_kind_names,
         PRESET(ASUP_OBLIGATION_KIND_COUNT)),
    ID(args_obligation_list, after, "after", "Go on after this obligation.", ASUP_SORT_OBLIGATION),
    UINT(args_obligation_list, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
};

#define LEASE_TTL_DOC                                                                              \
    "How long it is held, from now; renew it before that. At most leases.ttl-max of "              \
    "asupersyncd.yaml(5)."
static const struct proto_field lease_acquire_fields[] = {
    REGION(args_lease_acquire, region, "region", "The region whose name it is.", REQUIRED),
    NAME(args_lease_acquire, name, "name", "Name of the lease in that region.", REQUIRED,
         RANGE(1, ASUP_NAME_MAX)),
    DURATION(args_lease_acquire, ttl_ns, "ttl_ns", LEASE_TTL_DOC, REQUIRED,
             RANGE(1, PROTO_DURATION_MAX)),
    DURATION(args_lease_acquire, timeout_ns, "timeout_ns",
             "How long to wait while another holds it; absent: not at all.", ANY_DURATION,
             PRESET(0)),
};
static const struct proto_field lease_renew_fields[] = {
    ID(args_lease_renew, obligation, "obligation", "The lease's obligation.", ASUP_SORT_OBLIGATION,
       REQUIRED),
    DURATION(args_lease_renew, ttl_ns, "ttl_ns", "As for lease.acquire; absent: as long as before.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(0)),
};
static const struct proto_field lease_stat_fields[] = {
    REGION(args_lease_stat, region, "region", "The region.", REQUIRED),
    NAME(args_lease_stat, name, "name", "Name of the lease in it.", REQUIRED,
         RANGE(1, ASUP_NAME_MAX)),
};
static const struct proto_field lease_list_fields[] = {
    REGION(args_lease_list, region, "region", "The leases of this region; absent: \"/\"."),
    BOOL(args_lease_list, recursive, "recursive", "And of the regions in it."),
};
