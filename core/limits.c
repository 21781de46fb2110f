/* SPDX-License-Identifier: MIT */
/* What a request may say, and how much of everything there may be (R-SCH-4):
 * what is refused before anything changes. Who may ask is in authority.c. */
#include "core/decide.h"

/* ---- Limits -------------------------------------------------------------------------- */

struct limit_row {
    const char *name;
    const char *detail;
    uint64_t have, want, most;
};

static int
within(const struct limit_row *rows, size_t count, struct refusal *why)
{
    for (size_t i = 0; i < count; i++) {
        const struct limit_row *row = &rows[i];

        if (row->have > row->most || row->want > row->most - row->have) {
            why->code = -ASUP_EBUSY;
            why->limit = row->name;
            why->detail = row->detail;
            return why->code;
        }
    }
    return 0;
}

static const struct user *
user_or_none(const struct kernel *k, uint32_t uid)
{
    static const struct user none;
    const struct user *u = user_find(k, uid);

    return u != NULL ? u : &none;
}

int
limit_tasks(const struct kernel *k, uint32_t region, uint32_t uid, bool finalizer, size_t bytes,
            const struct admission *adm, struct refusal *why)
{
    const struct kernel_limits *l = &k->config.limits;
    const struct user *u = user_or_none(k, uid);
    const struct region *r = region == NIL ? NULL : region_at(k, region);
    uint64_t live = 0;
    struct limit_row rows[6];
    size_t count = 0;

    for (unsigned s = 0; s < ASUP_TASK_COMPLETED; s++)
        live += k->tasks_in[s];
    /* The narrowest first: that is what the caller can do something about. */
    if (r != NULL && finalizer) {
        rows[count++] = (struct limit_row){
            "finalizers-per-region", "the region has as many finalizers as it may",
            (uint64_t)r->finalizers + r->batch_finalizers, 1, l->finalizers_per_region};
    } else if (r != NULL) {
        uint64_t most = l->tasks_per_region;

        if (r->tasks_max != 0)
            most = min_u64(most, r->tasks_max);
        rows[count++] =
            (struct limit_row){"tasks-per-region", "the region has as many tasks as it may",
                               (uint64_t)r->tasks_live + r->batch_tasks, 1, most};
    }
    rows[count++] = (struct limit_row){"tasks-per-user", "you have as many tasks as a user may",
                                       (uint64_t)u->tasks + adm->tasks, 1, l->tasks_per_user};
    rows[count++] = (struct limit_row){"tasks-per-daemon", "the daemon has as many tasks as it may",
                                       live + adm->tasks, 1, l->tasks_per_daemon};
    rows[count++] = (struct limit_row){"queued-bytes-per-user",
                                       "you have as many bytes of requests kept as a user may",
                                       u->bytes + adm->bytes, bytes, l->bytes_per_user};
    rows[count++] = (struct limit_row){"queued-bytes-per-daemon",
                                       "the daemon keeps as many bytes of requests as it may",
                                       k->heap.size + adm->bytes, bytes, l->bytes_per_daemon};
    return within(rows, count, why);
}

int
limit_regions(const struct kernel *k, uint32_t parent, uint32_t uid, size_t bytes,
              const struct admission *adm, struct refusal *why)
{
    const struct kernel_limits *l = &k->config.limits;
    const struct user *u = user_or_none(k, uid);
    const struct region *r = region_at(k, parent);
    uint64_t live = 0;
    /* "/" is everybody's: what one user may open there is no other's loss. */
    uint64_t children_most = r->parent == NIL ? UINT64_MAX : l->children_per_region;
    struct limit_row rows[6];

    for (unsigned s = 0; s < ASUP_REGION_CLOSED; s++)
        live += k->regions_in[s];
    if (r->children_max != 0)
        children_most = min_u64(children_most, r->children_max);
    rows[0] = (struct limit_row){"region-depth", "regions nest no deeper", r->depth, 1,
                                 min_u64(l->depth, ASUP_DEPTH_MAX)};
    rows[1] = (struct limit_row){"children-per-region", "the region has as many children as it may",
                                 (uint64_t)r->children_live + r->batch_children, 1, children_most};
    rows[2] = (struct limit_row){"regions-per-user", "you have as many regions as a user may",
                                 (uint64_t)u->regions + adm->regions, 1, l->regions_per_user};
    rows[3] = (struct limit_row){"regions-per-daemon", "there are as many regions as there may be",
                                 live + adm->regions, 1, l->regions_per_daemon};
    rows[4] = (struct limit_row){"queued-bytes-per-user",
                                 "you have as many bytes of requests kept as a user may",
                                 u->bytes + adm->bytes, bytes, l->bytes_per_user};
    rows[5] = (struct limit_row){"queued-bytes-per-daemon",
                                 "the daemon keeps as many bytes of requests as it may",
                                 k->heap.size + adm->bytes, bytes, l->bytes_per_daemon};
    return within(rows, 6, why);
}

int
limit_bytes(const struct kernel *k, uint32_t uid, size_t bytes, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"queued-bytes-per-user", "you have as many bytes of requests kept as a user may",
         user_or_none(k, uid)->bytes, bytes, k->config.limits.bytes_per_user},
        {"queued-bytes-per-daemon", "the daemon keeps as many bytes of requests as it may",
         k->heap.size, bytes, k->config.limits.bytes_per_daemon},
    };

    return within(rows, 2, why);
}

int
limit_sessions(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"sessions-per-user", "you have as many sessions as a user may",
         user_or_none(k, uid)->sessions, 1, k->config.limits.sessions_per_user},
        {"sessions-per-daemon", "there are as many sessions as there may be",
         arena_live(&k->sessions), 1, k->config.limits.sessions_per_daemon},
    };

    return within(rows, 2, why);
}

int
limit_offers(const struct kernel *k, uint32_t uid, uint32_t names, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"offers-per-user", "you offer as many computations as a user may",
         user_or_none(k, uid)->offers, names, k->config.limits.offers_per_user},
    };

    return within(rows, 1, why);
}

int
limit_waits(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"waits-per-user", "as many of your requests wait as may", user_or_none(k, uid)->waits, 1,
         k->config.limits.waits_per_user},
        {"waits-per-daemon", "as many requests wait as may", arena_live(&k->waits), 1,
         k->config.limits.waits_per_daemon},
    };

    return within(rows, 2, why);
}

int
limit_channels(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"channels-per-user", "you have as many channels as a user may",
         user_or_none(k, uid)->channels, 1, k->config.limits.channels_per_user},
        {"channels-per-daemon", "there are as many channels as there may be",
         k->channels.names.count, 1, k->config.limits.channels_per_daemon},
    };

    return within(rows, 2, why);
}

int
limit_obligations(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"obligations-per-user", "as much is owed in your regions as may be",
         user_or_none(k, uid)->obligations, 1, k->config.limits.obligations_per_user},
        {"obligations-per-daemon", "as much is owed as may be", arena_live(&k->obligations.records),
         1, k->config.limits.obligations_per_daemon},
    };

    return within(rows, 2, why);
}

int
limit_leases(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"leases-per-user", "there are as many leases in your regions as may be",
         user_or_none(k, uid)->leases, 1, k->config.limits.leases_per_user},
    };

    return within(rows, 1, why);
}

int
limit_capabilities(const struct kernel *k, uint32_t uid, struct refusal *why)
{
    const struct limit_row rows[] = {
        {"capabilities-per-user", "you have as many capabilities as a user may",
         user_or_none(k, uid)->capabilities, 1, k->config.limits.capabilities_per_user},
    };

    return within(rows, 1, why);
}

/* ---- Names --------------------------------------------------------------------------------- */

uint64_t
region_name_key(uint64_t parent_id, struct bytes name)
{
    return hash_bytes(parent_id, name.data, name.size) | 1;
}

/* "r12" and the like: names that could be taken for ids of some sort. */
static bool
looks_like_id(const char *text, size_t size)
{
    static const char sorts[] = {'r', 't', 'o', 's', 'c', 'm', 'g', 'x'};
    bool sort = false;

    for (size_t i = 0; i < sizeof sorts; i++)
        sort = sort || text[0] == sorts[i];
    if (!sort || size < 2)
        return false;
    for (size_t i = 1; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
    }
    return true;
}

int
name_syntax(struct bytes name, struct refusal *why)
{
    const char *text = name.data;

    if (name.size == 0)
        return 0;
    if (name.size > ASUP_NAME_MAX)
        return REFUSE(why, ASUP_EINVALID, "a name has at most 128 bytes");
    for (size_t n = 0; n < name.size; n++) {
        unsigned char c = (unsigned char)text[n];

        if (c == '/')
            return REFUSE(why, ASUP_EINVALID, "a name holds no \"/\"");
        if (c < 0x20 || c == 0x7f)
            return REFUSE(why, ASUP_EINVALID, "a name holds no control characters");
    }
    if (text[0] == '.' && (name.size == 1 || (name.size == 2 && text[1] == '.')))
        return REFUSE(why, ASUP_EINVALID, "\".\" and \"..\" are no names");
    if (looks_like_id(text, name.size))
        return REFUSE(why, ASUP_EINVALID, "the name could be taken for an id");
    return 0;
}

int
name_check(const struct kernel *k, uint32_t parent, uint32_t uid, struct bytes name,
           struct refusal *why)
{
    const struct region *r;
    uint32_t cursor;
    uint32_t i;

    if (name.size == 0 || name_syntax(name, why) != 0)
        return why->code;
    for (i = index_first(&k->names, region_name_key(region_at(k, parent)->id, name), &cursor);
         i != NIL;
         i = index_next(&k->names, region_name_key(region_at(k, parent)->id, name), &cursor)) {
        struct bytes other;

        r = region_at(k, i);
        other = heap_get(&k->heap, r->name);
        if (r->parent == parent && other.size == name.size &&
            memcmp(other.data, name.data, name.size) == 0 && (parent != k->root || r->uid == uid))
            return REFUSE(why, ASUP_EEXISTS, "a live sibling has that name");
    }
    return 0;
}

/* ---- Budgets ----------------------------------------------------------------------------------
 */

int
budget_check(const struct kernel *k, const struct budget_request *b, struct refusal *why)
{
    if (b->deadline_at <= k->now)
        return REFUSE(why, ASUP_EINVALID, "the deadline has already passed");
    if (b->timeout_ns == 0)
        return REFUSE(why, ASUP_EINVALID, "a timeout of 0 leaves no time");
    if (b->poll_quota == 0)
        return REFUSE(why, ASUP_EINVALID, "a quota of 0 checkpoints leaves none");
    if (b->cost_quota == 0)
        return REFUSE(why, ASUP_EINVALID, "a cost budget of 0 leaves nothing");
    return 0;
}

struct asup_budget
budget_of(const struct budget_request *b, asup_time from)
{
    struct asup_budget relative = asup_budget_empty();
    struct asup_budget absolute = asup_budget_empty();

    relative.limit_at = time_add(from, b->timeout_ns);
    relative.limit_kind = ASUP_CANCEL_TIMEOUT;
    relative.poll_quota = b->poll_quota;
    relative.cost_quota = b->cost_quota;
    relative.priority = b->priority;
    absolute.limit_at = b->deadline_at;
    absolute.limit_kind = ASUP_CANCEL_DEADLINE;
    if (absolute.limit_at == ASUP_NEVER)
        return relative;
    return asup_budget_meet(&relative, &absolute);
}
