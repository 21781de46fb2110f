/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "asupersync/types.h"

/* A change of someone's groups is seen after this time at the latest. */
#define IDENTITY_KEPT_NS (10 * ASUP_NS_PER_S)
#define IDENTITY_SLOTS 16

static struct {
    struct identity *identity;
    uint64_t until;
} identity_slots[IDENTITY_SLOTS];

/* Absurdly long values become empty. */
static uint16_t
add_assignment(struct identity *out, size_t *used, const char *name, const char *value)
{
    uint16_t at = (uint16_t)*used;
    size_t room = sizeof out->text - *used;

    if (strlen(name) + strlen(value) + 2 > room / 2)
        value = "";
    *used += (size_t)snprintf(out->text + *used, room, "%s=%s", name, value) + 1;
    return at;
}

int
identity_look_up(uid_t uid, struct identity *out)
{
    const struct passwd *entry;
    gid_t groups[IDENTITY_GROUPS_MAX];
    int count = IDENTITY_GROUPS_MAX;
    size_t used = 0;

    memset(out, 0, sizeof *out);
    out->uid = uid;
    errno = 0;
    entry = getpwuid(uid);
    if (entry == NULL) {
        /* "Not found" is said in many ways (getpwnam(3)). */
        if (errno != 0 && errno != ENOENT && errno != ESRCH && errno != EBADF && errno != EPERM)
            return -errno;
        return 0;
    }
    out->known = 1;
    out->gid = entry->pw_gid;
    out->assignment[0] = add_assignment(out, &used, "HOME", entry->pw_dir);
    out->assignment[1] = add_assignment(out, &used, "USER", entry->pw_name);
    out->assignment[2] = add_assignment(out, &used, "LOGNAME", entry->pw_name);
    out->assignment[3] = add_assignment(out, &used, "SHELL", entry->pw_shell);
    if (getgrouplist(entry->pw_name, out->gid, groups, &count) < 0) {
        out->group_count = IDENTITY_GROUPS_MAX + 1;
        return 0;
    }
    out->group_count = (uint32_t)count;
    for (int i = 0; i < count; i++)
        out->groups[i] = groups[i];
    return 0;
}

const struct identity *
identity_cached(uid_t uid, uint64_t now)
{
    for (int i = 0; i < IDENTITY_SLOTS; i++)
        if (identity_slots[i].until > now && identity_slots[i].identity->uid == uid)
            return identity_slots[i].identity;
    return NULL;
}

void
identity_keep(const struct identity *identity, uint64_t now)
{
    int slot = 0;

    /* The same user's, or the one that ends first. */
    for (int i = 0; i < IDENTITY_SLOTS; i++) {
        if (identity_slots[i].identity != NULL &&
            identity_slots[i].identity->uid == identity->uid) {
            slot = i;
            break;
        }
        if (identity_slots[i].until < identity_slots[slot].until)
            slot = i;
    }
    if (identity_slots[slot].identity == NULL)
        identity_slots[slot].identity = malloc(sizeof *identity);
    if (identity_slots[slot].identity == NULL)
        return;
    *identity_slots[slot].identity = *identity;
    identity_slots[slot].until = now + IDENTITY_KEPT_NS;
}

void
identity_forget_all(void)
{
    for (int i = 0; i < IDENTITY_SLOTS; i++)
        identity_slots[i].until = 0;
}
