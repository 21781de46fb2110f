/* SPDX-License-Identifier: MIT */
/* Outcomes and reasons as programs see them, in memory that goes with their task. */
#include "cx/shell_state.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/values.h"

/* ---- Memory of a task -------------------------------------------------------------------- */

enum { CHUNK_LEAST = 1024 };

struct memory_chunk {
    struct memory_chunk *next;
    size_t size, used;
    max_align_t bytes[];
};

struct taking {
    struct memory_chunk **list;
    size_t size;
    void *taken;
};

static void
take(struct shell *s, void *ctx)
{
    struct taking *t = ctx;
    size_t size = (t->size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
    struct memory_chunk *chunk = *t->list;

    (void)s;
    if (size < t->size)
        return;
    if (chunk == NULL || chunk->size - chunk->used < size) {
        size_t most = size > CHUNK_LEAST ? size : CHUNK_LEAST;

        chunk = most > SIZE_MAX / 2 ? NULL : malloc(sizeof *chunk + most);
        if (chunk == NULL)
            return;
        *chunk = (struct memory_chunk){.next = *t->list, .size = most};
        *t->list = chunk;
    }
    t->taken = (unsigned char *)chunk->bytes + chunk->used;
    chunk->used += size;
}

static void *
memory_take(struct shell *s, struct memory_chunk **list, size_t size)
{
    struct taking taking = {.list = list, .size = size};

    shell_call(s, take, &taking);
    return taking.taken;
}

void *
shell_task_memory(struct task_fiber *t, size_t size)
{
    return memory_take(t->shell, &t->memory, size);
}

void
shell_memory_free(struct memory_chunk *list)
{
    struct memory_chunk *next;

    for (struct memory_chunk *chunk = list; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
}

static const char *
text_copy(struct shell *s, struct memory_chunk **memory, const void *data, size_t size)
{
    char *text = memory_take(s, memory, size + 1);

    if (text == NULL)
        return NULL;
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* ---- Last words ----------------------------------------------------------------------------- */

void
words_add(struct shell *s, uint64_t task, char *text)
{
    struct last_words *w = &s->words[s->words_at++ % WORDS_KEPT];

    free(w->text);
    *w = (struct last_words){.task = task, .text = text};
}

static const char *
words_of(const struct shell *s, uint64_t task)
{
    for (unsigned i = 0; i < WORDS_KEPT; i++) {
        if (s->words[i].task == task && s->words[i].text != NULL)
            return s->words[i].text;
    }
    return NULL;
}

void
words_free(struct shell *s)
{
    for (unsigned i = 0; i < WORDS_KEPT; i++)
        free(s->words[i].text);
}

/* ---- Reasons ----------------------------------------------------------------------------------
 */

static const struct asup_reason *
reason_in(struct shell *s, struct memory_chunk **memory, uint32_t handle)
{
    enum { LINKS_MOST = ASUP_DEPTH_MAX + 2 };
    size_t count = handle == 0 ? 0 : kernel_reason(s->kernel, handle, NULL, 0);
    struct reason_view *views;
    struct asup_reason *chain;

    if (count > LINKS_MOST)
        count = LINKS_MOST;
    views = count == 0 ? NULL : memory_take(s, memory, count * sizeof *views);
    chain = views == NULL ? NULL : memory_take(s, memory, count * sizeof *chain);
    if (chain == NULL)
        return NULL;
    (void)kernel_reason(s->kernel, handle, views, count);
    for (size_t i = 0; i < count; i++) {
        chain[i] = (struct asup_reason){
            .key = views[i].key,
            .origin_sort = (enum asup_sort)views[i].origin_sort,
            .message = text_copy(s, memory, views[i].message.data, views[i].message.size),
            .cause = i + 1 < count ? &chain[i + 1] : NULL,
        };
        if (chain[i].message == NULL)
            chain[i].message = "";
    }
    return chain;
}

const struct asup_reason *
shell_reason(struct shell *s, uint32_t handle)
{
    struct task_fiber *t = s->running;
    const struct asup_reason *reason;

    if (handle == 0 || t == NULL)
        return NULL;
    if (t->reason_handle == handle)
        return t->reason; /* spelled out last time, too */
    reason = reason_in(s, &t->memory, handle);
    if (reason != NULL) {
        t->reason = reason;
        t->reason_handle = handle;
    }
    return reason;
}

/* ---- Outcomes
 * ------------------------------------------------------------------------------------ */

enum { RESULT_BASE = 256, RESULT_MOST = 65535, EXIT_MOST = 255 };

int32_t
shell_exit_code(int result)
{
    if (result >= 0)
        return result > EXIT_MOST ? EXIT_MOST : result;
    return RESULT_BASE + (result < -RESULT_MOST ? RESULT_MOST : -result);
}

int
shell_result_of(const struct kernel_outcome *from)
{
    return from->exit_code > RESULT_BASE ? RESULT_BASE - from->exit_code : from->exit_code;
}

static const char result_stage[] = "result";

static void
outcome_plain(const struct kernel_outcome *from, struct asup_outcome *out)
{
    *out = (struct asup_outcome){
        .key = from->key,
        .origin_sort = (enum asup_sort)from->origin_sort,
        .forced = from->forced,
        .exit_code = from->exit_code,
        .signal = from->signal,
        .error_number = from->error,
        .wall_ns = from->wall_ns,
        .cpu_ns = from->cpu_ns,
        .memory_peak = from->memory_peak,
    };
    if (from->exit_code > EXIT_MOST) {
        out->exit_code = 1;
        out->stage = result_stage;
        out->error_number = shell_result_of(from);
        out->error = asup_error_text(out->error_number);
    }
}

/* All but its reason. */
static int
outcome_texts(struct shell *s, struct memory_chunk **memory, const struct kernel_outcome *from,
              struct asup_outcome *out)
{
    const char *words = from->key.severity == ASUP_PANICKED ? words_of(s, from->key.origin) : NULL;

    outcome_plain(from, out);
    if (from->stage[0] != '\0') {
        out->stage = text_copy(s, memory, from->stage, strlen(from->stage));
        if (out->stage == NULL)
            return -ASUP_ENOMEM;
    }
    if (words != NULL) {
        out->error = text_copy(s, memory, words, strlen(words));
        if (out->error == NULL)
            return -ASUP_ENOMEM;
    }
    return 0;
}

int
shell_outcome_in(struct shell *s, struct memory_chunk **memory, const struct kernel_outcome *from,
                 struct asup_outcome *out)
{
    int rc = outcome_texts(s, memory, from, out);

    out->reason = reason_in(s, memory, from->reason);
    return rc != 0 || (from->reason != 0 && out->reason == NULL) ? -ASUP_ENOMEM : 0;
}

int
shell_outcome(struct shell *s, const struct kernel_outcome *from, struct asup_outcome *out)
{
    int rc;

    if (out == NULL)
        return 0;
    if (s->running == NULL) {
        outcome_plain(from, out);
        return 0;
    }
    rc = outcome_texts(s, &s->running->memory, from, out);
    out->reason = shell_reason(s, from->reason);
    return rc != 0 || (from->reason != 0 && out->reason == NULL) ? -ASUP_ENOMEM : 0;
}

int
shell_result(const struct kernel_outcome *from)
{
    switch (from->key.severity) {
    case ASUP_OK:
        return 0;
    case ASUP_CANCELLED:
        return -ASUP_ECANCELLED;
    case ASUP_PANICKED:
        return -ASUP_EPANICKED;
    default:
        break;
    }
    if (from->exit_code > EXIT_MOST)
        return shell_result_of(from);
    return from->exit_code > 0 ? from->exit_code : 1;
}

int
asup_outcome_result(const struct asup_outcome *outcome)
{
    switch (outcome->key.severity) {
    case ASUP_OK:
        return 0;
    case ASUP_CANCELLED:
        return -ASUP_ECANCELLED;
    case ASUP_PANICKED:
        return -ASUP_EPANICKED;
    default:
        break;
    }
    if (outcome->stage != NULL && strcmp(outcome->stage, result_stage) == 0 &&
        outcome->error_number < 0)
        return outcome->error_number;
    return outcome->exit_code > 0 ? outcome->exit_code : 1;
}
