/* SPDX-License-Identifier: MIT */
/*
 * watch - print what happens, one line an event, until Ctrl-C.
 *
 *     watch            everything you may see, from now on
 *     watch /web       of that region and what is below it
 *
 * No event is missed, even while the engine is being restarted; when that
 * cannot be, the library says so (a gap) and we go on from what is left.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include <asupersync/client.h>
#include <asupersync/values.h>

static struct asup_client *client;

static void
on_interrupt(int signal_number)
{
    (void)signal_number;
    /* It may be called here, by contract. NOLINTNEXTLINE(bugprone-signal-handler,cert-sig30-c) */
    asup_client_interrupt(client);
}

static int
print_event(void *arg, const struct asup_event *event)
{
    uint64_t *last = arg;

    printf("%" PRIu64 " %-24s", event->seq, event->event);
    if (event->path[0] != '\0')
        printf(" %s", event->path);
    if (event->task.id != 0)
        printf(" t%" PRIu64, event->task.id);
    if (event->text[0] != '\0')
        printf(" %s", event->text);
    if (event->has_outcome)
        printf(" %s", asup_severity_name(event->outcome.key.severity));
    printf("\n");
    fflush(stdout);
    *last = event->seq;
    return 0;
}

int
main(int argc, char **argv)
{
    struct asup_error_info err;
    struct asup_region region = {0};
    uint64_t since = ASUP_SINCE_NOW;
    uint64_t last = 0;
    int rc;

    if (argc > 2) {
        fprintf(stderr, "usage: watch [REGION]\n");
        return 64;
    }
    if (asup_client_connect(NULL, &client, &err) != 0) {
        fprintf(stderr, "watch: %s\n", err.message);
        return 125;
    }
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    if (argc == 2 && asup_client_region_find(client, argv[1], &region, &err) != 0) {
        fprintf(stderr, "watch: %s: %s\n", argv[1], err.message);
        asup_client_free(client);
        return 1;
    }
    while ((rc = asup_client_events_watch(client, since, region, -1, print_event, &last, &err)) ==
           -ASUP_EGAP) {
        fprintf(stderr, "watch: events after %" PRIu64 " are no longer kept\n", last);
        since = err.oldest;
    }
    if (rc != -ASUP_EINTERRUPTED)
        fprintf(stderr, "watch: %s\n", err.message);
    asup_client_interrupt_clear(client);
    asup_client_free(client);
    return rc == -ASUP_EINTERRUPTED ? 0 : 1;
}
