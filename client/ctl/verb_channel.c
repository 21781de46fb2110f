/* SPDX-License-Identifier: MIT */
/*
 * Verbs about channels and what became of messages: channels, channel, dead,
 * ack, nack.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

#include "ctl.h"
#include "render.h"
#include "request.h"
#include "target.h"

/* Several words in the first operand: "open", "seal", ... */
struct word_verb {
    const char *word;
    int (*run)(struct ctl *ctl, char *const *operands, size_t count);
};

static int
run_word(struct ctl *ctl, const struct word_verb *words, size_t count, const char *which)
{
    const char *word = ctl->args.operands[0];
    struct text message = {0};

    for (size_t i = 0; i < count; i++) {
        if (strcmp(word, words[i].word) == 0)
            return words[i].run(ctl, ctl->args.operands + 1, (size_t)ctl->args.operand_count - 1);
    }
    text_addf(&message, "%s knows no '", ctl->args.verb->name);
    text_safe(&message, &ctl->err, word, strlen(word));
    text_add(&message, "'");
    int exit_code = ctl_usage(ctl, message.data, which);
    text_free(&message);
    return exit_code;
}

static int
connect_to_look(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    return ctl_connect(ctl, &how);
}

static int
need_operands(struct ctl *ctl, size_t count, const char *what)
{
    return count > 0 ? 0 : ctl_usage(ctl, "an argument is missing", what);
}

/* ---- channels --------------------------------------------------------------------- */

int
verb_channels(struct ctl *ctl)
{
    json_t *args = json_object();
    json_t *body = NULL;
    int rc = targets_check(ctl, false, true, false);

    request_look(ctl, args);
    json_object_set_new(args, "recursive", json_true());
    if (rc == 0)
        rc = connect_to_look(ctl);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "channel.list", args, &body);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    struct text out = {0};
    render_channels(&out, &ctl->out, json_object_get(body, "channels"));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

/* ---- channel ------------------------------------------------------------------------ */

static int
channel_options(struct ctl *ctl, json_t *args)
{
    int rc = request_number(ctl, args, OPTION_CAPACITY, "capacity", 1, UINT32_MAX);

    if (rc == 0)
        rc = request_duration(ctl, args, OPTION_ACK_TIMEOUT, "ack_timeout_ns");
    if (rc == 0)
        rc = request_duration(ctl, args, OPTION_PERMIT_TIMEOUT, "permit_timeout_ns");
    if (rc == 0)
        rc = request_number(ctl, args, OPTION_NACKS_MAX, "nacks_max", 0, UINT32_MAX);
    if (rc == 0)
        rc = request_number(ctl, args, OPTION_TIMEOUTS_MAX, "timeouts_max", 0, UINT32_MAX);
    if (rc == 0)
        rc = request_duration(ctl, args, OPTION_KEEP_DEAD, "dead_retention_ns");
    return rc;
}

/* "/web/orders": orders in /web; "orders": in $ASUPERSYNC_REGION. */
static int
channel_place(struct ctl *ctl, json_t *args, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *region = getenv("ASUPERSYNC_REGION");
    struct text above = {0};

    if (slash == NULL && (region == NULL || region[0] == '\0'))
        return ctl_usage(ctl, "a new channel needs a region",
                         "give its path: asupersyncctl channel open /web/orders");
    if (slash == NULL) {
        text_add(&above, region);
    } else {
        text_put(&above, path, (size_t)(slash - path));
        if (above.size == 0)
            text_add(&above, "/");
    }
    json_object_set_new(args, "region", json_string_nocheck(above.data));
    json_object_set_new(args, "name", json_string_nocheck(slash != NULL ? slash + 1 : path));
    text_free(&above);
    return 0;
}

static int
channel_open(struct ctl *ctl, char *const *operands, size_t count)
{
    json_t *common = json_object();
    int worst = 0;
    int rc = need_operands(ctl, count, "asupersyncctl channel open /web/orders");

    if (rc == 0)
        rc = channel_options(ctl, common);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        json_t *args = json_copy(common);
        json_t *body = NULL;
        rc = channel_place(ctl, args, operands[i]);
        if (rc != 0) {
            json_decref(args);
            break;
        }
        int failed = ctl_ask(ctl, "channel.open", args, &body);
        if (failed != 0) {
            worst = failed;
        } else if (ctl->json) {
            ctl_print_json(ctl, body);
        } else {
            struct text out = {0};
            text_addf(&out, "%s\n", get_text(body, "channel"));
            json_decref(body);
            ctl_print(&out);
        }
    }
    json_decref(common);
    return rc != 0 ? rc : worst;
}

/* The same request about each operand, its answer shown or not. */
static int
each(struct ctl *ctl, const char *op, const char *key, char *const *operands, size_t count,
     const json_t *common, void (*show)(struct text *, const struct look *, const json_t *))
{
    int worst = 0;

    for (size_t i = 0; i < count; i++) {
        json_t *args = common != NULL ? json_deep_copy(common) : json_object();
        json_t *body = NULL;
        json_object_set_new(args, key, json_string_nocheck(operands[i]));
        int failed = ctl_ask(ctl, op, args, &body);
        if (failed != 0) {
            worst = failed;
        } else if (ctl->json) {
            ctl_print_json(ctl, body);
        } else {
            struct text out = {0};
            if (show != NULL)
                show(&out, &ctl->out, body);
            json_decref(body);
            ctl_print(&out);
        }
    }
    return worst;
}

static int
channel_seal(struct ctl *ctl, char *const *operands, size_t count)
{
    int rc = need_operands(ctl, count, "asupersyncctl channel seal /web/orders");

    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    return rc != 0 ? rc : each(ctl, "channel.seal", "channel", operands, count, NULL, NULL);
}

static int
channel_stat(struct ctl *ctl, char *const *operands, size_t count)
{
    int rc = need_operands(ctl, count, "asupersyncctl channel stat /web/orders");

    if (rc == 0)
        rc = connect_to_look(ctl);
    return rc != 0 ? rc
                   : each(ctl, "channel.stat", "channel", operands, count, NULL, render_channel);
}

int
verb_channel(struct ctl *ctl)
{
    static const struct word_verb words[] = {
        {"open", channel_open}, {"seal", channel_seal}, {"stat", channel_stat}};

    return run_word(ctl, words, sizeof words / sizeof words[0],
                    "open, seal or stat, then channels: asupersyncctl channel stat /web/orders");
}

/* ---- ack, nack, extend ---------------------------------------------------------------- */

int
verb_ack(struct ctl *ctl)
{
    bool extend = args_have(&ctl->args, OPTION_EXTEND);
    json_t *common = json_object();
    int rc = extend ? request_duration(ctl, common, OPTION_EXTEND, "ack_timeout_ns") : 0;

    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = each(ctl, extend ? "channel.extend" : "channel.ack", "obligation", ctl->args.operands,
                  (size_t)ctl->args.operand_count, common, NULL);
    json_decref(common);
    return rc;
}

int
verb_nack(struct ctl *ctl)
{
    const char *note = args_value(&ctl->args, OPTION_NOTE);
    json_t *common = json_object();

    if (note != NULL)
        json_object_set_new(common, "note", json_string_nocheck(note));
    int rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = each(ctl, "channel.nack", "obligation", ctl->args.operands,
                  (size_t)ctl->args.operand_count, common, NULL);
    json_decref(common);
    return rc;
}

/* ---- dead -------------------------------------------------------------------------------- */

/* All dead letters that --in and --channel select, as an array. */
static int
dead_all(struct ctl *ctl, json_t *messages)
{
    const char *channel = args_value(&ctl->args, OPTION_DEAD_CHANNEL);
    const char *region = args_value(&ctl->args, OPTION_DEAD_IN);
    bool again = true;

    while (again) {
        size_t count = json_array_size(messages);
        json_t *args = json_object();
        json_t *body = NULL;

        if (channel != NULL)
            json_object_set_new(args, "channel", json_string_nocheck(channel));
        if (region != NULL)
            json_object_set_new(args, "region", json_string_nocheck(region));
        if (count > 0)
            json_object_set_new(args, "after",
                                json_string(get_text(json_array_get(messages, count - 1), "id")));
        int rc = ctl_ask(ctl, "channel.dead", args, &body);
        if (rc != 0)
            return rc;
        json_array_extend(messages, json_object_get(body, "messages"));
        again = get_true(body, "more") && json_array_size(messages) > count;
        json_decref(body);
    }
    return 0;
}

static int
dead_list(struct ctl *ctl, char *const *operands, size_t count)
{
    json_t *messages = json_array();
    int rc = count == 0 ? 0 : ctl_usage(ctl, "dead list takes no operand", operands[0]);

    if (rc == 0)
        rc = connect_to_look(ctl);
    if (rc == 0)
        rc = dead_all(ctl, messages);
    if (rc == 0 && ctl->json) {
        ctl_print_json(ctl, json_pack("{s:O}", "messages", messages));
    } else if (rc == 0) {
        struct text out = {0};
        render_messages(&out, &ctl->out, messages);
        ctl_print(&out);
    }
    json_decref(messages);
    return rc;
}

static int
dead_show_one(struct ctl *ctl, const char *id)
{
    json_t *body = NULL;
    int rc = ctl_ask(ctl, "channel.message", json_pack("{s:o}", "message", json_string(id)), &body);

    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    struct text out = {0};
    size_t size = 0;
    unsigned char *data = base64_decode(get_text(body, "data"), &size);
    if (args_have(&ctl->args, OPTION_RAW))
        text_put(&out, data != NULL ? (const char *)data : "", size);
    else
        render_message(&out, &ctl->out, body, (const char *)data, size);
    free(data);
    json_decref(body);
    ctl_print(&out);
    return 0;
}

static int
dead_show(struct ctl *ctl, char *const *operands, size_t count)
{
    int rc = need_operands(ctl, count, "asupersyncctl dead show m21");
    int worst = 0;

    if (rc == 0)
        rc = connect_to_look(ctl);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        int failed = dead_show_one(ctl, operands[i]);
        worst = failed != 0 ? failed : worst;
    }
    return rc != 0 ? rc : worst;
}

/* Retry or discard what is named, or with --all what --in and --channel select. */
static int
dead_settle(struct ctl *ctl, const char *op, const json_t *common, char *const *operands,
            size_t count)
{
    bool all = args_have(&ctl->args, OPTION_DEAD_ALL);
    json_t *messages = json_array();
    int worst = 0;
    int rc = 0;

    if (all == (count > 0))
        rc = ctl_usage(ctl, "messages, or --all", "asupersyncctl dead list names them");
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc == 0 && all)
        rc = dead_all(ctl, messages);
    for (size_t i = 0; rc == 0 && i < count; i++)
        json_array_append_new(messages, json_pack("{s:o}", "id", json_string_nocheck(operands[i])));
    for (size_t i = 0; rc == 0 && i < json_array_size(messages); i++) {
        json_t *args = json_deep_copy(common);
        json_t *body = NULL;
        json_object_set_new(args, "message",
                            json_string(get_text(json_array_get(messages, i), "id")));
        int failed = ctl_ask(ctl, op, args, &body);
        if (failed != 0)
            worst = failed;
        else if (ctl->json)
            ctl_print_json(ctl, body);
        else
            json_decref(body);
    }
    json_decref(messages);
    return rc != 0 ? rc : worst;
}

static int
dead_retry(struct ctl *ctl, char *const *operands, size_t count)
{
    const char *to = args_value(&ctl->args, OPTION_TO);
    json_t *common = json_object();

    if (to != NULL)
        json_object_set_new(common, "channel", json_string_nocheck(to));
    int rc = dead_settle(ctl, "channel.retry", common, operands, count);
    json_decref(common);
    return rc;
}

static int
dead_discard(struct ctl *ctl, char *const *operands, size_t count)
{
    json_t *common = json_object();
    int rc = dead_settle(ctl, "channel.discard", common, operands, count);

    json_decref(common);
    return rc;
}

int
verb_dead(struct ctl *ctl)
{
    static const struct word_verb words[] = {
        {"list", dead_list}, {"show", dead_show}, {"retry", dead_retry}, {"discard", dead_discard}};

    return run_word(ctl, words, sizeof words / sizeof words[0],
                    "list, show, retry or discard: asupersyncctl dead retry m21");
}
