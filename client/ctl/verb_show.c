/* SPDX-License-Identifier: MIT */
/*
 * show: everything about a thing, whatever it is. Most sorts have an operation
 * that tells about one of them. Obligations and capabilities have lists only,
 * which begin after an id: the first one after the id before it is the one. An
 * obligation that has been resolved and a session are told of by `why`.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"
#include "ctl.h"
#include "render.h"
#include "request.h"
#include "saga.h"
#include "target.h"
#include "wire_json.h"

typedef void render_function(struct text *out, const struct look *look, const json_t *body);

static void
render_one_obligation(struct text *out, const struct look *look, const json_t *body)
{
    json_t *list = json_pack("[O]", body);

    render_obligations(out, look, list);
    json_decref(list);
}

static void
render_one_message(struct text *out, const struct look *look, const json_t *body)
{
    size_t size = 0;
    unsigned char *data = base64_decode(get_text(body, "data"), &size);

    render_message(out, look, body, (const char *)data, size);
    free(data);
}

/* How each sort is asked for and shown. */
static const struct way {
    enum asup_sort sort;
    const char *op, *key;
    const char *list; /* the operation is a list: its key in the answer */
    render_function *render;
} ways[] = {
    {ASUP_SORT_REGION, "region.stat", "region", NULL, render_region},
    {ASUP_SORT_TASK, "task.stat", "task", NULL, render_task},
    {ASUP_SORT_CHANNEL, "channel.stat", "channel", NULL, render_channel},
    {ASUP_SORT_MESSAGE, "channel.message", "message", NULL, render_one_message},
    {ASUP_SORT_SAGA, "saga.stat", "saga", NULL, render_saga},
    {ASUP_SORT_SESSION, "why", "id", NULL, render_why},
    {ASUP_SORT_OBLIGATION, "obligation.list", NULL, "obligations", render_one_obligation},
    {ASUP_SORT_CAPABILITY, "cx.list", NULL, "capabilities", render_capability},
};
static const struct way resolved = {ASUP_SORT_OBLIGATION, "why", "id", NULL, render_why};

/* NULL: it is no id. */
static const struct way *
way_of(const char *operand, struct asup_ref *ref)
{
    *ref = (struct asup_ref){.sort = ASUP_SORT_REGION};
    if (operand[0] != '/' && asup_ref_parse(operand, strlen(operand), ref) != 0)
        return NULL;
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        if (ways[i].sort == ref->sort)
            return &ways[i];
    }
    return NULL;
}

/* The one of that id in a list; 0 with *body NULL: it is not there. */
static int
ask_list(struct ctl *ctl, const struct way *way, struct asup_ref ref, const char *id, json_t **body)
{
    json_t *args = json_object();
    json_t *page = NULL;
    char before[ASUP_REF_TEXT_SIZE];

    if (way->sort == ASUP_SORT_OBLIGATION)
        json_object_set_new(args, "recursive", json_true());
    json_object_set_new(args, "limit", json_integer(1));
    if (ref.id > 1) {
        asup_ref_format((struct asup_ref){ref.id - 1, ref.sort}, before, sizeof before);
        json_object_set_new(args, "after", json_string(before));
    }
    int rc = ctl_ask(ctl, way->op, args, &page);
    if (rc != 0)
        return rc;
    json_t *first = json_array_get(json_object_get(page, way->list), 0);
    if (first != NULL && strcmp(get_text(first, "id"), id) == 0)
        *body = json_incref(first);
    json_decref(page);
    return 0;
}

/* A path is that of a region, or that of a channel in one. */
static int
ask_path(struct ctl *ctl, const char *path, const struct way **way, json_t **body)
{
    static const struct way channel = {ASUP_SORT_CHANNEL, "channel.stat", "channel", NULL,
                                       render_channel};
    struct asup_error_info error;
    struct asup_error_info other;

    if (ctl_call(ctl, (*way)->op, json_pack("{s:s}", (*way)->key, path), -1, body, &error) == 0)
        return 0;
    if (error.code == -ASUP_ENOTFOUND &&
        ctl_call(ctl, channel.op, json_pack("{s:s}", channel.key, path), -1, body, &other) == 0) {
        *way = &channel;
        return 0;
    }
    return ctl_fail(ctl, &error);
}

static int
show_one(struct ctl *ctl, const char *operand, bool first)
{
    struct asup_ref ref;
    const struct way *way = way_of(operand, &ref);
    struct text out = {0};
    json_t *body = NULL;
    int rc = 0;

    if (way->list != NULL) {
        rc = ask_list(ctl, way, ref, operand, &body);
        if (rc != 0)
            return rc;
        if (body == NULL && ref.sort == ASUP_SORT_CAPABILITY)
            return ctl_failf(ctl, -ASUP_ENOTFOUND, "asupersyncctl cx list shows what there is",
                             "there is no capability %s of yours", operand);
        if (body == NULL)
            way = &resolved;
    }
    if (body == NULL && operand[0] == '/') {
        rc = ask_path(ctl, operand, &way, &body);
    } else if (body == NULL) {
        rc = ctl_ask(ctl, way->op, json_pack("{s:s}", way->key, operand), &body);
    }
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    if (!first)
        text_add(&out, "\n");
    way->render(&out, &ctl->out, body);
    json_decref(body);
    ctl_print(&out);
    return 0;
}

int
verb_show(struct ctl *ctl)
{
    struct asup_client_options how;
    struct asup_ref ref;
    int worst = 0;
    int rc;

    for (int i = 0; i < ctl->args.operand_count; i++) {
        if (way_of(ctl->args.operands[i], &ref) == NULL) {
            struct text message = {0};
            text_addf(&message, "'%s' is no id", ctl->args.operands[i]);
            rc = ctl_usage(ctl, message.data,
                           "a region is r3 or /web, a task t7, a channel c4, a message m21, a saga "
                           "g2, an obligation o9, a capability x5, a session s1");
            text_free(&message);
            return rc;
        }
    }
    ctl_client_options(ctl, &how);
    how.without_session = true;
    if ((rc = ctl_connect(ctl, &how)) != 0)
        return rc;
    ctl->stream = ctl->args.operand_count > 1;
    for (int i = 0; i < ctl->args.operand_count; i++) {
        rc = show_one(ctl, ctl->args.operands[i], i == 0);
        if (rc != 0)
            worst = rc;
    }
    return worst;
}
