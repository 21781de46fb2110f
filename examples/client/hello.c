/* SPDX-License-Identifier: MIT */
/*
 * hello - run one program in a region of its own and say how it ended.
 *
 *     hello /bin/sh -c 'echo hello; exit 3'
 *
 * The region has ten seconds and is attached to this client: should this
 * program die half-way, the daemon cancels the region.
 */
#include <stdio.h>

#include <asupersync/client.h>
#include <asupersync/values.h>

static int
fail(const char *what, const struct asup_error_info *err)
{
    fprintf(stderr, "hello: %s: %s\n", what, err->message);
    if (err->hint[0] != '\0')
        fprintf(stderr, "hello: %s\n", err->hint);
    return 125;
}

int
main(int argc, char **argv)
{
    struct asup_client *client = NULL;
    struct asup_error_info err;
    struct asup_region_options options;
    struct asup_process process;
    struct asup_region region;
    struct asup_task task;
    struct asup_outcome outcome;
    int rc;

    if (argc < 2) {
        fprintf(stderr, "usage: hello PROGRAM [ARG...]\n");
        return 64;
    }
    if (asup_client_connect(NULL, &client, &err) != 0)
        return fail("no daemon", &err);

    asup_region_options_init(&options);
    options.attach = true;
    options.budget.timeout_ns = 10 * ASUP_NS_PER_S;
    asup_process_init(&process);
    process.argv = (const char *const *)(argv + 1);

    /* Finish seals the region and lets its one task end; Closed then means
     * that nothing of it is left, however it forked (R-REG-4). */
    if (asup_client_region_open(client, &options, &region, &err) != 0 ||
        asup_client_task_submit(client, region, &process, &task, &err) != 0 ||
        asup_client_region_end(client, region, ASUP_END_FINISH, ASUP_NEVER, NULL, &err) != 0 ||
        asup_client_region_wait(client, region, -1, &outcome, &err) != 0) {
        rc = fail(argv[1], &err);
    } else {
        printf("%s: %s", argv[1], asup_severity_name(outcome.key.severity));
        if (outcome.exit_code >= 0)
            printf(", exit code %d", outcome.exit_code);
        if (outcome.reason != NULL)
            printf(", %s", asup_cancel_kind_name(outcome.reason->key.kind));
        printf("\n");
        rc = asup_outcome_exit_code(&outcome);
        asup_outcome_fini(&outcome);
    }
    asup_client_free(client);
    return rc;
}
