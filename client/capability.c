/* SPDX-License-Identifier: MIT */
/* The typed calls about capabilities. */
#include "asupersync/capability.h"

#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

static const char *const right_names[ASUP_RIGHT_COUNT] = {
#define NAME(name, bit, wire) [bit] = (wire),
    ASUP_RIGHT_LIST(NAME)
#undef NAME
};

/* ---- Rights ------------------------------------------------------------------------------ */

const char *
asup_right_name(uint32_t right)
{
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if (right == (uint32_t)1 << bit)
            return right_names[bit];
    }
    return NULL;
}

static uint32_t
right_of(const char *word, size_t size)
{
    if (size == 3 && memcmp(word, "all", 3) == 0)
        return ASUP_RIGHTS_TASK;
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if (strlen(right_names[bit]) == size && memcmp(right_names[bit], word, size) == 0)
            return (uint32_t)1 << bit;
    }
    return 0;
}

int
asup_rights_parse(const char *text, uint32_t *out)
{
    uint32_t rights = 0;

    if (text == NULL || out == NULL)
        return -ASUP_EINVALID;
    for (;;) {
        size_t size = strcspn(text, ",");
        uint32_t right = right_of(text, size);

        if (right == 0)
            return -ASUP_EINVALID;
        rights |= right;
        if (text[size] == '\0')
            break;
        text += size + 1;
    }
    *out = rights;
    return 0;
}

/* ---- Derive and revoke ---------------------------------------------------------------------- */

void
asup_cx_options_init(struct asup_cx_options *options)
{
    *options = (struct asup_cx_options){
        .rights = ASUP_RIGHT_OBSERVE,
        .timeout_ns = ASUP_NEVER,
        .cost = UINT64_MAX,
        .polls = UINT32_MAX,
    };
}

int
asup_client_cx_derive(struct asup_client *c, const struct asup_cx_options *options,
                      struct asup_capability *out, uint8_t token[ASUP_CX_SIZE],
                      struct asup_error_info *err)
{
    struct proto_text names[ASUP_RIGHT_COUNT];
    union proto_args args;
    struct typed answer;
    struct proto_bytes bytes;
    uint32_t count = 0;
    int rc;

    if (options == NULL || token == NULL)
        return error_invalid(err, "options", "options and a place for the token are needed");
    if (options->rights == 0 || (options->rights & ~(uint32_t)ASUP_RIGHTS_ALL) != 0)
        return error_invalid(err, "rights", "a capability has one right or more");
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if ((options->rights >> bit & 1) != 0)
            names[count++] = text_of(right_names[bit]);
    }
    args_begin(PROTO_CX_DERIVE, &args);
    if (options->region.id != 0)
        args.cx_derive.region = target_of(options->region);
    args.cx_derive.rights = (struct proto_texts){names, count};
    args.cx_derive.priority = options->priority;
    args.cx_derive.timeout_ns = options->timeout_ns;
    args.cx_derive.cost = options->cost;
    args.cx_derive.polls = options->polls;
    rc = typed_call(c, PROTO_CX_DERIVE, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    bytes = proto_get_bytes(&answer.body, "token");
    if (bytes.size != ASUP_CX_SIZE || typed_id(&answer, "cx", ASUP_SORT_CAPABILITY) == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    memcpy(token, bytes.data, ASUP_CX_SIZE);
    if (out != NULL)
        out->id = typed_id(&answer, "cx", ASUP_SORT_CAPABILITY);
    typed_end(&answer);
    return 0;
}

int
asup_client_cx_revoke(struct asup_client *c, struct asup_capability capability,
                      struct asup_error_info *err)
{
    union proto_args args;

    if (capability.id == 0)
        return error_invalid(err, "cx", "a capability is needed");
    args_begin(PROTO_CX_REVOKE, &args);
    args.cx_revoke.cx = capability.id;
    return typed_call(c, PROTO_CX_REVOKE, &args, -1, NULL, err);
}

/* ---- List -------------------------------------------------------------------------------- */

void
asup_cx_list_fini(struct asup_cx_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; list->items != NULL && i < list->count; i++)
        free(list->items[i].path);
    free(list->items);
    memset(list, 0, sizeof *list);
}

static int
info_cx(const msgpack_object *from, struct asup_cx_info *out)
{
    const msgpack_object *rights = proto_get(from, "rights");
    const char *holder = proto_get_text(from, "holder");

    memset(out, 0, sizeof *out);
    out->capability.id = proto_get_ref(from, "id", ASUP_SORT_CAPABILITY).id;
    out->parent.id = proto_get_ref(from, "parent", ASUP_SORT_CAPABILITY).id;
    out->region.id = proto_get_ref(from, "region", ASUP_SORT_REGION).id;
    if (holder != NULL)
        (void)asup_ref_parse(holder, strlen(holder), &out->holder);
    out->owner = (uint32_t)proto_get_uint(from, "owner", 0);
    for (uint32_t i = 0; i < proto_list_size(rights); i++) {
        const msgpack_object *name = proto_list_at(rights, i);

        /* One that a later daemon has is left out. */
        if (name->type == MSGPACK_OBJECT_STR)
            out->rights |= right_of(name->via.str.ptr, name->via.str.size);
    }
    out->priority = (uint8_t)proto_get_uint(from, "priority", 0);
    out->left_ns = proto_get_uint(from, "left_ns", ASUP_NEVER);
    out->cost = proto_get_uint(from, "cost", UINT64_MAX);
    out->polls = (uint32_t)proto_get_uint(from, "polls", UINT32_MAX);
    out->age_ns = proto_get_uint(from, "age_ns", 0);
    out->revoked = proto_get_bool(from, "revoked", false);
    if (out->capability.id == 0)
        return -ASUP_EMALFORMED;
    out->path = info_text(from, "path");
    return out->path != NULL ? 0 : -ASUP_ENOMEM;
}

int
asup_client_cx_list(struct asup_client *c, struct asup_region region, struct asup_capability after,
                    struct asup_cx_list *out, struct asup_error_info *err)
{
    const msgpack_object *list;
    union proto_args args;
    struct typed answer;
    uint32_t count;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    args_begin(PROTO_CX_LIST, &args);
    if (region.id != 0)
        args.cx_list.region = target_of(region);
    args.cx_list.after = after.id;
    rc = typed_call(c, PROTO_CX_LIST, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    memset(out, 0, sizeof *out);
    list = proto_get(&answer.body, "capabilities");
    count = proto_list_size(list);
    out->more = proto_get_bool(&answer.body, "more", false);
    if (count > 0 && (out->items = calloc(count, sizeof *out->items)) == NULL)
        rc = -ASUP_ENOMEM;
    for (; rc == 0 && out->count < count; out->count += rc == 0)
        rc = info_cx(proto_list_at(list, (uint32_t)out->count), &out->items[out->count]);
    if (rc != 0) {
        asup_cx_list_fini(out);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    return 0;
}
