/* SPDX-License-Identifier: MIT */
/*
 * Batches: several admissions and ends as one request, all or none. Every item
 * is checked against the state and against what the items before it were
 * granted; then they are done in their order.
 */
#include "core/decide.h"

enum { BATCH_MAX = 65536 };

static bool
is_admission(enum input_kind kind)
{
    return kind == IN_REGION_OPEN || kind == IN_TASK_SUBMIT || kind == IN_FINALIZER_DEFER;
}

static struct input
item_at(const struct kernel *k, const struct input *in, uint32_t n)
{
    struct input item = in->u.batch.items[n];

    item.caller = caller_resolve(k, &in->u.batch.items[n].caller);
    item.caller.session = in->caller.session;
    item.caller.uid = in->caller.uid;
    item.now = in->now;
    item.request = 0;
    return item;
}

/* An earlier item of the batch opens a sibling of that name. */
static int
name_repeated(const struct input *in, uint32_t n, struct refusal *why)
{
    const struct input *item = &in->u.batch.items[n];
    struct bytes name = item->u.region_open.name;

    if (name.size == 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct input *other = &in->u.batch.items[i];

        if (other->kind == IN_REGION_OPEN && other->region == item->region &&
            other->u.region_open.name.size == name.size &&
            memcmp(other->u.region_open.name.data, name.data, name.size) == 0)
            return REFUSE(why, ASUP_EEXISTS, "another region of the batch has that name");
    }
    return 0;
}

/* An earlier item of the batch ends the region that this one is for. */
static int
ended_before(const struct kernel *k, uint64_t region, struct refusal *why)
{
    for (uint32_t at = region_of_id(k, region); at != NIL; at = region_at(k, at)->parent) {
        if (region_at(k, at)->batch_ended)
            return REFUSE(why, ASUP_ECLOSED, "an earlier item of the batch ends the region");
    }
    return 0;
}

static int
item_check(struct kernel *k, const struct input *in, uint32_t n, struct admission *adm,
           struct refusal *why)
{
    struct input item = item_at(k, in, n);

    if (item.key.size > 0)
        return REFUSE(why, ASUP_EUNSUPPORTED, "an atomic batch takes no idempotency keys");
    if (is_admission(item.kind) && ended_before(k, item.region, why) != 0)
        return why->code;
    switch (item.kind) {
    case IN_REGION_OPEN:
        return region_open_check(k, &item, adm, why) != 0 ? why->code : name_repeated(in, n, why);
    case IN_TASK_SUBMIT:
        return task_submit_check(k, &item, adm, why);
    case IN_FINALIZER_DEFER:
        return finalizer_defer_check(k, &item, adm, why);
    case IN_REGION_END:
        return region_end_check(k, &item, why);
    case IN_TASK_CANCEL:
        return task_cancel_check(k, &item, why);
    default:
        return REFUSE(why, ASUP_EUNSUPPORTED, "a batch holds admissions and ends only");
    }
}

/* Note what an item was granted, for those after it. */
static void
item_granted(struct kernel *k, const struct input *item, struct admission *adm)
{
    uint32_t i = region_of_id(k, item->region);
    struct region *r = i == NIL ? NULL : region_at(k, i);
    const struct region_params *p = &item->u.region_open;

    if (item->kind == IN_TASK_CANCEL)
        return;
    must(r != NULL); /* it was checked */
    switch (item->kind) {
    case IN_TASK_SUBMIT:
        adm->tasks++;
        adm->bytes += item->u.submit.spec.size + item->u.submit.label.size;
        r->batch_tasks++;
        break;
    case IN_FINALIZER_DEFER:
        adm->tasks++;
        adm->bytes += item->u.submit.spec.size + item->u.submit.label.size;
        r->batch_finalizers++;
        break;
    case IN_REGION_OPEN:
        adm->regions++;
        adm->tasks += p->finalizer_count;
        adm->bytes += p->name.size;
        for (uint32_t f = 0; f < p->finalizer_count; f++)
            adm->bytes += p->finalizers[f].spec.size + p->finalizers[f].label.size;
        r->batch_children++;
        break;
    case IN_REGION_END:
        r->batch_ended = region_live(r);
        break;
    default:
        break;
    }
}

static void
grants_forget(struct kernel *k, const struct input *in)
{
    for (uint32_t n = 0; n < in->u.batch.count; n++) {
        uint32_t i = region_of_id(k, in->u.batch.items[n].region);

        if (i != NIL) {
            struct region *r = region_at(k, i);

            r->batch_tasks = r->batch_children = r->batch_finalizers = 0;
            r->batch_ended = false;
        }
    }
}

static bool
batch_reserve(struct kernel *k, const struct input *in)
{
    struct admit_need admit = {0};
    struct need need = {.events = in->u.batch.count};

    for (uint32_t n = 0; n < in->u.batch.count; n++) {
        const struct input *item = &in->u.batch.items[n];

        admit_want(k, &admit, item);
        if (item->kind == IN_REGION_END)
            need_subtree(k, region_of_id(k, item->region), &need);
        if (item->kind == IN_TASK_CANCEL) {
            need.tasks++;
            need.reasons++;
            need_follow(k, task_at(k, task_of_id(k, item->task))->region, &need);
        }
    }
    return request_reserve(k, in, &need) && admit_reserve(k, &admit, &need);
}

static struct asup_ref
item_do(struct kernel *k, const struct input *item)
{
    const char *advice;

    switch (item->kind) {
    case IN_REGION_OPEN:
        return region_open(k, item);
    case IN_TASK_SUBMIT:
        return task_submit(k, item, &advice);
    case IN_FINALIZER_DEFER:
        return finalizer_defer(k, item);
    case IN_REGION_END:
        return region_end(k, item);
    default:
        return task_cancel(k, item);
    }
}

/* Check all items. 0, or the code of the first that was refused. */
static int
items_check(struct kernel *k, const struct input *in, struct refusal *why)
{
    struct admission adm = {.bytes = request_bytes(in)};

    for (uint32_t n = 0; n < in->u.batch.count; n++) {
        struct refusal own = {0};
        int code = item_check(k, in, n, &adm, &own);

        if (in->u.batch.codes != NULL)
            in->u.batch.codes[n] = code;
        if (code == 0)
            item_granted(k, &in->u.batch.items[n], &adm);
        else if (why->code == 0)
            *why = own;
    }
    grants_forget(k, in);
    if (why->code == 0 && adm.bytes > 0)
        (void)limit_bytes(k, in->caller.uid, adm.bytes, why);
    return why->code;
}

int
batch_request(struct kernel *k, const struct input *in, struct refusal *why, struct asup_ref *made)
{
    uint32_t count = in->u.batch.count;

    if (count == 0 || in->u.batch.items == NULL)
        return REFUSE(why, ASUP_EINVALID, "the batch is empty");
    if (count > BATCH_MAX)
        return REFUSE(why, ASUP_ETOOLARGE, "the batch is too long");
    if (items_check(k, in, why) != 0)
        return why->code;
    if (!batch_reserve(k, in))
        return REFUSE(why, ASUP_ENOMEM, "no memory for this batch");
    for (uint32_t n = 0; n < count; n++) {
        struct input item = item_at(k, in, n);
        struct asup_ref ref = item_do(k, &item);

        if (in->u.batch.made != NULL)
            in->u.batch.made[n] = ref;
        if (n == 0)
            *made = ref;
    }
    request_bind(k, in, *made);
    return 0;
}
