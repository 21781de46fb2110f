/* SPDX-License-Identifier: MIT */
/* Where the daemon is, and what stands in the way when it is not there. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define IPC "ipc://"
#define SYSTEM_SOCKET "/run/asupersync/asupersyncd.sock"

const char *
address_path(const char *url)
{
    return url + sizeof IPC - 1;
}

static char *
address_from(const char *text, struct proto_error *err)
{
    char *url = NULL;

    if (text[0] == '/') {
        if (asprintf(&url, IPC "%s", text) < 0)
            url = NULL;
    } else if (strncmp(text, IPC "/", sizeof IPC) == 0) {
        url = strdup(text);
    } else {
        proto_error_set(err, -ASUP_EINVALID, "\"%s\" is no address: expected ipc:///path or /path",
                        text);
        return NULL;
    }
    if (url == NULL)
        proto_error_set(err, -ASUP_ENOMEM, "no memory for the address");
    return url;
}

char *
address_find(const char *url, struct proto_error *err)
{
    const char *text = url;
    const char *runtime = secure_getenv("XDG_RUNTIME_DIR");
    char *path = NULL, *found;

    if (text == NULL)
        text = secure_getenv("ASUPERSYNC_SOCKET");
    if (text != NULL && text[0] != '\0')
        return address_from(text, err);
    if (url != NULL) {
        proto_error_set(err, -ASUP_EINVALID, "the address is empty");
        return NULL;
    }
    if (runtime != NULL && runtime[0] == '/') {
        if (asprintf(&path, "%s/asupersync/asupersyncd.sock", runtime) < 0) {
            proto_error_set(err, -ASUP_ENOMEM, "no memory for the address");
            return NULL;
        }
        if (access(path, F_OK) != 0) {
            free(path);
            path = NULL;
        }
    }
    found = address_from(path != NULL ? path : SYSTEM_SOCKET, err);
    free(path);
    return found;
}

/*
 * What is at the path, without disturbing it: nng's listeners do not bear a
 * connection that goes away at once. So this connects with a type of socket
 * that cannot be right, and is told so when a live one is there. Returns 0 for
 * that, or errno: ENOENT, EACCES, ECONNREFUSED (left over from a dead one).
 */
static int
probe(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path) + 1;
    int fd, result = 0;

    if (size > sizeof address.sun_path)
        return ENAMETOOLONG;
    memcpy(address.sun_path, path, size);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 && errno != EPROTOTYPE)
        result = errno;
    close(fd);
    return result;
}

int
address_check(const char *url, struct proto_error *err)
{
    const char *path = address_path(url);
    int error = probe(path);

    if (error == EACCES || error == EPERM)
        return proto_error_set(err, -ASUP_EDENIED, "not allowed to connect to %s", path);
    if (error == ENAMETOOLONG)
        return proto_error_set(err, -ASUP_EINVALID, "%s is too long for a socket", path);
    return 0;
}

static void
hint(struct proto_error *err, const char *text)
{
    snprintf(err->hint, sizeof err->hint, "%s", text);
}

int
address_explain(const char *url, struct proto_error *err)
{
    const char *path = address_path(url);
    int error = probe(path);

    if (error == ENOENT) {
        proto_error_set(err, -ASUP_ENOTCONN, "there is no socket at %s", path);
        hint(err, "start asupersyncd, or name its socket in ASUPERSYNC_SOCKET");
    } else if (error == ECONNREFUSED) {
        proto_error_set(err, -ASUP_ENOTCONN, "nobody listens at %s", path);
        hint(err, "asupersyncd is not running; start it");
    } else if (error != 0) {
        proto_error_set(err, -ASUP_ENOTCONN, "connecting to %s: %s", path, strerror(error));
    } else {
        proto_error_set(err, -ASUP_ENOTCONN, "what listens at %s does not answer as asupersyncd",
                        url);
        hint(err, "is it asupersyncd, and is it well?");
    }
    return err->code;
}
