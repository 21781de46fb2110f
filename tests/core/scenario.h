/* SPDX-License-Identifier: MIT */
/*
 * Scenarios: the kernel in virtual time, with a shell that does what the test
 * says. A test builds a situation, lets something happen, and compares what
 * came of it with a short readable trace:
 *
 *     given("region r1; task t1 in r1 running");
 *     when("close r1");
 *     expect("r1 cancel user T 30s\n"
 *            "t1 cancel user T 30s\n"
 *            "signal t1 15");
 *     when("t1 dies 15 at 2s");
 *     expect("-- 2s\n"
 *            "t1 completed cancelled user signal 15\n"
 *            "r1 finalizing\n"
 *            "r1 closed cancelled user signal 15");
 *
 * Statements are separated by ";" and name things by words of the test's own
 * choosing; the harness keeps which id each stands for. "/" is the root.
 *
 * Making things
 *     session S [ttl D]
 *     region R [in R'] [policy P] [quorum N] [drain D] [soft] [volatile] [durable] [strict]
 * [attach] [named NAME] [tasks N] [children N] [BUDGET] [finalizer F]... task T in R [running]
 * [delay D] [drain D] [leftover D] [leftover-wait] [watchdog D] [response D] [mask N] [signal N]
 * [notify] [as UID] [BUDGET] defer F to R [same options as a task] saga G in R [from S] [driven T]
 *     step P of G [action T [same options as a task]] [undo [options of a finalizer]]
 *              [attempts N] [backoff D] [most D] [from S] [driven T]
 *              (the attempts to undo P are tasks called ~P, ~P2, ~P3, ...)
 *     A task with "does NAME" is a call: [retry N] [backoff D] [most D] [key K]
 *     BUDGET: timeout D, deadline D (time of the scenario), polls N, cost N,
 *             priority N
 *     S|T|X derives X in R [rights A,B] [priority N] [until D] [cost N] [polls N]
 *     Any request: [by UID] [from S] [with|of T|X: showing its capability]
 *                  [request N] [digest N] [key K [retain D]]
 *                  [withheld A,B] [granted A,B] [under R | nowhere] [most-time D]
 *                  [most-priority N] [most-polls N] (by the policy)
 * Asking
 *     close R [drain D] [message W]     finish R [drain D]
 *     cancel R|T [drain D] [message W]
 *     shutdown [within D]               T checkpoints [masked]
 *     T progresses N [masked]           S keepalive
 *     S bye                             S resumes
 *     channel C in R [capacity N] [ack D] [permit D] [nacks N] [timeouts N]
 *              [keep D] [named NAME]               seal C
 *     P reserves C [timeout D | parked]            P given-back
 *     M sent to C, M sent into P [size N]
 *     A receives C [timeout D | parked] [ack D]    A extended [ack D]
 *     A acked                                      A nacked [note W]
 *     M retried [to C]                             M discarded
 *     H reserves O in R [label L] [timeout D]          (H: a task or session)
 *     H acquires O on NAME in R [ttl D] [timeout D] [as W]   (ttl: 10s)
 *     H commits O                       H aborts O [note W]
 *     H passes O to H'                  H renews O [ttl D]
 *     H releases O
 *     complete G    abort G [message W]    resolve G retry|resolved
 *     S offers NAME... [in R] [concurrency N] [prefetch N] [response D] [mask N]
 *              [quiet D] [holder T]
 *     S asks [N] [poll] (waits for calls)     S begins T...
 *     S completes T OUTCOME [code N] [attempt N] [message W] [result W]
 *     S withdraws [NAME]                      S drains [worker S']
 *     W waits for R|T|G [started|ready] [timeout D]
 *     batch N                           the next N requests go as one
 *     S|T|X revokes X
 * Facts
 *     T starts                          T start-fails STAGE ERRNO
 *     T exits N        (and is empty)   T main-exits N     (something is left)
 *     T dies N         (of a signal)    T main-dies N
 *     T killed         (by our kill)    T main-killed
 *     T core-dumps, T oom-killed, T lost
 *     T empty                           T signalled, T signalled-late
 *     T ready, T stopping, T extends D, T feeds, T used N (CPU ms)
 *     T log-lost N                      R swept ERRNO
 *     S lost, S attached                W leaves
 * Time (D: a duration as on the command line, counted from the start)
 *     at D                              time passes, every timer fires on its way
 *     jump to D                         the next input comes at D, with no tick before
 *     ... at D                          as a suffix: first time passes, then it happens
 * The shell answers by itself, unless told not to
 *     shell starts [no]                 starts succeed at once          (off)
 *     shell delivers [no]               cancel signals are delivered    (on)
 *     shell kills [no]                  what is killed ends at once     (off)
 *     shell obeys [no]                  a cancel signal ends the task   (off)
 *     shell sweeps [no]                 regions are swept at once       (on)
 *
 * The trace
 *     One line per event or order that matters, in the order of the steps,
 *     events before orders; "-- 15s" stands before what happens at that time.
 *     What is bookkeeping is left out (ids bound, seals, charges, rows to forget).
 *     A reason is told with its causes, the root last ("parent-cancelled<user").
 *
 * Behind every step the harness checks the kernel: invariants (§9), the
 * potential (R-SCH-3), that a refusal left no mark (R-EVT-2), that the events
 * folded in a second kernel give the same state (R-EVT-1), one answer per
 * request, sequence numbers, times, and at the end that all memory came back.
 */
#ifndef ASUPERSYNC_TESTS_SCENARIO_H
#define ASUPERSYNC_TESTS_SCENARIO_H

#include "core/kernel.h"
#include "rules.h"

/* The fixture of every scenario. */
void scenario_begin(void);
void scenario_end(void);

/* The configuration, to be changed before the first statement. */
struct kernel_config *given_config(void);

/* Let something happen; given() forgets the trace so far. */
#define given(text) scenario_given(__FILE__, __LINE__, text)
#define when(text) scenario_when(__FILE__, __LINE__, text)

/* The trace since the last given() or expect() is exactly this (a final
 * newline may be left out). */
#define expect(text) scenario_expect(__FILE__, __LINE__, text)

/* Some line of the trace is this; no line of it begins so. They leave the
 * trace as it is. */
#define expect_line(text) scenario_expect_line(__FILE__, __LINE__, text)
#define expect_none(text) scenario_expect_none(__FILE__, __LINE__, text)

/* Forget the trace. */
void trace_forget(void);
const char *trace_text(void);

/* What the names stand for. */
struct kernel *the_kernel(void);
uint64_t id_of(const char *name);
struct region_view region_of(const char *name);
struct task_view task_of(const char *name);
struct channel_view channel_of(const char *name);
struct message_view message_of(const char *name);

/* A hash over every event so far, all fields and bytes. */
uint64_t events_hash(void);

/* Called with every event, unless NULL. */
extern void (*scenario_event_hook)(const struct event *ev);

/* An instant of the scenario as kernel time, and back. */
asup_time instant(const char *duration);
asup_time since_start(asup_time at);

/* A request made by hand: fill in the rest, then take the step, with all the
 * checks. Returns the code; the answer is in scenario_made(). */
struct input scenario_input(enum input_kind kind);
int scenario_step(struct input *in);
/* The same, but lanes and shell are left to run with the next statement. */
int scenario_step_only(struct input *in);
struct asup_ref scenario_made(void);
const char *scenario_limit(void);
const char *scenario_detail(void);

/* Whether a kernel would start with this configuration. */
bool scenario_kernel_starts(const struct kernel_config *config);

/* The spec of the last START. */
struct bytes scenario_spec(void);

/* Memory: refuse every allocation after so many more; -1: none refused. */
void scenario_memory(long allocations_left);
/* Every step first finds little memory (0 to 3 allocations, by the seed), and
 * is taken again with enough when that did not suffice; 0 ends it. How many
 * steps found too little. */
void scenario_memory_scarce(uint64_t seed);
long scenario_memory_starved(void);

void scenario_given(const char *file, int line, const char *text);
void scenario_when(const char *file, int line, const char *text);
void scenario_expect(const char *file, int line, const char *text);
void scenario_expect_line(const char *file, int line, const char *text);
void scenario_expect_none(const char *file, int line, const char *text);

#endif
