/* SPDX-License-Identifier: MIT */
/*
 * A lab: a world for the shell (cx/shell.h) in which time is a number and every
 * choice comes from a seed, or from a trace that is replayed; with a recorder,
 * and oracles that look on.
 *
 *     lab.c          runs, one after the other; what came of them
 *     lab_world.c    time, choices, injected cancels, faults
 *     lab_record.c   events and choices in memory; saving, comparing, replaying
 *     lab_ambient.c  calls that go round the Cx, caught
 *     lab_hang.c     tasks that never give way, named
 *     lab_print.c    options and results as text
 *     lab_main.c     a program around one body
 */
#ifndef ASUPERSYNC_LAB_LAB_INTERNAL_H
#define ASUPERSYNC_LAB_LAB_INTERNAL_H

#include "asupersync/lab.h"
#include "cx/shell.h"
#include "lab/bytes.h"
#include "lab/idmap.h"
#include "lab/oracle.h"
#include "lab/prng.h"
#include "lab/trace_file.h"

/* What a choice in a trace was about. */
enum choice_kind {
    CHOICE_NEXT = 1,    /* which task goes on: taken, among */
    CHOICE_POINT = 2,   /* the world intervened: at the taken-th point of the run; among: which */
    CHOICE_JUMP = 3,    /* the clock leapt by taken microseconds when nobody could run for the
                            among-th time */
    CHOICE_GIVE_UP = 4, /* the task of number taken was given up in turn among */
};

/* Events are kept as bytes: what is compared and hashed is what would be saved. */
struct record {
    struct durable_buffer bytes; /* events, one after the other */
    struct bytes_file snapshot;  /* of the kernel as it began */
    struct record_item {
        enum trace_frame_kind kind; /* EVENT, CHOICE, TEXT, STEP */
        uint64_t task;              /* TEXT */
        asup_time at;               /* TEXT */
        size_t offset, size;        /* EVENT, TEXT */
        struct trace_choice choice;
    } * items;
    size_t count, capacity;
    bool failed; /* no memory: nothing is kept any more */
};

enum { FAILURE_SIZE = 512 };

struct task_ran {
    uint64_t id;
    uint64_t step; /* its last */
};

struct asup_lab {
    struct asup_lab_config config;    /* as given */
    struct asup_lab_config effective; /* with what swarm drew */
    char *program;
    const char *invoked; /* as what asup_lab_main() was called; NULL: not so */

    /* of the run */
    struct shell *shell;
    struct oracles *oracles;
    struct prng choices, entropy;
    asup_time now;
    bool faulty;  /* the phase of safety: the world intervenes */
    bool stopped; /* it was asked to end */
    uint64_t running;
    struct idmap ran; /* struct task_ran */
    uint64_t points, turns, idles, kills;
    uint64_t inject_from; /* ASUP_INJECT_LAST: from that checkpoint on */
    uint64_t slow_task, slow_until;
    uint64_t idle_looked;
    struct asup_lab_report report;
    char failure[FAILURE_SIZE];
    struct record record;
    struct record expected; /* a trace that is replayed */
    bool replaying;
    char *replay_path;
    bool replay_differs;
    size_t replay_event, replay_choice; /* of `expected`, next */
    uint64_t digest;
};

/* The lab whose task runs on this thread, for lab_ambient.c; NULL. */
extern __thread struct asup_lab *lab_here;

/* lab.c */
/* The first one is kept; the run is asked to end. */
void lab_fail(struct asup_lab *lab, const char *format, ...) __attribute__((format(printf, 2, 3)));
int lab_run_once(struct asup_lab *lab, asup_body body, void *arg);
/* "t7 (worker)" */
const char *lab_task_text(const struct asup_lab *lab, uint64_t task, char *out, size_t size);

/* lab_world.c */
struct world lab_world(struct asup_lab *lab);
void lab_draw(struct asup_lab *lab);

/* lab_record.c */
void record_fini(struct record *r);
void record_begin(struct asup_lab *lab);
void record_event(struct asup_lab *lab, const struct event *ev);
/* The events of a step were recorded. */
void record_step(struct asup_lab *lab);
void record_choice(struct asup_lab *lab, enum choice_kind kind, uint32_t taken, uint32_t among);
void record_text(struct asup_lab *lab, uint64_t task, const char *text);
/* The next choice of the trace that is replayed, if it is of that kind; peek leaves it there. */
bool replay_peek(struct asup_lab *lab, enum choice_kind kind, struct trace_choice *out);
bool replay_choice(struct asup_lab *lab, enum choice_kind kind, struct trace_choice *out);
int replay_load(struct asup_lab *lab, const char *path);
/* All was said? Else it fails. */
void replay_end(struct asup_lab *lab);

/* lab_hang.c */
void hang_watch(struct asup_lab *lab);
void hang_forget(void);

/* lab_print.c */
/* How the program is called, for commands that are printed. */
const char *lab_invoked(const struct asup_lab *lab);
const char *inject_name(enum asup_inject inject);
bool inject_parse(const char *text, struct asup_lab_config *config);
/* The command line that repeats the last run, without the program. */
void lab_command(const struct asup_lab *lab, char *out, size_t size);

#endif
