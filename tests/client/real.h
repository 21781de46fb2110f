/* SPDX-License-Identifier: MIT */
/*
 * The real daemon for tests of the library: one of its own for each test, in
 * user mode, found through $ASUPERSYNCD, and a client of it. real_begin() and
 * real_end() are the fixture; the latter ends the daemon with a structured
 * shutdown and insists that it exits 0.
 */
#ifndef ASUPERSYNC_TESTS_CLIENT_REAL_H
#define ASUPERSYNC_TESTS_CLIENT_REAL_H

#include <check.h>
#include <sys/types.h>

#include "asupersync/asupersync.h"

extern char directory[64], url[128];
extern pid_t keeper;
extern struct asup_client *client;
extern struct asup_error_info err;

/* A call of the library that must succeed. */
#define OK(call)                                                                                   \
    do {                                                                                           \
        int ok_code = (call);                                                                      \
        ck_assert_msg(ok_code == 0, #call ": %s (%s)", asup_error_name(ok_code), err.message);     \
    } while (0)

void real_begin(void);
void real_end(void);

/* Another client of the same daemon, with a session of its own. */
struct asup_client *connect_client(void);
/* The same with other options; url and patience are set here. */
struct asup_client *connect_as(struct asup_client_options *options);

struct asup_region open_region(const char *name);
/* Close it, and wait until it is closed. */
void close_region(struct asup_region region);

#endif
