/* SPDX-License-Identifier: MIT */
/* Capabilities: their tokens as text, and which one a client shows (R-CAP-1). */
#include "internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
asup_cx_parse(const char *text, uint8_t token[ASUP_CX_SIZE])
{
    uint8_t bytes[ASUP_CX_SIZE];

    if (text == NULL || strlen(text) != ASUP_CX_TEXT_SIZE - 1)
        return -ASUP_EINVALID;
    for (int i = 0; i < ASUP_CX_SIZE; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);

        if (high < 0 || low < 0)
            return -ASUP_EINVALID;
        bytes[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(token, bytes, sizeof bytes);
    return 0;
}

void
asup_cx_format(const uint8_t token[ASUP_CX_SIZE], char text[ASUP_CX_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (int i = 0; i < ASUP_CX_SIZE; i++) {
        text[2 * i] = digits[token[i] >> 4];
        text[2 * i + 1] = digits[token[i] & 15];
    }
    text[ASUP_CX_TEXT_SIZE - 1] = '\0';
}

/* Whether the environment names the daemon that the client connects to. */
static bool
is_own_daemon(const struct asup_client *c)
{
    const char *socket = secure_getenv("ASUPERSYNC_SOCKET");

    if (socket == NULL || socket[0] == '\0')
        return false;
    return strcmp(socket, c->url) == 0 || strcmp(socket, address_path(c->url)) == 0;
}

int
cx_choose(struct asup_client *c, const struct asup_client_options *options, struct proto_error *err)
{
    const char *own = secure_getenv("ASUPERSYNC_CX");

    if (options->without_cx)
        return 0;
    if (options->cx != NULL) {
        memcpy(c->cx, options->cx, sizeof c->cx);
        c->has_cx = true;
        return 0;
    }
    if (own == NULL || own[0] == '\0' || !is_own_daemon(c))
        return 0;
    if (asup_cx_parse(own, c->cx) != 0)
        return proto_error_set(err, -ASUP_EINVALID,
                               "$ASUPERSYNC_CX does not hold a capability: expected 32 "
                               "hexadecimal digits");
    c->has_cx = true;
    return 0;
}
