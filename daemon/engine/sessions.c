/* SPDX-License-Identifier: MIT */
#include "daemon/engine/sessions.h"

#include <assert.h>
#include <sha256.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine/state.h"

struct attachment {
    struct session *session;
    struct connection *connection;
    uint8_t secret[SESSION_SECRET_SIZE]; /* as this connection says it */
    struct list of_session, of_connection;
};

void
session_digest(const uint8_t secret[SESSION_SECRET_SIZE], uint8_t out[16])
{
    uint8_t full[SHA256_DIGEST_LENGTH];
    SHA2_CTX ctx;

    SHA256Init(&ctx);
    SHA256Update(&ctx, secret, SESSION_SECRET_SIZE);
    SHA256Final(full, &ctx);
    memcpy(out, full, 16);
}

/* The table's key; a session with that first word 0 gets another. */
static uint64_t
key_of(const uint8_t digest[16])
{
    uint64_t key;

    memcpy(&key, digest, sizeof key);
    return key ? key : 1;
}

/* In a time that does not tell how much was equal. */
static bool
same(const uint8_t a[16], const uint8_t b[16])
{
    unsigned difference = 0;

    for (int i = 0; i < 16; i++)
        difference |= a[i] ^ b[i];
    return difference == 0;
}

struct session *
session_add(struct engine *e, uint64_t id, uint32_t uid, const uint8_t digest[16])
{
    struct session *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->id = id;
    s->uid = uid;
    memcpy(s->digest, digest, 16);
    list_init(&s->attachments);
    s->next_same = idmap_get(&e->sessions, key_of(digest));
    if (!idmap_put(&e->session_ids, id, s)) {
        free(s);
        return NULL;
    }
    if (!idmap_put(&e->sessions, key_of(digest), s)) {
        idmap_take(&e->session_ids, id);
        free(s);
        return NULL;
    }
    return s;
}

struct session *
session_find(struct engine *e, const uint8_t secret[SESSION_SECRET_SIZE], uint32_t uid)
{
    uint8_t digest[16];

    static_assert(SESSION_SECRET_SIZE == sizeof digest, "one function compares both");
    session_digest(secret, digest);
    for (struct session *s = idmap_get(&e->sessions, key_of(digest)); s; s = s->next_same) {
        if (s->uid == uid && same(s->digest, digest))
            return s;
    }
    return NULL;
}

struct session *
session_spoken(const struct connection *c, const uint8_t secret[SESSION_SECRET_SIZE])
{
    if (list_empty(&c->sessions))
        return NULL;
    struct attachment *a = list_entry(c->sessions.next, struct attachment, of_connection);
    return same(a->secret, secret) ? a->session : NULL;
}

int
session_attach(struct engine *e, struct session *s, const uint8_t secret[SESSION_SECRET_SIZE],
               struct connection *c)
{
    const uint64_t id = s->id;
    struct session_view view;

    for (struct list *l = c->sessions.next; l != &c->sessions; l = l->next) {
        if (list_entry(l, struct attachment, of_connection)->session == s) {
            list_remove(l);
            list_prepend(&c->sessions, l);
            return 0;
        }
    }
    struct attachment *a = calloc(1, sizeof *a);
    if (!a)
        return -ASUP_ENOMEM;
    a->session = s;
    a->connection = c;
    memcpy(a->secret, secret, sizeof a->secret);
    list_append(&s->attachments, &a->of_session);
    list_prepend(&c->sessions, &a->of_connection);
    /* With every step timers fire, and one may be that of this session. */
    if (kernel_session(e->kernel, id, &view) && !view.connected)
        engine_feed(e, &(struct input){.kind = IN_SESSION_ATTACHED, .session = id});
    return idmap_get(&e->session_ids, id) ? 0 : -ASUP_EEXPIRED;
}

static void
detach(struct attachment *a)
{
    list_remove(&a->of_session);
    list_remove(&a->of_connection);
    explicit_bzero(a->secret, sizeof a->secret);
    free(a);
}

void
session_detach_all(struct engine *e, struct connection *c)
{
    struct list *l;

    while ((l = list_take_first(&c->sessions)) != NULL) {
        struct attachment *a = list_entry(l, struct attachment, of_connection);
        struct session *s = a->session;
        detach(a);
        if (list_empty(&s->attachments))
            engine_feed(e, &(struct input){.kind = IN_SESSION_LOST, .session = s->id});
    }
}

static void
free_batch(struct session *s, struct kept_batch *b)
{
    s->batch_bytes -= b->size;
    free(b->data);
    *b = (struct kept_batch){0};
}

void
session_remove(struct engine *e, uint64_t id)
{
    struct session *s = idmap_take(&e->session_ids, id);

    if (!s)
        return;
    uint64_t key = key_of(s->digest);
    struct session *first = idmap_get(&e->sessions, key);
    if (first != s) {
        while (first->next_same != s)
            first = first->next_same;
        first->next_same = s->next_same;
    } else if (s->next_same) {
        idmap_put(&e->sessions, key, s->next_same); /* is there: needs no memory */
    } else {
        idmap_take(&e->sessions, key);
    }
    struct list *l;
    while ((l = list_take_first(&s->attachments)) != NULL)
        detach(list_entry(l, struct attachment, of_session));
    for (unsigned i = 0; s->batches && i < SESSION_BATCHES; i++)
        free_batch(s, &s->batches[i]);
    free(s->batches);
    free(s);
}

const struct kept_batch *
session_batch(const struct session *s, uint64_t request)
{
    for (unsigned i = 0; s->batches && i < SESSION_BATCHES; i++) {
        if (s->batches[i].data && s->batches[i].request == request)
            return &s->batches[i];
    }
    return NULL;
}

void
session_keep_batch(struct session *s, uint64_t request, uint64_t digest, const void *data,
                   size_t size)
{
    if (!s->batches)
        s->batches = calloc(SESSION_BATCHES, sizeof *s->batches);
    /* What cannot be kept is not: a repeat of it would be done again. */
    char *copy = s->batches && size <= SESSION_BATCH_BYTES ? malloc(size) : NULL;
    if (!copy)
        return;
    memcpy(copy, data, size);
    struct kept_batch *b = &s->batches[s->batch_next];
    free_batch(s, b);
    /* The oldest go first until it fits. */
    for (unsigned i = 1; i < SESSION_BATCHES && s->batch_bytes + size > SESSION_BATCH_BYTES; i++)
        free_batch(s, &s->batches[(s->batch_next + i) % SESSION_BATCHES]);
    *b = (struct kept_batch){.request = request, .digest = digest, .data = copy, .size = size};
    s->batch_bytes += size;
    s->batch_next = (s->batch_next + 1) % SESSION_BATCHES;
}
