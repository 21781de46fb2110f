/* SPDX-License-Identifier: MIT */
/*
 * What the programs of the newsroom share: stopping when asked, unix sockets
 * that speak a little HTTP/1.0, readiness, and a table of words.
 *
 *   reader  cuts text files into pages and lays them into a spool directory
 *   counter takes pages from the spool, counts their words, posts the counts
 *   desk    is a web server on a unix socket; it adds up and answers questions
 *   ask     asks it one question
 *   stubborn does what services should not: it forks twice, leaves its session
 *           and ignores SIGTERM
 *
 * None of them knows of asupersyncd: they are ordinary programs that end when
 * they get SIGTERM. (desk says READY=1 to $NOTIFY_SOCKET, as for systemd.)
 */
#ifndef NEWSROOM_ROOM_H
#define NEWSROOM_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Stopping: SIGTERM and SIGINT only interrupt room_wait ---------------- */

void room_signals(void);
bool room_stopping(void);
/* Wait until `fd` (-1: none) is readable, the time is over, or a signal asks
 * to stop. True when readable. No signal is missed between check and wait. */
bool room_wait(int fd, int timeout_ms);

/* ---- Sockets --------------------------------------------------------------- */

/* Both return a descriptor, or -1 with errno set. */
int room_listen(const char *path);
int room_connect(const char *path);

/* One HTTP exchange: the status code, or -1 when no answer came. What does
 * not fit into `answer` is cut off; it always ends with a NUL. */
int room_ask(const char *socket_path, const char *method, const char *target, const char *body,
             size_t body_size, char *answer, size_t answer_size);

/* Write all of it, or return false. */
bool room_write(int fd, const void *data, size_t size);

/* Tell a service manager, if there is one. */
void room_notify(const char *text);

/* ---- Words ------------------------------------------------------------------ */

struct word {
    char *text; /* owned; NULL: free slot */
    uint64_t count;
};
struct words {
    struct word *slots;
    size_t slot_count; /* a power of two, or 0 */
    size_t used;
    uint64_t total;
};

void words_add(struct words *words, const char *text, size_t size, uint64_t count);
uint64_t words_count(const struct words *words, const char *text);
/* Words are runs of letters, counted in lower case. */
void words_add_text(struct words *words, const char *text, size_t size);
/* The words, most frequent first; free the array, not its texts. */
struct word *words_sorted(const struct words *words);
void words_free(struct words *words);

/* Allocate or end the program. */
void *room_alloc(size_t size);

#endif
