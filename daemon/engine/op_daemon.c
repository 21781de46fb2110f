/* SPDX-License-Identifier: MIT */
/* daemon.status, reload, upgrade, drain, shutdown. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "asupersync/version.h"
#include "daemon/engine/bodies.h"
#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/call.h"
#include "daemon/engine/clock.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/output.h"
#include "daemon/engine/reload.h"
#include "daemon/engine/replace.h"
#include "daemon/engine/shutdown.h"
#include "daemon/engine/standing.h"
#include "daemon/engine/why.h"

#define USED_UNKNOWN UINT64_MAX

static void
write_limit(struct proto_writer *w, const char *name, uint64_t used, uint64_t max)
{
    pw_key(w, name);
    pw_map(w);
    if (used != USED_UNKNOWN) {
        pw_key(w, "used");
        pw_uint(w, used);
    }
    pw_key(w, "max");
    pw_uint(w, max);
    pw_end(w);
}

/* What is used of a limit that holds for the whole daemon. */
static uint64_t
used_of(const struct engine *e, const char *name, const struct kernel_counts *counts)
{
    if (strcmp(name, "tasks-per-daemon") == 0)
        return counts->tasks;
    if (strcmp(name, "regions-per-daemon") == 0)
        return counts->regions;
    if (strcmp(name, "channels-per-daemon") == 0)
        return counts->channels;
    if (strcmp(name, "sessions-per-daemon") == 0)
        return counts->sessions;
    if (strcmp(name, "waits-per-daemon") == 0)
        return counts->waits + e->parked_count;
    if (strcmp(name, "queued-bytes-per-daemon") == 0)
        return counts->bytes;
    if (strcmp(name, "obligations-per-daemon") == 0)
        return owed(counts->obligations);
    if (strcmp(name, "retained-outcomes") == 0)
        return counts->retained;
    return USED_UNKNOWN;
}

static void
write_limits(struct proto_writer *w, struct engine *e, const struct kernel_counts *counts)
{
    const struct kernel_limits *limits = &e->config.kernel.limits;
    struct server_options server = server_options_of(e, &e->config);

    pw_key(w, "limits");
    pw_map(w);
#define WRITE_LIMIT(field, type, preset, name)                                                     \
    write_limit(w, name, used_of(e, name, counts), limits->field);
    KERNEL_LIMIT_LIST(WRITE_LIMIT)
#undef WRITE_LIMIT
    write_limit(w, "connections", server_connection_count(e->server), server.connections_max);
    write_limit(w, "connections-per-user", USED_UNKNOWN, server.connections_per_user);
    write_limit(w, "message-size", USED_UNKNOWN, e->config.message_size_max);
    write_limit(w, "events", e->window.count, e->window.count_max);
    write_limit(w, "events-bytes", e->window.bytes, e->window.bytes_max);
    write_limit(w, "log-bytes-per-task", USED_UNKNOWN, e->config.log_task_max);
    write_limit(w, "log-bytes", USED_UNKNOWN, e->config.log_total_max);
    pw_end(w);
}

static const char *
containment_name(uint32_t containment)
{
    switch ((enum containment)containment) {
    case CONTAINMENT_CGROUP2:
        return "cgroup2";
    case CONTAINMENT_CGROUP2_COOPERATIVE:
        return "cgroup2-cooperative";
    case CONTAINMENT_SUBREAPER:
        return "subreaper";
    }
    return "unknown";
}

static void
write_boot(struct proto_writer *w)
{
    char boot[64];

    clock_boot_id(boot, sizeof boot);
    pw_key(w, "boot");
    pw_str(w, boot);
}

static void
write_uint(struct proto_writer *w, const char *key, uint64_t value)
{
    pw_key(w, key);
    pw_uint(w, value);
}

static void
write_text(struct proto_writer *w, const char *key, const char *value)
{
    pw_key(w, key);
    pw_str(w, value);
}

static void
write_flag(struct proto_writer *w, const char *key, bool value)
{
    pw_key(w, key);
    pw_bool(w, value);
}

/* Sagas that wait for an operator, as the caller may see them (R-SAG-4). */
static void
write_attention(struct call *c, const struct kernel_counts *counts)
{
    const struct kernel *k = c->engine->kernel;
    struct saga_view saga;
    int most = 100;

    pw_key(c->w, "needs_attention");
    pw_list(c->w);
    for (uint64_t id = counts->sagas_attention ? kernel_saga_attention_next(k, 0) : 0;
         id && most > 0; id = kernel_saga_attention_next(k, id)) {
        if (!kernel_saga(k, id, &saga) || !call_sees(c, saga.region, saga.uid))
            continue;
        pw_id(c->w, ASUP_SORT_SAGA, id);
        most--;
    }
    pw_end(c->w);
}

/* Workers that were quiet for longer than their lease (R-TSK-5). */
static void
write_workers_lost(struct call *c)
{
    const struct kernel *k = c->engine->kernel;
    struct worker_view worker;
    int most = 16;

    pw_key(c->w, "workers_lost");
    pw_list(c->w);
    for (uint64_t id = 0; most > 0 && (id = kernel_worker_lost_next(k, id)) != 0;) {
        if (!kernel_worker(k, id, &worker) || !call_sees(c, worker.region, worker.uid))
            continue;
        pw_id(c->w, ASUP_SORT_SESSION, id);
        most--;
    }
    pw_end(c->w);
}

static void
write_journal(struct proto_writer *w, const struct engine *e)
{
    struct journal_state state;

    journal_look(e->journal, &state);
    pw_key(w, "journal");
    pw_map(w);
    write_uint(w, "added", state.added);
    write_uint(w, "committed", state.committed);
    write_uint(w, "snapshot", state.snapshot);
    write_uint(w, "commits", state.commits);
    write_uint(w, "bytes", state.bytes);
    write_uint(w, "held", output_held(e));
    write_flag(w, "failing", state.failing);
    pw_key(w, "reason");
    if (state.failing)
        pw_str(w, state.reason);
    else
        pw_nil(w);
    pw_end(w);
}

int
op_daemon_status(struct call *c)
{
    static const char *const states[] = {"running", "draining", "shutting-down"};
    struct engine *e = c->engine;
    struct proto_writer *w = c->w;
    struct kernel_counts counts;
    asup_time now = engine_now(e);
    uint64_t boot_ns = clock_boot();
    uint64_t started = procinfo_started(e->hello.keeper_pid); /* since the boot */

    kernel_counts(e->kernel, &counts);
    pw_map(w);
    write_text(w, "version", ASUP_VERSION);
    write_uint(w, "protocol", PROTO_VERSION);
    write_text(w, "containment", containment_name(e->hello.containment));
    write_text(w, "mode", e->options.user_mode ? "user" : "system");
    write_text(w, "state", states[e->phase]);
    write_uint(w, "pid", e->hello.keeper_pid);
    write_uint(w, "engine_pid", (uint64_t)getpid());
    write_uint(w, "engine_runs", e->hello.engine_runs);
    write_uint(w, "uptime_ns",
               started && started < boot_ns ? boot_ns - started : now - e->started_at);
    write_boot(w);
    write_uint(w, "regions", counts.regions);
    write_uint(w, "tasks", counts.tasks);
    write_uint(w, "running", counts.running);
    write_uint(w, "sessions", counts.sessions);
    write_uint(w, "waits", counts.waits + e->parked_count);
    write_uint(w, "connections", server_connection_count(e->server));
    write_uint(w, "draining", counts.draining);
    write_uint(w, "sagas", counts.sagas);
    write_attention(c, &counts);
    write_workers_lost(c);
    write_text(w, "governor", kernel_advice_name(kernel_advice(e->kernel)));
    pw_key(w, "obligations");
    body_kinds(w, counts.obligations);
    write_uint(w, "channels", counts.channels);
    write_uint(w, "messages", counts.messages);
    write_uint(w, "dead_letters", counts.dead);
    write_uint(w, "leases", counts.leases);
    write_uint(w, "leaked", counts.leaked);
    write_uint(w, "stuck", counts.stuck);
    write_limits(w, e, &counts);
    write_text(w, "cgroup", e->hello.cgroup);
    write_text(w, "runtime_dir", e->options.runtime_dir);
    write_text(w, "state_dir", e->options.state_dir);
    write_text(w, "config", e->options.config_path ? e->options.config_path : "");
    write_uint(w, "now_ns", now);
    write_uint(w, "now_wall_ns", clock_wall(now));
    write_uint(w, "potential", kernel_potential(e->kernel));
    write_uint(w, "log_bytes_lost", logs_lost_total(e->logs));
    write_flag(w, "memory_limits", e->hello.memory_limits);
    write_flag(w, "pids_limits", e->hello.pids_limits);
    write_journal(w, e);
    standing_write(c);
    pw_end(w);
    return 0;
}

static int
done(struct call *c)
{
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

int
op_daemon_reload(struct call *c)
{
    int errors = reload_configuration(c->engine);

    standing_of_call(c); /* the rule it had is gone */
    if (errors)
        return call_fail(c, -ASUP_EINVALID, NULL, "the daemon's log tells each with its line",
                         "the configuration has %d error%s; the old one stays in force", errors,
                         errors == 1 ? "" : "s");
    keeper_say(c->engine, LINK_REREAD);
    return done(c);
}

int
op_daemon_upgrade(struct call *c)
{
    char why[600];

    if (!replace_check(c->engine, why, sizeof why))
        return call_fail(c, -ASUP_EUNSUPPORTED, NULL, "nothing was changed: this engine goes on",
                         "%s", why);
    replace_begin(c->engine);
    return done(c);
}

int
op_daemon_drain(struct call *c)
{
    struct input in = {.kind = IN_REGION_END, .region = ASUP_ROOT_ID};
    struct answer answer;

    if (c->key && c->key->key.data)
        return call_fail(c, -ASUP_EUNSUPPORTED, "key",
                         "leave it out: draining twice is draining once",
                         "daemon.drain takes no idempotency key");
    in.u.end.mode = ASUP_END_FINISH;
    in.u.end.drain_ns = ASUP_NEVER;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    if (c->engine->phase == PHASE_RUNNING) {
        c->engine->phase = PHASE_DRAINING;
        keeper_status(c->engine);
    }
    return done(c);
}

int
op_daemon_shutdown(struct call *c)
{
    struct input in = {.kind = IN_SHUTDOWN,
                       .u.shutdown.within_ns = c->args->daemon_shutdown.within_ns};
    struct answer answer;

    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    shutdown_begun(c->engine);
    return done(c);
}
