/* SPDX-License-Identifier: MIT */
/*
 * Verbs that only look: tree, ps, why, status; and reload, upgrade.
 */
#include <poll.h>
#include <string.h>

#include "ctl.h"
#include "render.h"
#include "request.h"
#include "target.h"

/* How long a new engine may take, which may have a long journal to read, and
 * how often to look for it. */
#define UPGRADE_PATIENCE_MS 60000
#define LOOK_AGAIN_MS 20

static int
connect_to_look(struct ctl *ctl)
{
    struct asup_client_options how;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    return ctl_connect(ctl, &how);
}

static json_t *
region_args(const struct ctl *ctl)
{
    json_t *args = json_object();

    request_look(ctl, args);
    return args;
}

int
verb_tree(struct ctl *ctl)
{
    json_t *args = region_args(ctl);
    json_t *tree = NULL;
    int rc = targets_check(ctl, false, true, false);

    if (rc == 0)
        rc = request_number(ctl, args, OPTION_DEPTH, "depth", 0, UINT32_MAX);
    if (args_have(&ctl->args, OPTION_ALL))
        json_object_set_new(args, "all", json_true());
    if (rc == 0)
        rc = connect_to_look(ctl);
    if (rc != 0) {
        json_decref(args);
        return rc;
    }
    rc = ctl_ask(ctl, "region.tree", args, &tree);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, tree);
        return 0;
    }
    struct text out = {0};
    render_tree(&out, &ctl->out, tree);
    json_decref(tree);
    ctl_print(&out);
    return 0;
}

int
verb_ps(struct ctl *ctl)
{
    json_t *tasks = json_array();
    const char *after = NULL;
    json_t *page = NULL;
    int rc = targets_check(ctl, false, true, false);

    if (rc == 0)
        rc = connect_to_look(ctl);
    while (rc == 0) {
        json_t *args = region_args(ctl);
        json_object_set_new(args, "recursive", json_true());
        if (args_have(&ctl->args, OPTION_ALL))
            json_object_set_new(args, "all", json_true());
        if (after != NULL)
            json_object_set_new(args, "after", json_string(after));
        rc = ctl_ask(ctl, "task.list", args, &page);
        if (rc != 0)
            break;
        json_t *more = json_object_get(page, "tasks");
        size_t count = json_array_size(more);
        json_array_extend(tasks, more);
        bool again = get_true(page, "more") && count > 0;
        json_decref(page);
        if (!again)
            break;
        after = get_text(json_array_get(tasks, json_array_size(tasks) - 1), "id");
    }
    if (rc == 0 && ctl->json) {
        ctl_print_json(ctl, json_pack("{s:O}", "tasks", tasks));
    } else if (rc == 0) {
        struct text out = {0};
        render_tasks(&out, &ctl->out, tasks);
        ctl_print(&out);
    }
    json_decref(tasks);
    return rc;
}

/* One answer for each operand: an object each with --json. */
int
verb_why(struct ctl *ctl)
{
    int rc = targets_check(ctl, true, true, true);
    int worst = 0;

    if (rc == 0)
        rc = connect_to_look(ctl);
    if (rc != 0)
        return rc;
    ctl->stream = ctl->args.operand_count > 1;
    for (int i = 0; i < ctl->args.operand_count; i++) {
        struct text out = {0};
        json_t *body = NULL;

        rc = ctl_ask(ctl, "why", json_pack("{s:s}", "id", ctl->args.operands[i]), &body);
        if (rc != 0) {
            worst = rc;
            continue;
        }
        if (ctl->json) {
            ctl_print_json(ctl, body);
            continue;
        }
        if (i > 0)
            text_add(&out, "\n");
        render_why(&out, &ctl->out, body);
        json_decref(body);
        ctl_print(&out);
    }
    return worst;
}

int
verb_status(struct ctl *ctl)
{
    json_t *status = NULL;
    int rc = connect_to_look(ctl);

    if (rc == 0)
        rc = ctl_ask(ctl, "daemon.status", NULL, &status);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, status);
        return 0;
    }
    struct text out = {0};
    render_status(&out, &ctl->out, status);
    json_decref(status);
    ctl_print(&out);
    return 0;
}

int
verb_reload(struct ctl *ctl)
{
    json_t *body = NULL;
    int rc = connect_to_look(ctl);

    if (rc == 0)
        rc = ctl_ask(ctl, "daemon.reload", NULL, &body);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    json_decref(body);
    return 0;
}

/* The order is answered by the engine that goes; the next one that answers may
 * still be that one. */
int
verb_upgrade(struct ctl *ctl)
{
    struct asup_client_options how;
    json_t *status = NULL;
    uint64_t before;

    ctl_client_options(ctl, &how);
    how.without_session = true;
    how.patience_ms = UPGRADE_PATIENCE_MS;
    int rc = ctl_connect(ctl, &how);
    if (rc == 0)
        rc = ctl_ask(ctl, "daemon.status", NULL, &status);
    if (rc != 0)
        return rc;
    before = get_number(status, "engine_runs", 0);
    json_decref(status);
    rc = ctl_ask(ctl, "daemon.upgrade", NULL, NULL);
    for (;;) {
        if (rc == 0)
            rc = ctl_ask(ctl, "daemon.status", NULL, &status);
        if (rc != 0)
            return rc;
        if (get_number(status, "engine_runs", 0) != before)
            break;
        json_decref(status);
        (void)poll(NULL, 0, LOOK_AGAIN_MS);
    }
    ctl_remark(ctl, "engine %llu, version %s, is process %llu",
               (unsigned long long)get_number(status, "engine_runs", 0),
               get_text(status, "version"),
               (unsigned long long)get_number(status, "engine_pid", 0));
    if (ctl->json)
        ctl_print_json(ctl, status);
    else
        json_decref(status);
    return 0;
}
