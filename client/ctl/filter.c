/* SPDX-License-Identifier: MIT */
#include "filter.h"

#include <string.h>

/* The size of the colour sequence (ESC [ digits and ; m) at the start of the
 * bytes; 0 when there is none; -1 when it may yet become one. */
static int
color_sequence(const char *bytes, size_t size)
{
    size_t at = 1;

    if (size < 2)
        return -1;
    if (bytes[at++] != '[')
        return 0;
    while (at < size && at < 32 && strchr("0123456789;:", bytes[at]) != NULL && bytes[at] != '\0')
        at++;
    if (at == size)
        return -1;
    return bytes[at] == 'm' ? (int)at + 1 : 0;
}

/* Returns how many bytes were taken; fewer than `size` when the rest is not
 * complete and this is not the end. */
static size_t
filter_some(struct filter *f, struct text *out, const char *bytes, size_t size, bool end)
{
    size_t at = 0;

    while (at < size) {
        size_t plain = at;
        while (plain < size && bytes[plain] >= 0x20 && bytes[plain] < 0x7f)
            plain++;
        text_put(out, bytes + at, plain - at);
        at = plain;
        if (at == size)
            break;
        unsigned char byte = (unsigned char)bytes[at];
        if (byte == '\n' || byte == '\t' || byte == '\r') {
            /* A bare return would write over the line before it. */
            if (byte == '\r' && at + 1 == size && !end)
                return at;
            if (byte != '\r' || (at + 1 < size && bytes[at + 1] == '\n'))
                text_put(out, bytes + at, 1);
            else
                text_add(out, "\n");
            at++;
            continue;
        }
        if (byte == 0x1b) {
            int sequence = color_sequence(bytes + at, size - at);
            if (sequence < 0 && !end)
                return at;
            if (sequence > 0 && f->look.color)
                text_put(out, bytes + at, (size_t)sequence);
            else if (sequence <= 0)
                text_add(out, "\\x1b");
            at += sequence > 0 ? (size_t)sequence : 1;
            continue;
        }
        bool bad;
        size_t whole =
            byte < 0x80 ? 1 : utf8_valid(bytes + at, size - at > 4 ? 4 : size - at, &bad);
        if (byte >= 0x80 && whole == 0 && !bad && !end)
            return at;
        /* One character at a time: the next may be another thing. */
        size_t one = 1;
        while (one < whole && ((unsigned char)bytes[at + one] & 0xc0) == 0x80)
            one++;
        text_safe(out, &f->look, bytes + at, one);
        at += one;
    }
    return at;
}

void
filter_feed(struct filter *f, struct text *out, const char *bytes, size_t size, bool end)
{
    size_t taken;

    /* What was kept is short, and completed by few bytes: join them. */
    while (f->kept_size > 0 && (size > 0 || end)) {
        if (size > 0) {
            f->kept[f->kept_size++] = *bytes++;
            size--;
        }
        taken = filter_some(f, out, f->kept, f->kept_size, end && size == 0);
        memmove(f->kept, f->kept + taken, f->kept_size - taken);
        f->kept_size -= taken;
    }
    if (size == 0)
        return;
    taken = filter_some(f, out, bytes, size, end);
    f->kept_size = size - taken;
    memcpy(f->kept, bytes + taken, f->kept_size);
}
