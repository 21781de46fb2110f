/* SPDX-License-Identifier: MIT */
/*
 * Durability: events as bytes, the whole state as bytes, and how a kernel comes
 * back after a crash (R-EVT-1, R-DUR-1, R-TSK-5, semantics "Time").
 *
 * The journal is a snapshot and the durable events after it. The shell keeps
 * both; the kernel only turns them into bytes and back:
 *
 *     kernel_save() --> snapshot at seq S
 *     step --> events; those with ev.durable --> kernel_event_encode() --> journal
 *
 *     kernel_load(LOAD_RECOVER)              the snapshot
 *     kernel_event_decode(), kernel_apply()  each durable event with seq > S, in order
 *     IN_TASK_STARTED, _SIGNALLED, _EXITED, _EMPTY, IN_TASK_LOST ...
 *                                            what the keeper's rows say, in order of change
 *     IN_RESUMED                             what is owed goes out again; life goes on
 *
 * A journal begins with a snapshot: the configuration of the kernel is in it.
 * A new configuration is told by IN_CONFIG after IN_RESUMED, as ever.
 *
 * Which events are durable. emit() says so in ev.durable. Volatile are:
 *   - by kind: TICK, TASK_CHECKPOINTED, TASK_MASKED, TASK_SAMPLE_ORDERED, TASK_WATCHDOG_FED,
 *     SESSION_LOST, SESSION_ATTACHED that changes neither pid nor time to live,
 *     TASK_CHARGED that charges no ancestor, JOURNAL_STATE. After a crash polls
 *     spent since the last snapshot are not counted; times start anew;
 *   - what happens in a volatile region, or below one (R-DUR-1). Of the topmost
 *     one its opening, closing and forgetting are durable; what it spends is
 *     charged to durable ancestors by REGION_CHARGED; a cancel reason that its
 *     outcome names is told by REASON_MADE before;
 *   - REQUEST_BOUND, REQUEST_PART_BOUND and KEY_BOUND of a request that led to
 *     nothing durable.
 * Journalled events therefore have gaps in seq, and kernel_apply() takes them:
 * no durable event depends on a volatile one having been applied. What a family
 * applies must hold to that; a task or session in a volatile region may hold,
 * send or receive what is durable, and is then unknown to the fold.
 *
 * Output commit. Every effect says in `after` what must be on disk before it
 * goes out: the seq of an event, 0 for at once. It grows from effect to effect,
 * but for those that are 0: orders about volatile regions, answers to what
 * touched nothing durable, SIGNAL, and KILL of what was seen to start. Orders about one
 * task (START, SIGNAL, KILL, FORGET) never overtake each other when each waits
 * for its own `after`.
 *
 * Kernel time is journal time: the shell begins with the time of the last event
 * it kept (kernel_event_time(): of the snapshot, or later) plus what
 * CLOCK_BOOTTIME says has passed since that was written in the same boot; in
 * another boot plus nothing. So in one boot the time an engine was down counts,
 * and after a restart of the machine limits and delays go on from the last
 * event (semantics, "Time").
 *
 * Ids are handed out from the larger of what the fold says and `id_first` of
 * IN_RESUMED: volatile things had ids too. The shell reserves ids ahead
 * (kernel_id_last()) and gives the end of the reservation.
 *
 * While a kernel made by kernel_load(LOAD_RECOVER) waits for IN_RESUMED, no
 * timer fires, nothing is picked from the lanes, nothing is forgotten, and
 * every request is answered Unavailable.
 *
 * When the journal fails (IN_JOURNAL_STATE), admission stops: whatever makes
 * something, or resolves it, is answered Unavailable and changes nothing. What
 * runs goes on: facts and timers are taken, their events wait for the journal
 * with the shell. Of requests these are taken too: ends and cancels of regions
 * and tasks, and the shutdown (their signals and kills wait for nothing, their
 * answers do), checkpoints, progress, resumed sessions and keepalives, waits.
 */
#ifndef ASUPERSYNC_CORE_DURABLE_H
#define ASUPERSYNC_CORE_DURABLE_H

#include "core/kernel.h"

/* ---- Bytes ------------------------------------------------------------------- */

/* A buffer that grows from the allocator. Zero but for the allocator to begin;
 * `size` bytes are in it; setting size to 0 empties it. */
struct durable_buffer {
    struct kernel_allocator allocator;
    uint8_t *data;
    size_t size, capacity;
};
void durable_buffer_fini(struct durable_buffer *b);

/* ---- Events -------------------------------------------------------------------- */

/* Append the event to the buffer, self-contained: version, sequence number,
 * kind by its stable number, every field, text, outcome and payload; byte order
 * and widths do not depend on the machine; a check sum ends it. Any event can be
 * encoded, durable or not. 0, or -ASUP_ENOMEM: the buffer is as it was. */
int kernel_event_encode(const struct event *ev, struct durable_buffer *to);

/* The other way. Text and payload of *out lie in the scratch buffer (which is
 * emptied first) or in the bytes, and are good as long as both are left alone.
 * What an older writer did not know is 0, or what its table says.
 * 0; -ASUP_EMALFORMED: truncated or corrupt; -ASUP_EUNSUPPORTED: of a newer
 * version; -ASUP_ENOMEM. *out is written on success only. */
int kernel_event_decode(struct bytes in, struct durable_buffer *scratch, struct event *out);

/* The stable number of a kind, never used for another one; 0: there is none. */
uint32_t event_kind_number(enum event_kind kind);

/* The seq of the last durable event so far; that of the snapshot after a load. */
uint64_t kernel_durable_seq(const struct kernel *k);
/* The seq and time of the last event of any sort. */
uint64_t kernel_event_seq(const struct kernel *k);
asup_time kernel_event_time(const struct kernel *k);

/* ---- Snapshots ------------------------------------------------------------------- */

struct durable_sink {
    /* Take all of it; 0, or a negative code, which ends the saving. */
    int (*write)(void *ctx, const void *data, size_t size);
    void *ctx;
};

struct durable_source {
    /* Up to `size` bytes into data: how many, 0 at the end, or a negative code. */
    long (*read)(void *ctx, void *data, size_t size);
    void *ctx;
};

/* Write the whole state between two steps, volatile regions included; parked
 * waits are no state. Pieces are at most 64 KiB, which is also the memory it
 * takes. O(n), tens of nanoseconds a field. 0, the sink's code, or -ASUP_ENOMEM. */
int kernel_save(const struct kernel *k, const struct durable_sink *to);

enum kernel_load_how {
    LOAD_EXACT,   /* the very state: equal digest, equal future */
    LOAD_RECOVER, /* for a fold: what was inside volatile regions is left out, and the kernel
                     waits for IN_RESUMED */
};

/* A kernel from a snapshot. `now` is the kernel's time, at least that of its
 * last event. Bytes after the snapshot are not read beyond 64 KiB.
 * 0; -ASUP_EMALFORMED: truncated, corrupt, or no snapshot;
 * -ASUP_EUNSUPPORTED: of another version; -ASUP_ENOMEM; or the source's code.
 * *out is written on success only. */
int kernel_load(const struct durable_source *from, const struct kernel_allocator *allocator,
                asup_time now, enum kernel_load_how how, struct kernel **out);

/* Whether it waits for IN_RESUMED. */
bool kernel_recovering(const struct kernel *k);

/* ---- What IN_TASK_LOST and IN_RESUMED do ------------------------------------------- */

/*
 * Before IN_RESUMED the shell tells for each row of the keeper what the row
 * shows, as facts; facts already known do nothing. Rows of tasks that are
 * Completed get FORGET from the shell; rows of tasks that kernel_task() does not
 * know are killed and then forgotten (R-TSK-5; those of volatile regions among
 * them). IN_TASK_LOST says of one task that the keeper has no row although it
 * was seen to start: its status is unknown (Panicked(lost)), nothing is left of
 * it; a finalizer is run again (R-SAG-3).
 *
 * same_keeper and same_boot compare with the journal: the shell writes which
 * keeper and which boot it is in one transaction with the event RESUMED (and with
 * the first snapshot), and all events of a step in one transaction.
 *
 * IN_RESUMED then
 *   - lets ids go on from u.resumed.id_first, and event numbers from seq_first;
 *   - starts anew: time to live of sessions (all count as lost until they
 *     attach; of another boot: they end at once), watchdogs, declared
 *     responsiveness, samples, patience with starts and kills; leases, acks,
 *     permits and workers;
 *   - volatile regions: REGION_LOST; each drains, is swept, and is Closed with
 *     Panicked(lost). Sweeping one takes what is left of the regions below it
 *     with it;
 *   - with the same keeper orders again: START where no answer is known, SIGNAL
 *     where no delivery is known, KILL of what was escalated and is not empty,
 *     SWEEP. All are idempotent with the keeper, by task or region;
 *   - with a new keeper (same_keeper false) no process of before lives: every
 *     task that was ordered and not Completed is lost, as by IN_TASK_LOST;
 *     sweeps are ordered again;
 *   - a new keeper is a daemon that was started anew: "/" opens again when it was
 *     shut down, and what is left below it goes on ending;
 *   - with the same one: QUIESCENT again when "/" is Closed.
 */

#endif
