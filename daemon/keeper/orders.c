/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/orders.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon/keeper/contain.h"
#include "daemon/keeper/engine.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/notify.h"
#include "daemon/keeper/reap.h"
#include "daemon/keeper/rows.h"
#include "daemon/keeper/spawn.h"
#include "daemon/keeper/sweep.h"

static bool
good_id(uint64_t id)
{
    return id > 0 && id <= KEEPER_ID_MAX;
}

static bool
good_path(const uint64_t *path, uint32_t count)
{
    if (count > LINK_PATH_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!good_id(path[i]) || path[i] == ASUP_ROOT_ID)
            return false;
    return true;
}

/* The signal to the main process through its pidfd, to the others through
 * their list. Whether the main one was alive is read from the pidfd before:
 * signalling a zombie succeeds. */
static void
order_signal(struct keeper *k, uint64_t task, int signal)
{
    struct row *row = row_find(k, task);
    bool delivered = false;
    int rc;

    if (row == NULL || signal < 1 || signal >= NSIG || (row->wire.facts & ROW_EMPTY) != 0)
        return;
    row->signalled = true;
    if (row->pidfd >= 0 && !reap_has_ended(row)) {
        delivered = syscall(SYS_pidfd_send_signal, row->pidfd, signal, NULL, 0) == 0;
        (void)syscall(SYS_pidfd_send_signal, row->pidfd, SIGCONT, NULL, 0);
    }
    contain_look_again(k);
    rc = contain_signal_others(k, row, signal);
    if (rc < 0)
        log_warning("not every process of t%llu could be signalled: %s", (unsigned long long)task,
                    strerror(-rc));
    reap_look_soon(k);
    if (delivered)
        row_changed(k, row, ROW_SIGNAL_DELIVERED);
    else if ((row->wire.facts & ROW_SIGNAL_DELIVERED) == 0)
        row_changed(k, row, ROW_SIGNAL_LATE);
}

static void
order_kill(struct keeper *k, uint64_t task)
{
    struct row *row = row_find(k, task);
    int rc = row != NULL ? reap_kill(k, row) : 0;

    if (rc < 0)
        log_error("t%llu could not be killed: %s", (unsigned long long)task, strerror(-rc));
}

static void
order_sample(struct keeper *k, uint64_t task)
{
    struct link_message answer = {.kind = LINK_SAMPLED};
    struct row *row = row_find(k, task);

    if (row == NULL)
        return;
    answer.u.sampled.task = task;
    contain_look_again(k);
    if (contain_cpu(k, row, &answer.u.sampled.cpu_ns) < 0)
        answer.u.sampled.cpu_ns = row->wire.cpu_ns;
    (void)engine_send(k, &answer, -1);
}

static void
order_forget(struct keeper *k, uint64_t task)
{
    struct row *row = row_find(k, task);

    if (row == NULL)
        return;
    row->forgotten = true;
    chain_remove(&row->unacked);
    /* The engine forgets what is empty; if it is not, it shall not stay. */
    if ((row->wire.facts & ROW_EMPTY) == 0) {
        row->killed = true;
        (void)contain_kill(k, row);
        reap_look_soon(k);
    }
    row_release(k, row);
}

static void
reloaded(void)
{
    notify_send("READY=1");
}

/* One line of printable text for the service manager. */
static void
order_status(const struct link_message *message)
{
    char text[sizeof message->u.text];

    memcpy(text, message->u.text, sizeof text);
    text[sizeof text - 1] = '\0';
    for (char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    notify_send("STATUS=%s", text);
}

/* Orders that begin something. */
static void
take_new(struct keeper *k, const struct link_message *message, int *fd)
{
    struct row *row;

    switch (message->kind) {
    case LINK_START:
        if (!good_id(message->u.start.task) ||
            !good_path(message->u.start.path, message->u.start.path_count)) {
            engine_fault(k, "a START with a wrong id or path");
            break;
        }
        spawn_start(k, message->u.start.task, message->u.start.uid, message->u.start.path,
                    message->u.start.path_count, *fd);
        *fd = -1;
        break;
    case LINK_STDIO:
        spawn_stdio(k, message->u.task, *fd);
        *fd = -1;
        break;
    case LINK_SIGNAL:
        order_signal(k, message->u.signal.task, message->u.signal.signal);
        break;
    case LINK_KILL:
        order_kill(k, message->u.task);
        break;
    case LINK_SAMPLE:
        order_sample(k, message->u.task);
        break;
    case LINK_ACK:
        row = row_find(k, message->u.ack.task);
        if (row != NULL)
            row_acked(k, row, message->u.ack.version);
        break;
    case LINK_FORGET:
        order_forget(k, message->u.task);
        break;
    case LINK_SWEEP:
        if (!good_id(message->u.sweep.region) ||
            !good_path(message->u.sweep.path, message->u.sweep.path_count)) {
            engine_fault(k, "a SWEEP with a wrong id or path");
            break;
        }
        sweep_order(k, message->u.sweep.region);
        break;
    default:
        engine_fault(k, "an order that is none");
        break;
    }
}

void
orders_take(struct keeper *k, const struct link_message *message, int fd_take, bool alive)
{
    int fd = fd_take;

    engine_heartbeat(k); /* any word is a sign of life */
    switch (message->kind) {
    case LINK_HEARTBEAT:
        break;
    case LINK_READY:
        if (alive)
            engine_became_ready(k);
        break;
    case LINK_STATUS:
        order_status(message);
        break;
    case LINK_STOPPING:
        notify_send("STOPPING=1");
        break;
    case LINK_EXTEND:
        notify_send("EXTEND_TIMEOUT_USEC=%llu", (unsigned long long)message->u.extend.usec);
        break;
    case LINK_RELOADED:
        reloaded();
        break;
    case LINK_REREAD:
        keeper_reread(k);
        engine_tell(k);
        break;
    case LINK_QUIESCENT:
        engine_quiescent(k);
        break;
    case LINK_REPLACE:
        engine_replace(k);
        break;
    default:
        take_new(k, message, &fd);
        break;
    }
    if (fd >= 0)
        close(fd);
}
