/* SPDX-License-Identifier: MIT */
/*
 * Who a user is: groups, home, shell. The answer comes from the name service,
 * which may load modules and wait for a network, so only children ask. The
 * first child of a user sends what it found up its status pipe, before it
 * drops its privileges; the keeper keeps it for a few seconds, and the next
 * children find it in their copy of memory.
 */
#ifndef ASUPERSYNC_KEEPER_IDENTITY_H
#define ASUPERSYNC_KEEPER_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* So chosen that the whole fits into one atomic write to a pipe. */
#define IDENTITY_GROUPS_MAX 512
#define IDENTITY_TEXT_MAX 1536
#define IDENTITY_ASSIGNMENTS 4

struct identity {
    uint32_t uid;
    uint32_t gid;
    uint32_t group_count; /* IDENTITY_GROUPS_MAX + 1: too many for here */
    uint32_t known;       /* 0: there is no such user */
    /* Offsets into text, of "HOME=...", "USER=...", "LOGNAME=..." and
     * "SHELL=...", as they go into an environment. */
    uint16_t assignment[IDENTITY_ASSIGNMENTS];
    char text[IDENTITY_TEXT_MAX];
    uint32_t groups[IDENTITY_GROUPS_MAX];
};

static inline const char *
identity_home(const struct identity *identity)
{
    return identity->text + identity->assignment[0] + sizeof "HOME=" - 1;
}

static inline const char *
identity_name(const struct identity *identity)
{
    return identity->text + identity->assignment[1] + sizeof "USER=" - 1;
}

/* Ask the name service: 0 or -errno (it could not answer). May wait: for
 * children only. */
int identity_look_up(uid_t uid, struct identity *out);

/* The cache, in the keeper. */
const struct identity *identity_cached(uid_t uid, uint64_t now);
void identity_keep(const struct identity *identity, uint64_t now);
void identity_forget_all(void);

#endif
