/* SPDX-License-Identifier: MIT */
/* Requests in words, made into inputs. The grammar is told in scenario.h. */
#include "scenario_words.h"

#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"

bool
more(const struct words *w)
{
    return w->next < w->count;
}

const char *
take(struct words *w)
{
    if (!more(w))
        scenario_fail("a statement ends too early (after \"%s\")",
                      w->count > 0 ? w->word[w->count - 1] : "");
    return w->word[w->next++];
}

/* Take the next word if it is this one. */
bool
took(struct words *w, const char *word)
{
    if (!more(w) || strcmp(w->word[w->next], word) != 0)
        return false;
    w->next++;
    return true;
}

uint64_t
take_duration(struct words *w)
{
    const char *text = take(w);
    uint64_t ns;

    if (asup_duration_parse(text, strlen(text), &ns) != 0)
        scenario_fail("\"%s\" is no duration", text);
    return ns;
}

uint64_t
take_number(struct words *w)
{
    const char *text = take(w);
    char *end;
    unsigned long long number = strtoull(text, &end, 10);

    if (*end != '\0' || end == text)
        scenario_fail("\"%s\" is no number", text);
    return number;
}

static asup_time
take_instant(struct words *w)
{
    return SCENARIO_START + take_duration(w);
}

static uint64_t
take_region(struct words *w)
{
    return thing_get(take(w))->id;
}

static struct bytes
take_bytes(struct words *w)
{
    const char *text = take(w);

    return (struct bytes){.data = text, .size = strlen(text)};
}

static void
finish_words(const struct words *w)
{
    if (more(w))
        scenario_fail("what is \"%s\"?", w->word[w->next]);
}

/* ---- Options ---------------------------------------------------------------------- */

bool
option_of_request(struct words *w, struct input *in)
{
    if (took(w, "by"))
        in->caller.uid = (uint32_t)take_number(w);
    else if (took(w, "from"))
        in->caller.session = thing_get(take(w))->id;
    else if (took(w, "with") || took(w, "of"))
        caller_shows(&in->caller, thing_get(take(w)));
    else if (took(w, "withheld"))
        in->caller.standing.withheld = take_rights(w);
    else if (took(w, "granted"))
        in->caller.standing.granted = take_rights(w);
    else if (took(w, "under"))
        in->caller.standing.region = take_region(w);
    else if (took(w, "nowhere"))
        in->caller.standing.region = UINT64_MAX;
    else if (took(w, "most-time"))
        in->caller.standing.timeout_ns = take_duration(w);
    else if (took(w, "most-priority"))
        in->caller.standing.priority = (uint8_t)take_number(w);
    else if (took(w, "most-polls"))
        in->caller.standing.polls = (uint32_t)take_number(w);
    else if (took(w, "key")) {
        in->key = take_bytes(w);
        S.show_answer = true;
    } else if (took(w, "retain"))
        in->key_retention_ns = take_duration(w);
    else if (took(w, "digest"))
        in->digest = take_number(w);
    else if (took(w, "request")) {
        in->request = take_number(w);
        S.show_answer = true;
    } else
        return false;
    return true;
}

static struct budget_request
budget_none(void)
{
    return (struct budget_request){.timeout_ns = ASUP_NEVER,
                                   .deadline_at = ASUP_NEVER,
                                   .poll_quota = UINT32_MAX,
                                   .cost_quota = UINT64_MAX};
}

static bool
option_of_budget(struct words *w, struct budget_request *b)
{
    if (took(w, "timeout"))
        b->timeout_ns = take_duration(w);
    else if (took(w, "deadline"))
        b->deadline_at = take_instant(w);
    else if (took(w, "polls"))
        b->poll_quota = (uint32_t)take_number(w);
    else if (took(w, "cost"))
        b->cost_quota = take_number(w);
    else if (took(w, "priority"))
        b->priority = (uint8_t)take_number(w);
    else
        return false;
    return true;
}

struct task_params
task_default(const char *name, uint32_t uid)
{
    return (struct task_params){.label = {.data = name, .size = strlen(name)},
                                .spec = {.data = "spec", .size = 4},
                                .budget = budget_none(),
                                .run_uid = uid,
                                .drain_ns = ASUP_NEVER,
                                .leftover_ns = ASUP_NEVER,
                                .cancel_signal = 15};
}

bool
option_of_task(struct words *w, struct task_params *p)
{
    if (took(w, "delay"))
        p->delay_ns = take_duration(w);
    else if (took(w, "drain"))
        p->drain_ns = take_duration(w);
    else if (took(w, "leftover"))
        p->leftover_ns = take_duration(w);
    else if (took(w, "leftover-wait"))
        p->leftover_wait = true;
    else if (took(w, "watchdog"))
        p->watchdog_ns = take_duration(w);
    else if (took(w, "response"))
        p->response_ns = take_duration(w);
    else if (took(w, "mask"))
        p->mask_depth = (uint32_t)take_number(w);
    else if (took(w, "signal"))
        p->cancel_signal = (int32_t)take_number(w);
    else if (took(w, "notify"))
        p->notify = true;
    else if (took(w, "as"))
        p->run_uid = (uint32_t)take_number(w);
    else
        return option_of_call(w, p) || option_of_budget(w, &p->budget);
    return true;
}

static uint8_t
take_policy(struct words *w)
{
    const char *text = take(w);
    int policy = asup_policy_from_name(text);

    if (policy < 0)
        scenario_fail("\"%s\" is no policy", text);
    return (uint8_t)policy;
}

static bool
option_of_region(struct words *w, struct input *in)
{
    struct region_params *p = &in->u.region_open;

    if (took(w, "in"))
        in->region = take_region(w);
    else if (took(w, "policy"))
        p->policy = take_policy(w);
    else if (took(w, "quorum"))
        p->quorum = (uint32_t)take_number(w);
    else if (took(w, "drain"))
        p->drain_ns = take_duration(w);
    else if (took(w, "soft"))
        p->soft = true;
    else if (took(w, "strict"))
        p->strict = true;
    else if (took(w, "volatile"))
        p->is_volatile = true;
    else if (took(w, "durable"))
        p->is_durable = true;
    else if (took(w, "attach"))
        p->attach = true;
    else if (took(w, "named"))
        p->name = take_bytes(w);
    else if (took(w, "tasks"))
        p->tasks_max = (uint32_t)take_number(w);
    else if (took(w, "children"))
        p->children_max = (uint32_t)take_number(w);
    else
        return option_of_budget(w, &p->budget);
    return true;
}

/* ---- Requests --------------------------------------------------------------------- */

/* The batch being gathered, when `wanted` > 0. The words of its statements
 * must outlive them. */
static struct {
    struct input items[16];
    struct task_params finalizers[16][8];
    char text[16][512];
    uint32_t wanted;
    uint32_t count;
} batch;

static struct task_params finalizers_here[8];

static void
send(struct input *in)
{
    if (batch.wanted == 0) {
        (void)scenario_step(in);
        return;
    }
    batch.items[batch.count++] = *in;
    if (batch.count == batch.wanted) {
        struct input whole = scenario_input(IN_BATCH);
        struct asup_ref made[16] = {{0}};

        whole.caller = in->caller;
        whole.u.batch.items = batch.items;
        whole.u.batch.count = batch.count;
        whole.u.batch.made = made;
        batch.wanted = 0;
        (void)scenario_step(&whole);
    }
}

/* "running": the start was ordered; say that it succeeded. */
static void
run_now(const char *name)
{
    struct thing *t = thing_get(name);
    struct input in = {.kind = IN_TASK_STARTED, .task = t->id};

    if (!t->start_ordered)
        scenario_fail("%s was not told to start", name);
    in.u.started.pid = (uint32_t)(1000 + t->id);
    (void)scenario_step(&in);
}

static void
say_session(struct words *w)
{
    struct input in = scenario_input(IN_SESSION_OPEN);
    const char *name = take(w);

    memset(in.u.session_open.secret_digest, name[strlen(name) - 1], 16);
    in.u.session_open.pid = 77;
    while (more(w)) {
        if (took(w, "ttl"))
            in.u.session_open.ttl_ns = take_duration(w);
        else if (!option_of_request(w, &in))
            finish_words(w);
    }
    pending_add(name, ASUP_SORT_SESSION);
    send(&in);
}

static void
say_region(struct words *w)
{
    struct input in = scenario_input(IN_REGION_OPEN);
    struct task_params *finalizers =
        batch.wanted > 0 ? batch.finalizers[batch.count] : finalizers_here;
    const char *name = take(w);
    uint32_t count = 0;

    in.region = ASUP_ROOT_ID;
    in.u.region_open.budget = budget_none();
    in.u.region_open.drain_ns = ASUP_NEVER;
    /* What looks like an id is refused as a name: such a region is named by its own. */
    if (name[0] != 'r' || strspn(name + 1, "0123456789") + 1 != strlen(name))
        in.u.region_open.name = (struct bytes){.data = name, .size = strlen(name)};
    pending_add(name, ASUP_SORT_REGION);
    while (more(w)) {
        if (took(w, "finalizer")) {
            const char *f = take(w);

            if (count == 8)
                scenario_fail("too many finalizers");
            finalizers[count] = task_default(f, in.caller.uid);
            while (more(w) && option_of_task(w, &finalizers[count])) {
            }
            count++;
            pending_add(f, ASUP_SORT_TASK);
        } else if (!option_of_request(w, &in) && !option_of_region(w, &in)) {
            finish_words(w);
        }
    }
    for (uint32_t i = 0; i < count; i++)
        finalizers[i].run_uid = in.caller.uid;
    in.u.region_open.finalizers = count > 0 ? finalizers : NULL;
    in.u.region_open.finalizer_count = count;
    send(&in);
}

static void
say_task(struct words *w, enum input_kind kind)
{
    struct input in = scenario_input(kind);
    const char *name = take(w);
    bool running = false;
    bool named_runner = false;

    if (!took(w, kind == IN_TASK_SUBMIT ? "in" : "to"))
        scenario_fail("where does %s belong?", name);
    in.region = take_region(w);
    in.u.submit = task_default(name, 0);
    while (more(w)) {
        if (took(w, "running"))
            running = true;
        else if (strcmp(w->word[w->next], "as") == 0)
            named_runner = option_of_task(w, &in.u.submit);
        else if (!option_of_request(w, &in) && !option_of_task(w, &in.u.submit))
            finish_words(w);
    }
    if (!named_runner)
        in.u.submit.run_uid = in.caller.uid;
    pending_add(name, ASUP_SORT_TASK);
    send(&in);
    if (running)
        run_now(name);
}

static void
say_end(struct words *w, enum asup_end_mode mode)
{
    const struct thing *t = thing_get(take(w));
    bool task = t->sort == ASUP_SORT_TASK;
    struct input in = scenario_input(task ? IN_TASK_CANCEL : IN_REGION_END);
    uint64_t drain_ns = ASUP_NEVER;
    struct bytes message = {.data = "", .size = 0};

    while (more(w)) {
        if (took(w, "drain"))
            drain_ns = take_duration(w);
        else if (took(w, "message"))
            message = take_bytes(w);
        else if (!option_of_request(w, &in))
            finish_words(w);
    }
    if (task) {
        in.task = t->id;
        in.u.cancel.drain_ns = drain_ns;
        in.u.cancel.message = message;
    } else {
        in.region = t->id;
        in.u.end = (struct region_end_params){
            .mode = (uint8_t)mode, .drain_ns = drain_ns, .message = message};
    }
    send(&in);
}

static void
say_shutdown(struct words *w)
{
    struct input in = scenario_input(IN_SHUTDOWN);

    in.caller.uid = 0;
    in.u.shutdown.within_ns = took(w, "within") ? take_duration(w) : ASUP_NEVER;
    while (more(w) && option_of_request(w, &in)) {
    }
    finish_words(w);
    send(&in);
}

void
say_wait(const char *name, struct words *w)
{
    struct input in = scenario_input(IN_WAIT);
    const struct thing *what;

    if (!took(w, "for"))
        scenario_fail("waits for what?");
    what = thing_get(take(w));
    in.u.wait.timeout_ns = ASUP_NEVER;
    in.u.wait.until = WAIT_FINISHED;
    in.u.wait.on_region = what->sort == ASUP_SORT_REGION;
    if (what->sort == ASUP_SORT_SAGA)
        in.subject = what->id;
    else if (in.u.wait.on_region)
        in.region = what->id;
    else
        in.task = what->id;
    while (more(w)) {
        if (took(w, "started"))
            in.u.wait.until = WAIT_STARTED;
        else if (took(w, "ready"))
            in.u.wait.until = WAIT_READY;
        else if (took(w, "timeout"))
            in.u.wait.timeout_ns = take_duration(w);
        else if (!option_of_request(w, &in))
            finish_words(w);
    }
    (void)thing_add(name, ASUP_SORT_NONE, in.token);
    (void)scenario_step(&in);
}

/* ---- Statements ------------------------------------------------------------------------ */

static void
say_shell(struct words *w)
{
    const char *verb = take(w);
    bool on = !took(w, "no");

    if (strcmp(verb, "starts") == 0)
        S.shell.starts = on;
    else if (strcmp(verb, "delivers") == 0)
        S.shell.delivers = on;
    else if (strcmp(verb, "kills") == 0)
        S.shell.kills = on;
    else if (strcmp(verb, "obeys") == 0)
        S.shell.obeys = on;
    else if (strcmp(verb, "sweeps") == 0)
        S.shell.sweeps = on;
    else
        scenario_fail("the shell knows no \"%s\"", verb);
}

static void
statement_say(struct words *w)
{
    if (took(w, "session"))
        say_session(w);
    else if (took(w, "region"))
        say_region(w);
    else if (took(w, "task"))
        say_task(w, IN_TASK_SUBMIT);
    else if (took(w, "defer"))
        say_task(w, IN_FINALIZER_DEFER);
    else if (took(w, "close"))
        say_end(w, ASUP_END_CLOSE);
    else if (took(w, "finish"))
        say_end(w, ASUP_END_FINISH);
    else if (took(w, "cancel"))
        say_end(w, ASUP_END_CANCEL);
    else if (took(w, "shutdown"))
        say_shutdown(w);
    else if (took(w, "channel"))
        say_channel(w);
    else if (took(w, "seal"))
        say_seal(w);
    else if (took(w, "shell"))
        say_shell(w);
    else if (statement_of_saga(w))
        ;
    else if (took(w, "batch")) {
        batch.wanted = (uint32_t)take_number(w);
        batch.count = 0;
    } else
        say_about(w);
    finish_words(w);
}

void
statement_run(char *text)
{
    struct words w = {.count = 0};
    char *rest = text;

    if (batch.wanted > 0) { /* its words are needed until the batch is sent */
        (void)snprintf(batch.text[batch.count], sizeof batch.text[0], "%s", text);
        rest = batch.text[batch.count];
    }
    while (rest != NULL) {
        char *word = strsep(&rest, " \n");

        if (*word == '\0')
            continue;
        if (w.count == 64)
            scenario_fail("a statement of too many words");
        w.word[w.count++] = word;
    }
    if (w.count == 0)
        return;
    if (w.count >= 2 && strcmp(w.word[w.count - 2], "at") == 0) {
        w.next = w.count - 1;
        time_pass_to(take_instant(&w));
        w.count -= 2;
        w.next = 0;
        if (w.count == 0)
            return;
    }
    if (w.count == 3 && strcmp(w.word[0], "jump") == 0 && strcmp(w.word[1], "to") == 0) {
        w.next = 2;
        S.now = take_instant(&w);
        return;
    }
    statement_say(&w);
}
