/* SPDX-License-Identifier: MIT */
/*
 * Named computations a second: put in, taken out, finished, in batches.
 *
 *   bench-calls beanstalkd PORT COUNT BATCH
 *       delete what was reserved before, put, reserve: a batch of each in one write
 *   bench-calls asupersyncd SOCKET COUNT BATCH REGION
 *       submit in a batch; take, and say with it what has ended, in one worker.next: both in one
 *       write
 *   bench-calls owe SOCKET COUNT BATCH REGION
 *       owe as many obligations until standard input ends
 *
 * One client, which is producer and worker at once, and jobs of 8 bytes, so that
 * only the server differs. Prints one JSON object.
 */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <msgpack.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { BATCH_MAX = 1024, LINE_MAX_SIZE = 64 };

static double
seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void
fail(const char *what)
{
    fprintf(stderr, "bench-calls: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- beanstalkd ----------------------------------------------------------------- */

struct lines {
    int fd;
    size_t used, taken;
    char data[BATCH_MAX * 4 * LINE_MAX_SIZE];
};

static void
lines_send(struct lines *l, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(l->fd, text, size);

        if (n <= 0)
            fail("write");
        text += n;
        size -= (size_t)n;
    }
}

/* The next line of the answer, without its end. */
static char *
lines_next(struct lines *l)
{
    for (;;) {
        char *start = l->data + l->taken;
        char *end = memchr(start, '\n', l->used - l->taken);
        ssize_t n;

        if (end != NULL) {
            l->taken = (size_t)(end + 1 - l->data);
            end[end > start && end[-1] == '\r' ? -1 : 0] = '\0';
            return start;
        }
        memmove(l->data, start, l->used - l->taken);
        l->used -= l->taken;
        l->taken = 0;
        n = read(l->fd, l->data + l->used, sizeof l->data - l->used);
        if (n <= 0)
            fail("read");
        l->used += (size_t)n;
    }
}

static void
lines_expect(struct lines *l, const char *word)
{
    const char *line = lines_next(l);

    if (strncmp(line, word, strlen(word)) != 0) {
        fprintf(stderr, "bench-calls: beanstalkd said \"%s\", not %s\n", line, word);
        exit(1);
    }
}

/* What is at hand is deleted; as many others are put and reserved. */
static void
beanstalkd_batch(struct lines *l, unsigned batch)
{
    static char out[BATCH_MAX * 3 * LINE_MAX_SIZE];
    static unsigned long long ids[BATCH_MAX];
    unsigned at_hand = ids[0] ? batch : 0;
    size_t size = 0;

    for (unsigned i = 0; i < at_hand; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "delete %llu\r\n", ids[i]);
    for (unsigned i = 0; i < batch; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "put 0 0 60 8\r\n%08u\r\n", i);
    for (unsigned i = 0; i < batch; i++)
        size += (size_t)snprintf(out + size, LINE_MAX_SIZE, "reserve\r\n");
    lines_send(l, out, size);
    for (unsigned i = 0; i < at_hand; i++)
        lines_expect(l, "DELETED");
    for (unsigned i = 0; i < batch; i++)
        lines_expect(l, "INSERTED");
    for (unsigned i = 0; i < batch; i++) {
        const char *line = lines_next(l);

        if (strncmp(line, "RESERVED ", 9) != 0)
            fail(line);
        ids[i] = strtoull(line + 9, NULL, 10);
        (void)lines_next(l); /* its body */
    }
}

static void
beanstalkd(unsigned port, unsigned count, unsigned batch)
{
    static struct lines lines;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    double from;

    lines.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (lines.fd < 0 || connect(lines.fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail("connect");
    setsockopt(lines.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    beanstalkd_batch(&lines, batch); /* warm */
    from = seconds();
    for (unsigned done = 0; done < count; done += batch)
        beanstalkd_batch(&lines, batch);
    printf("{\"seconds\": %.6f, \"count\": %u}\n", seconds() - from,
           (count + batch - 1) / batch * batch);
    close(lines.fd);
}

/* ---- asupersyncd: asupersync-protocol(7), by hand ------------------------------------ */

struct peer {
    int fd;
    uint64_t request, answered;
    unsigned char secret[16];
    size_t begun; /* where in `out` the message begins that is being packed */
    msgpack_sbuffer out;
    msgpack_packer pack;
    char *in;
    size_t in_capacity;
    msgpack_unpacked reply;
};

static void
peer_read(struct peer *p, void *data, size_t size)
{
    for (char *at = data; size > 0;) {
        ssize_t n = read(p->fd, at, size);

        if (n <= 0)
            fail("read");
        at += n;
        size -= (size_t)n;
    }
}

static void
pack_text(struct peer *p, const char *text)
{
    size_t size = strlen(text);

    msgpack_pack_str(&p->pack, size);
    msgpack_pack_str_body(&p->pack, text, size);
}

enum { HEAD_SIZE = 13 };

static void
peer_begin(struct peer *p, const char *op)
{
    static const unsigned char none[16];
    static const char head[HEAD_SIZE];

    p->begun = p->out.size;
    msgpack_sbuffer_write(&p->out, head, sizeof head);
    msgpack_pack_array(&p->pack, 6);
    msgpack_pack_uint64(&p->pack, 1);
    msgpack_pack_uint64(&p->pack, ++p->request);
    if (memcmp(p->secret, none, sizeof none) == 0) {
        msgpack_pack_nil(&p->pack);
    } else {
        msgpack_pack_bin(&p->pack, sizeof p->secret);
        msgpack_pack_bin_body(&p->pack, p->secret, sizeof p->secret);
    }
    msgpack_pack_nil(&p->pack);
    pack_text(p, op);
}

static const msgpack_object *
member(const msgpack_object *map, const char *key)
{
    for (uint32_t i = 0; map->type == MSGPACK_OBJECT_MAP && i < map->via.map.size; i++) {
        const msgpack_object_kv *kv = &map->via.map.ptr[i];

        if (kv->key.via.str.size == strlen(key) &&
            memcmp(kv->key.via.str.ptr, key, strlen(key)) == 0)
            return &kv->val;
    }
    fprintf(stderr, "bench-calls: the answer has no %s\n", key);
    exit(1);
}

/* The message is packed; it goes with the next that is waited for. */
static void
peer_end(struct peer *p)
{
    char *head = p->out.data + p->begun;
    uint64_t size = htobe64(p->out.size - p->begun - HEAD_SIZE + 4);
    uint32_t number = htobe32(0x80000000U | (uint32_t)p->request);

    head[0] = 1;
    memcpy(head + 1, &size, 8);
    memcpy(head + 9, &number, 4);
}

/* Send what was packed, and wait for the body of the first answer that is due. */
static const msgpack_object *
peer_wait(struct peer *p)
{
    unsigned char head[HEAD_SIZE];
    uint64_t size;

    for (size_t offset = 0; offset < p->out.size;) {
        ssize_t n = send(p->fd, p->out.data + offset, p->out.size - offset, 0);

        if (n <= 0)
            fail("send");
        offset += (size_t)n;
    }
    msgpack_sbuffer_clear(&p->out);
    peer_read(p, head, sizeof head);
    memcpy(&size, head + 1, 8);
    size = be64toh(size) - 4;
    if (size > p->in_capacity) {
        p->in_capacity = size * 2;
        p->in = realloc(p->in, p->in_capacity);
        if (p->in == NULL)
            fail("memory");
    }
    peer_read(p, p->in, size);
    msgpack_unpacked_destroy(&p->reply);
    msgpack_unpacked_init(&p->reply);
    if (msgpack_unpack_next(&p->reply, p->in, size, NULL) != MSGPACK_UNPACK_SUCCESS)
        fail("unpack");
    if (p->reply.data.via.array.ptr[1].via.u64 != ++p->answered ||
        p->reply.data.via.array.ptr[2].via.i64 != 0) {
        msgpack_object_print(stderr, p->reply.data);
        fputc('\n', stderr);
        exit(1);
    }
    return &p->reply.data.via.array.ptr[3];
}

static const msgpack_object *
peer_ask(struct peer *p)
{
    peer_end(p);
    return peer_wait(p);
}

static void
peer_open(struct peer *p, const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    unsigned char hello[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    const msgpack_object *secret;

    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    p->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->fd < 0 || connect(p->fd, (struct sockaddr *)&to, sizeof to) != 0)
        fail(path);
    if (write(p->fd, hello, sizeof hello) != (ssize_t)sizeof hello)
        fail("write");
    peer_read(p, hello, sizeof hello);
    msgpack_sbuffer_init(&p->out);
    msgpack_packer_init(&p->pack, &p->out, msgpack_sbuffer_write);
    msgpack_unpacked_init(&p->reply);
    peer_begin(p, "session.hello");
    msgpack_pack_map(&p->pack, 0);
    secret = member(peer_ask(p), "secret");
    memcpy(p->secret, secret->via.bin.ptr, sizeof p->secret);
}

static void
offer(struct peer *p, const char *region, unsigned batch)
{
    peer_begin(p, "worker.offer");
    msgpack_pack_map(&p->pack, 3);
    pack_text(p, "names");
    msgpack_pack_array(&p->pack, 1);
    pack_text(p, "work");
    pack_text(p, "region");
    pack_text(p, region);
    pack_text(p, "concurrency");
    msgpack_pack_unsigned_int(&p->pack, batch);
    (void)peer_ask(p);
}

/* Its answer is waited for apart. */
static void
submit(struct peer *p, const char *region, unsigned batch)
{
    peer_begin(p, "batch");
    msgpack_pack_map(&p->pack, 1);
    pack_text(p, "ops");
    msgpack_pack_array(&p->pack, batch);
    for (unsigned i = 0; i < batch; i++) {
        msgpack_pack_array(&p->pack, 3);
        msgpack_pack_nil(&p->pack);
        pack_text(p, "task.submit");
        msgpack_pack_map(&p->pack, 3);
        pack_text(p, "region");
        pack_text(p, region);
        pack_text(p, "call");
        pack_text(p, "work");
        pack_text(p, "input");
        msgpack_pack_bin(&p->pack, 8);
        msgpack_pack_bin_body(&p->pack, "12345678", 8);
    }
    peer_end(p);
}

/* Ids of the calls that are at hand, as text. */
struct hand {
    unsigned count;
    char ids[BATCH_MAX][24];
};

/* What is at hand has ended; take as many of what is submitted. */
static void
next(struct peer *p, struct hand *hand, unsigned most)
{
    const msgpack_object *calls;

    peer_begin(p, "worker.next");
    msgpack_pack_map(&p->pack, 3);
    pack_text(p, "most");
    msgpack_pack_unsigned_int(&p->pack, most);
    pack_text(p, "timeout_ns");
    msgpack_pack_uint64(&p->pack, UINT64_C(10000000000));
    pack_text(p, "completed");
    msgpack_pack_array(&p->pack, hand->count);
    for (unsigned i = 0; i < hand->count; i++) {
        msgpack_pack_map(&p->pack, 2);
        pack_text(p, "task");
        pack_text(p, hand->ids[i]);
        pack_text(p, "outcome");
        pack_text(p, "ok");
    }
    peer_end(p);
    (void)peer_wait(p); /* of what was submitted */
    calls = member(peer_wait(p), "calls");
    hand->count = calls->via.array.size;
    for (unsigned i = 0; i < hand->count; i++) {
        const msgpack_object *id = member(&calls->via.array.ptr[i], "task");

        snprintf(hand->ids[i], sizeof hand->ids[i], "%.*s", (int)id->via.str.size, id->via.str.ptr);
    }
}

static void
asupersyncd(const char *path, unsigned count, unsigned batch, const char *region)
{
    static struct peer peer;
    static struct hand hand;
    unsigned done = 0;
    double from;

    peer_open(&peer, path);
    offer(&peer, region, batch);
    submit(&peer, region, batch);
    next(&peer, &hand, batch);
    from = seconds();
    while (done < count) {
        submit(&peer, region, batch);
        done += hand.count;
        next(&peer, &hand, batch);
    }
    printf("{\"seconds\": %.6f, \"count\": %u}\n", seconds() - from, done);
    close(peer.fd);
}

/* Obligations that are held, for what they take in the daemon. */
static void
owe(const char *path, unsigned count, unsigned batch, const char *region)
{
    static struct peer peer;

    peer_open(&peer, path);
    for (unsigned done = 0; done < count; done += batch) {
        peer_begin(&peer, "batch");
        msgpack_pack_map(&peer.pack, 1);
        pack_text(&peer, "ops");
        msgpack_pack_array(&peer.pack, batch);
        for (unsigned i = 0; i < batch; i++) {
            msgpack_pack_array(&peer.pack, 3);
            msgpack_pack_nil(&peer.pack);
            pack_text(&peer, "obligation.reserve");
            msgpack_pack_map(&peer.pack, 1);
            pack_text(&peer, "region");
            pack_text(&peer, region);
        }
        const msgpack_object *results = member(peer_ask(&peer), "results");
        for (unsigned i = 0; i < results->via.array.size; i++) {
            const msgpack_object *result = &results->via.array.ptr[i];
            if (result->via.array.ptr[0].via.i64 != 0) {
                msgpack_object_print(stderr, *result);
                fputc('\n', stderr);
                exit(1);
            }
        }
    }
    printf("{\"count\": %u}\n", (count + batch - 1) / batch * batch);
    fflush(stdout);
    while (getchar() != EOF)
        ;
    close(peer.fd);
}

/* ---- Which ------------------------------------------------------------------------- */

int
main(int argc, char **argv)
{
    unsigned count = argc > 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
    unsigned batch = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;

    if (argc == 5 && count > 0 && batch > 0 && batch <= BATCH_MAX &&
        strcmp(argv[1], "beanstalkd") == 0) {
        beanstalkd((unsigned)strtoul(argv[2], NULL, 10), count, batch);
        return 0;
    }
    if (argc == 6 && count > 0 && batch > 0 && batch <= BATCH_MAX &&
        strcmp(argv[1], "asupersyncd") == 0) {
        asupersyncd(argv[2], count, batch, argv[5]);
        return 0;
    }
    if (argc == 6 && count > 0 && batch > 0 && batch <= BATCH_MAX && strcmp(argv[1], "owe") == 0) {
        owe(argv[2], count, batch, argv[5]);
        return 0;
    }
    fprintf(stderr,
            "usage: bench-calls beanstalkd PORT COUNT BATCH (of at most %d)\n"
            "       bench-calls asupersyncd|owe SOCKET COUNT BATCH REGION\n",
            BATCH_MAX);
    return 64;
}
