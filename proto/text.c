/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Size of the character that begins at data, 0 when it is no UTF-8. */
static size_t
character(const char *data, size_t size, uint32_t *code)
{
    const uint8_t *p = (const uint8_t *)data;
    size_t length = 0;
    uint32_t least = 0;

    if (p[0] < 0x80) {
        *code = p[0];
        return 1;
    }
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        length = 2;
        least = 0x80;
        *code = p[0] & 0x1fu;
    } else if ((p[0] & 0xf0) == 0xe0) {
        length = 3;
        least = 0x800;
        *code = p[0] & 0x0fu;
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        length = 4;
        least = 0x10000;
        *code = p[0] & 0x07u;
    }
    if (length == 0 || length > size)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3fu);
    }
    if (*code < least || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return length;
}

static bool
is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

bool
text_is_utf8(const char *data, size_t size)
{
    uint32_t code = 0;

    for (size_t i = 0; i < size;) {
        size_t length = character(data + i, size - i, &code);
        if (length == 0)
            return false;
        i += length;
    }
    return true;
}

bool
text_has_control(const char *data, size_t size)
{
    uint32_t code = 0;

    for (size_t i = 0; i < size;) {
        size_t length = character(data + i, size - i, &code);
        if (length == 0 || is_control(code))
            return true;
        i += length;
    }
    return false;
}

void
text_mend(char *text)
{
    size_t size = strlen(text);
    size_t begin = size;

    /* Back to the first byte of the last character. */
    while (begin > 0 && size - begin < 4 && ((uint8_t)text[begin - 1] & 0xc0) == 0x80)
        begin--;
    if (begin > 0 && (uint8_t)text[begin - 1] >= 0xc0)
        begin--;
    else
        return;
    uint32_t code = 0;
    if (character(text + begin, size - begin, &code) != size - begin)
        text[begin] = '\0';
}

const char *
text_quote(char *out, size_t out_size, const char *data, size_t size, size_t most)
{
    size_t at = 0;
    size_t i = 0;
    uint32_t code = 0;

    out[at++] = '"';
    while (i < size && i < most && at + 10 < out_size) {
        size_t length = character(data + i, size - i, &code);
        if (length == 0 || is_control(code)) {
            out[at++] = '?';
            i += length ? length : 1;
        } else {
            memcpy(out + at, data + i, length);
            at += length;
            i += length;
        }
    }
    (void)snprintf(out + at, out_size - at, "%s", i < size ? "\"..." : "\"");
    return out;
}
