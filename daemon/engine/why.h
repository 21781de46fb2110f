/* SPDX-License-Identifier: MIT */
/*
 * `why`: what does this wait for? A chain from the thing asked about down to
 * the process that holds everything up, with a sentence for each link. At
 * every fork the one is followed that will take longest by what is promised:
 * what cannot be killed, then the latest end.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_WHY_H
#define ASUPERSYNC_DAEMON_ENGINE_WHY_H

#include <stddef.h>
#include <stdint.h>

#include "daemon/engine/state.h"

enum { WHY_LINKS_MAX = ASUP_DEPTH_MAX + 4, WHY_TROUBLES_MAX = 32 };

struct why_link {
    struct asup_ref ref; /* of a process: NONE */
    const char *kind;    /* "region", "task", "finalizer", "saga", "session", "process" */
    const char *state;
    uint32_t pid; /* 0: none */
    char name[160];
    uint64_t age_ns;
    uint64_t left_ns; /* ASUP_NEVER: no limit */
    char note[320];
};

struct why_trouble {
    const char *name;
    struct asup_ref ref;
    char message[256];
};

struct why {
    struct engine *engine;
    uint32_t uid;
    bool privileged;
    asup_time now;
    struct why_link links[WHY_LINKS_MAX];
    size_t link_count;
    struct why_trouble troubles[WHY_TROUBLES_MAX];
    size_t trouble_count;
    char summary[1200];
};

void why_region(struct why *why, uint64_t id);
void why_task(struct why *why, uint64_t id);
void why_saga(struct why *why, uint64_t id);
void why_channel(struct why *why, uint64_t id);
void why_session(struct why *why, uint64_t id);
void why_obligation(struct why *why, uint64_t id);

/* ---- procinfo.c ------------------------------------------------------------------ */

struct procinfo {
    char state; /* R S D T t Z I X; 0: it is not there, or may not be read */
    char name[32];
    char where[48]; /* what it sleeps in, for D; "" unknown */
};

void procinfo_read(uint32_t pid, struct procinfo *out);
/* "in uninterruptible sleep: ..." */
const char *procinfo_note(char state);
/* Kernel time at which a process started; 0: unknown. */
asup_time procinfo_started(uint32_t pid);
/* Pids in a cgroup; returns how many were written. */
size_t procinfo_cgroup(const char *cgroup, uint32_t *pids, size_t max);

#endif
