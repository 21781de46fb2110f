/* SPDX-License-Identifier: MIT */
/* The typed calls about channels. */
#include "asupersync/channel.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "typed.h"

void
asup_channel_options_init(struct asup_channel_options *options)
{
    *options = (struct asup_channel_options){
        .capacity = 1024, .nacks_max = ASUP_CONFIGURED, .timeouts_max = ASUP_CONFIGURED};
}

static struct proto_target
channel_target(struct asup_channel channel)
{
    return (struct proto_target){.ref = {.id = channel.id, .sort = ASUP_SORT_CHANNEL}};
}

static int
no_channel(struct asup_error_info *err)
{
    return error_invalid(err, "channel", "a channel is needed");
}

static int
no_obligation(struct asup_error_info *err)
{
    return error_invalid(err, "obligation", "a permit or ack is needed");
}

/* The task or session under `key`. */
static struct asup_ref
info_ref(const msgpack_object *map, const char *key)
{
    const char *text = proto_get_text(map, key);
    struct asup_ref ref = {0};

    if (text == NULL || asup_ref_parse(text, strlen(text), &ref) != 0)
        return (struct asup_ref){0};
    return ref;
}

static uint64_t
info_id(const msgpack_object *map, const char *key, enum asup_sort sort)
{
    return proto_get_ref(map, key, sort).id;
}

/* 0 or -ASUP_ENOMEM. */
static int
info_data(const msgpack_object *map, uint8_t **data, size_t *size)
{
    struct proto_bytes bytes = proto_get_bytes(map, "data");

    *size = bytes.size;
    *data = NULL;
    if (bytes.size == 0)
        return 0;
    *data = malloc(bytes.size);
    if (*data == NULL)
        return -ASUP_ENOMEM;
    memcpy(*data, bytes.data, bytes.size);
    return 0;
}

/* ---- Channels ------------------------------------------------------------------------ */

int
asup_client_channel_open(struct asup_client *c, struct asup_region region,
                         const struct asup_channel_options *options, struct asup_channel *out,
                         struct asup_error_info *err)
{
    struct asup_channel_options defaults;
    union proto_args args;
    struct typed answer;
    int rc;

    if (region.id == 0 || out == NULL)
        return error_invalid(err, "region", "a region and a place for the channel are needed");
    if (options == NULL) {
        asup_channel_options_init(&defaults);
        options = &defaults;
    }
    args_begin(PROTO_CHANNEL_OPEN, &args);
    args.channel_open.region = target_of(region);
    args.channel_open.name = text_of(options->name);
    args.channel_open.capacity = options->capacity;
    args.channel_open.ack_timeout_ns = options->ack_timeout_ns;
    args.channel_open.permit_timeout_ns = options->permit_timeout_ns;
    args.channel_open.dead_retention_ns = options->dead_retention_ns;
    if (options->nacks_max != ASUP_CONFIGURED)
        args.channel_open.nacks_max = options->nacks_max;
    if (options->timeouts_max != ASUP_CONFIGURED)
        args.channel_open.timeouts_max = options->timeouts_max;
    rc = typed_call(c, PROTO_CHANNEL_OPEN, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "channel", ASUP_SORT_CHANNEL);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

static int
channel_stat(struct asup_client *c, struct proto_target target, struct typed *answer,
             struct asup_error_info *err)
{
    union proto_args args;

    args_begin(PROTO_CHANNEL_STAT, &args);
    args.channel.channel = target;
    return typed_call(c, PROTO_CHANNEL_STAT, &args, -1, answer, err);
}

int
asup_client_channel_find(struct asup_client *c, const char *path, struct asup_channel *out,
                         struct asup_error_info *err)
{
    struct typed answer;
    int rc;

    if (path == NULL || path[0] != '/' || out == NULL)
        return error_invalid(err, "channel", "a path begins with /");
    rc = channel_stat(c, (struct proto_target){.path = text_of(path)}, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "id", ASUP_SORT_CHANNEL);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_channel_seal(struct asup_client *c, struct asup_channel channel,
                         struct asup_error_info *err)
{
    union proto_args args;

    if (channel.id == 0)
        return no_channel(err);
    args_begin(PROTO_CHANNEL_SEAL, &args);
    args.channel.channel = channel_target(channel);
    return typed_call(c, PROTO_CHANNEL_SEAL, &args, -1, NULL, err);
}

void
asup_channel_info_fini(struct asup_channel_info *info)
{
    if (info == NULL)
        return;
    free(info->name);
    free(info->path);
    free(info->state);
    memset(info, 0, sizeof *info);
}

static int
info_channel(const msgpack_object *from, struct asup_channel_info *out)
{
    *out = (struct asup_channel_info){
        .channel.id = info_id(from, "id", ASUP_SORT_CHANNEL),
        .region.id = info_id(from, "region", ASUP_SORT_REGION),
        .name = info_text(from, "name"),
        .path = info_text(from, "path"),
        .state = info_text(from, "state"),
        .owner = (uint32_t)proto_get_uint(from, "owner", 0),
        .capacity = proto_get_uint(from, "capacity", 0),
        .queued = proto_get_uint(from, "queued", 0),
        .permits = proto_get_uint(from, "permits", 0),
        .unacked = proto_get_uint(from, "unacked", 0),
        .dead = proto_get_uint(from, "dead", 0),
        .sent = proto_get_uint(from, "sent", 0),
        .consumed = proto_get_uint(from, "consumed", 0),
        .bytes = proto_get_uint(from, "bytes", 0),
        .senders = proto_get_uint(from, "senders", 0),
        .receivers = proto_get_uint(from, "receivers", 0),
        .ack_timeout_ns = proto_get_uint(from, "ack_timeout_ns", ASUP_NEVER),
        .permit_timeout_ns = proto_get_uint(from, "permit_timeout_ns", ASUP_NEVER),
    };
    if (out->name != NULL && out->path != NULL && out->state != NULL && out->channel.id != 0)
        return 0;
    int rc = out->channel.id != 0 ? -ASUP_ENOMEM : -ASUP_EMALFORMED;
    asup_channel_info_fini(out);
    return rc;
}

int
asup_client_channel_stat(struct asup_client *c, struct asup_channel channel,
                         struct asup_channel_info *out, struct asup_error_info *err)
{
    struct asup_channel_info info;
    struct typed answer;
    int rc;

    if (channel.id == 0 || out == NULL)
        return no_channel(err);
    rc = channel_stat(c, channel_target(channel), &answer, err);
    if (rc != 0)
        return rc;
    rc = info_channel(&answer.body, &info);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    *out = info;
    return 0;
}

void
asup_channel_list_fini(struct asup_channel_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        asup_channel_info_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

int
asup_client_channel_list(struct asup_client *c, struct asup_region region, bool recursive,
                         struct asup_channel_list *out, struct asup_error_info *err)
{
    struct asup_channel_list list = {0};
    const msgpack_object *channels;
    union proto_args args;
    struct typed answer;
    uint32_t count;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    args_begin(PROTO_CHANNEL_LIST, &args);
    if (region.id != 0)
        args.channel_list.region = target_of(region);
    args.channel_list.recursive = recursive;
    rc = typed_call(c, PROTO_CHANNEL_LIST, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    channels = proto_get(&answer.body, "channels");
    count = proto_list_size(channels);
    if (count > 0 && (list.items = calloc(count, sizeof *list.items)) == NULL)
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    for (; rc == 0 && list.count < count; list.count += rc == 0)
        rc = info_channel(proto_list_at(channels, (uint32_t)list.count), &list.items[list.count]);
    if (rc != 0) {
        asup_channel_list_fini(&list);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    *out = list;
    return 0;
}

/* ---- Sending ------------------------------------------------------------------------- */

int
asup_client_channel_reserve(struct asup_client *c, struct asup_channel channel, int64_t timeout_ms,
                            struct asup_obligation *out, struct asup_error_info *err)
{
    union proto_args args;
    struct typed answer;
    int rc;

    if (channel.id == 0 || out == NULL)
        return no_channel(err);
    args_begin(PROTO_CHANNEL_RESERVE, &args);
    args.channel_reserve.channel = channel_target(channel);
    rc = typed_call(c, PROTO_CHANNEL_RESERVE, &args, timeout_ms, &answer, err);
    if (rc != 0)
        return rc;
    out->id = typed_id(&answer, "obligation", ASUP_SORT_OBLIGATION);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

static int
channel_send(struct asup_client *c, union proto_args *args, const void *data, size_t size,
             struct asup_message *out, struct asup_error_info *err)
{
    struct typed answer;
    int rc;

    if (data == NULL && size != 0)
        return error_invalid(err, "data", "there is no data");
    args->channel_send.data = (struct proto_bytes){data != NULL ? data : "", size};
    rc = typed_call(c, PROTO_CHANNEL_SEND, args, -1, out != NULL ? &answer : NULL, err);
    if (rc != 0 || out == NULL)
        return rc;
    out->id = typed_id(&answer, "message", ASUP_SORT_MESSAGE);
    if (out->id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    typed_end(&answer);
    return 0;
}

int
asup_client_channel_send_permit(struct asup_client *c, struct asup_obligation permit,
                                const void *data, size_t size, struct asup_message *out,
                                struct asup_error_info *err)
{
    union proto_args args;

    if (permit.id == 0)
        return no_obligation(err);
    args_begin(PROTO_CHANNEL_SEND, &args);
    args.channel_send.obligation = permit.id;
    return channel_send(c, &args, data, size, out, err);
}

int
asup_client_channel_send(struct asup_client *c, struct asup_channel channel, const void *data,
                         size_t size, int64_t timeout_ms, struct asup_message *out,
                         struct asup_error_info *err)
{
    struct asup_obligation permit = {0};
    union proto_args args;
    int rc;

    if (channel.id == 0)
        return no_channel(err);
    if (timeout_ms == 0) {
        args_begin(PROTO_CHANNEL_SEND, &args);
        args.channel_send.channel = channel_target(channel);
        return channel_send(c, &args, data, size, out, err);
    }
    rc = asup_client_channel_reserve(c, channel, timeout_ms, &permit, err);
    if (rc != 0)
        return rc;
    rc = asup_client_channel_send_permit(c, permit, data, size, out, err);
    if (rc != 0) /* best effort: else its time gives it back */
        (void)asup_client_channel_abort(c, permit, NULL);
    return rc;
}

/* Settle a permit or an ack by its id alone. */
static int
settle(struct asup_client *c, enum proto_op_id op, struct asup_obligation obligation,
       struct asup_error_info *err)
{
    union proto_args args;

    if (obligation.id == 0)
        return no_obligation(err);
    args_begin(op, &args);
    args.channel_obligation.obligation = obligation.id;
    return typed_call(c, op, &args, -1, NULL, err);
}

int
asup_client_channel_abort(struct asup_client *c, struct asup_obligation permit,
                          struct asup_error_info *err)
{
    return settle(c, PROTO_CHANNEL_ABORT, permit, err);
}

/* ---- Receiving ------------------------------------------------------------------------- */

void
asup_delivery_fini(struct asup_delivery *delivery)
{
    if (delivery == NULL)
        return;
    free(delivery->data);
    memset(delivery, 0, sizeof *delivery);
}

int
asup_client_channel_receive(struct asup_client *c, struct asup_channel channel,
                            uint64_t ack_timeout_ns, int64_t timeout_ms, struct asup_delivery *out,
                            struct asup_error_info *err)
{
    struct asup_delivery delivery;
    union proto_args args;
    struct typed answer;
    int rc;

    if (channel.id == 0 || out == NULL)
        return no_channel(err);
    args_begin(PROTO_CHANNEL_RECEIVE, &args);
    args.channel_receive.channel = channel_target(channel);
    args.channel_receive.ack_timeout_ns = ack_timeout_ns;
    rc = typed_call(c, PROTO_CHANNEL_RECEIVE, &args, timeout_ms, &answer, err);
    if (rc != 0)
        return rc;
    delivery = (struct asup_delivery){
        .ack.id = typed_id(&answer, "obligation", ASUP_SORT_OBLIGATION),
        .message.id = typed_id(&answer, "message", ASUP_SORT_MESSAGE),
        .sender = info_ref(&answer.body, "sender"),
        .deliveries = proto_get_uint(&answer.body, "deliveries", 1),
        .sent_at = proto_get_uint(&answer.body, "sent_at_ns", 0),
        .left_ns = proto_get_uint(&answer.body, "left_ns", ASUP_NEVER),
    };
    if (delivery.ack.id == 0)
        return typed_unreadable(&answer, -ASUP_EMALFORMED, err);
    rc = info_data(&answer.body, &delivery.data, &delivery.size);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    *out = delivery;
    return 0;
}

int
asup_client_channel_ack(struct asup_client *c, struct asup_obligation ack,
                        struct asup_error_info *err)
{
    return settle(c, PROTO_CHANNEL_ACK, ack, err);
}

int
asup_client_channel_nack(struct asup_client *c, struct asup_obligation ack, const char *note,
                         struct asup_error_info *err)
{
    union proto_args args;

    if (ack.id == 0)
        return no_obligation(err);
    args_begin(PROTO_CHANNEL_NACK, &args);
    args.channel_nack.obligation = ack.id;
    args.channel_nack.note = text_of(note);
    return typed_call(c, PROTO_CHANNEL_NACK, &args, -1, NULL, err);
}

int
asup_client_channel_extend(struct asup_client *c, struct asup_obligation ack,
                           uint64_t ack_timeout_ns, struct asup_error_info *err)
{
    union proto_args args;

    if (ack.id == 0)
        return no_obligation(err);
    args_begin(PROTO_CHANNEL_EXTEND, &args);
    args.channel_extend.obligation = ack.id;
    args.channel_extend.ack_timeout_ns = ack_timeout_ns;
    return typed_call(c, PROTO_CHANNEL_EXTEND, &args, -1, NULL, err);
}

/* ---- Dead letters -------------------------------------------------------------------------- */

void
asup_message_info_fini(struct asup_message_info *info)
{
    if (info == NULL)
        return;
    free(info->channel_name);
    free(info->state);
    free(info->note);
    free(info->dead_why);
    free(info->data);
    memset(info, 0, sizeof *info);
}

static int
info_message(const msgpack_object *from, struct asup_message_info *out)
{
    size_t size = 0;
    int rc = -ASUP_EMALFORMED;

    *out = (struct asup_message_info){
        .message.id = info_id(from, "id", ASUP_SORT_MESSAGE),
        .channel.id = info_id(from, "channel", ASUP_SORT_CHANNEL),
        .region.id = info_id(from, "region", ASUP_SORT_REGION),
        .channel_name = info_text(from, "channel_name"),
        .state = info_text(from, "state"),
        .note = info_text(from, "note"),
        .dead_why = info_text(from, "dead_why"),
        .sender = info_ref(from, "sender"),
        .age_ns = proto_get_uint(from, "age_ns", 0),
        .deliveries = proto_get_uint(from, "deliveries", 0),
        .nacks = proto_get_uint(from, "nacks", 0),
        .deaths = proto_get_uint(from, "deaths", 0),
        .timeouts = proto_get_uint(from, "timeouts", 0),
        .dead_left_ns = proto_get_uint(from, "dead_left_ns", ASUP_NEVER),
    };
    if (out->message.id != 0)
        rc = info_data(from, &out->data, &size);
    out->size = proto_get_uint(from, "size", size);
    if (rc == 0 && (out->channel_name == NULL || out->state == NULL || out->note == NULL ||
                    out->dead_why == NULL))
        rc = -ASUP_ENOMEM;
    if (rc != 0)
        asup_message_info_fini(out);
    return rc;
}

void
asup_message_list_fini(struct asup_message_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        asup_message_info_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

int
asup_client_channel_dead(struct asup_client *c, struct asup_channel channel,
                         struct asup_message after, struct asup_message_list *out,
                         struct asup_error_info *err)
{
    struct asup_message_list list = {0};
    const msgpack_object *messages;
    union proto_args args;
    struct typed answer;
    uint32_t count;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the list");
    args_begin(PROTO_CHANNEL_DEAD, &args);
    if (channel.id != 0)
        args.channel_dead.channel = channel_target(channel);
    args.channel_dead.after = after.id;
    rc = typed_call(c, PROTO_CHANNEL_DEAD, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    messages = proto_get(&answer.body, "messages");
    count = proto_list_size(messages);
    if (count > 0 && (list.items = calloc(count, sizeof *list.items)) == NULL)
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    for (; rc == 0 && list.count < count; list.count += rc == 0)
        rc = info_message(proto_list_at(messages, (uint32_t)list.count), &list.items[list.count]);
    list.more = proto_get_bool(&answer.body, "more", false);
    if (rc != 0) {
        asup_message_list_fini(&list);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    *out = list;
    return 0;
}

int
asup_client_channel_message(struct asup_client *c, struct asup_message message,
                            struct asup_message_info *out, struct asup_error_info *err)
{
    struct asup_message_info info;
    union proto_args args;
    struct typed answer;
    int rc;

    if (message.id == 0 || out == NULL)
        return error_invalid(err, "message", "a message and a place for the answer are needed");
    args_begin(PROTO_CHANNEL_MESSAGE, &args);
    args.message.message = message.id;
    rc = typed_call(c, PROTO_CHANNEL_MESSAGE, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    rc = info_message(&answer.body, &info);
    if (rc != 0)
        return typed_unreadable(&answer, rc, err);
    typed_end(&answer);
    *out = info;
    return 0;
}

int
asup_client_channel_retry(struct asup_client *c, struct asup_message message,
                          struct asup_channel channel, struct asup_error_info *err)
{
    union proto_args args;

    if (message.id == 0)
        return error_invalid(err, "message", "a message is needed");
    args_begin(PROTO_CHANNEL_RETRY, &args);
    args.channel_retry.message = message.id;
    if (channel.id != 0)
        args.channel_retry.channel = channel_target(channel);
    return typed_call(c, PROTO_CHANNEL_RETRY, &args, -1, NULL, err);
}

int
asup_client_channel_discard(struct asup_client *c, struct asup_message message,
                            struct asup_error_info *err)
{
    union proto_args args;

    if (message.id == 0)
        return error_invalid(err, "message", "a message is needed");
    args_begin(PROTO_CHANNEL_DISCARD, &args);
    args.message.message = message.id;
    return typed_call(c, PROTO_CHANNEL_DISCARD, &args, -1, NULL, err);
}
