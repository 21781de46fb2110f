/* SPDX-License-Identifier: MIT */
/*
 * What the compiler finds in programs that use cx.h. Never linked, never run:
 * analyzed.sh has it analysed and compares what is reported, function by
 * function, with the remarks "reports: -W..." before them. One without a remark is
 * correct and has to stay without a report.
 */
#include "asupersync/cx.h"

#define PROGRAM(name)                                                                              \
    int name(struct asup_cx *cx, struct asup_channel channel, int sunny);                          \
    int name(struct asup_cx *cx, struct asup_channel channel, int sunny)

/* ---- Permits ------------------------------------------------------------------------ */

PROGRAM(permit_is_sent_or_given_back)
{
    int code;
    struct asup_permit *permit = asup_cx_reserve(cx, channel, ASUP_NEVER, &code);

    if (permit == NULL)
        return code;
    if (!sunny) {
        asup_permit_abort(permit);
        return 1;
    }
    return asup_permit_send(permit, "x", 1);
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(permit_is_lost_on_the_way_out)
{
    int code;
    struct asup_permit *permit = asup_cx_reserve(cx, channel, ASUP_NEVER, &code);

    if (permit == NULL)
        return code;
    if (!sunny)
        return 1;
    return asup_permit_send(permit, "x", 1);
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(permit_is_lost_by_a_cancel)
{
    int code;
    struct asup_permit *permit = asup_cx_reserve(cx, channel, ASUP_NEVER, &code);

    if (permit == NULL)
        return code;
    (void)sunny;
    ASUP_TRY(asup_cx_sleep(cx, 1));
    return asup_permit_send(permit, "x", 1);
}

/* reports: -Wanalyzer-double-free -Wuse-after-free */
PROGRAM(permit_is_sent_twice)
{
    struct asup_permit *permit = asup_cx_reserve(cx, channel, ASUP_NEVER, NULL);

    if (permit == NULL)
        return sunny;
    (void)asup_permit_send(permit, "x", 1);
    return asup_permit_send(permit, "x", 1);
}

/* reports: -Wuse-after-free */
PROGRAM(permit_is_sent_and_given_back)
{
    struct asup_permit *permit = asup_cx_reserve(cx, channel, ASUP_NEVER, NULL);
    int rc;

    if (permit == NULL)
        return 1;
    rc = asup_permit_send(permit, "x", 1);
    if (!sunny)
        asup_permit_abort(permit);
    return rc;
}

/* ---- Deliveries ------------------------------------------------------------------------- */

PROGRAM(delivery_is_committed_or_returned)
{
    struct asup_delivery *d;
    int code;

    while ((d = asup_cx_receive(cx, channel, ASUP_NEVER, &code)) != NULL) {
        if (asup_delivery_count(d) > 3 || !sunny)
            asup_ack_nack(d, "not by me");
        else
            ASUP_TRY(asup_ack_commit(d));
    }
    return code == -ASUP_EENDED ? 0 : code;
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(delivery_is_forgotten)
{
    int code;
    struct asup_delivery *d = asup_cx_receive(cx, channel, ASUP_NEVER, &code);

    if (d == NULL)
        return code;
    if (!sunny)
        return 1;
    return asup_ack_commit(d);
}

/* reports: -Wuse-after-free */
PROGRAM(delivery_is_read_after_its_commit)
{
    int code;
    struct asup_delivery *d = asup_cx_receive(cx, channel, ASUP_NEVER, &code);

    if (d == NULL)
        return code + sunny;
    code = asup_ack_commit(d);
    asup_ack_nack(d, NULL);
    return code;
}

/* ---- Leases, operations, scopes, sagas, capabilities ---------------------------------------- */

PROGRAM(lease_is_released)
{
    int code;
    struct asup_lease_held *lease = asup_cx_lease_acquire(cx, "pen", 1000, ASUP_NEVER, &code);

    if (lease == NULL)
        return code;
    (void)channel;
    if (sunny)
        code = asup_lease_renew(lease);
    asup_lease_release(lease);
    return code;
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(lease_is_lost)
{
    int code;
    struct asup_lease_held *lease = asup_cx_lease_acquire(cx, "pen", 1000, ASUP_NEVER, &code);

    if (lease == NULL)
        return code;
    (void)channel;
    if (asup_lease_renew(lease) != 0 && !sunny)
        return 1;
    asup_lease_release(lease);
    return 0;
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(operation_is_lost)
{
    int code;
    struct asup_io *io = asup_cx_io_begin(cx, "upload", ASUP_NEVER, &code);

    if (io == NULL)
        return code;
    (void)channel;
    if (!sunny)
        return 1;
    return asup_io_complete(io);
}

static int
body(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_checkpoint(cx);
}

PROGRAM(scope_is_joined)
{
    int result;

    (void)channel;
    ASUP_SCOPE(scope, cx, &result)
    {
        if (!sunny)
            break;
        if (ASUP_SPAWN(scope, body, NULL) != 0)
            asup_cx_scope_close(scope, "no room");
    }
    return result;
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(scope_is_left)
{
    int code;
    struct asup_cx *scope = asup_cx_scope_open(cx, NULL, &code);

    if (scope == NULL)
        return code;
    (void)channel;
    if (!sunny)
        return 1;
    return asup_cx_scope_join(scope, NULL);
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(saga_is_left)
{
    int code;
    struct asup_saga_open *saga = asup_cx_saga_begin(cx, "order", &code);

    if (saga == NULL)
        return code;
    (void)channel;
    if (!sunny)
        return 1;
    return asup_saga_complete(saga);
}

/* reports: -Wanalyzer-malloc-leak */
PROGRAM(derived_cx_is_left)
{
    int code;
    struct asup_cx *weaker = asup_cx_derive(cx, ASUP_RIGHT_SPAWN, NULL, &code);

    if (weaker == NULL)
        return code;
    (void)channel;
    if (!sunny)
        return 1;
    asup_cx_revoke(weaker);
    return 0;
}

/* ---- Results that must be looked at ---------------------------------------------------------- */

/* reports: -Wunused-result */
PROGRAM(results_are_ignored)
{
    (void)sunny;
    asup_cx_checkpoint(cx);
    asup_cx_sleep(cx, 1);
    asup_cx_join(cx, asup_cx_task(cx), NULL);
    asup_cx_reserve(cx, channel, 0, NULL);
    asup_cx_receive(cx, channel, 0, NULL);
    asup_cx_lease_acquire(cx, "pen", 1, 0, NULL);
    asup_cx_scope_open(cx, NULL, NULL);
    asup_cx_derive(cx, ASUP_RIGHT_IO, NULL, NULL);
    return 0;
}
