/* SPDX-License-Identifier: MIT */
#include "daemon/engine/keeper_link.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/reload.h"
#include "daemon/engine/report.h"
#include "daemon/engine/shutdown.h"

enum {
    MESSAGES_PER_TURN = 256,
    HELLO_MS = 5000,
    FLUSH_MS = 2000,
};

struct keeper_link {
    struct link link;
    struct ev_io readable, writable;
    bool signals_owed; /* the rows say which */
    uint64_t said_at;  /* by the boot clock: the last heartbeat before the loop turned */
};

/* The keeper is gone. Nothing it started may survive: the tree's cgroup.kill
 * is open for exactly this. */
static _Noreturn void
keeper_gone(struct engine *e)
{
    if (e->options.kill_fd >= 0) {
        ssize_t n = write(e->options.kill_fd, "1", 1);
        (void)n;
    }
    _exit(1);
}

/* ---- Sending ------------------------------------------------------------------------ */

bool
keeper_send(struct engine *e, struct link_message *m, int fd)
{
    struct keeper_link *k = e->keeper;
    int rc = link_send(&k->link, m, fd);

    if (rc == -EPIPE)
        keeper_gone(e);
    if (link_wants_write(&k->link))
        ev_io_start(e->loop, &k->writable);
    return rc == 0;
}

void
keeper_say(struct engine *e, enum link_kind kind)
{
    struct link_message m = {.kind = kind};

    (void)keeper_send(e, &m, -1);
}

void
keeper_say_task(struct engine *e, enum link_kind kind, uint64_t task)
{
    struct link_message m = {.kind = kind, .u.task = task};

    if (!keeper_send(e, &m, -1)) {
        /* A kill or a forget that is lost leaves a task for ever. */
        report(REPORT_ERROR, "no memory for an order about t%" PRIu64 ": the engine starts anew",
               task);
        abort();
    }
}

uint32_t
keeper_path(const struct engine *e, uint64_t region, uint64_t path[LINK_PATH_MAX])
{
    uint64_t chain[LINK_PATH_MAX];
    struct region_view r;
    uint32_t count = 0;

    for (uint64_t id = region; id && id != ASUP_ROOT_ID && count < LINK_PATH_MAX; id = r.parent) {
        if (!kernel_region(e->kernel, id, &r))
            break;
        chain[count++] = id;
    }
    for (uint32_t i = 0; i < count; i++)
        path[i] = chain[count - 1 - i];
    return count;
}

void
keeper_status(struct engine *e)
{
    struct link_message m = {.kind = LINK_STATUS};
    struct kernel_counts counts;

    if (!e->server)
        return; /* not yet */
    kernel_counts(e->kernel, &counts);
    const char *word = e->phase == PHASE_SHUTTING_DOWN ? "Shutting down: "
                       : e->phase == PHASE_DRAINING    ? "Draining: "
                                                       : "";
    snprintf(m.u.text, sizeof m.u.text,
             "%s%u tasks (%u running) in %u regions, %u sessions, %u connections", word,
             counts.tasks, counts.running, counts.regions, counts.sessions,
             server_connection_count(e->server));
    if (strcmp(m.u.text, e->status_text) == 0)
        return;
    memcpy(e->status_text, m.u.text, sizeof e->status_text);
    (void)keeper_send(e, &m, -1);
}

void
keeper_flush(struct engine *e)
{
    struct keeper_link *k = e->keeper;

    for (int i = 0; i < FLUSH_MS / 100 && link_wants_write(&k->link); i++) {
        struct pollfd p = {.fd = k->link.fd, .events = POLLOUT};
        (void)poll(&p, 1, 100);
        if (link_flush(&k->link) == -EPIPE)
            return;
    }
}

/* ---- Rows ----
 * What is known of a row is one number: that it is expected, the version seen
 * last, its facts, and the signal that there was no memory to send. */

#define ROW_EXPECTED ((uint64_t)1 << 63)
#define ROW_FACT_BITS 16
#define ROW_SIGNAL_SHIFT 48
#define ROW_SIGNAL_MASK ((uint64_t)127 << ROW_SIGNAL_SHIFT)
static_assert(ROW_EMPTY < 1 << ROW_FACT_BITS, "facts fit beside the version");

static uint64_t
row_pack(uint32_t version, uint32_t facts)
{
    return ROW_EXPECTED | (uint64_t)version << ROW_FACT_BITS | facts;
}

bool
keeper_expect(struct engine *e, uint64_t task)
{
    return idpages_put(&e->rows, task, row_pack(0, 0));
}

bool
keeper_expects(const struct engine *e, uint64_t task)
{
    return idpages_get(&e->rows, task) != 0;
}

bool
keeper_forget(struct engine *e, uint64_t task)
{
    bool expected = idpages_get(&e->rows, task) != 0;

    if (expected)
        (void)idpages_take(&e->rows, task);
    return expected;
}

void
keeper_signal(struct engine *e, uint64_t task, int32_t signal)
{
    struct link_message m = {.kind = LINK_SIGNAL, .u.signal = {.task = task, .signal = signal}};
    uint64_t known = idpages_get(&e->rows, task);

    if (!known)
        return; /* never started, or forgotten */
    known &= ~ROW_SIGNAL_MASK;
    if (!keeper_send(e, &m, -1)) {
        known |= (uint64_t)signal << ROW_SIGNAL_SHIFT;
        e->keeper->signals_owed = true;
    }
    (void)idpages_put(&e->rows, task, known); /* replaces */
}

void
keeper_send_owed(struct engine *e)
{
    size_t cursor = 0;
    uint64_t task;
    uint64_t known;

    if (!e->keeper->signals_owed)
        return;
    e->keeper->signals_owed = false;
    while (!e->keeper->signals_owed && idpages_next(&e->rows, &cursor, &task, &known)) {
        if (known & ROW_SIGNAL_MASK)
            keeper_signal(e, task, (int32_t)((known & ROW_SIGNAL_MASK) >> ROW_SIGNAL_SHIFT));
    }
}

/* ------------------------------------------------------------------------------- */

static void
feed_start(struct engine *e, const struct link_row *row, uint32_t fresh)
{
    if (fresh & ROW_STARTED) {
        engine_feed(e, &(struct input){
                           .kind = IN_TASK_STARTED, .task = row->task, .u.started.pid = row->pid});
        notify_started(e, row->task);
    }
    if (fresh & ROW_START_FAILED) {
        char stage[sizeof row->stage + 1] = "";
        memcpy(stage, row->stage, sizeof row->stage);
        engine_feed(e, &(struct input){.kind = IN_TASK_START_FAILED,
                                       .task = row->task,
                                       .u.start_failed = {.stage = stage, .error = row->error}});
    }
}

static void
feed_end(struct engine *e, const struct link_row *row, uint32_t fresh)
{
    if (fresh & (ROW_SIGNAL_DELIVERED | ROW_SIGNAL_LATE))
        engine_feed(
            e, &(struct input){.kind = IN_TASK_SIGNALLED,
                               .task = row->task,
                               .u.signalled.delivered = (row->facts & ROW_SIGNAL_DELIVERED) != 0});
    if (fresh & ROW_EXITED)
        engine_feed(
            e, &(struct input){.kind = IN_TASK_EXITED,
                               .task = row->task,
                               .u.exited = {
                                   .exit_code = row->exit_code,
                                   .signal = row->signal,
                                   .core_dumped = (row->facts & ROW_CORE_DUMPED) != 0,
                                   .oom_killed = (row->facts & ROW_OOM_KILLED) != 0,
                                   .lost = (row->facts & ROW_LOST) != 0,
                                   .cancel_delivered = (row->facts & ROW_SIGNAL_DELIVERED) != 0,
                                   .kill_delivered = (row->facts & ROW_KILL_DELIVERED) != 0,
                                   .cpu_ns = row->cpu_ns,
                                   .memory_peak = row->memory_peak,
                               }});
    if (fresh & ROW_EMPTY)
        engine_feed(e, &(struct input){.kind = IN_TASK_EMPTY, .task = row->task});
}

/* Of an earlier engine, or of nobody: it must go (R-TSK-5). */
static void
row_unknown(struct engine *e, const struct link_row *row)
{
    if (row->facts & ROW_EMPTY || (row->facts & ROW_START_FAILED && !(row->facts & ROW_STARTED))) {
        keeper_say_task(e, LINK_FORGET, row->task);
        return;
    }
    if (!(row->facts & (ROW_KILL_DELIVERED | ROW_EXITED)))
        report(REPORT_WARNING, "t%" PRIu64 " is unknown here and is killed", row->task);
    keeper_say_task(e, LINK_KILL, row->task);
}

void
keeper_take_row(struct engine *e, const struct link_row *row, int fd)
{
    struct link_message ack = {.kind = LINK_ACK,
                               .u.ack = {.task = row->task, .version = row->version}};
    uint64_t known = idpages_get(&e->rows, row->task);

    if (!known) {
        if (fd >= 0)
            logs_close(e->logs, fd);
        (void)keeper_send(e, &ack, -1); /* sent again if this is lost */
        row_unknown(e, row);
        return;
    }
    if (fd >= 0)
        logs_add(e->logs, row->task, fd);
    uint32_t version = (uint32_t)(known >> ROW_FACT_BITS);
    uint32_t facts = (uint32_t)known & ((1u << ROW_FACT_BITS) - 1);
    if (row->version > version) {
        /* Before feeding, which may end in FORGET. */
        (void)idpages_put(&e->rows, row->task,
                          row_pack(row->version, facts | row->facts) | (known & ROW_SIGNAL_MASK));
        feed_start(e, row, row->facts & ~facts);
        feed_end(e, row, row->facts & ~facts);
    }
    (void)keeper_send(e, &ack, -1);
}

/* ---- Receiving ------------------------------------------------------------------------------ */

static void
on_hello(struct engine *e, const struct link_message *m)
{
    e->hello = (struct hello_facts){
        .keeper_pid = m->u.hello.keeper_pid,
        .containment = m->u.hello.containment,
        .engine_runs = m->u.hello.engine_runs,
        .heartbeat_ns = m->u.hello.heartbeat_ns,
        .keeper_instance = m->u.hello.keeper_instance,
        .system_mode = m->u.hello.system_mode,
        .memory_limits = m->u.hello.memory_limits,
        .pids_limits = m->u.hello.pids_limits,
    };
    snprintf(e->hello.boot, sizeof e->hello.boot, "%.*s", (int)sizeof m->u.hello.boot - 1,
             m->u.hello.boot);
    snprintf(e->hello.work_dir, sizeof e->hello.work_dir, "%.*s",
             (int)sizeof m->u.hello.work_dir - 1, m->u.hello.work_dir);
    snprintf(e->hello.cgroup, sizeof e->hello.cgroup, "%.*s", (int)sizeof m->u.hello.cgroup - 1,
             m->u.hello.cgroup);
}

static void
on_message(struct engine *e, const struct link_message *m, int fd)
{
    switch ((enum link_kind)m->kind) {
    case LINK_HELLO:
        on_hello(e, m);
        break;
    case LINK_REGION:
    case LINK_TABLE_END:
        break; /* adopt.c was told before the loop turned */
    case LINK_ROW:
        keeper_take_row(e, &m->u.row, fd);
        return; /* the descriptor is taken care of */
    case LINK_SAMPLED:
        engine_feed(e, &(struct input){.kind = IN_TASK_SAMPLED,
                                       .task = m->u.sampled.task,
                                       .u.sampled.cpu_ns = m->u.sampled.cpu_ns});
        break;
    case LINK_SWEPT: /* one that was left by an engine before this one is no news */
        engine_feed(e, &(struct input){.kind = IN_REGION_SWEPT,
                                       .region = m->u.swept.region,
                                       .u.swept.error = m->u.swept.error});
        break;
    case LINK_SHUTDOWN:
        shutdown_asked(e, m->u.shutdown.count);
        break;
    case LINK_RELOAD:
        on_hello(e, m);
        reload_configuration(e);
        keeper_say(e, LINK_RELOADED);
        break;
    default:
        report(REPORT_WARNING, "the keeper sent a message of kind %" PRIu32, m->kind);
        break;
    }
    if (fd >= 0)
        logs_close(e->logs, fd);
}

static void
on_readable(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct engine *e = w->data;

    (void)loop;
    (void)revents;
    for (int i = 0; i < MESSAGES_PER_TURN; i++) {
        struct link_message m;
        int fd = -1;
        int rc = link_receive(e->keeper->link.fd, &m, &fd);
        if (rc == 0)
            break;
        if (rc == -EPIPE)
            keeper_gone(e);
        if (rc == -EPROTO) {
            report(REPORT_WARNING, "the keeper sent a packet that is none");
            continue;
        }
        if (rc == -EMFILE)
            report(REPORT_WARNING, "no descriptor is left for a task's output: it is not kept");
        on_message(e, &m, fd);
        engine_settle(e);
    }
}

static void
on_writable(struct ev_loop *loop, struct ev_io *w, int revents)
{
    struct engine *e = w->data;

    (void)revents;
    if (link_flush(&e->keeper->link) == -EPIPE)
        keeper_gone(e);
    keeper_send_owed(e);
    if (!link_wants_write(&e->keeper->link))
        ev_io_stop(loop, w);
}

int
keeper_receive(struct engine *e, int timeout_ms, struct link_message *m, int *fd_out)
{
    struct pollfd p = {.fd = e->options.link_fd, .events = POLLIN};
    int rc;

    for (;;) {
        do
            rc = poll(&p, 1, timeout_ms);
        while (rc < 0 && errno == EINTR);
        if (rc <= 0)
            return rc < 0 ? -errno : -ETIMEDOUT;
        rc = link_receive(e->options.link_fd, m, fd_out);
        if (rc == -EMFILE)
            report(REPORT_WARNING, "no descriptor is left for a task's output: it is not kept");
        if (rc != 0)
            return rc == 1 || rc == -EMFILE ? 0 : rc;
    }
}

void
keeper_alive(struct engine *e)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t at = (uint64_t)now.tv_sec * ASUP_NS_PER_S + (uint64_t)now.tv_nsec;
    if (at < e->keeper->said_at + e->hello.heartbeat_ns / 3)
        return;
    e->keeper->said_at = at;
    keeper_say(e, LINK_HEARTBEAT);
}

bool
keeper_open(struct engine *e)
{
    struct pollfd p = {.fd = e->options.link_fd, .events = POLLIN};
    struct link_message m = {0};
    int fd = -1;

    int rc = poll(&p, 1, HELLO_MS);
    rc = rc <= 0 ? -ETIMEDOUT : link_receive(e->options.link_fd, &m, &fd);
    if (fd >= 0)
        close(fd);
    if ((rc == 1 || rc == -EPROTO) && m.kind == LINK_HELLO && m.u.hello.version != LINK_VERSION) {
        report(REPORT_ERROR,
               "the keeper that runs is of another version than this engine (link version %" PRIu32
               ", not %d): restart asupersyncd as a whole, or put its former files back",
               m.u.hello.version, LINK_VERSION);
        e->exit_code = ENGINE_EXIT_LINK;
        return false;
    }
    e->exit_code = EX_USAGE;
    if (rc != 1 || m.kind != LINK_HELLO) {
        report(REPORT_ERROR, "the keeper did not say hello; the engine is started by asupersyncd "
                             "and not by hand");
        return false;
    }
    e->keeper = calloc(1, sizeof *e->keeper);
    if (!e->keeper) {
        report(REPORT_ERROR, "no memory");
        return false;
    }
    on_hello(e, &m);
    link_init(&e->keeper->link, e->options.link_fd, UINT32_MAX);
    ev_io_init(&e->keeper->readable, on_readable, e->options.link_fd, EV_READ);
    ev_io_init(&e->keeper->writable, on_writable, e->options.link_fd, EV_WRITE);
    e->keeper->readable.data = e->keeper->writable.data = e;
    ev_io_start(e->loop, &e->keeper->readable);
    return true;
}

void
keeper_close(struct engine *e)
{
    if (!e->keeper)
        return;
    ev_io_stop(e->loop, &e->keeper->readable);
    ev_io_stop(e->loop, &e->keeper->writable);
    /* The socket stays open until the process has ended: when it closes, the
     * keeper takes the engine for dead and kills it, whatever its status. */
    e->keeper->link.fd = -1;
    link_fini(&e->keeper->link);
    free(e->keeper);
    e->keeper = NULL;
}
