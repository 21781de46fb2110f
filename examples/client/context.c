/* SPDX-License-Identifier: MIT */
/*
 * A service framework that wraps a task's capability in its own request
 * context (asupersync-cx(7)).
 *
 * Every line of standard input is a request: a shell command. The framework
 * gives each a region of its own with a time limit, and its handler a context
 * with a capability for that region alone. So a handler may start what it
 * likes, all of it ends with the request, and none of it can touch another
 * request, whatever goes wrong in it.
 *
 *     asupersyncctl run -- ./context <<'END'
 *     echo hello
 *     sleep 60
 *     END
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <asupersync/asupersync.h>

#define REQUEST_NS (2 * ASUP_NS_PER_S)

/* What the framework hands to a handler. It may all that the request may, by
 * `client`, and has no other way to the daemon. */
struct context {
    struct asup_client *client;
    struct asup_region region;
    char cx[ASUP_CX_TEXT_SIZE]; /* for programs that it starts somewhere else */
};

static int
complain(const char *what, const struct asup_error_info *err)
{
    fprintf(stderr, "context: %s: %s\n", what, err->message);
    return err->code;
}

/* ---- For handlers -------------------------------------------------------------- */

/* Run a shell command as part of the request, and wait for its end. */
static int
context_run(struct context *x, const char *command, struct asup_task_info *out,
            struct asup_error_info *err)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    struct asup_process process;
    struct asup_task task;
    int rc;

    asup_process_init(&process);
    process.argv = argv;
    rc = asup_client_task_submit(x->client, x->region, &process, &task, err);
    if (rc != 0)
        return rc;
    return asup_client_task_wait(x->client, task, ASUP_UNTIL_FINISHED, -1, out, err);
}

static int
handle(struct context *x, const char *command)
{
    struct asup_error_info err;
    struct asup_task_info info;
    struct asup_region_options options;
    struct asup_region elsewhere;

    if (context_run(x, command, &info, &err) != 0)
        return complain(command, &err);
    asup_task_info_fini(&info);
    /* A handler that would leave something behind, below "/", is refused. */
    asup_region_options_init(&options);
    options.parent.id = ASUP_ROOT_ID;
    return asup_client_region_open(x->client, &options, &elsewhere, &err) == -ASUP_EDENIED
               ? 0
               : -ASUP_EINTERNAL;
}

/* ---- The framework -------------------------------------------------------------- */

/* A region below our own, and a capability for it: no delegate, so a handler
 * cannot hand on what it got; no longer than the request. */
static int
context_begin(struct asup_client *own, struct asup_region parent, struct context *x,
              struct asup_error_info *err)
{
    struct asup_region_options region;
    struct asup_client_options client;
    struct asup_cx_options cx;
    uint8_t token[ASUP_CX_SIZE];
    int rc;

    asup_region_options_init(&region);
    region.parent = parent;
    region.budget.timeout_ns = REQUEST_NS;
    rc = asup_client_region_open(own, &region, &x->region, err);
    if (rc != 0)
        return rc;
    asup_cx_options_init(&cx);
    cx.region = x->region;
    cx.rights = ASUP_RIGHT_SPAWN | ASUP_RIGHT_OBSERVE | ASUP_RIGHT_CANCEL;
    rc = asup_client_cx_derive(own, &cx, NULL, token, err);
    if (rc != 0)
        return rc;
    asup_cx_format(token, x->cx);
    asup_client_options_init(&client);
    client.url = asup_client_url(own);
    client.cx = token;
    client.without_session = true;
    return asup_client_connect(&client, &x->client, err);
}

/* Nothing of the request is left when this returns, and its capability is dead. */
static int
context_end(struct asup_client *own, struct context *x, struct asup_error_info *err)
{
    struct asup_outcome outcome;
    int rc;

    asup_client_free(x->client);
    rc = asup_client_region_end(own, x->region, ASUP_END_CLOSE, ASUP_NEVER, NULL, err);
    if (rc == 0)
        rc = asup_client_region_wait(own, x->region, -1, &outcome, err);
    if (rc != 0)
        return rc;
    printf("%d\n", asup_outcome_http_status(&outcome));
    fflush(stdout);
    asup_outcome_fini(&outcome);
    return 0;
}

int
main(void)
{
    struct asup_error_info err;
    struct asup_client *own;
    struct asup_region region;
    char line[1024];
    int failed = 0;

    if (asup_self(&region, NULL) != 0) {
        fprintf(stderr, "context: run me as a task: asupersyncctl run -- ./context\n");
        return EXIT_FAILURE;
    }
    /* Shows $ASUPERSYNC_CX by itself. */
    if (asup_client_connect(NULL, &own, &err) != 0) {
        complain("connect", &err);
        return EXIT_FAILURE;
    }
    while (!failed && fgets(line, sizeof line, stdin) != NULL) {
        struct context x = {0};

        line[strcspn(line, "\n")] = '\0';
        if (context_begin(own, region, &x, &err) != 0)
            failed = complain("begin", &err);
        else if (handle(&x, line) != 0)
            fprintf(stderr, "context: \"%s\" went wrong\n", line);
        if (context_end(own, &x, &err) != 0)
            failed = complain("end", &err);
    }
    asup_client_free(own);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
