/* SPDX-License-Identifier: MIT */
/* Names of what happens in a world, and the table at the end. */
#include <inttypes.h>
#include <string.h>

#include "asupersync/values.h"
#include "lab/world.h"

static const char *const fault_names[] = {
#define FAULT_NAME(name, text, what) text,
    WORLD_FAULT_LIST(FAULT_NAME)
#undef FAULT_NAME
};
static const char *const fault_texts[] = {
#define FAULT_TEXT(name, text, what) what,
    WORLD_FAULT_LIST(FAULT_TEXT)
#undef FAULT_TEXT
};
static const char *const deed_texts[] = {
#define DEED_TEXT(name, text) text,
    WORLD_DEED_LIST(DEED_TEXT)
#undef DEED_TEXT
};

#define INPUT_LIST(X)                                                                              \
    X(TICK, "tick")                                                                                \
    X(SESSION_OPEN, "session-open")                                                                \
    X(SESSION_RESUME, "session-resume")                                                            \
    X(SESSION_KEEPALIVE, "session-keepalive")                                                      \
    X(SESSION_BYE, "session-bye")                                                                  \
    X(REGION_OPEN, "region-open")                                                                  \
    X(REGION_END, "region-end")                                                                    \
    X(TASK_SUBMIT, "task-submit")                                                                  \
    X(TASK_CANCEL, "task-cancel")                                                                  \
    X(TASK_CHECKPOINT, "task-checkpoint")                                                          \
    X(TASK_PROGRESS, "task-progress")                                                              \
    X(FINALIZER_DEFER, "finalizer-defer")                                                          \
    X(OBLIGATION_RESERVE, "obligation-reserve")                                                    \
    X(OBLIGATION_COMMIT, "obligation-commit")                                                      \
    X(OBLIGATION_ABORT, "obligation-abort")                                                        \
    X(OBLIGATION_TRANSFER, "obligation-transfer")                                                  \
    X(CHANNEL_OPEN, "channel-open")                                                                \
    X(CHANNEL_SEAL, "channel-seal")                                                                \
    X(CHANNEL_RESERVE, "channel-reserve")                                                          \
    X(CHANNEL_SEND, "channel-send")                                                                \
    X(CHANNEL_RECEIVE, "channel-receive")                                                          \
    X(CHANNEL_ACK, "channel-ack")                                                                  \
    X(CHANNEL_NACK, "channel-nack")                                                                \
    X(CHANNEL_EXTEND, "channel-extend")                                                            \
    X(DEAD_RETRY, "dead-retry")                                                                    \
    X(DEAD_DISCARD, "dead-discard")                                                                \
    X(LEASE_ACQUIRE, "lease-acquire")                                                              \
    X(LEASE_RENEW, "lease-renew")                                                                  \
    X(LEASE_RELEASE, "lease-release")                                                              \
    X(WORKER_OFFER, "worker-offer")                                                                \
    X(WORKER_WITHDRAW, "worker-withdraw")                                                          \
    X(WORKER_DRAIN, "worker-drain")                                                                \
    X(WORKER_START, "worker-start")                                                                \
    X(WORKER_NEXT, "worker-next")                                                                  \
    X(CALL_COMPLETE, "call-complete")                                                              \
    X(SAGA_BEGIN, "saga-begin")                                                                    \
    X(SAGA_STEP, "saga-step")                                                                      \
    X(SAGA_COMPLETE, "saga-complete")                                                              \
    X(SAGA_ABORT, "saga-abort")                                                                    \
    X(SAGA_RESOLVE, "saga-resolve")                                                                \
    X(CX_DERIVE, "cx-derive")                                                                      \
    X(CX_REVOKE, "cx-revoke")                                                                      \
    X(WAIT, "wait")                                                                                \
    X(SHUTDOWN, "shutdown")                                                                        \
    X(BATCH, "batch")                                                                              \
    X(CONFIG, "config")                                                                            \
    X(SESSION_ATTACHED, "session-attached")                                                        \
    X(SESSION_LOST, "session-lost")                                                                \
    X(WAIT_DROPPED, "wait-dropped")                                                                \
    X(TASK_STARTED, "task-started")                                                                \
    X(TASK_START_FAILED, "task-start-failed")                                                      \
    X(TASK_SIGNALLED, "task-signalled")                                                            \
    X(TASK_EXITED, "task-exited")                                                                  \
    X(TASK_EMPTY, "task-empty")                                                                    \
    X(TASK_READY, "task-ready")                                                                    \
    X(TASK_STOPPING, "task-stopping")                                                              \
    X(TASK_EXTEND, "task-extend")                                                                  \
    X(TASK_WATCHDOG, "task-watchdog")                                                              \
    X(TASK_SAMPLED, "task-sampled")                                                                \
    X(TASK_LOG_LOST, "task-log-lost")                                                              \
    X(REGION_SWEPT, "region-swept")                                                                \
    X(JOURNAL_STATE, "journal-state")                                                              \
    X(TASK_LOST, "task-lost")                                                                      \
    X(RESUMED, "resumed")

static const char *const input_names[INPUT_KIND_COUNT] = {
#define INPUT_NAME(name, text) [IN_##name] = (text),
    INPUT_LIST(INPUT_NAME)
#undef INPUT_NAME
};
enum {
#define INPUT_ONE(name, text) +1
    INPUT_NAMED = INPUT_LIST(INPUT_ONE)
#undef INPUT_ONE
};
_Static_assert((int)INPUT_NAMED == (int)INPUT_KIND_COUNT, "every input has a name");
_Static_assert(FAULT_COUNT <= 64, "faults are bits");

const char *
world_fault_name(enum world_fault fault)
{
    return fault_names[fault];
}

const char *
world_fault_text(enum world_fault fault)
{
    return fault_texts[fault];
}

const char *
world_deed_text(enum world_deed which)
{
    return deed_texts[which];
}

const char *
world_input_name(enum input_kind kind)
{
    return input_names[kind];
}

bool
world_faults_parse(const char *text, uint64_t *out, const char **wrong)
{
    uint64_t bits = *text == '-' ? WORLD_FAULTS_ALL : 0;

    while (*text != '\0') {
        bool without = *text == '-';
        const char *name = text + without;
        size_t size = strcspn(name, ",");
        uint64_t bit = 0;

        if (size == 3 && strncmp(name, "all", 3) == 0)
            bit = WORLD_FAULTS_ALL;
        for (unsigned i = 0; bit == 0 && i < FAULT_COUNT; i++) {
            if (strlen(fault_names[i]) == size && strncmp(fault_names[i], name, size) == 0)
                bit = UINT64_C(1) << i;
        }
        if (bit == 0 && (size != 4 || strncmp(name, "none", 4) != 0)) {
            *wrong = text;
            return false;
        }
        bits = without ? bits & ~bit : bits | bit;
        text = name + size + (name[size] == ',');
    }
    *out = bits;
    return true;
}

void
world_counts_add(struct world_counts *to, const struct world_counts *from)
{
    uint64_t *sums = (uint64_t *)to;
    const uint64_t *counts = (const uint64_t *)from;

    _Static_assert(sizeof *to % sizeof *sums == 0, "all are numbers");
    for (size_t i = 0; i < sizeof *to / sizeof *sums; i++)
        sums[i] += counts[i];
}

/* ---- The table ------------------------------------------------------------------------------- */

static const char *const severity_names[] = {"ok", "err", "cancelled", "panicked"};

static const char *const obligation_names[] = {"send-permit", "ack", "lease", "io-op"};

struct table {
    world_row *row;
    void *ctx;
};

static void
rows(const struct table *t, const char *group, const char *name, uint64_t count, bool rare)
{
    t->row(t->ctx, group, name, count, rare);
}

/* What happens only where somebody was killed at the right moment, or not at all in these
 * worlds. */
static bool
input_is_rare(unsigned kind)
{
    return kind == IN_TASK_LOST;
}

void
world_counts_rows(const struct world_counts *c, world_row *row, void *ctx)
{
    const struct table t = {.row = row, .ctx = ctx};

    for (unsigned i = 0; i < FAULT_COUNT; i++)
        rows(&t, "faults", fault_names[i], c->faults[i], false);
    for (unsigned i = 0; i < DEED_COUNT; i++)
        rows(&t, "deeds", deed_texts[i], c->deeds[i], false);
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT; i++)
        rows(&t, "judged by oracles", asup_oracle_name((enum asup_oracle)i), c->judged[i],
             i == ASUP_ORACLE_DETERMINISM);
    for (unsigned i = 0; i < INPUT_KIND_COUNT; i++)
        rows(&t, "inputs taken", input_names[i], c->granted[i], input_is_rare(i));
    for (unsigned i = IN_SESSION_OPEN; i <= IN_BATCH; i++)
        rows(&t, "inputs refused", input_names[i], c->refused[i], true);
    for (unsigned i = 0; i < EV_KIND_COUNT; i++)
        rows(&t, "events", event_kind_name((enum event_kind)i), c->events[i], i == EV_TICK);
    for (unsigned i = 1; i < ERROR_CODES; i++)
        rows(&t, "refusals", asup_error_name(-(int)i), c->codes[i], true);
    for (unsigned i = 0; i < 4; i++)
        rows(&t, "outcomes of tasks", severity_names[i], c->task_outcomes[i], false);
    for (unsigned i = 0; i < 4; i++)
        rows(&t, "outcomes of regions", severity_names[i], c->region_outcomes[i], false);
    for (unsigned i = 0; i < ASUP_CANCEL_KIND_COUNT; i++)
        rows(&t, "cancel reasons", asup_cancel_kind_name(i), c->reasons[i], false);
    for (unsigned i = 0; i < ASUP_POLICY_COUNT; i++)
        rows(&t, "policies of closed regions", asup_policy_name(i), c->region_policies[i], false);
    for (unsigned i = 0; i < ASUP_OBLIGATION_KIND_COUNT; i++) {
        static const char *const ends[] = {"committed", "aborted", "leaked"};
        char group[64];

        (void)snprintf(group, sizeof group, "obligations: %s", obligation_names[i]);
        for (unsigned n = 0; n < 3; n++)
            rows(&t, group, ends[n], c->obligations[i][n], false);
    }
}

struct printing {
    FILE *to;
    const char *group;
    char group_name[64];
    uint64_t never;
};

static void
row_print(void *ctx, const char *group, const char *name, uint64_t count, bool rare)
{
    struct printing *p = ctx;

    (void)rare;
    if (strcmp(p->group_name, group) != 0) {
        (void)snprintf(p->group_name, sizeof p->group_name, "%s", group);
        (void)fprintf(p->to, "%s\n", group);
    }
    if (count > 0)
        (void)fprintf(p->to, "  %12" PRIu64 "  %s\n", count, name);
    else
        (void)fprintf(p->to, "  %12s  %s\n", "never", name);
}

static void
row_never(void *ctx, const char *group, const char *name, uint64_t count, bool rare)
{
    struct printing *p = ctx;

    if (count > 0 || rare)
        return;
    p->never++;
    (void)fprintf(p->to, "never: %s: %s\n", group, name);
}

void
world_counts_print(const struct world_counts *counts, FILE *to)
{
    struct printing p = {.to = to};

    world_counts_rows(counts, row_print, &p);
}

uint64_t
world_counts_never(const struct world_counts *counts, FILE *to)
{
    struct printing p = {.to = to};

    world_counts_rows(counts, row_never, &p);
    return p.never;
}
