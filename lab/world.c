/* SPDX-License-Identifier: MIT */
/* A world from its beginning to its end: see world.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

/* ---- What a seed draws ------------------------------------------------------------------ */

/* The most often that each happens where it can, in 65536. Troubles of the whole
 * world are asked for about ten times a second. */
static const uint32_t chance_most[FAULT_COUNT] = {
    [FAULT_MESSAGE_LATE] = 6000,    [FAULT_MESSAGE_LOST] = 6000,    [FAULT_ANSWER_LOST] = 8000,
    [FAULT_MESSAGE_TWICE] = 8000,   [FAULT_CONNECTION_LOST] = 6000, [FAULT_SESSION_LOST] = 3000,
    [FAULT_CLIENT_DIED] = 2000,     [FAULT_REPEAT] = 12000,         [FAULT_REPEAT_BY_KEY] = 20000,
    [FAULT_CONFLICT] = 6000,        [FAULT_RUDE] = 65536,           [FAULT_STRAY_FACT] = 30000,
    [FAULT_WORKER_QUIET] = 6000,    [FAULT_WORKER_DIED] = 2000,     [FAULT_COMPLETE_LATE] = 12000,
    [FAULT_COMPLETE_TWICE] = 20000, [FAULT_PROCESS_CRASH] = 16000,  [FAULT_PROCESS_OOM] = 6000,
    [FAULT_PROCESS_HANG] = 20000,   [FAULT_PROCESS_DEAF] = 30000,   [FAULT_PROCESS_FORKS] = 20000,
    [FAULT_PROCESS_SILENT] = 20000, [FAULT_PROCESS_STUCK] = 12000,  [FAULT_START_SLOW] = 12000,
    [FAULT_START_FAILED] = 12000,   [FAULT_STATUS_LOST] = 5000,     [FAULT_ROW_TWICE] = 12000,
    [FAULT_ROW_LATE] = 3000,        [FAULT_SWEEP_FAILED] = 20000,   [FAULT_ENGINE_CRASH] = 12000,
    [FAULT_KEEPER_CRASH] = 3000,    [FAULT_MACHINE_CRASH] = 3000,   [FAULT_TORN_TAIL] = 65536,
    [FAULT_COMMIT_SLOW] = 3000,     [FAULT_DISK_FULL] = 400,        [FAULT_DISK_ERROR] = 3000,
    [FAULT_SNAPSHOT] = 12000,       [FAULT_NO_MEMORY] = 6000,       [FAULT_RELOAD] = 6000,
    [FAULT_TICK_LATE] = 4000,       [FAULT_CLOCK_JUMP] = 2000,      [FAULT_CONFIG] = 6000,
    [FAULT_SHUTDOWN] = 500,
};

static void
faults_draw(struct world *w)
{
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        uint32_t most = chance_most[i];
        bool in_force = dice(w, 2) == 0;
        uint32_t chance = most >> dice(w, 4);

        if ((w->options.faults >> i & 1) == 0)
            continue;
        if (!w->options.swarm)
            w->chance[i] = most / 4 + 1;
        else if (in_force)
            w->chance[i] = chance + 1;
    }
}

static void
config_draw(struct world *w)
{
    struct kernel_config *c = &w->config;

    kernel_config_init(c);
    c->start_window = 1 + dice(w, 8);
    c->start_patience_ns = 1 + dice(w, 4) * ASUP_NS_PER_S;
    c->fairness = 1 + dice(w, 5);
    c->picks_per_step = 1 + dice(w, 9);
    c->limits.retained = 10 + dice(w, 50);
    c->limits.requests_per_session = 1 + dice(w, 40);
    c->limits.tasks_per_user = 5 + dice(w, 60);
    c->limits.regions_per_user = 3 + dice(w, 20);
    c->limits.waits_per_user = dice(w, 20);
    c->limits.bytes_per_user = 20000;
    c->limits.dead_letters_per_user = dice(w, 20);
    c->limits.channels_per_user = 1 + dice(w, 10);
    c->limits.depth = 1 + dice(w, 6);
    c->limits.obligations_per_user = 2 + dice(w, 40);
    c->limits.leases_per_user = 1 + dice(w, 8);
    c->retention_ns = dice(w, 60) * ASUP_NS_PER_S;
    c->key_retention_ns = dice(w, 2) == 0 ? (1 + dice(w, 20)) * ASUP_NS_PER_S : c->key_retention_ns;
    c->dead_retention_ns = dice(w, 2) == 0 ? dice(w, 20) * ASUP_NS_PER_S : c->dead_retention_ns;
    c->session_ttl_ns = (1 + dice(w, 20)) * ASUP_NS_PER_S / 2;
    c->futurelock_ns = dice(w, 4) == 0 ? ASUP_NEVER : 1 + dice(w, 5) * ASUP_NS_PER_S;
    c->ack_timeout_ns = (1 + dice(w, 10)) * ASUP_NS_PER_S / 2;
    c->permit_timeout_ns = (1 + dice(w, 10)) * ASUP_NS_PER_S / 2;
    c->finalizer_ns = (1 + dice(w, 20)) * ASUP_NS_PER_S / 2;
    c->strict = dice(w, 4) == 0;
    for (unsigned tier = 0; tier < 6; tier++) {
        c->allowance[tier].polls = 1 + dice(w, 6);
        if (dice(w, 2) == 0)
            c->allowance[tier].drain_ns = dice(w, 30) * ASUP_NS_PER_S / 10;
    }
}

static void
draw(struct world *w, const struct world_options *options)
{
    w->options = *options;
    prng_seed(&w->prng, options->seed);
    faults_draw(w);
    config_draw(w);
    w->check_every = 1 + dice(w, 16);
    w->memory_left = -1;
    w->now = ASUP_NS_PER_S;
}

void
world_options_init(struct world_options *options, uint64_t seed)
{
    *options = (struct world_options){
        .seed = seed, .steps = 2000, .faults = WORLD_FAULTS_ALL, .swarm = true};
}

void
world_options_print(const struct world_options *options, FILE *to)
{
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL)
        return;
    draw(w, options);
    (void)fprintf(to, "seed %" PRIu64 ", %" PRIu32 " steps, thorough checks every %" PRIu64 "\n",
                  options->seed, options->steps, w->check_every);
    for (unsigned i = 0; i < FAULT_COUNT; i++) {
        if (w->chance[i] > 0)
            (void)fprintf(to, "  %-16s %7.3f %%  %s\n", world_fault_name(i),
                          (double)w->chance[i] * 100 / 65536, world_fault_text(i));
    }
#define LIMIT_PRINT(field, type, preset, name)                                                     \
    if (w->config.limits.field != (type)(preset))                                                  \
        (void)fprintf(to, "  %-26s %" PRIu64 "\n", name, (uint64_t)w->config.limits.field);
    KERNEL_LIMIT_LIST(LIMIT_PRINT)
#undef LIMIT_PRINT
    (void)fprintf(to,
                  "  start-window %" PRIu32 ", fairness %" PRIu32 ", picks-per-step %" PRIu32
                  ", retention %.1f s, session %.1f s, finalizer %.1f s%s\n",
                  w->config.start_window, w->config.fairness, w->config.picks_per_step,
                  (double)w->config.retention_ns / 1e9, (double)w->config.session_ttl_ns / 1e9,
                  (double)w->config.finalizer_ns / 1e9, w->config.strict ? ", strict" : "");
    free(w);
}

/* ---- Troubles ------------------------------------------------------------------------------ */

static void
reload(struct world *w)
{
    struct kernel **which = dice(w, 3) == 0 ? &w->kernel : &w->shadow;
    struct bytes_file file = {0};
    struct durable_sink sink = bytes_sink(&file);
    struct durable_source source;
    struct kernel_allocator allocator = world_allocator(w);
    struct kernel *loaded = NULL;

    if (kernel_save(*which, &sink) != 0)
        world_fail(w, "a kernel cannot be saved");
    source = bytes_source(&file);
    if (kernel_load(&source, &allocator, kernel_now(w), LOAD_EXACT, &loaded) != 0) {
        world_fail(w, "a kernel cannot be loaded");
    } else {
        if (kernel_digest(loaded) != kernel_digest(*which))
            world_fail(w, "a kernel is another one after a snapshot");
        /* Parked requests are no state: they are gone. */
        if (which == &w->kernel)
            exchanges_forget(w);
        kernel_free(*which);
        *which = loaded;
    }
    bytes_file_fini(&file);
}

static void
configure(struct world *w)
{
    struct kernel_config config = *kernel_configuration(w->kernel);
    struct input in = {.kind = IN_CONFIG, .u.config = &config};

    config.fairness = 1 + dice(w, 5);
    config.start_window = 1 + dice(w, 6);
    config.start_patience_ns = dice(w, 4) * ASUP_NS_PER_S;
    config.limits.retained = dice(w, 30);
    config.limits.requests_per_session = 1 + dice(w, 40);
    config.retention_ns = dice(w, 9) * ASUP_NS_PER_S;
    config.futurelock_ns = 1 + dice(w, 9) * ASUP_NS_PER_S;
    (void)world_step(w, &in);
}

static void
shut_down(struct world *w)
{
    struct input in = {.kind = IN_SHUTDOWN, .token = ++w->token};

    in.u.shutdown.within_ns = dice(w, 2) == 0 ? ASUP_NEVER : dice(w, 9000) * ASUP_NS_PER_MS;
    (void)world_step(w, &in);
}

/* What comes by itself, about ten times a second. */
static void
trouble(struct world *w)
{
    uint32_t client = dice(w, CLIENTS);

    if (w->calm)
        return;
    agenda_add(w, (struct agenda_item){.at = w->now + ASUP_NS_PER_MS +
                                             (uint64_t)dice(w, 200) * ASUP_NS_PER_MS,
                                       .kind = AGENDA_TROUBLE});
    if (fault(w, FAULT_CONNECTION_LOST))
        client_lost(w, client, (uint64_t)dice(w, 900) * ASUP_NS_PER_MS);
    if (fault(w, FAULT_SESSION_LOST))
        client_lost(w, client, w->config.session_ttl_ns * (1 + dice(w, 3)));
    if (fault(w, FAULT_CLIENT_DIED))
        client_die(w, client);
    if (!w->up)
        return;
    if (fault(w, FAULT_STRAY_FACT))
        stray_fact(w);
    if (fault(w, FAULT_SNAPSHOT))
        disk_snapshot(w);
    if (fault(w, FAULT_RELOAD))
        reload(w);
    if (fault(w, FAULT_CONFIG))
        configure(w);
    if (fault(w, FAULT_SHUTDOWN))
        shut_down(w);
    if (fault(w, FAULT_CLOCK_JUMP))
        w->shift += (int64_t)((uint64_t)dice(w, 3600000) * ASUP_NS_PER_MS);
    if (fault(w, FAULT_MACHINE_CRASH))
        crash(w, true, true);
    else if (fault(w, FAULT_KEEPER_CRASH))
        crash(w, true, false);
    else if (fault(w, FAULT_ENGINE_CRASH))
        crash(w, false, false);
}

/* ---- Turns ----------------------------------------------------------------------------------- */

static void
item_take(struct world *w, const struct agenda_item *item)
{
    switch (item->kind) {
    case AGENDA_REQUEST:
        request_arrives(w, item->owned);
        request_drop(((struct message *)item->owned)->q);
        break;
    case AGENDA_ANSWER:
        client_answer(w, item->owned);
        request_drop(((struct message *)item->owned)->q);
        break;
    case AGENDA_CLIENT:
        if (item->number == CLIENTS)
            rude_act(w);
        else
            client_act(w, (uint32_t)item->number, item->life);
        break;
    case AGENDA_ORDER:
        if (item->life == w->keeper_run)
            keeper_take(w, item->owned);
        break;
    case AGENDA_ROW:
        if (item->life == w->engine_run && w->up)
            row_take(w, item->owned, false);
        break;
    case AGENDA_FACT:
        if (item->life == w->engine_run && w->up)
            (void)world_step(w, item->owned);
        break;
    case AGENDA_PROCESS:
        process_turn(w, item);
        break;
    case AGENDA_COMMIT:
        if (item->life == w->engine_run && w->up)
            disk_commit_done(w);
        break;
    case AGENDA_TROUBLE:
        trouble(w);
        break;
    case AGENDA_ENGINE:
        if (item->life == w->engine_run)
            crash_return(w);
        break;
    }
    free(item->owned);
}

/* When the kernel wants to be stepped, in the time of the world. */
static asup_time
tick_at(struct world *w)
{
    asup_time due = w->up ? kernel_next_deadline(w->kernel) : ASUP_NEVER;
    asup_time at;

    if (due == ASUP_NEVER)
        return ASUP_NEVER;
    at = due <= kernel_now(w) ? w->now : (asup_time)((int64_t)due - w->shift);
    return at < w->tick_not_before ? w->tick_not_before : at;
}

void
world_turn(struct world *w)
{
    asup_time at = tick_at(w);
    struct input in = {.kind = IN_TICK};
    struct agenda_item item;

    if (agenda_at(w) <= at) {
        if (!agenda_next(w, &item))
            return;
        if (item.at > w->now)
            w->now = item.at;
        item_take(w, &item);
    } else {
        if (at > w->now)
            w->now = at;
        if (fault(w, FAULT_TICK_LATE))
            w->tick_not_before = w->now + (uint64_t)dice(w, 3000) * ASUP_NS_PER_MS;
        else
            (void)world_step(w, &in);
    }
    if (w->ordered && w->up && fault(w, FAULT_ENGINE_CRASH))
        crash(w, false, false); /* the moments after an order are the ones that count */
    w->ordered = false;
    if (w->quiescent && w->up && !w->calm) { /* it exits, and is started again */
        deed(w, DEED_REOPENED);
        crash(w, true, dice(w, 2) == 0);
    }
    if (w->rude_at <= w->now && !w->calm) {
        w->rude_at = w->now + (uint64_t)dice(w, 40) * ASUP_NS_PER_MS;
        rude_act(w);
    }
}

/* ---- All of it
 * ----------------------------------------------------------------------------------- */

static bool
world_begin(struct world *w)
{
    struct kernel_allocator allocator = world_allocator(w);

    w->event_bytes.allocator = w->event_scratch.allocator = allocator;
    w->kernel = kernel_new(&w->config, &allocator, kernel_now(w));
    w->shadow = kernel_new(&w->config, &allocator, kernel_now(w));
    if (w->kernel == NULL || w->shadow == NULL)
        return false;
    w->oracles = oracles_new(&w->config);
    if (w->oracles == NULL)
        return false;
    w->up = true;
    disk_begin(w);
    clients_begin(w);
    agenda_add(w, (struct agenda_item){.at = w->now, .kind = AGENDA_TROUBLE});
    if (w->options.on_begin != NULL)
        w->options.on_begin(w->options.ctx, w->kernel);
    return true;
}

static void
world_fini(struct world *w)
{
    clients_fini(w);
    net_fini(w);
    for (size_t i = 0; i < w->held_count; i++)
        free(w->held[i].list);
    free(w->held);
    disk_fini(&w->disk);
    told_fini(w);
    if (w->oracles != NULL) {
        oracles_free(w->oracles);
    }
    kernel_free(w->kernel);
    kernel_free(w->shadow);
    durable_buffer_fini(&w->event_bytes);
    durable_buffer_fini(&w->event_scratch);
    free(w);
}

int
world_run(const struct world_options *options, struct world_report *report,
          struct world_counts *sum)
{
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL)
        return -ASUP_ENOMEM;
    memset(report, 0, sizeof *report);
    w->report = report;
    draw(w, options);
    if (!world_begin(w)) {
        world_fini(w);
        return -ASUP_ENOMEM;
    }
    while (!w->failed && w->steps < options->steps && kernel_id_last(w->kernel) < IDS_MAX * 3 / 4)
        world_turn(w);
    if (!w->failed)
        world_calm(w);
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++)
        w->counts.judged[i] = oracles_judged(w->oracles, (enum asup_oracle)i);
    report->ok = !w->failed;
    report->steps = w->steps;
    report->elapsed = w->now;
    report->id_last = w->kernel == NULL ? 0 : kernel_id_last(w->kernel);
    w->counts.worlds = 1;
    w->counts.steps = w->steps;
    w->counts.seconds = w->now / ASUP_NS_PER_S;
    if (sum != NULL)
        world_counts_add(sum, &w->counts);
    world_fini(w);
    return report->ok ? 0 : -ASUP_EPANICKED;
}
