/* SPDX-License-Identifier: MIT */
/*
 * The one table of verbs and options. It drives parsing, --help, the shell
 * completions and "did you mean": nothing about the command line is written
 * down twice.
 */
#ifndef ASUPERSYNC_CTL_VERBS_H
#define ASUPERSYNC_CTL_VERBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Verbs ---------------------------------------------------------------- */

/* What follows the options of a verb. */
enum operands {
    OPERANDS_NONE,
    OPERANDS_COMMAND,         /* [--] CMD [ARG...] */
    OPERANDS_REGION_COMMAND,  /* REGION [--] CMD [ARG...] */
    OPERANDS_REGION,          /* a region, or none for "/" */
    OPERANDS_REGIONS,         /* one or more regions */
    OPERANDS_IDS,             /* one or more tasks or regions */
    OPERANDS_WORD,            /* one word of the verb's own, or none */
    OPERANDS_WORDS,           /* a word of the verb's own, and what that takes */
    OPERANDS_CHANNEL_COMMAND, /* CHANNEL [-- CMD [ARG...]] */
    OPERANDS_WORDS_COMMAND,   /* words of the verb's own, and after -- a command */
};

/* X(NAME, "name", operands, "operands in the synopsis") */
#define VERB_LIST(X)                                                                               \
    X(RUN, "run", OPERANDS_COMMAND, "[REGION --] CMD [ARG...]")                                    \
    X(SUBMIT, "submit", OPERANDS_COMMAND, "[REGION --] CMD [ARG...]")                              \
    X(OPEN, "open", OPERANDS_NONE, "")                                                             \
    X(DEFER, "defer", OPERANDS_REGION_COMMAND, "REGION [--] CMD [ARG...]")                         \
    X(WAIT, "wait", OPERANDS_IDS, "ID...")                                                         \
    X(CLOSE, "close", OPERANDS_REGIONS, "REGION...")                                               \
    X(CANCEL, "cancel", OPERANDS_IDS, "ID...")                                                     \
    X(CHANNELS, "channels", OPERANDS_REGION, "[REGION]")                                           \
    X(CHANNEL, "channel", OPERANDS_WORDS, "open|seal|stat CHANNEL...")                             \
    X(SEND, "send", OPERANDS_WORDS, "CHANNEL [TEXT...]")                                           \
    X(RECEIVE, "receive", OPERANDS_CHANNEL_COMMAND, "CHANNEL [-- CMD [ARG...]]")                   \
    X(ACK, "ack", OPERANDS_WORDS, "OBLIGATION...")                                                 \
    X(NACK, "nack", OPERANDS_WORDS, "OBLIGATION...")                                               \
    X(DEAD, "dead", OPERANDS_WORDS, "list|show|retry|discard [MESSAGE...]")                        \
    X(SESSION, "session", OPERANDS_NONE, "")                                                       \
    X(CALL, "call", OPERANDS_WORDS, "NAME")                                                        \
    X(WORKERS, "workers", OPERANDS_WORD, "[NAME]")                                                 \
    X(WORKER, "worker", OPERANDS_WORDS_COMMAND, "run NAME -- CMD [ARG...] | drain WORKER")         \
    X(SAGA, "saga", OPERANDS_WORDS, "WORD [ARG...]")                                               \
    X(TREE, "tree", OPERANDS_REGION, "[REGION]")                                                   \
    X(PS, "ps", OPERANDS_REGION, "[REGION]")                                                       \
    X(SHOW, "show", OPERANDS_IDS, "ID...")                                                         \
    X(WHY, "why", OPERANDS_IDS, "ID...")                                                           \
    X(LOGS, "logs", OPERANDS_IDS, "ID...")                                                         \
    X(OBLIGATIONS, "obligations", OPERANDS_REGION, "[REGION]")                                     \
    X(OBLIGATION, "obligation", OPERANDS_WORDS_COMMAND, "reserve|commit|abort|transfer [ID]...")   \
    X(LEASES, "leases", OPERANDS_REGION, "[REGION]")                                               \
    X(LEASE, "lease", OPERANDS_WORDS_COMMAND, "run NAME -- CMD | acquire|renew|release ...")       \
    X(CX, "cx", OPERANDS_WORDS, "derive|revoke|list [CX...|REGION]")                               \
    X(EVENTS, "events", OPERANDS_NONE, "")                                                         \
    X(STATUS, "status", OPERANDS_NONE, "")                                                         \
    X(DRAIN, "drain", OPERANDS_NONE, "")                                                           \
    X(RELOAD, "reload", OPERANDS_NONE, "")                                                         \
    X(UPGRADE, "upgrade", OPERANDS_NONE, "")                                                       \
    X(SHUTDOWN, "shutdown", OPERANDS_NONE, "")                                                     \
    X(COMPLETION, "completion", OPERANDS_WORD, "bash|zsh|fish|ids|regions")                        \
    X(HELP, "help", OPERANDS_WORD, "[VERB]")                                                       \
    X(VERSION, "version", OPERANDS_NONE, "")

enum verb_id {
#define VERB_ENUM(NAME, name, operands, synopsis) VERB_##NAME,
    VERB_LIST(VERB_ENUM)
#undef VERB_ENUM
        VERB_COUNT
};

struct verb {
    enum verb_id id;
    const char *name;
    enum operands operands;
    const char *synopsis;
};

struct verb_text {
    const char *summary; /* one line, no full stop */
    const char *details; /* sentences; lines are already broken */
    const char *example; /* lines, each a command without the program's name */
};

extern const struct verb verbs[VERB_COUNT];
extern const struct verb_text verb_texts[VERB_COUNT];

/* ---- Options ---------------------------------------------------------------- */

/* What a shell may offer as an option's value. */
enum value_kind {
    VALUE_NONE, /* the option takes none */
    VALUE_ANY,
    VALUE_FILE,
    VALUE_DIRECTORY,
    VALUE_REGION,
    VALUE_USER,
    VALUE_SIGNAL,
    VALUE_POLICY,
    VALUE_UNTIL,
};

#define ON(verb) (UINT64_C(1) << VERB_##verb)
#define ON_ALL UINT64_MAX
#define ON_PROCESS (ON(RUN) | ON(SUBMIT) | ON(DEFER) | ON(LEASE))
#define ON_BUDGET (ON(RUN) | ON(SUBMIT) | ON(OPEN) | ON(CALL))
#define ON_REGION (ON(RUN) | ON(OPEN))
#define ON_KEYED                                                                                   \
    (ON(SUBMIT) | ON(OPEN) | ON(DEFER) | ON(CLOSE) | ON(CANCEL) | ON(CALL) | ON(CHANNEL) |         \
     ON(SEND) | ON(DEAD) | ON(SAGA) | ON(OBLIGATION) | ON(CX))

/* X(NAME, "name", letter or 0, "METAVAR", value kind, verbs, "help")
 * Two rows may share a name when no verb has both. */
#define OPTION_LIST(X)                                                                             \
    X(TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON_BUDGET | ON(DEFER),                              \
      "cancel it when it has taken that long")                                                     \
    X(DEADLINE, "deadline", 0, "TIME", VALUE_ANY, ON_BUDGET,                                       \
      "cancel it at that time: +30s, 18:30, 2030-01-31T12:00, @UNIX")                              \
    X(POLLS, "polls", 0, "N", VALUE_ANY, ON_BUDGET, "cancel it when it has spent N checkpoints")   \
    X(COST, "cost", 0, "N", VALUE_ANY, ON_BUDGET,                                                  \
      "cancel it when it has spent N units (CPU milliseconds)")                                    \
    X(PRIORITY, "priority", 0, "1..255", VALUE_ANY, ON_BUDGET, "start earlier; 128 is usual")      \
    X(DRAIN, "drain", 0, "DUR", VALUE_ANY,                                                         \
      ON_PROCESS | ON(OPEN) | ON(CLOSE) | ON(CANCEL) | ON(CALL),                                   \
      "time to end by itself after a cancel, then it is killed")                                   \
    X(WAIT_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(WAIT) | ON(CLOSE) | ON(CANCEL),             \
      "wait no longer than that; exit 75")                                                         \
    X(IN, "in", 0, "REGION", VALUE_REGION,                                                         \
      ON_BUDGET | ON(WORKER) | ON(SAGA) | ON(OBLIGATION) | ON(LEASE) | ON(CX),                     \
      "region it belongs to (default $ASUPERSYNC_REGION, or / for run and open)")                  \
    X(CX_REGION, "region", 0, "REGION", VALUE_REGION, ON(CX), "the same as --in")                  \
    X(RIGHTS, "rights", 0, "A,B", VALUE_ANY, ON(CX),                                               \
      "derive: what it lets do (default observe); all: whatever a task may")                       \
    X(CX_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(CX), "derive: how long it is good")           \
    X(CX_PRIORITY, "priority", 0, "1..255", VALUE_ANY, ON(CX),                                     \
      "derive: the highest priority of what is made with it")                                      \
    X(CX_COST, "cost", 0, "N", VALUE_ANY, ON(CX),                                                  \
      "derive: the most cost that anything made with it may spend")                                \
    X(CX_POLLS, "polls", 0, "N", VALUE_ANY, ON(CX),                                                \
      "derive: the most checkpoints that anything made with it may spend")                         \
    X(ID, "id", 0, NULL, VALUE_NONE, ON(CX), "derive: print the id before the token")              \
    X(KEY, "key", 0, "KEY", VALUE_ANY, ON_KEYED,                                                   \
      "idempotency key: asked again with it, the answer is that of the first time")                \
    X(KEY_RETENTION, "key-retention", 0, "DUR", VALUE_ANY, ON_KEYED,                               \
      "how long the key lives after what it started has ended (default 24h)")                      \
    X(NAME, "name", 0, "NAME", VALUE_ANY, ON_REGION, "name of the region, part of its path")       \
    X(CALL_RETRY, "retry", 0, "N", VALUE_ANY, ON(CALL),                                            \
      "attempts in all, when one fails or its worker is lost (default 1)")                         \
    X(CALL_BACKOFF, "backoff", 0, "DUR", VALUE_ANY, ON(CALL),                                      \
      "wait before the second attempt, doubling")                                                  \
    X(WORKER_TTL, "ttl", 0, "DUR", VALUE_ANY, ON(WORKER),                                          \
      "run: how long it may be without a connection (default 10s)")                                \
    X(CONCURRENCY, "concurrency", 0, "N", VALUE_ANY, ON(WORKER), "run: calls at once (default 1)") \
    X(PREFETCH, "prefetch", 0, "N", VALUE_ANY, ON(WORKER),                                         \
      "run: calls to take beyond those (default 0)")                                               \
    X(WORKER_LEASE, "lease", 0, "DUR", VALUE_ANY, ON(WORKER),                                      \
      "run: when it is silent that long (stopped), its calls are lost")                            \
    X(SAGA_NAME, "name", 0, "NAME", VALUE_ANY, ON(SAGA), "begin: name of the saga, for people")    \
    X(UNDO, "undo", 0, "CMD", VALUE_ANY, ON(SAGA), "step: shell command that makes up for it")     \
    X(SAGA_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(SAGA),                                      \
      "step: time for the action; wait: wait no longer than that")                                 \
    X(UNDO_TIMEOUT, "undo-timeout", 0, "DUR", VALUE_ANY, ON(SAGA),                                 \
      "step: time for each attempt to undo it (default 10s)")                                      \
    X(ATTEMPTS, "attempts", 0, "N", VALUE_ANY, ON(SAGA),                                           \
      "step: attempts to undo it until it needs attention (default 3)")                            \
    X(BACKOFF, "backoff", 0, "DUR", VALUE_ANY, ON(SAGA),                                           \
      "step: wait after the first of them, doubling (default 1s, at most 30s)")                    \
    X(RETRY, "retry", 0, NULL, VALUE_NONE, ON(SAGA), "resolve: try the compensation again")        \
    X(RESOLVED, "resolved", 0, NULL, VALUE_NONE, ON(SAGA),                                         \
      "resolve: it was made up for by other means")                                                \
    X(POLICY, "policy", 0, "POLICY", VALUE_POLICY, ON_REGION,                                      \
      "what counts: collect, fail-fast, race, first-ok, quorum:K or last")                         \
    X(SOFT, "soft", 0, NULL, VALUE_NONE, ON_REGION,                                                \
      "wait for ever instead of killing (except at shutdown)")                                     \
    X(STRICT, "strict", 0, NULL, VALUE_NONE, ON_REGION,                                            \
      "an obligation that leaks is a panic, not an error")                                         \
    X(VOLATILE, "volatile", 0, NULL, VALUE_NONE, ON_REGION,                                        \
      "journal nothing in it or below: quicker, and lost if the engine ends")                      \
    X(DURABLE, "durable", 0, NULL, VALUE_NONE, ON_REGION,                                          \
      "refuse to open it below a volatile region")                                                 \
    X(FINALIZER, "finalizer", 0, "CMD", VALUE_ANY, ON_REGION,                                      \
      "shell command to run when the region closes; repeatable")                                   \
    X(TASKS_MAX, "tasks-max", 0, "N", VALUE_ANY, ON_REGION, "most live tasks in the region")       \
    X(CHILDREN_MAX, "children-max", 0, "N", VALUE_ANY, ON_REGION, "most child regions")            \
    X(ATTACH, "attach", 0, NULL, VALUE_NONE, ON(OPEN),                                             \
      "stay, and cancel the region when this command ends")                                        \
    X(LABEL, "label", 0, "TEXT", VALUE_ANY, ON_PROCESS | ON(CALL) | ON(OBLIGATION),                \
      "what listings show (default CMD or NAME)")                                                  \
    X(ENV, "env", 'e', "NAME[=VALUE]", VALUE_ANY, ON_PROCESS | ON(SAGA),                           \
      "set a variable; without =VALUE pass the current one; repeatable")                           \
    X(CLEAR_ENV, "clear-env", 0, NULL, VALUE_NONE, ON_PROCESS | ON(SAGA),                          \
      "start from an empty environment")                                                           \
    X(KEEP_ENV, "keep-env", 0, NULL, VALUE_NONE, ON(SUBMIT) | ON(DEFER) | ON(SAGA),                \
      "pass the whole current environment")                                                        \
    X(CWD, "cwd", 'C', "DIR", VALUE_DIRECTORY, ON_PROCESS | ON(SAGA),                              \
      "where it runs (default here, with --as at home)")                                           \
    X(AS, "as", 0, "USER", VALUE_USER, ON_PROCESS | ON(SAGA), "run as that user (root only)")      \
    X(UMASK, "umask", 0, "OCTAL", VALUE_ANY, ON_PROCESS, "its file mode creation mask")            \
    X(NICE, "nice", 0, "N", VALUE_ANY, ON_PROCESS, "its niceness, -20 to 19")                      \
    X(RLIMIT, "rlimit", 0, "NAME=SOFT[:HARD]", VALUE_ANY, ON_PROCESS,                              \
      "resource limit, such as nofile=1024 or core=unlimited; repeatable")                         \
    X(MEMORY_MAX, "memory-max", 0, "SIZE", VALUE_ANY, ON_PROCESS, "memory limit: 512M")            \
    X(PIDS_MAX, "pids-max", 0, "N", VALUE_ANY, ON_PROCESS, "most processes at a time")             \
    X(CANCEL_SIGNAL, "cancel-signal", 0, "SIGNAL", VALUE_SIGNAL, ON_PROCESS,                       \
      "what a cancel sends (default TERM)")                                                        \
    X(LEFTOVER, "leftover", 0, "DUR|wait", VALUE_ANY, ON_PROCESS,                                  \
      "time for what outlives its main process (default 2s)")                                      \
    X(NOTIFY, "notify", 0, NULL, VALUE_NONE, ON_PROCESS, "it speaks sd_notify (READY=1)")          \
    X(WATCHDOG, "watchdog", 0, "DUR", VALUE_ANY, ON_PROCESS,                                       \
      "kill it when WATCHDOG=1 is silent that long (and --notify)")                                \
    X(DELAY, "delay", 0, "DUR", VALUE_ANY, ON(SUBMIT), "start it that much later")                 \
    X(STDIN, "stdin", 0, "PATH", VALUE_FILE, ON_PROCESS, "read standard input from a file")        \
    X(STDOUT, "stdout", 0, "PATH", VALUE_FILE, ON_PROCESS, "write standard output to a file")      \
    X(STDERR, "stderr", 0, "PATH", VALUE_FILE, ON_PROCESS, "write standard error to a file")       \
    X(APPEND, "append", 0, NULL, VALUE_NONE, ON_PROCESS, "append to those files")                  \
    X(RESPONSE, "response", 0, "DUR", VALUE_ANY, ON(RUN) | ON(SUBMIT),                             \
      "its declared longest time between checkpoints")                                             \
    X(MASK_DEPTH, "mask-depth", 0, "N", VALUE_ANY, ON(RUN) | ON(SUBMIT),                           \
      "its declared mask depth")                                                                   \
    X(EACH, "each", 0, "FILE", VALUE_FILE, ON(SUBMIT),                                             \
      "one shell command a line, all admitted or none; - is standard input")                       \
    X(WAIT, "wait", 'w', NULL, VALUE_NONE, ON(SUBMIT) | ON(CANCEL) | ON(SAGA),                     \
      "wait for the end and exit by the outcome")                                                  \
    X(UNTIL, "until", 0, "STATE", VALUE_UNTIL, ON(WAIT),                                           \
      "what to wait for: started, ready or finished (default)")                                    \
    X(FINISH, "finish", 0, NULL, VALUE_NONE, ON(CLOSE), "let what runs end by itself")             \
    X(NO_WAIT, "no-wait", 0, NULL, VALUE_NONE, ON(CLOSE) | ON(CANCEL) | ON(SHUTDOWN) | ON(DRAIN),  \
      "ask for it and return")                                                                     \
    X(MESSAGE, "message", 'm', "TEXT", VALUE_ANY,                                                  \
      ON(CLOSE) | ON(CANCEL) | ON(SAGA) | ON(OBLIGATION), "why, for the record")                   \
    X(OWED_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(OBLIGATION),                                \
      "abort it when it has taken that long")                                                      \
    X(HOLDER, "holder", 0, "ID", VALUE_ANY, ON(OBLIGATIONS),                                       \
      "only what that task or session holds")                                                      \
    X(KIND, "kind", 0, "KIND", VALUE_ANY, ON(OBLIGATIONS),                                         \
      "only that kind: send-permit, ack, lease or io-op")                                          \
    X(TTL, "ttl", 0, "DUR", VALUE_ANY, ON(LEASE),                                                  \
      "how long it is held unless renewed (default 30s)")                                          \
    X(LEASE_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(LEASE),                                    \
      "wait for it no longer than that; exit 75")                                                  \
    X(LEASE_WAIT, "wait", 'w', "DUR", VALUE_ANY, ON(LEASE), "the same, as flock(1) spells it")     \
    X(NONBLOCK, "nonblock", 'n', NULL, VALUE_NONE, ON(LEASE), "do not wait for it; exit 75")       \
    X(CONFLICT_EXIT, "conflict-exit-code", 'E', "N", VALUE_ANY, ON(LEASE),                         \
      "exit by N, not 75, when another holds it")                                                  \
    X(WITHIN, "within", 0, "DUR", VALUE_ANY, ON(SHUTDOWN), "be gone by then; shortens draining")   \
    X(CHANNEL_TIMEOUT, "timeout", 0, "DUR", VALUE_ANY, ON(SEND) | ON(RECEIVE),                     \
      "wait no longer than that for room or a message; exit 75")                                   \
    X(CAPACITY, "capacity", 0, "N", VALUE_ANY, ON(CHANNEL),                                        \
      "open: messages, permits and unacknowledged together (default 1024)")                        \
    X(ACK_TIMEOUT, "ack-timeout", 0, "DUR", VALUE_ANY, ON(CHANNEL) | ON(RECEIVE),                  \
      "time a receiver has to ack")                                                                \
    X(PERMIT_TIMEOUT, "permit-timeout", 0, "DUR", VALUE_ANY, ON(CHANNEL),                          \
      "open: time a sender has to use its permit")                                                 \
    X(NACKS_MAX, "nacks-max", 0, "N", VALUE_ANY, ON(CHANNEL),                                      \
      "open: nacks and deaths that make a message a dead letter; 0: none")                         \
    X(TIMEOUTS_MAX, "timeouts-max", 0, "N", VALUE_ANY, ON(CHANNEL), "open: likewise ack timeouts") \
    X(KEEP_DEAD, "keep-dead", 0, "DUR", VALUE_ANY, ON(CHANNEL),                                    \
      "open: how long a dead letter is kept")                                                      \
    X(INPUT, "input", 'i', "FILE", VALUE_FILE, ON(SEND) | ON(CALL),                                \
      "what to send; - is standard input")                                                         \
    X(LINES, "lines", 0, NULL, VALUE_NONE, ON(SEND), "a message for each line of the input")       \
    X(MESSAGES, "count", 'n', "N", VALUE_ANY, ON(RECEIVE),                                         \
      "so many messages (default 1); 0: until the channel has ended")                              \
    X(NO_ACK, "no-ack", 0, NULL, VALUE_NONE, ON(RECEIVE),                                          \
      "leave the ack to a later ack or nack; its id is printed first")                             \
    X(EXTEND, "extend", 0, "DUR", VALUE_ANY, ON(ACK),                                              \
      "do not ack yet: that much time from now on")                                                \
    X(NOTE, "note", 'm', "TEXT", VALUE_ANY, ON(NACK), "why, kept with the message")                \
    X(DEAD_IN, "in", 0, "REGION", VALUE_REGION, ON(DEAD), "only of that region's channels")        \
    X(DEAD_CHANNEL, "channel", 0, "CHANNEL", VALUE_ANY, ON(DEAD), "only of that channel")          \
    X(DEAD_ALL, "all", 'a', NULL, VALUE_NONE, ON(DEAD),                                            \
      "retry, discard: all that --in and --channel select")                                        \
    X(TO, "to", 0, "CHANNEL", VALUE_ANY, ON(DEAD),                                                 \
      "retry: into that channel (default: where it came from)")                                    \
    X(SESSION_TTL, "ttl", 0, "DUR", VALUE_ANY, ON(SESSION),                                        \
      "how long it outlives the last command")                                                     \
    X(ALL, "all", 'a', NULL, VALUE_NONE, ON(TREE) | ON(PS) | ON(SAGA),                             \
      "also what has ended and is still remembered")                                               \
    X(DEPTH, "depth", 'L', "N", VALUE_ANY, ON(TREE), "no deeper than N levels")                    \
    X(FOLLOW, "follow", 'f', NULL, VALUE_NONE, ON(LOGS) | ON(EVENTS), "keep on as more comes")     \
    X(RAW, "raw", 0, NULL, VALUE_NONE, ON(LOGS) | ON(DEAD),                                        \
      "to a terminal, too, write every byte as it is; dead show: the data alone")                  \
    X(OFFSET, "offset", 0, "N", VALUE_ANY, ON(LOGS), "from that byte on")                          \
    X(SINCE, "since", 0, "SEQ", VALUE_ANY, ON(EVENTS), "from that sequence number on")             \
    X(EVENTS_REGION, "in", 0, "REGION", VALUE_REGION, ON(EVENTS), "only that region's")            \
    X(LIMIT, "limit", 'n', "N", VALUE_ANY, ON(EVENTS), "end after N events")                       \
    X(SOCKET, "socket", 0, "URL", VALUE_ANY, ON_ALL, "where the daemon listens: ipc:///PATH")      \
    X(CX, "cx", 0, "HEX", VALUE_ANY, ON_ALL,                                                       \
      "act with that capability (default $ASUPERSYNC_CX, in a task)")                              \
    X(NO_CX, "no-cx", 0, NULL, VALUE_NONE, ON_ALL, "act with this user's rights, in a task too")   \
    X(JSON, "json", 0, NULL, VALUE_NONE, ON_ALL, "print JSON, errors included")                    \
    X(QUIET, "quiet", 'q', NULL, VALUE_NONE, ON_ALL, "no progress, no remarks")                    \
    X(NO_COLOR, "no-color", 0, NULL, VALUE_NONE, ON_ALL, "no colours (as $NO_COLOR)")              \
    X(HELP, "help", 'h', NULL, VALUE_NONE, ON_ALL, "explain the verb")

enum option_id {
#define OPTION_ENUM(NAME, name, letter, metavar, kind, verbs, help) OPTION_##NAME,
    OPTION_LIST(OPTION_ENUM)
#undef OPTION_ENUM
        OPTION_COUNT
};

struct option_row {
    const char *name;
    char letter;
    const char *metavar; /* NULL: takes no value */
    enum value_kind kind;
    uint64_t verbs;
    const char *help;
};

extern const struct option_row option_rows[OPTION_COUNT];

/* Whether the verb takes the option. */
bool verb_takes(enum verb_id verb, enum option_id option);
/* Whether every verb does: --json and the like. */
bool option_is_global(enum option_id option);

/* The verb of that name, or NULL. */
const struct verb *verb_find(const char *name);
/* The verb that is spelled most alike, or NULL when none is near. */
const struct verb *verb_near(const char *name);

#endif
