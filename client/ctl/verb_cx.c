/* SPDX-License-Identifier: MIT */
/* cx: derive, revoke, list. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/capability.h"
#include "asupersync/values.h"

#include "ctl.h"
#include "render.h"
#include "request.h"

/* ---- derive -------------------------------------------------------------------------- */

/* --region, by id or path. */
static int
take_region(struct ctl *ctl, struct asup_region *out)
{
    const char *given = args_value(&ctl->args, OPTION_CX_REGION);
    const char *where = given != NULL ? given : request_region(ctl);
    struct asup_error_info error = {0};
    struct asup_ref ref;

    if (asup_ref_parse(where, strlen(where), &ref) == 0 && ref.sort == ASUP_SORT_REGION) {
        out->id = ref.id;
        return 0;
    }
    return asup_client_region_find(ctl->client, where, out, &error) == 0 ? 0
                                                                         : ctl_fail(ctl, &error);
}

static int
take_options(struct ctl *ctl, struct asup_cx_options *options)
{
    json_t *fields = json_object();
    const char *rights = args_value(&ctl->args, OPTION_RIGHTS);
    int rc = 0;

    asup_cx_options_init(options);
    if (rights != NULL && asup_rights_parse(rights, &options->rights) != 0)
        rc = ctl_bad_value(ctl, OPTION_RIGHTS, rights,
                           "all, or some of spawn,cancel,close,observe,time,random,trace,channel,"
                           "lease,io,saga,serve,delegate,admin");
    if (rc == 0)
        rc = request_duration(ctl, fields, OPTION_CX_TIMEOUT, "timeout_ns");
    if (rc == 0)
        rc = request_number(ctl, fields, OPTION_CX_PRIORITY, "priority", 1, 255);
    if (rc == 0)
        rc = request_number(ctl, fields, OPTION_CX_COST, "cost", 1, INT64_MAX);
    if (rc == 0)
        rc = request_number(ctl, fields, OPTION_CX_POLLS, "polls", 1, UINT32_MAX - 1);
    options->timeout_ns = get_number(fields, "timeout_ns", ASUP_NEVER);
    options->priority = (uint8_t)get_number(fields, "priority", 0);
    options->cost = get_number(fields, "cost", UINT64_MAX);
    options->polls = (uint32_t)get_number(fields, "polls", UINT32_MAX);
    json_decref(fields);
    return rc;
}

static int
cx_derive(struct ctl *ctl)
{
    struct asup_error_info error = {0};
    struct asup_cx_options options;
    struct asup_capability made;
    uint8_t token[ASUP_CX_SIZE];
    char hex[ASUP_CX_TEXT_SIZE];
    struct text out = {0};
    char id[32];
    int rc;

    if (ctl->args.operand_count != 1)
        return ctl_usage(ctl, "cx derive takes no operand", "cx derive --in /web --rights observe");
    rc = take_options(ctl, &options);
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc == 0)
        rc = take_region(ctl, &options.region);
    if (rc != 0)
        return rc;
    (void)ctl_next_key(ctl);
    if (asup_client_cx_derive(ctl->client, &options, &made, token, &error) != 0)
        return ctl_fail(ctl, &error);
    asup_cx_format(token, hex);
    snprintf(id, sizeof id, "x%llu", (unsigned long long)made.id);
    if (ctl->json) {
        ctl_print_json(ctl, json_pack("{s:s, s:s}", "cx", id, "token", hex));
        return 0;
    }
    if (args_have(&ctl->args, OPTION_ID))
        text_addf(&out, "%s ", id);
    text_addf(&out, "%s\n", hex);
    ctl_print(&out);
    return 0;
}

/* ---- revoke -------------------------------------------------------------------------- */

static int
cx_revoke(struct ctl *ctl)
{
    struct asup_ref ref;
    int rc = 0;

    if (ctl->args.operand_count < 2)
        return ctl_usage(ctl, "cx revoke: which?", "cx revoke x5");
    for (int i = 1; i < ctl->args.operand_count; i++) {
        const char *operand = ctl->args.operands[i];

        if (asup_ref_parse(operand, strlen(operand), &ref) != 0 || ref.sort != ASUP_SORT_CAPABILITY)
            return ctl_usage(ctl, "cx revoke takes the ids of capabilities",
                             "they are named x5; asupersyncctl cx list shows them");
    }
    rc = ctl_connect(ctl, NULL);
    for (int i = 1; rc == 0 && i < ctl->args.operand_count; i++)
        rc = ctl_ask(ctl, "cx.revoke", json_pack("{s:s}", "cx", ctl->args.operands[i]), NULL);
    if (rc == 0 && ctl->json)
        ctl_print_json(ctl, json_object());
    return rc;
}

/* ---- list ---------------------------------------------------------------------------- */

/* "spawn,observe"; "all" for all that a task may have. */
static void
add_rights(struct text *out, const json_t *rights)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < json_array_size(rights); i++) {
        const char *name = json_string_value(json_array_get(rights, i));
        uint32_t bit = 0;

        if (name != NULL && asup_rights_parse(name, &bit) == 0)
            bits |= bit;
    }
    if (bits == ASUP_RIGHTS_TASK) {
        text_add(out, "all");
        return;
    }
    for (size_t i = 0; i < json_array_size(rights); i++)
        text_addf(out, "%s%s", i > 0 ? "," : "", json_string_value(json_array_get(rights, i)));
}

static void
add_ceilings(struct text *out, const json_t *x)
{
    uint64_t number;

    if ((number = get_number(x, "left_ns", ASUP_NEVER)) != ASUP_NEVER) {
        text_add(out, " left ");
        text_span(out, number);
    }
    if ((number = get_number(x, "priority", 0)) != 0)
        text_addf(out, " priority<=%llu", (unsigned long long)number);
    if ((number = get_number(x, "cost", UINT64_MAX)) != UINT64_MAX)
        text_addf(out, " cost<=%llu", (unsigned long long)number);
    if ((number = get_number(x, "polls", UINT64_MAX)) != UINT64_MAX)
        text_addf(out, " polls<=%llu", (unsigned long long)number);
}

static void
capability_row(struct text *cells, const struct look *look, const json_t *x)
{
    struct text ceilings = {0};

    render_text(&cells[0], look, x, "id");
    render_text(&cells[1], look, x, "path");
    add_rights(&cells[2], json_object_get(x, "rights"));
    add_ceilings(&ceilings, x);
    text_add(&cells[3], ceilings.size > 0 ? ceilings.data + 1 : "-");
    text_free(&ceilings);
    text_add(&cells[4], get_text(x, "holder")[0] != '\0' ? get_text(x, "holder") : "-");
    text_add(&cells[5], get_text(x, "parent")[0] != '\0' ? get_text(x, "parent") : "-");
    text_add(&cells[6], json_is_true(json_object_get(x, "revoked")) ? "revoked" : "good");
}

static void
render_capabilities(struct text *out, const struct look *look, const json_t *list)
{
    static const char *const titles[] = {"CX", "REGION", "RIGHTS", "WITHIN", "BY", "FROM", "STATE"};

    render_table(out, look, &(struct table){titles, 7, capability_row}, list);
}

void
render_capability(struct text *out, const struct look *look, const json_t *x)
{
    json_t *list = json_pack("[O]", x);

    render_capabilities(out, look, list);
    json_decref(list);
}

static int
cx_list(struct ctl *ctl)
{
    json_t *all = json_array();
    struct text out = {0};
    char after[64] = "";
    bool more = true;
    int rc;

    if (ctl->args.operand_count > 2) {
        json_decref(all);
        return ctl_usage(ctl, "cx list takes one region", "cx list /web");
    }
    rc = ctl_connect(ctl, NULL);
    while (rc == 0 && more) {
        json_t *args = json_object();
        json_t *body = NULL;

        if (ctl->args.operand_count == 2)
            json_object_set_new(args, "region", json_string_nocheck(ctl->args.operands[1]));
        if (after[0] != '\0')
            json_object_set_new(args, "after", json_string(after));
        rc = ctl_ask(ctl, "cx.list", args, &body);
        if (rc != 0)
            break;
        json_t *page = json_object_get(body, "capabilities");
        size_t count = json_array_size(page);
        if (count > 0)
            snprintf(after, sizeof after, "%s", get_text(json_array_get(page, count - 1), "id"));
        json_array_extend(all, page);
        more = count > 0 && json_is_true(json_object_get(body, "more"));
        json_decref(body);
    }
    if (rc != 0) {
        json_decref(all);
        return rc;
    }
    if (ctl->json) {
        ctl_print_json(ctl, json_pack("{s:o}", "capabilities", all));
        return 0;
    }
    render_capabilities(&out, &ctl->out, all);
    json_decref(all);
    ctl_print(&out);
    return 0;
}

/* ---- The verb ---------------------------------------------------------------------------- */

int
verb_cx(struct ctl *ctl)
{
    static const struct {
        const char *word;
        int (*run)(struct ctl *);
    } words[] = {{"derive", cx_derive}, {"revoke", cx_revoke}, {"list", cx_list}};
    const char *word = ctl->args.operand_count > 0 ? ctl->args.operands[0] : "";

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i].word, word) == 0)
            return words[i].run(ctl);
    }
    return ctl_usage(ctl, "cx: derive, revoke or list?", "cx derive --in /web --rights observe");
}
