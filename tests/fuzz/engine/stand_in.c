/* SPDX-License-Identifier: MIT */
/* Parts of the engine that touch the machine, as parts of a machine that does
 * always the same. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#include "daemon/engine/handover.h"
#include "daemon/engine/notify.h"
#include "daemon/engine/replace.h"
#include "daemon/engine/report.h"
#include "daemon/engine/users.h"

/* ---- Chance --------------------------------------------------------------------- */

static uint64_t state;

void
dice_seed(uint32_t seed)
{
    state = (seed + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
}

uint32_t
dice(uint32_t sides)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state >> 20) % sides);
}

/* ---- Time and random numbers ------------------------------------------------------ */

uint64_t machine_now;
static uint64_t randoms;

int __wrap_clock_gettime(clockid_t id, struct timespec *out);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);

int
__wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    uint64_t at = machine_now + (id == CLOCK_REALTIME ? UINT64_C(1700000000000000000) : 0);

    out->tv_sec = (time_t)(at / ASUP_NS_PER_S);
    out->tv_nsec = (long)(at % ASUP_NS_PER_S);
    return 0;
}

ssize_t
__wrap_getrandom(void *out, size_t size, unsigned flags)
{
    uint8_t *bytes = out;

    (void)flags;
    for (size_t i = 0; i < size; i++) {
        randoms = randoms * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        bytes[i] = (uint8_t)(randoms >> 56);
    }
    return (ssize_t)size;
}

/* ---- Memory ---------------------------------------------------------------------------- */

long memory_left;

static void *
plain_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    (void)ctx;
    (void)size_old;
    if (size_new == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, size_new);
}

static void *
scarce_resize(void *ctx, void *ptr, size_t size_old, size_t size_new)
{
    if (size_new != 0 && memory_left == 0)
        return NULL;
    if (size_new != 0 && memory_left > 0)
        memory_left--;
    return plain_resize(ctx, ptr, size_old, size_new);
}

const struct kernel_allocator plain_memory = {.resize = plain_resize};
const struct kernel_allocator scarce_memory = {.resize = scarce_resize};

/* ---- Reports: said to nobody ------------------------------------------------------------- */

void
report_init(void)
{
}

void
report(enum report_level level, const char *format, ...)
{
    (void)level;
    if (!getenv("FUZZ_REPORT"))
        return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void
report_trouble(const char *name, uint64_t region, uint64_t task, const char *format, ...)
{
    (void)name;
    (void)region;
    (void)task;
    (void)format;
}

/* ---- Output of tasks: there is none --------------------------------------------------------- */

void
logs_resume(struct logs *l, struct logs_known *known_take, size_t count)
{
    (void)l;
    for (size_t i = 1; i < count; i++) {
        if (known_take[i].task <= known_take[i - 1].task)
            broken("logs.h", "tasks in another order");
    }
    free(known_take);
}

void
logs_add(struct logs *l, uint64_t task, int fd_take)
{
    (void)l;
    (void)task;
    (void)fd_take;
}

void
logs_forget(struct logs *l, uint64_t task)
{
    (void)l;
    (void)task;
}

/* The answer never comes: who reads is held until it hangs up. */
void
logs_read(struct logs *l, uint64_t request, uint64_t task, uint64_t offset, size_t size_max,
          bool wait)
{
    (void)l;
    (void)request;
    (void)task;
    (void)offset;
    (void)size_max;
    (void)wait;
}

void
logs_close(struct logs *l, int fd_take)
{
    (void)l;
    close(fd_take);
}

void
logs_configure(struct logs *l, uint64_t task_max, uint64_t total_max)
{
    (void)l;
    (void)task_max;
    (void)total_max;
}

uint64_t
logs_lost_total(struct logs *l)
{
    (void)l;
    return 0;
}

/* ---- Notify sockets ----------------------------------------------------------------------------
 */

int
notify_open(struct engine *e, const struct task_view *task, char *path, size_t path_size)
{
    (void)e;
    if (dice(16) == 15)
        return -EMFILE;
    snprintf(path, path_size, "/run/notify/t%llu", (unsigned long long)task->id);
    return 0;
}

void
notify_started(struct engine *e, uint64_t task)
{
    (void)e;
    (void)task;
}

void
notify_close(struct engine *e, uint64_t task)
{
    (void)e;
    (void)task;
}

const char *
notify_status(struct engine *e, uint64_t task)
{
    (void)e;
    return task % 2 ? "said" : NULL;
}

/* ---- Descriptors: nobody hands any over
 * ------------------------------------------------------------ */

int
handover_take(struct handover *h, const void *token, uint32_t uid)
{
    (void)h;
    (void)token;
    (void)uid;
    return -1;
}

bool
handover_await(struct handover *h, const struct effect *fx)
{
    (void)h;
    (void)fx;
    return false;
}

/* ---- Users
 * ---------------------------------------------------------------------------------------------- */

const char *
users_name(uint32_t uid, char *out)
{
    snprintf(out, USER_NAME_SIZE, "u%u", (unsigned)uid);
    return out;
}

bool
users_is(const char *text, size_t size, uint32_t uid)
{
    char name[USER_NAME_SIZE];

    return strlen(users_name(uid, name)) == size && memcmp(name, text, size) == 0;
}

bool
users_find(const char *text, size_t size, uint32_t *uid_out)
{
    *uid_out = 1000 + (uint32_t)size % 3;
    return size > 0 && text[0] != 'x';
}

enum { IDS_BLOCK = 64 }; /* no request makes half as many */

/* ---- Ids: the file is as good as the disk
 * -------------------------------------------------------------- */

bool
ids_extend(struct ids *ids, uint64_t last)
{
    if (last + IDS_BLOCK / 2 > ids->reserved)
        ids->reserved = last + IDS_BLOCK;
    return true;
}

/* ---- Upgrades: the next engine is like this one
 * ---------------------------------------------------------- */

bool replace_wanted;

bool
replace_check(struct engine *e, char *text, size_t size)
{
    (void)e;
    snprintf(text, size, "the new program is none");
    return dice(4) != 0;
}

void
replace_begin(struct engine *e)
{
    (void)e;
    replace_wanted = true;
}

void
replace_turn(struct engine *e)
{
    (void)e;
}

void
stand_ins_reset(void)
{
    memory_left = -1;
    machine_now = UINT64_C(1000) * ASUP_NS_PER_S;
    randoms = 1;
    replace_wanted = false;
    dice_seed(0);
}
