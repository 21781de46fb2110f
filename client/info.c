/* SPDX-License-Identifier: MIT */
/*
 * Bodies of answers into public structures, whose text and chains are copied
 * to the heap, and their release.
 */
#include "typed.h"

#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

/* ---- Outcomes and reasons -------------------------------------------------------- */

/* A chain is one piece of memory: its links, then their messages. */
void
asup_reason_free(const struct asup_reason *reason)
{
    free((void *)reason);
}

void
asup_outcome_fini(struct asup_outcome *outcome)
{
    if (outcome == NULL)
        return;
    free((void *)outcome->error);
    free((void *)outcome->stage);
    asup_reason_free(outcome->reason);
    memset(outcome, 0, sizeof *outcome);
}

static int
reason_copy(const struct asup_reason *from, struct asup_reason **out)
{
    size_t count = 0, size = 0;
    struct asup_reason *links;
    char *text;

    for (const struct asup_reason *link = from; link != NULL; link = link->cause) {
        count++;
        size += sizeof *link + strlen(link->message) + 1;
    }
    *out = NULL;
    if (count == 0)
        return 0;
    links = malloc(size);
    if (links == NULL)
        return -ASUP_ENOMEM;
    text = (char *)(links + count);
    for (size_t i = 0; i < count; i++, from = from->cause) {
        size_t length = strlen(from->message) + 1;

        links[i] = *from;
        links[i].message = memcpy(text, from->message, length);
        links[i].cause = i + 1 < count ? &links[i + 1] : NULL;
        text += length;
    }
    *out = links;
    return 0;
}

int
info_reason(const msgpack_object *from, struct proto_memory *m, struct asup_reason **out)
{
    const struct asup_reason *borrowed;
    int rc;

    *out = NULL;
    rc = proto_reason_read(from, m, &borrowed);
    return rc != 0 ? rc : reason_copy(borrowed, out);
}

int
info_outcome(const msgpack_object *from, struct proto_memory *m, struct asup_outcome *out)
{
    struct asup_outcome borrowed;
    struct asup_reason *reason = NULL;
    char *error = NULL;
    char *stage = NULL;
    int rc;

    memset(out, 0, sizeof *out);
    rc = proto_outcome_read(from, m, &borrowed);
    if (rc != 0)
        return rc;
    if (borrowed.error != NULL && (error = strdup(borrowed.error)) == NULL)
        return -ASUP_ENOMEM;
    if (borrowed.stage != NULL && (stage = strdup(borrowed.stage)) == NULL)
        rc = -ASUP_ENOMEM;
    else
        rc = reason_copy(borrowed.reason, &reason);
    if (rc != 0) {
        free(error);
        free(stage);
        return rc;
    }
    *out = borrowed;
    out->error = error;
    out->stage = stage;
    out->reason = reason;
    return 0;
}

/* ---- Parts ------------------------------------------------------------------------- */

char *
info_text(const msgpack_object *map, const char *key)
{
    const char *text = proto_get_text(map, key);

    return strdup(text != NULL ? text : "");
}

static void
info_budget(const msgpack_object *from, struct asup_budget_left *out)
{
    const char *kind = proto_get_text(from, "limit_kind");
    int number = kind != NULL ? asup_cancel_kind_from_name(kind) : -1;
    uint64_t polls = proto_get_uint(from, "polls_left", UINT32_MAX);

    out->limit_ns = proto_get_uint(from, "limit_left_ns", ASUP_NEVER);
    out->limit_kind = number >= 0 ? (uint8_t)number : ASUP_CANCEL_TIMEOUT;
    out->polls = polls < UINT32_MAX ? (uint32_t)polls : UINT32_MAX;
    out->cost = proto_get_uint(from, "cost_left", UINT64_MAX);
    out->priority = (uint8_t)proto_get_uint(from, "priority", 0);
}

/* Why it ends and how it ended, each of which may not be there yet. */
static int
info_end(const msgpack_object *map, struct proto_memory *m, struct asup_reason **reason,
         bool *has_outcome, struct asup_outcome *outcome)
{
    const msgpack_object *end = proto_get(map, "outcome");
    int rc = info_reason(proto_get(map, "reason"), m, reason);

    *has_outcome = rc == 0 && end != NULL;
    return *has_outcome ? info_outcome(end, m, outcome) : rc;
}

/* The number of a wire name in `map`; a name that is none is malformed. */
static int
info_name(const msgpack_object *map, const char *key, int (*find)(const char *), int *out)
{
    const char *name = proto_get_text(map, key);

    *out = name != NULL ? find(name) : -1;
    return *out >= 0 ? 0 : -ASUP_EMALFORMED;
}

/* ---- Tasks --------------------------------------------------------------------------- */

void
asup_task_info_fini(struct asup_task_info *info)
{
    if (info == NULL)
        return;
    free(info->path);
    free(info->label);
    free(info->user);
    asup_reason_free(info->reason);
    asup_outcome_fini(&info->outcome);
    memset(info, 0, sizeof *info);
}

static int64_t
slack(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

int
info_task(const msgpack_object *from, struct proto_memory *m, struct asup_task_info *out)
{
    int state, rc;

    memset(out, 0, sizeof *out);
    out->task.id = proto_get_ref(from, "id", ASUP_SORT_TASK).id;
    out->region.id = proto_get_ref(from, "region", ASUP_SORT_REGION).id;
    rc = info_name(from, "state", asup_task_state_from_name, &state);
    if (rc != 0 || out->task.id == 0)
        return -ASUP_EMALFORMED;
    out->state = (enum asup_task_state)state;
    out->path = info_text(from, "path");
    out->label = info_text(from, "label");
    out->user = info_text(from, "user");
    if (out->path == NULL || out->label == NULL || out->user == NULL)
        rc = -ASUP_ENOMEM;
    out->finalizer = proto_get_bool(from, "finalizer", false);
    out->ready = proto_get_bool(from, "ready", false);
    out->owner = (uint32_t)proto_get_uint(from, "owner", 0);
    out->pid = proto_get_int(from, "pid", 0);
    out->age_ns = proto_get_uint(from, "age_ns", 0);
    out->started_age_ns = proto_get_uint(from, "started_age_ns", ASUP_NEVER);
    out->kill_left_ns = proto_get_uint(from, "kill_left_ns", ASUP_NEVER);
    out->slack_ns = slack(proto_get_uint(from, "slack_ns", INT64_MAX));
    out->log_lost = proto_get_uint(from, "log_lost_bytes", 0);
    info_budget(proto_get(from, "budget"), &out->budget);
    if (rc == 0)
        rc = info_end(from, m, &out->reason, &out->has_outcome, &out->outcome);
    if (rc != 0)
        asup_task_info_fini(out);
    return rc;
}

void
asup_task_list_fini(struct asup_task_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        asup_task_info_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

/* ---- Regions ---------------------------------------------------------------------------- */

void
asup_region_info_fini(struct asup_region_info *info)
{
    if (info == NULL)
        return;
    free(info->name);
    free(info->path);
    asup_reason_free(info->reason);
    asup_outcome_fini(&info->outcome);
    memset(info, 0, sizeof *info);
}

int
info_region(const msgpack_object *from, struct proto_memory *m, struct asup_region_info *out)
{
    int state, policy, rc;

    memset(out, 0, sizeof *out);
    out->region.id = proto_get_ref(from, "id", ASUP_SORT_REGION).id;
    rc = info_name(from, "state", asup_region_state_from_name, &state);
    if (rc == 0)
        rc = info_name(from, "policy", asup_policy_from_name, &policy);
    if (rc != 0 || out->region.id == 0)
        return -ASUP_EMALFORMED;
    out->state = (enum asup_region_state)state;
    out->policy = (enum asup_policy)policy;
    out->name = info_text(from, "name");
    out->path = info_text(from, "path");
    if (out->name == NULL || out->path == NULL)
        rc = -ASUP_ENOMEM;
    out->quorum = (uint32_t)proto_get_uint(from, "quorum", 0);
    out->owner = (uint32_t)proto_get_uint(from, "owner", 0);
    out->soft = proto_get_bool(from, "soft", false);
    out->is_volatile = proto_get_bool(from, "volatile", false);
    out->attached.id = proto_get_ref(from, "attached", ASUP_SORT_SESSION).id;
    out->age_ns = proto_get_uint(from, "age_ns", 0);
    out->drain_left_ns = proto_get_uint(from, "drain_left_ns", ASUP_NEVER);
    out->close_by_left_ns = proto_get_uint(from, "close_by_left_ns", ASUP_NEVER);
    out->tasks_live = proto_get_uint(from, "tasks_live", 0);
    out->tasks_total = proto_get_uint(from, "tasks_total", 0);
    out->finalizers = proto_get_uint(from, "finalizers", 0);
    info_budget(proto_get(from, "budget"), &out->budget);
    if (rc == 0)
        rc = info_end(from, m, &out->reason, &out->has_outcome, &out->outcome);
    if (rc != 0)
        asup_region_info_fini(out);
    return rc;
}

/* ---- Events -------------------------------------------------------------------------------- */

void
asup_event_fini(struct asup_event *event)
{
    if (event == NULL)
        return;
    free(event->event);
    free(event->path);
    free(event->text);
    asup_reason_free(event->reason);
    asup_outcome_fini(&event->outcome);
    memset(event, 0, sizeof *event);
}

static struct asup_ref
event_subject(const msgpack_object *from)
{
    /* A message first: its channel is told besides. */
    static const struct {
        const char *key;
        enum asup_sort sort;
    } subjects[] = {{"message", ASUP_SORT_MESSAGE},
                    {"channel", ASUP_SORT_CHANNEL},
                    {"obligation", ASUP_SORT_OBLIGATION},
                    {"saga", ASUP_SORT_SAGA},
                    {"cx", ASUP_SORT_CAPABILITY}};
    struct asup_ref ref = {0};

    for (size_t i = 0; i < sizeof subjects / sizeof subjects[0] && ref.id == 0; i++)
        ref = proto_get_ref(from, subjects[i].key, subjects[i].sort);
    return ref;
}

int
info_event(const msgpack_object *from, struct proto_memory *m, struct asup_event *out)
{
    int rc = 0;

    memset(out, 0, sizeof *out);
    out->seq = proto_get_uint(from, "seq", 0);
    if (out->seq == 0)
        return -ASUP_EMALFORMED;
    out->at = proto_get_uint(from, "at_ns", 0);
    out->at_wall_ns = proto_get_uint(from, "at_wall_ns", 0);
    out->region.id = proto_get_ref(from, "region", ASUP_SORT_REGION).id;
    out->task.id = proto_get_ref(from, "task", ASUP_SORT_TASK).id;
    out->session.id = proto_get_ref(from, "session", ASUP_SORT_SESSION).id;
    out->subject = event_subject(from);
    out->holder = proto_get_ref(from, "holder", ASUP_SORT_NONE);
    out->value = proto_get_uint(from, "value", 0);
    out->event = info_text(from, "event");
    out->path = info_text(from, "path");
    out->text = info_text(from, "text");
    if (out->event == NULL || out->path == NULL || out->text == NULL)
        rc = -ASUP_ENOMEM;
    if (rc == 0)
        rc = info_end(from, m, &out->reason, &out->has_outcome, &out->outcome);
    if (rc != 0)
        asup_event_fini(out);
    return rc;
}

void
asup_event_list_fini(struct asup_event_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        asup_event_fini(&list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

/* ---- Small ones --------------------------------------------------------------------------------
 */

void
asup_checkpoint_fini(struct asup_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    asup_reason_free(checkpoint->reason);
    memset(checkpoint, 0, sizeof *checkpoint);
}

void
asup_log_chunk_fini(struct asup_log_chunk *chunk)
{
    if (chunk == NULL)
        return;
    free(chunk->data);
    memset(chunk, 0, sizeof *chunk);
}
