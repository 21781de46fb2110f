/* SPDX-License-Identifier: MIT */
/* The typed calls about the daemon, its events, and what waits for what. */
#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

/* ---- Events ------------------------------------------------------------------------ */

/* Ask once. A time that ran out is 0 with no event. */
static int
events_ask(struct asup_client *c, uint64_t since, struct asup_region region, uint32_t limit,
           int64_t timeout_ms, struct asup_event_list *list, struct asup_error_info *err)
{
    const msgpack_object *events;
    union proto_args args;
    struct typed answer;
    uint32_t count;
    int rc;

    memset(list, 0, sizeof *list);
    args_begin(PROTO_EVENTS_WATCH, &args);
    args.events_watch.since = since == ASUP_SINCE_NOW ? PROTO_UNSET : since;
    if (region.id != 0)
        args.events_watch.region = target_of(region);
    if (limit != 0)
        args.events_watch.limit = limit;
    rc = typed_call(c, PROTO_EVENTS_WATCH, &args, timeout_ms, &answer, err);
    if (rc == -ASUP_ETIMEDOUT && timeout_ms >= 0) {
        error_clear(err);
        list->next = since;
        return 0;
    }
    if (rc != 0)
        return rc;
    events = proto_get(&answer.body, "events");
    count = proto_list_size(events);
    if (count > 0 && (list->items = calloc(count, sizeof *list->items)) == NULL)
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    for (; rc == 0 && list->count < count; list->count += rc == 0)
        rc = info_event(proto_list_at(events, (uint32_t)list->count), answer.memory,
                        &list->items[list->count]);
    list->next = proto_get_uint(&answer.body, "next", 0);
    list->oldest = proto_get_uint(&answer.body, "oldest", 0);
    if (rc == 0 && list->next == 0)
        rc = -ASUP_EMALFORMED;
    if (rc != 0) {
        asup_event_list_fini(list);
        return typed_unreadable(&answer, rc, err);
    }
    typed_end(&answer);
    return 0;
}

int
asup_client_events_read(struct asup_client *c, uint64_t since, struct asup_region region,
                        uint32_t limit, int64_t timeout_ms, struct asup_event_list *out,
                        struct asup_error_info *err)
{
    uint64_t until = clock_after(clock_now(), timeout_ms);
    struct asup_event_list list;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the events");
    /* "From now on" must not be asked twice: what happened in between would be
     * lost. So the first question only asks where now is. */
    if (since == ASUP_SINCE_NOW) {
        rc = events_ask(c, since, region, limit, 0, &list, err);
        if (rc != 0)
            return rc;
        since = list.next;
        if (list.count > 0) {
            *out = list;
            return 0;
        }
        asup_event_list_fini(&list);
    }
    for (;;) {
        uint64_t now = clock_now();
        int64_t left = until == ASUP_NEVER ? -1 : clock_left(now, until);

        rc = events_ask(c, since, region, limit, left, &list, err);
        if (rc != 0)
            return rc;
        if (list.count > 0 || clock_now() >= until) {
            *out = list;
            return 0;
        }
        since = list.next; /* only events that are not for us */
        asup_event_list_fini(&list);
    }
}

int
asup_client_events_watch(struct asup_client *c, uint64_t since, struct asup_region region,
                         int64_t timeout_ms, asup_event_fn fn, void *arg,
                         struct asup_error_info *err)
{
    uint64_t until = clock_after(clock_now(), timeout_ms);

    if (fn == NULL)
        return error_invalid(err, "fn", "there is nobody to call");
    for (;;) {
        struct asup_event_list list;
        int64_t left = until == ASUP_NEVER ? -1 : clock_left(clock_now(), until);
        int rc = asup_client_events_read(c, since, region, 0, left, &list, err);
        bool none;

        if (rc != 0)
            return rc;
        none = list.count == 0;
        for (size_t i = 0; rc == 0 && i < list.count; i++)
            rc = fn(arg, &list.items[i]);
        since = list.next;
        asup_event_list_fini(&list);
        if (rc != 0 || none)
            return rc;
    }
}

/* ---- Why ------------------------------------------------------------------------------ */

void
asup_why_fini(struct asup_why *why)
{
    if (why == NULL)
        return;
    for (size_t i = 0; i < why->chain_count; i++) {
        struct asup_why_link *link = &why->chain[i];

        free(link->id);
        free(link->kind);
        free(link->state);
        free(link->name);
        free(link->note);
    }
    for (size_t i = 0; i < why->trouble_count; i++) {
        free(why->trouble[i].name);
        free(why->trouble[i].id);
        free(why->trouble[i].message);
    }
    free(why->chain);
    free(why->trouble);
    free(why->id);
    free(why->state);
    free(why->summary);
    memset(why, 0, sizeof *why);
}

static bool
why_link(const msgpack_object *from, struct asup_why_link *link)
{
    link->id = info_text(from, "id");
    link->kind = info_text(from, "kind");
    link->state = info_text(from, "state");
    link->name = info_text(from, "name");
    link->note = info_text(from, "note");
    link->pid = proto_get_int(from, "pid", 0);
    link->age_ns = proto_get_uint(from, "age_ns", 0);
    link->budget_left_ns = proto_get_uint(from, "budget_left_ns", ASUP_NEVER);
    return link->id != NULL && link->kind != NULL && link->state != NULL && link->name != NULL &&
           link->note != NULL;
}

static bool
why_trouble(const msgpack_object *from, struct asup_trouble *trouble)
{
    trouble->name = info_text(from, "name");
    trouble->id = info_text(from, "id");
    trouble->message = info_text(from, "message");
    return trouble->name != NULL && trouble->id != NULL && trouble->message != NULL;
}

/* False: no memory; what is there can be released. */
static bool
why_read(const msgpack_object *from, struct asup_why *why)
{
    const msgpack_object *chain = proto_get(from, "chain");
    const msgpack_object *trouble = proto_get(from, "trouble");
    uint32_t links = proto_list_size(chain), troubles = proto_list_size(trouble);
    bool whole = true;

    why->id = info_text(from, "id");
    why->state = info_text(from, "state");
    why->summary = info_text(from, "summary");
    why->chain = calloc(links + 1, sizeof *why->chain);
    why->trouble = calloc(troubles + 1, sizeof *why->trouble);
    if (why->id == NULL || why->state == NULL || why->summary == NULL || why->chain == NULL ||
        why->trouble == NULL)
        return false;
    for (; whole && why->chain_count < links; why->chain_count++)
        whole = why_link(proto_list_at(chain, (uint32_t)why->chain_count),
                         &why->chain[why->chain_count]);
    for (; whole && why->trouble_count < troubles; why->trouble_count++)
        whole = why_trouble(proto_list_at(trouble, (uint32_t)why->trouble_count),
                            &why->trouble[why->trouble_count]);
    return whole;
}

int
asup_client_why(struct asup_client *c, struct asup_ref id, struct asup_why *out,
                struct asup_error_info *err)
{
    struct asup_why why = {0};
    union proto_args args;
    struct typed answer;
    int rc;

    if (id.id == 0 || out == NULL)
        return error_invalid(err, "id", "an id and a place for the answer are needed");
    args_begin(PROTO_WHY, &args);
    args.why.id.ref = id;
    rc = typed_call(c, PROTO_WHY, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    if (!why_read(&answer.body, &why)) {
        asup_why_fini(&why);
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    }
    typed_end(&answer);
    *out = why;
    return 0;
}

/* ---- The daemon ------------------------------------------------------------------------- */

void
asup_daemon_info_fini(struct asup_daemon_info *info)
{
    if (info == NULL)
        return;
    for (size_t i = 0; i < info->limit_count; i++)
        free(info->limits[i].name);
    free(info->limits);
    free(info->version);
    free(info->containment);
    free(info->mode);
    free(info->state);
    free(info->runtime_dir);
    free(info->state_dir);
    memset(info, 0, sizeof *info);
}

static bool
status_limits(const msgpack_object *limits, struct asup_daemon_info *info)
{
    uint32_t count =
        limits != NULL && limits->type == MSGPACK_OBJECT_MAP ? limits->via.map.size : 0;

    info->limits = calloc((size_t)count + 1, sizeof *info->limits);
    if (info->limits == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        const msgpack_object_kv *pair = &limits->via.map.ptr[i];
        struct asup_limit_info *limit = &info->limits[info->limit_count];

        if (pair->key.type != MSGPACK_OBJECT_STR || pair->val.type != MSGPACK_OBJECT_MAP)
            continue;
        limit->name = strndup(pair->key.via.str.ptr, pair->key.via.str.size);
        if (limit->name == NULL)
            return false;
        limit->used = proto_get_uint(&pair->val, "used", ASUP_NEVER);
        limit->max = proto_get_uint(&pair->val, "max", ASUP_NEVER);
        info->limit_count++;
    }
    return true;
}

static bool
status_read(const msgpack_object *from, struct asup_daemon_info *info)
{
    info->version = info_text(from, "version");
    info->protocol = (uint32_t)proto_get_uint(from, "protocol", 0);
    info->containment = info_text(from, "containment");
    info->mode = info_text(from, "mode");
    info->state = info_text(from, "state");
    info->runtime_dir = info_text(from, "runtime_dir");
    info->state_dir = info_text(from, "state_dir");
    info->pid = proto_get_int(from, "pid", 0);
    info->engine_pid = proto_get_int(from, "engine_pid", 0);
    info->engine_runs = proto_get_uint(from, "engine_runs", 0);
    info->uptime_ns = proto_get_uint(from, "uptime_ns", 0);
    info->regions = proto_get_uint(from, "regions", 0);
    info->tasks = proto_get_uint(from, "tasks", 0);
    info->running = proto_get_uint(from, "running", 0);
    info->sessions = proto_get_uint(from, "sessions", 0);
    info->waits = proto_get_uint(from, "waits", 0);
    info->connections = proto_get_uint(from, "connections", 0);
    info->draining = proto_get_uint(from, "draining", 0);
    info->now = proto_get_uint(from, "now_ns", 0);
    info->now_wall_ns = proto_get_uint(from, "now_wall_ns", 0);
    info->memory_limits = proto_get_bool(from, "memory_limits", false);
    info->pids_limits = proto_get_bool(from, "pids_limits", false);
    return status_limits(proto_get(from, "limits"), info) && info->version != NULL &&
           info->containment != NULL && info->mode != NULL && info->state != NULL &&
           info->runtime_dir != NULL && info->state_dir != NULL;
}

int
asup_client_daemon_status(struct asup_client *c, struct asup_daemon_info *out,
                          struct asup_error_info *err)
{
    struct asup_daemon_info info = {0};
    union proto_args args;
    struct typed answer;
    int rc;

    if (out == NULL)
        return error_invalid(err, "out", "there is no place for the answer");
    args_begin(PROTO_DAEMON_STATUS, &args);
    rc = typed_call(c, PROTO_DAEMON_STATUS, &args, -1, &answer, err);
    if (rc != 0)
        return rc;
    if (!status_read(&answer.body, &info)) {
        asup_daemon_info_fini(&info);
        return typed_unreadable(&answer, -ASUP_ENOMEM, err);
    }
    typed_end(&answer);
    *out = info;
    return 0;
}

/* An operation without arguments and without an answer worth reading. */
static int
daemon_order(struct asup_client *c, enum proto_op_id op, struct asup_error_info *err)
{
    union proto_args args;

    args_begin(op, &args);
    return typed_call(c, op, &args, -1, NULL, err);
}

int
asup_client_daemon_reload(struct asup_client *c, struct asup_error_info *err)
{
    return daemon_order(c, PROTO_DAEMON_RELOAD, err);
}

int
asup_client_daemon_upgrade(struct asup_client *c, struct asup_error_info *err)
{
    return daemon_order(c, PROTO_DAEMON_UPGRADE, err);
}

int
asup_client_daemon_drain(struct asup_client *c, struct asup_error_info *err)
{
    return daemon_order(c, PROTO_DAEMON_DRAIN, err);
}

int
asup_client_daemon_shutdown(struct asup_client *c, uint64_t within_ns, struct asup_error_info *err)
{
    union proto_args args;

    args_begin(PROTO_DAEMON_SHUTDOWN, &args);
    args.daemon_shutdown.within_ns = within_ns;
    return typed_call(c, PROTO_DAEMON_SHUTDOWN, &args, -1, NULL, err);
}
