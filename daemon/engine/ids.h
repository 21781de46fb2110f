/* SPDX-License-Identifier: MIT */
/*
 * No id is ever used twice, whatever crashes: STATE/ids holds, as one line of
 * decimal text, an id that none handed out so far has reached. It is moved on
 * in blocks, ahead of need, by writing a new file, fsync, rename, and fsync of
 * the directory. After a clean stop it holds exactly the next id.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_IDS_H
#define ASUPERSYNC_DAEMON_ENGINE_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct ids {
    char path[512];
    uint64_t reserved; /* every id below it may be used */
};

/* Read the file (a missing one is a fresh start) and reserve the first block.
 * Returns the first id to use, or 0 after reporting what is wrong: a damaged
 * file is never guessed over. */
uint64_t ids_open(struct ids *ids, const char *state_dir);
/* Call before every request that may use ids, with the last one used: reserves
 * more in good time. False: the disk refuses (reported), and what is reserved
 * might not be enough for the request. */
bool ids_extend(struct ids *ids, uint64_t last);
/* Clean stop: nothing beyond `last` was used. */
void ids_close(struct ids *ids, uint64_t last);

#endif
