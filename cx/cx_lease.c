/* SPDX-License-Identifier: MIT */
/* Leases and I/O operations of cx.h (§4). */
#include "cx/cx_owed.h"

/* ---- Leases ------------------------------------------------------------------------ */

struct asup_lease_held {
    struct owed owed;
    uint64_t token, ttl_ns;
};
_Static_assert(sizeof(struct asup_lease_held) <= OBJECT_SIZE, "it is an object");

struct asup_lease_held *
asup_cx_lease_acquire(struct asup_cx *cx, const char *name, uint64_t ttl_ns, uint64_t timeout_ns,
                      int *code)
{
    struct asup_lease_held *l = owed_new(cx, OBJECT_LEASE, NULL, code);
    struct shell_reply reply = {0};
    struct obligation_view v;
    struct input in;

    if (l == NULL)
        return NULL;
    in = cx_input(cx, IN_LEASE_ACQUIRE);
    in.u.acquire.lease.name = cx_text(name, ASUP_NAME_MAX + 1); /* one too long is refused */
    in.u.acquire.lease.ttl_ns = ttl_ns;
    in.u.acquire.timeout_ns = timeout_ns;
    l = owed_granted(l, shell_wait_request(cx, &in, WAIT_ORDINARY, &reply), &reply, code);
    if (l == NULL)
        return NULL;
    l->ttl_ns = ttl_ns;
    if (kernel_obligation(shell_kernel(shell_of(cx)), l->owed.obligation, &v))
        l->token = v.token;
    return l;
}

uint64_t
asup_lease_token(const struct asup_lease_held *lease)
{
    return shell_object_is(lease, OBJECT_LEASE) ? lease->token : 0;
}

int
asup_lease_renew(const struct asup_lease_held *lease)
{
    struct input in;
    int rc = owed_check(lease, OBJECT_LEASE);

    if (rc != 0)
        return rc;
    in = owed_input(lease, IN_LEASE_RENEW);
    in.u.acquire.lease.ttl_ns = lease->ttl_ns;
    return owed_request(lease, &in);
}

void
asup_lease_release(struct asup_lease_held *lease)
{
    struct input in;

    if (owed_check(lease, OBJECT_LEASE) != 0)
        return;
    in = owed_input(lease, IN_LEASE_RELEASE);
    (void)owed_resolve(lease, OBJECT_LEASE, &in);
}

/* ---- I/O operations ------------------------------------------------------------------ */

struct asup_io {
    struct owed owed;
};

struct asup_io *
asup_cx_io_begin(struct asup_cx *cx, const char *label, uint64_t timeout_ns, int *code)
{
    struct asup_io *io = owed_new(cx, OBJECT_IO, NULL, code);
    struct shell_reply reply = {0};
    struct input in;

    if (io == NULL)
        return NULL;
    in = cx_input(cx, IN_OBLIGATION_RESERVE);
    in.u.io.label = cx_text(label, ASUP_LABEL_MAX);
    in.u.io.timeout_ns = timeout_ns;
    return owed_granted(io, shell_request(cx, &in, &reply), &reply, code);
}

int
asup_io_complete(struct asup_io *io)
{
    struct input in;
    int rc = owed_check(io, OBJECT_IO);

    if (rc != 0)
        return rc;
    in = owed_input(io, IN_OBLIGATION_COMMIT);
    return owed_resolve(io, OBJECT_IO, &in);
}

void
asup_io_cancel(struct asup_io *io)
{
    struct input in;

    if (owed_check(io, OBJECT_IO) != 0)
        return;
    in = owed_input(io, IN_OBLIGATION_ABORT);
    (void)owed_resolve(io, OBJECT_IO, &in);
}
