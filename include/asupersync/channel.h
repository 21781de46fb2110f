/* SPDX-License-Identifier: MIT */
/**
 * @file channel.h
 * Two-phase channels: mailboxes between programs that lose nothing.
 *
 * A sender reserves a *permit* for one slot, then sends into it or aborts it: a
 * sender that is cancelled in between has done nothing. A receiver gets a
 * message with an *ack*: it commits the ack when the work is done, or gives the
 * message back (a nack). A message that comes back, by a nack, by the end of
 * its receiver, or because the time of its ack ran out, returns to its original
 * place; one that comes back too often becomes a dead letter.
 *
 * Permits and acks belong to the task whose capability the client shows, else
 * to the client's session. When that ends they are given back. The calls here
 * keep to what client.h says of errors, threads and time-outs; an error they
 * all know is -ASUP_ENOTFOUND (no such channel, or another user's).
 */
#ifndef ASUPERSYNC_CHANNEL_H
#define ASUPERSYNC_CHANNEL_H

#include "asupersync/client.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Channels ------------------------------------------------------------------ */

/** Stands for the daemon's configured number in asup_channel_options. */
#define ASUP_CONFIGURED UINT32_MAX

/** A channel to open. Fill with asup_channel_options_init() first. */
struct asup_channel_options {
    const char *name;           /**< unique in its region; NULL: its id */
    uint32_t capacity;          /**< queued + permits + unacknowledged; 1024 */
    uint64_t ack_timeout_ns;    /**< then an ack is taken back; 0: the configured time */
    uint64_t permit_timeout_ns; /**< likewise a permit */
    uint32_t nacks_max;         /**< so many nacks and deaths of receivers make a message a
                                     dead letter; 0: none do; ASUP_CONFIGURED */
    uint32_t timeouts_max;      /**< likewise ack time-outs */
    uint64_t dead_retention_ns; /**< how long a dead letter is kept; 0: the configured time */
};
ASUP_API void asup_channel_options_init(struct asup_channel_options *options);

struct asup_channel_info {
    struct asup_channel channel;
    struct asup_region region;
    char *name;
    char *path;  /**< of its region, and its name */
    char *state; /**< "open", "sealed", or "closed": kept for its dead letters */
    uint32_t owner;
    uint64_t capacity, queued, permits, unacked;
    uint64_t dead;               /**< dead letters that came from it and are kept */
    uint64_t sent, consumed;     /**< ever */
    uint64_t bytes;              /**< of data, in the messages it holds */
    uint64_t senders, receivers; /**< requests that wait */
    uint64_t ack_timeout_ns, permit_timeout_ns;
};
ASUP_API void asup_channel_info_fini(struct asup_channel_info *info);

/** An owned array of channels. */
struct asup_channel_list {
    struct asup_channel_info *items;
    size_t count;
};
ASUP_API void asup_channel_list_fini(struct asup_channel_list *list);

/**
 * Open a channel in a region.
 *
 * @param options  NULL: the defaults.
 * @return 0, -ASUP_EEXISTS (a channel of the region has that name), -ASUP_ECLOSED,
 *         -ASUP_EBUSY (a limit).
 */
ASUP_API int asup_client_channel_open(struct asup_client *c, struct asup_region region,
                                      const struct asup_channel_options *options,
                                      struct asup_channel *out, struct asup_error_info *err);

/** The channel of a path such as "/web/orders". */
ASUP_API int asup_client_channel_find(struct asup_client *c, const char *path,
                                      struct asup_channel *out, struct asup_error_info *err);

/** End its intake: reserve and send are refused from now on, and a receive where
 *  nothing more can come is answered -ASUP_EENDED. */
ASUP_API int asup_client_channel_seal(struct asup_client *c, struct asup_channel channel,
                                      struct asup_error_info *err);

/** @param[out] out  Release with asup_channel_info_fini(). */
ASUP_API int asup_client_channel_stat(struct asup_client *c, struct asup_channel channel,
                                      struct asup_channel_info *out, struct asup_error_info *err);

/**
 * The channels of a region.
 *
 * @param region     {0}: "/".
 * @param recursive  With those of the regions in it.
 * @param[out] out   Release with asup_channel_list_fini().
 */
ASUP_API int
asup_client_channel_list(struct asup_client *c, struct asup_region region, bool recursive,
                         struct asup_channel_list *out, struct asup_error_info *err);

/* ---- Sending -------------------------------------------------------------------- */

/**
 * Reserve a permit for one message; waits while the channel is full.
 *
 * @param[out] out  The caller owes one asup_client_channel_send_permit() or
 *                  asup_client_channel_abort()   (R-OBL-1).
 *
 * @return 0, -ASUP_ETIMEDOUT, -ASUP_EBUSY (@p timeout_ms is 0 and it is full; or too
 *         many dead letters), -ASUP_EENDED (sealed), -ASUP_ECLOSED.
 */
ASUP_API int
asup_client_channel_reserve(struct asup_client *c, struct asup_channel channel, int64_t timeout_ms,
                            struct asup_obligation *out, struct asup_error_info *err);

/**
 * Send into a permit.
 *
 * @param data  Any bytes; NULL when @p size is 0.
 * @param out   The new message; NULL: not wanted.
 *
 * @return 0, -ASUP_EEXPIRED (the permit ran out of time), -ASUP_ERESOLVED (it was
 *         used or aborted before), -ASUP_ETOOLARGE, -ASUP_EBUSY (too many bytes are
 *         queued: the permit is kept).
 */
ASUP_API int asup_client_channel_send_permit(struct asup_client *c, struct asup_obligation permit,
                                             const void *data, size_t size,
                                             struct asup_message *out, struct asup_error_info *err);

/** Give a permit back unused. */
ASUP_API int asup_client_channel_abort(struct asup_client *c, struct asup_obligation permit,
                                       struct asup_error_info *err);

/**
 * Reserve and send in one call. With @p timeout_ms 0 it is one request, which
 * is refused (-ASUP_EBUSY) when there is no room.
 */
ASUP_API int asup_client_channel_send(struct asup_client *c, struct asup_channel channel,
                                      const void *data, size_t size, int64_t timeout_ms,
                                      struct asup_message *out, struct asup_error_info *err);

/* ---- Receiving ------------------------------------------------------------------- */

/** A message that was received, and what is owed for it. */
struct asup_delivery {
    struct asup_obligation ack; /**< commit it, or give the message back */
    struct asup_message message;
    uint8_t *data; /**< size bytes; NULL when size is 0 */
    size_t size;
    struct asup_ref sender; /**< task or session; NONE: not known */
    uint64_t deliveries;    /**< 1 the first time */
    asup_time sent_at;      /**< kernel time */
    uint64_t left_ns;       /**< until the message goes back to its place */
};
ASUP_API void asup_delivery_fini(struct asup_delivery *delivery);

/**
 * Receive the next message; waits while there is none.
 *
 * @param ack_timeout_ns  By when the ack is settled; 0: the channel's time.
 * @param[out] out        Release with asup_delivery_fini(). The caller owes one
 *                        asup_client_channel_ack() or asup_client_channel_nack().
 *
 * @return 0, -ASUP_ETIMEDOUT, -ASUP_EENDED (sealed, and nothing more can come),
 *         -ASUP_ECLOSED.
 */
ASUP_API int asup_client_channel_receive(struct asup_client *c, struct asup_channel channel,
                                         uint64_t ack_timeout_ns, int64_t timeout_ms,
                                         struct asup_delivery *out, struct asup_error_info *err);

/**
 * Commit an ack: the message is consumed.
 *
 * @return 0, -ASUP_EEXPIRED (its time ran out: the message went back, and may be
 *         received again), -ASUP_ERESOLVED.
 */
ASUP_API int asup_client_channel_ack(struct asup_client *c, struct asup_obligation ack,
                                     struct asup_error_info *err);

/** Give a message back to its place. @p note: why, kept with it; may be NULL. */
ASUP_API int asup_client_channel_nack(struct asup_client *c, struct asup_obligation ack,
                                      const char *note, struct asup_error_info *err);

/** Begin the time of an ack anew. @p ack_timeout_ns 0: the channel's. */
ASUP_API int asup_client_channel_extend(struct asup_client *c, struct asup_obligation ack,
                                        uint64_t ack_timeout_ns, struct asup_error_info *err);

/* ---- Dead letters ------------------------------------------------------------------ */

struct asup_message_info {
    struct asup_message message;
    struct asup_channel channel; /**< it is in, or came from */
    struct asup_region region;   /**< of that channel */
    char *channel_name;
    char *state;    /**< "queued", "received" or "dead" */
    char *note;     /**< what the last nack said, or "" */
    char *dead_why; /**< "nack", "death", "timeout" or "closed"; "" while it lives */
    uint64_t size;  /**< bytes of data */
    uint8_t *data;  /**< asup_client_channel_message() only; else NULL */
    struct asup_ref sender;
    uint64_t age_ns;
    uint64_t deliveries, nacks, deaths, timeouts;
    uint64_t dead_left_ns; /**< until it is forgotten; ASUP_NEVER while it lives */
};
ASUP_API void asup_message_info_fini(struct asup_message_info *info);

/** An owned array of messages. */
struct asup_message_list {
    struct asup_message_info *items;
    size_t count;
    bool more; /**< ask again after the last of these */
};
ASUP_API void asup_message_list_fini(struct asup_message_list *list);

/**
 * Dead letters, oldest first.
 *
 * @param channel   Only those that came from it; {0}: from all.
 * @param after     Go on after this one; {0}: from the first.
 * @param[out] out  Release with asup_message_list_fini().
 */
ASUP_API int asup_client_channel_dead(struct asup_client *c, struct asup_channel channel,
                                      struct asup_message after, struct asup_message_list *out,
                                      struct asup_error_info *err);

/** One message with its data. @param[out] out  Release with asup_message_info_fini(). */
ASUP_API int
asup_client_channel_message(struct asup_client *c, struct asup_message message,
                            struct asup_message_info *out, struct asup_error_info *err);

/** Put a dead letter back into a channel, at its end; {0}: the one it came from. */
ASUP_API int asup_client_channel_retry(struct asup_client *c, struct asup_message message,
                                       struct asup_channel channel, struct asup_error_info *err);

/** Forget a dead letter. */
ASUP_API int asup_client_channel_discard(struct asup_client *c, struct asup_message message,
                                         struct asup_error_info *err);

#ifdef __cplusplus
}
#endif

#endif
