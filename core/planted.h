/* SPDX-License-Identifier: MIT */
/*
 * Bugs that are there on purpose. A second build of the kernel, for tests alone,
 * is compiled with ASUP_PLANTED; in it a test chooses one of these, a mistake
 * that is easily made, and shows that the oracle of that name finds it. In every
 * other build PLANTED() is constant false and leaves no code.
 */
#ifndef ASUPERSYNC_CORE_PLANTED_H
#define ASUPERSYNC_CORE_PLANTED_H

/* X(NAME, "the mistake") */
#define PLANTED_LIST(X)                                                                            \
    X(TASK_LEAK, "a task whose start failed is forgotten when it was cancelled meanwhile")         \
    X(REGION_TREE, "a region that finishes admits new tasks")                                      \
    X(QUIESCENCE, "a region is closed although its cgroup could not be removed")                   \
    X(FINALIZERS, "finalizers run first in, first out")                                            \
    X(DEADLINE_MONOTONE, "a region that has children leaves its limit to them")                    \
    X(NO_AMBIENT_AUTHORITY, "whose user owns a thing may, whatever capability it shows")           \
    X(CANCEL_PROTOCOL, "a masked checkpoint observes the cancel all the same")                     \
    X(CANCEL_PROPAGATES, "a cancel stops at a region that is finishing")                           \
    X(CANCEL_DEBT, "an extension goes beyond T")                                                   \
    X(LOSER_DRAINED, "who waits for a race is answered when it is decided")                        \
    X(OBLIGATION_LEAK, "of what a holder held only the first leaks")                               \
    X(OBLIGATION_LINEAR, "anybody may resolve an obligation")                                      \
    X(CHANNEL_ATOMIC, "a channel takes one message more than it has room for")                     \
    X(MESSAGE_LOST, "a message is lost with the time of its ack")                                  \
    X(LEASE_FENCED, "a lease is granted again while the task that lost it runs")                   \
    X(SAGA_ORDER, "a saga is undone from its first step on")                                       \
    X(IDEMPOTENCY, "a key answers another request, too")                                           \
    X(FAIRNESS, "the cancel lane starves the others")                                              \
    X(PRIORITY_INVERSION, "of the timed lane the last to enter goes first")                        \
    X(POTENTIAL, "obligations are left out of the potential")                                      \
    X(FUTURELOCK, "who holds more than one thing is not watched")                                  \
    X(DETERMINISM, "now and then picks are put off, by a counter that outlives the kernel")

enum planted {
    PLANTED_NONE,
#define PLANTED_ENUM(name, mistake) PLANTED_##name,
    PLANTED_LIST(PLANTED_ENUM)
#undef PLANTED_ENUM
};

#ifdef ASUP_PLANTED
extern enum planted planted_bug; /* the test has it */
#define PLANTED(name) (planted_bug == PLANTED_##name)
#else
#define PLANTED(name) 0
#endif

#endif
