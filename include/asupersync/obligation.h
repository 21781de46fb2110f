/* SPDX-License-Identifier: MIT */
/**
 * @file obligation.h
 * What is owed: effects in flight outside the daemon, and leases.
 *
 * An obligation is held by the task whose capability the client shows, else by
 * the client's session, and is resolved exactly once (R-OBL-1): committed,
 * aborted, or, when its holder ends without, leaked (R-OBL-3). The region it is
 * owed to does not close before (R-OBL-5).
 *
 * A lease is a name in a region, held by one at a time until it expires. Its
 * fencing token is larger than that of every grant before, of any lease: what
 * the lease protects should refuse a token smaller than one it has seen. A
 * lease that a *task* lets expire cancels the task, and nobody else gets the
 * name before nothing of it is left. One held by a *session* is granted again
 * at once: then the token alone tells the late one.
 *
 * The calls here keep to what client.h says of errors, threads and time-outs.
 * Errors that all know: -ASUP_ENOTFOUND (no such region or obligation, or
 * another user's), -ASUP_EDENIED (another holds it, or the right is missing:
 * R-OBL-2), and of one that ended: -ASUP_EEXPIRED (its time did), -ASUP_ECLOSED
 * (its region's drain did), -ASUP_ERESOLVED (it was resolved, or leaked).
 */
#ifndef ASUPERSYNC_OBLIGATION_H
#define ASUPERSYNC_OBLIGATION_H

#include "asupersync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Effects outside the daemon -------------------------------------------------- */

/**
 * Register an effect that is in flight outside the daemon (an upload, a mount, a
 * device): the region waits for the end of it.
 *
 * @param region      Region that will wait for it.
 * @param label       For people, at most ASUP_LABEL_MAX bytes; NULL: none.
 * @param timeout_ns  Then it is aborted; ASUP_NEVER: it has no end of its own.
 * @param[out] out    Written on success only. The caller then owes exactly one
 *                    asup_client_obligation_commit() or _abort() (R-OBL-1).
 *
 * @return 0, -ASUP_ECLOSED (the region admits nothing new, R-REG-2),
 *         -ASUP_EBUSY (a limit), -ASUP_EINVALID.
 */
ASUP_API int
asup_client_obligation_reserve(struct asup_client *c, struct asup_region region, const char *label,
                               uint64_t timeout_ns, struct asup_obligation *out,
                               struct asup_error_info *err);

/** It was done. Of a lease: let it go; of an ack: the message is consumed. */
ASUP_API int asup_client_obligation_commit(struct asup_client *c, struct asup_obligation obligation,
                                           struct asup_error_info *err);

/** It was not done; `note` (NULL: none) says why. Of a permit: give it back; of
 *  an ack: give the message back. */
ASUP_API int asup_client_obligation_abort(struct asup_client *c, struct asup_obligation obligation,
                                          const char *note, struct asup_error_info *err);

/** Let another hold it, a task that has not ended or a session that lives, and
 *  that may (R-OBL-2). */
ASUP_API int
asup_client_obligation_transfer(struct asup_client *c, struct asup_obligation obligation,
                                struct asup_ref to, struct asup_error_info *err);

/** An obligation that is not resolved. */
struct asup_obligation_info {
    struct asup_obligation obligation;
    uint8_t kind; /**< enum asup_obligation_kind */
    struct asup_region region;
    char *path;             /**< of the region */
    struct asup_ref holder; /**< a task or a session */
    char *holder_label;     /**< "" without */
    char *name;             /**< of the lease, or the label */
    uint64_t token;         /**< of a lease; else 0 */
    uint64_t age_ns;
    uint64_t left_ns; /**< until it is aborted; ASUP_NEVER: it is not */
    uint32_t owner;
};

/** An owned array of obligations. */
struct asup_obligation_list {
    struct asup_obligation_info *items;
    size_t count;
    bool more; /**< ask again with after = the last of these */
};
ASUP_API void asup_obligation_list_fini(struct asup_obligation_list *list);

/**
 * What is owed to a region and to those below it, in the order of ids.
 *
 * @param region  {0}: "/".
 * @param after   Go on behind this one; {0}: from the first.
 * @param limit   1 to 1000.
 */
ASUP_API int
asup_client_obligation_list(struct asup_client *c, struct asup_region region,
                            struct asup_obligation after, unsigned limit,
                            struct asup_obligation_list *out, struct asup_error_info *err);

/* ---- Leases ------------------------------------------------------------------------- */

/** A lease that was granted. */
struct asup_lease {
    struct asup_obligation obligation; /**< renew and release it by this */
    uint64_t token;                    /**< fencing token */
    uint64_t expires_in_ns;            /**< when it was granted */
};

/**
 * Hold a name, alone, for `ttl_ns` from the grant on. First come, first served.
 *
 * @param name        Name in the region, 1 to ASUP_NAME_MAX bytes.
 * @param ttl_ns      Renew it before that.
 * @param timeout_ms  How long to wait while another holds it; 0: not at all; -1: for ever.
 *
 * @return 0, -ASUP_ETIMEDOUT (another holds it), -ASUP_EEXISTS (the caller does),
 *         -ASUP_ECLOSED, -ASUP_EBUSY (a limit), -ASUP_EINVALID.
 */
ASUP_API int asup_client_lease_acquire(struct asup_client *c, struct asup_region region,
                                       const char *name, uint64_t ttl_ns, int64_t timeout_ms,
                                       struct asup_lease *out, struct asup_error_info *err);

/**
 * Hold it longer. At the instant of its expiry that is too late: -ASUP_EEXPIRED.
 *
 * @param ttl_ns               From now; 0: as long as before.
 * @param[out] expires_in_ns   How long it is held from now; may be NULL.
 */
ASUP_API int
asup_client_lease_renew(struct asup_client *c, struct asup_obligation lease, uint64_t ttl_ns,
                        uint64_t *expires_in_ns, struct asup_error_info *err);

/** Let it go. */
ASUP_API int asup_client_lease_release(struct asup_client *c, struct asup_obligation lease,
                                       struct asup_error_info *err);

/** Who holds a name. */
struct asup_lease_info {
    struct asup_region region;
    char *path; /**< of the region */
    char *name;
    bool cooling;                      /**< it ended, but the task that held it is not gone yet */
    struct asup_obligation obligation; /**< {0} while it cools */
    struct asup_ref holder;            /**< a task or a session */
    char *holder_label;                /**< "" without */
    uint64_t token;                    /**< of the last grant */
    uint64_t age_ns;
    uint64_t left_ns; /**< until it expires; ASUP_NEVER while it cools */
    uint64_t waiters; /**< requests that wait for it */
    uint32_t owner;
};
ASUP_API void asup_lease_info_fini(struct asup_lease_info *info);

/** @return 0, -ASUP_ENOTFOUND (nobody holds it). */
ASUP_API int
asup_client_lease_stat(struct asup_client *c, struct asup_region region, const char *name,
                       struct asup_lease_info *out, struct asup_error_info *err);

/** An owned array of leases. */
struct asup_lease_list {
    struct asup_lease_info *items;
    size_t count;
};
ASUP_API void asup_lease_list_fini(struct asup_lease_list *list);

/** The names that are held in a region and below it; {0}: "/". */
ASUP_API int asup_client_lease_list(struct asup_client *c, struct asup_region region,
                                    struct asup_lease_list *out, struct asup_error_info *err);

#ifdef __cplusplus
}
#endif

#endif
