/* SPDX-License-Identifier: MIT */
/*
 * Reading traces. Nothing that the file says of itself is believed: memory is
 * taken as bytes come, not as sizes promise, and every frame is checked before
 * what is in it is looked at.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/codec.h"
#include "lab/trace_file.h"
#include "lab/trace_layout.h"

enum { PIECE = 1 << 16 };

struct meta_row {
    char *key, *text;
    uint64_t number;
    bool is_number;
};

struct trace_reader {
    FILE *file;
    char *path;
    uint64_t at;       /* bytes read */
    uint64_t frame_at; /* where the frame begins */
    uint64_t frames;   /* read before it */
    bool ended;
    uint8_t *data; /* of the frame */
    size_t capacity;
    struct durable_buffer scratch;
    struct meta_row *meta;
    size_t meta_count;
    char *why;
    size_t why_size;
};

#define CUT "is it whole? A recording that was cut off cannot be completed: record it again"
#define DAMAGED "it is damaged: take a good copy, or record it again"

/* ---- Complaints ------------------------------------------------------------------------ */

__attribute__((format(printf, 3, 4))) static int
complain(struct trace_reader *r, int code, const char *format, ...)
{
    va_list args;
    int size = snprintf(r->why, r->why_size, "%s: ", r->path);

    if (size >= 0 && (size_t)size < r->why_size) {
        va_start(args, format);
        (void)vsnprintf(r->why + size, r->why_size - (size_t)size, format, args);
        va_end(args);
    }
    return code;
}

static int
complain_errno(struct trace_reader *r)
{
    int kept = errno != 0 ? errno : EIO;

    (void)complain(r, 0, "cannot be read: %s", strerror(kept));
    errno = kept;
    return -ASUP_EUNAVAILABLE;
}

static int
no_memory(struct trace_reader *r)
{
    (void)complain(r, 0, "no memory for the frame at byte %llu", (unsigned long long)r->frame_at);
    errno = ENOMEM;
    return -ASUP_EUNAVAILABLE;
}

__attribute__((format(printf, 2, 3))) static int
malformed(struct trace_reader *r, const char *format, ...)
{
    char what[160];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return complain(r, -ASUP_EMALFORMED, "at byte %llu (frame %llu): %s; " DAMAGED,
                    (unsigned long long)r->frame_at, (unsigned long long)r->frames, what);
}

/* ---- Bytes ------------------------------------------------------------------------------ */

/* So many bytes, or as many as there are: then *got is less. */
static int
take(struct trace_reader *r, void *to, size_t size, size_t *got)
{
    errno = 0;
    *got = fread(to, 1, size, r->file);
    r->at += *got;
    return *got < size && ferror(r->file) ? complain_errno(r) : 0;
}

static int
frame_data(struct trace_reader *r, size_t size)
{
    size_t have = 0;

    while (have < size || r->data == NULL) {
        size_t want = size - have < PIECE + have ? size - have : PIECE + have;
        size_t got;
        int rc;

        if (r->capacity < have + want || r->data == NULL) {
            uint8_t *data = realloc(r->data, have + want + 1);

            if (data == NULL)
                return no_memory(r);
            r->data = data;
            r->capacity = have + want;
        }
        rc = take(r, r->data + have, want, &got);
        if (rc != 0)
            return rc;
        if (got < want)
            return complain(r, -ASUP_EMALFORMED,
                            "ends at byte %llu, within the frame at byte %llu, which says it has "
                            "%zu bytes: " CUT,
                            (unsigned long long)r->at, (unsigned long long)r->frame_at, size);
        have += got;
    }
    return 0;
}

/* Kind and bytes of the next frame, checked. 1; 0: the file ends before it. */
static int
frame_read(struct trace_reader *r, uint8_t *kind, size_t *size)
{
    uint8_t head[TRACE_HEAD_SIZE];
    uint8_t sum[TRACE_SUM_SIZE];
    size_t got;
    int rc;

    r->frame_at = r->at;
    rc = take(r, head, sizeof head, &got);
    if (rc != 0 || got == 0)
        return rc;
    if (got == sizeof head) {
        *kind = head[0];
        *size = (size_t)trace_get(head + 1, 4);
        rc = frame_data(r, *size);
        if (rc == 0)
            rc = take(r, sum, sizeof sum, &got);
        if (rc != 0)
            return rc;
    }
    if (got < sizeof sum)
        return complain(r, -ASUP_EMALFORMED,
                        "ends at byte %llu, within the frame at byte %llu: " CUT,
                        (unsigned long long)r->at, (unsigned long long)r->frame_at);
    if (!check_agrees(trace_get(sum, sizeof sum), trace_sum(r->frames, head, r->data, *size)))
        return malformed(r, "the check sum is not that of its bytes");
    return 1;
}

/* ---- META -------------------------------------------------------------------------------- */

/* One flat msgpack map: read by hand, since sizes that it claims shall cost nothing. */
struct meta_in {
    const uint8_t *at, *end;
    bool wrong;
};

static uint64_t
meta_uint(struct meta_in *in, size_t size)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->at) < size) {
        in->wrong = true;
        return 0;
    }
    for (; size > 0; size--)
        value = value << 8 | *in->at++;
    return value;
}

/* A text, NULL: it is none, or there is no memory. */
static char *
meta_text_of(struct meta_in *in, uint8_t first)
{
    uint64_t size = first & 0x1F;
    char *text = NULL;

    if (first >= 0xD9 && first <= 0xDB)
        size = meta_uint(in, (size_t)1 << (first - 0xD9));
    else if ((first & 0xE0) != 0xA0)
        in->wrong = true;
    if (in->wrong || size > (uint64_t)(in->end - in->at) || memchr(in->at, '\0', size) != NULL) {
        in->wrong = true;
        return NULL;
    }
    text = strndup((const char *)in->at, size);
    in->at += size;
    return text;
}

static void
meta_row(struct meta_in *in, struct meta_row *row)
{
    uint8_t first;
    char digits[24];

    row->key = meta_text_of(in, (uint8_t)meta_uint(in, 1));
    first = (uint8_t)meta_uint(in, 1);
    row->is_number = first < 0x80 || (first >= 0xCC && first <= 0xCF);
    if (!row->is_number) {
        row->text = meta_text_of(in, first);
        return;
    }
    row->number = first < 0x80 ? first : meta_uint(in, (size_t)1 << (first - 0xCC));
    (void)snprintf(digits, sizeof digits, "%llu", (unsigned long long)row->number);
    row->text = strdup(digits);
}

static int
meta_read(struct trace_reader *r, size_t size)
{
    struct meta_in in = {.at = r->data, .end = r->data + size};
    uint8_t first = (uint8_t)meta_uint(&in, 1);
    uint64_t count = first & 0x0F;

    if (first == 0xDE || first == 0xDF)
        count = meta_uint(&in, first == 0xDE ? 2 : 4);
    else if ((first & 0xF0) != 0x80)
        in.wrong = true;
    if (in.wrong || count > TRACE_META_KEYS_MOST)
        return malformed(r, "its metadata is no map");
    r->meta = calloc(count + 1, sizeof r->meta[0]);
    if (r->meta == NULL)
        return no_memory(r);
    for (; r->meta_count < count && !in.wrong; r->meta_count++) {
        struct meta_row *row = &r->meta[r->meta_count];

        meta_row(&in, row);
        if (!in.wrong && (row->key == NULL || row->text == NULL))
            return r->meta_count++, no_memory(r);
    }
    if (in.wrong || in.at != in.end)
        return malformed(r, "its metadata is not a map of texts to texts and numbers");
    return 0;
}

static const struct meta_row *
meta_find(const struct trace_reader *r, const char *key)
{
    for (size_t i = 0; i < r->meta_count; i++) {
        if (strcmp(r->meta[i].key, key) == 0)
            return &r->meta[i];
    }
    return NULL;
}

const char *
trace_meta(const struct trace_reader *r, const char *key)
{
    const struct meta_row *row = meta_find(r, key);

    return row != NULL ? row->text : NULL;
}

bool
trace_meta_number_of(const struct trace_reader *r, const char *key, uint64_t *out)
{
    const struct meta_row *row = meta_find(r, key);

    if (row == NULL || !row->is_number)
        return false;
    *out = row->number;
    return true;
}

const char *
trace_meta_at(const struct trace_reader *r, size_t i, const char **value, bool *is_number)
{
    if (i >= r->meta_count)
        return NULL;
    *value = r->meta[i].text;
    *is_number = r->meta[i].is_number;
    return r->meta[i].key;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int
other_version(struct trace_reader *r, unsigned long long version)
{
    return complain(r, -ASUP_EUNSUPPORTED,
                    "is a trace of version %llu, and this program reads version %d: use the "
                    "version of asupersync-lab that wrote it, or a newer one",
                    version, TRACE_VERSION);
}

static int
magic_read(struct trace_reader *r)
{
    char magic[TRACE_MAGIC_SIZE];
    size_t got;
    int rc = take(r, magic, sizeof magic, &got);

    if (rc != 0)
        return rc;
    if (got == 0)
        return complain(r, -ASUP_EMALFORMED, "is empty: " CUT);
    if (memcmp(magic, TRACE_MAGIC, got < TRACE_MAGIC_SIZE ? got : TRACE_MAGIC_SIZE - 1) != 0)
        return complain(r, -ASUP_EMALFORMED,
                        "is no trace: it does not begin with \"" TRACE_MAGIC "\"");
    if (got < sizeof magic)
        return complain(r, -ASUP_EMALFORMED, "ends at byte %zu, within its first word: " CUT, got);
    if (magic[TRACE_MAGIC_SIZE - 1] > '0' && magic[TRACE_MAGIC_SIZE - 1] <= '9' &&
        magic[TRACE_MAGIC_SIZE - 1] != TRACE_MAGIC_VERSION)
        return other_version(r, (unsigned long long)(magic[TRACE_MAGIC_SIZE - 1] - '0'));
    if (magic[TRACE_MAGIC_SIZE - 1] != TRACE_MAGIC_VERSION)
        return complain(r, -ASUP_EMALFORMED, "byte 7 is no version; " DAMAGED);
    return 0;
}

static int
begin(struct trace_reader *r)
{
    uint64_t version;
    uint8_t kind = 0;
    size_t size = 0;
    int rc = magic_read(r);

    if (rc == 0) {
        rc = frame_read(r, &kind, &size);
        if (rc == 0)
            rc = complain(r, -ASUP_EMALFORMED, "ends at byte %llu, before its metadata: " CUT,
                          (unsigned long long)r->at);
    }
    if (rc < 0)
        return rc;
    if (kind != TRACE_META || size > TRACE_META_MOST)
        return malformed(r, "it does not begin with metadata");
    rc = meta_read(r, size);
    if (rc != 0)
        return rc;
    if (!trace_meta_number_of(r, "format", &version))
        return malformed(r, "its metadata does not say its format");
    if (version != TRACE_VERSION)
        return other_version(r, version);
    r->frames = 1;
    return 0;
}

int
trace_open_stream(FILE *file, const char *name, struct trace_reader **out, char *why,
                  size_t why_size)
{
    struct trace_reader *r = calloc(1, sizeof *r);
    int rc;

    if (r != NULL)
        r->path = strdup(name);
    if (r == NULL || r->path == NULL) {
        free(r);
        (void)snprintf(why, why_size, "%s: no memory", name);
        errno = ENOMEM;
        return -ASUP_EUNAVAILABLE;
    }
    r->why = why;
    r->why_size = why_size;
    r->scratch.allocator.resize = trace_resize;
    r->file = file;
    rc = begin(r);
    if (rc != 0) {
        int kept = errno;

        r->file = NULL; /* still the caller's */
        trace_close(r);
        errno = kept;
        return rc;
    }
    *out = r;
    return 0;
}

int
trace_open(const char *path, struct trace_reader **out, char *why, size_t why_size)
{
    FILE *file = fopen(path, "rbe");
    int rc;

    if (file == NULL) {
        int kept = errno;

        (void)snprintf(why, why_size, "%s: cannot be read: %s", path, strerror(kept));
        errno = kept;
        return -ASUP_EUNAVAILABLE;
    }
    rc = trace_open_stream(file, path, out, why, why_size);
    if (rc != 0) {
        int kept = errno;

        (void)fclose(file);
        errno = kept;
    }
    return rc;
}

void
trace_close(struct trace_reader *r)
{
    if (r == NULL)
        return;
    if (r->file != NULL)
        (void)fclose(r->file);
    for (size_t i = 0; i < r->meta_count; i++) {
        free(r->meta[i].key);
        free(r->meta[i].text);
    }
    free(r->meta);
    durable_buffer_fini(&r->scratch);
    free(r->data);
    free(r->path);
    free(r);
}

/* ---- Frames ---------------------------------------------------------------------------------- */

static int
event_read(struct trace_reader *r, size_t size, struct event *ev)
{
    int rc = kernel_event_decode((struct bytes){r->data, size}, &r->scratch, ev);

    switch (rc) {
    case 0:
        return 0;
    case -ASUP_ENOMEM:
        return no_memory(r);
    case -ASUP_EUNSUPPORTED:
        return complain(r, -ASUP_EUNSUPPORTED,
                        "at byte %llu (frame %llu): an event that a newer version wrote: use the "
                        "version of asupersync-lab that wrote it, or a newer one",
                        (unsigned long long)r->frame_at, (unsigned long long)r->frames);
    default:
        return malformed(r, "it holds no event");
    }
}

static int
end_read(struct trace_reader *r, size_t size)
{
    uint8_t more;
    size_t got;
    int rc;

    if (size != TRACE_END_SIZE || trace_get(r->data, TRACE_END_SIZE) != r->frames)
        return malformed(r, "the end does not count the frames before it");
    rc = take(r, &more, 1, &got);
    if (rc != 0)
        return rc;
    if (got != 0)
        return malformed(r, "something follows the end");
    r->ended = true;
    return 0;
}

static int
frame_take(struct trace_reader *r, uint8_t kind, size_t size, struct trace_frame *out)
{
    *out = (struct trace_frame){.kind = (enum trace_frame_kind)kind};
    switch (kind) {
    case TRACE_SNAPSHOT:
        out->data = (struct bytes){size > 0 ? r->data : (const void *)"", size};
        return 1;
    case TRACE_EVENT: {
        int rc = event_read(r, size, &out->event);

        return rc == 0 ? 1 : rc;
    }
    case TRACE_CHOICE:
        if (size != TRACE_CHOICE_SIZE)
            return malformed(r, "a choice of %zu bytes", size);
        out->choice = (struct trace_choice){
            .kind = r->data[0],
            .taken = (uint32_t)trace_get(r->data + 1, 4),
            .among = (uint32_t)trace_get(r->data + 5, 4),
        };
        return 1;
    case TRACE_TEXT:
        if (size < TRACE_TEXT_SIZE)
            return malformed(r, "a text of %zu bytes", size);
        out->task = trace_get(r->data, 8);
        out->at = trace_get(r->data + 8, 8);
        out->data = (struct bytes){r->data + TRACE_TEXT_SIZE, size - TRACE_TEXT_SIZE};
        return 1;
    case TRACE_STEP:
        return size == 0 ? 1 : malformed(r, "the end of a step of %zu bytes", size);
    case TRACE_END:
        return end_read(r, size);
    case TRACE_META:
        return malformed(r, "metadata once more");
    default:
        return complain(r, -ASUP_EUNSUPPORTED,
                        "at byte %llu (frame %llu): a frame of kind %u, which this version does "
                        "not know: use the version of asupersync-lab that wrote it, or a newer one",
                        (unsigned long long)r->frame_at, (unsigned long long)r->frames, kind);
    }
}

int
trace_next(struct trace_reader *r, struct trace_frame *out, char *why, size_t why_size)
{
    uint8_t kind = 0;
    size_t size = 0;
    int rc;

    if (r->ended)
        return 0;
    r->why = why;
    r->why_size = why_size;
    rc = frame_read(r, &kind, &size);
    if (rc == 0)
        return complain(r, -ASUP_EMALFORMED,
                        "ends at byte %llu, after %llu frames, unfinished: " CUT,
                        (unsigned long long)r->at, (unsigned long long)r->frames);
    if (rc > 0)
        rc = frame_take(r, kind, size, out);
    if (rc > 0)
        r->frames++;
    return rc;
}
