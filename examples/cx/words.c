/* SPDX-License-Identifier: MIT */
/* A pipeline over files: lines, then words, then their number. Uses real files, so it is for the
 * runtime alone; each stage waits for the next when that is slower. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "example.h"

static int
give(struct asup_cx *cx, struct asup_channel out, const void *data, size_t size)
{
    int rc;
    struct asup_permit *permit = asup_cx_reserve(cx, out, ASUP_NEVER, &rc);

    return permit == NULL ? rc : asup_permit_send(permit, data, size);
}

static int
read_lines(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    (void)in;
    for (char **path = arg; *path != NULL; path++) {
        FILE *file = fopen(*path, "r");
        char line[4096];
        int rc = 0;

        if (file == NULL)
            return 1;
        while (rc == 0 && fgets(line, sizeof line, file) != NULL)
            rc = give(cx, out, line, strlen(line));
        (void)fclose(file);
        ASUP_TRY(rc);
    }
    return 0;
}

static int
split(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    struct asup_delivery *line;
    int rc;

    (void)arg;
    while ((line = asup_cx_receive(cx, in, ASUP_NEVER, &rc)) != NULL) {
        size_t size;
        const char *text = asup_delivery_data(line, &size);

        rc = 0;
        for (size_t i = 0, from = 0; rc == 0 && i <= size; i++) {
            if (i < size && !isspace((unsigned char)text[i]))
                continue;
            if (i > from)
                rc = give(cx, out, text + from, i - from);
            from = i + 1;
        }
        if (rc != 0) {
            asup_ack_nack(line, NULL);
            return rc;
        }
        ASUP_TRY(asup_ack_commit(line)); /* all of its words are on their way */
    }
    return rc == -ASUP_EENDED ? 0 : rc;
}

static int
count(struct asup_cx *cx, struct asup_channel in, struct asup_channel out, void *arg)
{
    struct asup_delivery *word;
    int rc;

    (void)out;
    while ((word = asup_cx_receive(cx, in, ASUP_NEVER, &rc)) != NULL) {
        ++*(unsigned *)arg;
        ASUP_TRY(asup_ack_commit(word));
    }
    return rc == -ASUP_EENDED ? 0 : rc;
}

int
main_task(struct asup_cx *cx, void *arg)
{
    unsigned words = 0;
    const struct asup_stage stages[] = {
        {read_lines, arg, "lines"}, {split, NULL, "words"}, {count, &words, "count"}};

    ASUP_TRY(asup_cx_pipeline(cx, stages, 3, 64, NULL));
    printf("%u\n", words);
    return 0;
}
