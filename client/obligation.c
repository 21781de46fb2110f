/* SPDX-License-Identifier: MIT */
/* The typed calls about obligations and leases. */
#include "asupersync/obligation.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "typed.h"

static int
no_obligation(struct asup_error_info *err)
{
    return error_invalid(err, "obligation", "an obligation is needed");
}

static struct asup_ref
ref_of(const msgpack_object *map, const char *key)
{
    const char *text = proto_get_text(map, key);
    struct asup_ref ref = {0};

    if (text == NULL || asup_ref_parse(text, strlen(text), &ref) != 0)
        return (struct asup_ref){0};
    return ref;
}

/* ---- Resolving ------------------------------------------------------------------------ */

int
asup_client_obligation_reserve(struct asup_client *c, struct asup_region region, const char *label,
                               uint64_t timeout_ns, struct asup_obligation *out,
                               struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || out == NULL)
        return error_invalid(err, "region", "a region and a place for the obligation are needed");
    args_begin(PROTO_OBLIGATION_RESERVE, &args);
    args.obligation_reserve.region = target_of(region);
    args.obligation_reserve.label = text_of(label);
    args.obligation_reserve.timeout_ns = timeout_ns;
    rc = typed_call(c, PROTO_OBLIGATION_RESERVE, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "obligation", ASUP_SORT_OBLIGATION);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

static int
obligation_plain(struct asup_client *c, enum proto_op_id op, struct asup_obligation obligation,
                 struct asup_error_info *err)
{
    union proto_args args;

    if (obligation.id == 0)
        return no_obligation(err);
    args_begin(op, &args);
    args.obligation.obligation = obligation.id;
    return typed_call(c, op, &args, -1, NULL, err);
}

int
asup_client_obligation_commit(struct asup_client *c, struct asup_obligation obligation,
                              struct asup_error_info *err)
{
    return obligation_plain(c, PROTO_OBLIGATION_COMMIT, obligation, err);
}

int
asup_client_obligation_abort(struct asup_client *c, struct asup_obligation obligation,
                             const char *note, struct asup_error_info *err)
{
    union proto_args args;

    if (obligation.id == 0)
        return no_obligation(err);
    args_begin(PROTO_OBLIGATION_ABORT, &args);
    args.obligation_abort.obligation = obligation.id;
    args.obligation_abort.note = text_of(note);
    return typed_call(c, PROTO_OBLIGATION_ABORT, &args, -1, NULL, err);
}

int
asup_client_obligation_transfer(struct asup_client *c, struct asup_obligation obligation,
                                struct asup_ref to, struct asup_error_info *err)
{
    union proto_args args;

    if (obligation.id == 0)
        return no_obligation(err);
    if (to.id == 0 || (to.sort != ASUP_SORT_TASK && to.sort != ASUP_SORT_SESSION))
        return error_invalid(err, "to", "an obligation goes to a task or a session");
    args_begin(PROTO_OBLIGATION_TRANSFER, &args);
    args.obligation_transfer.obligation = obligation.id;
    args.obligation_transfer.to.ref = to;
    return typed_call(c, PROTO_OBLIGATION_TRANSFER, &args, -1, NULL, err);
}

/* ---- Listing ------------------------------------------------------------------------------ */

static void
obligation_info_fini(struct asup_obligation_info *info)
{
    free(info->path);
    free(info->holder_label);
    free(info->name);
    memset(info, 0, sizeof *info);
}

void
asup_obligation_list_fini(struct asup_obligation_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        obligation_info_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

static uint8_t
kind_of(const char *name)
{
    static const char *const names[] = {
#define WORD(NAME, number, wire) [number] = (wire),
        ASUP_OBLIGATION_KIND_LIST(WORD)
#undef WORD
    };

    for (uint8_t kind = 0; name != NULL && kind < ASUP_OBLIGATION_KIND_COUNT; kind++) {
        if (strcmp(names[kind], name) == 0)
            return kind;
    }
    return ASUP_OBLIGATION_KIND_COUNT; /* of a later daemon */
}

static int
info_obligation(const msgpack_object *from, struct asup_obligation_info *out)
{
    *out = (struct asup_obligation_info){
        .obligation = {proto_get_ref(from, "id", ASUP_SORT_OBLIGATION).id},
        .kind = kind_of(proto_get_text(from, "kind")),
        .region = {proto_get_ref(from, "region", ASUP_SORT_REGION).id},
        .path = info_text(from, "path"),
        .holder = ref_of(from, "holder"),
        .holder_label = info_text(from, "holder_label"),
        .name = info_text(from, "name"),
        .token = proto_get_uint(from, "token", 0),
        .age_ns = proto_get_uint(from, "age_ns", 0),
        .left_ns = proto_get_uint(from, "left_ns", ASUP_NEVER),
        .owner = (uint32_t)proto_get_uint(from, "owner", 0),
    };
    if (out->path != NULL && out->holder_label != NULL && out->name != NULL)
        return 0;
    obligation_info_fini(out);
    return -ASUP_ENOMEM;
}

/* An array of `size` each, made from the list under `key`. */
static int
info_list(const struct typed *answer, const char *key, size_t size, void **items, size_t *count,
          int (*read)(const msgpack_object *, void *))
{
    const msgpack_object *list = proto_get(&answer->body, key);
    size_t length = list != NULL && list->type == MSGPACK_OBJECT_ARRAY ? list->via.array.size : 0;
    char *array = calloc(length > 0 ? length : 1, size);

    *items = array;
    *count = 0;
    if (array == NULL)
        return -ASUP_ENOMEM;
    for (size_t i = 0; i < length; i++) {
        int rc = read(&list->via.array.ptr[i], array + i * size);

        if (rc != 0)
            return rc;
        (*count)++;
    }
    return 0;
}

static int
read_obligation(const msgpack_object *from, void *out)
{
    return info_obligation(from, out);
}

int
asup_client_obligation_list(struct asup_client *c, struct asup_region region,
                            struct asup_obligation after, unsigned limit,
                            struct asup_obligation_list *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    void *items;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    args_begin(PROTO_OBLIGATION_LIST, &args);
    if (region.id != 0)
        args.obligation_list.region = target_of(region);
    args.obligation_list.recursive = true;
    args.obligation_list.after = after.id;
    args.obligation_list.limit = limit;
    rc = typed_call(c, PROTO_OBLIGATION_LIST, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    *out = (struct asup_obligation_list){0};
    rc =
        info_list(&answer, "obligations", sizeof *out->items, &items, &out->count, read_obligation);
    out->items = items;
    out->more = proto_get_bool(&answer.body, "more", false);
    if (rc != 0) {
        asup_obligation_list_fini(out);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    return 0;
}

/* ---- Leases -----------------------------------------------------------------------------------
 */

int
asup_client_lease_acquire(struct asup_client *c, struct asup_region region, const char *name,
                          uint64_t ttl_ns, int64_t timeout_ms, struct asup_lease *out,
                          struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || name == NULL || out == NULL)
        return error_invalid(err, "name", "a region, a name and a place for the lease are needed");
    args_begin(PROTO_LEASE_ACQUIRE, &args);
    args.lease_acquire.region = target_of(region);
    args.lease_acquire.name = text_of(name);
    args.lease_acquire.ttl_ns = ttl_ns;
    rc = typed_call(c, PROTO_LEASE_ACQUIRE, &args, timeout_ms, &answer, err);
    if (rc != 0)
        return rc;
    out->obligation.id = typed_id(&answer, "obligation", ASUP_SORT_OBLIGATION);
    out->token = proto_get_uint(&answer.body, "token", 0);
    out->expires_in_ns = proto_get_uint(&answer.body, "expires_in_ns", 0);
    if (out->obligation.id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_lease_renew(struct asup_client *c, struct asup_obligation lease, uint64_t ttl_ns,
                        uint64_t *expires_in_ns, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (lease.id == 0)
        return no_obligation(err);
    args_begin(PROTO_LEASE_RENEW, &args);
    args.lease_renew.obligation = lease.id;
    args.lease_renew.ttl_ns = ttl_ns;
    rc = typed_call(c, PROTO_LEASE_RENEW, &args, -1, expires_in_ns != NULL ? &answer : NULL, err);
    if (rc != 0 || expires_in_ns == NULL)
        return rc;
    *expires_in_ns = proto_get_uint(&answer.body, "expires_in_ns", 0);
    typed_end(&answer);
    return 0;
}

int
asup_client_lease_release(struct asup_client *c, struct asup_obligation lease,
                          struct asup_error_info *err)
{
    return obligation_plain(c, PROTO_LEASE_RELEASE, lease, err);
}

void
asup_lease_info_fini(struct asup_lease_info *info)
{
    if (info == NULL)
        return;
    free(info->path);
    free(info->name);
    free(info->holder_label);
    memset(info, 0, sizeof *info);
}

static int
info_lease(const msgpack_object *from, struct asup_lease_info *out)
{
    const char *state = proto_get_text(from, "state");

    *out = (struct asup_lease_info){
        .region = {proto_get_ref(from, "region", ASUP_SORT_REGION).id},
        .path = info_text(from, "path"),
        .name = info_text(from, "name"),
        .cooling = state != NULL && strcmp(state, "cooling") == 0,
        .obligation = {proto_get_ref(from, "obligation", ASUP_SORT_OBLIGATION).id},
        .holder = ref_of(from, "holder"),
        .holder_label = info_text(from, "holder_label"),
        .token = proto_get_uint(from, "token", 0),
        .age_ns = proto_get_uint(from, "age_ns", 0),
        .left_ns = proto_get_uint(from, "left_ns", ASUP_NEVER),
        .waiters = proto_get_uint(from, "waiters", 0),
        .owner = (uint32_t)proto_get_uint(from, "owner", 0),
    };
    if (out->path != NULL && out->name != NULL && out->holder_label != NULL)
        return 0;
    asup_lease_info_fini(out);
    return -ASUP_ENOMEM;
}

int
asup_client_lease_stat(struct asup_client *c, struct asup_region region, const char *name,
                       struct asup_lease_info *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || name == NULL || out == NULL)
        return error_invalid(err, "name", "a region, a name and a place for the answer are needed");
    args_begin(PROTO_LEASE_STAT, &args);
    args.lease_stat.region = target_of(region);
    args.lease_stat.name = text_of(name);
    rc = typed_call(c, PROTO_LEASE_STAT, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    rc = info_lease(&answer.body, out);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    return 0;
}

void
asup_lease_list_fini(struct asup_lease_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        asup_lease_info_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

static int
read_lease(const msgpack_object *from, void *out)
{
    return info_lease(from, out);
}

int
asup_client_lease_list(struct asup_client *c, struct asup_region region,
                       struct asup_lease_list *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    void *items;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    args_begin(PROTO_LEASE_LIST, &args);
    if (region.id != 0)
        args.lease_list.region = target_of(region);
    args.lease_list.recursive = true;
    rc = typed_call(c, PROTO_LEASE_LIST, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    *out = (struct asup_lease_list){0};
    rc = info_list(&answer, "leases", sizeof *out->items, &items, &out->count, read_lease);
    out->items = items;
    if (rc != 0) {
        asup_lease_list_fini(out);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    return 0;
}
