/* SPDX-License-Identifier: MIT */
/*
 * Names of users. The user database may be slow or hang (NSS over a network),
 * so what was found is remembered, and a name is asked for only once in a
 * while. Only root can make the engine look for a name (call.c).
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_USERS_H
#define ASUPERSYNC_DAEMON_ENGINE_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { USER_NAME_SIZE = 64 };

/* The user's name, or the number where there is none; written to `out`, which
 * has room for USER_NAME_SIZE. Returns out. */
const char *users_name(uint32_t uid, char *out);
/* Whether that is this user's name or number; asks for no other user. */
bool users_is(const char *text, size_t size, uint32_t uid);
/* A name or a number; false: there is no such user. */
bool users_find(const char *text, size_t size, uint32_t *uid_out);

#endif
