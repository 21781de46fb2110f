/* SPDX-License-Identifier: MIT */
/* The life of engines, one after another on one disk, and what is checked of
 * them. This is daemon/engine/main.c without the machine. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "world.h"

#include "daemon/engine/adopt.h"
#include "daemon/engine/call.h"
#include "daemon/engine/commit.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/output.h"
#include "daemon/engine/recover.h"
#include "daemon/engine/replace.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/shutdown.h"
#include "daemon/engine/waits.h"

enum { STILL_RUNS = 42, ROUNDS_MAX = 1000 };

struct engine *engine;

static struct ev_loop *loop; /* never turns: its timers are steps of the script */
static int null_fd = -1;
static struct config config;
static struct cx_key cx_key;
static uint64_t ids_first;
static unsigned crashes;

void
broken(const char *rule, const char *what)
{
    fprintf(stderr, "broken: %s: %s\n", rule, what);
    abort();
}

/* ---- Begin ---------------------------------------------------------------------------- */

/* Small enough that every limit is met. */
static void
limits_choose(void)
{
    struct kernel_config *k = &config.kernel;
    struct kernel_limits *l = &k->limits;

    config_init(&config);
    k->start_window = 1 + dice(8);
    k->start_patience_ns = 1 + dice(4) * ASUP_NS_PER_S;
    k->fairness = 1 + dice(5);
    k->picks_per_step = 1 + dice(16);
    k->retention_ns = dice(60) * ASUP_NS_PER_S;
    k->futurelock_ns = dice(4) == 3 ? ASUP_NEVER : 1 + dice(5) * ASUP_NS_PER_S;
    k->strict = dice(4) == 3;
    l->retained = 4 + dice(60);
    l->requests_per_session = 1 + dice(30);
    l->tasks_per_user = 5 + dice(60);
    l->regions_per_user = 4 + dice(40);
    l->waits_per_user = 2 + dice(20);
    l->bytes_per_user = 4000 + dice(60000);
    l->dead_letters_per_user = 1 + dice(20);
    l->channels_per_user = 2 + dice(10);
    l->obligations_per_user = 4 + dice(40);
    l->leases_per_user = 1 + dice(8);
    l->depth = 2 + dice(8);
    config.journal_events = 20 + dice(200);
    config.events_count = 10 + dice(200);
    config.message_size_max = 1 << 16;
}

/* Rules for some; a reload, which finds none, is the end of them. */
static struct policy *
rules_choose(void)
{
    struct policy *p = NULL;
    const uint32_t count = dice(4);

    for (uint32_t i = 0; i < count; i++) {
        struct policy_rule *rule;

        if (!p && !(p = calloc(1, sizeof *p)))
            abort();
        rule = policy_add(p);
        if (!rule || !policy_span_add(&rule->users, 999 + dice(2), 1000 + dice(2)))
            abort();
        rule->rights = dice(4) == 3 ? 0 : dice(1 << 8) | dice(1 << 8) << 8;
        rule->rights &= ASUP_RIGHTS_ALL;
        rule->priority = (uint8_t)dice(200);
        rule->timeout_ns = dice(5) * ASUP_NS_PER_S;
        rule->polls = dice(20);
        rule->cost = dice(20);
        if (dice(3) == 2 && !(rule->region = strdup(dice(2) == 1 ? "/" : "/a")))
            abort();
    }
    return p;
}

static void
engine_new(void)
{
    engine = calloc(1, sizeof *engine);
    if (!engine)
        abort();
    *engine = (struct engine){
        .options = {.runtime_dir = "/run",
                    .state_dir = "/state",
                    .config_path = "/dev/null",
                    .owner_uid = 0,
                    .link_fd = null_fd,
                    .kill_fd = -1},
        .config = config,
        .loop = loop,
        .cx_key = cx_key,
        .exit_code = STILL_RUNS,
        .memory = proto_memory_new(),
        .spec_memory = proto_memory_new(),
        .ids.reserved = ids_first,
    };
    engine->config.kernel.id_first = ids_first;
    engine->config.access = rules_choose();
    snprintf(engine->socket_path, sizeof engine->socket_path, "/run/asupersyncd.sock");
    list_init(&engine->watchers);
    list_init(&engine->followers);
    proto_writer_init(&engine->writer);
    proto_writer_init(&engine->wait_writer);
    proto_writer_init(&engine->event_writer);
    window_init(&engine->window, config.events_count, config.events_bytes);
}

/* What somebody was told of, and is not volatile or forgotten, is there again. */
static bool
is_known(const struct kernel *k, enum asup_sort sort, uint64_t id)
{
    struct region_view region;
    struct task_view task;
    struct saga_view saga;
    struct channel_view channel;

    switch (sort) {
    case ASUP_SORT_REGION:
        return kernel_region(k, id, &region);
    case ASUP_SORT_TASK:
        return kernel_task(k, id, &task) && kernel_region(k, task.region, &region) &&
               !region.is_volatile;
    case ASUP_SORT_SAGA:
        return kernel_saga(k, id, &saga) && kernel_region(k, saga.region, &region) &&
               !region.is_volatile;
    case ASUP_SORT_CHANNEL:
        return kernel_channel(k, id, &channel) && kernel_region(k, channel.region, &region) &&
               !region.is_volatile;
    default:
        return false;
    }
}

static bool
is_inside_volatile(const struct kernel *k, uint64_t id)
{
    struct region_view region;

    return kernel_region(k, id, &region) && region.is_volatile &&
           kernel_region(k, region.parent, &region) && region.is_volatile;
}

static void
told_check(const struct kernel *before)
{
    static const enum asup_sort sorts[] = {ASUP_SORT_REGION, ASUP_SORT_TASK, ASUP_SORT_SAGA,
                                           ASUP_SORT_CHANNEL};
    struct asup_ref ref;

    for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
        for (uint32_t n = 0; (ref.id = clients_told(sorts[i], n)) != 0; n++) {
            if (sorts[i] == ASUP_SORT_REGION && is_inside_volatile(before, ref.id))
                continue;
            if (is_known(before, sorts[i], ref.id) && !is_known(engine->kernel, sorts[i], ref.id))
                broken("R-DUR-1", "what was acknowledged is lost");
        }
    }
}

/* `before`: the kernel of the engine that died, or NULL. */
static void
engine_start(const struct kernel *before)
{
    keeper_greets();
    engine_new();
    memory_left = -1;
    if (!keeper_open(engine))
        broken("link.h", "the keeper is not understood");
    engine->exit_code = STILL_RUNS;
    if (recover_open(engine, &scarce_memory) != 0)
        broken("R-EVT-1", "the journal cannot be read");
    engine->event_bytes.allocator = plain_memory; /* nobody lives on without that */
    if (before)
        told_check(before);
    if (!adopt_read(engine) || recover_tasks(engine) != 0)
        broken("R-TSK-5", "the tasks cannot be taken over");
    adopt_regions(engine);
    engine->server = (struct server *)(void *)&config; /* there, and never looked into */
    engine_settle(engine);
}

void
life_begin(const struct script_step *first)
{
    if (!loop) {
        loop = ev_loop_new(EVFLAG_NOENV);
        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        SHA256Init(&cx_key.inner);
        SHA256Init(&cx_key.outer);
        SHA256Update(&cx_key.outer, (const uint8_t *)"fuzz", 4);
    }
    stand_ins_reset();
    dice_seed(first->seed);
    limits_choose();
    disk_reset();
    keeper_reset();
    clients_reset();
    ids_first = 2;
    crashes = 0;
    engine_start(NULL);
}

/* ---- End ------------------------------------------------------------------------------- */

/* As if it were killed: nothing is told to anybody. Its kernel is left. */
static struct kernel *
engine_drop(void)
{
    struct kernel *kernel = engine->kernel;
    struct list *lists[] = {&engine->watchers, &engine->followers};
    uint64_t id;
    void *value;

    for (uint32_t i = 0; i < CONNECTIONS; i++)
        clients_let_go(i);
    for (size_t i = 0; i < 2; i++) {
        if (!list_empty(lists[i]))
            broken("waits.h", "somebody waits who is not there");
    }
    output_drop(engine);
    durable_buffer_fini(&engine->event_bytes);
    for (size_t cursor = 0; idmap_next(&engine->session_ids, &cursor, &id, &value); cursor = 0)
        session_remove(engine, id);
    idmap_fini(&engine->session_ids);
    idmap_fini(&engine->sessions);
    idmap_fini(&engine->parked_uids);
    idpages_fini(&engine->rows);
    window_fini(&engine->window);
    proto_writer_fini(&engine->writer);
    proto_writer_fini(&engine->wait_writer);
    proto_writer_fini(&engine->event_writer);
    proto_memory_free(engine->memory);
    proto_memory_free(engine->spec_memory);
    free(engine->inbox.facts);
    keeper_close(engine);
    if (engine->ids.reserved > ids_first)
        ids_first = engine->ids.reserved;
    config_fini(&engine->config);
    free(engine);
    engine = NULL;
    return kernel;
}

void
life_crash(bool keeper_too, bool machine_too)
{
    struct kernel *before;

    if (++crashes > CRASHES_MAX)
        return; /* each costs ids */
    before = engine_drop();
    replace_wanted = false;
    disk_crash();
    if (keeper_too || machine_too)
        keeper_dies(machine_too);
    if (machine_too)
        machine_now = (1 + dice(100)) * ASUP_NS_PER_S; /* since it was switched on */
    engine_start(before);
    kernel_free(before);
    life_check();
}

void
life_turn(void)
{
    commit_turn(engine);
    waits_deliver(engine);
    if (replace_wanted) {
        replace_wanted = false;
        disk_commit();
        life_crash(false, false);
    }
}

/* ---- Checks -----------------------------------------------------------------------------------
 */

void
life_check(void)
{
    const char *what = kernel_check(engine->kernel);

    if (what)
        broken("asupersync-semantics(7) 9", what);
    if (engine->event_bytes.allocator.resize != plain_memory.resize)
        broken("life.c", "memory for events is scarce");
    clients_check();
}

static void
nothing_left(void)
{
    struct kernel_counts counts;

    kernel_counts(engine->kernel, &counts);
    if (counts.tasks != 0 || counts.regions != 0 || counts.running != 0)
        broken("R-REG-4", "\"/\" is closed and something lives");
    for (unsigned i = 0; i < ASUP_OBLIGATION_KIND_COUNT; i++) {
        if (counts.obligations[i] != 0)
            broken("R-OBL-5", "\"/\" is closed and something is owed");
    }
    if (counts.leases != 0)
        broken("R-OBL-5", "\"/\" is closed and a name is held");
    if (kernel_potential(engine->kernel) != 0)
        broken("R-SCH-3", "the potential is not 0");
    if (keeper_processes() != 0)
        broken("R-TSK-4", "\"/\" is closed and a process lives");
    if (clients_parked() != 0)
        broken("R-REG-4", "\"/\" is closed and somebody waits");
}

/* R-SAG-4: a shutdown leaves what needs attention as it stands; an operator sees to it
 * that nothing does. */
static void
attend(void)
{
    struct answer answer;

    for (uint64_t id; (id = kernel_saga_attention_next(engine->kernel, 0)) != 0;) {
        struct input in = {.kind = IN_SAGA_RESOLVE, .subject = id};

        in.u.resolve.how = SAGA_RESOLVE;
        engine_ask(engine, &in, &answer);
        if (answer.code != 0)
            broken("R-SAG-4", "root may not resolve");
    }
}

static bool
root_is_closed(void)
{
    struct region_view root;

    return kernel_region(engine->kernel, ASUP_ROOT_ID, &root) && root.state == ASUP_REGION_CLOSED;
}

/* Everybody does what they are told, and time goes by. */
static void
end_round(void)
{
    asup_time due;
    asup_time now;
    bool any;

    do {
        any = false;
        for (uint32_t n = keeper_processes(); n > 0; n--)
            any = keeper_process(n - 1, true) || any;
        while (keeper_swept(false))
            any = true;
        while (keeper_sampled())
            any = true;
        life_turn();
        disk_commit();
    } while (any);
    attend();
    due = kernel_next_deadline(engine->kernel);
    now = engine_now(engine);
    machine_now += due != ASUP_NEVER && due > now ? due - now : ASUP_NS_PER_MS;
    engine_feed(engine, &(struct input){.kind = IN_TICK});
    engine_settle(engine);
    keeper_send_owed(engine);
    life_turn();
    disk_commit();
    life_check();
}

void
life_end(void)
{
    memory_left = -1;
    disk_fail(false);
    engine_settle(engine);
    shutdown_asked(engine, engine->shutdown_count + 1);
    for (int round = 0; !root_is_closed() || engine->exit_code == STILL_RUNS; round++) {
        if (round == ROUNDS_MAX / 2)
            shutdown_asked(engine, engine->shutdown_count + 1);
        if (round == ROUNDS_MAX)
            broken("R-REG-4", "\"/\" does not close");
        end_round();
    }
    nothing_left();
    for (uint32_t i = 0; i < CONNECTIONS; i++)
        clients_hang_up(i);
    clients_check();
    kernel_free(engine_drop());
    disk_fini();
}
