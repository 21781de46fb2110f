/* SPDX-License-Identifier: MIT */
/* The keeper: it starts what it is told once, and its processes do what the
 * script says. Between engines it holds its rows. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "world.h"

#include "daemon/engine/keeper_link.h"

struct process {
    struct link_row row; /* task 0: there is none */
    bool told_signal, told_kill;
};

static struct process processes[IDS_MAX];
static bool was_started[IDS_MAX];
static bool sweeping[IDS_MAX], sampling[IDS_MAX];
static uint64_t last; /* highest id that was heard of */
static uint64_t instance, boot;
static uint32_t runs;
static uint64_t table_at; /* where telling the table has got to */
static bool greeting;

static struct process *
process_of(uint64_t task)
{
    if (task == 0 || task >= IDS_MAX)
        broken("link.h", "an id that was never given out");
    if (task > last)
        last = task;
    return &processes[task];
}

static void
all_end(void)
{
    memset(processes, 0, (last + 1) * sizeof processes[0]);
    memset(sweeping, 0, (last + 1) * sizeof sweeping[0]);
    memset(sampling, 0, (last + 1) * sizeof sampling[0]);
}

void
keeper_reset(void)
{
    memset(was_started, 0, (last + 1) * sizeof was_started[0]);
    all_end();
    last = 0;
    instance = boot = 1;
    runs = 0;
}

void
keeper_greets(void)
{
    greeting = true;
    table_at = 0;
    runs++;
}

void
keeper_dies(bool machine_too)
{
    all_end();
    instance++;
    boot += machine_too;
    runs = 0;
}

/* ---- Orders ------------------------------------------------------------------------- */

static void
order_start(uint64_t task)
{
    struct process *p = process_of(task);

    if (p->row.task != 0)
        return; /* it has that row */
    /* A finalizer runs again when its keeper is gone; nothing else does, and that
     * only then. */
    if (was_started[task] && runs != 0 && instance == 1)
        broken("R-TSK-5", "a task is started twice");
    was_started[task] = true;
    *p = (struct process){.row = {.task = task, .exit_code = -1}};
}

static void
order_forget(uint64_t task)
{
    struct process *p = process_of(task);

    if (p->row.task != 0 && !(p->row.facts & ROW_EMPTY))
        broken("R-TSK-4", "a task is forgotten that is not gone");
    memset(p, 0, sizeof *p);
}

int
link_send(struct link *link, struct link_message *message, int fd)
{
    (void)link;
    (void)fd;
    switch ((enum link_kind)message->kind) {
    case LINK_START:
        order_start(message->u.start.task);
        break;
    case LINK_SIGNAL:
        if (message->u.signal.signal < 1 || message->u.signal.signal > 64)
            broken("R-TSK-2", "no signal");
        process_of(message->u.signal.task)->told_signal = true;
        break;
    case LINK_KILL:
        process_of(message->u.task)->told_kill = true;
        break;
    case LINK_FORGET:
        order_forget(message->u.task);
        break;
    case LINK_SAMPLE:
        (void)process_of(message->u.task);
        sampling[message->u.task] = true;
        break;
    case LINK_SWEEP:
        (void)process_of(message->u.sweep.region);
        sweeping[message->u.sweep.region] = true;
        break;
    default:
        break;
    }
    return 0;
}

void
link_init(struct link *link, int fd, uint32_t queued_max)
{
    *link = (struct link){.fd = fd, .queued_max = queued_max};
}

void
link_fini(struct link *link)
{
    (void)link;
}

int
link_flush(struct link *link)
{
    (void)link;
    return 0;
}

int
link_receive(int socket_fd, struct link_message *out, int *fd_out)
{
    (void)socket_fd;
    memset(out, 0, sizeof *out);
    *fd_out = -1;
    if (greeting) {
        greeting = false;
        out->kind = LINK_HELLO;
        out->u.hello.version = LINK_VERSION;
        out->u.hello.heartbeat_ns = ASUP_NS_PER_S;
        out->u.hello.engine_runs = runs;
        out->u.hello.keeper_instance = instance;
        out->u.hello.system_mode = true;
        snprintf(out->u.hello.boot, sizeof out->u.hello.boot, "boot-%u", (unsigned)boot);
        snprintf(out->u.hello.work_dir, sizeof out->u.hello.work_dir, "/work");
        return 1;
    }
    while (++table_at <= last) {
        if (processes[table_at].row.task != 0) {
            out->kind = LINK_ROW;
            out->u.row = processes[table_at].row;
            return 1;
        }
    }
    out->kind = LINK_TABLE_END;
    return 1;
}

/* ---- Processes -------------------------------------------------------------------------- */

static bool
is_over(const struct process *p)
{
    return (p->row.facts & ROW_EMPTY) != 0;
}

static bool
is_willing(const struct process *p, bool hurry)
{
    if (p->told_kill || (p->told_signal && p->row.task % 3 != 0))
        return true;
    return !hurry && dice(3) == 0;
}

static void
process_ends(struct process *p)
{
    struct link_row *row = &p->row;

    row->facts |= ROW_EXITED;
    row->cpu_ns = dice(500) * ASUP_NS_PER_MS;
    row->memory_peak = dice(1 << 20);
    if (p->told_kill) {
        row->facts |= ROW_KILL_DELIVERED;
        row->signal = 9;
    } else if (p->told_signal) {
        row->facts |= ROW_SIGNAL_DELIVERED;
        row->signal = 15;
    } else {
        row->exit_code = (int32_t)dice(3);
    }
    if (dice(24) == 23)
        row->facts |= ROW_LOST;
    if (dice(24) == 23)
        row->facts |= ROW_OOM_KILLED;
    if (dice(3) != 0)
        row->facts |= ROW_EMPTY;
}

/* Whether its row changed. */
static bool
process_acts(struct process *p, bool hurry)
{
    struct link_row *row = &p->row;

    if (!(row->facts & (ROW_STARTED | ROW_START_FAILED))) {
        if (dice(8) == 7) {
            row->facts |= ROW_START_FAILED | ROW_EMPTY;
            row->error = ENOENT;
            snprintf(row->stage, sizeof row->stage, "exec");
        } else {
            row->facts |= ROW_STARTED;
            row->pid = 5000000 + (uint32_t)row->task; /* none that there is */
            if (dice(4) == 3)
                process_ends(p);
        }
        return true;
    }
    if (row->facts & ROW_EXITED) {
        row->facts |= ROW_EMPTY;
        return true;
    }
    if (p->told_signal && !(row->facts & (ROW_SIGNAL_DELIVERED | ROW_SIGNAL_LATE)) &&
        dice(2) == 0) {
        row->facts |= ROW_SIGNAL_DELIVERED;
        return true;
    }
    if (!is_willing(p, hurry))
        return false;
    process_ends(p);
    return true;
}

uint32_t
keeper_processes(void)
{
    uint32_t count = 0;

    for (uint64_t id = 1; id <= last; id++)
        count += processes[id].row.task != 0 && !is_over(&processes[id]);
    return count;
}

bool
keeper_process(uint32_t which, bool hurry)
{
    uint32_t count = keeper_processes();

    if (count == 0)
        return false;
    which %= count;
    for (uint64_t id = 1; id <= last; id++) {
        struct process *p = &processes[id];

        if (p->row.task == 0 || is_over(p) || which-- != 0)
            continue;
        if (!process_acts(p, hurry))
            return false;
        p->row.version++;
        const struct link_row row = p->row; /* the answer may be to forget it */
        keeper_take_row(engine, &row, -1);
        engine_settle(engine);
        return true;
    }
    return false;
}

bool
keeper_swept(bool fails)
{
    for (uint64_t id = 1; id <= last; id++) {
        if (!sweeping[id])
            continue;
        sweeping[id] = false;
        engine_feed(engine, &(struct input){.kind = IN_REGION_SWEPT,
                                            .region = id,
                                            .u.swept.error = fails ? EBUSY : 0});
        engine_settle(engine);
        return true;
    }
    return false;
}

bool
keeper_sampled(void)
{
    for (uint64_t id = 1; id <= last; id++) {
        if (!sampling[id])
            continue;
        sampling[id] = false;
        engine_feed(engine, &(struct input){.kind = IN_TASK_SAMPLED,
                                            .task = id,
                                            .u.sampled.cpu_ns = dice(500) * ASUP_NS_PER_MS});
        engine_settle(engine);
        return true;
    }
    return false;
}
