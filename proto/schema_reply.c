/* SPDX-License-Identifier: MIT */
/*
 * What operations answer, for the manual: the shapes that replies are made of
 * and the body of each operation's reply. "X|nil" is always there and may be
 * nil; a type ending in "?" may be absent.
 */
#include "schema_rows.h"

#define END                                                                                        \
    {                                                                                              \
        NULL, NULL, NULL                                                                           \
    }

/* ---- Shapes ---------------------------------------------------------------------- */

static const struct proto_reply_field reason_fields[] = {
    {"kind", "text",
     "user, timeout, deadline, poll-quota, cost-budget, fail-fast, race-lost, "
     "linked-exit, parent-cancelled, resource-unavailable or shutdown."},
    {"message", "text", "In words."},
    {"origin", "id|nil", "The region or task it came from."},
    {"at_ns", "uint", "Kernel time of the request."},
    {"cause", "R|nil", "What caused it; nil at the root cause."},
    END,
};
static const struct proto_reply_field outcome_fields[] = {
    {"outcome", "text", "ok, err, cancelled or panicked."},
    {"exit_code", "uint|nil", "Exit code of the main process."},
    {"signal", "uint|nil", "Signal that the main process died of."},
    {"forced", "bool", "It was killed while its main process lived."},
    {"reason", "R|nil", "Why it was cancelled."},
    {"error", "map|nil",
     "An error {stage, errno, message}: where the start failed, the error "
     "number, and in words. stage and errno are absent when there was no "
     "start that failed."},
    {"origin", "id|nil", "The task or region the outcome came from."},
    {"at_ns", "uint", "Kernel time at which it was decided."},
    {"wall_ns", "uint", "Time from start to end."},
    {"cpu_ns", "uint", "CPU time, user and system."},
    {"memory_peak_bytes", "uint|nil", "Largest memory use, where it is known."},
    END,
};
static const struct proto_reply_field budget_left_fields[] = {
    {"limit_left_ns", "uint|nil", "Time left; nil: no limit."},
    {"limit_kind", "text|nil", "timeout or deadline."},
    {"polls_left", "uint|nil", "Checkpoints left; nil: no limit."},
    {"cost_left", "uint|nil", "Cost left; nil: no limit."},
    {"priority", "uint", "1 to 255; 0: unset."},
    END,
};
static const struct proto_reply_field node_fields[] = {
    {"id", "id", "The region."},
    {"name", "text", "Its name."},
    {"path", "text", "Its path from the root."},
    {"state", "text", "open, closing, draining, finalizing or closed."},
    {"policy", "text", "collect, fail-fast, race, first-ok, quorum or last."},
    {"quorum", "uint?", "How many Oks decide, for the policy quorum."},
    {"owner", "uint", "User id of who opened it."},
    {"soft", "bool", "It is never killed, except at shutdown."},
    {"strict", "bool", "A leaked obligation makes its outcome panicked."},
    {"volatile", "bool", "Nothing of it outlives the engine but how it ended."},
    {"attached", "id|nil", "The session it ends with."},
    {"age_ns", "uint", "Since it was opened."},
    {"drain_left_ns", "uint|nil", "Until what still runs is killed."},
    {"close_by_left_ns", "uint|nil", "Until it will be closed at the latest."},
    {"budget", "L", "What is left of its budget."},
    {"reason", "R|nil", "Why it was cancelled."},
    {"outcome", "O|nil", "How it ended."},
    {"tasks_live", "uint", "Tasks that are not completed."},
    {"tasks_total", "uint", "Tasks ever admitted."},
    {"finalizers", "uint", "Finalizers registered and not yet run."},
    {"sagas", "uint", "Sagas that have not ended."},
    {"sagas_attention", "uint", "Those of them that need attention."},
    {"obligations", "uint", "What is owed to it: it closes when that is nothing."},
    {"unconsumed", "uint", "Messages that its close made dead letters."},
    {"leaks", "uint", "Obligations that leaked, ever."},
    {"tasks", "list of T?", "Its tasks; not in region.stat."},
    {"children", "list of N?", "Its child regions; not in region.stat."},
    END,
};
static const struct proto_reply_field task_fields[] = {
    {"id", "id", "The task."},
    {"region", "id", "The region that owns it."},
    {"path", "text", "The path of that region."},
    {"label", "text", "Its label."},
    {"state", "text", "created, running, cancel-requested, cancelling, finalizing or completed."},
    {"finalizer", "bool", "It is a finalizer."},
    {"owner", "uint", "User id of who submitted it."},
    {"user", "text", "The user it runs as."},
    {"pid", "uint|nil", "Its main process."},
    {"ready", "bool", "It said READY=1, or runs without the notify protocol."},
    {"age_ns", "uint", "Since it was admitted."},
    {"started_age_ns", "uint|nil", "Since it was started."},
    {"kill_left_ns", "uint|nil", "Until it will be killed; nil: not planned."},
    {"slack_ns", "uint|nil", "Time to spare before its limit."},
    {"budget", "L", "What is left of its budget."},
    {"reason", "R|nil", "Why it is being cancelled."},
    {"outcome", "O|nil", "How it ended."},
    {"log_lost_bytes", "uint", "Output that could not be kept."},
    {"call", "text?", "Of a call: the name of the computation."},
    {"attempt", "uint?", "Of a call: the attempt that was begun last; 0: none yet."},
    {"attempts", "uint?", "Of a call: how many it may have."},
    {"worker", "id|nil?", "Of a call: the session of the worker that has it."},
    {"message", "text?", "Of a call that ended: what its worker said."},
    {"result", "bin?", "Of a call that ended: its result; not in lists and trees."},
    END,
};
static const struct proto_reply_field given_fields[] = {
    {"task", "id", "The call."},
    {"region", "id", "Its region."},
    {"name", "text", "The computation."},
    {"input", "bin", "What it works on."},
    {"attempt", "uint", "1, and one more each time it is begun again."},
    {"started", "bool", "It has begun; otherwise it is taken, and begins with started."},
    {"key", "text?",
     "The idempotency key it was submitted under; of what makes up for a step, or cleans "
     "up, one that is the same in every attempt, such as g2.3 or t13."},
    {"cx", "bin16", "The call's own capability: for its region and what is in it."},
    {"budget", "L", "What is left of its budget."},
    END,
};
static const struct proto_reply_field told_fields[] = {
    {"task", "id", "The call that shall end."},
    {"reason", "R", "Why."},
    {"drain_left_ns", "uint|nil", "Until it is ended by force."},
    {"forced", "bool", "It was ended by force already: what it does counts no more."},
    END,
};
static const struct proto_reply_field worker_fields[] = {
    {"worker", "id", "The worker: its session."},
    {"holder", "id", "The task or session that offered."},
    {"owner", "uint", "Whose calls it does."},
    {"region", "id", "It gets calls of this region and of those below it."},
    {"path", "text", "The path of that region."},
    {"names", "list of text", "What it does."},
    {"state", "text", "working, draining, quiet (it waits for the end of its task) or fenced."},
    {"concurrency", "uint", "How many calls it runs at once."},
    {"prefetch", "uint", "How many it takes beyond those."},
    {"running", "uint", "Calls it runs, those ended by force and not let go of included."},
    {"taken", "uint", "Calls it took and has not begun."},
    {"waits", "bool", "It waits for calls."},
    {"seen_age_ns", "uint", "Since its last sign of life that counted."},
    {"done", "uint", "Attempts it finished."},
    {"lost", "uint", "Attempts that were lost with it."},
    {"calls", "list of id", "The calls it has."},
    END,
};
static const struct proto_reply_field event_fields[] = {
    {"seq", "uint", "Sequence number; grows, and skips what is not kept, such as checkpoints."},
    {"at_ns", "uint", "Kernel time."},
    {"at_wall_ns", "uint", "Unix time, for display."},
    {"event", "text", "What happened, such as task-started."},
    {"region", "id|nil", "The region it happened in."},
    {"path", "text?", "The path of that region."},
    {"task", "id|nil", "The task it happened to."},
    {"session", "id|nil", "The session it happened to."},
    {"saga", "id?", "The saga it happened to; value is then the number of the step."},
    {"obligation", "id?", "The obligation it happened to."},
    {"channel", "id?", "The channel it happened to, or in."},
    {"message", "id?", "The message it happened to."},
    {"cx", "id?", "The capability it happened to."},
    {"holder", "id?", "The task or session that holds the obligation, or did this."},
    {"kind", "text?", "The kind of that obligation; why a message came back, or died."},
    {"value", "uint?", "A number, by event."},
    {"text", "text?", "A text, by event."},
    {"reason", "R?", "Why, by event."},
    {"outcome", "O?", "How it ended, by event."},
    END,
};
static const struct proto_reply_field capability_fields[] = {
    {"id", "id", "The capability."},
    {"region", "id", "The region that it is for, with those in it."},
    {"path", "text", "That region's path."},
    {"parent", "id|nil", "The capability that it hangs under."},
    {"holder", "id|nil", "The task or session that derived it."},
    {"owner", "uint", "User id of who derived it."},
    {"rights", "list of text", "What it lets do."},
    {"priority", "uint|nil", "Ceiling of priority."},
    {"left_ns", "uint|nil", "Time that it is still good for."},
    {"cost", "uint|nil", "Ceiling of cost."},
    {"polls", "uint|nil", "Ceiling of checkpoints."},
    {"age_ns", "uint", "Since it was derived."},
    {"revoked", "bool", "It was revoked, and is good for giving back only."},
    END,
};
static const struct proto_reply_field saga_fields[] = {
    {"id", "id", "The saga."},
    {"region", "id", "The region on whose stack it stands, or stood."},
    {"path", "text", "The path of that region."},
    {"name", "text", "Its name."},
    {"state", "text", "running, compensating, needs-attention, completed or compensated."},
    {"owner", "uint", "User id of the region's owner."},
    {"driver", "id", "The session or task that drives it."},
    {"step_count", "uint", "Steps begun so far."},
    {"step_at", "uint|nil", "Number of the step that is being undone."},
    {"age_ns", "uint", "Since it was begun; of one that has ended, how long it took."},
    {"steps", "list of H?", "In order; not in saga.list."},
    END,
};
static const struct proto_reply_field step_fields[] = {
    {"number", "uint", "1, 2, 3 and so on."},
    {"name", "text", "Its name."},
    {"state", "text",
     "running, done, failed, compensating, compensated, needs-attention or resolved."},
    {"action", "id|nil", "The task that does it; nil: the driver did."},
    {"undo", "id|nil", "The last attempt to undo it."},
    {"attempts", "uint", "Attempts to undo it so far."},
    {"attempts_most", "uint", "Attempts until it needs attention."},
    {"next_in_ns", "uint|nil", "Until the next attempt, after one that failed."},
    {"key", "text", "Idempotency key of each attempt, in ASUPERSYNC_IDEMPOTENCY_KEY."},
    END,
};
static const struct proto_reply_field link_fields[] = {
    {"id", "id|uint", "What is waited for; of a process its number."},
    {"kind", "text", "region, task, finalizer, obligation, saga, session or process."},
    {"state", "text", "Its state."},
    {"pid", "uint?", "Its main process."},
    {"name", "text", "Its path, label or command."},
    {"age_ns", "uint", "Since it began."},
    {"budget_left_ns", "uint?", "Time it has left."},
    {"note", "text", "What it waits for, in words."},
    END,
};

static const struct proto_reply_field obligation_shape[] = {
    {"id", "id", "The obligation."},
    {"kind", "text", "send-permit, ack, lease or io-op."},
    {"region", "id", "The region it is owed to."},
    {"path", "text", "The path of that region."},
    {"holder", "id", "The task or session that holds it."},
    {"holder_label", "text?", "The label of that task."},
    {"name", "text", "Name of the lease or channel, or the label of the I/O operation."},
    {"token", "uint?", "Of a lease: its fencing token."},
    {"channel", "id?", "Of a permit or ack."},
    {"message", "id?", "Of an ack."},
    {"age_ns", "uint", "Since it is held."},
    {"left_ns", "uint|nil", "Until it is aborted."},
    {"owner", "uint", "User id of the region's owner."},
    END,
};
static const struct proto_reply_field lease_shape[] = {
    {"region", "id", "The region whose name it is."},
    {"path", "text", "The path of that region."},
    {"name", "text", "Its name."},
    {"state", "text", "held, or cooling: it ended, but the task that held it is not gone yet."},
    {"obligation", "id|nil", "Of who holds it; nil while it cools."},
    {"holder", "id", "The task or session that holds it, or held it."},
    {"holder_label", "text?", "The label of that task."},
    {"token", "uint", "The fencing token of the last grant."},
    {"age_ns", "uint", "Since it was granted."},
    {"left_ns", "uint|nil", "Until it expires; nil while it cools."},
    {"waiters", "uint", "Requests that wait for it."},
    {"owner", "uint", "User id of the region's owner."},
    END,
};

const struct proto_shape proto_shapes[] = {
    {"R", "A cancel reason: a chain down to its root cause.", reason_fields},
    {"O", "An outcome.", outcome_fields},
    {"L", "What is left of a budget.", budget_left_fields},
    {"N", "A region in a tree.", node_fields},
    {"T", "A task.", task_fields},
    {"E", "An event.", event_fields},
    {"C", "A channel.", proto_channel_shape},
    {"M", "A message.", proto_message_shape},
    {"G", "A saga.", saga_fields},
    {"X", "A derived capability.", capability_fields},
    {"H", "A step of a saga.", step_fields},
    {"CA", "A call as its worker gets it.", given_fields},
    {"CT", "A cancel as a worker is told.", told_fields},
    {"WO", "A worker.", worker_fields},
    {"W", "A link in the chain of what something waits for.", link_fields},
    {"OB", "An obligation that is not resolved.", obligation_shape},
    {"LE", "A lease.", lease_shape},
    {NULL, NULL, NULL},
};

/* ---- Bodies ------------------------------------------------------------------------ */

static const struct proto_reply_field nothing[] = {END};
static const struct proto_reply_field session_hello[] = {
    {"session", "id", "The session."},
    {"secret", "bin16", "What the envelope of its requests carries, and what resumes it."},
    {"ttl_ns", "uint", "Time to live after the last sign of life."},
    {"resumed", "bool", "The session was there before."},
    {"version", "text", "The daemon's version."},
    {"protocol", "uint", "The protocol's version."},
    {"uid", "uint", "The user the daemon takes you for."},
    {"message_size_max", "uint", "Largest message, in bytes."},
    {"stdio_socket", "text", "Path of the socket for handing over descriptors."},
    END,
};
static const struct proto_reply_field region_open[] = {
    {"region", "id", "The new region."},
    {"path", "text", "Its path."},
    {"advice", "text?", "What was noticed, such as a limit that cannot be kept."},
    END,
};
static const struct proto_reply_field region_close[] = {
    {"region", "id", "The region."},
    {"state", "text", "Its state now."},
    END,
};
static const struct proto_reply_field region_wait[] = {
    {"region", "id", "The region."},
    {"path", "text", "Its path."},
    {"state", "text", "closed."},
    {"outcome", "O", "How it ended."},
    END,
};
static const struct proto_reply_field region_stat[] = {
    {"...", "N", "The body is a node."},
    {"children_live", "uint", "Child regions that are not closed."},
    {"sealed", "bool", "It admits nothing more."},
    {"close_timeout", "bool", "RegionCloseTimeout was reported."},
    {"sweep_errno", "uint", "Error number of the last try to remove what it left; 0: none."},
    END,
};
static const struct proto_reply_field region_node[] = {
    {"...", "N", "The body is a node."},
    END,
};
static const struct proto_reply_field task_submit[] = {
    {"task", "id", "The new task."},
    {"region", "id", "The region that owns it."},
    {"advice", "text?", "What was noticed, such as a limit that cannot be kept."},
    END,
};
static const struct proto_reply_field task_cancel[] = {
    {"task", "id", "The task."},
    {"state", "text", "Its state now."},
    END,
};
static const struct proto_reply_field task_itself[] = {
    {"...", "T", "The body is a task."},
    END,
};
static const struct proto_reply_field task_list[] = {
    {"tasks", "list of T", "In order of their ids."},
    {"more", "bool", "There are more: ask again after the last of these."},
    END,
};
static const struct proto_reply_field task_checkpoint[] = {
    {"cancel_requested", "bool", "It shall stop."},
    {"reason", "R|nil", "Why."},
    {"drain_left_ns", "uint|nil", "Until it will be killed."},
    {"mask_left", "uint", "What is left of its mask allowance."},
    END,
};
static const struct proto_reply_field task_logs[] = {
    {"task", "id", "The task."},
    {"data", "bin", "A part of its output."},
    {"offset", "uint", "Where that part begins."},
    {"next_offset", "uint", "Where the next one does."},
    {"lost_bytes", "uint", "Output that could not be kept."},
    {"end", "bool", "Nothing follows, now or later."},
    END,
};
static const struct proto_reply_field finalizer_defer[] = {
    {"task", "id", "The finalizer."},
    {"region", "id", "The region that owns it."},
    {"advice", "text?", "What was noticed, such as a limit that cannot be kept."},
    END,
};
static const struct proto_reply_field cx_derive[] = {
    {"cx", "id", "The new capability: names it in cx.revoke, in listings and in events."},
    {"token", "bin16", "16 bytes that show it; whoever has them may use it. Told once."},
    END,
};
static const struct proto_reply_field cx_list[] = {
    {"capabilities", "list of X", "In order of their ids."},
    {"more", "bool", "There are more."},
    END,
};
static const struct proto_reply_field saga_begin[] = {
    {"saga", "id", "The new saga."},
    END,
};
static const struct proto_reply_field saga_step[] = {
    {"saga", "id", "The saga."},
    {"step", "uint", "Number of the step."},
    {"task", "id|nil", "Its action; nil: the driver's own doing."},
    {"key", "text", "Idempotency key of its compensation."},
    {"advice", "text?", "What was noticed, such as a limit that cannot be kept."},
    END,
};
static const struct proto_reply_field saga_state[] = {
    {"saga", "id", "The saga."},
    {"state", "text", "Its state now."},
    END,
};
static const struct proto_reply_field saga_itself[] = {
    {"...", "G", "The body is a saga."},
    END,
};
static const struct proto_reply_field saga_list[] = {
    {"sagas", "list of G", "In order of their ids."},
    {"more", "bool", "There are more: ask again after the last of these."},
    END,
};
static const struct proto_reply_field obligation_reserve[] = {
    {"obligation", "id", "What is owed now: commit or abort it, once."},
    END,
};
static const struct proto_reply_field obligation_list[] = {
    {"obligations", "list of OB",
     "In order of their ids; of a holder, in which it came to hold them."},
    {"more", "bool", "There are more: ask again after the last of these."},
    END,
};
static const struct proto_reply_field lease_acquire[] = {
    {"obligation", "id", "What holds the lease: renew and release it by this."},
    {"token", "uint",
     "The fencing token, larger with every grant of any lease. What the lease protects should "
     "refuse a smaller one than it has seen."},
    {"expires_in_ns", "uint", "How long it is held unless it is renewed."},
    END,
};
static const struct proto_reply_field lease_renew[] = {
    {"expires_in_ns", "uint", "How long it is held from now."},
    END,
};
static const struct proto_reply_field lease_stat[] = {
    {"...", "LE", "The body is a lease."},
    END,
};
static const struct proto_reply_field lease_list[] = {
    {"leases", "list of LE", "Names that are held or cooling."},
    END,
};
static const struct proto_reply_field worker_offer[] = {
    {"worker", "id", "The worker: the caller's session."},
    {"advice", "text?", "What was noticed, such as an interval that does not fit."},
    END,
};
static const struct proto_reply_field worker_next[] = {
    {"calls", "list of CA", "Calls it has from now on."},
    {"cancels", "list of CT", "Calls of its that shall end."},
    {"completed", "list of int", "A code for each of completed, in its order."},
    {"started", "list of int",
     "A code for each of started: 0, it has begun; expired, it was taken back."},
    END,
};
static const struct proto_reply_field worker_list[] = {
    {"workers", "list of WO", "In order of their ids."},
    END,
};
static const struct proto_reply_field events_watch[] = {
    {"events", "list of E", "In order."},
    {"next", "uint", "What to ask for next: since."},
    {"oldest", "uint", "The oldest event that is still kept."},
    END,
};
static const struct proto_reply_field why[] = {
    {"id", "id", "What was asked about."},
    {"state", "text", "Its state."},
    {"summary", "text", "One sentence."},
    {"chain", "list of W", "What it waits for, what that waits for, and so on."},
    {"trouble", "list of map", "Named troubles {name, id, message}."},
    END,
};
static const struct proto_reply_field daemon_status[] = {
    {"version", "text", "The daemon's version."},
    {"protocol", "uint", "The protocol's version."},
    {"containment", "text", "cgroup2, cgroup2-cooperative or subreaper."},
    {"mode", "text", "system or user."},
    {"state", "text", "running, draining or shutting-down."},
    {"pid", "uint", "The keeper's process."},
    {"engine_pid", "uint", "The engine's process."},
    {"engine_runs", "uint", "1, and one more for every restart of the engine."},
    {"uptime_ns", "uint", "Since the keeper started."},
    {"boot", "text", "The machine's boot id."},
    {"regions", "uint", "Live regions, the root included."},
    {"tasks", "uint", "Live tasks."},
    {"running", "uint", "Tasks with a process."},
    {"sessions", "uint", "Sessions."},
    {"waits", "uint", "Requests that wait."},
    {"connections", "uint", "Connections."},
    {"draining", "uint", "Regions on their way to being closed."},
    {"sagas", "uint", "Sagas that have not ended."},
    {"needs_attention", "list of id", "Sagas that need attention, the first 100 that one may see."},
    {"workers_lost", "list of id",
     "Workers that were quiet for longer than their lease, the first 16 that one may see."},
    {"governor", "text",
     "What it advises: none, meet-deadlines, drain-obligations or drain-regions."},
    {"obligations", "map", "How many obligations there are, by kind."},
    {"channels", "uint", "Live channels."},
    {"messages", "uint", "Messages in them."},
    {"dead_letters", "uint", "Dead letters that are kept."},
    {"leases", "uint", "Names that are held or cooling."},
    {"leaked", "uint", "Obligations that leaked, ever."},
    {"stuck", "uint", "Tasks that hold something and make no progress."},
    {"limits", "map", "By name {used?, max}."},
    {"cgroup", "text", "Where the tasks' cgroups are; empty without."},
    {"runtime_dir", "text", "Where the sockets are."},
    {"state_dir", "text", "Where the state is."},
    {"config", "text", "The configuration file; empty without."},
    {"now_ns", "uint", "Kernel time."},
    {"now_wall_ns", "uint", "Unix time."},
    {"potential", "uint", "What stands between now and nothing running; 0: nothing."},
    {"log_bytes_lost", "uint", "Output that could not be kept, of all tasks."},
    {"memory_limits", "bool", "memory_max works here."},
    {"pids_limits", "bool", "pids_max works here."},
    {"journal", "map",
     "The journal {added, committed, snapshot: event numbers, commits, bytes, held: answers and "
     "orders that wait for it, failing, reason: text or nil}."},
    {"standing", "map",
     "What the policy leaves the user who asks {rule: \"FILE:LINE\" or nil for none, rights: list "
     "of text, region: path or nil for its own ones, and the ceilings timeout_ns, priority, polls, "
     "cost, each nil for none}."},
    END,
};
static const struct proto_reply_field batch[] = {
    {"results", "list", "One [code, body] for each operation, in order."},
    END,
};

const struct proto_reply_field *const proto_replies[PROTO_OP_COUNT] = {
    [PROTO_SESSION_HELLO] = session_hello,
    [PROTO_SESSION_KEEPALIVE] = nothing,
    [PROTO_SESSION_BYE] = nothing,
    [PROTO_REGION_OPEN] = region_open,
    [PROTO_REGION_CLOSE] = region_close,
    [PROTO_REGION_WAIT] = region_wait,
    [PROTO_REGION_STAT] = region_stat,
    [PROTO_REGION_TREE] = region_node,
    [PROTO_TASK_SUBMIT] = task_submit,
    [PROTO_TASK_CANCEL] = task_cancel,
    [PROTO_TASK_WAIT] = task_itself,
    [PROTO_TASK_STAT] = task_itself,
    [PROTO_TASK_LIST] = task_list,
    [PROTO_TASK_CHECKPOINT] = task_checkpoint,
    [PROTO_TASK_PROGRESS] = task_checkpoint,
    [PROTO_TASK_LOGS] = task_logs,
    [PROTO_FINALIZER_DEFER] = finalizer_defer,
    [PROTO_CHANNEL_OPEN] = channel_open_reply,
    [PROTO_CHANNEL_SEAL] = channel_subject_reply,
    [PROTO_CHANNEL_STAT] = channel_subject_reply,
    [PROTO_CHANNEL_LIST] = channel_list_reply,
    [PROTO_CHANNEL_RESERVE] = channel_reserve_reply,
    [PROTO_CHANNEL_SEND] = channel_send_reply,
    [PROTO_CHANNEL_ABORT] = nothing,
    [PROTO_CHANNEL_RECEIVE] = channel_receive_reply,
    [PROTO_CHANNEL_ACK] = nothing,
    [PROTO_CHANNEL_NACK] = nothing,
    [PROTO_CHANNEL_EXTEND] = channel_extend_reply,
    [PROTO_CHANNEL_MESSAGE] = channel_message_reply,
    [PROTO_CHANNEL_DEAD] = channel_dead_reply,
    [PROTO_CHANNEL_RETRY] = channel_send_reply,
    [PROTO_CHANNEL_DISCARD] = nothing,
    [PROTO_CX_DERIVE] = cx_derive,
    [PROTO_CX_REVOKE] = nothing,
    [PROTO_CX_LIST] = cx_list,
    [PROTO_SAGA_BEGIN] = saga_begin,
    [PROTO_SAGA_STEP] = saga_step,
    [PROTO_SAGA_COMPLETE] = saga_state,
    [PROTO_SAGA_ABORT] = saga_state,
    [PROTO_SAGA_STAT] = saga_itself,
    [PROTO_SAGA_LIST] = saga_list,
    [PROTO_SAGA_RESOLVE] = saga_state,
    [PROTO_SAGA_WAIT] = saga_itself,
    [PROTO_OBLIGATION_RESERVE] = obligation_reserve,
    [PROTO_OBLIGATION_COMMIT] = nothing,
    [PROTO_OBLIGATION_ABORT] = nothing,
    [PROTO_OBLIGATION_TRANSFER] = nothing,
    [PROTO_OBLIGATION_LIST] = obligation_list,
    [PROTO_LEASE_ACQUIRE] = lease_acquire,
    [PROTO_LEASE_RENEW] = lease_renew,
    [PROTO_LEASE_RELEASE] = nothing,
    [PROTO_LEASE_STAT] = lease_stat,
    [PROTO_LEASE_LIST] = lease_list,
    [PROTO_TASK_COMPLETE] = nothing,
    [PROTO_WORKER_OFFER] = worker_offer,
    [PROTO_WORKER_NEXT] = worker_next,
    [PROTO_WORKER_WITHDRAW] = nothing,
    [PROTO_WORKER_DRAIN] = nothing,
    [PROTO_WORKER_LIST] = worker_list,
    [PROTO_EVENTS_WATCH] = events_watch,
    [PROTO_WHY] = why,
    [PROTO_DAEMON_STATUS] = daemon_status,
    [PROTO_DAEMON_RELOAD] = nothing,
    [PROTO_DAEMON_UPGRADE] = nothing,
    [PROTO_DAEMON_DRAIN] = nothing,
    [PROTO_DAEMON_SHUTDOWN] = nothing,
    [PROTO_BATCH] = batch,
};
