/* SPDX-License-Identifier: MIT */
/**
 * @file client.h
 * Talking to asupersyncd.
 *
 * A *client* is one connection to one daemon, together with the session that
 * the daemon keeps for it (R-SES-1). Everything comes in two forms:
 *
 *  - blocking calls, one per operation, with typed results; and
 *  - an event-loop form: a descriptor to poll, asup_client_dispatch() to call
 *    when it is readable, and asup_client_call_start() with a callback.
 *
 * @par Errors
 * Every call returns 0 or a negative `-ASUP_E…` (error.h) and, where the last
 * parameter @p err is not NULL, says more there. Any call can return
 *   -ASUP_ENOTCONN     no daemon was reached in time; nothing happened;
 *   -ASUP_EUNAVAILABLE the daemon went away, or cannot take it just now; the
 *                      message says whether it may have happened;
 *   -ASUP_ETIMEDOUT    the daemon was there but did not answer in time;
 *   -ASUP_EINTERRUPTED see asup_client_interrupt();
 *   -ASUP_EEXPIRED     a resumed session's request ids are used up;
 *   -ASUP_EMALFORMED   the answer could not be understood;
 *   -ASUP_ENOMEM, and -ASUP_EINVALID for a NULL or senseless argument;
 * these are not repeated below. On failure results are not written.
 *
 * @par Broken connections
 * The library connects again by itself and asks again. A request that changes
 * something is repeated under the same session and request id, so that it is
 * done once and has one answer (R-IDM-1). A wait is simply asked again: it
 * survives broken connections and restarts of the engine, and ends only with
 * its answer or its time-out. Calls ride out up to
 * asup_client_options::patience_ms without a daemon. If the session is gone
 * when the daemon is back (without a journal an engine restart ends it), the
 * library begins a new one; a change that was under way then returns
 * -ASUP_EUNAVAILABLE, since nobody can tell whether it happened, and what no
 * longer exists is -ASUP_ENOTFOUND.
 *
 * @par Threads
 * All functions on one client may be called from any number of threads at the
 * same time, with three exceptions: asup_client_free() must be the last call
 * and alone; asup_client_dispatch() runs callbacks, and of several threads in
 * it one does the work and the others return 0 at once; a callback may call
 * everything but asup_client_free() and asup_client_dispatch(). The pointers
 * that queries return are to be copied when another thread may reconnect; the
 * queries below say so where it matters. Different clients share nothing.
 *
 * @par Fork
 * A client has a thread of its own, which a fork(2) does not copy. After a fork
 * the child may only exec or _exit: it must not touch the client, not even to
 * free it. Connect after the fork, in the process that uses the client. All
 * descriptors of the library are close-on-exec.
 *
 * @par Signals
 * Blocking calls go on after a signal handler has run (no EINTR); use
 * asup_client_interrupt() in the handler to end them. The library installs no
 * handlers, raises no SIGPIPE, and its thread takes no signals.
 *
 * @par Time-outs
 * `timeout_ms`: milliseconds; 0 asks once and does not wait; -1 waits for ever.
 */
#ifndef ASUPERSYNC_CLIENT_H
#define ASUPERSYNC_CLIENT_H

#include "asupersync/api.h"
#include "asupersync/error.h"
#include "asupersync/info.h"
#include "asupersync/types.h"

#ifdef __cplusplus
extern "C" {
#endif

struct asup_client;

/* ---- Errors ------------------------------------------------------------------ */

/** What went wrong, for people and for programs. Plain storage: nothing to
 *  release. After a call that returned 0, `code` is 0 and `message` holds the
 *  daemon's advice about what was asked (R-TSK-8), or is empty. */
struct asup_error_info {
    int code;          /**< what the call returned */
    char message[512]; /**< one sentence; cut at a character if longer */
    char hint[512];    /**< what to do about it, or "" */
    char field[64];    /**< the field of the request that was wrong, or "" */
    char limit[64];    /**< with -ASUP_EBUSY the limit that is reached, or "" (R-SCH-4) */
    uint64_t oldest;   /**< with -ASUP_EGAP the oldest event still kept; else 0 */
};

/* ---- Connecting ---------------------------------------------------------------- */

/** Bytes in the secret of a session. */
#define ASUP_SECRET_SIZE 16

/** Bytes in the token of a capability, and in its text form with the NUL. */
#define ASUP_CX_SIZE 16
#define ASUP_CX_TEXT_SIZE 33

/** How to connect. Fill with asup_client_options_init(), then change. */
struct asup_client_options {
    /** "ipc:///path/to/asupersyncd.sock" or just the absolute path. NULL: the
     *  first of $ASUPERSYNC_SOCKET; $XDG_RUNTIME_DIR/asupersync/asupersyncd.sock
     *  if it exists; /run/asupersync/asupersyncd.sock. */
    const char *url;
    /** How long the session outlives its last connection; 0: the daemon's
     *  default (30 s). The daemon has a maximum. */
    uint64_t session_ttl_ns;
    /** Milliseconds in which a daemon must have answered. 0: return at once and
     *  connect behind the caller's back; -1: wait for ever. Default 5000. */
    int32_t connect_timeout_ms;
    /** Milliseconds a call may be without a daemon before it gives up, so that
     *  a restart goes unnoticed. -1: for ever. Default 10000. */
    int32_t patience_ms;
    /** Milliseconds in which a connected daemon must answer what is not a
     *  wait. -1: for ever. Default 30000. */
    int32_t answer_timeout_ms;
    /** Have no session. Then nothing can be attached, and a change whose
     *  connection breaks is not repeated but returns -ASUP_EUNAVAILABLE. */
    bool without_session;
    /** Leave the session to its time to live when the client is freed, so that
     *  another client can resume it by its secret. */
    bool keep_session;
    /** Resume the session with this secret (ASUP_SECRET_SIZE bytes, copied).
     *  NULL: a new session. */
    const uint8_t *session_secret;
    /** The capability to show with every request (ASUP_CX_SIZE bytes, copied).
     *  NULL: the task's own, from $ASUPERSYNC_CX, where this process is one of
     *  a task of the daemon that it connects to ($ASUPERSYNC_SOCKET); else none,
     *  and the requests have the rights of this user. */
    const uint8_t *cx;
    /** Show no capability, whatever $ASUPERSYNC_CX says. */
    bool without_cx;
};

/** Make @p options the defaults: discovery, a new session, 5 s to connect. */
ASUP_API void asup_client_options_init(struct asup_client_options *options);

/**
 * Connect to a daemon and begin (or resume) a session.
 *
 * @param options  Borrowed; NULL for the defaults.
 * @param[out] out The client, to be freed with asup_client_free().
 *
 * @return 0; -ASUP_ENOTCONN when nobody is there, or what is there is silent or
 *         not asupersyncd; -ASUP_EUNSUPPORTED when the daemon does not speak
 *         this version; -ASUP_EEXPIRED when the session to resume is gone;
 *         -ASUP_EDENIED; -ASUP_EBUSY (sessions).
 */
ASUP_API int asup_client_connect(const struct asup_client_options *options,
                                 struct asup_client **out, struct asup_error_info *err);

/**
 * Say goodbye and release the client. Ends the session unless keep_session was
 * set: what is attached to it is then cancelled (R-SES-1). Waits at most one
 * second for the daemon. Calls still started are dropped without callback. No
 * other thread may be in a call on @p c. NULL is allowed.
 */
ASUP_API void asup_client_free(struct asup_client *c);

/** The address in use, "ipc://…". Valid until the client is freed. */
ASUP_API const char *asup_client_url(const struct asup_client *c);

/** The session, or {0} without one. A new one after its loss. */
ASUP_API struct asup_session asup_client_session(struct asup_client *c);

/** Copy the secret of the session, by which another client can resume it.
 *  @return 0 or -ASUP_ENOTFOUND (no session). */
ASUP_API int asup_client_secret(struct asup_client *c, uint8_t secret[ASUP_SECRET_SIZE]);

/** Is there a connection just now? Only good for display: it may be gone by
 *  the time this returns. */
ASUP_API bool asup_client_connected(struct asup_client *c);

/**
 * Make all blocking calls on @p c, running and future, return
 * -ASUP_EINTERRUPTED, until asup_client_interrupt_clear(). What they asked for
 * may still happen. Async-signal-safe, and sticky so that a signal just before
 * a call is not lost. Calls started with asup_client_call_start() go on.
 */
ASUP_API void asup_client_interrupt(struct asup_client *c);

/** Let blocking calls work again. @return whether they were interrupted. */
ASUP_API bool asup_client_interrupt_clear(struct asup_client *c);

/* ---- Capabilities (R-CAP-1) --------------------------------------------------------- */

/** The token that 32 hexadecimal digits stand for, such as $ASUPERSYNC_CX holds.
 *  @return 0 or -ASUP_EINVALID. */
ASUP_API int asup_cx_parse(const char *text, uint8_t token[ASUP_CX_SIZE]);

/** The text form of a token. It is a secret: whoever has it has its rights. */
ASUP_API void asup_cx_format(const uint8_t token[ASUP_CX_SIZE], char text[ASUP_CX_TEXT_SIZE]);

/* ---- Idempotency keys (R-IDM-1) ------------------------------------------------------- */

/**
 * Give the next request of this thread that changes something an idempotency
 * key. Made again with that key, by whatever process of this user, the same
 * request is answered as it was the first time: a task that was submitted is
 * the same task, running or done, also when its region has closed meanwhile.
 * Another request with the key is -ASUP_ECONFLICT.
 *
 * A key counts for this user and for what the request names: the region, or
 * the channel, saga, obligation or task. It is used up by the next such call on
 * this thread, whatever becomes of that. Calls that take what has to be held
 * (leases, permits, messages) and batches take none; asup_client_call() takes
 * it as `key` among its arguments.
 *
 * Say the same again: relative time limits, not instants that were computed.
 *
 * @param key           1 to ASUP_KEY_MAX bytes; copied. NULL: none after all.
 * @param retention_ns  How long it lives after what it started has ended; 0: the
 *                      daemon's default (24 h).
 * @return 0 or -ASUP_EINVALID.
 */
ASUP_API int asup_client_next_key(const char *key, uint64_t retention_ns);

/* ---- Regions --------------------------------------------------------------------- */

/**
 * Open a region.
 *
 * @param options  Borrowed; NULL: an unnamed `collect` region under "/".
 * @param[out] out The region; nothing to release, it lives in the daemon.
 *
 * @return 0; -ASUP_EINVALID (name, policy, budget), -ASUP_EEXISTS (name taken),
 *         -ASUP_ENOTFOUND or -ASUP_EDENIED (parent), -ASUP_ECLOSED (parent no
 *         longer open, R-REG-2), -ASUP_EBUSY (a limit).
 */
ASUP_API int
asup_client_region_open(struct asup_client *c, const struct asup_region_options *options,
                        struct asup_region *out, struct asup_error_info *err);

/** Find a live region by its path, such as "/web/api", as this user sees it.
 *  @return 0, -ASUP_ENOTFOUND, -ASUP_EINVALID (not a path). */
ASUP_API int asup_client_region_find(struct asup_client *c, const char *path,
                                     struct asup_region *out, struct asup_error_info *err);

/**
 * End a region in one of the three ways (R-REG-3) and return at once; wait for
 * it with asup_client_region_wait(). Repeating it only tightens (R-CAN-1).
 *
 * @param drain_ns  Cleanup allowance; 0 kills at once; ASUP_NEVER: by the rules (R-CAN-2).
 * @param message   For the cancel reason, at most ASUP_MESSAGE_MAX bytes; NULL: none.
 *
 * @return 0, -ASUP_ENOTFOUND, -ASUP_EDENIED, -ASUP_EINVALID. Ending a closed
 *         region is 0.
 */
ASUP_API int
asup_client_region_end(struct asup_client *c, struct asup_region region, enum asup_end_mode mode,
                       uint64_t drain_ns, const char *message, struct asup_error_info *err);

/**
 * Wait until a region is Closed: nothing of it is left (R-REG-4).
 *
 * @param[out] out  Its outcome, to be released with asup_outcome_fini(); NULL: not wanted.
 *
 * @return 0, -ASUP_ETIMEDOUT (still not closed), -ASUP_ENOTFOUND, -ASUP_EDENIED,
 *         -ASUP_EBUSY (too many waits).
 */
ASUP_API int
asup_client_region_wait(struct asup_client *c, struct asup_region region, int64_t timeout_ms,
                        struct asup_outcome *out, struct asup_error_info *err);

/** How a region is now, closed ones included while they are retained.
 *  @param[out] out  Release with asup_region_info_fini().
 *  @return 0, -ASUP_ENOTFOUND, -ASUP_EDENIED. */
ASUP_API int asup_client_region_stat(struct asup_client *c, struct asup_region region,
                                     struct asup_region_info *out, struct asup_error_info *err);

/**
 * Register a finalizer: a process run when the region has drained, last
 * registered first, whatever the outcome (R-FIN-1). Its budget's time-out is
 * how long it may take (default 10 s, R-REG-6).
 *
 * @param[out] out  The finalizer, a task; NULL: not wanted.
 * @return as asup_client_task_submit().
 */
ASUP_API int asup_client_finalizer_defer(struct asup_client *c, struct asup_region region,
                                         const struct asup_process *process, struct asup_task *out,
                                         struct asup_error_info *err);

/* ---- Tasks ------------------------------------------------------------------------ */

/**
 * Run a program as a task of a region. Returns when it is admitted; that the
 * program cannot be started shows in the task's outcome.
 *
 * @return 0; -ASUP_ECLOSED (region no longer open), -ASUP_ENOTFOUND,
 *         -ASUP_EDENIED (region or user, R-CAP-3), -ASUP_EINVALID (err->field
 *         says what), -ASUP_ETOOLARGE, -ASUP_EBUSY (err->limit says which).
 */
ASUP_API int asup_client_task_submit(struct asup_client *c, struct asup_region region,
                                     const struct asup_process *process, struct asup_task *out,
                                     struct asup_error_info *err);

/** Most operations that one atomic batch may hold. */
#define ASUP_BATCH_MAX 1024

/**
 * Run many programs with few messages.
 *
 * @param count       At least 1; with @p atomic at most ASUP_BATCH_MAX.
 * @param atomic      All are admitted or none.
 * @param[out] tasks  count entries; {0} for those refused.
 * @param[out] codes  count entries, what each would have returned alone; NULL:
 *                    not wanted. In a refused atomic batch those that were fine
 *                    are -ASUP_EINTERRUPTED.
 *
 * Unlike other results, both arrays are written on failure too (but for a
 * senseless argument).
 *
 * @return 0 when all were admitted; else the first code that is neither 0 nor
 *         -ASUP_EINTERRUPTED, with its @p err.
 */
ASUP_API int
asup_client_task_submit_many(struct asup_client *c, struct asup_region region,
                             const struct asup_process *processes, size_t count, bool atomic,
                             struct asup_task *tasks, int *codes, struct asup_error_info *err);

/** Ask a task to end (R-TSK-2); parameters as asup_client_region_end().
 *  @return 0 (also when it is cancelled or completed already), -ASUP_ENOTFOUND,
 *          -ASUP_EDENIED. */
ASUP_API int
asup_client_task_cancel(struct asup_client *c, struct asup_task task, uint64_t drain_ns,
                        const char *message, struct asup_error_info *err);

/** What to wait for. Each is also reached by whatever makes it impossible. */
enum asup_until {
    ASUP_UNTIL_FINISHED = 0, /**< Completed */
    ASUP_UNTIL_STARTED = 1,  /**< its program runs */
    ASUP_UNTIL_READY = 2,    /**< it said READY=1 */
};

/**
 * Wait for a task. Any number of waiters get the same answer (R-TSK-7).
 *
 * @param[out] out  How it is then; release with asup_task_info_fini(). NULL: not wanted.
 *
 * @return 0 (look at out->state: a task waited for READY may have completed
 *         instead), -ASUP_ETIMEDOUT, -ASUP_ENOTFOUND, -ASUP_EDENIED,
 *         -ASUP_EBUSY (too many waits).
 */
ASUP_API int
asup_client_task_wait(struct asup_client *c, struct asup_task task, enum asup_until until,
                      int64_t timeout_ms, struct asup_task_info *out, struct asup_error_info *err);

/** How a task is now, completed ones included while they are retained (R-TSK-6).
 *  @return 0, -ASUP_ENOTFOUND, -ASUP_EDENIED. */
ASUP_API int asup_client_task_stat(struct asup_client *c, struct asup_task task,
                                   struct asup_task_info *out, struct asup_error_info *err);

/** Which tasks to list. All zero: every live task that the caller may see. */
struct asup_list_options {
    struct asup_region region; /**< {0}: the root */
    bool only_region;          /**< not those of its child regions */
    bool all;                  /**< completed ones too, while they are retained */
    struct asup_task after;    /**< only larger ids */
    uint32_t limit;            /**< at most so many, 1 to 1000; 0: 1000 */
};

/** List tasks by id. @param options NULL: the defaults.
 *  @param[out] out  Release with asup_task_list_fini(). */
ASUP_API int asup_client_task_list(struct asup_client *c, const struct asup_list_options *options,
                                   struct asup_task_list *out, struct asup_error_info *err);

/**
 * For a program that runs as a task: spend one poll and learn whether somebody
 * asked it to stop (R-BUD-3, R-TSK-2). Observing a cancel acknowledges it.
 *
 * @param[out] out  Release with asup_checkpoint_fini().
 */
ASUP_API int asup_client_task_checkpoint(struct asup_client *c, struct asup_task task,
                                         struct asup_checkpoint *out, struct asup_error_info *err);

/** As asup_client_task_checkpoint(), but report progress that cost @p cost units
 *  and spend no poll. */
ASUP_API int asup_client_task_progress(struct asup_client *c, struct asup_task task, uint64_t cost,
                                       struct asup_checkpoint *out, struct asup_error_info *err);

/**
 * The same where a cancel must not be heard yet: spend one of the allowance
 * that the task declared as its mask depth. While there is one to spend the
 * answer tells of no cancel, and acknowledges none; after that it is a
 * checkpoint like any other (R-TSK-3). The kill at the end of the drain time
 * comes all the same.
 */
ASUP_API int
asup_client_task_checkpoint_masked(struct asup_client *c, struct asup_task task,
                                   struct asup_checkpoint *out, struct asup_error_info *err);
ASUP_API int
asup_client_task_progress_masked(struct asup_client *c, struct asup_task task, uint64_t cost,
                                 struct asup_checkpoint *out, struct asup_error_info *err);

/**
 * Read what a task has written to its standard output and error.
 *
 * @param offset    Where to read on; 0 at first, then the last next_offset.
 * @param size_max  Most bytes to answer; 0: what the daemon likes.
 * @param[out] out  Release with asup_log_chunk_fini(). Empty with `end` when
 *                  there is nothing more to come.
 *
 * @return 0, -ASUP_ETIMEDOUT (nothing new), -ASUP_ENOTFOUND, -ASUP_EDENIED.
 */
ASUP_API int asup_client_task_logs(struct asup_client *c, struct asup_task task, uint64_t offset,
                                   uint64_t size_max, int64_t timeout_ms,
                                   struct asup_log_chunk *out, struct asup_error_info *err);

/** The task and region that this process runs in, from its environment.
 *  Either pointer may be NULL. @return 0 or -ASUP_ENOTFOUND. */
ASUP_API int asup_self(struct asup_region *region, struct asup_task *task);

/**
 * Hand standard input, output and error over to a task that is yet to be
 * submitted (asup_process::stdio_token).
 *
 * @param fds         Open descriptors for 0, 1 and 2; borrowed, may repeat.
 * @param[out] token  Fresh and unguessable; give it to exactly one task.
 *
 * @return a descriptor (close-on-exec) to keep open until the task has started
 *         and to close(2) then, or a negative error. The daemon forgets an
 *         offer that no task has taken for 30 s.
 */
ASUP_API int asup_stdio_offer(struct asup_client *c, const int fds[3],
                              uint8_t token[ASUP_STDIO_TOKEN_SIZE], struct asup_error_info *err);

/**
 * Hand the same streams over once more under the same token: the connection
 * that asup_stdio_offer() gave has ended and the task has not started, since the
 * engine died in between. Such a task waits for this.
 *
 * @return as asup_stdio_offer().
 */
ASUP_API int
asup_stdio_offer_again(struct asup_client *c, const int fds[3],
                       const uint8_t token[ASUP_STDIO_TOKEN_SIZE], struct asup_error_info *err);

/* ---- Events and diagnosis ---------------------------------------------------------- */

/** asup_client_events_read() and _watch(): events from now on. */
#define ASUP_SINCE_NOW UINT64_MAX

/**
 * Read some events, in order and without loss from a sequence number on.
 *
 * @param since     First sequence number wanted; 0: the oldest kept; ASUP_SINCE_NOW.
 * @param region    Only of this region and what is below it; {0}: all one may see.
 * @param limit     At most so many; 0: what the daemon likes.
 * @param[out] out  At least one event, unless timeout_ms passed: then none, and
 *                  `next` says where to go on. Release with asup_event_list_fini().
 *
 * @return 0; -ASUP_EGAP when events from @p since on are no longer kept, or the
 *         engine was started again: err->oldest is the oldest that is.
 */
ASUP_API int asup_client_events_read(struct asup_client *c, uint64_t since,
                                     struct asup_region region, uint32_t limit, int64_t timeout_ms,
                                     struct asup_event_list *out, struct asup_error_info *err);

/** Called for each event; borrowed. Return 0 to go on, anything else to stop. */
typedef int (*asup_event_fn)(void *arg, const struct asup_event *event);

/**
 * Watch events with a callback on the calling thread, until it returns
 * something other than 0, which is then returned here.
 *
 * @return what @p fn returned; 0 when @p timeout_ms passed; -ASUP_EGAP when
 *         events were missed: go on from err->oldest.
 */
ASUP_API int asup_client_events_watch(struct asup_client *c, uint64_t since,
                                      struct asup_region region, int64_t timeout_ms,
                                      asup_event_fn fn, void *arg, struct asup_error_info *err);

/** What does this region, task or session wait for, link by link?
 *  @param[out] out  Release with asup_why_fini(). */
ASUP_API int asup_client_why(struct asup_client *c, struct asup_ref id, struct asup_why *out,
                             struct asup_error_info *err);

/* ---- The daemon ---------------------------------------------------------------------- */

/** @param[out] out  Release with asup_daemon_info_fini(). */
ASUP_API int asup_client_daemon_status(struct asup_client *c, struct asup_daemon_info *out,
                                       struct asup_error_info *err);

/** Read the configuration again. Root or the daemon's owner only.
 *  @return 0, -ASUP_EDENIED, -ASUP_EINVALID (file, line and column in err). */
ASUP_API int asup_client_daemon_reload(struct asup_client *c, struct asup_error_info *err);

/**
 * Put a new engine in the place of the one that runs, of the program as it is
 * installed now; every task, region and session goes on. The answer comes
 * before the old engine goes; what is asked next is asked of the new one, for
 * which the library waits (patience_ms). Root or the daemon's owner only.
 *
 * @return 0, -ASUP_EDENIED, -ASUP_EUNSUPPORTED (the new program would not start,
 *         or wants a restart of the whole daemon; nothing was changed).
 */
ASUP_API int asup_client_daemon_upgrade(struct asup_client *c, struct asup_error_info *err);

/** Admit nothing more and let what runs end. Root or the daemon's owner only. */
ASUP_API int asup_client_daemon_drain(struct asup_client *c, struct asup_error_info *err);

/**
 * Shut the daemon down in structure: cancel "/" with reason Shutdown. Root or
 * the daemon's owner only. Returns when it has begun; a second call shortens
 * every allowance to its minimum (R-REG-6).
 *
 * @param within_ns  Outer limit; ASUP_NEVER: none.
 */
ASUP_API int
asup_client_daemon_shutdown(struct asup_client *c, uint64_t within_ns, struct asup_error_info *err);

/* ---- Any operation -------------------------------------------------------------------- */

/**
 * Call any operation of asupersync-protocol(7).
 *
 * Operations that wait (`task.wait`, `region.wait`, `task.logs`,
 * `events.watch`) take their `timeout_ns` from @p timeout_ms: one in @p args is
 * ignored. `events.watch` may answer with no events before that; ask on from
 * its `next`. For all others timeout_ms limits the whole call; -1 then means
 * patience_ms and answer_timeout_ms of the client.
 *
 * @param op         Such as "task.submit"; NUL-terminated.
 * @param args       One msgpack map; borrowed. NULL with size 0: an empty map.
 * @param args_size  Bytes.
 * @param[out] body  The body of the answer, one msgpack map, to be released
 *                   with free(3). Always written: with an error it is the body
 *                   of the error (which may hold more than @p err), or NULL.
 *                   NULL: not wanted.
 * @param[out] body_size  Bytes; 0 when *body is NULL.
 *
 * @return the code of the answer, or an error of the library's own.
 */
ASUP_API int
asup_client_call(struct asup_client *c, const char *op, const void *args, size_t args_size,
                 int64_t timeout_ms, void **body, size_t *body_size, struct asup_error_info *err);

/** Spell an answer's error out of its body, as the callbacks below get it.
 *  Works for every code; never fails. */
ASUP_API void
asup_error_info_read(struct asup_error_info *err, int code, const void *body, size_t body_size);

/* ---- In an event loop ------------------------------------------------------------------ */

/** Names a call that was started; 0 is never one. */
typedef uint64_t asup_call;

/**
 * The answer to a started call.
 *
 * @param code  0 or negative, the library's own errors included.
 * @param body  One msgpack map, also for errors; borrowed until it returns.
 */
typedef void (*asup_reply_fn)(void *arg, int code, const void *body, size_t body_size);

/** A descriptor that is readable when asup_client_dispatch() has something to
 *  do. Belongs to the client: poll it, never read or close it. */
ASUP_API int asup_client_fd(struct asup_client *c);

/** Run the callbacks of all calls that are answered, on this thread, without
 *  waiting. @return how many ran. */
ASUP_API int asup_client_dispatch(struct asup_client *c);

/**
 * Start a call; arguments as asup_client_call(), copied. Exactly one callback
 * follows, from within asup_client_dispatch(), unless the call is dropped
 * before. Never blocks.
 *
 * @param[out] out  Its name for asup_client_call_drop(); NULL: not wanted.
 *
 * @return 0, or an error: then there is no callback.
 */
ASUP_API int
asup_client_call_start(struct asup_client *c, const char *op, const void *args, size_t args_size,
                       int64_t timeout_ms, asup_reply_fn fn, void *arg, asup_call *out);

/**
 * Forget a started call: its callback will not begin after this returns. What
 * was asked for may still happen; cancel it in the daemon for that.
 *
 * @return 0, or -ASUP_ENOTFOUND when the callback has begun or run.
 */
ASUP_API int asup_client_call_drop(struct asup_client *c, asup_call call);

#ifdef __cplusplus
}
#endif

#endif
