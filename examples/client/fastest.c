/* SPDX-License-Identifier: MIT */
/*
 * fastest - run several shell commands at once; the first that succeeds wins.
 *
 *     fastest 'sleep 5; echo slow' 'echo quick' 'exit 1'
 *
 * The policy first-ok does the work: the daemon cancels the losers, drains
 * them, and closes the region only when none of them is left (R-COM-1).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <asupersync/client.h>
#include <asupersync/values.h>

static void
print_log(struct asup_client *client, struct asup_task task)
{
    struct asup_log_chunk chunk = {0};
    bool end = false;

    while (!end &&
           asup_client_task_logs(client, task, chunk.next_offset, 0, -1, &chunk, NULL) == 0) {
        uint64_t next = chunk.next_offset;
        fwrite(chunk.data, 1, chunk.size, stdout);
        end = chunk.end;
        asup_log_chunk_fini(&chunk);
        chunk.next_offset = next;
    }
}

static bool
run_race(struct asup_client *client, char **commands, size_t count, struct asup_error_info *err)
{
    struct asup_region_options options;
    struct asup_region race;
    struct asup_process *entries = calloc(count, sizeof *entries);
    struct asup_task *tasks = calloc(count, sizeof *tasks);
    const char *(*words)[4] = calloc(count, sizeof *words);
    struct asup_outcome outcome;
    bool good = false;

    if (entries == NULL || tasks == NULL || words == NULL)
        abort();
    for (size_t i = 0; i < count; i++) {
        words[i][0] = "sh";
        words[i][1] = "-c";
        words[i][2] = commands[i];
        asup_process_init(&entries[i]);
        entries[i].argv = words[i];
        entries[i].label = commands[i];
        entries[i].drain_ns = ASUP_NS_PER_S;
    }
    asup_region_options_init(&options);
    options.policy = ASUP_POLICY_FIRST_OK;
    options.attach = true;
    if (asup_client_region_open(client, &options, &race, err) != 0 ||
        asup_client_task_submit_many(client, race, entries, count, true, tasks, NULL, err) != 0 ||
        asup_client_region_end(client, race, ASUP_END_FINISH, ASUP_NEVER, NULL, err) != 0 ||
        asup_client_region_wait(client, race, -1, &outcome, err) != 0)
        goto out;

    for (size_t i = 0; i < count; i++) {
        struct asup_task_info info = {0};
        if (asup_client_task_stat(client, tasks[i], &info, err) != 0)
            goto out_outcome;
        fprintf(stderr, "t%" PRIu64 " %-9s  %s\n", tasks[i].id,
                info.has_outcome ? asup_severity_name(info.outcome.key.severity) : "?",
                commands[i]);
        if (outcome.key.severity == ASUP_OK && outcome.key.origin == tasks[i].id)
            print_log(client, tasks[i]);
        asup_task_info_fini(&info);
    }
    good = outcome.key.severity == ASUP_OK;
out_outcome:
    asup_outcome_fini(&outcome);
out:
    free(words);
    free(tasks);
    free(entries);
    return good;
}

int
main(int argc, char **argv)
{
    struct asup_client *client = NULL;
    struct asup_error_info err = {0};
    bool good;

    if (argc < 2) {
        fprintf(stderr, "usage: fastest COMMAND...\n");
        return 64;
    }
    if (asup_client_connect(NULL, &client, &err) != 0) {
        fprintf(stderr, "fastest: %s\n", err.message);
        return 125;
    }
    good = run_race(client, argv + 1, (size_t)(argc - 1), &err);
    if (err.code != 0)
        fprintf(stderr, "fastest: %s\n", err.message);
    asup_client_free(client);
    return good ? 0 : 1;
}
