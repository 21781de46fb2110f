/* SPDX-License-Identifier: MIT */
/*
 * desk SOCKET TOTALS - a web server on a unix socket that adds up word counts.
 *
 *   POST /page/NAME   body: "word count" lines; counted once for each NAME
 *   GET  /top         the twenty most frequent words
 *   GET  /word/WORD   how often it stood there
 *   GET  /status      pages and words so far
 *
 * Asked to stop, it answers what is in hand, writes "pages N", "words N" and
 * the whole table to TOTALS, and ends. Clients are served one after another:
 * each has two seconds to say what it wants.
 */
#include "room.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_SIZE_MAX (1u << 20)
#define CLIENT_WAIT_MS 2000
#define TOP_COUNT 20

struct desk {
    struct words words; /* what was counted */
    struct words pages; /* the names of the pages, to count each once */
};

static void
answer(int fd, const char *status, const char *body)
{
    char head[128];

    snprintf(head, sizeof head,
             "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", status,
             strlen(body));
    if (room_write(fd, head, strlen(head)))
        (void)room_write(fd, body, strlen(body));
}

static void
take_page(struct desk *desk, const char *name, char *body)
{
    char *line;
    char *rest = body;

    if (words_count(&desk->pages, name) > 0)
        return;
    words_add(&desk->pages, name, strlen(name), 1);
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *space = strchr(line, ' ');
        if (space != NULL)
            words_add(&desk->words, line, (size_t)(space - line), strtoull(space, NULL, 10));
    }
}

static void
print_top(const struct desk *desk, char *text, size_t size)
{
    struct word *list = words_sorted(&desk->words);
    size_t used = 0;

    text[0] = '\0';
    for (size_t i = 0; i < TOP_COUNT && list[i].text != NULL && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%8llu %s\n",
                                 (unsigned long long)list[i].count, list[i].text);
    free(list);
}

static void
serve_request(struct desk *desk, int fd, char *request, char *body)
{
    char text[4096];
    char method[8];
    char target[256];

    if (sscanf(request, "%7s %255s", method, target) != 2) {
        answer(fd, "400 Bad Request", "what?\n");
    } else if (strcmp(method, "POST") == 0 && strncmp(target, "/page/", 6) == 0) {
        take_page(desk, target + 6, body);
        answer(fd, "200 OK", "counted\n");
    } else if (strcmp(method, "GET") != 0) {
        answer(fd, "405 Method Not Allowed", "GET or POST /page/NAME\n");
    } else if (strcmp(target, "/top") == 0) {
        print_top(desk, text, sizeof text);
        answer(fd, "200 OK", text);
    } else if (strncmp(target, "/word/", 6) == 0) {
        snprintf(text, sizeof text, "%llu\n",
                 (unsigned long long)words_count(&desk->words, target + 6));
        answer(fd, "200 OK", text);
    } else if (strcmp(target, "/status") == 0) {
        snprintf(text, sizeof text, "pages %zu\nwords %llu\n", desk->pages.used,
                 (unsigned long long)desk->words.total);
        answer(fd, "200 OK", text);
    } else {
        answer(fd, "404 Not Found", "/top /word/WORD /status\n");
    }
}

/* Read one request to its end and answer it. */
static void
serve_client(struct desk *desk, int fd)
{
    char *request = room_alloc(REQUEST_SIZE_MAX + 1);
    size_t size = 0;

    while (size < REQUEST_SIZE_MAX) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        char *body;
        const char *length;
        ssize_t got;

        if (poll(&one, 1, CLIENT_WAIT_MS) <= 0)
            break;
        got = read(fd, request + size, REQUEST_SIZE_MAX - size);
        if (got <= 0)
            break;
        size += (size_t)got;
        request[size] = '\0';
        body = strstr(request, "\r\n\r\n");
        if (body == NULL)
            continue;
        body += 4;
        length = strcasestr(request, "\r\nContent-Length:");
        if (length != NULL && length < body &&
            size - (size_t)(body - request) < strtoul(length + 17, NULL, 10))
            continue;
        serve_request(desk, fd, request, body);
        break;
    }
    free(request);
}

static bool
write_totals(const struct desk *desk, const char *path)
{
    struct word *list = words_sorted(&desk->words);
    FILE *out = fopen(path, "we");
    bool good = out != NULL;

    if (good) {
        fprintf(out, "pages %zu\nwords %llu\n", desk->pages.used,
                (unsigned long long)desk->words.total);
        for (size_t i = 0; list[i].text != NULL; i++)
            fprintf(out, "%llu %s\n", (unsigned long long)list[i].count, list[i].text);
        good = fclose(out) == 0;
    }
    if (!good)
        perror(path);
    free(list);
    return good;
}

int
main(int argc, char **argv)
{
    struct desk desk = {0};
    bool good;
    int listener;

    if (argc != 3) {
        fprintf(stderr, "usage: desk SOCKET TOTALS\n");
        return 64;
    }
    room_signals();
    listener = room_listen(argv[1]);
    if (listener < 0) {
        perror(argv[1]);
        return 1;
    }
    room_notify("READY=1\nSTATUS=answering");
    printf("desk: answering on %s\n", argv[1]);
    fflush(stdout);

    while (!room_stopping()) {
        int fd;
        if (!room_wait(listener, -1))
            continue;
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            continue;
        serve_client(&desk, fd);
        close(fd);
    }
    room_notify("STOPPING=1");
    close(listener);
    unlink(argv[1]);
    good = write_totals(&desk, argv[2]);
    printf("desk: %zu pages, %llu words\n", desk.pages.used, (unsigned long long)desk.words.total);
    words_free(&desk.words);
    words_free(&desk.pages);
    return good ? 0 : 1;
}
