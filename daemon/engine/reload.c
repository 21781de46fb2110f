/* SPDX-License-Identifier: MIT */
#include "daemon/engine/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/engine/report.h"
#include "daemon/engine/standing.h"

/* Exchanges beyond those that may be parked: answers that wait for the disk. */
enum { EXCHANGES_MARGIN = 16384 };

/* Descriptors for everything but connections: logs, notify sockets, our own. */
static uint32_t
connections_possible(uint32_t wanted)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return wanted;
    uint32_t half = (uint32_t)(limit.rlim_cur / 2 < 16 ? 16 : limit.rlim_cur / 2);
    return wanted < half ? wanted : half;
}

struct server_options
server_options_of(const struct engine *e, const struct config *config)
{
    uint32_t mode = config->socket_mode;
    uint32_t possible = connections_possible(config->connections_max);

    if (mode == 0)
        mode = e->options.user_mode ? 0600 : 0666;
    return (struct server_options){
        .path = e->socket_path,
        .mode = mode,
        .message_size_max = config->message_size_max,
        .connections_max = possible,
        .connections_per_user =
            config->connections_per_user < possible ? config->connections_per_user : possible,
        .exchanges_max = config->kernel.limits.waits_per_daemon + EXCHANGES_MARGIN,
        .stall_ns = config->stall_ns,
    };
}

void
report_lines(char *text)
{
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        report(REPORT_ERROR, "%s", line);
}

int
reload_configuration(struct engine *e)
{
    struct config fresh;
    char *text = NULL;
    size_t size = 0;
    FILE *errors = open_memstream(&text, &size);

    if (!errors) {
        report(REPORT_ERROR, "no memory to read the configuration again");
        return 1;
    }
    int count = config_load(e->options.config_path, e->options.config_required, &fresh, errors);
    fclose(errors);
    if (count > 0) {
        report_lines(text);
        report(REPORT_ERROR, "the configuration has errors; the old one stays in force");
        free(text);
        return count;
    }
    free(text);

    /* What was decided at the start stays: ids, sizes of tables, the socket. */
    fresh.kernel.id_first = e->config.kernel.id_first;
    fresh.kernel.root_uid = e->config.kernel.root_uid;
    if (fresh.message_size_max != e->config.message_size_max ||
        fresh.socket_mode != e->config.socket_mode ||
        fresh.kernel.limits.waits_per_daemon > e->config.kernel.limits.waits_per_daemon)
        report(REPORT_WARNING, "connections.message-size, connections.socket-mode and a larger "
                               "limits.waits-per-daemon take effect when the daemon starts anew");
    fresh.message_size_max = e->config.message_size_max;
    fresh.socket_mode = e->config.socket_mode;
    if (fresh.kernel.limits.waits_per_daemon > e->config.kernel.limits.waits_per_daemon)
        fresh.kernel.limits.waits_per_daemon = e->config.kernel.limits.waits_per_daemon;
    config_fini(&e->config);
    e->config = fresh;
    engine_feed(e, &(struct input){.kind = IN_CONFIG, .u.config = &e->config.kernel});
    struct server_options options = server_options_of(e, &e->config);
    server_configure(e->server, &options);
    logs_configure(e->logs, fresh.log_task_max, fresh.log_total_max);
    window_bound(&e->window, fresh.events_count, fresh.events_bytes);
    standing_changed(e);
    report(REPORT_INFO, "the configuration was read again");
    return 0;
}
