/* SPDX-License-Identifier: MIT */
/* Steps: a fact that the kernel has no memory for is not lost, and none
 * overtakes another; nor is an order to the keeper. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "asupersync/types.h"
#include "daemon/engine/effects.h"
#include "daemon/engine/keeper_link.h"
#include "daemon/engine/report.h"
#include "daemon/engine/sessions.h"
#include "daemon/engine/state.h"
#include "rules.h"

static struct engine engine;
static bool memory_refused;
static bool malloc_refused; /* also to libcheck: no assertions meanwhile */
static int keeper_end;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *
__wrap_malloc(size_t size)
{
    return malloc_refused ? NULL : __real_malloc(size);
}

static void *
resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return memory_refused ? NULL : realloc(ptr, size_new);
}

/* A keeper that says hello, and then nothing. */
static void
meet_keeper(void)
{
    struct link_message hello = {.kind = LINK_HELLO, .u.hello.version = LINK_VERSION};
    int pair[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    keeper_end = pair[0];
    engine.options.link_fd = pair[1];
    ck_assert_int_eq(link_send_now(keeper_end, &hello, -1), 0);
    engine.loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert(keeper_open(&engine));
}

static void
begin(void)
{
    const struct kernel_allocator allocator = {.resize = resize};
    struct kernel_config config;

    memset(&engine, 0, sizeof engine);
    memory_refused = false;
    report_init();
    kernel_config_init(&config);
    engine.kernel = kernel_new(&config, &allocator, engine_now(&engine));
    engine.spec_memory = proto_memory_new();
    ck_assert_ptr_nonnull(engine.kernel);
    ck_assert_ptr_nonnull(engine.spec_memory);
    meet_keeper();
    list_init(&engine.watchers);
    list_init(&engine.followers);
    proto_writer_init(&engine.wait_writer);
    proto_writer_init(&engine.event_writer);
    window_init(&engine.window, 100, 1 << 20);
}

static void
end(void)
{
    window_fini(&engine.window);
    proto_writer_fini(&engine.wait_writer);
    proto_writer_fini(&engine.event_writer);
    proto_memory_free(engine.spec_memory);
    free(engine.inbox.facts);
    kernel_free(engine.kernel);
    idmap_fini(&engine.session_ids);
    idmap_fini(&engine.sessions);
    idpages_fini(&engine.rows);
    keeper_close(&engine);
    ev_loop_destroy(engine.loop);
    close(engine.options.link_fd);
    close(keeper_end);
}

static uint64_t
made(struct input in)
{
    struct answer answer;

    engine_ask(&engine, &in, &answer);
    ck_assert_msg(answer.code == 0, "%s", answer.detail);
    return answer.made.id;
}

static const struct budget_request no_budget = {.timeout_ns = ASUP_NEVER,
                                                .deadline_at = ASUP_NEVER,
                                                .poll_quota = UINT32_MAX,
                                                .cost_quota = UINT64_MAX};

static uint64_t
submit(uint64_t region, uint64_t delay_ns)
{
    return made((struct input){.kind = IN_TASK_SUBMIT,
                               .region = region,
                               .u.submit = {.spec = {.data = "?", .size = 1},
                                            .budget = no_budget,
                                            .delay_ns = delay_ns,
                                            .drain_ns = ASUP_NEVER,
                                            .leftover_ns = ASUP_NEVER,
                                            .cancel_signal = 15}});
}

/* R-TSK-2: the start of one task fails, which is to end thousands; as
 * long as there is no memory for that, the fact waits, then it counts. */
START_TEST(R_TSK_2_a_fact_waits_for_memory)
{
    struct region_view region;
    uint64_t r1 = made((struct input){.kind = IN_REGION_OPEN,
                                      .region = ASUP_ROOT_ID,
                                      .u.region_open = {.policy = ASUP_POLICY_FAIL_FAST,
                                                        .budget = no_budget,
                                                        .drain_ns = ASUP_NEVER}});
    struct task_view task;

    for (int i = 0; i < 20000; i++)
        (void)submit(r1, 3600 * ASUP_NS_PER_S);
    uint64_t broken = submit(r1, 0); /* its spec is none: the start fails at once */
    memory_refused = true;
    engine_settle(&engine);
    ck_assert(engine.inbox.starved);
    engine_feed(&engine, &(struct input){.kind = IN_TICK});
    engine_feed(&engine, &(struct input){.kind = IN_TASK_READY, .task = broken});
    ck_assert(kernel_task(engine.kernel, broken, &task) && !task.has_outcome);
    ck_assert_uint_eq(engine.inbox.count, 3);

    memory_refused = false;
    engine_settle(&engine);
    ck_assert(!engine.inbox.starved);
    ck_assert_uint_eq(engine.inbox.count, 0);
    ck_assert(kernel_task(engine.kernel, broken, &task) && task.has_outcome);
    ck_assert_str_eq(task.outcome.stage, "spec");
    ck_assert(kernel_region(engine.kernel, r1, &region));
    ck_assert_uint_eq(region.tasks_live, 0);
}
END_TEST

static struct session *
session_of(const uint8_t secret[SESSION_SECRET_SIZE], uint64_t ttl_ns)
{
    struct input in = {.kind = IN_SESSION_OPEN, .u.session_open.ttl_ns = ttl_ns};

    session_digest(secret, in.u.session_open.secret_digest);
    return session_add(&engine, made(in), 0, in.u.session_open.secret_digest);
}

/* R-SES-1: a session whose time is over in the moment in which its client
 * comes back has ended: whoever attaches it learns that. */
START_TEST(R_SES_1_a_session_ends_while_it_is_attached)
{
    const uint8_t secret[SESSION_SECRET_SIZE] = {1};
    struct connection connection = {.uid = 0};
    struct session *s = session_of(secret, 1);
    uint64_t id = s->id;

    list_init(&connection.sessions);
    engine_feed(&engine, &(struct input){.kind = IN_SESSION_LOST, .session = id});
    /* The clock of the kernel is the real one here: let its time be over. */
    asup_time due = kernel_next_deadline(engine.kernel);
    ck_assert_uint_ne(due, ASUP_NEVER);
    while (engine_now(&engine) < due)
        continue;
    ck_assert_int_eq(session_attach(&engine, s, secret, &connection), -ASUP_EEXPIRED);
    ck_assert(list_empty(&connection.sessions));
    ck_assert_ptr_null(idmap_get(&engine.session_ids, id));
}
END_TEST

/* R-SES-1: a connection that says its secret again is recognised without a
 * digest, as long as the session lives; any other secret is looked up. */
START_TEST(R_SES_1_a_secret_is_recognised_until_its_session_ends)
{
    const uint8_t secrets[2][SESSION_SECRET_SIZE] = {{1}, {1, [15] = 2}};
    struct session *sessions[2] = {session_of(secrets[0], 1000 * ASUP_NS_PER_S),
                                   session_of(secrets[1], 1000 * ASUP_NS_PER_S)};
    struct connection connection = {.uid = 0};
    struct connection stranger = {.uid = 1};

    list_init(&connection.sessions);
    list_init(&stranger.sessions);
    ck_assert_ptr_null(session_spoken(&connection, secrets[0]));
    for (int i = 0; i < 2; i++) {
        ck_assert_ptr_eq(session_find(&engine, secrets[i], 0), sessions[i]);
        ck_assert_int_eq(session_attach(&engine, sessions[i], secrets[i], &connection), 0);
        ck_assert_ptr_eq(session_spoken(&connection, secrets[i]), sessions[i]);
        ck_assert_ptr_null(session_spoken(&connection, secrets[!i]));
        ck_assert_ptr_null(session_spoken(&stranger, secrets[i]));
        ck_assert_ptr_null(session_find(&engine, secrets[i], stranger.uid));
    }
    /* Said again, the older one is the last one. */
    ck_assert_int_eq(session_attach(&engine, sessions[0], secrets[0], &connection), 0);
    ck_assert_ptr_eq(session_spoken(&connection, secrets[0]), sessions[0]);

    session_remove(&engine, sessions[0]->id);
    ck_assert_ptr_null(session_spoken(&connection, secrets[0]));
    ck_assert_ptr_null(session_find(&engine, secrets[0], 0));
    ck_assert_ptr_eq(session_spoken(&connection, secrets[1]), sessions[1]);
    session_remove(&engine, sessions[1]->id);
    ck_assert(list_empty(&connection.sessions));
}
END_TEST

/* How many signals the keeper got, all of them for that task, and nothing more. */
static int
signals_received(uint64_t task, int32_t signal)
{
    struct link_message m;
    int count = 0;
    int fd;

    while (link_receive(keeper_end, &m, &fd) == 1) {
        if (m.kind != LINK_SIGNAL)
            continue;
        ck_assert_uint_eq(m.u.signal.task, task);
        ck_assert_int_eq(m.u.signal.signal, signal);
        count++;
    }
    return count;
}

/* R-TSK-2: a keeper that is slow while there is no memory to remember what it
 * is owed costs no task its cancel signal. */
START_TEST(R_TSK_2_a_signal_is_owed_until_there_is_memory)
{
    const struct effect order = {.kind = FX_SIGNAL, .task = 7, .signal = 15};
    struct link_message beat = {.kind = LINK_HEARTBEAT};

    ck_assert(keeper_expect(&engine, 6));
    ck_assert(keeper_expect(&engine, 7));
    malloc_refused = true;
    while (keeper_send(&engine, &beat, -1))
        continue; /* until the socket takes no more */
    effect_execute(&engine, &order);
    keeper_send_owed(&engine);
    malloc_refused = false;
    ck_assert_int_eq(signals_received(7, 15), 0);

    keeper_send_owed(&engine); /* as every second, and when the link has room */
    ck_assert_int_eq(signals_received(7, 15), 1);
    keeper_send_owed(&engine);
    ck_assert_int_eq(signals_received(7, 15), 0);

    /* What has ended in between is owed nothing. */
    malloc_refused = true;
    while (keeper_send(&engine, &beat, -1))
        continue;
    effect_execute(&engine, &order);
    malloc_refused = false;
    ck_assert(keeper_forget(&engine, 7));
    ck_assert_int_eq(signals_received(7, 15), 0);
    keeper_send_owed(&engine);
    effect_execute(&engine, &order);
    ck_assert_int_eq(signals_received(7, 15), 0);
    ck_assert(keeper_forget(&engine, 6));
}
END_TEST

static const struct rule rules[] = {
    RULE(R_TSK_2_a_signal_is_owed_until_there_is_memory),
    RULE(R_TSK_2_a_fact_waits_for_memory),
    RULE(R_SES_1_a_session_ends_while_it_is_attached),
    RULE(R_SES_1_a_secret_is_recognised_until_its_session_ends),
};

RULES_MAIN("engine step", rules, begin, end)
