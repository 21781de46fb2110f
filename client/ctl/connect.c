/* SPDX-License-Identifier: MIT */
/*
 * Finding the daemon, and saying what is wrong when it is not there.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

/* Milliseconds to wait where no daemon lives: it may be just starting. */
#define NOBODY_TIMEOUT_MS 250

/* 32 hexadecimal digits. */
static bool
ctl_secret_parse(const char *text, uint8_t secret[ASUP_SECRET_SIZE])
{
    if (text == NULL || strlen(text) != (size_t)2 * ASUP_SECRET_SIZE ||
        strspn(text, "0123456789abcdefABCDEF") != (size_t)2 * ASUP_SECRET_SIZE)
        return false;
    for (size_t i = 0; i < ASUP_SECRET_SIZE; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], '\0'};

        secret[i] = (uint8_t)strtoul(pair, NULL, 16);
    }
    return true;
}

bool
ctl_in_task(const struct ctl *ctl)
{
    const char *cx = getenv("ASUPERSYNC_CX");

    if (ctl->has_cx)
        return true;
    return cx != NULL && cx[0] != '\0' && !args_have(&ctl->args, OPTION_NO_CX);
}

bool
ctl_in_session(void)
{
    uint8_t secret[ASUP_SECRET_SIZE];

    return ctl_secret_parse(getenv("ASUPERSYNC_SESSION"), secret);
}

void
ctl_client_options(struct ctl *ctl, struct asup_client_options *how)
{
    asup_client_options_init(how);
    how->url = args_value(&ctl->args, OPTION_SOCKET);
    if (ctl_secret_parse(getenv("ASUPERSYNC_SESSION"), ctl->session)) {
        how->session_secret = ctl->session;
        how->keep_session = true;
    }
    how->cx = ctl->has_cx ? ctl->cx : NULL;
    how->without_cx = args_have(&ctl->args, OPTION_NO_CX);
}

/* Where the daemon was looked for, for people. */
static void
describe_places(struct ctl *ctl, struct text *t)
{
    const char *url = args_value(&ctl->args, OPTION_SOCKET);
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (url != NULL) {
        text_addf(t, "%s (--socket)", url);
    } else if ((url = getenv("ASUPERSYNC_SOCKET")) != NULL && url[0] != '\0') {
        text_addf(t, "%s ($ASUPERSYNC_SOCKET)", url);
    } else {
        if (runtime != NULL && runtime[0] != '\0')
            text_addf(t, "%s/asupersync/asupersyncd.sock and ", runtime);
        text_add(t, "/run/asupersync/asupersyncd.sock");
    }
}

/* Whether the process that wrote its number into the lock beside the socket is
 * alive. Then a missing socket means an engine that is started again, which is
 * worth waiting for. The lock itself is not touched: it belongs to daemons. */
static bool
keeper_lives(const struct ctl *ctl)
{
    const char *url = args_value(&ctl->args, OPTION_SOCKET);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    struct text path = {0};
    bool lives = true;
    char number[32] = "";

    if (url == NULL)
        url = getenv("ASUPERSYNC_SOCKET");
    if (url != NULL && strncmp(url, "ipc://", 6) == 0)
        url += 6;
    if (url != NULL && url[0] != '\0') {
        text_add(&path, url);
    } else {
        text_addf(&path, "%s/asupersync/asupersyncd.sock", runtime != NULL ? runtime : "");
        if (access(path.data, F_OK) != 0) {
            path.size = 0;
            text_add(&path, "/run/asupersync/asupersyncd.sock");
        }
    }
    while (path.size > 0 && path.data[path.size - 1] != '/')
        path.size--;
    text_add(&path, "lock");
    FILE *lock = fopen(path.data, "re");
    if (lock == NULL)
        lives = errno != ENOENT && errno != ENOTDIR;
    else if (fgets(number, sizeof number, lock) != NULL && strtol(number, NULL, 10) > 0)
        lives = kill((pid_t)strtol(number, NULL, 10), 0) == 0 || errno != ESRCH;
    if (lock != NULL)
        fclose(lock);
    text_free(&path);
    return lives;
}

int
ctl_connect(struct ctl *ctl, const struct asup_client_options *given)
{
    struct asup_client_options how;
    struct asup_error_info error = {0};

    if (given != NULL)
        how = *given;
    else
        ctl_client_options(ctl, &how);
    if (how.without_session) {
        how.session_secret = NULL;
        how.keep_session = false;
    }
    if (how.connect_timeout_ms > NOBODY_TIMEOUT_MS && !keeper_lives(ctl))
        how.connect_timeout_ms = NOBODY_TIMEOUT_MS;
    int rc = asup_client_connect(&how, &ctl->client, &error);
    if (rc == 0)
        return 0;
    error.code = rc;
    if (rc == -ASUP_ENOTCONN) {
        struct text more = {0};
        text_add(&more, "looked at ");
        describe_places(ctl, &more);
        text_add(&more, "; start one with `systemctl start asupersyncd`, or one of your own with "
                        "`asupersyncd --user`");
        snprintf(error.hint, sizeof error.hint, "%s", more.data);
        if (error.message[0] == '\0')
            snprintf(error.message, sizeof error.message, "no daemon answers");
        text_free(&more);
    }
    return ctl_fail(ctl, &error);
}
