/* SPDX-License-Identifier: MIT */
/* obligation.reserve, commit, abort, transfer, list; lease.acquire, renew,
 * release, stat, list. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/bodies_owed.h"
#include "daemon/engine/call.h"
#include "daemon/engine/crash.h"
#include "daemon/engine/standing.h"
#include "daemon/engine/waits.h"

static struct bytes
bytes_of(const struct proto_text *text)
{
    return (struct bytes){.data = text->data, .size = text->size};
}

/* The kernel's refusal, with a hint that fits what is owed. */
static int
refused(struct call *c, const struct answer *a)
{
    const char *hint = NULL;
    int code = call_refused(c, a);

    switch (-code) {
    case ASUP_EEXPIRED:
        hint = "its time ended, or its holder: what it stood for is no longer yours";
        break;
    case ASUP_ERESOLVED:
        hint = "each is resolved once; asupersyncctl why tells how it ended";
        break;
    case ASUP_EDENIED:
        hint = "asupersyncctl obligations tells who holds it";
        break;
    case ASUP_EEXISTS:
        hint = "asupersyncctl lease renew holds it longer";
        break;
    case ASUP_ETIMEDOUT:
        hint = "asupersyncctl leases tells who holds it; give a longer timeout to wait for it";
        break;
    case ASUP_EINVALID:
        if (!c->caller.session && !c->caller.task)
            hint = "begin a session with session.hello";
        break;
    default:
        break;
    }
    if (hint)
        snprintf(c->error.hint, sizeof c->error.hint, "%s", hint);
    standing_hint(c, code, c->error.message);
    return code;
}

static int
empty(struct call *c)
{
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

static int
resolve(struct call *c, struct input *in)
{
    struct answer answer;
    int rc = call_owed(c, in->subject);

    if (rc != 0)
        return rc;
    call_ask(c, in, &answer);
    return answer.code != 0 ? refused(c, &answer) : empty(c);
}

/* ---- Obligations ------------------------------------------------------------------------ */

int
op_obligation_reserve(struct call *c)
{
    const struct args_obligation_reserve *a = &c->args->obligation_reserve;
    struct region_view region;
    struct answer answer;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    struct input in = {.kind = IN_OBLIGATION_RESERVE,
                       .region = region.id,
                       .u.io = {.label = bytes_of(&a->label), .timeout_ns = a->timeout_ns}};
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return refused(c, &answer);
    pw_map(c->w);
    pw_key(c->w, "obligation");
    pw_id(c->w, ASUP_SORT_OBLIGATION, answer.made.id);
    pw_end(c->w);
    return 0;
}

int
op_obligation_commit(struct call *c)
{
    return resolve(c, &(struct input){.kind = IN_OBLIGATION_COMMIT,
                                      .subject = c->args->obligation.obligation});
}

int
op_obligation_abort(struct call *c)
{
    const struct args_obligation_abort *a = &c->args->obligation_abort;

    return resolve(c, &(struct input){.kind = IN_OBLIGATION_ABORT,
                                      .subject = a->obligation,
                                      .u.nack.note = bytes_of(&a->note)});
}

int
op_obligation_transfer(struct call *c)
{
    const struct args_obligation_transfer *a = &c->args->obligation_transfer;

    if (a->to.ref.sort != ASUP_SORT_TASK && a->to.ref.sort != ASUP_SORT_SESSION)
        return call_fail(c, -ASUP_EINVALID, "to", "give an id such as t7 or s3",
                         "an obligation goes to a task or a session");
    return resolve(c, &(struct input){.kind = IN_OBLIGATION_TRANSFER,
                                      .subject = a->obligation,
                                      .u.transfer = a->to.ref});
}

/* ---- Lists ------------------------------------------------------------------------------------
 */

struct listing {
    struct call *c;
    uint64_t ids[1000];
    size_t count, limit;
    uint64_t after;
    uint32_t kind;
    bool more;
};

static bool
wanted(const struct listing *l, uint64_t id)
{
    struct obligation_view o;

    return kernel_obligation(l->c->engine->kernel, id, &o) && call_sees(l->c, o.region, o.uid) &&
           (l->kind == ASUP_OBLIGATION_KIND_COUNT || o.kind == l->kind);
}

/* Ledgers are in the order of ids: of each no more than the page can hold. The
 * page is a sorted list of the smallest so far. */
static void
list_ledger(struct listing *l, uint64_t region)
{
    uint64_t id = l->after;

    while ((id = kernel_obligation_next(l->c->engine->kernel, region, id)) != 0) {
        size_t at;

        if (!wanted(l, id))
            continue;
        if (l->count == l->limit) {
            l->more = true;
            if (id > l->ids[l->count - 1])
                return;
        } else {
            l->count++;
        }
        for (at = l->count - 1; at > 0 && l->ids[at - 1] > id; at--)
            l->ids[at] = l->ids[at - 1];
        l->ids[at] = id;
    }
}

static void
list_held(struct listing *l, struct asup_ref holder)
{
    const struct kernel *k = l->c->engine->kernel;
    uint64_t id = kernel_held_next(k, holder, l->after);

    for (; id; id = kernel_held_next(k, holder, id)) {
        if (!wanted(l, id))
            continue;
        if (l->count == l->limit) {
            l->more = true;
            return;
        }
        l->ids[l->count++] = id;
    }
}

/* Every live region below `top`, itself first, without recursion. */
static void
each_region(struct call *c, const struct region_view *top, bool recursive,
            void (*visit)(void *, uint64_t), void *what)
{
    const struct kernel *k = c->engine->kernel;
    uint64_t at = top->child_first;
    struct region_view region;

    visit(what, top->id);
    while (recursive && at && kernel_region(k, at, &region)) {
        visit(what, at);
        if (region.child_first) {
            at = region.child_first;
            continue;
        }
        while (!region.sibling_next) {
            if (region.parent == top->id || !kernel_region(k, region.parent, &region))
                return;
        }
        at = region.sibling_next;
    }
}

static void
visit_ledger(void *what, uint64_t region)
{
    list_ledger(what, region);
}

int
op_obligation_list(struct call *c)
{
    const struct args_obligation_list *a = &c->args->obligation_list;
    struct listing l = {.c = c, .limit = (size_t)a->limit, .after = a->after, .kind = a->kind};
    struct region_view region;
    struct obligation_view o;
    int rc;

    if (a->holder.ref.sort == ASUP_SORT_TASK || a->holder.ref.sort == ASUP_SORT_SESSION) {
        list_held(&l, a->holder.ref);
    } else if (a->holder.ref.id || a->holder.path.data) {
        return call_fail(c, -ASUP_EINVALID, "holder", "give an id such as t7 or s3",
                         "a holder is a task or a session");
    } else {
        if ((rc = call_region(c, &a->region, "region", &region)) != 0)
            return rc;
        each_region(c, &region, a->recursive, visit_ledger, &l);
    }
    pw_map(c->w);
    pw_key(c->w, "obligations");
    pw_list(c->w);
    for (size_t i = 0; i < l.count; i++) {
        if (kernel_obligation(c->engine->kernel, l.ids[i], &o))
            body_obligation(c->w, c->engine, &o);
    }
    pw_end(c->w);
    pw_key(c->w, "more");
    pw_bool(c->w, l.more);
    pw_end(c->w);
    return 0;
}

/* ---- Leases
 * -------------------------------------------------------------------------------------- */

int
op_lease_acquire(struct call *c)
{
    const struct args_lease_acquire *a = &c->args->lease_acquire;
    struct region_view region;
    struct parked *parked;
    struct answer answer;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    if ((rc = waits_park(c, PARKED_LEASE, region.id, 0, &parked)) != CALL_PARKED)
        return rc;
    struct input in = {.kind = IN_LEASE_ACQUIRE,
                       .token = exchange_token(c->exchange),
                       .region = region.id,
                       .u.acquire = {.lease = {.name = bytes_of(&a->name), .ttl_ns = a->ttl_ns},
                                     .timeout_ns = a->timeout_ns}};
    planted_lease(c->engine, region.id, &in.u.acquire.lease.name);
    call_ask(c, &in, &answer);
    if (!answer.given)
        return CALL_PARKED;
    waits_unpark(parked);
    if (answer.code != 0)
        return refused(c, &answer);
    body_granted(c->w, c->engine, answer.made.id);
    return 0;
}

int
op_lease_renew(struct call *c)
{
    const struct args_lease_renew *a = &c->args->lease_renew;
    struct input in = {
        .kind = IN_LEASE_RENEW, .subject = a->obligation, .u.acquire.lease.ttl_ns = a->ttl_ns};
    struct obligation_view o = {.deadline = 0};
    struct answer answer;
    int rc = call_owed(c, a->obligation);

    if (rc != 0)
        return rc;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return refused(c, &answer);
    (void)kernel_obligation(c->engine->kernel, a->obligation, &o);
    pw_map(c->w);
    pw_key(c->w, "expires_in_ns");
    pw_uint(c->w, time_left(o.deadline, engine_now(c->engine)));
    pw_end(c->w);
    return 0;
}

int
op_lease_release(struct call *c)
{
    return resolve(
        c, &(struct input){.kind = IN_LEASE_RELEASE, .subject = c->args->obligation.obligation});
}

int
op_lease_stat(struct call *c)
{
    const struct args_lease_stat *a = &c->args->lease_stat;
    struct region_view region;
    struct lease_view lease;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    if (!kernel_lease(c->engine->kernel, region.id, bytes_of(&a->name), &lease) ||
        !call_sees(c, lease.region, lease.uid))
        return call_fail(c, -ASUP_ENOTFOUND, "name", "asupersyncctl leases tells what is held",
                         "nobody holds \"%.*s\" in r%" PRIu64, (int)a->name.size, a->name.data,
                         region.id);
    body_lease(c->w, c->engine, &lease);
    return 0;
}

static void
visit_leases(void *what, uint64_t region)
{
    struct call *c = what;
    struct lease_view lease;
    uint64_t cursor = 0;

    while ((cursor = kernel_lease_next(c->engine->kernel, region, cursor, &lease)) != 0) {
        if (call_sees(c, lease.region, lease.uid))
            body_lease(c->w, c->engine, &lease);
    }
}

int
op_lease_list(struct call *c)
{
    const struct args_lease_list *a = &c->args->lease_list;
    struct region_view region;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    pw_map(c->w);
    pw_key(c->w, "leases");
    pw_list(c->w);
    each_region(c, &region, a->recursive, visit_leases, c);
    pw_end(c->w);
    pw_end(c->w);
    return 0;
}
