/* SPDX-License-Identifier: MIT */
/* Crashes of engine, keeper and machine in the random walk: see walk.h. */
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "durably.h"

uint64_t crash_count, crash_reordered;
uint64_t crash_owed[FX_QUIESCENT + 1];
static bool ordered_just_now, resuming;

/* ---- The disk --------------------------------------------------------------------- */

struct record {
    uint64_t seq;
    size_t offset, size;
};

static struct {
    struct memory_file snapshot, events;
    struct record *records;
    size_t count, capacity;
    uint64_t committed;    /* seq of the last event on disk */
    uint32_t keeper, boot; /* under which the last RESUMED on disk was written */
} disk;

/* Those of now, and the RESUMED that is not on disk yet. */
static uint32_t keeper_now, boot_now;
static uint64_t resumed_seq;

/* Effects that wait. */
static struct effect *held;
static size_t held_count, held_capacity;

static void *
grown(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = 2 * *capacity + 64;
    items = realloc(items, *capacity * size);
    if (items == NULL)
        abort();
    return items;
}

static void
snapshot_take(void)
{
    struct durable_sink sink = memory_sink(&disk.snapshot);

    disk.snapshot.size = 0;
    disk.events.size = 0;
    disk.count = 0;
    if (kernel_save(kernel, &sink) != 0)
        walk_fail("no", "snapshot");
    disk.committed = kernel_durable_seq(kernel);
}

static void
event_write(const struct event *ev)
{
    static struct durable_buffer bytes;
    struct durable_sink sink = memory_sink(&disk.events);

    bytes.allocator = walk_allocator;
    bytes.size = 0;
    if (kernel_event_encode(ev, &bytes) != 0)
        walk_fail("not encoded:", event_kind_name(ev->kind));
    disk.records = grown(disk.records, disk.count, &disk.capacity, sizeof disk.records[0]);
    disk.records[disk.count++] =
        (struct record){.seq = ev->seq, .offset = disk.events.size, .size = bytes.size};
    (void)sink.write(sink.ctx, bytes.data, bytes.size);
}

/* What is on disk says under which keeper it was: in one transaction. */
static void
commit(void)
{
    disk.committed = kernel_durable_seq(kernel);
    if (disk.committed < resumed_seq)
        return;
    disk.keeper = keeper_now;
    disk.boot = boot_now;
}

/* ---- Output commit ----------------------------------------------------------------- */

static void
held_release(void)
{
    size_t left = 0;

    for (size_t i = 0; i < held_count; i++) {
        if (held[i].after <= disk.committed)
            effect_take(&held[i]);
        else
            held[left++] = held[i];
    }
    held_count = left;
    told_tell(disk.committed);
}

void
crash_step(const struct input *in, const struct step *out)
{
    for (size_t i = 0; i < out->event_count; i++) {
        if (out->events[i].durable)
            event_write(&out->events[i]);
    }
    told_step(in, out);
    told_tell(disk.committed);
    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];

        ordered_just_now = ordered_just_now || fx->kind == FX_START || fx->kind == FX_SIGNAL ||
                           fx->kind == FX_KILL || fx->kind == FX_SWEEP;
        crash_owed[fx->kind] += resuming;
        if (fx->after > kernel_durable_seq(kernel))
            walk_fail("R-DUR-1:", "an effect waits for what never happened");
        if (fx->after <= disk.committed) {
            effect_take(fx);
        } else {
            held = grown(held, held_count, &held_capacity, sizeof held[0]);
            held[held_count++] = *fx;
        }
    }
}

void
crash_settle(void)
{
    commit();
    held_release();
}

/* ---- Coming back ------------------------------------------------------------------------ */

/* The kernel that the journal makes. */
static struct kernel *
fold(asup_time at)
{
    static struct durable_buffer scratch;
    struct durable_source source = memory_source(&disk.snapshot);
    struct kernel *k = NULL;

    scratch.allocator = walk_allocator;
    if (kernel_load(&source, &walk_allocator, at, LOAD_RECOVER, &k) != 0)
        walk_fail("R-DUR-1:", "the snapshot cannot be read");
    for (size_t i = 0; i < disk.count; i++) {
        struct bytes bytes = {disk.events.data + disk.records[i].offset, disk.records[i].size};
        struct event ev;

        if (kernel_event_decode(bytes, &scratch, &ev) != 0)
            walk_fail("R-EVT-1:", "an event cannot be read");
        if (!ev.durable)
            walk_fail("R-DUR-1:", "a volatile event was written");
        kernel_apply(k, &ev);
    }
    return k;
}

static bool
inside_volatile(const struct kernel *k, uint64_t region)
{
    struct region_view r;

    return kernel_region(k, region, &r) && r.is_volatile;
}

/* With everything committed, all that is durable is as it was. */
static void
state_check(const struct kernel *before, const struct kernel *after)
{
    for (uint64_t id = 1; id <= kernel_id_last(before); id++) {
        struct region_view r0;
        struct region_view r1;
        struct task_view t0;
        struct task_view t1;

        if (kernel_region(before, id, &r0) && !r0.is_volatile) {
            if (!kernel_region(after, id, &r1) || r0.state != r1.state || r0.uid != r1.uid ||
                r0.cancelled != r1.cancelled || r0.reason != r1.reason ||
                r0.drain_end != r1.drain_end || r0.cost_spent != r1.cost_spent ||
                r0.has_outcome != r1.has_outcome || r0.session != r1.session)
                walk_fail("R-EVT-1:", "a durable region is not what it was");
            if (r0.has_outcome && (r0.outcome.key.severity != r1.outcome.key.severity ||
                                   r0.outcome.key.origin != r1.outcome.key.origin))
                walk_fail("R-TSK-6:", "an outcome changed");
        }
        if (!kernel_task(before, id, &t0) || inside_volatile(before, t0.region))
            continue;
        if (!kernel_task(after, id, &t1) || t0.state != t1.state || t0.region != t1.region ||
            t0.reason != t1.reason || t0.start_ordered != t1.start_ordered ||
            t0.started != t1.started || t0.escalated != t1.escalated || t0.pid != t1.pid ||
            t0.due_at != t1.due_at || t0.has_outcome != t1.has_outcome)
            walk_fail("R-EVT-1:", "a durable task is not what it was");
        if (t0.has_outcome && (t0.outcome.key.severity != t1.outcome.key.severity ||
                               t0.outcome.exit_code != t1.outcome.exit_code))
            walk_fail("R-TSK-6:", "an outcome changed");
    }
}

/* What the keeper's row of a task says, as facts. */
static void
row_tell(uint64_t id)
{
    struct process *p = &processes[id];
    struct input in = {.task = id};
    struct task_view t;

    if (!kernel_task(kernel, id, &t) || t.state == ASUP_TASK_COMPLETED) {
        memset(p, 0, sizeof *p); /* killed if it lives, and forgotten */
        return;
    }
    if (p->start_failed) {
        in.kind = IN_TASK_START_FAILED;
        in.u.start_failed.stage = "exec";
        in.u.start_failed.error = 2;
        (void)take_step(&in);
        return;
    }
    if (!p->started)
        return;
    in.kind = IN_TASK_STARTED;
    in.u.started.pid = (uint32_t)id + 1;
    (void)take_step(&in);
    if (p->emptied) {
        in = (struct input){.kind = IN_TASK_EMPTY, .task = id};
        (void)take_step(&in);
    }
    if (p->ended) {
        in = (struct input){.kind = IN_TASK_EXITED, .task = id};
        in.u.exited = p->exit;
        (void)take_step(&in);
    }
}

static void
come_back(bool same_keeper, bool same_boot, uint64_t id_first)
{
    struct input in = {.kind = IN_RESUMED};
    uint64_t last = id_first < TASKS_MAX ? id_first : TASKS_MAX;

    memset(sweeping, 0, sizeof sweeping);
    for (uint64_t id = 1; id < last; id++) {
        if (processes[id].ordered)
            row_tell(id);
    }
    in.u.resumed.same_keeper = same_keeper;
    in.u.resumed.same_boot = same_boot;
    in.u.resumed.id_first = id_first;
    resuming = same_keeper && same_boot;
    (void)take_step(&in);
    resuming = false;
    resumed_seq = kernel_durable_seq(kernel);
    if (kernel_recovering(kernel))
        walk_fail("R-TSK-5:", "it did not resume");
}

static void
crash(void)
{
    struct kernel *before = kernel;
    bool keeper_dies = dice(3) == 0;
    bool same_boot;
    uint64_t id_first = kernel_id_last(kernel) + 1;

    crash_count++;
    if (dice(2) == 0)
        commit(); /* but nothing went out any more */
    if (keeper_dies) {
        keeper_now++;
        boot_now += dice(2);
        memset(processes, 0, sizeof processes);
    }
    same_boot = boot_now == disk.boot;
    while (disk.count > 0 && disk.records[disk.count - 1].seq > disk.committed)
        disk.count--;
    if (disk.count > 0)
        disk.events.size = disk.records[disk.count - 1].offset + disk.records[disk.count - 1].size;
    held_count = 0;
    if (same_boot)
        now += dice(3) * ASUP_NS_PER_S;
    kernel = fold(same_boot ? now : 0);
    kernel_free(shadow);
    shadow = fold(same_boot ? now : 0);
    if (!same_boot)
        now = kernel_event_time(kernel);
    told_check(before, kernel);
    if (disk.committed == kernel_durable_seq(before))
        state_check(before, kernel);
    kernel_free(before);
    walk_recovered(disk.committed);
    come_back(keeper_now == disk.keeper, same_boot, id_first);
}

void
crash_perhaps(void)
{
    bool ordered = ordered_just_now;

    /* The moments after an order are the ones that count. */
    ordered_just_now = false;
    switch (dice(ordered ? 12 : 80)) {
    case 0:
        crash();
        break;
    case 1:
        crash_settle();
        snapshot_take();
        break;
    default:
        if (dice(3) == 0)
            crash_settle();
        break;
    }
}

void
crash_begin(void)
{
    held_count = 0;
    told_begin();
    keeper_now = boot_now = 0;
    ordered_just_now = false;
    resumed_seq = 0;
    snapshot_take();
    commit();
}

void
crash_end(void)
{
    free(held);
    told_end();
    free(disk.records);
    held = NULL;
    held_capacity = 0;
    memory_file_fini(&disk.snapshot);
    memory_file_fini(&disk.events);
    memset(&disk, 0, sizeof disk);
}
