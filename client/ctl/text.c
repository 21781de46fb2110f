/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)

void *
must_alloc(void *pointer, size_t size)
{
    void *fresh = realloc(pointer, size);

    if (fresh == NULL) {
        fputs("asupersyncctl: out of memory\n", stderr);
        exit(125);
    }
    return fresh;
}

char *
must_copy(const char *string)
{
    size_t size = strlen(string) + 1;

    return memcpy(must_alloc(NULL, size), string, size);
}

/* ---- The buffer -------------------------------------------------------------- */

void
text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

static void
text_reserve(struct text *t, size_t more)
{
    size_t needed = t->size + more + 1;

    if (t->data != NULL && needed <= t->capacity)
        return;
    t->capacity = needed < 128 ? 128 : needed * 2;
    t->data = must_alloc(t->data, t->capacity);
    t->data[t->size] = '\0';
}

void
text_put(struct text *t, const void *bytes, size_t size)
{
    text_reserve(t, size);
    if (size > 0)
        memcpy(t->data + t->size, bytes, size);
    t->size += size;
    t->data[t->size] = '\0';
}

void
text_add(struct text *t, const char *string)
{
    text_put(t, string, strlen(string));
}

void
text_addf(struct text *t, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (size < 0)
        return;
    text_reserve(t, (size_t)size);
    va_start(args, format);
    vsnprintf(t->data + t->size, (size_t)size + 1, format, args);
    va_end(args);
    t->size += (size_t)size;
}

/* ---- UTF-8 -------------------------------------------------------------------- */

/* Decode one character. Returns its length; 0 when it is wrong; -1 when the
 * bytes end inside it. */
static int
utf8_next(const unsigned char *bytes, size_t size, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = bytes[0] < 0x80             ? 1
                 : (bytes[0] & 0xe0) == 0xc0 ? 2
                 : (bytes[0] & 0xf0) == 0xe0 ? 3
                 : (bytes[0] & 0xf8) == 0xf0 ? 4
                                             : 0;

    if (length == 0)
        return 0;
    uint32_t value = length == 1 ? bytes[0] : bytes[0] & (0x7fu >> length);
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= size)
            return -1;
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (bytes[i] & 0x3f);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *code = value;
    return length;
}

size_t
utf8_valid(const char *bytes, size_t size, bool *bad)
{
    size_t at = 0;
    uint32_t code;

    *bad = false;
    while (at < size) {
        int length = utf8_next((const unsigned char *)bytes + at, size - at, &code);
        if (length <= 0) {
            *bad = length == 0;
            break;
        }
        at += (size_t)length;
    }
    return at;
}

/* Characters that do something other than stand there: controls, marks that
 * reorder text, separators of lines. */
static bool
code_acts(uint32_t code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0xad || code == 0x61c ||
           (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2060 && code <= 0x206f) || code == 0xfeff ||
           (code >= 0xfff9 && code <= 0xfffb) || (code >= 0xe0000 && code <= 0xe007f);
}

void
text_safe(struct text *t, const struct look *look, const char *string, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)string;
    size_t at = 0;

    text_reserve(t, size);
    while (at < size) {
        uint32_t code = 0;
        int length = utf8_next(bytes + at, size - at, &code);
        if (length <= 0) {
            text_addf(t, "\\x%02x", bytes[at]);
            at++;
            continue;
        }
        if (code == '\n')
            text_add(t, "\\n");
        else if (code == '\t')
            text_add(t, "\\t");
        else if (code < 0x80 && code_acts(code))
            text_addf(t, "\\x%02x", (unsigned)code);
        else if (code_acts(code) || (code >= 0x80 && !look->utf8))
            text_addf(t, "\\u{%x}", (unsigned)code);
        else
            text_put(t, bytes + at, (size_t)length);
        at += (size_t)length;
    }
}

void
text_paint(struct text *t, const struct look *look, enum paint paint, const char *string)
{
    static const char *const sequences[] = {
        [PAINT_GOOD] = "\033[32m", [PAINT_BUSY] = "\033[36m",  [PAINT_ENDING] = "\033[33m",
        [PAINT_BAD] = "\033[31m",  [PAINT_STRONG] = "\033[1m", [PAINT_FAINT] = "\033[2m"};

    if (!look->color || paint == PAINT_NONE) {
        text_add(t, string);
        return;
    }
    text_add(t, sequences[paint]);
    text_add(t, string);
    text_add(t, "\033[0m");
}

/* Columns of one character: none for marks that join the one before, two for
 * East Asian letters and pictures. */
static unsigned
code_columns(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } wide[] = {{0x1100, 0x115f},   {0x2e80, 0xa4cf},  {0xac00, 0xd7a3}, {0xf900, 0xfaff},
                {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
                {0x1f680, 0x1faff}, {0x20000, 0x3fffd}};

    if ((code >= 0x300 && code <= 0x36f) || (code >= 0xfe00 && code <= 0xfe0f))
        return 0;
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        if (code >= wide[i].first && code <= wide[i].last)
            return 2;
    }
    return 1;
}

/* The size of what stands at the start of harmless text, a colour sequence or
 * one character, and its columns. */
static size_t
next_shown(const char *bytes, size_t size, unsigned *columns)
{
    uint32_t code = 0;

    *columns = 0;
    if (bytes[0] == '\033') {
        const char *end = memchr(bytes, 'm', size);
        return end != NULL ? (size_t)(end - bytes) + 1 : size;
    }
    int length = utf8_next((const unsigned char *)bytes, size, &code);
    *columns = length > 0 ? code_columns(code) : 1;
    return length > 0 ? (size_t)length : 1;
}

size_t
text_columns(const char *bytes, size_t size)
{
    size_t columns = 0;

    for (size_t at = 0; at < size;) {
        unsigned one;
        at += next_shown(bytes + at, size - at, &one);
        columns += one;
    }
    return columns;
}

void
text_pad(struct text *t, size_t start, size_t columns)
{
    size_t have = text_columns(t->data == NULL ? "" : t->data + start, t->size - start);

    for (; have < columns; have++)
        text_add(t, " ");
}

void
text_cut(struct text *t, size_t start, const struct look *look)
{
    size_t columns = 0;
    size_t at = start;

    if (look->width == 0 || text_columns(t->data + start, t->size - start) <= look->width)
        return;
    while (at < t->size) {
        unsigned one;
        size_t size = next_shown(t->data + at, t->size - at, &one);
        if (columns + one + 1 > look->width)
            break;
        columns += one;
        at += size;
    }
    t->size = at;
    text_add(t, look->utf8 ? "\xe2\x80\xa6" : ">");
    if (look->color)
        text_add(t, "\033[0m");
}

/* ---- What people read ----------------------------------------------------------- */

void
text_span(struct text *t, uint64_t ns)
{
    uint64_t ms = ns / 1000000;
    uint64_t s = ns / NS_PER_S;

    if (ns == UINT64_MAX)
        text_add(t, "for ever");
    else if (ns > 0 && ms == 0)
        text_addf(t, "%uus", (unsigned)(ns / 1000));
    else if (ms < 1000)
        text_addf(t, "%ums", (unsigned)ms);
    else if (s < 10)
        text_addf(t, "%u.%us", (unsigned)s, (unsigned)(ms % 1000 / 100));
    else if (s < 60)
        text_addf(t, "%us", (unsigned)s);
    else if (s < 3600)
        text_addf(t, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (s < 86400)
        text_addf(t, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s % 3600 / 60));
    else
        text_addf(t, "%llud%02uh", (unsigned long long)(s / 86400), (unsigned)(s % 86400 / 3600));
}

void
text_bytes(struct text *t, uint64_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned unit = 0;
    uint64_t rest = 0;

    while (size >= 1024 && unit < 6) {
        rest = size % 1024;
        size /= 1024;
        unit++;
    }
    if (unit == 0 || size >= 100)
        text_addf(t, "%u %s", (unsigned)size, units[unit]);
    else
        text_addf(t, "%u.%u %s", (unsigned)size, (unsigned)(rest * 10 / 1024), units[unit]);
}

void
text_clock(struct text *t, uint64_t wall_ns)
{
    time_t seconds = (time_t)(wall_ns / NS_PER_S);
    struct tm tm;
    char clock[16];

    if (localtime_r(&seconds, &tm) == NULL || strftime(clock, sizeof clock, "%H:%M:%S", &tm) == 0)
        return;
    text_addf(t, "%s.%03u", clock, (unsigned)(wall_ns % NS_PER_S / 1000000));
}

void
text_signal(struct text *t, int number)
{
    const char *name = number > 0 ? sigabbrev_np(number) : NULL;

    if (name != NULL)
        text_addf(t, "SIG%s", name);
    else
        text_addf(t, "signal %d", number);
}

unsigned
text_distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    unsigned row[3][LONGEST + 1];

    if (a_size > LONGEST || b_size > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b_size; j++)
        row[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *now = row[i % 3];
        const unsigned *before = row[(i + 2) % 3];
        const unsigned *earlier = row[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best)
                best = before[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                earlier[j - 2] + 1 < best)
                best = earlier[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[a_size % 3][b_size];
}

/* ---- Base64 ------------------------------------------------------------------------ */

static const char base64_letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *
base64_encode(const void *bytes, size_t size)
{
    const unsigned char *in = bytes;
    char *out = must_alloc(NULL, (size + 2) / 3 * 4 + 1);
    char *at = out;

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t group = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) |
                         (left > 2 ? in[i + 2] : 0);
        *at++ = base64_letters[group >> 18];
        *at++ = base64_letters[group >> 12 & 63];
        *at++ = left > 1 ? base64_letters[group >> 6 & 63] : '=';
        *at++ = left > 2 ? base64_letters[group & 63] : '=';
    }
    *at = '\0';
    return out;
}

unsigned char *
base64_decode(const char *string, size_t *size)
{
    size_t length = strlen(string);
    unsigned char *out = must_alloc(NULL, length / 4 * 3 + 1);
    size_t count = 0;

    if (length % 4 != 0)
        goto wrong;
    for (size_t i = 0; i < length; i += 4) {
        uint32_t group = 0;
        unsigned pads = 0;
        for (size_t j = 0; j < 4; j++) {
            const char *letter = strchr(base64_letters, string[i + j]);
            if (string[i + j] == '=' && j >= 2 && i + 4 == length)
                pads++;
            else if (letter == NULL || pads > 0)
                goto wrong;
            group = group << 6 | (string[i + j] == '=' ? 0 : (uint32_t)(letter - base64_letters));
        }
        out[count++] = (unsigned char)(group >> 16);
        if (pads < 2)
            out[count++] = (unsigned char)(group >> 8);
        if (pads < 1)
            out[count++] = (unsigned char)group;
    }
    *size = count;
    return out;
wrong:
    free(out);
    return NULL;
}
