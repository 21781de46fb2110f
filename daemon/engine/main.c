/* SPDX-License-Identifier: MIT */
/* The engine's life: set up, turn the loop until "/" is closed, tear down. */
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "asupersync/version.h"
#include "daemon/engine/adopt.h"
#include "daemon/engine/handover.h"
#include "daemon/engine/journal.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/call.h"
#include "daemon/engine/logs_reader.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/reload.h"
#include "daemon/engine/output.h"
#include "daemon/engine/recover.h"
#include "daemon/engine/report.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/shutdown.h"
#include "daemon/engine/waits.h"

enum { LINGER_MS = 1000 };

/* ---- Memory for the kernel ------------------------------------------------------- */

static void *
kernel_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

/* ---- Timers ------------------------------------------------------------------------ */

static void
on_heartbeat(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    keeper_say(w->data, LINK_HEARTBEAT);
}

static void
on_second(struct ev_loop *loop, struct ev_timer *w, int revents)
{
    struct engine *e = w->data;
    asup_time now = engine_now(e);

    (void)loop;
    (void)revents;
    handover_expire(e->handover, now);
    logs_turn(e->logs);
    (void)ids_extend(&e->ids, kernel_id_last(e->kernel));
    keeper_status(e);
    keeper_send_owed(e);
    shutdown_asked(e, e->shutdown_wanted);
    if (e->trim_due) {
        e->trim_due = false;
        malloc_trim(0);
    }
    shutdown_extend(e);
    shutdown_give_up(e);
    engine_settle(e);
}

static void
start_timers(struct engine *e)
{
    double beat = (double)e->hello.heartbeat_ns / (double)ASUP_NS_PER_S / 3.0;

    if (beat < 0.01)
        beat = 0.01;
    ev_timer_init(&e->heartbeat, on_heartbeat, 0.0, beat);
    ev_timer_init(&e->second, on_second, 1.0, 1.0);
    e->heartbeat.data = e->second.data = e;
    ev_timer_start(e->loop, &e->heartbeat);
    ev_timer_start(e->loop, &e->second);
}

/* ---- Set-up --------------------------------------------------------------------------- */

static bool
load_configuration(struct engine *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *errors = open_memstream(&text, &size);

    if (!errors)
        return false;
    int count = config_load(e->options.config_path, e->options.config_required, &e->config, errors);
    fclose(errors);
    if (count)
        report_lines(text);
    free(text);
    return count == 0;
}

/* Returns 0 or an exit status. */
static int
set_up_kernel(struct engine *e)
{
    static const struct kernel_allocator allocator = {.resize = kernel_resize};
    uint64_t id_first = ids_open(&e->ids, e->options.state_dir);

    if (!id_first || !cx_open(&e->cx_key, e->options.state_dir))
        return EX_CANTCREAT;
    e->config.kernel.id_first = id_first;
    e->config.kernel.root_uid = (uint32_t)e->options.owner_uid;
    proto_writer_init(&e->writer);
    proto_writer_init(&e->wait_writer);
    proto_writer_init(&e->event_writer);
    window_init(&e->window, e->config.events_count, e->config.events_bytes);
    return recover_open(e, &allocator);
}

static int
set_up_world(struct engine *e)
{
    struct server_callbacks server_callbacks = {dispatch_request, dispatch_gone, e};
    struct logs_callbacks logs_callbacks = {logs_reader_lost, logs_reader_chunk,
                                            logs_reader_changed, e};
    char path[512];

    if (snprintf(e->socket_path, sizeof e->socket_path, "%s/asupersyncd.sock",
                 e->options.runtime_dir) >= (int)sizeof e->socket_path ||
        snprintf(path, sizeof path, "%s/logs", e->options.state_dir) >= (int)sizeof path) {
        report(REPORT_ERROR, "the name of the runtime or state directory is too long");
        return EX_CANTCREAT;
    }
    e->memory = proto_memory_new();
    e->spec_memory = proto_memory_new();
    if (!e->memory || !e->spec_memory)
        return EX_OSERR;
    e->logs =
        logs_new(e->loop, path, e->config.log_task_max, e->config.log_total_max, &logs_callbacks);
    if (!e->logs) {
        report(REPORT_ERROR, "cannot start the log thread: %s", strerror(errno));
        return EX_OSERR;
    }
    notify_prepare(e);
    e->handover = handover_new(e);
    if (!e->handover)
        return EX_CANTCREAT;
    /* Clients are heard when everything is as they left it. */
    if (!adopt_read(e))
        return EX_OSERR;
    int rc = recover_tasks(e);
    if (rc != 0)
        return rc;
    adopt_regions(e);
    struct server_options options = server_options_of(e, &e->config);
    e->server = server_new(e->loop, &options, &server_callbacks);
    return e->server ? 0 : EX_CANTCREAT;
}

static int
set_up(struct engine *e)
{
    int rc;

    /* A client that goes while it is answered is no reason to die. */
    signal(SIGPIPE, SIG_IGN);
    /* Each thread would have a heap of its own. */
    mallopt(M_ARENA_MAX, 2);
    list_init(&e->watchers);
    list_init(&e->followers);
    if (!load_configuration(e))
        return EX_CONFIG;
    e->loop = ev_loop_new(EVFLAG_NOENV | EVBACKEND_EPOLL);
    if (!e->loop) {
        report(REPORT_ERROR, "cannot make an event loop: %s", strerror(errno));
        return EX_OSERR;
    }
    if (!keeper_open(e))
        return e->exit_code;
    if (!report_start())
        report(REPORT_WARNING, "no thread for the log: a reader that hangs will be waited for");
    if ((rc = set_up_kernel(e)) != 0 || (rc = set_up_world(e)) != 0)
        return rc;
    engine_step_init(e);
    start_timers(e);
    return 0;
}

/* ---- Tear-down --------------------------------------------------------------------------- */

static void
tear_down(struct engine *e)
{
    uint64_t id;
    size_t cursor = 0;
    void *value;

    if (e->server) {
        struct list *lists[] = {&e->watchers, &e->followers};
        for (size_t i = 0; i < 2; i++) {
            while (!list_empty(lists[i])) {
                struct parked *p = list_entry(lists[i]->next, struct parked, link);
                if (e->exit_code == ENGINE_EXIT_REPLACE)
                    waits_unpark(p); /* its client asks the next engine */
                else
                    waits_fail(p, -ASUP_EUNAVAILABLE, "the daemon ends", 0);
            }
        }
        server_free(e->server, LINGER_MS);
    }
    handover_free(e->handover);
    while (idmap_next(&e->notifies, &cursor, &id, &value)) {
        notify_close(e, id);
        cursor = 0;
    }
    idmap_fini(&e->notifies);
    output_drop(e);
    journal_close(e->journal);
    durable_buffer_fini(&e->event_bytes);
    for (cursor = 0; idmap_next(&e->session_ids, &cursor, &id, &value); cursor = 0)
        session_remove(e, id);
    idmap_fini(&e->session_ids);
    idmap_fini(&e->sessions);
    idmap_fini(&e->parked_uids);
    idpages_fini(&e->rows);
    logs_free(e->logs);
    window_fini(&e->window);
    proto_writer_fini(&e->writer);
    proto_writer_fini(&e->wait_writer);
    proto_writer_fini(&e->event_writer);
    proto_memory_free(e->memory);
    proto_memory_free(e->spec_memory);
    free(e->inbox.facts);
    kernel_free(e->kernel);
    cx_close(&e->cx_key);
}

int
engine_main(const struct engine_options *options)
{
    struct engine *e = calloc(1, sizeof *e);

    if (!e)
        return EX_OSERR;
    report_init();
    e->options = *options;
    int rc = set_up(e);
    if (rc == 0) {
        keeper_say(e, LINK_READY);
        e->exit_code = EX_SOFTWARE;
        ev_run(e->loop, 0);
        rc = e->exit_code;
        if (rc == 0 || rc == ENGINE_EXIT_REPLACE)
            ids_close(&e->ids, kernel_id_last(e->kernel));
        if (rc == ENGINE_EXIT_REPLACE)
            keeper_say(e, LINK_REPLACE);
    }
    if (e->loop) {
        ev_timer_stop(e->loop, &e->heartbeat);
        ev_timer_stop(e->loop, &e->second);
        ev_timer_stop(e->loop, &e->kernel_timer);
        ev_prepare_stop(e->loop, &e->prepare);
    }
    tear_down(e);
    if (rc == 0) {
        keeper_say(e, LINK_QUIESCENT);
        keeper_flush(e);
    }
    keeper_close(e);
    report_stop();
    if (e->loop)
        ev_loop_destroy(e->loop);
    config_fini(&e->config);
    free(e);
    return rc;
}

const unsigned engine_link_version = LINK_VERSION;
const char engine_version[] = ASUP_VERSION;

int
engine_check_config(const char *path, bool print)
{
    struct config config;

    int errors = config_load(path, path != NULL, &config, stderr);
    if (errors == 0) {
        if (print)
            config_print(&config, stdout);
        config_fini(&config);
    }
    return errors ? EX_CONFIG : 0;
}
