/* SPDX-License-Identifier: MIT */
/*
 * counter SPOOL SOCKET - the consumer; run as many as you like.
 *
 * Takes a page by renaming it (so two counters never have the same), counts
 * its words, posts the counts to the desk, and removes the page only when the
 * desk has it. A page the desk did not take goes back into the spool: nothing
 * is lost, however and whenever this program is asked to stop.
 */
#include "room.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static char *
read_whole(const char *path, size_t *size_out)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t size = 0;
    FILE *copy;
    char part[4096];
    size_t got;

    if (in == NULL)
        return NULL;
    copy = open_memstream(&text, &size);
    while (copy != NULL && (got = fread(part, 1, sizeof part, in)) > 0)
        fwrite(part, 1, got, copy);
    fclose(in);
    if (copy == NULL || fclose(copy) != 0)
        return NULL;
    *size_out = size;
    return text;
}

/* True when the desk has the page. */
static bool
count_page(const char *path, const char *name, const char *socket_path)
{
    struct words words = {0};
    struct word *list;
    char target[512];
    char reply[64];
    char *body = NULL;
    size_t body_size = 0;
    size_t size = 0;
    char *text = read_whole(path, &size);
    FILE *out;
    int status;

    if (text == NULL)
        return false;
    words_add_text(&words, text, size);
    free(text);
    list = words_sorted(&words);
    out = open_memstream(&body, &body_size);
    for (size_t i = 0; out != NULL && list[i].text != NULL; i++)
        fprintf(out, "%s %llu\n", list[i].text, (unsigned long long)list[i].count);
    if (out == NULL || fclose(out) != 0)
        abort();
    snprintf(target, sizeof target, "/page/%s", name);
    status = room_ask(socket_path, "POST", target, body, body_size, reply, sizeof reply);
    free(body);
    free(list);
    words_free(&words);
    return status == 200;
}

/* One round over the spool; the number of pages counted, or -1 when the desk
 * does not answer. */
static int
count_spool(const char *spool, const char *socket_path)
{
    DIR *dir = opendir(spool);
    struct dirent *entry;
    int counted = 0;

    if (dir == NULL) {
        perror(spool);
        return -1;
    }
    while (!room_stopping() && counted >= 0 && (entry = readdir(dir)) != NULL) {
        char from[1024];
        char mine[1024];
        size_t length = strlen(entry->d_name);

        if (entry->d_name[0] == '.' || length < 6 ||
            strcmp(entry->d_name + length - 5, ".page") != 0)
            continue;
        snprintf(from, sizeof from, "%s/%s", spool, entry->d_name);
        snprintf(mine, sizeof mine, "%s/.%s.%ld", spool, entry->d_name, (long)getpid());
        if (rename(from, mine) < 0)
            continue; /* another counter was faster */
        if (count_page(mine, entry->d_name, socket_path)) {
            unlink(mine);
            counted++;
        } else {
            if (rename(mine, from) < 0)
                perror(from);
            counted = -1;
        }
        room_wait(-1, 0);
    }
    closedir(dir);
    return counted;
}

int
main(int argc, char **argv)
{
    unsigned long pages = 0;
    char news[4096];
    int watch;

    if (argc != 3) {
        fprintf(stderr, "usage: counter SPOOL SOCKET\n");
        return 64;
    }
    room_signals();
    watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch < 0 || inotify_add_watch(watch, argv[1], IN_MOVED_TO) < 0) {
        perror(argv[1]);
        return 1;
    }
    while (!room_stopping()) {
        int counted = count_spool(argv[1], argv[2]);
        if (counted > 0)
            pages += (unsigned long)counted;
        /* A desk that does not answer is asked again a little later. */
        room_wait(counted < 0 ? -1 : watch, counted < 0 ? 200 : -1);
        while (read(watch, news, sizeof news) > 0)
            continue;
    }
    close(watch);
    printf("counter: %lu pages\n", pages);
    return 0;
}
