/* SPDX-License-Identifier: MIT */
/* cx.derive, revoke, list. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/bodies.h"
#include "daemon/engine/call.h"
#include "daemon/engine/cx.h"

/* ---- Derive and revoke -------------------------------------------------------------------- */

int
op_cx_derive(struct call *c)
{
    const struct args_cx_derive *a = &c->args->cx_derive;
    struct input in = {.kind = IN_CX_DERIVE};
    uint8_t token[CX_TOKEN_SIZE];
    struct region_view region;
    struct answer answer;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0 ||
        (rc = call_rights(c, &a->rights, "rights", &in.u.derive.rights)) != 0)
        return rc;
    in.region = region.id;
    in.u.derive.priority_ceiling = (uint8_t)a->priority;
    in.u.derive.limit_at =
        a->timeout_ns == ASUP_NEVER ? ASUP_NEVER : engine_now(c->engine) + a->timeout_ns;
    in.u.derive.cost_ceiling = a->cost;
    in.u.derive.poll_ceiling = (uint32_t)a->polls;
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    cx_token(&c->engine->cx_key, CX_DERIVED, answer.made.id, token);
    pw_map(c->w);
    pw_key(c->w, "cx");
    pw_id(c->w, ASUP_SORT_CAPABILITY, answer.made.id);
    pw_key(c->w, "token");
    pw_bytes(c->w, token, sizeof token);
    pw_end(c->w);
    return 0;
}

int
op_cx_revoke(struct call *c)
{
    struct input in = {.kind = IN_CX_REVOKE, .subject = c->args->cx_revoke.cx};
    struct capability_view x;
    struct answer answer;

    if (kernel_capability(c->engine->kernel, in.subject, &x) && !call_sees(c, x.region, x.uid))
        return call_fail(c, -ASUP_ENOTFOUND, "cx", "asupersyncctl cx list shows what there is",
                         "there is no capability x%" PRIu64 " of yours", in.subject);
    call_ask(c, &in, &answer);
    if (answer.code != 0)
        return call_refused(c, &answer);
    pw_map(c->w);
    pw_end(c->w);
    return 0;
}

/* ---- List --------------------------------------------------------------------------------- */

static void
key_ceiling(struct proto_writer *w, const char *key, uint64_t value, uint64_t none)
{
    pw_key(w, key);
    if (value == none)
        pw_nil(w);
    else
        pw_uint(w, value);
}

static void
body_capability(struct proto_writer *w, struct engine *e, const struct capability_view *x)
{
    static const char *const names[ASUP_RIGHT_COUNT] = {
#define RIGHT_NAME(name, bit, wire) [bit] = (wire),
        ASUP_RIGHT_LIST(RIGHT_NAME)
#undef RIGHT_NAME
    };
    char path[REGION_PATH_SIZE];
    asup_time now = engine_now(e);

    pw_map(w);
    pw_key(w, "id");
    pw_id(w, ASUP_SORT_CAPABILITY, x->id);
    pw_key(w, "region");
    pw_id(w, ASUP_SORT_REGION, x->region);
    pw_key(w, "path");
    pw_text(w, path, region_path(e->kernel, x->region, path, sizeof path));
    pw_key(w, "parent");
    pw_id(w, ASUP_SORT_CAPABILITY, x->parent);
    pw_key(w, "holder");
    pw_id(w, x->owner.sort, x->owner.id);
    pw_key(w, "owner");
    pw_uint(w, x->uid);
    pw_key(w, "rights");
    pw_list(w);
    for (unsigned bit = 0; bit < ASUP_RIGHT_COUNT; bit++) {
        if ((x->rights >> bit & 1) != 0)
            pw_str(w, names[bit]);
    }
    pw_end(w);
    key_ceiling(w, "priority", x->priority_ceiling, 0);
    pw_key(w, "left_ns");
    pw_time(w, time_left(x->limit_at, now));
    key_ceiling(w, "cost", x->cost_ceiling, UINT64_MAX);
    key_ceiling(w, "polls", x->poll_ceiling, UINT32_MAX);
    pw_key(w, "age_ns");
    pw_uint(w, now > x->granted_at ? now - x->granted_at : 0);
    pw_key(w, "revoked");
    pw_bool(w, x->revoked);
    pw_end(w);
}

/* The page: the smallest ids beyond `after`, sorted. */
struct page {
    struct call *c;
    uint64_t ids[1000];
    size_t count, limit;
    uint64_t after;
    bool more;
};

static void
page_add_region(struct page *p, uint64_t region)
{
    const struct kernel *k = p->c->engine->kernel;
    uint64_t id = p->after;
    struct capability_view x;
    size_t at;

    while ((id = kernel_capability_next(k, region, id)) != 0) {
        if (!kernel_capability(k, id, &x) || !call_sees(p->c, x.region, x.uid))
            continue;
        if (p->count == p->limit) {
            p->more = true;
            if (id > p->ids[p->count - 1])
                return;
        } else {
            p->count++;
        }
        for (at = p->count - 1; at > 0 && p->ids[at - 1] > id; at--)
            p->ids[at] = p->ids[at - 1];
        p->ids[at] = id;
    }
}

/* All live regions from the top down, without recursion. */
static void
page_add_below(struct page *p, const struct region_view *top)
{
    const struct kernel *k = p->c->engine->kernel;
    uint64_t at = top->child_first;
    struct region_view region;

    page_add_region(p, top->id);
    while (at && kernel_region(k, at, &region)) {
        page_add_region(p, at);
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

int
op_cx_list(struct call *c)
{
    const struct args_cx_list *a = &c->args->cx_list;
    struct page page = {.c = c, .limit = (size_t)a->limit, .after = a->after};
    struct region_view region;
    struct capability_view x;
    int rc;

    if ((rc = call_region(c, &a->region, "region", &region)) != 0)
        return rc;
    page_add_below(&page, &region);
    pw_map(c->w);
    pw_key(c->w, "capabilities");
    pw_list(c->w);
    for (size_t i = 0; i < page.count; i++) {
        if (kernel_capability(c->engine->kernel, page.ids[i], &x))
            body_capability(c->w, c->engine, &x);
    }
    pw_end(c->w);
    pw_key(c->w, "more");
    pw_bool(c->w, page.more);
    pw_end(c->w);
    return 0;
}
