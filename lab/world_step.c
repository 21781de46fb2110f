/* SPDX-License-Identifier: MIT */
/* A step of the kernel of a world, with all that is checked after it. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

/* ---- Memory ----------------------------------------------------------------------------- */

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    struct world *w = ctx;

    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    if (w->memory_left == 0) {
        w->counts.faults[FAULT_NO_MEMORY]++;
        return NULL;
    }
    if (w->memory_left > 0)
        w->memory_left--;
    ptr = realloc(ptr, size_new);
    if (ptr == NULL)
        abort();
    return ptr;
}

struct kernel_allocator
world_allocator(struct world *w)
{
    return (struct kernel_allocator){.resize = resize, .ctx = w};
}

/* ---- Trouble -------------------------------------------------------------------------------- */

bool
fault(struct world *w, enum world_fault which)
{
    if (w->calm || w->chance[which] == 0 || !prng_chance(&w->prng, w->chance[which]))
        return false;
    w->counts.faults[which]++;
    return true;
}

void
world_fail(struct world *w, const char *format, ...)
{
    va_list args;

    if (w->failed)
        return;
    w->failed = true;
    va_start(args, format);
    (void)vsnprintf(w->report->failure, sizeof w->report->failure, format, args);
    va_end(args);
}

const char *
world_ref_name(struct asup_ref ref, char text[24])
{
    (void)snprintf(text, 24, "%c%llu", ref.sort, (unsigned long long)ref.id);
    return text;
}

void
world_digest(struct world *w, uint64_t n)
{
    uint64_t h = w->report->digest;

    for (unsigned i = 0; i < 8; i++)
        h = (h ^ ((n >> (8 * i)) & 0xff)) * UINT64_C(0x100000001b3);
    w->report->digest = h;
}

asup_time
kernel_now(struct world *w)
{
    asup_time at = (asup_time)((int64_t)w->now + w->shift);

    if (at > w->kernel_last)
        w->kernel_last = at;
    return w->kernel_last;
}

/* ---- Events -----------------------------------------------------------------------------------
 */

static void
event_count(struct world *w, const struct event *ev)
{
    struct world_counts *c = &w->counts;
    struct region_view r;
    struct reason_view reason;

    c->events[ev->kind]++;
    w->report->events++;
    if (ev->kind == EV_TASK_COMPLETED && ev->outcome != NULL)
        c->task_outcomes[ev->outcome->key.severity]++;
    if (ev->kind == EV_REGION_CLOSED && ev->outcome != NULL) {
        c->region_outcomes[ev->outcome->key.severity]++;
        if (kernel_region(w->kernel, ev->region, &r))
            c->region_policies[r.policy]++;
    }
    if (ev->reason != 0 && kernel_reason(w->kernel, ev->reason, &reason, 1) > 0)
        c->reasons[reason.key.kind]++;
    if (ev->kind >= EV_OBLIGATION_COMMITTED && ev->kind <= EV_OBLIGATION_LEAKED)
        c->obligations[ev->value % ASUP_OBLIGATION_KIND_COUNT]
                      [ev->kind - EV_OBLIGATION_COMMITTED]++;
}

/* What changed goes through bytes into the second kernel. */
static void
event_fold(struct world *w, const struct event *ev)
{
    struct event back;
    const uint8_t *bytes;

    w->event_bytes.size = 0;
    if (kernel_event_encode(ev, &w->event_bytes) != 0) {
        world_fail(w, "R-EVT-1: not encoded: %s", event_kind_name(ev->kind));
        return;
    }
    bytes = w->event_bytes.data;
    for (size_t i = 0; i + 8 <= w->event_bytes.size; i += 8) {
        uint64_t n = 0;

        for (unsigned b = 0; b < 8; b++)
            n |= (uint64_t)bytes[i + b] << (8 * b);
        w->report->digest = (w->report->digest ^ n) * UINT64_C(0x9e3779b97f4a7c15);
        w->report->digest ^= w->report->digest >> 29;
    }
    if (kernel_event_decode((struct bytes){bytes, w->event_bytes.size}, &w->event_scratch, &back) !=
        0) {
        world_fail(w, "R-EVT-1: not decoded: %s", event_kind_name(ev->kind));
        return;
    }
    kernel_apply(w->shadow, &back);
}

static bool
admits(const struct input *in, const struct step *out)
{
    if (in->kind == IN_RESUMED)
        return true; /* finalizers may run again */
    for (size_t i = 0; i < out->event_count; i++) {
        switch (out->events[i].kind) {
        case EV_REGION_OPENED:
        case EV_TASK_CREATED:
        case EV_FINALIZER_REGISTERED:
        case EV_SAGA_BEGUN:
        case EV_SAGA_STEP_BEGUN:
        case EV_SAGA_RESOLVED:
        case EV_OBLIGATION_RESERVED:
        case EV_CALL_RETRIED:
            return true;
        default:
            break;
        }
    }
    return false;
}

/* ---- Effects ------------------------------------------------------------------------------------
 */

static void
effect_take(struct world *w, const struct effect *fx)
{
    struct held h = {.fx = *fx};

    if (w->resuming && fx->kind != FX_REPLY && fx->kind != FX_FORGET)
        deed(w, DEED_ORDER_AGAIN);
    if (fx->after > kernel_durable_seq(w->kernel))
        world_fail(w, "R-DUR-1: an effect waits for what never happened");
    w->ordered = w->ordered || (fx->kind != FX_REPLY && fx->kind != FX_FORGET);
    if (fx->kind == FX_REPLY) {
        struct exchange *x = &w->exchanges[fx->token % EXCHANGES_MAX];

        if (x->token == fx->token && x->answered)
            world_fail(w, "a request is answered twice");
        x->answered = x->token == fx->token;
    }
    if (fx->after <= w->disk.committed) {
        if (fx->kind == FX_REPLY)
            answer_send(w, fx, fx->list);
        else
            keeper_order(w, fx);
        return;
    }
    h.fx.spec = (struct bytes){"", 0};
    h.fx.limit = h.fx.detail = NULL;
    h.fx.list = NULL;
    if (fx->list_count > 0) {
        h.list = malloc(fx->list_count * sizeof *h.list);
        if (h.list == NULL)
            abort();
        memcpy(h.list, fx->list, fx->list_count * sizeof *h.list);
    }
    if (w->held_count == w->held_capacity) {
        w->held_capacity = 2 * w->held_capacity + 64;
        w->held = realloc(w->held, w->held_capacity * sizeof w->held[0]);
        if (w->held == NULL)
            abort();
    }
    w->held[w->held_count++] = h;
}

/* ---- Steps
 * --------------------------------------------------------------------------------------- */

static void
state_check(struct world *w)
{
    const char *broken;

    /* What a fold lacks of volatile regions is put right by RESUMED. */
    broken = kernel_recovering(w->kernel) ? NULL : kernel_check(w->kernel);
    if (broken != NULL)
        world_fail(w, "broken: %s", broken);
    if (kernel_digest(w->kernel) != kernel_digest(w->shadow))
        world_fail(w, "R-EVT-1: the events do not add up to the state");
}

/* Leaks and holders who stand still are what clients do here, and are counted. */
void
oracles_ask(struct world *w)
{
    for (unsigned i = 0; i < ASUP_ORACLE_COUNT && !w->failed; i++) {
        const char *complaint = oracles_complaint(w->oracles, (enum asup_oracle)i);

        if (complaint != NULL && i != ASUP_ORACLE_OBLIGATION_LEAK && i != ASUP_ORACLE_FUTURELOCK)
            world_fail(w, "%s: %s", asup_oracle_name((enum asup_oracle)i), complaint);
    }
}

static int
step_once(struct world *w, struct input *in)
{
    bool thorough = w->steps++ % w->check_every == 0 || in->kind == IN_RESUMED;
    uint64_t digest = thorough ? kernel_digest(w->kernel) : 0;
    uint64_t potential = kernel_potential(w->kernel);
    struct step out;
    int rc;

    in->now = kernel_now(w);
    w->recovering = in->kind == IN_RESUMED;
    rc = kernel_step(w->kernel, in, &out);
    w->memory_left = -1; /* the second kernel and the checks have enough */
    if (rc == 0)
        w->counts.granted[in->kind]++;
    else
        w->counts.refused[in->kind]++;
    for (size_t i = 0; i < out.event_count; i++) {
        const struct event *ev = &out.events[i];

        event_fold(w, ev);
        event_count(w, ev);
        if (ev->durable)
            disk_write(w, ev);
        processes_check(w, ev);
        calm_event(w, ev);
    }
    w->recovering = false;
    told_step(w, &out);
    told_tell(w, w->disk.committed);
    if (thorough)
        state_check(w);
    if (thorough && rc != 0 && out.event_count == 0 && kernel_digest(w->kernel) != digest)
        world_fail(w, "R-EVT-2: a refusal left a mark");
    if (!admits(in, &out) && kernel_potential(w->kernel) > potential)
        world_fail(w, "R-SCH-3: the potential rose");
    oracles_step(w->oracles, w->kernel, in, &out);
    oracles_ask(w);
    if (w->options.on_step != NULL)
        w->options.on_step(w->options.ctx, w->kernel, in, &out);
    for (size_t i = 0; i < out.effect_count; i++)
        effect_take(w, &out.effects[i]);
    if (w->failed && strchr(w->report->failure, '@') == NULL) {
        size_t size = strlen(w->report->failure);

        (void)snprintf(w->report->failure + size, sizeof w->report->failure - size,
                       " @ step %llu (%s)", (unsigned long long)w->steps,
                       world_input_name(in->kind));
    }
    disk_go_on(w);
    return rc;
}

static bool
is_fact(enum input_kind kind)
{
    return kind > IN_BATCH || kind == IN_TICK;
}

int
world_step(struct world *w, struct input *in)
{
    struct kernel_counts counts;
    bool scarce = w->memory_left < 0 && fault(w, FAULT_NO_MEMORY);
    int rc;

    if (w->failed || !w->up)
        return 0;
    if (scarce) {
        w->counts.faults[FAULT_NO_MEMORY]--; /* counted when it is felt */
        w->memory_left = dice(w, 6);
    }
    kernel_counts(w->kernel, &counts);
    if (in->kind == IN_RESUMED || kernel_recovering(w->kernel))
        w->memory_left = -1;
    rc = step_once(w, in);
    if (rc == -ASUP_ENOMEM && is_fact(in->kind) && !w->failed) {
        /* Timers came before it: brought again, it finds what was reserved for it. An attempt to
         * undo something takes what it needs when it comes. */
        w->memory_left = counts.sagas > 0 ? -1 : 0;
        rc = step_once(w, in);
        if (rc != 0)
            world_fail(w, "a fact found no memory");
    }
    return rc;
}
