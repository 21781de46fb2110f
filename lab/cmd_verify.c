/* SPDX-License-Identifier: MIT */
/* asupersync-lab verify: whether a trace is whole, and whether what it tells keeps
 * every promise. */
#include <stdio.h>
#include <string.h>

#include "lab/oracle.h"
#include "lab/recording.h"
#include "lab/tool.h"
#include "lab/view.h"

struct verdict {
    uint64_t checks;
    uint64_t judged;  /* by oracles */
    uint64_t bad_seq; /* the event after which something was wrong */
    char bad[768];    /* what; "": nothing */
};

/* Of a trace that holds all events, none is missing; of a journal the volatile ones are. */
static bool
has_gaps(const struct recording *r)
{
    const char *durable = recording_meta(r, "durable");

    return durable != NULL && strcmp(durable, "0") != 0;
}

static void
check_numbers(const struct recording *r, struct verdict *v)
{
    bool gaps = has_gaps(r);

    /* What stands before the last snapshot is history: an engine that died there took the last
     * numbers with it. */
    for (size_t i = r->snapshot_before + 1; i < r->event_count; i++) {
        const struct event *before = &r->events[i - 1];
        const struct event *ev = &r->events[i];

        if (ev->seq <= before->seq || (!gaps && ev->seq != before->seq + 1))
            (void)snprintf(v->bad, sizeof v->bad, "event %llu stands behind event %llu",
                           (unsigned long long)ev->seq, (unsigned long long)before->seq);
        else if (ev->at < before->at)
            (void)snprintf(v->bad, sizeof v->bad, "event %llu is earlier than event %llu",
                           (unsigned long long)ev->seq, (unsigned long long)before->seq);
        if (v->bad[0] != '\0') {
            v->bad_seq = ev->seq;
            return;
        }
    }
}

/* Oracles judge what they see all of, step by step: not a journal, which lacks what is
 * volatile. */
static struct oracles *
oracles_for(const struct fold *f)
{
    const char *maker = recording_meta(f->recording, "made-by");
    struct oracles *o = NULL;

    if (!has_gaps(f->recording) && f->recording->step_count > 0)
        o = oracles_new(fold_config(f));

    if (o != NULL && maker != NULL && strcmp(maker, "lab") == 0)
        oracles_program(o);
    return o;
}

/* Where the world gave tasks up, what they held is leaked, and nobody is to blame. */
static bool
leaks_allowed(const struct recording *r)
{
    const char *allowed = recording_meta(r, "leaks-allowed");

    return allowed != NULL && strcmp(allowed, "0") != 0;
}

static void
take_complaint(struct verdict *v, const struct recording *r, const struct oracles *o, uint64_t seq)
{
    enum asup_oracle which = ASUP_ORACLE_COUNT;
    const char *first = oracles_first(o, &which);

    if (which == ASUP_ORACLE_OBLIGATION_LEAK && leaks_allowed(r)) {
        first = NULL;
        for (which = 0; first == NULL && which < ASUP_ORACLE_COUNT; which++) {
            if (which != ASUP_ORACLE_OBLIGATION_LEAK)
                first = oracles_complaint(o, which);
        }
        which--;
    }
    if (first == NULL || v->bad[0] != '\0')
        return;
    v->bad_seq = seq;
    (void)snprintf(v->bad, sizeof v->bad, "%s: %s", asup_oracle_name(which), first);
}

static void
take_invariant(struct verdict *v, const struct kernel *k, uint64_t seq)
{
    const char *broken = kernel_check(k);

    v->checks++;
    if (broken == NULL || v->bad[0] != '\0')
        return;
    v->bad_seq = seq;
    (void)snprintf(v->bad, sizeof v->bad, "after event %llu the invariant %s is broken",
                   (unsigned long long)seq, broken);
}

/* Whether a step ended before that event. Where a trace does not say, time that moves on
 * does. */
static bool
step_ends(const struct recording *r, size_t at)
{
    return r->step_count > 0 ? r->ends[at - 1] != 0 : r->events[at].at != r->events[at - 1].at;
}

/* Invariants hold between steps. A check takes time in proportion to the state: there
 * are as many as keep the whole in proportion to the events. */
static void
check_fold(struct fold *f, struct oracles *o, bool every, struct verdict *v)
{
    const struct recording *r = f->recording;
    size_t first = f->at;
    uint64_t credit = 0;

    for (const struct event *ev; v->bad[0] == '\0' && (ev = fold_next(f)) != NULL;) {
        bool last = f->at == r->event_count;
        struct kernel_counts counts;

        credit += 64;
        if (!last && !step_ends(r, f->at))
            continue;
        if (o != NULL) {
            oracles_step(o, f->kernel, NULL,
                         &(struct step){.events = &r->events[first], .event_count = f->at - first});
            take_complaint(v, r, o, ev->seq);
        }
        first = f->at;
        kernel_counts(f->kernel, &counts);
        if (!last && !every && credit < (uint64_t)counts.tasks + counts.regions + counts.retained)
            continue;
        credit = 0;
        take_invariant(v, f->kernel, ev->seq);
    }
}

static void
check_all(struct fold *f, bool every, struct verdict *v)
{
    struct oracles *o = oracles_for(f);

    check_fold(f, o, every, v);
    if (o != NULL && v->bad[0] == '\0') {
        oracles_end(o, f->kernel, kernel_potential(f->kernel) == 0);
        take_complaint(v, f->recording, o, kernel_event_seq(f->kernel));
    }
    for (int which = 0; o != NULL && which < ASUP_ORACLE_COUNT; which++)
        v->judged += oracles_judged(o, (enum asup_oracle)which);
    oracles_free(o);
}

static int
report(const struct lab_call *call, const struct recording *r, const struct fold *f,
       const struct verdict *v)
{
    struct text out = {0};

    if (call->json) {
        json_t *o =
            json_pack("{s:i, s:b, s:I, s:I}", "format", 1, "ok", v->bad[0] == '\0', "events",
                      (json_int_t)r->event_count, "checks", (json_int_t)v->checks);

        (void)json_object_set_new(o, "digest", view_digest(f->kernel));
        if (v->bad[0] != '\0') {
            (void)json_object_set_new(o, "seq", json_integer((json_int_t)v->bad_seq));
            (void)json_object_set_new(o, "complaint", json_string(v->bad));
        }
        lab_print_json(o);
        return v->bad[0] == '\0' ? 0 : LAB_FAILED;
    }
    if (v->bad[0] == '\0') {
        if (!call->quiet)
            text_addf(&out,
                      "%s: in order: %zu events, invariants checked %llu times, %llu things "
                      "judged by oracles\n",
                      r->path, r->event_count, (unsigned long long)v->checks,
                      (unsigned long long)v->judged);
        lab_print(&out);
        return 0;
    }
    return lab_fail(call, LAB_FAILED, "%s: %s; look at it: asupersync-lab replay --at %llu %s",
                    r->path, v->bad, (unsigned long long)v->bad_seq, r->path);
}

static int
run(struct lab_call *call)
{
    struct recording *r = NULL;
    struct fold fold = {0};
    struct verdict verdict = {0};
    char why[512];
    int rc = recording_read(call->operands[0], &r, why, sizeof why);

    if (rc == 0)
        rc = fold_begin(&fold, r, why, sizeof why);
    if (rc != 0) {
        recording_free(r);
        return lab_fail_trace(call, rc, why);
    }
    check_numbers(r, &verdict);
    if (verdict.bad[0] == '\0')
        check_all(&fold, lab_value(call, "every") != NULL, &verdict);
    rc = report(call, r, &fold, &verdict);
    fold_end(&fold);
    recording_free(r);
    return rc;
}

static const struct lab_option options[] = {
    {"every", NULL, "check invariants after every step, however long it takes"},
    {NULL, NULL, NULL},
};

const struct lab_verb verb_verify = {
    .name = "verify",
    .operands = "FILE",
    .operands_least = 1,
    .operands_most = 1,
    .summary = "Check that a trace is whole and in order",
    .details =
        "Every check sum, every number, and the fold of its events: the kernel's invariants\n"
        "hold along it (asupersync-semantics(7), Invariants). Exit code 1 names the event\n"
        "after which one does not; 65: the file is damaged or truncated.\n",
    .example = "verify run.trace\n"
               "verify --every --json run.trace\n",
    .options = options,
    .run = run,
};
