/* SPDX-License-Identifier: MIT */
/**
 * @file error.h
 * Every error asupersync can answer, from one list.
 *
 * The list makes the C constants, the codes on the wire, the short names
 * (`"region-closed"`), the texts and the manual's table. Functions return 0
 * or a negative value, `-ASUP_E…`; replies carry the same negative number.
 * Numbers and names are stable: they are only ever added to.
 */
#ifndef ASUPERSYNC_ERROR_H
#define ASUPERSYNC_ERROR_H

/*
 * X(NAME, number, "wire-name", HTTP status, retry can help, "text")
 *
 * "Retry can help" means: the very same request may succeed later without
 * anyone changing it.
 */
#define ASUP_ERROR_LIST(X)                                                                         \
    X(MALFORMED, 1, "malformed", 400, 0, "the message could not be understood")                    \
    X(UNSUPPORTED, 2, "unsupported", 400, 0, "the operation or version is not known here")         \
    X(TOOLARGE, 3, "too-large", 413, 0, "the message or a field is larger than its limit")         \
    X(INVALID, 4, "invalid", 400, 0, "a value is wrong")                                           \
    X(NOTFOUND, 5, "not-found", 404, 0, "nothing of that id or name exists")                       \
    X(DENIED, 6, "denied", 403, 0, "the caller may not do that")                                   \
    X(CLOSED, 7, "region-closed", 409, 0, "the region no longer admits anything")                  \
    X(EXISTS, 8, "name-taken", 409, 0, "a live sibling has that name")                             \
    X(BUSY, 9, "busy", 429, 1, "a limit is reached")                                               \
    X(TIMEDOUT, 10, "timeout", 408, 1, "the wait ended before the answer came")                    \
    X(CONFLICT, 11, "conflict", 409, 0, "that request id or key was used for another request")     \
    X(EXPIRED, 12, "expired", 410, 0, "the session, capability or request id is no longer good")   \
    X(UNAVAILABLE, 13, "unavailable", 503, 1, "the daemon cannot take this just now")              \
    X(NOMEM, 14, "no-memory", 503, 1, "memory is exhausted")                                       \
    X(NOTCONN, 15, "not-connected", 503, 1, "the daemon could not be reached")                     \
    X(GAP, 16, "gap", 410, 0, "the events asked for are no longer kept")                           \
    X(INTERRUPTED, 17, "interrupted", 499, 1, "the call was interrupted by its own caller")        \
    X(INTERNAL, 18, "internal", 500, 0, "the daemon hit a fault of its own")                       \
    X(ENDED, 19, "ended", 410, 0, "the channel is sealed and has nothing more")                    \
    X(REVOKED, 20, "revoked", 403, 0, "the capability was revoked")                                \
    X(RESOLVED, 21, "resolved", 409, 0, "the obligation was resolved already")                     \
    X(CANCELLED, 22, "cancelled", 499, 0, "the task was asked to stop")                            \
    X(PANICKED, 23, "panicked", 500, 0, "the task ended in a panic")

enum asup_error_code {
#define ASUP_ERROR_ENUM(name, number, wire, http, retry, text) ASUP_E##name = (number),
    ASUP_ERROR_LIST(ASUP_ERROR_ENUM)
#undef ASUP_ERROR_ENUM
};

#endif
