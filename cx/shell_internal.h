/* SPDX-License-Identifier: MIT */
/*
 * What the functions of cx.h are made with. A family of them (tasks, scopes,
 * channels, ...) lives in a file cx_<family>.c and uses only this, the kernel's
 * inputs and the kernel's queries.
 *
 * Stacks. Bodies run on their fiber's stack, all that changes something runs on
 * the thread's own: a fiber that overflows never does so within the kernel or
 * the shell. shell_request() and its like go over by themselves; what a family
 * changes of its own goes over with shell_call(). Queries of the kernel may be
 * made from anywhere.
 *
 *     a call that is answered at once        a call that waits
 *       in = cx_input(cx, IN_...)              in = cx_input(cx, IN_...)
 *       shell_request(cx, &in, &reply)         shell_wait_request(cx, &in, WAIT_..., &reply)
 *
 * A call that waits first gives way, then is a checkpoint (R-TSK-2, R-BUD-3),
 * then asks the kernel, which answers or parks it. A cancel while it is parked
 * takes the request back (IN_WAIT_DROPPED) in the same moment, so nothing is
 * ever granted to a call that answers -ASUP_ECANCELLED; a grant that came first
 * is given, and the next checkpoint tells of the cancel.
 *
 * Objects. What a program holds a pointer to (a Cx, a permit, a delivery, ...)
 * is an object: it begins with a struct shell_object, belongs to the task that
 * got it, and is released when it is resolved or its task ends. The memory of a
 * released one keeps saying so for a while (the next OBJECTS_KEPT releases), so
 * that a stale pointer is answered with an error. The kernel is what knows
 * whether an obligation still stands: releasing an object resolves nothing.
 */
#ifndef ASUPERSYNC_CX_SHELL_INTERNAL_H
#define ASUPERSYNC_CX_SHELL_INTERNAL_H

#include "cx/shell.h"

/* ---- Objects -------------------------------------------------------------------- */

enum object_kind {
    OBJECT_GONE, /* released */
    OBJECT_CX,
    OBJECT_PERMIT,
    OBJECT_DELIVERY,
    OBJECT_LEASE,
    OBJECT_IO,
    OBJECT_SAGA,
    OBJECT_WORLD, /* of the world's own calls */
};

enum {
    OBJECT_SIZE = 128, /* the most, its struct shell_object included */
    OBJECTS_KEPT = 4096,
};

struct shell_object {
    struct shell *shell;
    struct task_fiber *owner;         /* NULL: released */
    struct shell_object *next, *prev; /* of its owner's; or of those to be used again */
    void (*drop)(void *object); /* frees what it points to, on the thread's own stack; or NULL */
    enum object_kind kind;
};

/* One of the task that runs: zeroed but for its head. NULL: no memory. */
void *shell_object_new(struct shell *s, enum object_kind kind, void (*drop)(void *object));
/* Whether it is one, and not released. NULL is none. */
bool shell_object_is(const void *object, enum object_kind kind);
/* Drop and release. */
void shell_object_free(void *object);

/* ---- A Cx ------------------------------------------------------------------------ */

struct asup_cx {
    struct shell_object object;
    uint64_t task;       /* whose own capability it is, where there is no derived one */
    uint64_t capability; /* derived; 0: none */
    uint64_t region;     /* what it is for */
    bool scope;          /* opened by its owner: owed to asup_cx_scope_join() */
    bool joining;        /* is finished when none of its tasks and children is left, or no quorum
                            can be reached */
    bool awaited;        /* the owner waits in a join for its end */
    bool closed;         /* that has come */
    uint32_t quorum;     /* of its policy; else 0 */
    uint32_t oks;        /* of its participants, while `joining` */
    uint64_t decider;    /* of a scope: the task by whose end its policy was satisfied; 0 */
    void *memory;        /* scope_memory() */
    void *world;         /* what the world hangs on it; NULL */
};

/* 0; -ASUP_EINVALID: NULL or none; -ASUP_EEXPIRED: released, or its task has ended. */
int cx_check(const struct asup_cx *cx);
/* A request in its name, about its region; no token, no time: the shell sets them. */
struct input cx_input(const struct asup_cx *cx, enum input_kind kind);
/* The caller that requests of this Cx name. */
struct caller cx_caller(const struct asup_cx *cx);
/* 0, -ASUP_EDENIED and the like: for rights that no request of the kernel asks for. */
int cx_may(const struct asup_cx *cx, uint32_t right);
/* Where the world may refuse what makes something: 0, -ASUP_ENOMEM, -ASUP_EBUSY. */
int cx_admit_point(const struct asup_cx *cx);
/* The id of an OBJECT_SAGA. */
uint64_t saga_id(const struct asup_saga_open *saga);
/* As asup_cx_scope_join(), but for releasing it: by now it is known who decided. */
void scope_await(struct asup_cx *scope);
/* Zeroed memory for what runs in a scope: freed when that is released, which is after everything
 * in it has ended, also where its opener was given up in the middle. Once a scope. NULL: none. */
void *scope_memory(struct asup_cx *scope, size_t size);
/* Text as the kernel takes it; NULL is empty; cut to `most` at the end of a character. */
struct bytes cx_text(const char *text, size_t most);

/* ---- Requests ---------------------------------------------------------------------- */

struct shell_reply {
    int code;
    struct asup_ref made;
    bool masked; /* of a report: the mask held */
};

/* Answered at once: never give it a kind that parks but with a timeout of 0. Returns the code.
 * reply: NULL: not wanted. */
int shell_request(const struct asup_cx *cx, struct input *in, struct shell_reply *reply);
/* The same in the shell's own name (root), for what a task owes whatever it may. */
int shell_own_request(struct shell *s, struct input *in, struct shell_reply *reply);

enum wait_how {
    WAIT_ORDINARY,   /* a checkpoint; a cancel ends it, unless the task masks it */
    WAIT_REGARDLESS, /* no checkpoint, goes on whatever happens but a kill */
};
/* One that may park. Also -ASUP_ECANCELLED; never comes back when the task is given up. */
int shell_wait_request(const struct asup_cx *cx, struct input *in, enum wait_how how,
                       struct shell_reply *reply);
/* Give way and be a checkpoint, as each call that waits. 0 or -ASUP_ECANCELLED. */
int shell_checkpoint(const struct asup_cx *cx);
/* Wait for an instant (and nothing else). 0 when it has come, or -ASUP_ECANCELLED. */
int shell_sleep_until(const struct asup_cx *cx, asup_time at);

/* Now, as the world says; whatever the Cx may. */
asup_time shell_time(struct shell *s);
/* Run it on the thread's own stack, now; others do not run meanwhile. */
void shell_call(struct shell *s, void (*function)(struct shell *s, void *ctx), void *ctx);

/* ---- Tasks ---------------------------------------------------------------------------- */

struct shell_body {
    asup_body body;
    void *arg;
    size_t stack_size; /* 0: the shell's */
};

/* As the kernel takes them. */
struct budget_request cx_budget_request(const struct asup_limits *limits);
/* What the kernel wants of every fiber: speaks, waits for its leftovers (its scopes), no limits. */
void shell_task_params(struct task_params *p);
/* IN_TASK_SUBMIT or IN_FINALIZER_DEFER: what is made runs that body. */
int shell_submit(const struct asup_cx *cx, struct input *in, const struct shell_body *body,
                 struct shell_reply *reply);
/* For tasks that the kernel makes by itself, as often as it likes (compensations): a body under
 * a number, whose bytes are the spec of its task_params. 0: no memory. It is freed by who made it,
 * or goes with a saga once it was given to that. On the thread's own stack. */
uint32_t shell_job_new(struct shell *s, const struct shell_body *body);
void shell_job_free(struct shell *s, uint32_t job);
bool shell_job_give(struct shell *s, uint32_t job, uint64_t saga);

/* The task that runs; NULL: the thread's own stack. */
struct task_fiber *shell_running(const struct shell *s);
uint64_t shell_task_id(const struct task_fiber *t);
/* Memory that is good until the task has ended, aligned for anything. NULL: none left. */
void *shell_task_memory(struct task_fiber *t, size_t size);

/* ---- Outcomes ---------------------------------------------------------------------------- */

/* As programs see it, in memory of the task that runs; out NULL: nothing. 0 or -ASUP_ENOMEM: then
 * without its texts and reasons. */
int shell_outcome(struct shell *s, const struct kernel_outcome *from, struct asup_outcome *out);
/* The same in memory of the caller's (NULL to begin), good until that is freed. */
struct memory_chunk;
int shell_outcome_in(struct shell *s, struct memory_chunk **memory,
                     const struct kernel_outcome *from, struct asup_outcome *out);
void shell_memory_free(struct memory_chunk *list);
/* The reason of that handle, in memory of the task that runs; NULL: none, or no memory. */
const struct asup_reason *shell_reason(struct shell *s, uint32_t handle);
/* A negative result travels as an exit code above 255, so that it is in every outcome that comes
 * of it; programs see exit code 1 and the stage "result" with the code as error number. */
int32_t shell_exit_code(int result);
int shell_result_of(const struct kernel_outcome *from);
/* As asup_outcome_result(), without making anything of it. */
int shell_result(const struct kernel_outcome *from);

#endif
