/* SPDX-License-Identifier: MIT */
#include "lab/oracle_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/durable.h"

enum { SAID_SIZE = 512 };

static const struct oracle_family *const families[] = {
#define ORACLE_FAMILY_ROW(name) &oracle_##name,
    ORACLE_FAMILIES(ORACLE_FAMILY_ROW)
#undef ORACLE_FAMILY_ROW
};
enum { FAMILY_COUNT = sizeof families / sizeof families[0] };

const char *
asup_oracle_name(enum asup_oracle oracle)
{
    static const char *const names[] = {
#define ORACLE_NAME(name, text, well) text,
        ASUP_ORACLE_LIST(ORACLE_NAME)
#undef ORACLE_NAME
    };

    return (unsigned)oracle < ASUP_ORACLE_COUNT ? names[oracle] : "unknown";
}

/* ---- Lifecycle ---------------------------------------------------------------------- */

struct oracles *
oracles_new(const struct kernel_config *config)
{
    struct oracles *o = calloc(1, sizeof *o);

    if (o == NULL)
        return NULL;
    o->config = *config;
    model_init(&o->model);
    return o;
}

void
oracles_free(struct oracles *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (families[i]->fini != NULL)
            families[i]->fini(o);
    }
    for (size_t i = 0; i < ASUP_ORACLE_COUNT; i++)
        free(o->said[i]);
    past_fini(o);
    model_fini(&o->model);
    free(o);
}

void
oracles_program(struct oracles *o)
{
    o->program = true;
}

/* ---- Complaints ----------------------------------------------------------------------- */

/* Room for a complaint; NULL: one was kept before. */
static char *
said_new(struct oracles *o, enum asup_oracle which)
{
    if ((unsigned)which >= ASUP_ORACLE_COUNT || o->said[which] != NULL)
        return NULL;
    o->said[which] = oracle_memory(NULL, SAID_SIZE);
    if (!o->has_first)
        o->first = which;
    o->has_first = true;
    return o->said[which];
}

static size_t
say(char *to, size_t used, const char *format, ...) __attribute__((format(printf, 3, 4)));

static size_t
say(char *to, size_t used, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(to + used, SAID_SIZE - used, format, args);
    va_end(args);
    if (n < 0)
        return used;
    return (size_t)n >= SAID_SIZE - used ? SAID_SIZE - 1 : used + (size_t)n;
}

/* "; event 7 task-completed r2 t5 at 0.200000000 s" */
static void
say_event(char *to, size_t used, const struct event *ev)
{
    used = say(to, used, "; event %llu %s", (unsigned long long)ev->seq, event_kind_name(ev->kind));
    if (ev->region != 0)
        used = say(to, used, " r%llu", (unsigned long long)ev->region);
    if (ev->task != 0)
        used = say(to, used, " t%llu", (unsigned long long)ev->task);
    if (ev->session != 0)
        used = say(to, used, " s%llu", (unsigned long long)ev->session);
    if (ev->subject != 0)
        used = say(to, used, " subject %llu", (unsigned long long)ev->subject);
    if (ev->holder.id != 0)
        used = say(to, used, " holder %c%llu", (char)ev->holder.sort,
                   (unsigned long long)ev->holder.id);
    (void)say(to, used, " at %llu.%09llu s", (unsigned long long)(ev->at / ASUP_NS_PER_S),
              (unsigned long long)(ev->at % ASUP_NS_PER_S));
}

void
complain(struct oracles *o, enum asup_oracle which, const struct event *ev, const char *format, ...)
{
    char *to = said_new(o, which);
    va_list args;

    if (to == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(to, SAID_SIZE, format, args);
    va_end(args);
    if (ev != NULL)
        say_event(to, strlen(to), ev);
}

void
oracles_complain(struct oracles *o, enum asup_oracle which, const char *format, ...)
{
    char *to = said_new(o, which);
    va_list args;

    if (to == NULL)
        return;
    va_start(args, format);
    (void)vsnprintf(to, SAID_SIZE, format, args);
    va_end(args);
}

const char *
oracles_complaint(const struct oracles *o, enum asup_oracle which)
{
    return (unsigned)which < ASUP_ORACLE_COUNT ? o->said[which] : NULL;
}

const char *
oracles_first(const struct oracles *o, enum asup_oracle *which)
{
    if (!o->has_first)
        return NULL;
    if (which != NULL)
        *which = o->first;
    return o->said[o->first];
}

uint64_t
oracles_judged(const struct oracles *o, enum asup_oracle which)
{
    return (unsigned)which < ASUP_ORACLE_COUNT ? o->judged[which] : 0;
}

void
oracles_compare(struct oracles *o, uint64_t one, uint64_t other)
{
    judge(o, ASUP_ORACLE_DETERMINISM);
    if (one != other)
        complain(o, ASUP_ORACLE_DETERMINISM, NULL,
                 "R-EVT-4: the same seed gave other events: digest %016llx, then %016llx",
                 (unsigned long long)one, (unsigned long long)other);
}

/* ---- Steps -------------------------------------------------------------------------------- */

bool
answered_now(const struct judged_step *s)
{
    bool named = s->in != NULL &&
                 ((s->in->request != 0 && s->in->caller.session != 0) || s->in->key.size > 0);

    if (s->reply == NULL || s->reply->code != 0)
        return false;
    if (!named)
        return true;
    for (size_t i = 0; i < s->out->event_count; i++) {
        enum event_kind kind = s->out->events[i].kind;

        if (kind == EV_REQUEST_BOUND || kind == EV_KEY_BOUND)
            return true;
    }
    return false;
}

static const struct effect *
reply_of(const struct input *in, const struct step *out)
{
    if (in == NULL || in->token == 0 || in->kind < IN_SESSION_OPEN || in->kind > IN_BATCH)
        return NULL;
    for (size_t i = 0; i < out->effect_count; i++) {
        if (out->effects[i].kind == FX_REPLY && out->effects[i].token == in->token)
            return &out->effects[i];
    }
    return NULL;
}

static void
learn(struct oracles *o, const struct kernel *k)
{
    model_learn(&o->model, k);
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (families[i]->learn != NULL)
            families[i]->learn(o, k);
    }
    o->begun = true;
    o->stale = false;
}

/* A trace that begins with event 1 begins with nothing but "/". */
static bool
begin(struct oracles *o, const struct kernel *k, const struct step *out)
{
    uint64_t first = out->event_count > 0 ? out->events[0].seq : kernel_event_seq(k) + 1;

    if (first != 1)
        return false;
    model_begin(&o->model, k);
    o->begun = true;
    return true;
}

static bool
comes_back(const struct kernel *k, const struct step *out)
{
    if (kernel_recovering(k))
        return true;
    for (size_t i = 0; i < out->event_count; i++) {
        if (out->events[i].kind == EV_RESUMED)
            return true;
    }
    return false;
}

static void
config_follow(struct oracles *o, const struct kernel *k, const struct step *out)
{
    for (size_t i = 0; i < out->event_count; i++) {
        if (out->events[i].kind == EV_CONFIG)
            o->config = *kernel_configuration(k);
    }
}

void
oracles_step(struct oracles *o, const struct kernel *k, const struct input *in,
             const struct step *out)
{
    struct judged_step s = {.k = k, .in = in, .out = out, .reply = reply_of(in, out)};

    for (size_t i = 0; i < out->event_count; i++)
        past_event(o, &out->events[i]);
    if (comes_back(k, out) || o->stale) {
        o->stale = kernel_recovering(k);
        if (!o->stale)
            learn(o, k);
        config_follow(o, k, out);
        return;
    }
    if (!o->begun && !begin(o, k, out)) {
        learn(o, k);
        o->config = *kernel_configuration(k);
        return;
    }
    s.now = in != NULL             ? in->now
            : out->event_count > 0 ? out->events[out->event_count - 1].at
                                   : kernel_event_time(k);
    s.busy = kernel_next_deadline(k) <= s.now;
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        if (families[f]->before != NULL)
            families[f]->before(o, &s);
    }
    for (size_t i = 0; i < out->event_count; i++) {
        if (out->events[i].kind == EV_CONFIG) { /* in force from here on; counting begins anew */
            o->config = *kernel_configuration(k);
            o->cancel_run = o->timed_run = 0;
        }
        for (size_t f = 0; f < FAMILY_COUNT; f++) {
            if (families[f]->event != NULL)
                families[f]->event(o, &s, &out->events[i]);
        }
        model_apply(&o->model, k, &out->events[i]);
        for (size_t f = 0; f < FAMILY_COUNT; f++) {
            if (families[f]->applied != NULL)
                families[f]->applied(o, &out->events[i]);
        }
    }
    for (size_t f = 0; f < FAMILY_COUNT; f++) {
        if (families[f]->after != NULL)
            families[f]->after(o, &s);
    }
    config_follow(o, k, out);
}

void
oracles_recovered(struct oracles *o, const struct kernel *k, uint64_t seq)
{
    o->durable_seq = seq;
    past_check(o, k, seq);
    if (kernel_recovering(k))
        o->stale = true;
    else
        learn(o, k);
    o->config = *kernel_configuration(k);
}

void
oracles_end(struct oracles *o, const struct kernel *k, bool settled)
{
    if (!o->begun || o->stale)
        return;
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (families[i]->end != NULL)
            families[i]->end(o, k, settled);
    }
}
