/* SPDX-License-Identifier: MIT */
#include "real.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <signal.h>

char directory[64], url[128];
pid_t keeper;
struct asup_client *client;
struct asup_error_info err;

/* ---- The daemon ------------------------------------------------------------------ */

static int
remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

struct asup_client *
connect_as(struct asup_client_options *options)
{
    struct asup_client *c = NULL;

    options->url = url;
    options->connect_timeout_ms = 20000;
    OK(asup_client_connect(options, &c, &err));
    return c;
}

struct asup_client *
connect_client(void)
{
    struct asup_client_options options;

    asup_client_options_init(&options);
    return connect_as(&options);
}

static void
daemon_run(void)
{
    const char *program = getenv("ASUPERSYNCD");
    char log[96];

    prctl(PR_SET_PDEATHSIG, SIGTERM); /* when the test fails */
    snprintf(log, sizeof log, "%s/log", directory);
    (void)!freopen(log, "w", stderr);
    (void)!freopen("/dev/null", "r", stdin);
    unsetenv("NOTIFY_SOCKET");
    if (program == NULL)
        _exit(127);
    execlp(program, program, "--user", "--runtime-dir", directory, "--foreground", (char *)NULL);
    _exit(127);
}

void
real_begin(void)
{
    strcpy(directory, "/tmp/asup-real-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(url, sizeof url, "ipc://%s/asupersyncd.sock", directory);
    keeper = fork();
    ck_assert_int_ge(keeper, 0);
    if (keeper == 0)
        daemon_run();
    client = connect_client();
}

void
real_end(void)
{
    int status = -1;

    OK(asup_client_daemon_shutdown(client, ASUP_NEVER, &err));
    ck_assert_int_eq(waitpid(keeper, &status, 0), keeper);
    ck_assert_int_eq(status, 0);
    asup_client_free(client);
    nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- Short words ------------------------------------------------------------------ */

struct asup_region
open_region(const char *name)
{
    struct asup_region_options options;
    struct asup_region region;

    asup_region_options_init(&options);
    options.name = name;
    OK(asup_client_region_open(client, &options, &region, &err));
    return region;
}

void
close_region(struct asup_region region)
{
    OK(asup_client_region_end(client, region, ASUP_END_CLOSE, ASUP_NEVER, NULL, &err));
    OK(asup_client_region_wait(client, region, -1, NULL, &err));
}
