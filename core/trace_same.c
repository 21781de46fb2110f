/* SPDX-License-Identifier: MIT */
/* Whether two events of two traces say the same, field by field: payloads have
 * gaps, and ids are known by their names. */
#include "core/call.h"
#include "core/trace_form.h"

#define SAME(field) (a->field == b->field)
/* Of no account when the traces are compared loosely. */
#define NEAR(field) (p->loosely || SAME(field))

static bool
same_name(const struct pair *p, enum resource_sort sort, uint64_t a, uint64_t b)
{
    return name_of(p->left, sort, a) == name_of(p->right, sort, b);
}

static bool
same_ref(const struct pair *p, const struct asup_ref *a, const struct asup_ref *b)
{
    return SAME(sort) &&
           name_by_sort(p->left, a->sort, a->id) == name_by_sort(p->right, b->sort, b->id);
}

/* An id that the text begins with; the size of it, 0: none. */
static size_t
text_id(const struct bytes *text, struct asup_ref *ref)
{
    const char *at = text->data;
    size_t size = 1;

    *ref = (struct asup_ref){0};
    if (text->size < 2)
        return 0;
    ref->sort = (unsigned char)at[0];
    for (; size < text->size && size < 20 && at[size] >= '0' && at[size] <= '9'; size++)
        ref->id = ref->id * 10 + (uint64_t)(at[size] - '0');
    return size > 1 ? size : 0;
}

static bool
same_bytes(const void *a, size_t size_a, const void *b, size_t size_b)
{
    return size_a == size_b && (size_a == 0 || memcmp(a, b, size_a) == 0);
}

static bool
same_text(const struct pair *p)
{
    const struct bytes *a = &p->a->text;
    const struct bytes *b = &p->b->text;
    struct asup_ref id_a;
    struct asup_ref id_b;
    size_t past_a = text_id(a, &id_a);
    size_t past_b = text_id(b, &id_b);

    if (same_bytes(a->data, a->size, b->data, b->size))
        return true;
    return past_a > 0 && past_b > 0 && same_ref(p, &id_a, &id_b) &&
           same_bytes((const char *)a->data + past_a, a->size - past_a,
                      (const char *)b->data + past_b, b->size - past_b);
}

static bool
same_value(const struct pair *p)
{
    switch (p->a->kind) {
    case EV_REGION_OPENED:
    case EV_REGION_DECIDED:
        return same_name(p, RESOURCE_REGION, p->a->value, p->b->value);
    case EV_MESSAGE_SENT ... EV_MESSAGE_RETRIED:
        return same_name(p, RESOURCE_CHANNEL, p->a->value, p->b->value);
    case EV_LEASE_GRANTED ... EV_LEASE_FREE:
        return same_name(p, RESOURCE_TOKEN, p->a->value, p->b->value);
    case EV_TASK_STARTED:
        return true; /* a pid */
    case EV_TASK_CHARGED:
    case EV_TASK_CANCEL_REQUESTED:
    case EV_REGION_CANCEL_REQUESTED:
    case EV_TASK_EXTENDED:
    case EV_OBLIGATION_RENEWED:
    case EV_FUTURELOCK:
    case EV_KEY_COMPLETED:
        return p->loosely || p->a->value == p->b->value;
    default:
        return p->a->value == p->b->value;
    }
}

static bool
same_outcome(const struct pair *p)
{
    const struct kernel_outcome *a = p->a->outcome;
    const struct kernel_outcome *b = p->b->outcome;

    if (a == NULL || b == NULL)
        return a == b;
    return SAME(key.severity) && NEAR(key.at) && SAME(origin_sort) &&
           name_by_sort(p->left, a->origin_sort, a->key.origin) ==
               name_by_sort(p->right, b->origin_sort, b->key.origin) &&
           SAME(forced) && SAME(lost) && SAME(exit_code) && SAME(signal) && SAME(error) &&
           strncmp(a->stage, b->stage, sizeof a->stage) == 0 &&
           same_name(p, RESOURCE_REASON, a->reason, b->reason) && NEAR(wall_ns) && NEAR(cpu_ns) &&
           NEAR(memory_peak);
}

static bool
same_budget(const struct pair *p, const struct asup_budget *a, const struct asup_budget *b)
{
    return NEAR(limit_at) && SAME(limit_kind) && SAME(poll_quota) && SAME(cost_quota) &&
           SAME(priority);
}

static bool
same_session(const struct pair *p, const struct session_payload *a, const struct session_payload *b)
{
    return SAME(ttl_ns) && NEAR(expires_at) && NEAR(pid) && SAME(connected) &&
           (p->loosely || memcmp(a->secret_digest, b->secret_digest, sizeof a->secret_digest) == 0);
}

static bool
same_request(const struct pair *p, const struct request_payload *a, const struct request_payload *b)
{
    const struct asup_ref *made_a = (const struct asup_ref *)(a + 1);
    const struct asup_ref *made_b = (const struct asup_ref *)(b + 1);

    if (!SAME(id) || !SAME(count) || !same_ref(p, &a->made, &b->made))
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!same_ref(p, &made_a[i], &made_b[i]))
            return false;
    }
    return true;
}

static bool
same_request_part(const struct pair *p, const struct request_part_payload *a,
                  const struct request_part_payload *b)
{
    return SAME(id) && SAME(place) && SAME(count) && same_ref(p, &a->made, &b->made);
}

static bool
same_region(const struct pair *p, const struct region_payload *a, const struct region_payload *b)
{
    return same_budget(p, &a->budget, &b->budget) && SAME(drain_ns) && SAME(quorum) &&
           SAME(tasks_max) && SAME(children_max) && SAME(policy) && SAME(soft) && SAME(strict) &&
           SAME(is_volatile);
}

static bool
same_task(const struct pair *p, const struct task_payload *a, const struct task_payload *b)
{
    return same_budget(p, &a->budget, &b->budget) && NEAR(due_at) && SAME(drain_ns) &&
           SAME(leftover_ns) && SAME(watchdog_ns) && SAME(response_ns) && SAME(run_uid) &&
           SAME(mask_depth) && SAME(cancel_signal) && SAME(leftover_wait) && SAME(notify) &&
           SAME(action) && same_name(p, RESOURCE_CAPABILITY, a->cx, b->cx) && SAME(backoff_ms) &&
           SAME(backoff_most_ms) && SAME(attempts) && SAME(call_size) && SAME(key_size) &&
           (p->loosely || same_bytes(a + 1, (size_t)a->spec_size + a->call_size + a->key_size,
                                     b + 1, (size_t)b->spec_size + b->call_size + b->key_size));
}

static bool
same_step(const struct pair *p, const struct step_payload *a, const struct step_payload *b)
{
    return SAME(budget_ns) && SAME(backoff_ns) && SAME(backoff_most_ns) && SAME(leftover_ns) &&
           SAME(watchdog_ns) && SAME(response_ns) && SAME(attempts) && SAME(uid) && SAME(run_uid) &&
           SAME(mask_depth) && SAME(cancel_signal) && SAME(leftover_wait) && SAME(notify) &&
           SAME(call_size) && same_name(p, RESOURCE_CAPABILITY, a->cx, b->cx) &&
           (p->loosely || same_bytes(a + 1, a->label_size + a->spec_size + a->call_size, b + 1,
                                     b->label_size + b->spec_size + b->call_size));
}

static bool
same_offer(const struct pair *p, const struct offer_payload *a, const struct offer_payload *b)
{
    return SAME(response_ns) && SAME(quiet_ns) && same_ref(p, &a->holder, &b->holder) &&
           SAME(concurrency) && SAME(prefetch) && SAME(mask_depth) && SAME(name_count);
}

static bool
same_given(const struct given_payload *a, const struct given_payload *b)
{
    return SAME(request) && SAME(given);
}

static bool
same_call_end(const struct call_end_payload *a, const struct call_end_payload *b)
{
    return SAME(lost) && same_bytes(a + 1, a->result_size, b + 1, b->result_size);
}

static bool
same_reason(const struct pair *p, const struct reason_payload *a, const struct reason_payload *b)
{
    return SAME(key.kind) && NEAR(key.at) && SAME(origin_sort) &&
           name_by_sort(p->left, a->origin_sort, a->key.origin) ==
               name_by_sort(p->right, b->origin_sort, b->key.origin) &&
           SAME(is_new) && SAME(limit_passed) && same_name(p, RESOURCE_REASON, a->cause, b->cause);
}

static bool
same_cancel(const struct pair *p, const struct cancel_payload *a, const struct cancel_payload *b)
{
    return same_reason(p, &a->reason, &b->reason) && NEAR(drain_pass) && SAME(cleanup_ns) &&
           SAME(hard) && SAME(hurry) && SAME(promised);
}

static bool
same_charge(const struct pair *p, const struct charge_payload *a, const struct charge_payload *b)
{
    return NEAR(cpu_ms) && SAME(sampled) && SAME(to_ancestors);
}

static bool
same_closed(const struct pair *p, const struct closed_payload *a, const struct closed_payload *b)
{
    return same_name(p, RESOURCE_REGION, a->parent, b->parent) &&
           same_name(p, RESOURCE_SESSION, a->session, b->session);
}

static bool
same_obligation(const struct pair *p, const struct obligation_payload *a,
                const struct obligation_payload *b)
{
    return NEAR(deadline) && SAME(span_ns) && SAME(kind) &&
           same_name(p, RESOURCE_CHANNEL, a->channel, b->channel) &&
           (a->kind == ASUP_OBLIGATION_ACK ? same_name(p, RESOURCE_MESSAGE, a->number, b->number)
                                           : SAME(number));
}

static bool
same_key(const struct pair *p, const struct key_payload *a, const struct key_payload *b)
{
    return NEAR(digest) && same_ref(p, &a->scope, &b->scope) && same_ref(p, &a->made, &b->made) &&
           SAME(retention_ns) && NEAR(forget_at) && SAME(holds);
}

static bool
same_capability(const struct pair *p, const struct capability_payload *a,
                const struct capability_payload *b)
{
    return same_name(p, RESOURCE_CAPABILITY, a->parent, b->parent) && NEAR(limit_at) &&
           SAME(cost_ceiling) && SAME(poll_ceiling) && SAME(rights) && SAME(priority_ceiling);
}

static bool
same_end(const struct obligation_end_payload *a, const struct obligation_end_payload *b)
{
    return SAME(end) && SAME(why);
}

static bool
same_channel(const struct channel_payload *a, const struct channel_payload *b)
{
    return SAME(ack_timeout_ns) && SAME(permit_timeout_ns) && SAME(dead_retention_ns) &&
           SAME(capacity) && SAME(nacks_max) && SAME(timeouts_max);
}

static bool
same_sent(const struct sent_payload *a, const struct sent_payload *b)
{
    return same_bytes(a + 1, a->size, b + 1, b->size);
}

static bool
same_returned(const struct returned_payload *a, const struct returned_payload *b)
{
    return SAME(why);
}

static bool
same_resumed(const struct pair *p, const struct resumed_payload *a, const struct resumed_payload *b)
{
    return NEAR(id_first) && SAME(same_keeper) && SAME(same_boot);
}

static bool
same_config(const struct kernel_config *a, const struct kernel_config *b)
{
    bool same = true;

#define LIMIT_SAME(field, type, preset, name) same = same && SAME(limits.field);
    KERNEL_LIMIT_LIST(LIMIT_SAME)
#undef LIMIT_SAME
    for (size_t i = 0; i < sizeof a->allowance / sizeof a->allowance[0]; i++)
        same = same && SAME(allowance[i].drain_ns) && SAME(allowance[i].polls);
    return same && SAME(leftover_ns) && SAME(finalizer_ns) && SAME(finalizer_hurry_ns) &&
           SAME(retention_ns) && SAME(session_ttl_ns) && SAME(session_ttl_ns_max) &&
           SAME(kill_grace_ns) && SAME(futurelock_ns) && SAME(lease_ttl_ns_max) && SAME(strict) &&
           SAME(sample_ns) && SAME(ageing_ns) && SAME(start_patience_ns) && SAME(fairness) &&
           SAME(start_window) && SAME(picks_per_step) && SAME(root_uid) && SAME(id_first);
}

static bool
has_spec(enum event_kind kind)
{
    return kind == EV_TASK_CREATED || kind == EV_FINALIZER_REGISTERED || kind == EV_SAGA_STEP_BEGUN;
}

static bool
same_payload(const struct pair *p)
{
    const void *a = p->a->payload;
    const void *b = p->b->payload;

    /* Payloads of one kind are of one size, but for specs and batches. */
    if (p->a->payload_size != p->b->payload_size && !(p->loosely && has_spec(p->a->kind)))
        return false;
    if (p->a->payload_size == 0)
        return true;
    switch (p->a->kind) {
    case EV_CONFIG:
        return same_config(a, b);
    case EV_SESSION_OPENED:
    case EV_SESSION_LOST:
    case EV_SESSION_ATTACHED:
        return same_session(p, a, b);
    case EV_REQUEST_BOUND:
        return same_request(p, a, b);
    case EV_REQUEST_PART_BOUND:
        return same_request_part(p, a, b);
    case EV_REGION_OPENED:
        return same_region(p, a, b);
    case EV_REGION_CANCEL_REQUESTED:
        return same_cancel(p, a, b);
    case EV_REGION_DECIDED:
        return ((const struct decided_payload *)a)->won == ((const struct decided_payload *)b)->won;
    case EV_REGION_CLOSED:
        return same_closed(p, a, b);
    case EV_TASK_CREATED:
    case EV_FINALIZER_REGISTERED:
        return same_task(p, a, b);
    case EV_TASK_CANCEL_REQUESTED:
    case EV_REASON_MADE:
        return same_reason(p, a, b);
    case EV_RESUMED:
        return same_resumed(p, a, b);
    case EV_TASK_CHARGED:
        return same_charge(p, a, b);
    case EV_SAGA_STEP_BEGUN:
        return same_step(p, a, b);
    case EV_SAGA_RESOLVED:
        return ((const struct resolved_payload *)a)->how ==
               ((const struct resolved_payload *)b)->how;
    case EV_OBLIGATION_RESERVED:
    case EV_OBLIGATION_RENEWED:
        return same_obligation(p, a, b);
    case EV_KEY_BOUND:
        return same_key(p, a, b);
    case EV_CAPABILITY_GRANTED:
        return same_capability(p, a, b);
    case EV_OBLIGATION_COMMITTED:
    case EV_OBLIGATION_ABORTED:
    case EV_OBLIGATION_LEAKED:
        return same_end(a, b);
    case EV_CHANNEL_OPENED:
        return same_channel(a, b);
    case EV_MESSAGE_SENT:
        return same_sent(a, b);
    case EV_MESSAGE_RETURNED:
    case EV_MESSAGE_DEAD:
        return same_returned(a, b);
    case EV_WORKER_OFFERED:
        return same_offer(p, a, b);
    case EV_CALL_TAKEN:
    case EV_CALL_STARTED:
    case EV_TASK_CANCEL_SENT:
        return same_given(a, b);
    case EV_CALL_RETRIED:
    case EV_TASK_COMPLETED:
        return same_call_end(a, b);
    default:
        must(false); /* a payload of which nothing is known here */
        return false;
    }
}

static bool
same_holder(const struct pair *p)
{
    const struct asup_ref *a = &p->a->holder;
    const struct asup_ref *b = &p->b->holder;

    return a->sort == ASUP_SORT_NONE ? SAME(sort) : same_ref(p, a, b);
}

bool
same_event(const struct pair *p)
{
    const struct event *a = p->a;
    const struct event *b = p->b;

    return SAME(kind) && NEAR(at) && SAME(uid) && SAME(call) &&
           same_name(p, RESOURCE_TASK, a->task, b->task) &&
           same_name(p, RESOURCE_REGION, a->region, b->region) &&
           same_name(p, RESOURCE_SESSION, a->session, b->session) &&
           same_name(p, RESOURCE_REASON, a->reason, b->reason) &&
           same_name(p, event_subject_sort(a->kind), a->subject, b->subject) && same_holder(p) &&
           same_value(p) && same_text(p) && same_outcome(p) && same_payload(p);
}
