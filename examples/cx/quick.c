/* SPDX-License-Identifier: MIT */
/* Two workers and a channel: nothing of the inside outlives its scope. */
#include "example.h"

struct work {
    struct asup_channel letters;
    int count, received;
};

/* Cancellation is a protocol, not a flag. */
static int
worker_a(struct asup_cx *cx, void *arg)
{
    struct work *work = arg;
    int rc = 0;

    for (int i = 0; rc == 0 && i < work->count; i++) {
        /* Checkpoint for cancellation: explicit, not implicit. */
        rc = asup_cx_checkpoint(cx);
        if (rc != 0)
            break;
        /* Two-phase send: it can be cancelled here, and nothing has happened... */
        struct asup_permit *permit = asup_cx_reserve(cx, work->letters, ASUP_NEVER, &rc);

        if (permit != NULL)
            rc = asup_permit_send(permit, &i, sizeof i); /* ...and not here any more. */
    }
    (void)asup_cx_channel_seal(cx, work->letters);
    return rc;
}

static int
worker_b(struct asup_cx *cx, void *arg)
{
    struct work *work = arg;
    struct asup_delivery *letter;
    int rc;

    while ((letter = asup_cx_receive(cx, work->letters, ASUP_NEVER, &rc)) != NULL) {
        work->received++;
        (void)asup_ack_commit(letter); /* not before: else it comes again */
    }
    (void)asup_cx_channel_seal(cx, work->letters); /* nobody reads any more */
    return rc == -ASUP_EENDED ? 0 : rc;
}

int
main_task(struct asup_cx *cx, void *arg)
{
    struct work work = {.count = 100};
    int result;

    (void)arg;
    ASUP_SCOPE(scope, cx, &result)
    {
        if (asup_cx_channel_open(scope, "letters", NULL, &work.letters) != 0 ||
            /* Owned tasks: they cannot be orphaned. */
            ASUP_SPAWN(scope, worker_a, &work) != 0 || ASUP_SPAWN(scope, worker_b, &work) != 0)
            asup_cx_scope_close(scope, "it could not begin");
        /* The end of the block waits for both, runs finalizers, resolves obligations. */
    }
    /* Nothing of the inside runs any more. */
    asup_cx_trace(cx, "%d letters", work.received);
    return result;
}
