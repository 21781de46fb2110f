/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

/* How long to leave a daemon alone that does not answer. */
enum { AGAIN_MS = 1000 };

struct guard {
    struct asup_client_options how; /* of this task itself */
    struct asup_region region;
    struct asup_task task;
    uint8_t token[ASUP_CX_SIZE];
};

/* Whether the region is closed, or nothing is known of it any more. */
static bool
has_ended(const struct guard *g)
{
    struct asup_client_options how = g->how;
    struct asup_error_info error;
    struct asup_client *client;
    int rc;

    how.cx = g->token;
    if (asup_client_connect(&how, &client, &error) != 0)
        return false;
    rc = asup_client_region_wait(client, g->region, -1, NULL, &error);
    asup_client_free(client);
    return rc == 0 || rc == -ASUP_ENOTFOUND || rc == -ASUP_EEXPIRED || rc == -ASUP_EREVOKED;
}

static bool
task_cancelled(const struct guard *g)
{
    struct asup_error_info error;
    struct asup_client *client;
    int rc;

    if (asup_client_connect(&g->how, &client, &error) != 0)
        return false;
    rc = asup_client_task_cancel(client, g->task, ASUP_NEVER,
                                 "the command that asked for it is gone", &error);
    asup_client_free(client);
    return rc == 0;
}

static void *
guard_thread(void *arg)
{
    const struct guard *g = arg;

    while (!has_ended(g))
        (void)poll(NULL, 0, AGAIN_MS);
    while (!task_cancelled(g))
        (void)poll(NULL, 0, AGAIN_MS);
    return NULL;
}

static bool
guard_parse(struct guard *g, const char *text)
{
    const char *colon = strchr(text, ':');
    const char *task = getenv("ASUPERSYNC_TASK");
    struct asup_ref region;
    struct asup_ref self;

    if (colon == NULL || task == NULL ||
        asup_ref_parse(text, (size_t)(colon - text), &region) != 0 ||
        asup_ref_parse(task, strlen(task), &self) != 0 || asup_cx_parse(colon + 1, g->token) != 0)
        return false;
    g->region.id = region.id;
    g->task.id = self.id;
    return region.sort == ASUP_SORT_REGION && self.sort == ASUP_SORT_TASK;
}

int
guard_watch(struct ctl *ctl)
{
    static struct guard guard; /* as long as the process */
    const char *text = getenv(GUARD_VARIABLE);
    pthread_t thread;
    int rc;

    if (text == NULL)
        return 0;
    if (!guard_parse(&guard, text))
        return ctl_failf(ctl, -ASUP_EINVALID, "it is set by lease run, and by nobody else",
                         "$" GUARD_VARIABLE " is wrong");
    unsetenv(GUARD_VARIABLE);
    ctl_client_options(ctl, &guard.how);
    guard.how.without_session = true;
    guard.how.session_secret = NULL;
    rc = pthread_create(&thread, NULL, guard_thread, &guard);
    if (rc != 0)
        return ctl_failf(ctl, -ASUP_EUNAVAILABLE, "", "cannot start a thread: %s", strerror(rc));
    (void)pthread_detach(thread);
    return 0;
}
