/* SPDX-License-Identifier: MIT */
#include "durably.h"
#include "scenario_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"

struct scenario S;
void (*scenario_event_hook)(const struct event *ev);

void
scenario_fail(const char *format, ...)
{
    char message[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    _ck_assert_failed(S.file, S.line, "scenario", "%s\ntrace so far:\n%.3000s", message, S.trace);
    abort(); /* not reached: the above does not come back */
}

/* ---- Memory: counted, and refused on demand -------------------------------- */

static void *
memory_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    void *fresh;

    (void)ctx;
    if (size_new == 0) {
        S.memory_used -= size_old;
        free(ptr);
        return NULL;
    }
    if (S.memory_left == 0)
        return NULL;
    if (S.memory_left > 0)
        S.memory_left--;
    /* Always moved, so that a pointer kept across a growth is found out. */
    fresh = malloc(size_new);
    if (fresh == NULL)
        abort();
    if (ptr != NULL) {
        memcpy(fresh, ptr, size_old < size_new ? size_old : size_new);
        free(ptr);
    }
    S.memory_used += size_new - size_old;
    return fresh;
}

void
scenario_memory_scarce(uint64_t seed)
{
    S.scarce = seed;
}

long
scenario_memory_starved(void)
{
    return S.starved;
}

void
scenario_memory(long allocations_left)
{
    S.memory_left = allocations_left;
}

/* ---- Fixture ------------------------------------------------------------------ */

static const struct kernel_allocator allocator = {.resize = memory_resize, .ctx = NULL};

void
scenario_begin(void)
{
    memset(&S, 0, sizeof S);
    S.file = __FILE__;
    S.line = __LINE__;
    S.memory_left = -1;
    S.now = SCENARIO_START;
    S.trace_time = S.now;
    S.shell = (struct shell){.delivers = true, .sweeps = true};
    kernel_config_init(&S.config);
}

struct kernel_config *
given_config(void)
{
    ck_assert_msg(S.kernel == NULL, "the configuration comes before the first statement");
    return &S.config;
}

struct kernel *
the_kernel(void)
{
    if (S.kernel == NULL) {
        S.kernel = kernel_new(&S.config, &allocator, S.now);
        S.shadow = kernel_new(&S.config, &allocator, S.now);
        ck_assert_ptr_nonnull(S.kernel);
        ck_assert_ptr_nonnull(S.shadow);
        (void)thing_add("/", ASUP_SORT_REGION, ASUP_ROOT_ID);
    }
    return S.kernel;
}

bool
scenario_kernel_starts(const struct kernel_config *config)
{
    struct kernel *k = kernel_new(config, &allocator, S.now);

    if (k != NULL)
        kernel_free(k);
    return k != NULL;
}

void
scenario_end(void)
{
    if (S.kernel != NULL) {
        kernel_free(S.kernel);
        kernel_free(S.shadow);
        ck_assert_msg(S.memory_used == 0, "%zu bytes were never given back", S.memory_used);
    }
    S.kernel = NULL;
}

/* ---- Names -------------------------------------------------------------------- */

struct thing *
thing_find(const char *name)
{
    for (size_t i = S.thing_count; i-- > 0;) {
        if (strcmp(S.things[i].name, name) == 0)
            return &S.things[i];
    }
    return NULL;
}

struct thing *
thing_get(const char *name)
{
    struct thing *t = thing_find(name);

    if (t == NULL)
        scenario_fail("nothing is called \"%s\"", name);
    return t;
}

struct thing *
thing_by_id(enum asup_sort sort, uint64_t id)
{
    for (size_t i = 0; i < S.thing_count; i++) {
        if (S.things[i].sort == sort && S.things[i].id == id)
            return &S.things[i];
    }
    return NULL;
}

struct thing *
thing_add(const char *name, enum asup_sort sort, uint64_t id)
{
    struct thing *t;

    if (S.thing_count == THINGS_MAX)
        scenario_fail("too many names");
    if (strlen(name) >= NAME_MAX_)
        scenario_fail("the name \"%s\" is too long for a scenario", name);
    t = &S.things[S.thing_count++];
    *t = (struct thing){.sort = sort, .id = id};
    memcpy(t->name, name, strlen(name) + 1);
    return t;
}

void
pending_add(const char *name, enum asup_sort sort)
{
    if (S.pending_count == PENDING_MAX)
        scenario_fail("too many names in one request");
    if (strlen(name) >= NAME_MAX_)
        scenario_fail("the name \"%s\" is too long for a scenario", name);
    memcpy(S.pending[S.pending_count].name, name, strlen(name) + 1);
    S.pending[S.pending_count++].sort = sort;
}

/* An event made an id: it takes the first pending name of its sort. */
static void
pending_bind(enum asup_sort sort, uint64_t id)
{
    if (thing_by_id(sort, id) != NULL)
        return;
    for (size_t i = 0; i < S.pending_count; i++) {
        if (S.pending[i].sort != sort)
            continue;
        (void)thing_add(S.pending[i].name, sort, id);
        memmove(&S.pending[i], &S.pending[i + 1], (S.pending_count - i - 1) * sizeof S.pending[0]);
        S.pending_count--;
        return;
    }
}

void
awaited_add(const char *name, uint64_t token)
{
    if (S.awaited_count == PENDING_MAX)
        scenario_fail("too many names are waited for");
    if (strlen(name) >= NAME_MAX_)
        scenario_fail("the name \"%s\" is too long for a scenario", name);
    S.awaited[S.awaited_count].token = token;
    memcpy(S.awaited[S.awaited_count++].name, name, strlen(name) + 1);
}

/* An answer says what the name stands for, or that there is nothing. */
static void
awaited_bind(const struct effect *fx)
{
    for (size_t i = 0; i < S.awaited_count; i++) {
        if (S.awaited[i].token != fx->token)
            continue;
        if (fx->code == 0 && thing_by_id(fx->made.sort, fx->made.id) == NULL)
            (void)thing_add(S.awaited[i].name, fx->made.sort, fx->made.id);
        S.awaited_count--;
        memmove(&S.awaited[i], &S.awaited[i + 1], (S.awaited_count - i) * sizeof S.awaited[0]);
        return;
    }
}

uint64_t
id_of(const char *name)
{
    return thing_get(name)->id;
}

struct region_view
region_of(const char *name)
{
    struct region_view view;

    memset(&view, 0, sizeof view);
    if (!kernel_region(the_kernel(), id_of(name), &view))
        scenario_fail("the kernel knows no region %s", name);
    return view;
}

struct task_view
task_of(const char *name)
{
    struct task_view view;

    memset(&view, 0, sizeof view);
    if (!kernel_task(the_kernel(), id_of(name), &view))
        scenario_fail("the kernel knows no task %s", name);
    return view;
}

/* ---- A step, and what must hold after each one ----------------------------------- */

static bool
is_admission(enum event_kind kind)
{
    return kind == EV_REGION_OPENED || kind == EV_TASK_CREATED || kind == EV_FINALIZER_REGISTERED ||
           kind == EV_SAGA_BEGUN || kind == EV_SAGA_STEP_BEGUN || kind == EV_SAGA_RESOLVED ||
           kind == EV_OBLIGATION_RESERVED || kind == EV_CALL_RETRIED;
}

/* FNV-1a. */
static void
hash_bytes(const void *data, size_t size)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < size; i++)
        S.events_hash = (S.events_hash ^ at[i]) * 0x100000001b3u;
}

static void
hash_number(uint64_t number)
{
    hash_bytes(&number, sizeof number);
}

static void
hash_event(const struct event *ev)
{
    const struct kernel_outcome *o = ev->outcome;

    hash_number(ev->seq);
    hash_number(ev->at);
    hash_number(ev->kind);
    hash_number(ev->uid);
    hash_number(ev->region);
    hash_number(ev->task);
    hash_number(ev->session);
    hash_number(ev->subject);
    hash_number(ev->value);
    hash_number(ev->reason);
    hash_bytes(ev->text.data, ev->text.size);
    if (o == NULL)
        return;
    hash_number(o->key.severity);
    hash_number(o->key.at);
    hash_number(o->key.origin);
    hash_number(((uint64_t)o->forced << 1) | (uint64_t)o->lost);
    hash_number((uint64_t)(int64_t)o->exit_code);
    hash_number((uint64_t)(int64_t)o->signal);
    hash_number((uint64_t)(int64_t)o->error);
    hash_bytes(o->stage, strnlen(o->stage, sizeof o->stage));
    hash_number(o->reason);
    hash_number(o->wall_ns);
    hash_number(o->cpu_ns);
}

uint64_t
events_hash(void)
{
    return S.events_hash;
}

static void
check_events(const struct step *out, uint64_t potential_before)
{
    long memory_left = S.memory_left;
    bool admitted = false;

    S.memory_left = -1; /* the second kernel's memory is not at stake */
    for (size_t i = 0; i < out->effect_count; i++) {
        if (out->effects[i].kind == FX_REPLY)
            awaited_bind(&out->effects[i]);
    }
    for (size_t i = 0; i < out->event_count; i++) {
        const struct event *ev = &out->events[i];

        if (ev->seq != S.seq_last + 1)
            scenario_fail("event %s has number %llu after %llu", event_kind_name(ev->kind),
                          (unsigned long long)ev->seq, (unsigned long long)S.seq_last);
        if (ev->at > S.now)
            scenario_fail("event %s is of a time to come", event_kind_name(ev->kind));
        S.seq_last = ev->seq;
        hash_event(ev);
        admitted = admitted || is_admission(ev->kind);
        if (ev->kind == EV_SAGA_BEGUN)
            pending_bind(ASUP_SORT_SAGA, ev->subject);
        saga_bind(ev);
        if (ev->kind == EV_REGION_OPENED)
            pending_bind(ASUP_SORT_REGION, ev->region);
        if (ev->kind == EV_TASK_CREATED || ev->kind == EV_FINALIZER_REGISTERED)
            pending_bind(ASUP_SORT_TASK, ev->task);
        if (ev->kind == EV_CHANNEL_OPENED)
            pending_bind(ASUP_SORT_CHANNEL, ev->subject);
        if (ev->kind == EV_MESSAGE_SENT)
            pending_bind(ASUP_SORT_MESSAGE, ev->subject);
        if (ev->kind == EV_SESSION_OPENED)
            pending_bind(ASUP_SORT_SESSION, ev->session);
        apply_durably(S.shadow, ev);
        if (scenario_event_hook != NULL)
            scenario_event_hook(ev);
    }
    S.memory_left = memory_left;
    if (!admitted && kernel_potential(S.kernel) > potential_before)
        scenario_fail("R-SCH-3: the potential rose from %llu to %llu though nothing was admitted",
                      (unsigned long long)potential_before,
                      (unsigned long long)kernel_potential(S.kernel));
}

static void
check_state(const struct input *in, int rc, uint64_t digest_before, const struct step *out)
{
    const char *broken = kernel_check(S.kernel);

    if (broken != NULL)
        scenario_fail("invariant %s is broken after input %d", broken, (int)in->kind);
    if (kernel_digest(S.kernel) != kernel_digest(S.shadow))
        scenario_fail("R-EVT-1: the events of input %d do not add up to the state", (int)in->kind);
    if (rc != 0 && out->event_count == 0 && kernel_digest(S.kernel) != digest_before)
        scenario_fail("R-EVT-2: a refused request left a mark");
}

static bool
may_park(enum input_kind kind)
{
    return kind == IN_WAIT || kind == IN_LEASE_ACQUIRE || kind == IN_CHANNEL_RESERVE ||
           kind == IN_CHANNEL_RECEIVE || kind == IN_WORKER_NEXT;
}

/* Requests are answered once; a parked one not yet. */
static void
check_reply(const struct input *in, int rc, const struct step *out)
{
    bool request = in->kind >= IN_SESSION_OPEN && in->kind <= IN_BATCH;
    size_t answers = 0;

    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];

        if (fx->kind != FX_REPLY || !request || fx->token != in->token)
            continue;
        answers++;
        S.answered = true;
        S.made = fx->made;
        S.code = fx->code;
        S.limit = fx->limit;
        S.detail = fx->detail;
        if (fx->code != rc)
            scenario_fail("the step says %d and its answer %d", rc, fx->code);
    }
    if (request && !may_park(in->kind) && answers != 1)
        scenario_fail("input %d was answered %zu times", (int)in->kind, answers);
    if (answers > 1 || (!request && rc != 0))
        scenario_fail("input %d: %zu answers, code %d", (int)in->kind, answers, rc);
}

/* R-CAP-3: everything is done as the user whose it is. */
static void
check_whom(const struct effect *fx)
{
    struct region_view region;
    struct task_view task;

    if (fx->kind == FX_START && kernel_task(S.kernel, fx->task, &task) && fx->uid != task.run_uid)
        scenario_fail("R-CAP-3: a start as user %u", fx->uid);
    if (fx->kind == FX_SWEEP && kernel_region(S.kernel, fx->region, &region) &&
        fx->uid != region.uid)
        scenario_fail("R-CAP-3: a sweep as user %u", fx->uid);
}

static void
orders_take(const struct step *out)
{
    for (size_t i = 0; i < out->effect_count; i++) {
        const struct effect *fx = &out->effects[i];
        struct thing *t = thing_by_id(ASUP_SORT_TASK, fx->task);

        if (fx->kind == FX_START && t != NULL) {
            if (t->start_ordered)
                scenario_fail("R-TSK-5: %s is started a second time", t->name);
            t->start_ordered = true;
        }
        if (fx->kind == FX_START) {
            if (fx->spec.size > sizeof S.spec)
                scenario_fail("a spec of %zu bytes", fx->spec.size);
            S.spec_size = fx->spec.size;
            if (fx->spec.size > 0)
                memcpy(S.spec, fx->spec.data, fx->spec.size);
        }
        check_whom(fx);
        if (fx->kind == FX_KILL && t != NULL)
            t->killed = true;
        if (fx->kind == FX_REPLY)
            continue;
        if (S.order_count == ORDERS_MAX)
            scenario_fail("too many orders at once");
        S.orders[S.order_count++] = *fx;
    }
}

/* Take the step with little memory left. Whatever it is, a step that finds none
 * has done nothing but what was due before it, and may be taken again. True:
 * the memory sufficed. */
static bool
step_starved(struct input *in, struct step *out, int *rc_out)
{
    uint64_t potential_before = kernel_potential(S.kernel);
    int rc;

    S.scarce = S.scarce * 6364136223846793005u + 1442695040888963407u;
    S.memory_left = (long)(S.scarce >> 40 & 1);
    rc = kernel_step(S.kernel, in, out);
    S.memory_left = -1;
    S.starved += rc == -ASUP_ENOMEM;
    check_events(out, potential_before);
    orders_take(out);
    if (kernel_digest(S.kernel) != kernel_digest(S.shadow))
        scenario_fail("R-EVT-2: input %d left a mark though there was no memory", (int)in->kind);
    if (rc != -ASUP_ENOMEM)
        check_reply(in, rc, out);
    *rc_out = rc;
    return rc != -ASUP_ENOMEM;
}

static int
step_raw(struct input *in)
{
    struct kernel *k = the_kernel();
    uint64_t digest_before;
    uint64_t potential_before;
    struct step out = {0};
    int rc;

    if ((in->kind == IN_TASK_STARTED || in->kind == IN_TASK_START_FAILED) && in->task != 0) {
        struct thing *t = thing_by_id(ASUP_SORT_TASK, in->task);

        if (t != NULL)
            t->start_answered = true;
    }
    in->now = S.now;
    S.answered = false;
    S.code = 0;
    if (S.scarce != 0 && step_starved(in, &out, &rc))
        return rc;
    digest_before = kernel_digest(k);
    potential_before = kernel_potential(k);
    rc = kernel_step(k, in, &out);
    check_events(&out, potential_before);
    trace_events(&out);
    check_reply(in, rc, &out);
    check_state(in, rc, digest_before, &out);
    orders_take(&out);
    return rc;
}

/* ---- The scripted shell ------------------------------------------------------------ */

void
fact(enum input_kind kind, const struct thing *t)
{
    struct input in = {.kind = kind, .task = t->id};

    (void)step_raw(&in);
}

static void
shell_end(struct thing *t, int signal, bool by_kill)
{
    struct input in = {.kind = IN_TASK_EXITED, .task = t->id};

    if (!t->main_ended) {
        in.u.exited = (struct process_exit){.exit_code = -1,
                                            .signal = signal,
                                            .cancel_delivered = t->signal_delivered,
                                            .kill_delivered = by_kill};
        t->main_ended = true;
        if (!t->emptied)
            fact(IN_TASK_EMPTY, t);
        t->emptied = true;
        (void)step_raw(&in);
    }
    if (!t->emptied) {
        t->emptied = true;
        fact(IN_TASK_EMPTY, t);
    }
}

static void
shell_answer(const struct effect *fx)
{
    struct input in = {.task = fx->task, .region = fx->region};
    struct thing *t = thing_by_id(ASUP_SORT_TASK, fx->task);

    switch (fx->kind) {
    case FX_START:
        if (!S.shell.starts)
            return;
        in.kind = IN_TASK_STARTED;
        in.u.started.pid = (uint32_t)(1000 + fx->task);
        break;
    case FX_SIGNAL:
        if (!S.shell.delivers)
            return;
        in.kind = IN_TASK_SIGNALLED;
        in.u.signalled.delivered = t == NULL || !t->main_ended;
        if (t != NULL && !t->main_ended)
            t->signal_delivered = true;
        (void)step_raw(&in);
        if (S.shell.obeys && t != NULL)
            shell_end(t, fx->signal, false);
        return;
    case FX_KILL:
        if (S.shell.kills && t != NULL)
            shell_end(t, 9, true);
        return;
    case FX_SWEEP:
        if (!S.shell.sweeps)
            return;
        in.kind = IN_REGION_SWEPT;
        break;
    default:
        return;
    }
    (void)step_raw(&in);
}

/* Answer orders and let the lanes run until nothing is due at this instant. */
static void
settle(void)
{
    for (int round = 0; round < 100000; round++) {
        if (S.order_count > 0) {
            struct effect fx = S.orders[0];

            memmove(&S.orders[0], &S.orders[1], (--S.order_count) * sizeof S.orders[0]);
            shell_answer(&fx);
        } else if (kernel_next_deadline(the_kernel()) <= S.now) {
            struct input tick = {.kind = IN_TICK};

            (void)step_raw(&tick);
        } else {
            return;
        }
    }
    scenario_fail("the kernel does not come to rest at %llu ns",
                  (unsigned long long)since_start(S.now));
}

void
time_pass_to(asup_time target)
{
    (void)the_kernel();
    if (target < S.now)
        scenario_fail("time does not run backwards");
    for (;;) {
        asup_time next;

        settle();
        next = kernel_next_deadline(S.kernel);
        if (next > target)
            break;
        S.now = next;
    }
    S.now = target;
    settle();
}

/* ---- Requests ----------------------------------------------------------------------- */

struct input
scenario_input(enum input_kind kind)
{
    struct input in;

    memset(&in, 0, sizeof in);
    in.kind = kind;
    in.caller.uid = 1000;
    in.token = ++S.token_last;
    return in;
}

int
scenario_step(struct input *in)
{
    int rc = step_raw(in);
    struct asup_ref made = S.made;

    S.pending_count = 0;
    S.show_answer = false;
    settle();
    S.made = made;
    return rc;
}

int
scenario_step_only(struct input *in)
{
    return step_raw(in);
}

struct asup_ref
scenario_made(void)
{
    return S.made;
}

const char *
scenario_limit(void)
{
    return S.limit != NULL ? S.limit : "";
}

const char *
scenario_detail(void)
{
    return S.detail != NULL ? S.detail : "";
}

struct bytes
scenario_spec(void)
{
    return (struct bytes){.data = S.spec, .size = S.spec_size};
}

asup_time
instant(const char *duration)
{
    uint64_t ns;

    if (asup_duration_parse(duration, strlen(duration), &ns) != 0)
        scenario_fail("\"%s\" is no time", duration);
    return SCENARIO_START + ns;
}

asup_time
since_start(asup_time at)
{
    return at - SCENARIO_START;
}
