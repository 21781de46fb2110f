/* SPDX-License-Identifier: MIT */
/* The first of several mirrors that answers, within two seconds; what the others had begun is
 * cleaned up before anybody goes on. */
#include "example.h"

#define MS ((uint64_t)1000000)

struct mirror {
    const char *name;
    uint64_t answers_after_ns;
    bool has_it;
};

struct download {
    int connections; /* open now */
    const char *from;
};

struct
try {
    const struct mirror *mirror;
    struct download *download;
};

static int
fetch(struct asup_cx *cx, void *arg)
{
    struct try *try = arg;
    int rc;

    try->download->connections++;
    rc = asup_cx_sleep(cx, try->mirror->answers_after_ns); /* stands for the network */

    /* To say good-bye takes a moment, which a cancelled task has if it asks for it. */
    asup_cx_mask(cx);
    if (asup_cx_sleep(cx, MS) != 0)
        asup_cx_trace(cx, "%s: closed without a word", try->mirror->name);
    asup_cx_unmask(cx);
    try->download->connections--;
    if (rc == 0 && !try->mirror->has_it)
        rc = 1;
    return rc;
}

static int
from_any(struct asup_cx *cx, void *arg)
{
    static const struct mirror mirrors[] = {
        {"near", 30 * MS, false}, {"far", 200 * MS, true}, {"slow", 60000 * MS, true}};
    struct download *download = arg;
    struct try tries[3];
    struct asup_branch branches[3];
    size_t winner;
    int rc;

    for (size_t i = 0; i < 3; i++) {
        tries[i] = (struct try){&mirrors[i], download};
        branches[i] = (struct asup_branch){fetch, &tries[i], mirrors[i].name};
    }
    rc = asup_cx_first_ok(cx, branches, 3, &winner, NULL);
    if (winner != SIZE_MAX)
        download->from = mirrors[winner].name;
    return rc;
}

static int
remove_parts(struct asup_cx *cx, void *arg)
{
    const char *path = arg;

    asup_cx_trace(cx, "%s is removed", path); /* would unlink() it */
    return 0;
}

int
main_task(struct asup_cx *cx, void *arg)
{
    static char parts[] = "/tmp/download.part";
    struct download download = {0};
    int rc;

    (void)arg;
    ASUP_TRY(asup_cx_defer(cx, remove_parts, parts, ASUP_NEVER)); /* however this ends */
    rc = asup_cx_timeout(cx, 2000 * MS, from_any, &download, NULL);
    asup_cx_trace(cx, "from %s, %d connections left", download.from ? download.from : "nowhere",
                  download.connections);
    return rc;
}
