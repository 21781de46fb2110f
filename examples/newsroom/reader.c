/* SPDX-License-Identifier: MIT */
/*
 * reader SPOOL REPORT PAGES_PER_SECOND FILE... - the producer.
 *
 * Reads the files over and over, cuts them into pages of forty lines, and
 * lays each into the directory SPOOL as 000001.page, 000002.page, ... under
 * a temporary name first, so that a page is there whole or not at all. Asked
 * to stop, it writes how many pages and words it laid out to REPORT.
 */
#include "room.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE_LINES 40

struct reader {
    const char *spool;
    int pause_ms;
    unsigned long pages;
    uint64_t words;
};

static bool
lay_out(struct reader *reader, const char *text, size_t size)
{
    char draft[512];
    char final[512];
    struct words words = {0};
    FILE *out;
    bool good;

    snprintf(draft, sizeof draft, "%s/.draft", reader->spool);
    snprintf(final, sizeof final, "%s/%06lu.page", reader->spool, reader->pages + 1);
    out = fopen(draft, "we");
    good = out != NULL && fwrite(text, 1, size, out) == size;
    if (out != NULL && fclose(out) != 0)
        good = false;
    if (!good || rename(draft, final) < 0) {
        perror(final);
        return false;
    }
    words_add_text(&words, text, size);
    reader->pages++;
    reader->words += words.total;
    words_free(&words);
    return true;
}

static bool
read_file(struct reader *reader, const char *path)
{
    FILE *in = fopen(path, "re");
    char *line = NULL;
    size_t line_room = 0;
    char *page = NULL;
    size_t page_size = 0;
    int lines = 0;
    bool good = true;
    ssize_t got;

    if (in == NULL) {
        perror(path);
        return false;
    }
    do {
        got = getline(&line, &line_room, in);
        if (got > 0) {
            char *more = realloc(page, page_size + (size_t)got);
            if (more == NULL)
                break;
            page = more;
            memcpy(page + page_size, line, (size_t)got);
            page_size += (size_t)got;
            lines++;
        }
        if (page_size > 0 && (lines == PAGE_LINES || got < 0)) {
            good = lay_out(reader, page, page_size);
            page_size = 0;
            lines = 0;
            room_wait(-1, reader->pause_ms);
        }
    } while (got > 0 && good && !room_stopping());
    free(line);
    free(page);
    fclose(in);
    return good;
}

int
main(int argc, char **argv)
{
    struct reader reader = {0};
    FILE *report;
    bool good = true;
    long pace;

    if (argc < 5 || (pace = strtol(argv[3], NULL, 10)) < 1 || pace > 1000) {
        fprintf(stderr, "usage: reader SPOOL REPORT PAGES_PER_SECOND FILE...\n");
        return 64;
    }
    reader.spool = argv[1];
    reader.pause_ms = (int)(1000 / pace);
    room_signals();
    while (good && !room_stopping())
        for (int i = 4; i < argc && good && !room_stopping(); i++)
            good = read_file(&reader, argv[i]);

    report = fopen(argv[2], "we");
    if (report != NULL) {
        fprintf(report, "pages %lu\nwords %llu\n", reader.pages, (unsigned long long)reader.words);
        if (fclose(report) != 0)
            good = false;
    } else {
        perror(argv[2]);
        good = false;
    }
    printf("reader: %lu pages, %llu words\n", reader.pages, (unsigned long long)reader.words);
    return good ? 0 : 1;
}
