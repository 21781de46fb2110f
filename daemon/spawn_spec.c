/* SPDX-License-Identifier: MIT */
#include "daemon/spawn_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* No sensible process has more; it also keeps the sums below from wrapping. */
#define SPAWN_STRINGS_MAX (1u << 20)
#define SPAWN_SIZE_MAX (64u << 20)
#define SPAWN_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

static uint32_t
string_count(const struct spawn_header *header)
{
    return (header->has_cwd != 0) + (header->has_path[0] != 0) + (header->has_path[1] != 0) +
           (header->has_path[2] != 0) + header->arg_count + header->env_count;
}

bool
spawn_spec_check(const void *data, size_t size)
{
    const struct spawn_header *header = data;
    const char *cursor;
    const char *end = (const char *)data + size;
    uint32_t count;

    if (size < sizeof *header || size > SPAWN_SIZE_MAX || header->magic != SPAWN_SPEC_MAGIC ||
        header->size != size || header->arg_count == 0 || header->arg_count > SPAWN_STRINGS_MAX ||
        header->env_count > SPAWN_STRINGS_MAX || header->stdio > SPAWN_STDIO_NULL)
        return false;
    count = string_count(header);
    cursor = (const char *)(header + 1);
    for (uint32_t i = 0; i < count; i++) {
        const char *nul = memchr(cursor, '\0', (size_t)(end - cursor));

        if (nul == NULL)
            return false;
        cursor = nul + 1;
    }
    return cursor == end;
}

void
spawn_spec_strings(const void *data, char **slots, struct spawn_strings *out)
{
    const struct spawn_header *header = data;
    char *cursor = (char *)(header + 1);
    const char **single[4] = {&out->cwd, &out->path[0], &out->path[1], &out->path[2]};
    const uint32_t given[4] = {header->has_cwd, header->has_path[0], header->has_path[1],
                               header->has_path[2]};

    for (int i = 0; i < 4; i++) {
        *single[i] = NULL;
        if (given[i] != 0) {
            *single[i] = cursor;
            cursor += strlen(cursor) + 1;
        }
    }
    out->args = slots;
    for (uint32_t i = 0; i < header->arg_count; i++, cursor += strlen(cursor) + 1)
        *slots++ = cursor;
    *slots++ = NULL;
    out->env = slots;
    for (uint32_t i = 0; i < header->env_count; i++, cursor += strlen(cursor) + 1)
        *slots++ = cursor;
    *slots = NULL;
}

/* write(2) until all of it is there; a memfd takes what it is given. */
static int
write_all(int fd, const void *data, size_t size)
{
    const char *cursor = data;

    while (size > 0) {
        ssize_t done = write(fd, cursor, size);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return done < 0 ? -errno : -EIO;
        cursor += done;
        size -= (size_t)done;
    }
    return 0;
}

int
spawn_spec_seal(struct spawn_header *header, const struct spawn_strings *strings)
{
    const char *single[4] = {strings->cwd, strings->path[0], strings->path[1], strings->path[2]};
    char buffer[16384];
    size_t used = 0;
    size_t total = sizeof *header;
    int fd = -1;
    int rc = 0;

    header->magic = SPAWN_SPEC_MAGIC;
    header->has_cwd = strings->cwd != NULL;
    for (int i = 0; i < 3; i++)
        header->has_path[i] = strings->path[i] != NULL;
    for (int i = 0; i < 4; i++)
        total += single[i] != NULL ? strlen(single[i]) + 1 : 0;
    for (uint32_t i = 0; i < header->arg_count; i++)
        total += strlen(strings->args[i]) + 1;
    for (uint32_t i = 0; i < header->env_count; i++)
        total += strlen(strings->env[i]) + 1;
    if (total > SPAWN_SIZE_MAX)
        return -E2BIG;
    header->size = (uint32_t)total;

    fd = memfd_create("asupersync-spec", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    memcpy(buffer, header, sizeof *header);
    used = sizeof *header;
    for (uint64_t i = 0; i < 4 + (uint64_t)header->arg_count + header->env_count && rc == 0; i++) {
        const char *string = i < 4 ? single[i]
                             : i < 4 + (uint64_t)header->arg_count
                                 ? strings->args[i - 4]
                                 : strings->env[i - 4 - header->arg_count];
        size_t size = string != NULL ? strlen(string) + 1 : 0;

        if (used + size > sizeof buffer) {
            rc = write_all(fd, buffer, used);
            used = 0;
        }
        if (rc == 0 && size > sizeof buffer) {
            rc = write_all(fd, string, size);
        } else if (size > 0) {
            memcpy(buffer + used, string, size);
            used += size;
        }
    }
    if (rc == 0)
        rc = write_all(fd, buffer, used);
    if (rc == 0 && fcntl(fd, F_ADD_SEALS, SPAWN_SEALS) < 0)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        return rc;
    }
    return fd;
}
