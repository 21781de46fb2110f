/* SPDX-License-Identifier: MIT */
/* A statement taken apart: shared by scenario_words.c (requests) and
 * scenario_facts.c (facts). */
#ifndef ASUPERSYNC_TESTS_SCENARIO_WORDS_H
#define ASUPERSYNC_TESTS_SCENARIO_WORDS_H

#include "scenario_internal.h"

/* A statement as words; `next` is the first not yet understood. */
struct words {
    char *word[64];
    size_t count;
    size_t next;
};

bool more(const struct words *w);
const char *take(struct words *w);
/* Take the next word if it is this one. */
bool took(struct words *w, const char *word);
uint64_t take_duration(struct words *w);
uint64_t take_number(struct words *w);

struct task_params task_default(const char *name, uint32_t uid);
bool option_of_task(struct words *w, struct task_params *p);
/* scenario_cx.c */
uint32_t take_rights(struct words *w);
void caller_shows(struct caller *c, const struct thing *t);
bool verb_of_capability(const struct thing *t, const char *verb, struct words *w);

/* scenario_saga.c */
bool statement_of_saga(struct words *w);

/* "by", "from", "request", "digest". */
bool option_of_request(struct words *w, struct input *in);

/* scenario_channel.c */
void say_channel(struct words *w);
void say_seal(struct words *w);
bool say_about_channel(const char *name, const char *verb, struct words *w);
/* "does", "retry", "backoff", ...: of a task that is a call. */
bool option_of_call(struct words *w, struct task_params *p);
/* A statement about a worker (scenario_calls.c); false when the verb is another. */
bool verb_of_worker(const struct thing *t, const char *verb, struct words *w);

void say_wait(const char *name, struct words *w);
void say_about(struct words *w);
/* scenario_registry.c; false: the verb is another. */
bool verb_of_holder(const struct thing *t, const char *verb, struct words *w);

#endif
