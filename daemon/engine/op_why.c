/* SPDX-License-Identifier: MIT */
/* why: the chain of what something waits for, as a body. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/engine/call.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/why.h"

static void
write_link(struct proto_writer *w, const struct why_link *link)
{
    pw_map(w);
    pw_key(w, "id");
    if (link->ref.sort == ASUP_SORT_NONE)
        pw_uint(w, link->pid);
    else
        pw_id(w, link->ref.sort, link->ref.id);
    pw_key(w, "kind");
    pw_str(w, link->kind);
    pw_key(w, "state");
    pw_str(w, link->state);
    if (link->pid) {
        pw_key(w, "pid");
        pw_uint(w, link->pid);
    }
    pw_key(w, "name");
    pw_str(w, link->name);
    pw_key(w, "age_ns");
    pw_uint(w, link->age_ns);
    if (link->left_ns != ASUP_NEVER) {
        pw_key(w, "budget_left_ns");
        pw_uint(w, link->left_ns);
    }
    pw_key(w, "note");
    pw_str(w, link->note);
    pw_end(w);
}

/* It is everybody's trouble. */
static void
write_journal_trouble(struct proto_writer *w, const struct engine *e, struct asup_ref ref)
{
    struct journal_state state;
    char message[256];

    journal_look(e->journal, &state);
    snprintf(message, sizeof message, "the journal cannot be written: %s; nothing new is admitted",
             state.reason);
    pw_map(w);
    pw_key(w, "name");
    pw_str(w, "JournalFailed");
    pw_key(w, "id");
    pw_id(w, ref.sort, ref.id);
    pw_key(w, "message");
    pw_str(w, message);
    pw_end(w);
}

static void
write_why(struct proto_writer *w, struct asup_ref ref, const struct why *why)
{
    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ref.sort, ref.id);
    pw_key(w, "state");
    pw_str(w, why->link_count ? why->links[0].state : "unknown");
    pw_key(w, "summary");
    pw_str(w, why->summary);
    pw_key(w, "chain");
    pw_list(w);
    for (size_t i = 0; i < why->link_count; i++)
        write_link(w, &why->links[i]);
    pw_end(w);
    pw_key(w, "trouble");
    pw_list(w);
    if (why->engine->journal_failing)
        write_journal_trouble(w, why->engine, ref);
    for (size_t i = 0; i < why->trouble_count; i++) {
        pw_map(w);
        pw_key(w, "name");
        pw_str(w, why->troubles[i].name);
        pw_key(w, "id");
        pw_id(w, why->troubles[i].ref.sort, why->troubles[i].ref.id);
        pw_key(w, "message");
        pw_str(w, why->troubles[i].message);
        pw_end(w);
    }
    pw_end(w);
    pw_end(w);
}

int
op_why(struct call *c)
{
    const struct proto_target *target = &c->args->why.id;
    struct asup_ref ref = target->ref;
    struct why *why = proto_memory_take(c->engine->memory, sizeof *why);
    struct region_view region;
    struct channel_view channel;
    struct task_view task;
    struct session_view session;
    struct saga_view saga;
    struct obligation_view owed;
    struct obligation_ended_view ended;
    int rc = 0;

    if (!why)
        return call_fail(c, -ASUP_ENOMEM, NULL, NULL, "no memory for the answer");
    *why = (struct why){.engine = c->engine,
                        .uid = c->caller.uid,
                        .privileged = call_sees_all(c), /* it was checked above */
                        .now = engine_now(c->engine)};
    switch (ref.sort) {
    case ASUP_SORT_TASK:
        if ((rc = call_task(c, ref.id, &task)) == 0)
            why_task(why, ref.id);
        break;
    case ASUP_SORT_SAGA:
        if ((rc = call_saga(c, ref.id, &saga)) == 0)
            why_saga(why, ref.id);
        break;
    case ASUP_SORT_OBLIGATION:
        if ((kernel_obligation(c->engine->kernel, ref.id, &owed) &&
             call_sees(c, owed.region, owed.uid)) ||
            (kernel_obligation_ended(c->engine->kernel, ref.id, &ended) &&
             call_sees(c, ended.region, ended.uid)))
            why_obligation(why, ref.id);
        else
            rc = call_fail(c, -ASUP_ENOTFOUND, "id", NULL,
                           "there is no obligation o%" PRIu64
                           " of yours, or it was resolved long ago",
                           ref.id);
        break;
    case ASUP_SORT_CHANNEL:
        if ((rc = call_channel(c, target, "id", &channel)) == 0)
            why_channel(why, channel.id);
        break;
    case ASUP_SORT_SESSION:
        if (kernel_session(c->engine->kernel, ref.id, &session) &&
            (c->privileged || c->caller.uid == session.uid))
            why_session(why, ref.id);
        else
            rc = call_fail(c, -ASUP_ENOTFOUND, "id", NULL,
                           "there is no session s%" PRIu64 " of yours", ref.id);
        break;
    case ASUP_SORT_MESSAGE:
    case ASUP_SORT_CAPABILITY:
        rc = call_fail(
            c, -ASUP_EINVALID, "id",
            ref.sort == ASUP_SORT_MESSAGE
                ? "asupersyncctl show tells of a message, dead show also of how it came back"
                : "asupersyncctl show and cx list tell of capabilities",
            "why is told of regions, tasks, sessions, obligations, channels and sagas");
        break;
    default:
        if (target->path.data && call_region(c, target, "id", &region) != 0 &&
            call_channel(c, target, "id", &channel) == 0) {
            ref = (struct asup_ref){.id = channel.id, .sort = ASUP_SORT_CHANNEL};
            why_channel(why, channel.id);
        } else if ((rc = call_region(c, target, "id", &region)) == 0) {
            ref = (struct asup_ref){.id = region.id, .sort = ASUP_SORT_REGION};
            /* "/" is everybody's, what is in it is not. */
            if (region.id == ASUP_ROOT_ID)
                why->privileged = call_sees(c, region.id, region.uid);
            why_region(why, region.id);
        }
        break;
    }
    if (rc == 0)
        write_why(c->w, ref, why);
    return rc;
}
