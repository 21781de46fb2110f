/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/greet.h"

#include <stdio.h>
#include <unistd.h>

#include "daemon/keeper/engine.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/run_as.h"

/* Packets in one turn of the loop, so that ends are noticed in between. */
#define GREET_AT_ONCE 512

/* No memory or no descriptor for a packet: how long until the next try. */
#define GREET_PAUSE_NS (10 * ASUP_NS_PER_MS)

void
greet_fill_hello(struct keeper *k, struct link_message *message)
{
    message->u.hello.version = LINK_VERSION;
    message->u.hello.keeper_pid = (uint32_t)getpid();
    message->u.hello.keeper_instance = k->instance;
    (void)snprintf(message->u.hello.boot, sizeof message->u.hello.boot, "%s", k->boot);
    /* Where a task may run as root it could leave its cgroup, as one that runs
     * as the owner of the whole tree. */
    if (k->cgroup.present)
        k->containment = !keeper_switches_user(k) || run_as_allows(0)
                             ? CONTAINMENT_CGROUP2_COOPERATIVE
                             : CONTAINMENT_CGROUP2;
    message->u.hello.containment = k->containment;
    message->u.hello.engine_runs = k->engine.runs;
    message->u.hello.heartbeat_ns = k->options->engine_timeout_ns / 4;
    message->u.hello.system_mode = keeper_switches_user(k);
    message->u.hello.memory_limits = k->cgroup.memory;
    message->u.hello.pids_limits = k->cgroup.pids;
    (void)snprintf(message->u.hello.work_dir, sizeof message->u.hello.work_dir, "%s/work",
                   k->options->state_dir);
    (void)snprintf(message->u.hello.cgroup, sizeof message->u.hello.cgroup, "%.191s",
                   k->cgroup.present ? k->cgroup.tree : "");
}

static void
line_up(struct keeper *k)
{
    for (struct table_node *node = table_next(&k->regions, NULL); node != NULL;
         node = table_next(&k->regions, node)) {
        struct region *region = TABLE_OWNER(node, struct region, by_id);

        if (node->key != ASUP_ROOT_ID && !region->swept)
            chain_append(&k->untold_regions, &region->untold);
    }
    for (struct chain *at = k->changed.next; at != &k->changed; at = at->next) {
        struct row *row = CHAIN_OWNER(at, struct row, changed);

        row->log_sent = false;
        chain_remove(&row->unacked);
        chain_remove(&row->untold);
        if (!row->forgotten)
            chain_append(&k->untold, &row->untold);
    }
}

void
greet_begin(struct keeper *k)
{
    struct link_message hello = {.kind = LINK_HELLO};

    greet_fill_hello(k, &hello);
    (void)engine_send(k, &hello, -1);
    line_up(k);
    k->engine.greeting = true;
    k->engine.shutdown_retold = false;
    k->engine.greet_next_at = k->now;
    greet_turn(k);
}

/* One more packet: 0 or negative. */
static int
tell_next(struct keeper *k)
{
    struct link_message message = {.kind = LINK_REGION};
    struct region *region;
    struct row *row;
    int rc;

    if (!chain_empty(&k->untold_regions)) {
        region = CHAIN_OWNER(k->untold_regions.next, struct region, untold);
        message.u.region.region = region->by_id.key;
        message.u.region.parent =
            region->parent != NULL ? region->parent->by_id.key : (uint64_t)ASUP_ROOT_ID;
        rc = engine_send(k, &message, -1);
        if (rc == 0)
            chain_remove(&region->untold);
        return rc;
    }
    if (!chain_empty(&k->untold)) {
        row = CHAIN_OWNER(k->untold.next, struct row, untold);
        rc = row->forgotten ? 0 : row_tell(k, row);
        if (rc == 0)
            chain_remove(&row->untold);
        return rc;
    }
    if (k->engine.shutdown_told > 0 && !k->engine.shutdown_retold) {
        message.kind = LINK_SHUTDOWN;
        message.u.shutdown.count = k->engine.shutdown_told;
        rc = engine_send(k, &message, -1);
        k->engine.shutdown_retold = rc == 0;
        return rc;
    }
    message.kind = LINK_TABLE_END;
    rc = engine_send(k, &message, -1);
    if (rc < 0)
        return rc;
    k->engine.greeting = false;
    if (k->shutdown_count > k->engine.shutdown_told)
        engine_shut_down(k);
    if (k->engine.reload_owed)
        engine_reload(k);
    return 0;
}

void
greet_turn(struct keeper *k)
{
    struct keeper_engine *engine = &k->engine;

    if (!engine->greeting)
        return;
    engine->greet_next_at = k->now;
    for (int i = 0; i < GREET_AT_ONCE && engine->greeting; i++) {
        if (link_wants_write(&engine->link)) {
            engine->greet_next_at = ASUP_NEVER; /* engine_link_ready goes on */
            return;
        }
        if (tell_next(k) < 0) {
            engine->greet_next_at = k->now + GREET_PAUSE_NS;
            return;
        }
    }
}
