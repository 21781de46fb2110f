/* SPDX-License-Identifier: MIT */
/*
 * Writing traces. The file is written beside the one that it replaces and takes
 * its name at the end, so that whoever looks finds the old one or the new one,
 * whole. What is no regular file (a pipe, a device) is written as it is.
 *
 * The first failure is kept; after it nothing is written any more, so a caller
 * may leave all checks to trace_finish().
 */
#include "lab/trace_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <msgpack.h>

#include "lab/trace_layout.h"

struct trace_writer {
    FILE *file;
    char *path;  /* where it belongs; */
    char *aside; /* where it is until then; NULL: there already */
    uint64_t frames;
    int failed; /* errno of the first failure */
    msgpack_sbuffer meta;
    uint32_t meta_count;
    bool meta_done;
    struct durable_buffer bytes;
};

static int
failure(const struct trace_writer *w)
{
    if (w->failed == 0)
        return 0;
    errno = w->failed;
    return -ASUP_EUNAVAILABLE;
}

static void
fail(struct trace_writer *w, int code)
{
    if (w->failed == 0)
        w->failed = code != 0 ? code : EIO;
}

static void
put(struct trace_writer *w, const void *data, size_t size)
{
    if (w->failed == 0 && size > 0 && fwrite(data, 1, size, w->file) != size)
        fail(w, errno);
}

static void
frame(struct trace_writer *w, enum trace_frame_kind kind, const void *data, size_t size)
{
    uint8_t head[TRACE_HEAD_SIZE];
    uint8_t sum[TRACE_SUM_SIZE];

    if (size > UINT32_MAX) {
        fail(w, EFBIG);
        return;
    }
    head[0] = (uint8_t)kind;
    trace_put(head + 1, size, 4);
    trace_put(sum, trace_sum(w->frames, head, data, size), sizeof sum);
    put(w, head, sizeof head);
    put(w, data, size);
    put(w, sum, sizeof sum);
    w->frames++;
}

/* ---- Beginning --------------------------------------------------------------------- */

/* A name that nobody has, in the same directory; -1 with errno. */
static int
open_aside(struct trace_writer *w, mode_t mode)
{
    size_t size = strlen(w->path) + 32;

    w->aside = malloc(size);
    if (w->aside == NULL)
        return -1;
    for (unsigned i = 0; i < 1000; i++) {
        int fd;

        (void)snprintf(w->aside, size, "%s.new-%ld-%u", w->path, (long)getpid(), i);
        fd = open(w->aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static int
open_for(struct trace_writer *w, const char *path)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    int fd;

    /* Where a link leads, so that the link stays one. */
    w->path = there && S_ISREG(st.st_mode) ? realpath(path, NULL) : strdup(path);
    if (w->path == NULL)
        return -1;
    if (there && !S_ISREG(st.st_mode))
        return open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    fd = open_aside(w, 0666);
    if (fd >= 0 && there)
        (void)fchmod(fd, st.st_mode & 0777);
    return fd;
}

static void
writer_free(struct trace_writer *w)
{
    int kept = errno;

    msgpack_sbuffer_destroy(&w->meta);
    durable_buffer_fini(&w->bytes);
    free(w->path);
    free(w->aside);
    free(w);
    errno = kept;
}

struct trace_writer *
trace_create(const char *path)
{
    struct trace_writer *w = calloc(1, sizeof *w);
    int fd;

    if (w == NULL)
        return NULL;
    w->bytes.allocator.resize = trace_resize;
    msgpack_sbuffer_init(&w->meta);
    fd = open_for(w, path);
    if (fd >= 0)
        w->file = fdopen(fd, "wb");
    if (w->file == NULL) {
        int kept = errno;

        if (fd >= 0) {
            (void)close(fd);
            if (w->aside != NULL)
                (void)unlink(w->aside);
        }
        errno = kept;
        writer_free(w);
        return NULL;
    }
    put(w, TRACE_MAGIC, TRACE_MAGIC_SIZE - 1);
    put(w, (const char[]){TRACE_MAGIC_VERSION}, 1);
    trace_meta_number(w, "format", TRACE_VERSION);
    return w;
}

/* ---- What stands in it -------------------------------------------------------------- */

static void
meta_key(struct trace_writer *w, msgpack_packer *p, const char *key)
{
    must(!w->meta_done);
    msgpack_packer_init(p, &w->meta, msgpack_sbuffer_write);
    if (msgpack_pack_str(p, strlen(key)) != 0 || msgpack_pack_str_body(p, key, strlen(key)) != 0)
        fail(w, ENOMEM);
    w->meta_count++;
}

void
trace_meta_text(struct trace_writer *w, const char *key, const char *value)
{
    msgpack_packer p;

    meta_key(w, &p, key);
    if (msgpack_pack_str(&p, strlen(value)) != 0 ||
        msgpack_pack_str_body(&p, value, strlen(value)) != 0)
        fail(w, ENOMEM);
}

void
trace_meta_number(struct trace_writer *w, const char *key, uint64_t value)
{
    msgpack_packer p;

    meta_key(w, &p, key);
    if (msgpack_pack_uint64(&p, value) != 0)
        fail(w, ENOMEM);
}

/* The first of the other frames ends it. */
static void
meta_end(struct trace_writer *w)
{
    msgpack_sbuffer all;
    msgpack_packer p;

    if (w->meta_done)
        return;
    w->meta_done = true;
    msgpack_sbuffer_init(&all);
    msgpack_packer_init(&p, &all, msgpack_sbuffer_write);
    if (msgpack_pack_map(&p, w->meta_count) != 0 ||
        msgpack_sbuffer_write(&all, w->meta.data, w->meta.size) != 0)
        fail(w, ENOMEM);
    else if (all.size > TRACE_META_MOST || w->meta_count > TRACE_META_KEYS_MOST)
        fail(w, EFBIG);
    else
        frame(w, TRACE_META, all.data, all.size);
    msgpack_sbuffer_destroy(&all);
}

static int
gather(void *ctx, const void *data, size_t size)
{
    struct durable_buffer *b = ctx;
    void *items = b->data;

    if (!memory_reserve(&b->allocator, &items, &b->capacity, b->size + size, 1))
        return -ASUP_ENOMEM;
    b->data = items;
    memcpy(b->data + b->size, data, size);
    b->size += size;
    return 0;
}

int
trace_write_snapshot(struct trace_writer *w, const struct kernel *k)
{
    const struct durable_sink sink = {.write = gather, .ctx = &w->bytes};

    meta_end(w);
    w->bytes.size = 0;
    if (w->failed == 0 && kernel_save(k, &sink) != 0)
        fail(w, ENOMEM);
    if (w->failed == 0)
        frame(w, TRACE_SNAPSHOT, w->bytes.data, w->bytes.size);
    return failure(w);
}

int
trace_write_snapshot_bytes(struct trace_writer *w, struct bytes snapshot)
{
    meta_end(w);
    frame(w, TRACE_SNAPSHOT, snapshot.data, snapshot.size);
    return failure(w);
}

int
trace_write_event(struct trace_writer *w, const struct event *ev)
{
    meta_end(w);
    w->bytes.size = 0;
    if (w->failed == 0 && kernel_event_encode(ev, &w->bytes) != 0)
        fail(w, ENOMEM);
    if (w->failed == 0)
        frame(w, TRACE_EVENT, w->bytes.data, w->bytes.size);
    return failure(w);
}

int
trace_write_choice(struct trace_writer *w, const struct trace_choice *choice)
{
    uint8_t data[TRACE_CHOICE_SIZE];

    meta_end(w);
    data[0] = choice->kind;
    trace_put(data + 1, choice->taken, 4);
    trace_put(data + 5, choice->among, 4);
    frame(w, TRACE_CHOICE, data, sizeof data);
    return failure(w);
}

int
trace_write_text(struct trace_writer *w, uint64_t task, asup_time at, const char *text)
{
    uint8_t head[TRACE_TEXT_SIZE];

    meta_end(w);
    trace_put(head, task, 8);
    trace_put(head + 8, at, 8);
    w->bytes.size = 0;
    if (gather(&w->bytes, head, sizeof head) != 0 || gather(&w->bytes, text, strlen(text)) != 0)
        fail(w, ENOMEM);
    else
        frame(w, TRACE_TEXT, w->bytes.data, w->bytes.size);
    return failure(w);
}

int
trace_write_step(struct trace_writer *w)
{
    meta_end(w);
    frame(w, TRACE_STEP, NULL, 0);
    return failure(w);
}

/* ---- Ending --------------------------------------------------------------------------- */

/* So that the name is on disk as well; a file system that cannot say so is no failure. */
static void
sync_directory(const char *path)
{
    char *copy = strdup(path);
    char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
    int fd;

    if (copy == NULL)
        return;
    if (slash != NULL)
        slash[slash == copy ? 1 : 0] = '\0';
    fd = open(slash != NULL ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    free(copy);
}

int
trace_finish(struct trace_writer *w)
{
    uint8_t count[TRACE_END_SIZE];
    int rc;

    meta_end(w);
    trace_put(count, w->frames, sizeof count);
    frame(w, TRACE_END, count, sizeof count);
    if (w->failed == 0 && fflush(w->file) != 0)
        fail(w, errno);
    if (w->failed == 0 && w->aside != NULL && fsync(fileno(w->file)) != 0)
        fail(w, errno);
    if (fclose(w->file) != 0)
        fail(w, errno);
    if (w->aside != NULL) {
        if (w->failed == 0 && rename(w->aside, w->path) != 0)
            fail(w, errno);
        if (w->failed != 0)
            (void)unlink(w->aside);
        else
            sync_directory(w->path);
    }
    rc = failure(w);
    writer_free(w);
    return rc;
}

void
trace_abandon(struct trace_writer *w)
{
    if (w == NULL)
        return;
    (void)fclose(w->file);
    if (w->aside != NULL)
        (void)unlink(w->aside);
    writer_free(w);
}
