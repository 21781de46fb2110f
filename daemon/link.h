/* SPDX-License-Identifier: MIT */
/*
 * The private channel between keeper and engine: a SOCK_SEQPACKET pair, one
 * struct link_message a packet, at most one descriptor with it. Both ends are
 * the same build on the same machine, so structs go as they are; the keeper
 * still checks every field, because it trusts nothing from the engine.
 *
 * State, not messages: the keeper holds one row per task and sends it, with a
 * version, again and again until LINK_ACK names that version; it forgets the
 * row only on LINK_FORGET. START is idempotent by task id. Neither side ever
 * blocks on a send: what does not fit waits in a queue of its own.
 *
 * The engine dies or hangs: the keeper reads the channel to its end and obeys
 * what it reads, keeps every task and every row, and starts a new engine. That
 * one is told HELLO, one REGION per region that anything was made for, one ROW
 * per row in the order in which they changed last, each with its log pipe's
 * read end again, and TABLE_END. Rows that it does not know it kills and
 * forgets, regions that it does not know it sweeps (R-TSK-5).
 *
 * The keeper dies: the engine sees end of file, writes the tree's cgroup.kill,
 * which it holds open as ENGINE_FD_KILL, and exits.
 *
 * An engine of another LINK_VERSION than the keeper's refuses HELLO and exits
 * with ENGINE_EXIT_LINK: then only a restart of the whole daemon helps.
 */
#ifndef ASUPERSYNC_DAEMON_LINK_H
#define ASUPERSYNC_DAEMON_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "asupersync/types.h"

/* Descriptors the engine inherits. */
#define ENGINE_FD_LINK 3
#define ENGINE_FD_KILL 4 /* cgroup.kill of tree/; closed where there is none */

/* Grows with every change of what follows. In every version HELLO is kind 1 and
 * its version the first number of its payload. */
#define LINK_VERSION 3

/* Exit statuses of an engine (sysexits.h) that end it before LINK_READY and
 * will again: the keeper says so and tries again seldom, while the tasks go on. */
#define ENGINE_EXIT_LINK 76 /* EX_PROTOCOL: keeper and engine do not fit together */
/* Of one that served: it shut down as far as a disk that fails lets it; the
 * keeper shall end, and the next start goes on from what the journal holds. */
#define ENGINE_EXIT_GIVEN_UP 74 /* EX_IOERR */
/* After LINK_REPLACE. */
#define ENGINE_EXIT_REPLACE 85

#define LINK_PATH_MAX ASUP_DEPTH_MAX

enum link_kind {
    /* keeper -> engine */
    LINK_HELLO = 1, /* first message, and the answer to LINK_REREAD: u.hello */
    LINK_TABLE_END, /* every region and row there was has been sent once */
    LINK_ROW,       /* u.row; each engine gets the log pipe's read end with the first one
                       that says started */
    LINK_SAMPLED,   /* u.sampled: answer to LINK_SAMPLE */
    LINK_SWEPT,     /* u.swept: answer to LINK_SWEEP */
    LINK_SHUTDOWN,  /* SIGTERM or SIGINT came; u.shutdown. Before TABLE_END: what the engine
                       before this one was told of them */
    LINK_RELOAD,    /* SIGHUP came; u.hello as it is after the keeper's own reload */
    LINK_REGION,    /* u.region: has a cgroup or work directory; before TABLE_END only */

    /* engine -> keeper */
    LINK_READY,     /* the sockets listen: READY=1 to the service manager */
    LINK_HEARTBEAT, /* the loop turns; at least every u.hello.heartbeat_ns */
    LINK_STATUS,    /* u.text: STATUS= */
    LINK_STOPPING,  /* a structured shutdown has begun: STOPPING=1 */
    LINK_EXTEND,    /* u.extend: EXTEND_TIMEOUT_USEC= */
    LINK_RELOADED,  /* reload done: READY=1 again */
    LINK_REREAD,    /* daemon.reload came: read the run-as rules again, as for SIGHUP */
    LINK_START,     /* u.start, with the spec memfd */
    LINK_STDIO,     /* u.task, with the unread stdio connection; before its START */
    LINK_SIGNAL,    /* u.signal */
    LINK_KILL,      /* u.task */
    LINK_SAMPLE,    /* u.task */
    LINK_ACK,       /* u.ack */
    LINK_FORGET,    /* u.task: remove cgroup and row */
    LINK_SWEEP,     /* u.sweep: remove the region's cgroup and work directory, those of all
                       regions below it too; what still lives in them is killed */
    LINK_QUIESCENT, /* "/" is closed; the engine exits 0 now, and so shall the keeper */
    LINK_REPLACE,   /* the engine exits now, to be started anew from its file */
};

enum containment {
    CONTAINMENT_CGROUP2,             /* a task cannot leave */
    CONTAINMENT_CGROUP2_COOPERATIVE, /* tasks own the tree, or are root */
    CONTAINMENT_SUBREAPER,           /* best effort; only where asked for */
};

/* Facts about one task, set one after another, never cleared. A start that
 * failed says START_FAILED together with EMPTY, and neither STARTED nor EXITED.
 * STARTED and EXITED may come in one row; EMPTY comes with EXITED or later. */
enum row_facts {
    ROW_STARTING = 1 << 0,         /* cloned, exec not yet known */
    ROW_STARTED = 1 << 1,          /* exec succeeded */
    ROW_START_FAILED = 1 << 2,     /* stage, error */
    ROW_SIGNAL_DELIVERED = 1 << 3, /* cancel signal reached the main process alive */
    ROW_SIGNAL_LATE = 1 << 4,      /* it had ended already */
    ROW_KILL_DELIVERED = 1 << 5,   /* cgroup.kill while the main process lived */
    ROW_EXITED = 1 << 6,           /* exit_code or signal, cpu_ns, memory_peak */
    ROW_CORE_DUMPED = 1 << 7,
    ROW_OOM_KILLED = 1 << 8,
    ROW_LOST = 1 << 9,   /* ended, status unknown */
    ROW_EMPTY = 1 << 10, /* cgroup empty */
};

struct link_row {
    uint64_t task;
    uint64_t region;
    uint32_t version; /* grows with every change */
    uint32_t facts;   /* enum row_facts */
    uint32_t pid;
    int32_t exit_code; /* -1: none */
    int32_t signal;    /* 0: none */
    int32_t error;     /* errno of a failed start */
    char stage[16];    /* stage of a failed start: "fork", "cgroup", "user",
                          "groups", "limits", "stdio", "chdir", "exec", ... */
    uint64_t cpu_ns;
    uint64_t memory_peak; /* bytes; 0: unknown */
};

struct link_message {
    uint32_t kind; /* enum link_kind */
    uint32_t size; /* of the whole packet */
    union {
        struct {
            uint32_t version;
            uint32_t keeper_pid;
            uint32_t containment; /* enum containment */
            uint32_t engine_runs; /* 1 for the first engine, then 2, ... */
            uint64_t heartbeat_ns;
            uint64_t keeper_instance; /* random: another one is another keeper */
            char boot[40];            /* this boot of the machine; "": unknown */
            bool system_mode;         /* tasks run as their submitters */
            bool memory_limits;       /* the memory controller is there */
            bool pids_limits;
            char work_dir[192]; /* work_dir/r12 is ASUPERSYNC_WORKDIR */
            char cgroup[192];   /* absolute path of tree/, "" without */
        } hello;
        struct link_row row;
        struct {
            uint64_t region;
            uint64_t parent;
        } region;
        struct {
            uint64_t task;
            uint64_t cpu_ns;
        } sampled;
        struct {
            uint64_t region;
            int32_t error; /* 0 or errno */
        } swept;
        struct {
            uint32_t count; /* 1: structured; 2 and more: hurry */
        } shutdown;
        struct {
            uint64_t usec;
        } extend;
        struct {
            uint64_t task;
            uint32_t uid;        /* whom it shall run as */
            uint32_t path_count; /* regions from below "/" down to the task's own */
            uint64_t path[LINK_PATH_MAX];
        } start;
        struct {
            uint64_t task;
            int32_t signal; /* to every process of it, then SIGCONT */
        } signal;
        struct {
            uint64_t task;
            uint32_t version;
        } ack;
        struct {
            uint64_t region;
            uint32_t uid; /* whose child removes the work directory */
            uint32_t path_count;
            uint64_t path[LINK_PATH_MAX];
        } sweep;
        uint64_t task;
        char text[256];
    } u;
};

/* ---- Sending and receiving (daemon/link.c), for both sides ---------------- */

/* One end of the channel with the packets that did not fit yet. Single
 * threaded. All sockets are used without blocking, whatever their flags. */
struct link_packet;
struct link {
    int fd; /* -1 once the other side is gone */
    struct link_packet *head, **tail;
    uint32_t queued;     /* packets that wait */
    uint32_t queued_max; /* beyond that link_send answers -ENOBUFS */
};

void link_init(struct link *link, int fd, uint32_t queued_max);

/* Closes the socket and drops what waits. */
void link_fini(struct link *link);

/* Bytes of a packet of that kind; 0 for an unknown kind. */
uint32_t link_message_size(uint32_t kind);

/* Send one packet past any queue: 0, -EAGAIN when the socket is full, -EPIPE
 * when the other side is gone. Sets message->size. `fd` (or -1) is lent. */
int link_send_now(int socket_fd, struct link_message *message, int fd);

/* Send, or keep until link_flush: 0, -ENOBUFS, -ENOMEM, -EPIPE. A descriptor
 * is duplicated when it has to wait; `fd` stays the caller's. */
int link_send(struct link *link, struct link_message *message, int fd);

/* Send what waits, as far as it fits: 0, or -EPIPE. */
int link_flush(struct link *link);

/* True while the loop should watch the socket for writing. */
static inline bool
link_wants_write(const struct link *link)
{
    return link->fd >= 0 && link->head != NULL;
}

/* One packet: 1 and *out (and *fd_out, or -1; the caller owns it), 0 when none
 * waits, -EPIPE at the end, -EPROTO for a packet of a wrong size or kind
 * (dropped), -EMFILE when its descriptor could not be taken (*out is set). */
int link_receive(int socket_fd, struct link_message *out, int *fd_out);

#endif
