/* SPDX-License-Identifier: MIT */
/* Public structures into requests, and answers into public structures. */
#include "fake.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "rules.h"

static struct fake *fake;
static struct asup_client *client;
static struct asup_error_info err;

static const struct asup_region r3 = {3};
static const struct asup_task t7 = {7};

static void
begin(fake_manners manners)
{
    fake = fake_start(manners, NULL);
    client = fake_client(fake, NULL);
}

static void
end(void)
{
    asup_client_free(client);
    fake_stop(fake);
}

static void
put_uint(struct proto_writer *w, const char *key, uint64_t value)
{
    pw_key(w, key);
    pw_uint(w, value);
}

static void
put_text(struct proto_writer *w, const char *key, const char *text)
{
    pw_key(w, key);
    pw_str(w, text);
}

static void
put_id(struct proto_writer *w, const char *key, enum asup_sort sort, uint64_t id)
{
    pw_key(w, key);
    pw_id(w, sort, id);
}

/* ---- Requests ------------------------------------------------------------------------ */

static void
check_region_open(struct fake *f, struct fake_request *r)
{
    const struct args_region_open *args = &r->decoded.call.args->region_open;
    struct proto_writer w;

    (void)f;
    ck_assert(fake_asks(r, PROTO_REGION_OPEN));
    ck_assert_uint_eq(args->parent.ref.id, 3);
    ck_assert_str_eq(args->name.data, "web");
    ck_assert_uint_eq(args->policy, ASUP_POLICY_QUORUM);
    ck_assert_uint_eq(args->quorum, 2);
    ck_assert_uint_eq(args->budget.timeout_ns, 5 * ASUP_NS_PER_S);
    ck_assert_uint_eq(args->budget.deadline_ns, ASUP_NEVER);
    ck_assert_uint_eq(args->budget.polls, UINT32_MAX);
    ck_assert_uint_eq(args->budget.priority, 0);
    ck_assert_uint_eq(args->budget.cost, 40);
    ck_assert_uint_eq(args->drain_ns, 1);
    ck_assert(args->soft && args->attach && args->is_volatile && !args->is_durable);
    ck_assert_uint_eq(args->tasks_max, 9);
    ck_assert_uint_eq(args->children_max, 8);
    ck_assert_uint_eq(args->finalizers.count, 2);
    ck_assert_str_eq(args->finalizers.items[1].argv.items[0].data, "/bin/rm");
    ck_assert_str_eq(args->finalizers.items[1].argv.items[1].data, "x y");
    proto_writer_init(&w);
    pw_map(&w);
    put_id(&w, "region", ASUP_SORT_REGION, 12);
    put_text(&w, "path", "/web");
    put_text(&w, "advice", "it may be late");
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(a_region_is_opened_as_asked)
{
    static const char *const first[] = {"/bin/true", NULL};
    static const char *const second[] = {"/bin/rm", "x y", NULL};
    struct asup_region_options options;
    struct asup_process finalizers[2];
    struct asup_region region;

    begin(check_region_open);
    asup_process_init(&finalizers[0]);
    asup_process_init(&finalizers[1]);
    finalizers[0].argv = first;
    finalizers[1].argv = second;
    asup_region_options_init(&options);
    options.parent = r3;
    options.name = "web";
    options.policy = ASUP_POLICY_QUORUM;
    options.quorum = 2;
    options.budget.priority = 3;
    asup_budget_request_init(&options.budget); /* limits nothing */
    options.budget.timeout_ns = 5 * ASUP_NS_PER_S;
    options.budget.cost_quota = 40;
    options.drain_ns = 1;
    options.soft = options.attach = options.is_volatile = true;
    options.tasks_max = 9;
    options.children_max = 8;
    options.finalizers = finalizers;
    options.finalizer_count = 2;
    ck_assert_int_eq(asup_client_region_open(client, &options, &region, &err), 0);
    ck_assert_uint_eq(region.id, 12);
    ck_assert_str_eq(err.message, "it may be late");
    end();
}
END_TEST

static void
check_submit(struct fake *f, struct fake_request *r)
{
    const struct proto_process *p = &r->decoded.call.args->submit.process;
    struct proto_writer w;

    (void)f;
    ck_assert(fake_asks(r, PROTO_TASK_SUBMIT));
    ck_assert_uint_eq(r->decoded.call.args->submit.region.ref.id, 3);
    ck_assert_uint_eq(p->argv.count, 2);
    ck_assert_str_eq(p->argv.items[1].data, "10");
    ck_assert_uint_eq(p->env.count, 2);
    ck_assert_str_eq(p->env.items[0].name.data, "A");
    ck_assert_str_eq(p->env.items[0].value.data, "b=c");
    ck_assert_str_eq(p->env.items[1].value.data, "");
    ck_assert(p->clear_env && p->append && p->tty && p->leftover_wait && p->notify);
    ck_assert_str_eq(p->cwd.data, "/tmp");
    ck_assert_str_eq(p->stdin_path.data, "/dev/zero");
    ck_assert_str_eq(p->stdout_path.data, "/o");
    ck_assert_str_eq(p->stderr_path.data, "/e");
    ck_assert_uint_eq(p->stdio.size, ASUP_STDIO_TOKEN_SIZE);
    ck_assert_str_eq(p->user.data, "nobody");
    ck_assert_uint_eq(p->umask, 077);
    ck_assert_int_eq(p->nice, -5);
    ck_assert_uint_eq(p->rlimits.count, 1);
    ck_assert_uint_eq(p->rlimits.items[0].resource, RLIMIT_NOFILE);
    ck_assert_uint_eq(p->rlimits.items[0].soft, 10);
    ck_assert_uint_eq(p->rlimits.items[0].hard, UINT64_MAX);
    ck_assert_uint_eq(p->memory_max, 1 << 20);
    ck_assert_uint_eq(p->pids_max, 5);
    ck_assert_uint_eq(p->cancel_signal, 2);
    ck_assert_uint_eq(p->leftover_ns, 1000);
    ck_assert_uint_eq(p->watchdog_ns, 2000000000);
    ck_assert_uint_eq(p->drain_ns, 0);
    ck_assert_uint_eq(p->delay_ns, 4000);
    ck_assert_str_eq(p->label.data, "ten");
    ck_assert_uint_eq(p->response_ns, 5000);
    ck_assert_uint_eq(p->mask_depth, 6);
    ck_assert_uint_eq(p->budget.priority, 200);
    proto_writer_init(&w);
    pw_map(&w);
    put_id(&w, "task", ASUP_SORT_TASK, 7);
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(a_process_is_described_completely)
{
    static const char *const argv[] = {"sleep", "10", NULL};
    static const char *const env[] = {"A=b=c", "EMPTY=", NULL};
    static const uint8_t token[ASUP_STDIO_TOKEN_SIZE] = {1};
    static const struct asup_rlimit limit = {"nofile", 10, UINT64_MAX};
    struct asup_process p;
    struct asup_task task;

    begin(check_submit);
    asup_process_init(&p);
    p.argv = argv;
    p.env = env;
    p.clear_env = p.append = p.tty = p.leftover_wait = p.notify = true;
    p.cwd = "/tmp";
    p.stdin_path = "/dev/zero";
    p.stdout_path = "/o";
    p.stderr_path = "/e";
    p.stdio_token = token;
    p.user = "nobody";
    p.umask = 077;
    p.nice = -5;
    p.rlimits = &limit;
    p.rlimit_count = 1;
    p.memory_max = 1 << 20;
    p.pids_max = 5;
    p.cancel_signal = 2;
    p.leftover_ns = 1000;
    p.watchdog_ns = 2000000000;
    p.drain_ns = 0;
    p.delay_ns = 4000;
    p.label = "ten";
    p.response_ns = 5000;
    p.mask_depth = 6;
    p.budget.priority = 200;
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), 0);
    ck_assert_uint_eq(task.id, 7);
    end();
}
END_TEST

static void
answer_all(struct fake *f, struct fake_request *r)
{
    (void)f;
    fake_answer(r, NULL);
}

START_TEST(requests_without_sense_are_invalid_with_their_field)
{
    static const char *const argv[] = {"x", NULL}, *const nothing[] = {NULL};
    static const char *const bad_env[] = {"NOVALUE", NULL};
    static const struct asup_rlimit bad_limit = {"wishes", 3, 3};
    struct asup_process p;
    struct asup_task task;
    struct asup_region none = {0};

    begin(answer_all);
    asup_process_init(&p);
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "argv");
    p.argv = nothing;
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EINVALID);
    p.argv = argv;
    p.env = bad_env;
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "env");
    p.env = NULL;
    p.rlimits = &bad_limit;
    p.rlimit_count = 1;
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "rlimits");
    p.rlimit_count = 0;
    p.cancel_signal = 65;
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EINVALID);
    p.cancel_signal = 0;
    ck_assert_int_eq(asup_client_task_submit(client, none, &p, &task, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_region_find(client, "web", &none, &err), -ASUP_EINVALID);
    ck_assert_int_eq(asup_client_region_wait(client, none, 0, NULL, &err), -ASUP_EINVALID);
    /* An answer without the id that was made is not taken for one. */
    ck_assert_int_eq(asup_client_task_submit(client, r3, &p, &task, &err), -ASUP_EMALFORMED);
    end();
}
END_TEST

/* ---- Answers ---------------------------------------------------------------------------- */

static const struct asup_reason shutdown_reason = {
    .key = {ASUP_CANCEL_SHUTDOWN, 100, 1},
    .origin_sort = ASUP_SORT_REGION,
    .message = "the machine goes down",
};
static const struct asup_reason parent_reason = {
    .key = {ASUP_CANCEL_PARENT_CANCELLED, 100, 2},
    .origin_sort = ASUP_SORT_REGION,
    .message = "",
    .cause = &shutdown_reason,
};

static void
write_outcome(struct proto_writer *w)
{
    static const struct asup_outcome outcome = {
        .key = {ASUP_CANCELLED, 200, 7},
        .origin_sort = ASUP_SORT_TASK,
        .forced = true,
        .exit_code = -1,
        .signal = 9,
        .reason = &parent_reason,
        .wall_ns = 11,
        .cpu_ns = 12,
        .memory_peak = 13,
    };

    pw_key(w, "outcome");
    pw_outcome(w, &outcome, NULL);
}

static void
check_outcome(const struct asup_outcome *outcome)
{
    ck_assert_uint_eq(outcome->key.severity, ASUP_CANCELLED);
    ck_assert_uint_eq(outcome->key.origin, 7);
    ck_assert(outcome->forced);
    ck_assert_int_eq(outcome->exit_code, -1);
    ck_assert_int_eq(outcome->signal, 9);
    ck_assert_uint_eq(outcome->wall_ns, 11);
    ck_assert_uint_eq(outcome->cpu_ns, 12);
    ck_assert_uint_eq(outcome->memory_peak, 13);
    ck_assert_uint_eq(outcome->reason->key.kind, ASUP_CANCEL_PARENT_CANCELLED);
    ck_assert_str_eq(outcome->reason->cause->message, "the machine goes down");
    ck_assert_ptr_null(outcome->reason->cause->cause);
}

static void
write_task(struct proto_writer *w, uint64_t id, bool ended)
{
    pw_map(w);
    put_id(w, "id", ASUP_SORT_TASK, id);
    put_id(w, "region", ASUP_SORT_REGION, 3);
    put_text(w, "path", "/web");
    put_text(w, "label", "ten");
    put_text(w, "state", ended ? "completed" : "running");
    put_uint(w, "owner", 1000);
    put_text(w, "user", "anna");
    put_uint(w, "pid", 4242);
    put_uint(w, "age_ns", 5);
    pw_key(w, "slack_ns");
    pw_nil(w);
    pw_key(w, "budget");
    pw_map(w);
    put_uint(w, "limit_left_ns", 77);
    put_text(w, "limit_kind", "deadline");
    put_uint(w, "polls_left", 3);
    pw_end(w);
    pw_key(w, "reason");
    pw_reason(w, ended ? &parent_reason : NULL);
    if (ended)
        write_outcome(w);
    put_uint(w, "from_the_future", 1); /* ignored */
    pw_end(w);
}

static void
answer_task(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    proto_writer_init(&w);
    write_task(&w, 7, fake_asks(r, PROTO_TASK_WAIT));
    fake_answer(r, &w);
}

START_TEST(a_task_is_read_completely)
{
    struct asup_task_info info;

    begin(answer_task);
    ck_assert_int_eq(asup_client_task_stat(client, t7, &info, &err), 0);
    ck_assert_uint_eq(info.task.id, 7);
    ck_assert_uint_eq(info.region.id, 3);
    ck_assert_str_eq(info.path, "/web");
    ck_assert_str_eq(info.label, "ten");
    ck_assert_str_eq(info.user, "anna");
    ck_assert_int_eq(info.state, ASUP_TASK_RUNNING);
    ck_assert_uint_eq(info.owner, 1000);
    ck_assert_int_eq(info.pid, 4242);
    ck_assert_uint_eq(info.started_age_ns, ASUP_NEVER);
    ck_assert_int_eq(info.slack_ns, INT64_MAX);
    ck_assert_uint_eq(info.budget.limit_ns, 77);
    ck_assert_uint_eq(info.budget.limit_kind, ASUP_CANCEL_DEADLINE);
    ck_assert_uint_eq(info.budget.polls, 3);
    ck_assert_uint_eq(info.budget.cost, UINT64_MAX);
    ck_assert_ptr_null(info.reason);
    ck_assert(!info.has_outcome);
    asup_task_info_fini(&info);
    asup_task_info_fini(&info); /* twice does no harm */

    ck_assert_int_eq(asup_client_task_wait(client, t7, ASUP_UNTIL_FINISHED, -1, &info, &err), 0);
    ck_assert(info.has_outcome);
    check_outcome(&info.outcome);
    ck_assert_int_eq(asup_outcome_exit_code(&info.outcome), 143);
    ck_assert_str_eq(info.reason->cause->message, "the machine goes down");
    asup_task_info_fini(&info);
    ck_assert_int_eq(asup_client_task_wait(client, t7, ASUP_UNTIL_READY, -1, NULL, &err), 0);
    end();
}
END_TEST

static void
answer_tasks(struct fake *f, struct fake_request *r)
{
    const struct args_task_list *args = &r->decoded.call.args->task_list;
    struct proto_writer w;

    (void)f;
    ck_assert(args->recursive);
    ck_assert_uint_eq(args->after, 4);
    ck_assert_uint_eq(args->limit, 2);
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "tasks");
    pw_list(&w);
    write_task(&w, 5, false);
    write_task(&w, 6, true);
    pw_end(&w);
    pw_key(&w, "more");
    pw_bool(&w, true);
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(tasks_are_listed)
{
    struct asup_list_options options = {.after = {4}, .limit = 2};
    struct asup_task_list list;

    begin(answer_tasks);
    ck_assert_int_eq(asup_client_task_list(client, &options, &list, &err), 0);
    ck_assert_uint_eq(list.count, 2);
    ck_assert_uint_eq(list.items[0].task.id, 5);
    check_outcome(&list.items[1].outcome);
    ck_assert(list.more);
    asup_task_list_fini(&list);
    end();
}
END_TEST

static void
answer_region(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    proto_writer_init(&w);
    pw_map(&w);
    put_id(&w, "id", ASUP_SORT_REGION, 3);
    put_text(&w, "name", "web");
    put_text(&w, "path", "/web");
    put_text(&w, "state", "closed");
    put_text(&w, "policy", "fail-fast");
    put_id(&w, "attached", ASUP_SORT_SESSION, 9);
    put_uint(&w, "tasks_total", 4);
    write_outcome(&w);
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(a_region_is_read_completely)
{
    struct asup_region_info info;
    struct asup_outcome outcome;
    struct asup_region found;

    begin(answer_region);
    ck_assert_int_eq(asup_client_region_stat(client, r3, &info, &err), 0);
    ck_assert_str_eq(info.name, "web");
    ck_assert_int_eq(info.state, ASUP_REGION_CLOSED);
    ck_assert_int_eq(info.policy, ASUP_POLICY_FAIL_FAST);
    ck_assert_uint_eq(info.attached.id, 9);
    ck_assert_uint_eq(info.tasks_total, 4);
    ck_assert_uint_eq(info.drain_left_ns, ASUP_NEVER);
    check_outcome(&info.outcome);
    asup_region_info_fini(&info);
    ck_assert_int_eq(asup_client_region_wait(client, r3, -1, &outcome, &err), 0);
    check_outcome(&outcome);
    asup_outcome_fini(&outcome);
    ck_assert_int_eq(asup_client_region_find(client, "/web", &found, &err), 0);
    ck_assert_uint_eq(found.id, 3);
    end();
}
END_TEST

static void
answer_wrong_shapes(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    proto_writer_init(&w);
    pw_map(&w);
    put_id(&w, "id", ASUP_SORT_TASK, 7);
    put_text(&w, "state", "confused");
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(an_answer_of_the_wrong_shape_is_malformed)
{
    struct asup_task_info task;
    struct asup_region_info region;
    struct asup_outcome outcome;

    begin(answer_wrong_shapes);
    ck_assert_int_eq(asup_client_task_stat(client, t7, &task, &err), -ASUP_EMALFORMED);
    ck_assert_int_eq(asup_client_region_stat(client, r3, &region, &err), -ASUP_EMALFORMED);
    ck_assert_int_eq(asup_client_region_wait(client, r3, -1, &outcome, &err), -ASUP_EMALFORMED);
    end();
}
END_TEST

/* ---- Batches --------------------------------------------------------------------------------- */

/* Admits all but tasks labelled "no". */
static void
answer_batch(struct fake *f, struct fake_request *r)
{
    const struct args_batch *args = &r->decoded.call.args->batch;
    struct proto_error error;
    struct proto_writer w;

    (void)f;
    proto_writer_init(&w);
    pw_map(&w);
    pw_key(&w, "results");
    pw_list(&w);
    for (uint32_t i = 0; i < args->count; i++) {
        const struct proto_process *p = &args->ops[i].args->submit.process;

        pw_list(&w);
        if (p->label.data != NULL && strcmp(p->label.data, "no") == 0) {
            proto_error_set(&error, -ASUP_EBUSY, "no room for it");
            pw_int(&w, -ASUP_EBUSY);
            proto_error_body(&w, &error);
        } else {
            pw_int(&w, 0);
            pw_map(&w);
            put_id(&w, "task", ASUP_SORT_TASK, strtoull(p->argv.items[0].data, NULL, 10));
            pw_end(&w);
        }
        pw_end(&w);
    }
    pw_end(&w);
    pw_end(&w);
    fake_answer(r, &w);
}

#define MANY 3000

START_TEST(many_tasks_need_few_messages)
{
    static char names[MANY][8];
    static const char *argvs[MANY][2];
    static struct asup_process processes[MANY];
    static struct asup_task tasks[MANY];
    static int codes[MANY];

    begin(answer_batch);
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d", i + 1);
        argvs[i][0] = names[i];
        asup_process_init(&processes[i]);
        processes[i].argv = argvs[i];
    }
    ck_assert_int_eq(
        asup_client_task_submit_many(client, r3, processes, MANY, false, tasks, codes, &err), 0);
    for (int i = 0; i < MANY; i++) {
        ck_assert_uint_eq(tasks[i].id, (uint64_t)i + 1);
        ck_assert_int_eq(codes[i], 0);
    }
    /* The fake takes 4096 bytes a message, and they are well used. */
    ck_assert_uint_gt(fake_count(fake, PROTO_BATCH), 10);
    ck_assert_uint_lt(fake_count(fake, PROTO_BATCH), 100);
    end();
}
END_TEST

START_TEST(each_refusal_in_a_batch_is_told)
{
    static const char *const argv[] = {"5", NULL};
    struct asup_process processes[3];
    struct asup_task tasks[3];
    int codes[3];

    begin(answer_batch);
    for (int i = 0; i < 3; i++) {
        asup_process_init(&processes[i]);
        processes[i].argv = argv;
    }
    processes[1].label = "no";
    ck_assert_int_eq(
        asup_client_task_submit_many(client, r3, processes, 3, true, tasks, codes, &err),
        -ASUP_EBUSY);
    ck_assert_str_eq(err.message, "no room for it");
    ck_assert_int_eq(codes[0], 0);
    ck_assert_int_eq(codes[1], -ASUP_EBUSY);
    ck_assert_uint_eq(tasks[1].id, 0);
    ck_assert_uint_eq(tasks[2].id, 5);
    ck_assert_int_eq(
        asup_client_task_submit_many(client, r3, processes, 0, true, tasks, codes, &err),
        -ASUP_EINVALID);
    processes[2].argv = NULL;
    ck_assert_int_eq(
        asup_client_task_submit_many(client, r3, processes, 3, true, tasks, codes, &err),
        -ASUP_EINVALID);
    ck_assert_int_eq(codes[0], -ASUP_EINVALID); /* nothing was sent */
    ck_assert_uint_eq(tasks[0].id, 0);
    end();
}
END_TEST

/* ---- The rest -----------------------------------------------------------------------------------
 */

static void
answer_rest(struct fake *f, struct fake_request *r)
{
    struct proto_writer w;

    (void)f;
    proto_writer_init(&w);
    pw_map(&w);
    if (fake_asks(r, PROTO_TASK_LOGS)) {
        ck_assert_uint_eq(r->decoded.call.args->task_logs.offset, 10);
        pw_key(&w, "data");
        pw_bytes(&w, "a\0b", 3);
        put_uint(&w, "offset", 10);
        put_uint(&w, "next_offset", 13);
        put_uint(&w, "lost_bytes", 2);
        pw_key(&w, "end");
        pw_bool(&w, true);
    } else if (fake_asks(r, PROTO_TASK_PROGRESS)) {
        ck_assert_uint_eq(r->decoded.call.args->task_progress.cost, 50);
        ck_assert(!r->decoded.call.args->task_progress.masked);
        pw_key(&w, "cancel_requested");
        pw_bool(&w, true);
        put_uint(&w, "drain_left_ns", 99);
        pw_key(&w, "reason");
        pw_reason(&w, &parent_reason);
    } else if (fake_asks(r, PROTO_TASK_CHECKPOINT)) {
        ck_assert(r->decoded.call.args->task_checkpoint.masked);
        pw_key(&w, "cancel_requested");
        pw_bool(&w, false);
        put_uint(&w, "mask_left", 3);
    } else if (fake_asks(r, PROTO_WHY)) {
        put_text(&w, "id", "r3");
        put_text(&w, "state", "draining");
        put_text(&w, "summary", "waits for t7");
        pw_key(&w, "chain");
        pw_list(&w);
        pw_map(&w);
        put_text(&w, "id", "t7");
        put_text(&w, "kind", "task");
        put_text(&w, "note", "ignores SIGTERM");
        put_uint(&w, "pid", 12);
        pw_end(&w);
        pw_end(&w);
        pw_key(&w, "trouble");
        pw_list(&w);
        pw_map(&w);
        put_text(&w, "name", "RegionCloseTimeout");
        pw_end(&w);
        pw_end(&w);
    } else if (fake_asks(r, PROTO_DAEMON_STATUS)) {
        put_text(&w, "version", "0.1.0");
        put_uint(&w, "protocol", 1);
        put_text(&w, "containment", "cgroup2");
        put_uint(&w, "tasks", 4);
        pw_key(&w, "limits");
        pw_map(&w);
        pw_key(&w, "waits-per-user");
        pw_map(&w);
        put_uint(&w, "max", 100);
        pw_end(&w);
        pw_end(&w);
    }
    pw_end(&w);
    fake_answer(r, &w);
}

START_TEST(output_checkpoints_why_and_status_are_read)
{
    struct asup_log_chunk chunk;
    struct asup_checkpoint checkpoint;
    struct asup_daemon_info info;
    struct asup_why why;
    struct asup_ref ref = {3, ASUP_SORT_REGION};

    begin(answer_rest);
    ck_assert_int_eq(asup_client_task_logs(client, t7, 10, 0, -1, &chunk, &err), 0);
    ck_assert_uint_eq(chunk.size, 3);
    ck_assert_mem_eq(chunk.data, "a\0b", 3);
    ck_assert_uint_eq(chunk.next_offset, 13);
    ck_assert_uint_eq(chunk.lost, 2);
    ck_assert(chunk.end);
    asup_log_chunk_fini(&chunk);

    ck_assert_int_eq(asup_client_task_progress(client, t7, 50, &checkpoint, &err), 0);
    ck_assert(checkpoint.cancel_requested);
    ck_assert_uint_eq(checkpoint.drain_left_ns, 99);
    ck_assert_uint_eq(asup_reason_root(checkpoint.reason)->key.kind, ASUP_CANCEL_SHUTDOWN);
    ck_assert_uint_eq(checkpoint.mask_left, 0);
    asup_checkpoint_fini(&checkpoint);

    ck_assert_int_eq(asup_client_task_checkpoint_masked(client, t7, &checkpoint, &err), 0);
    ck_assert(!checkpoint.cancel_requested);
    ck_assert_ptr_null(checkpoint.reason);
    ck_assert_uint_eq(checkpoint.mask_left, 3);
    asup_checkpoint_fini(&checkpoint);

    ck_assert_int_eq(asup_client_why(client, ref, &why, &err), 0);
    ck_assert_str_eq(why.summary, "waits for t7");
    ck_assert_uint_eq(why.chain_count, 1);
    ck_assert_str_eq(why.chain[0].note, "ignores SIGTERM");
    ck_assert_str_eq(why.chain[0].state, "");
    ck_assert_int_eq(why.chain[0].pid, 12);
    ck_assert_uint_eq(why.trouble_count, 1);
    ck_assert_str_eq(why.trouble[0].name, "RegionCloseTimeout");
    asup_why_fini(&why);

    ck_assert_int_eq(asup_client_daemon_status(client, &info, &err), 0);
    ck_assert_str_eq(info.version, "0.1.0");
    ck_assert_uint_eq(info.tasks, 4);
    ck_assert_uint_eq(info.limit_count, 1);
    ck_assert_str_eq(info.limits[0].name, "waits-per-user");
    ck_assert_uint_eq(info.limits[0].used, ASUP_NEVER);
    ck_assert_uint_eq(info.limits[0].max, 100);
    asup_daemon_info_fini(&info);
    end();
}
END_TEST

static void
check_ending(struct fake *f, struct fake_request *r)
{
    const struct args_region_close *end_args = &r->decoded.call.args->region_close;

    (void)f;
    if (fake_asks(r, PROTO_REGION_CLOSE)) {
        ck_assert_uint_eq(end_args->mode, ASUP_END_CANCEL);
        ck_assert_uint_eq(end_args->drain_ns, 0);
        ck_assert_str_eq(end_args->message.data, "enough");
    } else if (fake_asks(r, PROTO_DAEMON_SHUTDOWN)) {
        ck_assert_uint_eq(r->decoded.call.args->daemon_shutdown.within_ns, 17);
    } else {
        ck_assert(fake_asks(r, PROTO_TASK_CANCEL));
        ck_assert_uint_eq(r->decoded.call.args->task_cancel.drain_ns, ASUP_NEVER);
        ck_assert_ptr_null(r->decoded.call.args->task_cancel.message.data);
    }
    fake_answer(r, NULL);
}

START_TEST(endings_are_asked_for_as_they_are)
{
    begin(check_ending);
    ck_assert_int_eq(asup_client_region_end(client, r3, ASUP_END_CANCEL, 0, "enough", &err), 0);
    ck_assert_int_eq(asup_client_task_cancel(client, t7, ASUP_NEVER, NULL, &err), 0);
    ck_assert_int_eq(asup_client_daemon_shutdown(client, 17, &err), 0);
    end();
}
END_TEST

START_TEST(a_task_finds_itself_in_its_environment)
{
    struct asup_region region;
    struct asup_task task;

    unsetenv("ASUPERSYNC_REGION");
    unsetenv("ASUPERSYNC_TASK");
    ck_assert_int_eq(asup_self(&region, &task), -ASUP_ENOTFOUND);
    setenv("ASUPERSYNC_REGION", "r3", 1);
    ck_assert_int_eq(asup_self(&region, NULL), 0);
    ck_assert_uint_eq(region.id, 3);
    setenv("ASUPERSYNC_TASK", "r3", 1); /* of another sort */
    ck_assert_int_eq(asup_self(&region, &task), -ASUP_ENOTFOUND);
    setenv("ASUPERSYNC_TASK", "t8", 1);
    ck_assert_int_eq(asup_self(&region, &task), 0);
    ck_assert_uint_eq(task.id, 8);
}
END_TEST

static const struct rule rules[] = {
    RULE(a_region_is_opened_as_asked),
    RULE(a_process_is_described_completely),
    RULE(requests_without_sense_are_invalid_with_their_field),
    RULE(a_task_is_read_completely),
    RULE(tasks_are_listed),
    RULE(a_region_is_read_completely),
    RULE(an_answer_of_the_wrong_shape_is_malformed),
    RULE(many_tasks_need_few_messages),
    RULE(each_refusal_in_a_batch_is_told),
    RULE(output_checkpoints_why_and_status_are_read),
    RULE(endings_are_asked_for_as_they_are),
    RULE(a_task_finds_itself_in_its_environment),
};

RULES_MAIN("client typed", rules, NULL, NULL)
