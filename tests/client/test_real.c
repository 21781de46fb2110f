/* SPDX-License-Identifier: MIT */
/* The library against the real daemon. */
#include <check.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "real.h"
#include "rules.h"

/* ---- Short words -------------------------------------------------------------------- */

static struct asup_process
shell(const char *script)
{
    static const char *argv[8][4];
    static int turn;
    const char **mine = argv[turn++ % 8];
    struct asup_process process;

    mine[0] = "/bin/sh";
    mine[1] = "-c";
    mine[2] = script;
    mine[3] = NULL;
    asup_process_init(&process);
    process.argv = mine;
    return process;
}

static struct asup_task
submit(struct asup_region region, const char *script)
{
    struct asup_process process = shell(script);
    struct asup_task task;

    OK(asup_client_task_submit(client, region, &process, &task, &err));
    return task;
}

/* A script that says "ready" once its traps are set: started (execed) is earlier than that. */
static struct asup_task
submit_ready(struct asup_region region, const char *script)
{
    struct asup_task task = submit(region, script);
    struct asup_log_chunk chunk;

    OK(asup_client_task_logs(client, task, 0, 0, 20000, &chunk, &err));
    ck_assert_uint_ge(chunk.size, 5);
    ck_assert_mem_eq(chunk.data, "ready", 5);
    asup_log_chunk_fini(&chunk);
    return task;
}

/* ---- Tasks ------------------------------------------------------------------------------ */

START_TEST(R_TSK_4_a_task_runs_and_its_outcome_is_told)
{
    struct asup_region region = open_region("work");
    struct asup_task task = submit(region, "echo out; echo err >&2; exit 3");
    struct asup_task_info info;
    struct asup_log_chunk chunk;
    struct asup_outcome outcome;

    OK(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, -1, &info, &err));
    ck_assert_int_eq(info.state, ASUP_TASK_COMPLETED);
    ck_assert_str_eq(info.path, "/work");
    ck_assert(info.has_outcome);
    ck_assert_int_eq(info.outcome.key.severity, ASUP_ERR);
    ck_assert_int_eq(info.outcome.exit_code, 3);
    ck_assert_uint_gt(info.outcome.wall_ns, 0);
    asup_task_info_fini(&info);

    OK(asup_client_task_logs(client, task, 0, 0, 20000, &chunk, &err));
    ck_assert_uint_eq(chunk.size, 8);
    ck_assert_mem_eq(chunk.data, "out\nerr\n", 8);
    asup_log_chunk_fini(&chunk);

    OK(asup_client_region_end(client, region, ASUP_END_FINISH, ASUP_NEVER, NULL, &err));
    OK(asup_client_region_wait(client, region, -1, &outcome, &err));
    ck_assert_int_eq(asup_outcome_exit_code(&outcome), 3);
    asup_outcome_fini(&outcome);
}
END_TEST

START_TEST(R_TSK_7_a_wait_ends_with_its_time_and_can_be_repeated)
{
    struct asup_region region = open_region(NULL);
    struct asup_task task = submit(region, "exec sleep 1000");
    struct asup_task_info info;

    OK(asup_client_task_wait(client, task, ASUP_UNTIL_STARTED, -1, &info, &err));
    ck_assert_int_gt(info.pid, 0);
    asup_task_info_fini(&info);
    ck_assert_int_eq(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, 50, NULL, &err),
                     -ASUP_ETIMEDOUT);
    ck_assert_int_eq(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, 0, NULL, &err),
                     -ASUP_ETIMEDOUT);
    OK(asup_client_task_cancel(client, task, ASUP_NEVER, "that will do", &err));
    for (int i = 0; i < 2; i++) {
        OK(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, -1, &info, &err));
        ck_assert_int_eq(info.outcome.key.severity, ASUP_CANCELLED);
        ck_assert_int_eq(asup_outcome_exit_code(&info.outcome), 130);
        ck_assert_str_eq(info.outcome.reason->message, "that will do");
        ck_assert_int_eq(info.outcome.signal, SIGTERM);
        asup_task_info_fini(&info);
    }
    close_region(region);
}
END_TEST

START_TEST(many_tasks_are_admitted_at_once_or_not_at_all)
{
    enum { COUNT = 60 };
    struct asup_region region = open_region(NULL);
    struct asup_process processes[COUNT];
    struct asup_task tasks[COUNT];
    struct asup_task_list list;
    int codes[COUNT];

    for (int i = 0; i < COUNT; i++)
        processes[i] = shell("exit 0");
    processes[30].label = "two\nlines";
    ck_assert_int_ne(
        asup_client_task_submit_many(client, region, processes, COUNT, true, tasks, codes, &err),
        0);
    ck_assert_int_ne(codes[30], 0);
    ck_assert_int_ne(codes[29], 0);
    OK(asup_client_task_list(client, &(struct asup_list_options){.region = region, .all = true},
                             &list, &err));
    ck_assert_uint_eq(list.count, 0);
    asup_task_list_fini(&list);

    processes[30].label = NULL;
    OK(asup_client_task_submit_many(client, region, processes, COUNT, true, tasks, codes, &err));
    for (int i = 0; i < COUNT; i++)
        OK(asup_client_task_wait(client, tasks[i], ASUP_UNTIL_FINISHED, -1, NULL, &err));
    OK(asup_client_task_list(
        client, &(struct asup_list_options){.region = region, .all = true, .limit = 40}, &list,
        &err));
    ck_assert_uint_eq(list.count, 40);
    ck_assert(list.more);
    ck_assert_uint_eq(list.items[0].task.id, tasks[0].id);
    asup_task_list_fini(&list);
    close_region(region);
}
END_TEST

START_TEST(R_BUD_3_a_checkpoint_tells_of_a_cancel)
{
    struct asup_region region = open_region(NULL);
    struct asup_task task =
        submit_ready(region, "trap '' TERM; echo ready; sleep 1000 & wait; wait");
    struct asup_checkpoint checkpoint;

    OK(asup_client_task_checkpoint(client, task, &checkpoint, &err));
    ck_assert(!checkpoint.cancel_requested);
    asup_checkpoint_fini(&checkpoint);
    OK(asup_client_region_end(client, region, ASUP_END_CANCEL, 20 * ASUP_NS_PER_S, "enough", &err));
    OK(asup_client_task_progress(client, task, 5, &checkpoint, &err));
    ck_assert(checkpoint.cancel_requested);
    ck_assert_uint_lt(checkpoint.drain_left_ns, 20 * ASUP_NS_PER_S);
    ck_assert_str_eq(checkpoint.reason->message, "enough");
    asup_checkpoint_fini(&checkpoint);
    OK(asup_client_region_end(client, region, ASUP_END_CANCEL, 0, NULL, &err)); /* now */
    OK(asup_client_region_wait(client, region, -1, NULL, &err));
}
END_TEST

START_TEST(R_TSK_3_masked_checkpoints_defer_the_cancel)
{
    const char *const argv[] = {"sh", "-c",
                                "trap '' TERM; echo ready; while :; do sleep 1000; done", NULL};
    struct asup_region region = open_region(NULL);
    struct asup_process process;
    struct asup_checkpoint checkpoint;
    struct asup_log_chunk chunk;
    struct asup_task task;
    struct asup_task_info info;

    asup_process_init(&process);
    process.argv = argv;
    process.mask_depth = 2;
    OK(asup_client_task_submit(client, region, &process, &task, &err));
    OK(asup_client_task_logs(client, task, 0, 0, 20000, &chunk, &err));
    ck_assert_mem_eq(chunk.data, "ready", 5); /* its trap is set */
    asup_log_chunk_fini(&chunk);
    OK(asup_client_region_end(client, region, ASUP_END_CANCEL, 20 * ASUP_NS_PER_S, "enough", &err));
    OK(asup_client_task_checkpoint_masked(client, task, &checkpoint, &err));
    ck_assert(!checkpoint.cancel_requested);
    ck_assert_ptr_null(checkpoint.reason);
    ck_assert_uint_eq(checkpoint.drain_left_ns, ASUP_NEVER);
    ck_assert_uint_eq(checkpoint.mask_left, 1);
    asup_checkpoint_fini(&checkpoint);
    OK(asup_client_task_progress_masked(client, task, 3, &checkpoint, &err));
    ck_assert(!checkpoint.cancel_requested);
    ck_assert_uint_eq(checkpoint.mask_left, 0);
    asup_checkpoint_fini(&checkpoint);
    OK(asup_client_task_stat(client, task, &info, &err));
    ck_assert_int_eq(info.state, ASUP_TASK_CANCEL_REQUESTED);
    asup_task_info_fini(&info);
    OK(asup_client_task_checkpoint_masked(client, task, &checkpoint, &err));
    ck_assert(checkpoint.cancel_requested);
    ck_assert_str_eq(checkpoint.reason->message, "enough");
    asup_checkpoint_fini(&checkpoint);
    OK(asup_client_task_stat(client, task, &info, &err));
    ck_assert_int_eq(info.state, ASUP_TASK_CANCELLING);
    asup_task_info_fini(&info);
    OK(asup_client_region_end(client, region, ASUP_END_CANCEL, 0, NULL, &err)); /* now */
    OK(asup_client_region_wait(client, region, -1, NULL, &err));
}
END_TEST

START_TEST(standard_streams_are_handed_over)
{
    struct asup_region region = open_region(NULL);
    struct asup_process process = shell("read line; echo \"got $line\"");
    uint8_t token[ASUP_STDIO_TOKEN_SIZE];
    int in[2], out[2], fds[3], offer;
    struct asup_task task;
    char text[32] = "";

    ck_assert_int_eq(pipe2(in, O_CLOEXEC), 0);
    ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
    fds[0] = in[0];
    fds[1] = fds[2] = out[1];
    offer = asup_stdio_offer(client, fds, token, &err);
    ck_assert_msg(offer >= 0, "%s", err.message);
    process.stdio_token = token;
    OK(asup_client_task_submit(client, region, &process, &task, &err));
    ck_assert_int_eq(write(in[1], "it\n", 3), 3);
    OK(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, -1, NULL, &err));
    ck_assert_int_eq(read(out[0], text, sizeof text - 1), 7);
    ck_assert_str_eq(text, "got it\n");
    close(offer);
    close_region(region);
}
END_TEST

/* ---- Regions ---------------------------------------------------------------------------- */

START_TEST(R_REG_2_a_region_is_found_and_refuses_when_it_may_not)
{
    struct asup_region region = open_region("web"), found;
    struct asup_region_options options;
    struct asup_process process = shell("exit 0");
    struct asup_region_info info;
    struct asup_task task;

    OK(asup_client_region_find(client, "/web", &found, &err));
    ck_assert_uint_eq(found.id, region.id);
    ck_assert_int_eq(asup_client_region_find(client, "/nowhere", &found, &err), -ASUP_ENOTFOUND);
    asup_region_options_init(&options);
    options.name = "web";
    ck_assert_int_eq(asup_client_region_open(client, &options, &found, &err), -ASUP_EEXISTS);
    options.name = "a/b";
    ck_assert_int_eq(asup_client_region_open(client, &options, &found, &err), -ASUP_EINVALID);
    ck_assert_str_eq(err.field, "name");
    OK(asup_client_region_stat(client, region, &info, &err));
    ck_assert_str_eq(info.path, "/web");
    ck_assert_int_eq(info.state, ASUP_REGION_OPEN);
    asup_region_info_fini(&info);

    close_region(region);
    ck_assert_int_eq(asup_client_task_submit(client, region, &process, &task, &err), -ASUP_ECLOSED);
    OK(asup_client_region_stat(client, region, &info, &err));
    ck_assert_int_eq(info.state, ASUP_REGION_CLOSED);
    ck_assert(info.has_outcome);
    asup_region_info_fini(&info);
    region.id += 1000;
    ck_assert_int_eq(asup_client_region_wait(client, region, -1, NULL, &err), -ASUP_ENOTFOUND);
}
END_TEST

START_TEST(R_FIN_1_finalizers_run_last_in_first_out)
{
    struct asup_region region = open_region(NULL);
    struct asup_process process;
    char script[2][128], path[96], text[16] = "";
    FILE *file;

    snprintf(path, sizeof path, "%s/order", directory);
    for (int i = 0; i < 2; i++) {
        snprintf(script[i], sizeof script[i], "printf %d >>%s", i + 1, path);
        process = shell(script[i]);
        OK(asup_client_finalizer_defer(client, region, &process, NULL, &err));
    }
    close_region(region);
    file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
    ck_assert_str_eq(text, "21");
    fclose(file);
}
END_TEST

START_TEST(R_SES_1_what_is_attached_ends_with_its_session)
{
    struct asup_client *other = connect_client();
    struct asup_region_options options;
    struct asup_region region;
    struct asup_outcome outcome;

    asup_region_options_init(&options);
    options.attach = true;
    OK(asup_client_region_open(other, &options, &region, &err));
    asup_client_free(other);
    OK(asup_client_region_wait(client, region, -1, &outcome, &err));
    asup_outcome_fini(&outcome);
}
END_TEST

/* ---- Events, why, status --------------------------------------------------------------------- */

struct seen {
    struct asup_task task;
    uint64_t last;
    bool created, completed;
};

static int
on_event(void *arg, const struct asup_event *event)
{
    struct seen *seen = arg;

    ck_assert_uint_gt(event->seq, seen->last);
    seen->last = event->seq;
    if (event->task.id != seen->task.id)
        return 0;
    if (strcmp(event->event, "task-created") == 0)
        seen->created = true;
    if (strcmp(event->event, "task-completed") == 0) {
        ck_assert(event->has_outcome);
        seen->completed = true;
    }
    return seen->completed ? 7 : 0;
}

START_TEST(events_are_watched_without_loss)
{
    struct asup_region region = open_region(NULL), everywhere = {0};
    struct asup_event_list list;
    struct seen seen = {0};
    uint64_t from;

    OK(asup_client_events_read(client, ASUP_SINCE_NOW, everywhere, 0, 0, &list, &err));
    ck_assert_uint_eq(list.count, 0);
    from = list.next;
    ck_assert_uint_gt(from, 0);
    asup_event_list_fini(&list);
    seen.task = submit(region, "exit 0");
    ck_assert_int_eq(
        asup_client_events_watch(client, from, everywhere, 20000, on_event, &seen, &err), 7);
    ck_assert(seen.created && seen.completed);
    /* Again, from the start, and only of the region. */
    seen = (struct seen){.task = seen.task};
    ck_assert_int_eq(asup_client_events_watch(client, 0, region, 20000, on_event, &seen, &err), 7);
    ck_assert(seen.created && seen.completed);
    ck_assert_int_eq(
        asup_client_events_watch(client, ASUP_SINCE_NOW, region, 50, on_event, &seen, &err), 0);
    close_region(region);
}
END_TEST

START_TEST(why_names_what_a_closing_region_waits_for)
{
    struct asup_region region = open_region("slow");
    struct asup_task task =
        submit_ready(region, "trap '' TERM; echo ready; while :; do sleep 1; done");
    struct asup_ref ref = {region.id, ASUP_SORT_REGION};
    char id[ASUP_REF_TEXT_SIZE];
    struct asup_why why;
    bool named = false;

    asup_ref_format((struct asup_ref){task.id, ASUP_SORT_TASK}, id, sizeof id);
    OK(asup_client_region_end(client, region, ASUP_END_CLOSE, 60 * ASUP_NS_PER_S, NULL, &err));
    OK(asup_client_why(client, ref, &why, &err));
    ck_assert_str_ne(why.summary, "");
    for (size_t i = 0; i < why.chain_count; i++)
        named = named || strcmp(why.chain[i].id, id) == 0;
    ck_assert(named);
    asup_why_fini(&why);
    OK(asup_client_region_end(client, region, ASUP_END_CLOSE, 0, NULL, &err));
    OK(asup_client_region_wait(client, region, -1, NULL, &err));
}
END_TEST

START_TEST(the_daemon_tells_about_itself)
{
    struct asup_daemon_info info;

    OK(asup_client_daemon_status(client, &info, &err));
    ck_assert_str_eq(info.version, ASUP_VERSION);
    ck_assert_uint_eq(info.protocol, ASUP_PROTOCOL_VERSION);
    ck_assert_str_eq(info.mode, "user");
    ck_assert_str_eq(info.state, "running");
    ck_assert_str_eq(info.runtime_dir, directory);
    ck_assert_int_eq(info.pid, keeper);
    ck_assert_uint_eq(info.sessions, 1);
    ck_assert_uint_gt(info.limit_count, 5);
    asup_daemon_info_fini(&info);
    OK(asup_client_daemon_reload(client, &err));
}
END_TEST

/* ---- Restarts -----------------------------------------------------------------------------------
 */

static uint64_t
kill_engine(void)
{
    struct asup_daemon_info info;
    uint64_t runs;

    OK(asup_client_daemon_status(client, &info, &err));
    runs = info.engine_runs;
    ck_assert_int_eq(kill((pid_t)info.engine_pid, SIGKILL), 0);
    asup_daemon_info_fini(&info);
    return runs;
}

START_TEST(an_engine_restart_is_ridden_out)
{
    struct asup_region region = open_region("before");
    struct asup_task task = submit(region, "exec sleep 1000");
    uint64_t session = asup_client_session(client).id;
    struct asup_daemon_info info;
    struct asup_region after;
    uint64_t runs;

    OK(asup_client_task_wait(client, task, ASUP_UNTIL_STARTED, -1, NULL, &err));
    runs = kill_engine();
    /* The wait goes on into the new engine, and the task and the session as well. */
    ck_assert_int_eq(asup_client_task_wait(client, task, ASUP_UNTIL_FINISHED, 3000, NULL, &err),
                     -ASUP_ETIMEDOUT);
    OK(asup_client_daemon_status(client, &info, &err));
    ck_assert_uint_gt(info.engine_runs, runs);
    asup_daemon_info_fini(&info);
    after = open_region("after");
    ck_assert_uint_gt(after.id, task.id); /* no id is used twice */
    ck_assert_uint_eq(asup_client_session(client).id, session);
    close_region(region);
    close_region(after);
}
END_TEST

START_TEST(a_hanging_engine_is_ridden_out)
{
    struct asup_daemon_info info;
    struct asup_client_options options;
    struct asup_client *patient = NULL;
    uint64_t runs;

    asup_client_options_init(&options);
    options.url = url;
    options.patience_ms = 60000;
    options.answer_timeout_ms = 60000;
    OK(asup_client_connect(&options, &patient, &err));
    OK(asup_client_daemon_status(patient, &info, &err));
    runs = info.engine_runs;
    ck_assert_int_eq(kill((pid_t)info.engine_pid, SIGSTOP), 0);
    asup_daemon_info_fini(&info);
    OK(asup_client_daemon_status(patient, &info, &err)); /* from the next engine */
    ck_assert_uint_gt(info.engine_runs, runs);
    asup_daemon_info_fini(&info);
    asup_client_free(patient);
}
END_TEST

/* R-SAG-2: a saga from a program: two steps done, the third fails, all is undone. */
START_TEST(R_SAG_2_a_failing_step_undoes_all)
{
    struct asup_region region = open_region("orders");
    struct asup_process undo = shell("exit 0");
    struct asup_saga_stepped stepped;
    struct asup_saga_info info;
    struct asup_saga_step step;
    struct asup_saga saga;

    OK(asup_client_saga_begin(client, region, "order", &saga, &err));
    asup_saga_step_init(&step);
    step.undo = &undo;
    step.name = "by hand";
    OK(asup_client_saga_step(client, saga, &step, &stepped, &err));
    ck_assert_uint_eq(stepped.task.id, 0);
    {
        struct asup_process good = shell("exit 0");

        step.name = "good";
        step.action = &good;
        OK(asup_client_saga_step(client, saga, &step, &stepped, &err));
        OK(asup_client_task_wait(client, stepped.task, ASUP_UNTIL_FINISHED, 20000, NULL, &err));
    }
    {
        struct asup_process bad = shell("exit 7");

        step.name = "bad";
        step.action = &bad;
        step.attempts = 2;
        OK(asup_client_saga_step(client, saga, &step, &stepped, &err));
        ck_assert_uint_eq(stepped.number, 3);
    }
    OK(asup_client_saga_wait(client, saga, 20000, &info, &err));
    ck_assert_int_eq(info.state, ASUP_SAGA_COMPENSATED);
    ck_assert_str_eq(info.name, "order");
    ck_assert_str_eq(info.path, "/orders");
    ck_assert_uint_eq(info.step_count, 3);
    ck_assert_str_eq(info.steps[0].name, "by hand");
    ck_assert_uint_eq(info.steps[2].attempts_most, 2);
    ck_assert_uint_lt(info.steps[2].undo.id, info.steps[1].undo.id);
    ck_assert_uint_lt(info.steps[1].undo.id, info.steps[0].undo.id);
    asup_saga_info_fini(&info);
    ck_assert_int_eq(asup_client_saga_complete(client, saga, &err), -ASUP_ERESOLVED);
    OK(asup_client_saga_abort(client, saga, "too late", &err));
    ck_assert_int_eq(asup_client_saga_resolve(client, saga, true, &err), -ASUP_EINVALID);
    close_region(region);
}
END_TEST

/* R-SAG-1: action and compensation as calls; without a worker an attempt ends with its time. */
START_TEST(R_SAG_1_a_compensation_may_be_a_call)
{
    struct asup_region region = open_region("refunds");
    struct asup_call_options charge, refund;
    struct asup_process undo = shell("exit 0");
    struct asup_saga_stepped stepped;
    struct asup_saga_info info;
    struct asup_saga_step step;
    struct asup_saga saga;

    asup_call_options_init(&charge, "charge");
    asup_call_options_init(&refund, "refund");
    refund.budget.timeout_ns = 50 * ASUP_NS_PER_MS;
    OK(asup_client_saga_begin(client, region, "order", &saga, &err));
    asup_saga_step_init(&step);
    step.name = "charge";
    ck_assert_int_eq(asup_client_saga_step(client, saga, &step, NULL, &err), -ASUP_EINVALID);
    step.undo = &undo;
    step.undo_call = &refund;
    ck_assert_int_eq(asup_client_saga_step(client, saga, &step, NULL, &err), -ASUP_EINVALID);
    step.undo = NULL;
    step.action_call = &charge;
    step.attempts = 1;
    OK(asup_client_saga_step(client, saga, &step, &stepped, &err));
    ck_assert_uint_ne(stepped.task.id, 0);
    OK(asup_client_saga_abort(client, saga, "enough", &err));
    OK(asup_client_saga_wait(client, saga, 20000, &info, &err));
    ck_assert_int_eq(info.state, ASUP_SAGA_NEEDS_ATTENTION);
    asup_saga_info_fini(&info);
    OK(asup_client_saga_resolve(client, saga, false, &err));
    OK(asup_client_saga_wait(client, saga, 20000, NULL, &err));
}
END_TEST

/* ---- Channels ------------------------------------------------------------------------------ */

START_TEST(R_OBL_1_messages_are_received_and_acknowledged)
{
    struct asup_region region = open_region("post");
    struct asup_channel_options options;
    struct asup_channel channel, found;
    struct asup_obligation permit;
    struct asup_message message;
    struct asup_message_list dead;
    struct asup_message_info info;
    struct asup_channel_info stat;
    struct asup_delivery d;

    asup_channel_options_init(&options);
    options.name = "orders";
    options.capacity = 2;
    options.nacks_max = 2;
    OK(asup_client_channel_open(client, region, &options, &channel, &err));
    ck_assert_int_eq(asup_client_channel_open(client, region, &options, &found, &err),
                     -ASUP_EEXISTS);
    OK(asup_client_channel_find(client, "/post/orders", &found, &err));
    ck_assert_uint_eq(found.id, channel.id);
    OK(asup_client_channel_send(client, channel, "one", 3, 0, &message, &err));
    OK(asup_client_channel_reserve(client, channel, -1, &permit, &err));
    ck_assert_int_eq(asup_client_channel_send(client, channel, "x", 1, 0, NULL, &err), -ASUP_EBUSY);
    ck_assert_str_eq(err.limit, "channel-capacity");
    ck_assert_int_eq(asup_client_channel_send(client, channel, "x", 1, 20, NULL, &err),
                     -ASUP_ETIMEDOUT);
    OK(asup_client_channel_send_permit(client, permit, NULL, 0, NULL, &err));
    ck_assert_int_eq(asup_client_channel_abort(client, permit, &err), -ASUP_ERESOLVED);

    for (int i = 0; i < 2; i++) { /* the second nack is one too many */
        OK(asup_client_channel_receive(client, channel, 0, -1, &d, &err));
        ck_assert_uint_eq(d.message.id, message.id);
        ck_assert_uint_eq(d.deliveries, (uint64_t)i + 1);
        ck_assert_uint_eq(d.size, 3);
        ck_assert_mem_eq(d.data, "one", 3);
        OK(asup_client_channel_extend(client, d.ack, 60 * ASUP_NS_PER_S, &err));
        OK(asup_client_channel_nack(client, d.ack, "not now", &err));
        asup_delivery_fini(&d);
    }
    OK(asup_client_channel_dead(client, channel, (struct asup_message){0}, &dead, &err));
    ck_assert_uint_eq(dead.count, 1);
    ck_assert_str_eq(dead.items[0].dead_why, "nack");
    asup_message_list_fini(&dead);
    OK(asup_client_channel_message(client, message, &info, &err));
    ck_assert_mem_eq(info.data, "one", 3);
    ck_assert_str_eq(info.note, "not now");
    asup_message_info_fini(&info);
    OK(asup_client_channel_retry(client, message, (struct asup_channel){0}, &err));
    OK(asup_client_channel_seal(client, channel, &err));
    ck_assert_int_eq(asup_client_channel_reserve(client, channel, 0, &permit, &err), -ASUP_EENDED);
    for (int i = 0; i < 2; i++) { /* the empty one, then the one that was retried */
        OK(asup_client_channel_receive(client, channel, 0, 0, &d, &err));
        ck_assert_uint_eq(d.size, i == 0 ? 0 : 3);
        OK(asup_client_channel_ack(client, d.ack, &err));
        ck_assert_int_eq(asup_client_channel_ack(client, d.ack, &err), -ASUP_ERESOLVED);
        asup_delivery_fini(&d);
    }
    ck_assert_int_eq(asup_client_channel_receive(client, channel, 0, -1, &d, &err), -ASUP_EENDED);
    OK(asup_client_channel_stat(client, channel, &stat, &err));
    ck_assert_uint_eq(stat.consumed, 2);
    ck_assert_str_eq(stat.state, "sealed");
    asup_channel_info_fini(&stat);
    close_region(region);
}
END_TEST

static const struct rule rules[] = {
    RULE(R_OBL_1_messages_are_received_and_acknowledged),
    RULE(R_TSK_4_a_task_runs_and_its_outcome_is_told),
    RULE(R_TSK_7_a_wait_ends_with_its_time_and_can_be_repeated),
    RULE(many_tasks_are_admitted_at_once_or_not_at_all),
    RULE(R_BUD_3_a_checkpoint_tells_of_a_cancel),
    RULE(R_TSK_3_masked_checkpoints_defer_the_cancel),
    RULE(standard_streams_are_handed_over),
    RULE(R_REG_2_a_region_is_found_and_refuses_when_it_may_not),
    RULE(R_FIN_1_finalizers_run_last_in_first_out),
    RULE(R_SAG_2_a_failing_step_undoes_all),
    RULE(R_SAG_1_a_compensation_may_be_a_call),
    RULE(R_SES_1_what_is_attached_ends_with_its_session),
    RULE(events_are_watched_without_loss),
    RULE(why_names_what_a_closing_region_waits_for),
    RULE(the_daemon_tells_about_itself),
    RULE(an_engine_restart_is_ridden_out),
    RULE(a_hanging_engine_is_ridden_out),
};

RULES_MAIN("client real", rules, real_begin, real_end)
