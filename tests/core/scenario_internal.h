/* SPDX-License-Identifier: MIT */
/* What the parts of the scenario harness share: scenario.c (stepping, checks,
 * the scripted shell), scenario_words.c and scenario_facts.c (statements to
 * inputs), scenario_trace.c (events and orders to lines), scenario_expect.c. */
#ifndef ASUPERSYNC_TESTS_SCENARIO_INTERNAL_H
#define ASUPERSYNC_TESTS_SCENARIO_INTERNAL_H

#include "scenario.h"

enum { THINGS_MAX = 4096, NAME_MAX_ = 24, PENDING_MAX = 64, ORDERS_MAX = 512 };

/* Something the test named. */
struct thing {
    char name[NAME_MAX_];
    enum asup_sort sort; /* NONE: a wait */
    uint64_t id;         /* a wait: its token */
    uint32_t uid;
    bool takes; /* a wait: when it is answered, its name is that of the obligation */
    bool start_ordered;
    bool start_answered;
    bool signal_delivered;
    bool killed;
    bool main_ended;
    bool emptied;
};

/* A name given in a request, waiting for the event that makes its id. */
struct pending {
    char name[NAME_MAX_];
    enum asup_sort sort;
};

/* A name for what a request will be granted, at once or later. */
struct awaited {
    char name[NAME_MAX_];
    uint64_t token;
};

struct shell {
    bool starts, delivers, kills, obeys, sweeps;
};

struct scenario {
    struct kernel_config config;
    struct kernel *kernel;
    struct kernel *shadow; /* lives on events alone */
    size_t memory_used;
    long memory_left; /* allocations until one is refused; -1: no end */
    uint64_t scarce;  /* state of the dice of scenario_memory_scarce(); 0: off */
    long starved;
    asup_time now;
    uint64_t seq_last;
    uint64_t token_last;
    uint64_t events_hash;

    struct thing things[THINGS_MAX];
    size_t thing_count;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    struct awaited awaited[PENDING_MAX];
    size_t awaited_count;

    /* answer of the last request */
    bool answered;
    struct asup_ref made;
    int code;
    const char *limit;
    const char *detail;
    bool show_answer; /* the request's own answer goes into the trace */

    struct shell shell;
    struct effect orders[ORDERS_MAX]; /* for the shell to answer */
    size_t order_count;

    unsigned char spec[100000];
    size_t spec_size;

    char trace[65536];
    size_t trace_length;
    asup_time trace_time; /* of the last line */

    const char *file; /* of the statement being run */
    int line;
};

extern struct scenario S;

/* Fail the test at the statement being run. */
void scenario_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* scenario.c */
#define SCENARIO_START (1000 * ASUP_NS_PER_S)
struct thing *thing_find(const char *name);
struct thing *thing_get(const char *name);
struct thing *thing_by_id(enum asup_sort sort, uint64_t id);
struct thing *thing_add(const char *name, enum asup_sort sort, uint64_t id);
void pending_add(const char *name, enum asup_sort sort);
void awaited_add(const char *name, uint64_t token);
void time_pass_to(asup_time target);
void fact(enum input_kind kind, const struct thing *t);

/* scenario_words.c */
void statement_run(char *text);

/* scenario_channel.c: false when it is no event of a channel */
bool trace_channel(const struct event *ev);

/* scenario_saga.c */
void saga_bind(const struct event *ev);
bool trace_saga(const struct event *ev, const char *saga);

/* scenario_cx.c */
bool trace_capability(const struct event *ev, const char *capability);

/* scenario_trace.c */
void trace_events(const struct step *step);
void trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
void trace_reply(const struct effect *fx);

#endif
