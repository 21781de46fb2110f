/* SPDX-License-Identifier: MIT */
/**
 * @file
 * Capabilities: handing on some of what one may (R-CAP-1).
 *
 * A program that runs as a task has a capability for its own region and what is
 * in it; the library shows it by itself (asup_client_options::cx). To let
 * somebody else do some of that, derive one with fewer rights, a smaller region
 * or a ceiling, and hand over its token. What is derived can be derived from
 * again, never for more; revoking takes back all that hangs under it.
 *
 * A token is a secret, like a password: pass it through an environment, a file
 * of mode 0600 or a pipe, not as an argument that every user can read.
 *
 * All calls may be made from any thread. Errors are negative numbers with their
 * text in @p err (NULL: not wanted).
 */
#ifndef ASUPERSYNC_CAPABILITY_H
#define ASUPERSYNC_CAPABILITY_H

#include "asupersync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What a capability is for. Fill with asup_cx_options_init(), then change. */
struct asup_cx_options {
    struct asup_region region; /**< it and what is in it; {0}: that of what is shown, else "/" */
    uint32_t rights;           /**< bits of enum asup_right; at least one */
    uint8_t priority;          /**< ceiling for what is made with it; 0: none of its own */
    uint64_t timeout_ns;       /**< then it is good no more; ASUP_NEVER */
    uint64_t cost;             /**< ceiling; UINT64_MAX: none of its own */
    uint32_t polls;            /**< ceiling; UINT32_MAX: none of its own */
};

/** Make @p options a capability to look, without ceilings. */
ASUP_API void asup_cx_options_init(struct asup_cx_options *options);

/**
 * Derive a capability from what this client shows, or from what its user may.
 *
 * @param options    Borrowed.
 * @param[out] out   Its id, for asup_client_cx_revoke(); NULL: not wanted.
 * @param[out] token What shows it: asup_client_options::cx of another client,
 *                   asup_cx_format() for an environment.
 *
 * @return 0; -ASUP_EDENIED (the right `delegate` is missing, or it would be
 *         more than what is shown), -ASUP_EINVALID, -ASUP_ENOTFOUND,
 *         -ASUP_ECLOSED (a capability dies with its region), -ASUP_EBUSY.
 */
ASUP_API int asup_client_cx_derive(struct asup_client *c, const struct asup_cx_options *options,
                                   struct asup_capability *out, uint8_t token[ASUP_CX_SIZE],
                                   struct asup_error_info *err);

/**
 * Revoke a capability and all that were derived from it. Whatever waits in
 * their name is answered -ASUP_EREVOKED at once; who holds something with one
 * may still give it back (R-CAP-4). Again: changes nothing and is 0.
 *
 * @return 0; -ASUP_EDENIED (it does not hang under what is shown),
 *         -ASUP_EEXPIRED (it died with its region), -ASUP_ENOTFOUND.
 */
ASUP_API int asup_client_cx_revoke(struct asup_client *c, struct asup_capability capability,
                                   struct asup_error_info *err);

/** One derived capability. */
struct asup_cx_info {
    struct asup_capability capability;
    struct asup_capability parent; /**< {0}: derived from what a user or task may by itself */
    struct asup_region region;
    struct asup_ref holder; /**< the task or session that derived it */
    uint32_t owner;         /**< user id of who did */
    uint32_t rights;
    uint8_t priority; /**< 0: no ceiling */
    bool revoked;     /**< good for giving back only */
    uint64_t left_ns; /**< ASUP_NEVER: no limit */
    uint64_t cost;    /**< UINT64_MAX: no ceiling */
    uint32_t polls;   /**< UINT32_MAX: no ceiling */
    uint64_t age_ns;
    char *path; /**< of the region */
};

struct asup_cx_list {
    struct asup_cx_info *items;
    size_t count;
    bool more; /**< ask again with the last one as @p after */
};

/**
 * The derived capabilities of a region and what is in it, by id.
 *
 * @param region    {0}: that of what is shown, else "/".
 * @param after     Only those with larger ids.
 * @param[out] out  Release with asup_cx_list_fini().
 */
ASUP_API int
asup_client_cx_list(struct asup_client *c, struct asup_region region, struct asup_capability after,
                    struct asup_cx_list *out, struct asup_error_info *err);
ASUP_API void asup_cx_list_fini(struct asup_cx_list *list);

/** The word for one right, such as "spawn". @return NULL: there is no such right. */
ASUP_API const char *asup_right_name(uint32_t right);

/** Rights from words with commas between them, such as "spawn,observe"; "all" is
 *  every right but admin. @return 0 or -ASUP_EINVALID. */
ASUP_API int asup_rights_parse(const char *text, uint32_t *out);

#ifdef __cplusplus
}
#endif

#endif
