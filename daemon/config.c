/* SPDX-License-Identifier: MIT */
#include "daemon/config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "daemon/config_reader.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define HOUR (3600 * ASUP_NS_PER_S)
#define DAY (24 * HOUR)

/* A count of the kernel's limits is never 0: nothing could be admitted. */
#define LIMIT_TYPE_uint32_t CONFIG_COUNT
#define LIMIT_TYPE_uint64_t CONFIG_SIZE
#define LIMIT_MAX_uint32_t UINT32_MAX
#define LIMIT_MAX_uint64_t (1024 * GIB)

#define AT(field) offsetof(struct config, field)

/* What each limit of the kernel holds down; beyond it the answer is busy (R-SCH-4),
 * unless it says otherwise. */
#define LIMIT_HELP_tasks_per_daemon "tasks that have not ended, of all users together"
#define LIMIT_HELP_tasks_per_user "tasks that have not ended, of one user"
#define LIMIT_HELP_tasks_per_region "tasks that have not ended in one region"
#define LIMIT_HELP_regions_per_daemon "regions that are not closed, of all users together"
#define LIMIT_HELP_regions_per_user "regions that are not closed, of one user"
#define LIMIT_HELP_children_per_region                                                             \
    "regions that are not closed directly below one, except the root"
#define LIMIT_HELP_finalizers_per_region "finalizers that one region may have (R-REG-6)"
#define LIMIT_HELP_sessions_per_daemon "sessions, of all users together"
#define LIMIT_HELP_sessions_per_user "sessions of one user"
#define LIMIT_HELP_waits_per_daemon "requests that wait for something, of all users together"
#define LIMIT_HELP_waits_per_user "requests of one user that wait for something"
#define LIMIT_HELP_bytes_per_daemon                                                                \
    "names, labels, commands and environments that are kept, of all users together"
#define LIMIT_HELP_bytes_per_user "names, labels, commands and environments kept for one user"
#define LIMIT_HELP_depth "how deep regions may lie below the root"
#define LIMIT_HELP_requests_per_session                                                            \
    "latest requests of a session that are recognised when they are repeated (R-IDM-1)"
#define LIMIT_HELP_retained                                                                        \
    "outcomes that are kept of what has ended; beyond it the oldest are forgotten (R-TSK-6)"
#define LIMIT_HELP_obligations_per_daemon "obligations that are held, of all users together"
#define LIMIT_HELP_obligations_per_user                                                            \
    "obligations that stand in the ledgers of one user (R-OBL-7)"
#define LIMIT_HELP_channels_per_daemon "channels whose region is not closed, of all users together"
#define LIMIT_HELP_channels_per_user "channels of one user"
#define LIMIT_HELP_dead_letters_per_user "dead letters that are kept for one user"
#define LIMIT_HELP_leases_per_user "leases that are held in the regions of one user"
#define LIMIT_HELP_offers_per_user "workers of one user, each with its offer"
#define LIMIT_HELP_result_bytes "bytes of the result of one call"
#define LIMIT_HELP_results_per_daemon                                                              \
    "bytes of results kept with outcomes; beyond it the oldest outcomes are forgotten early"
#define LIMIT_HELP_sagas_per_region "sagas on the stack of one region"
#define LIMIT_HELP_steps_per_saga "steps of one saga"
#define LIMIT_HELP_capabilities_per_user "derived capabilities of one user that are alive (R-CAP-1)"
#define LIMIT_HELP_keys_per_user "idempotency keys that are remembered for one user (R-IDM-1)"

#define ALLOWANCE(tier, name, text)                                                                \
    {"cleanup." name ".drain",                                                                     \
     CONFIG_DURATION,                                                                              \
     AT(kernel.allowance[tier].drain_ns),                                                          \
     0,                                                                                            \
     7 * DAY,                                                                                      \
     false,                                                                                        \
     "time to end after " text},                                                                   \
    {                                                                                              \
        "cleanup." name ".polls", CONFIG_COUNT, AT(kernel.allowance[tier].polls), 0, UINT32_MAX,   \
            false, "checkpoints to end after " text                                                \
    }

const struct config_key config_keys[] = {
#define LIMIT_KEY(field, type, preset, name)                                                       \
    {"limits." name, LIMIT_TYPE_##type, AT(kernel.limits.field), 1, LIMIT_MAX_##type,              \
     false,          LIMIT_HELP_##field},
    KERNEL_LIMIT_LIST(LIMIT_KEY)
#undef LIMIT_KEY
        ALLOWANCE(0, "user", "a request by a person or a close"),
    ALLOWANCE(1, "limit", "a timeout or a deadline"),
    ALLOWANCE(2, "quota", "a poll or cost quota that ran out"),
    ALLOWANCE(3, "failure", "fail-fast, a lost race or a linked exit"),
    ALLOWANCE(4, "resource", "a lost resource"),
    ALLOWANCE(5, "shutdown", "a shutdown of the daemon"),
    {"cleanup.leftover", CONFIG_DURATION, AT(kernel.leftover_ns), 0, 7 * DAY, false,
     "what is left of a task once its main process ended is killed after it (R-TSK-4)"},
    {"cleanup.finalizer", CONFIG_DURATION, AT(kernel.finalizer_ns), ASUP_NS_PER_MS, 7 * DAY, false,
     "budget of a finalizer that names none (R-REG-6)"},
    {"cleanup.finalizer-hurry", CONFIG_DURATION, AT(kernel.finalizer_hurry_ns), 0, HOUR, false,
     "budget of every finalizer after a second shutdown request"},
    {"cleanup.kill-grace", CONFIG_DURATION, AT(kernel.kill_grace_ns), ASUP_NS_PER_MS, HOUR, false,
     "killed and still there after it: RegionCloseTimeout (R-REG-8)"},
    {"sessions.ttl", CONFIG_DURATION, AT(kernel.session_ttl_ns), ASUP_NS_PER_MS, 7 * DAY, false,
     "a session without a connection ends after it, unless it asked otherwise (R-SES-1)"},
    {"sessions.ttl-max", CONFIG_DURATION, AT(kernel.session_ttl_ns_max), ASUP_NS_PER_MS, 7 * DAY,
     false, "the longest a session may ask for"},
    {"channels.ack-timeout", CONFIG_DURATION, AT(kernel.ack_timeout_ns), ASUP_NS_PER_MS, 30 * DAY,
     false, "by when a receiver settles its ack, unless the channel says otherwise"},
    {"channels.permit-timeout", CONFIG_DURATION, AT(kernel.permit_timeout_ns), ASUP_NS_PER_MS,
     30 * DAY, false, "by when a sender uses its permit, unless the channel says otherwise"},
    {"channels.nacks-max", CONFIG_COUNT, AT(kernel.nacks_max), 0, 1000000, false,
     "so many nacks and deaths of receivers make a message a dead letter; 0: none do"},
    {"channels.timeouts-max", CONFIG_COUNT, AT(kernel.timeouts_max), 0, 1000000, false,
     "so many ack timeouts make a message a dead letter; 0: none do"},
    {"channels.dead-retention", CONFIG_DURATION, AT(kernel.dead_retention_ns), ASUP_NS_PER_MS,
     365 * DAY, false, "how long a dead letter is kept, unless the channel says otherwise"},
    {"obligations.futurelock", CONFIG_DURATION, AT(kernel.futurelock_ns), ASUP_NS_PER_MS, 7 * DAY,
     false, "a task that holds something and makes no progress that long is reported (R-OBL-6)"},
    {"obligations.strict", CONFIG_FLAG, AT(kernel.strict), 0, 1, false,
     "an obligation that leaks makes its region's outcome panicked, not err (R-OBL-3)"},
    {"leases.ttl-max", CONFIG_DURATION, AT(kernel.lease_ttl_ns_max), ASUP_NS_PER_MS, 365 * DAY,
     false, "the longest that a lease may be held without being renewed"},
    {"idempotency.key-retention", CONFIG_DURATION, AT(kernel.key_retention_ns), ASUP_NS_PER_MS,
     30 * DAY, false,
     "an idempotency key, and the outcome it names, is kept that long after its work has ended"},
    {"retention", CONFIG_DURATION, AT(kernel.retention_ns), 0, 30 * DAY, false,
     "outcomes and logs of what has ended are kept that long (R-TSK-6)"},
    {"scheduling.fairness", CONFIG_COUNT, AT(kernel.fairness), 1, 1000000, false,
     "picks from a more urgent lane before a lesser one has its turn (R-SCH-2)"},
    {"scheduling.ageing", CONFIG_DURATION, AT(kernel.ageing_ns), ASUP_NS_PER_MS, HOUR, false,
     "waiting that long weighs as much as one step of priority"},
    {"scheduling.start-window", CONFIG_COUNT, AT(kernel.start_window), 1, 4096, false,
     "processes being started at once"},
    {"scheduling.start-patience", CONFIG_DURATION, AT(kernel.start_patience_ns), ASUP_NS_PER_MS,
     HOUR, false, "a start that takes longer no longer keeps others from starting"},
    {"scheduling.picks-per-step", CONFIG_COUNT, AT(kernel.picks_per_step), 1, 65536, false,
     "runnable entries taken in one step"},
    {"scheduling.sample", CONFIG_DURATION, AT(kernel.sample_ns), ASUP_NS_PER_MS, HOUR, false,
     "how often the CPU time of a task with a cost quota is read (R-BUD-3)"},
    {"connections.max", CONFIG_COUNT, AT(connections_max), 1, 1000000, false,
     "clients connected at once; further connections are closed"},
    {"connections.per-user", CONFIG_COUNT, AT(connections_per_user), 1, 1000000, false,
     "of one user"},
    {"connections.message-size", CONFIG_SIZE, AT(message_size_max), 4 * KIB, 256 * MIB, true,
     "a larger request answers too-large"},
    {"connections.stall", CONFIG_DURATION, AT(stall_ns), 100 * ASUP_NS_PER_MS, HOUR, false,
     "a client that leaves its answers unread that long is cut off"},
    {"connections.socket-mode", CONFIG_MODE, AT(socket_mode), 0, 0777, true,
     "permissions of the socket; 0 means 0666 in system mode, 0600 in user mode"},
    {"connections.unclaimed", CONFIG_DURATION, AT(unclaimed_ns), 100 * ASUP_NS_PER_MS, HOUR, false,
     "descriptors handed over for a task that does not come are closed after it"},
    {"connections.unclaimed-per-user", CONFIG_COUNT, AT(unclaimed_per_user), 1, 65536, false,
     "such hand-overs waiting at once, of one user"},
    {"events.count", CONFIG_COUNT, AT(events_count), 16, 100000000, false,
     "events kept for those who watch; older ones answer gap"},
    {"events.bytes", CONFIG_SIZE, AT(events_bytes), 64 * KIB, 16 * GIB, false,
     "memory they may take"},
    {"journal.snapshot-events", CONFIG_COUNT, AT(journal_events), 1, 100000000, false,
     "events after which a snapshot is taken, and what came long before is removed"},
    {"journal.snapshot-bytes", CONFIG_SIZE, AT(journal_bytes), 64 * KIB, 1024 * GIB, false,
     "likewise, by the size of those events"},
    {"journal.log-size", CONFIG_SIZE, AT(journal_wal), 64 * KIB, 1024 * GIB, true,
     "of SQLite's write-ahead log; beyond it, it is moved into the database"},
    {"logs.task-max", CONFIG_SIZE, AT(log_task_max), 0, 1024 * GIB, false,
     "output kept per task; the rest is read, dropped and counted"},
    {"logs.total-max", CONFIG_SIZE, AT(log_total_max), 0, 16384 * GIB, false,
     "output kept of all tasks together"},
};
const size_t config_key_count = sizeof config_keys / sizeof config_keys[0];

void
config_init(struct config *config)
{
    memset(config, 0, sizeof *config);
    kernel_config_init(&config->kernel);
    config->message_size_max = 1 * MIB;
    config->connections_max = 8192;
    config->connections_per_user = 4096;
    config->stall_ns = 10 * ASUP_NS_PER_S;
    config->events_count = 65536;
    config->events_bytes = 16 * MIB;
    config->log_task_max = 16 * MIB;
    config->log_total_max = 1 * GIB;
    config->journal_events = 100000;
    config->journal_bytes = 64 * MIB;
    config->journal_wal = 8 * MIB;
    config->unclaimed_ns = 30 * ASUP_NS_PER_S;
    config->unclaimed_per_user = 256;
}

/* ---- Values ----------------------------------------------------------------- */

void
config_fini(struct config *config)
{
    policy_free(config->access);
    config->access = NULL;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit duration_units[] = {
    {"ns", 1},
    {"us", 1000},
    {"ms", ASUP_NS_PER_MS},
    {"s", ASUP_NS_PER_S},
    {"m", 60 * ASUP_NS_PER_S},
    {"min", 60 * ASUP_NS_PER_S},
    {"h", HOUR},
    {"d", DAY},
    {NULL, 0},
};

static const struct unit size_units[] = {
    {"", 1},      {"B", 1},        {"K", KIB},         {"KiB", KIB},      {"M", MIB},
    {"MiB", MIB}, {"G", GIB},      {"GiB", GIB},       {"T", 1024 * GIB}, {"TiB", 1024 * GIB},
    {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000}, {NULL, 0},
};

/* One number with its unit, "1.5s"; moves *text past it. Whole and fractional
 * parts are summed apart, so nothing is rounded that need not be. */
static bool
read_quantity(const char **text, const struct unit *units, uint64_t *out)
{
    const char *p = *text;
    uint64_t whole = 0;
    uint64_t fraction = 0;
    uint64_t scale = 1;
    bool digits = false;

    for (; *p >= '0' && *p <= '9'; p++, digits = true) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, (uint64_t)(*p - '0'), &whole))
            return false;
    }
    if (digits && *p == '.') {
        p++;
        if (*p < '0' || *p > '9')
            return false;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (scale < 1000000000) {
                fraction = fraction * 10 + (uint64_t)(*p - '0');
                scale *= 10;
            }
        }
    }
    if (!digits)
        return false;

    size_t unit_size = 0;
    while ((p[unit_size] >= 'a' && p[unit_size] <= 'z') ||
           (p[unit_size] >= 'A' && p[unit_size] <= 'Z'))
        unit_size++;
    for (const struct unit *u = units; u->name; u++) {
        if (strlen(u->name) != unit_size || memcmp(u->name, p, unit_size) != 0)
            continue;
        uint64_t part = (uint64_t)((__uint128_t)fraction * u->factor / scale);
        if (__builtin_mul_overflow(whole, u->factor, out) ||
            __builtin_add_overflow(*out, part, out))
            return false;
        *text = p + unit_size;
        return true;
    }
    return false;
}

bool
config_duration(const char *text, uint64_t *ns_out)
{
    uint64_t sum = 0;

    if (strcmp(text, "0") == 0) {
        *ns_out = 0;
        return true;
    }
    do {
        uint64_t part;
        if (!read_quantity(&text, duration_units, &part) || __builtin_add_overflow(sum, part, &sum))
            return false;
    } while (*text);
    *ns_out = sum;
    return true;
}

bool
config_size(const char *text, uint64_t *bytes_out)
{
    return read_quantity(&text, size_units, bytes_out) && *text == '\0';
}

bool
config_number(const char *text, int base, uint64_t *out)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    *out = strtoull(text, &end, base);
    return errno == 0 && *end == '\0';
}

static const char *
type_text(enum config_type type)
{
    switch (type) {
    case CONFIG_COUNT:
        return "a whole number, such as 100";
    case CONFIG_SIZE:
        return "a size in bytes, such as 512, 64K or 16MiB";
    case CONFIG_DURATION:
        return "a duration with its unit, such as 1.5s, 200ms or 2m";
    case CONFIG_MODE:
        return "an octal file mode, such as 0660";
    case CONFIG_FLAG:
        return "true or false";
    }
    return "";
}

static void
print_value(enum config_type type, uint64_t value, FILE *out)
{
    switch (type) {
    case CONFIG_COUNT:
        fprintf(out, "%" PRIu64, value);
        return;
    case CONFIG_MODE:
        fprintf(out, "\"%04" PRIo64 "\"", value);
        return;
    case CONFIG_FLAG:
        fputs(value ? "true" : "false", out);
        return;
    case CONFIG_SIZE:
        for (size_t i = 0; i < 4; i++) {
            static const struct unit units[] = {
                {"TiB", 1024 * GIB}, {"GiB", GIB}, {"MiB", MIB}, {"KiB", KIB}};
            if (value && value % units[i].factor == 0) {
                fprintf(out, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
                return;
            }
        }
        fprintf(out, "%" PRIu64, value);
        return;
    case CONFIG_DURATION:
        for (size_t i = 0; i < 5; i++) {
            static const struct unit units[] = {{"h", HOUR},
                                                {"m", 60 * ASUP_NS_PER_S},
                                                {"s", ASUP_NS_PER_S},
                                                {"ms", ASUP_NS_PER_MS},
                                                {"us", 1000}};
            if (value && value % units[i].factor == 0) {
                fprintf(out, "%" PRIu64 "%s", value / units[i].factor, units[i].name);
                return;
            }
        }
        fprintf(out, "%" PRIu64 "%s", value, value ? "ns" : "");
        return;
    }
}

static void
store(struct config *config, const struct config_key *key, uint64_t value)
{
    char *at = (char *)config + key->offset;

    if (key->type == CONFIG_COUNT || key->type == CONFIG_MODE) {
        uint32_t narrow = (uint32_t)value;
        memcpy(at, &narrow, sizeof narrow);
    } else if (key->type == CONFIG_FLAG) {
        *(bool *)at = value != 0;
    } else {
        memcpy(at, &value, sizeof value);
    }
}

static uint64_t
fetch(const struct config *config, const struct config_key *key)
{
    const char *at = (const char *)config + key->offset;
    uint32_t narrow;
    uint64_t wide;

    if (key->type == CONFIG_COUNT || key->type == CONFIG_MODE) {
        memcpy(&narrow, at, sizeof narrow);
        return narrow;
    }
    if (key->type == CONFIG_FLAG)
        return *(const bool *)at;
    memcpy(&wide, at, sizeof wide);
    return wide;
}

/* ---- Reading ----------------------------------------------------------------- */

const struct fy_mark *
config_mark(struct fy_node *where)
{
    void *cursor = NULL;

    /* A list or a map begins with the first thing in it. */
    while (where && !fy_node_is_scalar(where)) {
        struct fy_node *inner = NULL;
        cursor = NULL;
        if (fy_node_is_sequence(where)) {
            inner = fy_node_sequence_iterate(where, &cursor);
        } else {
            struct fy_node_pair *pair = fy_node_mapping_iterate(where, &cursor);
            inner = pair ? fy_node_pair_key(pair) : NULL;
        }
        where = inner;
    }
    struct fy_token *token = where ? fy_node_get_scalar_token(where) : NULL;
    return token ? fy_token_start_mark(token) : NULL;
}

FILE *
config_complain_at(struct reader *r, struct fy_node *where)
{
    const struct fy_mark *mark = config_mark(where);

    r->error_count++;
    fprintf(r->errors, "%s:%d:%d: ", r->name, mark ? mark->line + 1 : 1,
            mark ? mark->column + 1 : 1);
    return r->errors;
}

/* Edit distance, for "did you mean"; names longer than the rows are far off. */
static unsigned
distance(const char *a, const char *b)
{
    enum { ROOM = 64 };
    unsigned row[ROOM];
    size_t b_size = strlen(b);

    if (b_size >= ROOM)
        return ROOM;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i]; i++) {
        unsigned diagonal = row[0]++;
        for (size_t j = 0; j < b_size; j++) {
            unsigned best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (diagonal + 1 < best)
                best = diagonal + 1;
            row[j + 1] = best;
        }
    }
    return row[b_size];
}

static void
complain_unknown(struct reader *r, struct fy_node *key, const char *path)
{
    const char *best = NULL;
    unsigned best_distance = 5;

    for (size_t i = 0; i < config_key_count; i++) {
        unsigned d = distance(path, config_keys[i].path);
        if (d < best_distance) {
            best_distance = d;
            best = config_keys[i].path;
        }
    }
    if (distance(path, "access") < best_distance)
        best = "access";
    if (best)
        complain(r, key, "there is no key \"%s\"; did you mean \"%s\"?", path, best);
    else
        complain(r, key,
                 "there is no key \"%s\"; remove it, or see asupersyncd.yaml(5) for the keys",
                 path);
}

static void
read_value(struct reader *r, const struct config_key *key, struct fy_node *key_node,
           struct fy_node *node)
{
    const char *text = node && fy_node_is_scalar(node) ? fy_node_get_scalar0(node) : NULL;

    if (!text || *text == '\0') {
        complain(r, key_node, "\"%s\" needs a value: %s", key->path, type_text(key->type));
        return;
    }
    uint64_t value = 0;
    bool good = false;
    switch (key->type) {
    case CONFIG_COUNT:
        good = config_number(text, 10, &value);
        break;
    case CONFIG_MODE:
        good = config_number(text, 8, &value);
        break;
    case CONFIG_SIZE:
        good = config_size(text, &value);
        break;
    case CONFIG_DURATION:
        good = config_duration(text, &value);
        break;
    case CONFIG_FLAG:
        value = strcmp(text, "true") == 0;
        good = value || strcmp(text, "false") == 0;
        break;
    }
    if (!good) {
        complain(r, node, "\"%s\" is \"%s\", but must be %s", key->path, text,
                 type_text(key->type));
        return;
    }
    if (value < key->min || value > key->max) {
        char *bounds = NULL;
        size_t bounds_size = 0;
        FILE *f = open_memstream(&bounds, &bounds_size);
        if (f) {
            print_value(key->type, key->min, f);
            fputs(" to ", f);
            print_value(key->type, key->max, f);
            fclose(f);
        }
        complain(r, node, "\"%s\" is %s, but must be from %s", key->path, text,
                 bounds ? bounds : "its least to its largest value");
        free(bounds);
        return;
    }
    store(r->config, key, value);
}

static bool
is_section(const char *path)
{
    size_t size = strlen(path);

    for (size_t i = 0; i < config_key_count; i++) {
        if (strncmp(config_keys[i].path, path, size) == 0 && config_keys[i].path[size] == '.')
            return true;
    }
    return false;
}

/* At most three levels, as deep as the table's paths. */
static void
read_section(struct reader *r, struct fy_node *map, const char *prefix, int depth)
{
    void *cursor = NULL;
    struct fy_node_pair *pair;

    while ((pair = fy_node_mapping_iterate(map, &cursor)) != NULL) {
        struct fy_node *key_node = fy_node_pair_key(pair);
        struct fy_node *value = fy_node_pair_value(pair);
        const char *name =
            key_node && fy_node_is_scalar(key_node) ? fy_node_get_scalar0(key_node) : NULL;
        if (!name || *name == '\0') {
            complain(r, key_node, "a key must be plain text");
            continue;
        }
        char path[160];
        int size = snprintf(path, sizeof path, "%s%s%s", prefix, *prefix ? "." : "", name);
        if (size < 0 || (size_t)size >= sizeof path) {
            complain(r, key_node, "there is no key that long");
            continue;
        }
        const struct config_key *key = NULL;
        for (size_t i = 0; i < config_key_count && !key; i++) {
            if (strcmp(config_keys[i].path, path) == 0)
                key = &config_keys[i];
        }
        if (key)
            read_value(r, key, key_node, value);
        else if (strcmp(path, "access") == 0)
            config_read_access(r, key_node, value);
        else if (!is_section(path))
            complain_unknown(r, key_node, path);
        else if (value && fy_node_is_mapping(value) && depth < 3)
            read_section(r, value, path, depth + 1);
        else if (value && !fy_node_is_null(value))
            complain(r, key_node, "\"%s\" is a section: write its keys indented below it", path);
    }
}

/* What each key may be is in the table; what they are to each other is here. */
static void
check_together(struct reader *r)
{
    const struct config *c = r->config;

    if (c->kernel.session_ttl_ns > c->kernel.session_ttl_ns_max)
        complain(r, NULL, "\"sessions.ttl\" is longer than \"sessions.ttl-max\"; raise the latter");
    if (c->kernel.limits.waits_per_user > c->kernel.limits.waits_per_daemon)
        complain(r, NULL,
                 "\"limits.waits-per-user\" is more than \"limits.waits-per-daemon\"; "
                 "lower the former");
    if (c->kernel.limits.depth > ASUP_DEPTH_MAX)
        complain(r, NULL, "\"limits.region-depth\" may be at most %d", ASUP_DEPTH_MAX);
    for (int tier = 1; tier < 6; tier++) {
        if (c->kernel.allowance[tier].drain_ns > c->kernel.allowance[tier - 1].drain_ns) {
            complain(r, NULL,
                     "a more severe cause gets more drain time than a lesser one; make the "
                     "\"cleanup\" allowances fall from user to shutdown (R-CAN-2)");
            break;
        }
    }
}

/* Blank lines and comments only, as in the file that is installed: libfyaml
 * takes that for a failure. */
static bool
says_nothing(const char *text)
{
    while (*text) {
        text += strspn(text, " \t\r\n");
        if (*text == '#')
            text += strcspn(text, "\n");
        else if (*text)
            return false;
    }
    return true;
}

int
config_parse(const char *name, const char *text, size_t size, struct config *out, FILE *errors)
{
    struct config fresh;
    char *trouble = NULL;
    size_t trouble_size = 0;
    FILE *trouble_file = open_memstream(&trouble, &trouble_size);
    struct fy_diag_cfg diag_cfg;
    struct fy_diag *diag = NULL;
    struct fy_document *document = NULL;
    struct reader r = {.name = name, .config = &fresh, .errors = errors};

    config_init(&fresh);
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = trouble_file;
    diag_cfg.colorize = false;
    diag_cfg.show_source = false;
    diag_cfg.show_position = false;
    diag_cfg.show_type = false;
    diag_cfg.show_module = false;
    if (trouble_file)
        diag = fy_diag_create(&diag_cfg);
    if (!diag) {
        fprintf(errors, "%s: no memory to read it\n", name);
        r.error_count++;
        goto out;
    }
    struct fy_parse_cfg parse_cfg = {.diag = diag};
    if (!says_nothing(text)) {
        document = fy_document_build_from_string(&parse_cfg, text, size);
        fflush(trouble_file);
        if (!document) {
            r.error_count++;
            /* libfyaml says where: "<input>:line:column: ...". */
            const char *colon = trouble ? strchr(trouble, ':') : NULL;
            if (colon)
                fprintf(errors, "%s%.*s\n", name, (int)strcspn(colon, "\n"), colon);
            else
                fprintf(errors, "%s:1:1: this is not YAML\n", name);
            goto out;
        }
    }
    struct fy_node *root = document ? fy_document_root(document) : NULL;
    if (root && !fy_node_is_null(root)) {
        if (!fy_node_is_mapping(root)) {
            complain(&r, root, "the file must hold keys with values, such as \"retention: 1h\"");
            goto out;
        }
        read_section(&r, root, "", 1);
    }
    if (r.error_count == 0)
        check_together(&r);
    if (r.error_count == 0) {
        *out = fresh;
        fresh.access = NULL; /* the caller's now */
    }
out:
    config_fini(&fresh);
    fy_document_destroy(document);
    if (diag)
        fy_diag_destroy(diag);
    if (trouble_file)
        fclose(trouble_file);
    free(trouble);
    return r.error_count;
}

int
config_load(const char *path, bool required, struct config *out, FILE *errors)
{
    enum { SIZE_MAX_BYTES = 1 << 20 };
    struct config fresh;
    struct stat st;
    char *text = NULL;
    int rc = 1;

    FILE *f = path ? fopen(path, "re") : NULL;
    if (!f) {
        if (!path || (errno == ENOENT && !required)) {
            config_init(out);
            return 0;
        }
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
        return 1;
    }
    text = malloc(SIZE_MAX_BYTES + 1);
    if (!text) {
        fprintf(errors, "%s: no memory to read it\n", path);
        goto out;
    }
    size_t size = fread(text, 1, SIZE_MAX_BYTES + 1, f);
    if (ferror(f)) {
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(errno));
        goto out;
    }
    if (size > SIZE_MAX_BYTES) {
        fprintf(errors, "%s: larger than a configuration can be (1 MiB)\n", path);
        goto out;
    }
    text[size] = '\0';
    rc = config_parse(path, text, size, &fresh, errors);
    if (rc == 0 && fresh.access && fstat(fileno(f), &st) == 0 && (st.st_mode & S_IWOTH) != 0) {
        fprintf(errors, "%s: says who may do what, but everybody may write to it: chmod o-w\n",
                path);
        config_fini(&fresh);
        rc = 1;
    }
    if (rc == 0)
        *out = fresh;
out:
    free(text);
    fclose(f);
    return rc;
}

void
config_print(const struct config *config, FILE *out)
{
    const char *open = "";
    size_t open_size = 0;

    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        const char *name = strrchr(key->path, '.');
        size_t section_size = name ? (size_t)(name - key->path) : 0;
        /* "cleanup.user.drain" is printed flat in its section as user: {drain: ...}
         * would need the neighbours: each level opens its own line instead. */
        size_t at = 0;
        int depth = 0;
        bool same = true;
        while (at < section_size) {
            size_t end = at + strcspn(key->path + at, ".");
            same = same && end <= open_size && strncmp(open, key->path, end) == 0 &&
                   (open[end] == '.' || end == open_size);
            if (!same)
                fprintf(out, "%*s%.*s:\n", depth * 2, "", (int)(end - at), key->path + at);
            at = end + 1;
            depth++;
        }
        open = key->path;
        open_size = section_size;
        fprintf(out, "%*s# %s%s\n", depth * 2, "", key->help,
                key->restart ? " (needs a restart)" : "");
        fprintf(out, "%*s%s: ", depth * 2, "", name ? name + 1 : key->path);
        print_value(key->type, fetch(config, key), out);
        fputc('\n', out);
    }
    policy_print(config->access, out);
}
