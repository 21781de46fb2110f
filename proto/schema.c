/* SPDX-License-Identifier: MIT */
/* The fields of requests and the operations. What they answer is told in
 * schema_reply.c. */
#include "schema_families.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define NEVER PRESET(ASUP_NEVER)
#define ANY_DURATION RANGE(0, PROTO_DURATION_MAX)
#define WAIT_DOC "How long to wait; 0 asks without waiting; absent: for ever."

const struct proto_rlimit_name proto_rlimit_names[] = {
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
    {NULL, 0},
};
_Static_assert(COUNT_OF(proto_rlimit_names) == PROTO_RLIMIT_COUNT + 1, "one name a limit");

/* ---- B and P -------------------------------------------------------------------- */

static const struct proto_field budget_fields[] = {
    DURATION(proto_budget, timeout_ns, "timeout_ns",
             "Time limit, counted from admission (for a delayed task from its time).",
             RANGE(1, PROTO_DURATION_MAX), NEVER),
    INSTANT(proto_budget, deadline_ns, "deadline_ns", "Time limit as an instant of kernel time.",
            RANGE(0, PROTO_DURATION_MAX), NEVER),
    INSTANT(proto_budget, deadline_wall_ns, "deadline_wall_ns",
            "Time limit as an instant of Unix time.", RANGE(0, PROTO_DURATION_MAX), NEVER),
    UINT(proto_budget, polls, "polls", "How many checkpoints it may spend.",
         RANGE(0, UINT32_MAX - 1), PRESET(UINT32_MAX)),
    UINT(proto_budget, cost, "cost",
         "How much cost it may spend; for a process a unit is a millisecond of CPU time.",
         RANGE(0, UINT64_MAX - 1), PRESET(UINT64_MAX)),
    UINT(proto_budget, priority, "priority",
         "Priority among what is ready; absent: unset, which runs as 128.", RANGE(1, 255),
         PRESET(0)),
};
const struct proto_record proto_budget_record =
    RECORD_OF("B", "A budget, on top of what is inherited.", proto_budget, budget_fields);

static const char *const severity_names[] = {
    [ASUP_OK] = "ok",
    [ASUP_ERR] = "err",
    [ASUP_CANCELLED] = "cancelled",
    [ASUP_PANICKED] = "panicked",
    [ASUP_PANICKED + 1] = NULL,
};
static const struct proto_field completion_fields[] = {
    ID(proto_completion, task, "task", "The call.", ASUP_SORT_TASK, REQUIRED),
    ENUM(proto_completion, outcome, "outcome",
         "How it ended; cancelled only when it was asked to end.", severity_names, REQUIRED),
    UINT(proto_completion, attempt, "attempt", "Which attempt ended; absent: the one that runs.",
         RANGE(1, UINT16_MAX), PRESET(0)),
    INT(proto_completion, code, "code", "A number of the worker's own, like an exit code.",
        RANGE(0, 255), PRESET(-1)),
    TEXT(proto_completion, message, "message", "In words.", RANGE(0, ASUP_MESSAGE_MAX)),
    BYTES(proto_completion, result, "result", "Its result.", RANGE(0, PROTO_INPUT_MAX)),
};
const struct proto_record proto_completion_record =
    RECORD_OF("C", "How a call ended.", proto_completion, completion_fields);

static const struct proto_field key_fields[] = {
    TEXT(proto_key, key, "key",
         "Idempotency key: the same request again is answered as the first was, another one is a "
         "conflict.",
         RANGE(1, ASUP_KEY_MAX)),
    DURATION(proto_key, retention_ns, "key_retention_ns",
             "How long the key lives after what it started has ended; absent: the configured time.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(0)),
};
const struct proto_record proto_key_record = RECORD_OF(
    "", "What every operation that changes something takes besides.", proto_key, key_fields);

static const struct proto_field process_fields[] = {
    TEXTS(proto_process, argv, "argv",
          "Program and arguments; the program is looked up in PATH. Required, unless there is a "
          "call.",
          RANGE(1, PROTO_ARGS_MAX)),
    ENVIRONMENT(proto_process, env, "env", "Environment, added to the base.",
                RANGE(0, PROTO_ENV_MAX)),
    BOOL(proto_process, clear_env, "clear_env", "Leave out the base environment."),
    OSTEXT(proto_process, cwd, "cwd", "Working directory; absent: the home directory.",
           RANGE(1, PROTO_PATH_MAX - 1)),
    OSTEXT(proto_process, stdin_path, "stdin", "File to read standard input from.",
           RANGE(1, PROTO_PATH_MAX - 1)),
    OSTEXT(proto_process, stdout_path, "stdout", "File to write standard output to.",
           RANGE(1, PROTO_PATH_MAX - 1)),
    OSTEXT(proto_process, stderr_path, "stderr", "File to write standard error to.",
           RANGE(1, PROTO_PATH_MAX - 1)),
    BOOL(proto_process, append, "append", "Append to those files instead of truncating them."),
    BYTES(proto_process, stdio, "stdio", "Token of three descriptors handed over beside.",
          RANGE(16, 16)),
    BOOL(proto_process, tty, "tty", "Standard input becomes the controlling terminal."),
    OSTEXT(proto_process, user, "user", "Run as this user, a name or a number (root only).",
           RANGE(1, 255)),
    UINT(proto_process, umask, "umask", "File mode creation mask.", RANGE(0, 0777),
         PRESET(PROTO_UNSET)),
    INT(proto_process, nice, "nice", "Niceness; below 0 for root only.", RANGE(-20, 19),
        PRESET(PROTO_UNSET_INT)),
    RLIMITS(proto_process, rlimits, "rlimits", "Resource limits of each process."),
    UINT(proto_process, memory_max, "memory_max", "Memory of the whole task, in bytes.",
         RANGE(1, INT64_MAX), PRESET(0)),
    UINT(proto_process, pids_max, "pids_max", "Processes and threads of the whole task.",
         RANGE(1, 4194304), PRESET(0)),
    UINT(proto_process, cancel_signal, "cancel_signal",
         "Signal that asks it to end, followed by SIGCONT.", RANGE(1, 64), PRESET(SIGTERM)),
    DURATION(proto_process, leftover_ns, "leftover_ns",
             "How long what is left of it may live after its main process.", ANY_DURATION, NEVER),
    BOOL(proto_process, leftover_wait, "leftover_wait",
         "Wait for what is left of it to end by itself."),
    BOOL(proto_process, notify, "notify", "It speaks the notify protocol (sd_notify)."),
    DURATION(proto_process, watchdog_ns, "watchdog_ns",
             "Longest time between two WATCHDOG=1; absent: no watchdog.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(0)),
    DURATION(proto_process, drain_ns, "drain_ns",
             "Its allowance for cleanup; absent: its region's.", ANY_DURATION, NEVER),
    DURATION(proto_process, delay_ns, "delay_ns", "Start it that much later.", ANY_DURATION,
             PRESET(0)),
    TEXT(proto_process, label, "label", "Label for people; absent: the program.",
         RANGE(0, ASUP_LABEL_MAX)),
    DURATION(proto_process, response_ns, "response_ns",
             "Declared longest time between two checkpoints.", RANGE(1, PROTO_DURATION_MAX),
             PRESET(0)),
    UINT(proto_process, mask_depth, "mask_depth",
         "Declared number of masked checkpoints: its mask allowance, given once.",
         RANGE(0, UINT32_MAX), PRESET(0)),
    BUDGET(proto_process, budget, "budget",
           "Its budget; of a finalizer, timeout_ns is the time it may take."),
    TEXT(proto_process, call, "call",
         "Instead of argv: name of a computation that a worker has offered or will.",
         RANGE(1, ASUP_NAME_MAX)),
    BYTES(proto_process, input, "input", "Of a call: what it works on.", RANGE(0, PROTO_INPUT_MAX)),
    RETRY(proto_process, retry, "retry", "Of a call: when it is run again."),
};
const struct proto_record proto_process_record =
    RECORD_OF("P", "A program to run, or a call to make.", proto_process, process_fields);

/* ---- Arguments -------------------------------------------------------------------- */

static const char *const policy_names[] = {
#define WORD(name, number, wire) [number] = (wire),
    ASUP_POLICY_LIST(WORD)
#undef WORD
        [ASUP_POLICY_COUNT] = NULL,
};
static const char *const mode_names[] = {
    [ASUP_END_CLOSE] = "close",
    [ASUP_END_FINISH] = "finish",
    [ASUP_END_CANCEL] = "cancel",
    [ASUP_END_CANCEL + 1] = NULL,
};
static const char *const until_names[] = {
    [PROTO_UNTIL_STARTED] = "started",
    [PROTO_UNTIL_READY] = "ready",
    [PROTO_UNTIL_FINISHED] = "finished",
    [PROTO_UNTIL_FINISHED + 1] = NULL,
};

static const struct proto_field session_hello_fields[] = {
    DURATION(args_session_hello, ttl_ns, "ttl_ns",
             "Time to live after the last sign of life; absent: the configured one.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(0)),
    BYTES(args_session_hello, secret, "secret", "Secret of the session to resume.", RANGE(16, 16)),
};
static const struct proto_field region_open_fields[] = {
    REGION(args_region_open, parent, "parent", "Where to open it; absent: \"/\"."),
    NAME(args_region_open, name, "name",
         "Name among the live children of its parent; absent: its id.", RANGE(1, ASUP_NAME_MAX)),
    ENUM(args_region_open, policy, "policy", "Which outcomes count, and who cancels whom.",
         policy_names, PRESET(ASUP_POLICY_COLLECT)),
    UINT(args_region_open, quorum, "quorum", "How many Oks decide, for the policy quorum.",
         RANGE(1, UINT32_MAX), PRESET(0)),
    BUDGET(args_region_open, budget, "budget", "Budget of everything in it."),
    DURATION(args_region_open, drain_ns, "drain_ns",
             "Allowance for cleanup; absent: by the cause of the cancel.", ANY_DURATION, NEVER),
    BOOL(args_region_open, soft, "soft", "Never kill what drains, except at shutdown."),
    BOOL(args_region_open, strict, "strict",
         "A leaked obligation makes its outcome panicked, not err."),
    BOOL(args_region_open, is_volatile, "volatile",
         "Nothing in it or below is journalled: quicker, and lost with an engine's end; so is all "
         "below a volatile region."),
    BOOL(args_region_open, is_durable, "durable",
         "Refuse to open it below a volatile region; elsewhere every region is durable."),
    BOOL(args_region_open, attach, "attach", "Cancel it when the session ends."),
    UINT(args_region_open, tasks_max, "tasks_max",
         "Live tasks in it; absent: the configured limit.", RANGE(1, UINT32_MAX), PRESET(0)),
    UINT(args_region_open, children_max, "children_max",
         "Live regions in it; absent: the configured limit.", RANGE(1, UINT32_MAX), PRESET(0)),
    PROCESSES(args_region_open, finalizers, "finalizers",
              "Finalizers, in the order of registration; they run last-in first-out.",
              RANGE(0, PROTO_FINALIZERS_MAX)),
};
static const struct proto_field region_close_fields[] = {
    REGION(args_region_close, region, "region", "The region to end.", REQUIRED),
    ENUM(args_region_close, mode, "mode",
         "close: cancel what runs; finish: let admitted work end; cancel: cancel what runs, "
         "with a reason of its own.",
         mode_names, PRESET(ASUP_END_CLOSE)),
    DURATION(args_region_close, drain_ns, "drain_ns", "A shorter allowance for cleanup.",
             ANY_DURATION, NEVER),
    TEXT(args_region_close, message, "message", "Message in the cancel reason.",
         RANGE(0, ASUP_MESSAGE_MAX)),
};
static const struct proto_field region_wait_fields[] = {
    REGION(args_region_wait, region, "region", "The region to wait for.", REQUIRED),
    DURATION(args_region_wait, timeout_ns, "timeout_ns", WAIT_DOC, ANY_DURATION, NEVER),
};
static const struct proto_field region_stat_fields[] = {
    REGION(args_region_stat, region, "region", "The region asked about.", REQUIRED),
};
static const struct proto_field region_tree_fields[] = {
    REGION(args_region_tree, region, "region", "Where the tree begins; absent: \"/\"."),
    UINT(args_region_tree, depth, "depth", "Levels below it; absent: all.", RANGE(0, UINT32_MAX),
         PRESET(PROTO_UNSET)),
    BOOL(args_region_tree, all, "all", "With what has ended and is still kept."),
};
static const struct proto_field submit_fields[] = {
    REGION(args_submit, region, "region", "The region that will own it.", REQUIRED),
    PROCESS_INLINE(args_submit, process),
};
static const struct proto_field task_complete_fields[] = {
    ROW(args_task_complete, end, struct proto_completion, PROTO_INLINE, NULL, "",
        .record = &proto_completion_record),
};
static const struct proto_field worker_offer_fields[] = {
    TEXTS(args_worker_offer, names, "names", "The computations it does.", REQUIRED,
          RANGE(1, PROTO_OFFERS_MAX)),
    REGION(args_worker_offer, region, "region",
           "It gets calls of this region and of those below it; absent: \"/\"."),
    UINT(args_worker_offer, concurrency, "concurrency", "How many calls it runs at once.",
         RANGE(1, UINT16_MAX), PRESET(1)),
    UINT(args_worker_offer, prefetch, "prefetch",
         "How many calls beyond those it takes without beginning them.", RANGE(0, UINT16_MAX),
         PRESET(0)),
    DURATION(args_worker_offer, response_ns, "response_ns",
             "Declared longest time between two checkpoints of a call.",
             RANGE(1, PROTO_DURATION_MAX), PRESET(0)),
    UINT(args_worker_offer, mask_depth, "mask_depth",
         "Declared number of checkpoints it may mask in a row.", RANGE(0, UINT32_MAX), PRESET(0)),
    DURATION(args_worker_offer, quiet_ns, "quiet_ns",
             "Its lease: when it runs calls and says nothing for that long, they are lost; absent: "
             "when its session ends.",
             RANGE(1, PROTO_DURATION_MAX), NEVER),
};
static const struct proto_field worker_next_fields[] = {
    UINT(args_worker_next, most, "most", "How many calls at most.", RANGE(1, PROTO_CALLS_MAX),
         PRESET(1)),
    DURATION(args_worker_next, timeout_ns, "timeout_ns", WAIT_DOC, ANY_DURATION, NEVER),
    RECORDS(args_worker_next, completed, "completed", "Calls that have ended; taken first.",
            proto_completion_record, RANGE(0, PROTO_CALLS_MAX)),
    IDS(args_worker_next, started, "started",
        "Calls it had taken and wants to begin; taken after those.", ASUP_SORT_TASK,
        RANGE(0, PROTO_CALLS_MAX)),
};
static const struct proto_field worker_withdraw_fields[] = {
    TEXT(args_worker_withdraw, name, "name", "What it no longer does; absent: all of it.",
         RANGE(1, ASUP_NAME_MAX)),
    ID(args_worker_withdraw, worker, "worker", "The worker's session; absent: the caller's.",
       ASUP_SORT_SESSION),
};
static const struct proto_field worker_drain_fields[] = {
    ID(args_worker_drain, worker, "worker", "The worker's session; absent: the caller's.",
       ASUP_SORT_SESSION),
};
static const struct proto_field worker_list_fields[] = {
    TEXT(args_worker_list, name, "name", "Only workers that offer this; absent: all.",
         RANGE(1, ASUP_NAME_MAX)),
};
static const struct proto_field task_cancel_fields[] = {
    ID(args_task_cancel, task, "task", "The task to cancel.", ASUP_SORT_TASK, REQUIRED),
    DURATION(args_task_cancel, drain_ns, "drain_ns", "A shorter allowance for cleanup.",
             ANY_DURATION, NEVER),
    TEXT(args_task_cancel, message, "message", "Message in the cancel reason.",
         RANGE(0, ASUP_MESSAGE_MAX)),
};
static const struct proto_field task_wait_fields[] = {
    ID(args_task_wait, task, "task", "The task to wait for.", ASUP_SORT_TASK, REQUIRED),
    DURATION(args_task_wait, timeout_ns, "timeout_ns", WAIT_DOC, ANY_DURATION, NEVER),
    ENUM(args_task_wait, until, "until",
         "What to wait for; a task that ended without is answered too.", until_names,
         PRESET(PROTO_UNTIL_FINISHED)),
};
static const struct proto_field task_fields[] = {
    ID(args_task, task, "task", "The task.", ASUP_SORT_TASK, REQUIRED),
};
static const struct proto_field task_list_fields[] = {
    REGION(args_task_list, region, "region", "Whose tasks; absent: \"/\"."),
    BOOL(args_task_list, recursive, "recursive", "With those of the regions in it."),
    BOOL(args_task_list, all, "all", "With those that have ended and are still kept."),
    ID(args_task_list, after, "after", "Go on after this task.", ASUP_SORT_TASK),
    UINT(args_task_list, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
};
#define MASKED_DOC                                                                                 \
    "Spend one of the task's mask allowance, and hear of no cancel while there is one."
static const struct proto_field task_checkpoint_fields[] = {
    ID(args_task_checkpoint, task, "task", "The task.", ASUP_SORT_TASK, REQUIRED),
    BOOL(args_task_checkpoint, masked, "masked", MASKED_DOC),
};
static const struct proto_field task_progress_fields[] = {
    ID(args_task_progress, task, "task", "The task.", ASUP_SORT_TASK, REQUIRED),
    UINT(args_task_progress, cost, "cost", "Cost spent since the last report.", REQUIRED,
         RANGE(0, INT64_MAX)),
    BOOL(args_task_progress, masked, "masked", MASKED_DOC),
};
static const struct proto_field task_logs_fields[] = {
    ID(args_task_logs, task, "task", "The task.", ASUP_SORT_TASK, REQUIRED),
    UINT(args_task_logs, offset, "offset", "First byte wanted.", RANGE(0, INT64_MAX), PRESET(0)),
    UINT(args_task_logs, size_max, "size_max", "How many bytes at most.", RANGE(1, 262144),
         PRESET(65536)),
    DURATION(args_task_logs, timeout_ns, "timeout_ns",
             "How long to wait for more when there is nothing; absent: not at all.", ANY_DURATION,
             PRESET(0)),
};
static const struct proto_field events_watch_fields[] = {
    UINT(args_events_watch, since, "since",
         "First sequence number wanted; 0: the oldest that is kept; absent: from now on.",
         RANGE(0, INT64_MAX), PRESET(PROTO_UNSET)),
    REGION(args_events_watch, region, "region", "Only what happens in this region and below."),
    UINT(args_events_watch, limit, "limit", "How many at most.", RANGE(1, 1000), PRESET(1000)),
    DURATION(args_events_watch, timeout_ns, "timeout_ns",
             "How long to wait for the first; 0 asks without waiting; absent: for ever.",
             ANY_DURATION, NEVER),
};
static const struct proto_field why_fields[] = {
    ANY(args_why, id, "id", "A region, task, obligation, saga or session.", REQUIRED),
};
static const struct proto_field daemon_shutdown_fields[] = {
    DURATION(args_daemon_shutdown, within_ns, "within_ns",
             "By when everything shall be closed, from now.", ANY_DURATION, NEVER),
};
static const struct proto_field batch_fields[] = {
    ROW(args_batch, ops, const struct proto_call *, PROTO_OPS, "ops",
        "Operations, each [cx|nil, op, args].", REQUIRED, RANGE(1, PROTO_BATCH_MAX)),
    BOOL(args_batch, atomic, "atomic", "All of them or none."),
};

#include "schema_owed.h"

#define ARGS(s)                                                                                    \
    static const struct proto_record s##_record = RECORD_OF("", "", args_##s, s##_fields)
ARGS(session_hello);
ARGS(region_open);
ARGS(region_close);
ARGS(region_wait);
ARGS(region_stat);
ARGS(region_tree);
ARGS(submit);
ARGS(task_complete);
ARGS(worker_offer);
ARGS(worker_next);
ARGS(worker_withdraw);
ARGS(worker_drain);
ARGS(worker_list);
ARGS(task_cancel);
ARGS(task_wait);
ARGS(task);
ARGS(task_list);
ARGS(task_checkpoint);
ARGS(task_progress);
ARGS(task_logs);
ARGS(events_watch);
ARGS(why);
ARGS(daemon_shutdown);
ARGS(obligation_reserve);
ARGS(obligation);
ARGS(obligation_abort);
ARGS(obligation_transfer);
ARGS(obligation_list);
ARGS(lease_acquire);
ARGS(lease_renew);
ARGS(lease_stat);
ARGS(lease_list);
ARGS(batch);
static const struct proto_record none_record = {.name = "", .size = sizeof(struct args_none)};

/* ---- Operations --------------------------------------------------------------------- */

/* What may stand in a batch: what never parks; in an atomic one, admissions. */
#define ADMITS (PROTO_MUTATES | PROTO_BATCHED | PROTO_ATOMIC)

#define OP(name_, wire, doc_, flags_, right_, args_)                                               \
    [PROTO_##name_] = {.id = PROTO_##name_,                                                        \
                       .name = (wire),                                                             \
                       .doc = (doc_),                                                              \
                       .flags = (flags_),                                                          \
                       .right = (right_),                                                          \
                       .args = &(args_##_record)}

/* Likewise, with a record of another file. */
#define OP_OF(name_, wire, doc_, flags_, right_, args_)                                            \
    [PROTO_##name_] = {.id = PROTO_##name_,                                                        \
                       .name = (wire),                                                             \
                       .doc = (doc_),                                                              \
                       .flags = (flags_),                                                          \
                       .right = (right_),                                                          \
                       .args = &proto_##args_##_record}

const struct proto_op proto_ops[PROTO_OP_COUNT] = {
    OP(SESSION_HELLO, "session.hello", "Begin a session, or resume one by its secret.", 0, "",
       session_hello),
    OP(SESSION_KEEPALIVE, "session.keepalive", "A sign of life.", PROTO_SESSION | PROTO_BATCHED, "",
       none),
    OP(SESSION_BYE, "session.bye", "End the session.", PROTO_SESSION, "", none),
    OP(REGION_OPEN, "region.open", "Open a region.", ADMITS, "spawn", region_open),
    OP(REGION_CLOSE, "region.close", "Close, finish or cancel a region.", ADMITS, "close",
       region_close),
    OP(REGION_WAIT, "region.wait", "Wait until a region is closed.", PROTO_PARKS, "observe",
       region_wait),
    OP(REGION_STAT, "region.stat", "Tell about one region.", PROTO_BATCHED, "observe", region_stat),
    OP(REGION_TREE, "region.tree", "Tell about a region and everything in it.", PROTO_BATCHED,
       "observe", region_tree),
    OP(TASK_SUBMIT, "task.submit", "Run a program, or make a call, in a region.", ADMITS, "spawn",
       submit),
    OP(TASK_CANCEL, "task.cancel", "Cancel one task.", ADMITS, "cancel", task_cancel),
    OP(TASK_WAIT, "task.wait", "Wait until a task is started, ready or finished.", PROTO_PARKS,
       "observe", task_wait),
    OP(TASK_STAT, "task.stat", "Tell about one task.", PROTO_BATCHED, "observe", task),
    OP(TASK_LIST, "task.list", "Tell about the tasks of a region.", PROTO_BATCHED, "observe",
       task_list),
    OP(TASK_CHECKPOINT, "task.checkpoint",
       "Spend one poll, and learn whether to stop: that acknowledges a cancel.", PROTO_BATCHED, "",
       task_checkpoint),
    OP(TASK_PROGRESS, "task.progress",
       "Report cost that was spent, and learn whether to stop: that acknowledges a cancel.",
       PROTO_MUTATES | PROTO_BATCHED, "", task_progress),
    OP(TASK_LOGS, "task.logs", "Read a task's output.", PROTO_PARKS, "observe", task_logs),
    OP(FINALIZER_DEFER, "finalizer.defer",
       "Register a program that runs when the region has drained.", ADMITS, "spawn", submit),
    OP(CHANNEL_OPEN, "channel.open", "Open a channel in a region.", PROTO_MUTATES | PROTO_BATCHED,
       "channel", channel_open),
    OP(CHANNEL_SEAL, "channel.seal", "End a channel's intake.", PROTO_MUTATES | PROTO_BATCHED,
       "channel", channel_subject),
    OP(CHANNEL_STAT, "channel.stat", "Tell about one channel.", PROTO_BATCHED, "observe",
       channel_subject),
    OP(CHANNEL_LIST, "channel.list", "Tell about the channels of a region.", PROTO_BATCHED,
       "observe", channel_list),
    OP(CHANNEL_RESERVE, "channel.reserve",
       "Get a permit for one message; waits while the channel is full.",
       PROTO_MUTATES | PROTO_PARKS, "channel", channel_reserve),
    OP(CHANNEL_SEND, "channel.send", "Send a message, into a permit or where there is room now.",
       PROTO_MUTATES | PROTO_BATCHED, "channel", channel_send),
    OP(CHANNEL_ABORT, "channel.abort", "Give a permit back unused.", PROTO_MUTATES | PROTO_BATCHED,
       "", channel_obligation),
    OP(CHANNEL_RECEIVE, "channel.receive",
       "Get the next message and an ack to settle; waits while there is none.",
       PROTO_MUTATES | PROTO_PARKS, "channel", channel_receive),
    OP(CHANNEL_ACK, "channel.ack", "Commit an ack: its message is consumed.",
       PROTO_MUTATES | PROTO_BATCHED, "", channel_obligation),
    OP(CHANNEL_NACK, "channel.nack", "Give a message back to its place.",
       PROTO_MUTATES | PROTO_BATCHED, "", channel_nack),
    OP(CHANNEL_EXTEND, "channel.extend", "Begin the time of an ack anew.",
       PROTO_MUTATES | PROTO_BATCHED, "", channel_extend),
    OP(CHANNEL_MESSAGE, "channel.message", "Tell about one message, with its data.", 0, "observe",
       channel_message),
    OP(CHANNEL_DEAD, "channel.dead", "Tell about dead letters.", PROTO_BATCHED, "observe",
       channel_dead),
    OP(CHANNEL_RETRY, "channel.retry", "Put a dead letter back into a channel, at its end.",
       PROTO_MUTATES | PROTO_BATCHED, "channel", channel_retry),
    OP(CHANNEL_DISCARD, "channel.discard", "Forget a dead letter.", PROTO_MUTATES | PROTO_BATCHED,
       "channel", channel_message),
    OP_OF(SAGA_BEGIN, "saga.begin", "Begin a saga, on top of the region's stack.",
          PROTO_MUTATES | PROTO_BATCHED, "saga", saga_begin),
    OP_OF(SAGA_STEP, "saga.step", "Add a step: its compensation is recorded, then its action runs.",
          PROTO_MUTATES | PROTO_BATCHED, "saga", saga_step),
    OP_OF(SAGA_COMPLETE, "saga.complete", "All is done: nothing will be undone.",
          PROTO_MUTATES | PROTO_BATCHED, "saga", saga),
    OP_OF(SAGA_ABORT, "saga.abort", "Undo every step that was begun, the last one first.",
          PROTO_MUTATES | PROTO_BATCHED, "saga", saga_abort),
    OP_OF(SAGA_STAT, "saga.stat", "Tell about one saga and its steps.", PROTO_BATCHED, "observe",
          saga),
    OP_OF(SAGA_LIST, "saga.list", "Tell about the sagas of a region.", PROTO_BATCHED, "observe",
          saga_list),
    OP_OF(SAGA_RESOLVE, "saga.resolve", "An operator's answer to a saga that needs attention.",
          PROTO_MUTATES | PROTO_BATCHED, "saga", saga_resolve),
    OP_OF(SAGA_WAIT, "saga.wait", "Wait until a saga has ended, or needs attention.", PROTO_PARKS,
          "observe", saga_wait),
    OP(OBLIGATION_RESERVE, "obligation.reserve",
       "Register an effect that is in flight outside the daemon: its region waits for the end of "
       "it.",
       PROTO_MUTATES | PROTO_BATCHED, "io", obligation_reserve),
    OP(OBLIGATION_COMMIT, "obligation.commit",
       "It was done: an I/O operation is complete, a message consumed, a lease released.",
       PROTO_MUTATES | PROTO_BATCHED, "", obligation),
    OP(OBLIGATION_ABORT, "obligation.abort",
       "It was not done: an I/O operation is cancelled, a message given back, a permit too.",
       PROTO_MUTATES | PROTO_BATCHED, "", obligation_abort),
    OP(OBLIGATION_TRANSFER, "obligation.transfer", "Let another hold it.",
       PROTO_MUTATES | PROTO_BATCHED, "", obligation_transfer),
    OP(OBLIGATION_LIST, "obligation.list", "Tell what is owed, and by whom.", PROTO_BATCHED,
       "observe", obligation_list),
    OP(LEASE_ACQUIRE, "lease.acquire", "Hold a name for a time, alone.",
       PROTO_MUTATES | PROTO_PARKS, "lease", lease_acquire),
    OP(LEASE_RENEW, "lease.renew", "Hold it longer; at the instant of its end that is too late.",
       PROTO_MUTATES | PROTO_BATCHED, "lease", lease_renew),
    OP(LEASE_RELEASE, "lease.release", "Let the name go.", PROTO_MUTATES | PROTO_BATCHED, "",
       obligation),
    OP(LEASE_STAT, "lease.stat", "Tell who holds a name.", PROTO_BATCHED, "observe", lease_stat),
    OP(LEASE_LIST, "lease.list", "Tell which names of a region are held.", PROTO_BATCHED, "observe",
       lease_list),
    OP(TASK_COMPLETE, "task.complete", "Tell how a call ended, as its worker.",
       PROTO_SESSION | PROTO_BATCHED, "serve", task_complete),
    OP(WORKER_OFFER, "worker.offer", "Offer to do calls; again: more names, other numbers.",
       PROTO_MUTATES | PROTO_SESSION | PROTO_BATCHED, "serve", worker_offer),
    OP(WORKER_NEXT, "worker.next",
       "Tell what has ended and what begins, and get calls and cancels, waiting for the first.",
       PROTO_MUTATES | PROTO_SESSION | PROTO_PARKS, "serve", worker_next),
    OP(WORKER_WITHDRAW, "worker.withdraw", "Take an offer back; what runs goes on.",
       PROTO_MUTATES | PROTO_BATCHED, "serve", worker_withdraw),
    OP(WORKER_DRAIN, "worker.drain", "Give the worker nothing new; what it runs it finishes.",
       PROTO_MUTATES | PROTO_BATCHED, "serve", worker_drain),
    OP(WORKER_LIST, "worker.list", "Tell about workers.", PROTO_BATCHED, "observe", worker_list),
    OP_OF(CX_DERIVE, "cx.derive",
          "Make a capability that may no more than what is shown, or than this user.",
          PROTO_MUTATES | PROTO_BATCHED, "delegate", cx_derive),
    OP_OF(CX_REVOKE, "cx.revoke", "Take a capability back, and all that were derived from it.",
          PROTO_MUTATES | PROTO_BATCHED, "", cx_revoke),
    OP_OF(CX_LIST, "cx.list", "Tell about the derived capabilities of a region.", PROTO_BATCHED,
          "observe", cx_list),
    OP(EVENTS_WATCH, "events.watch", "Read events, waiting for the next ones.", PROTO_PARKS,
       "observe", events_watch),
    OP(WHY, "why", "Tell what something waits for.", PROTO_BATCHED, "observe", why),
    OP(DAEMON_STATUS, "daemon.status", "Tell about the daemon.", PROTO_BATCHED, "", none),
    OP(DAEMON_RELOAD, "daemon.reload", "Read the configuration again.", PROTO_OPERATOR, "admin",
       none),
    OP(DAEMON_UPGRADE, "daemon.upgrade",
       "Put a new engine in this one's place, of the program as it is now; tasks go on.",
       PROTO_OPERATOR, "admin", none),
    OP(DAEMON_DRAIN, "daemon.drain", "Admit nothing more; let what there is end.",
       PROTO_MUTATES | PROTO_OPERATOR, "admin", none),
    OP(DAEMON_SHUTDOWN, "daemon.shutdown", "Shut down in structure; a second time: hurry.",
       PROTO_MUTATES | PROTO_OPERATOR, "admin", daemon_shutdown),
    OP(BATCH, "batch", "Several operations in one message.", PROTO_MUTATES, "", batch),
};

const struct proto_op *
proto_op_find(const char *name, size_t size)
{
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        if (strlen(proto_ops[i].name) == size && memcmp(proto_ops[i].name, name, size) == 0)
            return &proto_ops[i];
    }
    return NULL;
}
