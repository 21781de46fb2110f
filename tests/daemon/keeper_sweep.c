/* SPDX-License-Identifier: MIT */
/* Work directories: made for the first task of a region, removed with it. */
#include "daemon/keeper_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rules.h"

static const uint64_t region_2[] = {2, 0};

/* User 1 in system mode as root, else the user itself. */
static uint32_t task_uid;

static void
begin(void)
{
    if (geteuid() == 0) {
        keeper_begin_system("allow 1-20\n");
        ck_assert_int_eq(chmod(fx.dir, 01777), 0);
        task_uid = 1;
    } else {
        keeper_begin();
        task_uid = geteuid();
    }
}

static void
run_in_work(uint64_t task, const char *script)
{
    const struct start start = {.uid = task_uid, .cwd = "/"};
    char whole[4096];

    (void)snprintf(whole, sizeof whole, "cd $1/state/work/r2 && { %s\n}", script);
    order_start(task, region_2, &start,
                (const char *const[]){"/bin/sh", "-c", whole, "sh", fx.dir, NULL});
    (void)await_facts(task, ROW_EXITED | ROW_EMPTY);
    ck_assert_msg(fx.rows[task].exit_code == 0, "%s", read_log(task));
    finish_task(task);
}

static int
sweep(void)
{
    order_sweep(region_2);
    return await_kind(LINK_SWEPT)->u.swept.error;
}

static bool
is_gone(void)
{
    struct stat status;

    return lstat(in_dir("state/work/r2"), &status) < 0 && errno == ENOENT;
}

/* R-REG-4: the directory is its owner's alone, and goes with the region. */
START_TEST(R_REG_4_work_directory_is_removed)
{
    struct stat status;

    run_in_work(1, "echo x >file; mkdir -p a/b/c; echo y >a/b/c/d; ln -s / a/root");
    ck_assert_int_eq(stat(in_dir("state/work/r2"), &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0700);
    ck_assert_uint_eq(status.st_uid, task_uid);
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
    ck_assert_int_eq(access("/usr", F_OK), 0);
}
END_TEST

/* R-REG-4: an empty one takes no child, and an unused region nothing at all. */
START_TEST(R_REG_4_empty_and_unused_are_swept)
{
    run_in_work(1, "true");
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
    order_sweep((const uint64_t[]){77, 0});
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, 0);
}
END_TEST

/* R-REG-4: whatever a user leaves there goes: closed directories, links that
 * lead outside, pipes, sockets, strange names, very deep and very many. */
START_TEST(R_REG_4_nasty_content_is_removed)
{
    run_in_work(1, "mkdir closed && touch closed/x && mkdir closed/deeper && chmod 0 closed/deeper "
                   "&& chmod 0 closed; mkdir readonly && touch readonly/x && chmod 0555 readonly; "
                   "mkfifo pipe; ln -s $1/keep outside; ln -s . self; touch -- -rf '*' '\n'; "
                   "mkdir .asupersync-deep-1; chmod 0 .");
    ck_assert_int_eq(mkdir(in_dir("keep"), 0777), 0);
    ck_assert_int_ge(creat(in_dir("keep/file"), 0666), 0);
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
    ck_assert_int_eq(access(in_dir("keep/file"), F_OK), 0);
}
END_TEST

START_TEST(R_REG_4_deep_and_wide_content_is_removed)
{
    run_in_work(1, "i=0; while [ $i -lt 700 ]; do mkdir d && touch f && cd -P d || exit 1; "
                   "i=$((i + 1)); done; cd $1/state/work/r2; "
                   "seq -f n%.0f 3000 | xargs touch; seq -f m%.0f 300 | xargs mkdir");
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
}
END_TEST

/* R-REG-4: a mount in it is not crossed; the region says that it is left. */
START_TEST(R_REG_4_mounts_are_not_crossed)
{
    if (geteuid() != 0)
        return;
    run_in_work(1, "mkdir here; touch file");
    ck_assert_int_eq(mkdir(in_dir("keep"), 0777), 0);
    ck_assert_int_eq(mount(in_dir("keep"), in_dir("state/work/r2/here"), NULL, MS_BIND, NULL), 0);
    ck_assert_int_ge(creat(in_dir("keep/file"), 0666), 0);
    ck_assert_int_ne(sweep(), 0);
    ck_assert_int_eq(access(in_dir("keep/file"), F_OK), 0);
    ck_assert_int_lt(access(in_dir("state/work/r2/file"), F_OK), 0);
    ck_assert_int_ne(sweep(), 0); /* trying again does not make it so */
    ck_assert_int_eq(umount(in_dir("state/work/r2/here")), 0);
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
}
END_TEST

/* R-REG-4: what cannot be removed is reported. */
START_TEST(R_REG_4_what_cannot_be_removed_is_reported)
{
    if (geteuid() != 0)
        return;
    run_in_work(1, "mkdir mine");
    ck_assert_int_eq(mkdir(in_dir("state/work/r2/roots"), 0755), 0);
    ck_assert_int_ge(creat(in_dir("state/work/r2/roots/file"), 0644), 0);
    ck_assert_int_ne(sweep(), 0);
    ck_assert_int_lt(access(in_dir("state/work/r2/mine"), F_OK), 0);
    ck_assert_int_eq(unlink(in_dir("state/work/r2/roots/file")), 0);
}
END_TEST

/* R-REG-4: a child that is held up, here by its own user who stops whatever
 * runs, is killed after ten seconds, and reported; meanwhile the keeper serves
 * others. */
START_TEST(R_REG_4_hanging_removal_is_given_up)
{
    const uint64_t region_3[] = {3, 0};
    struct start start = {0};

    if (geteuid() != 0)
        return;
    task_uid = idle_user();
    start.uid = task_uid;
    run_in_work(1, "seq -f n%.0f 5000 | xargs touch");
    order_start(2, region_3, &start,
                (const char *const[]){"/bin/sh", "-c",
                                      "touch $1/up; while :; do kill -STOP -1; done", "sh", fx.dir,
                                      NULL});
    await_file(in_dir("up"));
    order_sweep(region_2);
    order_start(3, region_3, &(const struct start){.uid = 1},
                (const char *const[]){"/bin/true", NULL});
    (void)await_facts(3, ROW_EXITED | ROW_EMPTY);
    ck_assert_int_eq(await_kind(LINK_SWEPT)->u.swept.error, ETIMEDOUT);
    order(LINK_KILL, 2);
    finish_task(2);
    finish_task(3);
}
END_TEST

/* R-REG-4: a user who stops the children that remove for it keeps its own
 * regions waiting, and nobody else's. */
START_TEST(R_REG_4_removals_of_one_user_hold_up_nobody_else)
{
    enum { FIRST = 10, COUNT = 16, OTHER = 4 };
    uint64_t region[] = {OTHER, 0};
    const struct start other = {.uid = 1, .cwd = "/"};
    struct start start = {.cwd = "/"};
    const struct link_message *swept;

    if (geteuid() != 0)
        return;
    start.uid = idle_user();
    for (uint64_t id = OTHER; id < FIRST + COUNT; id = id < FIRST ? FIRST : id + 1) {
        char script[128];

        region[0] = id;
        (void)snprintf(script, sizeof script,
                       "cd $1/state/work/r%u && seq -f n%%.0f 500 | xargs touch", (unsigned)id);
        order_start(id, region, id == OTHER ? &other : &start,
                    (const char *const[]){"/bin/sh", "-c", script, "sh", fx.dir, NULL});
        (void)await_facts(id, ROW_EXITED | ROW_EMPTY);
        finish_task(id);
    }
    region[0] = 3;
    order_start(2, region, &start,
                (const char *const[]){"/bin/sh", "-c",
                                      "touch $1/up; while :; do kill -STOP -1; done", "sh", fx.dir,
                                      NULL});
    await_file(in_dir("up"));
    for (region[0] = FIRST; region[0] < FIRST + COUNT; region[0]++)
        order_sweep(region);
    region[0] = OTHER;
    order_sweep(region);
    do {
        swept = await_kind(LINK_SWEPT);
        ck_assert_int_eq(swept->u.swept.error, 0);
    } while (swept->u.swept.region != OTHER);
    order(LINK_KILL, 2);
    finish_task(2);
    region[0] = 3;
    order_start(3, region, &start,
                (const char *const[]){"/bin/sh", "-c", "kill -CONT -1", "sh", NULL});
    finish_task(3);
}
END_TEST

/* Removals that are under way when the keeper ends do not hinder it. */
START_TEST(R_REG_4_the_end_comes_during_removals)
{
    enum { FIRST = 10, COUNT = 12 };
    const struct start start = {.uid = task_uid, .cwd = "/"};
    uint64_t region[] = {FIRST, 0};

    for (; region[0] < FIRST + COUNT; region[0]++) {
        char script[128];

        (void)snprintf(script, sizeof script,
                       "cd $1/state/work/r%u && seq -f n%%.0f 800 | xargs touch",
                       (unsigned)region[0]);
        order_start(region[0], region, &start,
                    (const char *const[]){"/bin/sh", "-c", script, "sh", fx.dir, NULL});
        (void)await_facts(region[0], ROW_EXITED | ROW_EMPTY);
        finish_task(region[0]);
    }
    for (region[0] = FIRST; region[0] < FIRST + COUNT; region[0]++)
        order_sweep(region);
    (void)await_kind(LINK_SWEPT);
}
END_TEST

/* A work directory is its region's, not its engine's. */
START_TEST(R_REG_4_work_directories_outlive_the_engine)
{
    run_in_work(1, "mkdir -p a/b; touch a/b/c");
    ck_assert_int_eq(kill(fx.engine, SIGKILL), 0);
    keeper_meet();
    ck_assert_uint_eq(fx.region_parent[2], ASUP_ROOT_ID);
    run_in_work(2, "test -e a/b/c");
    ck_assert_int_eq(sweep(), 0);
    ck_assert(is_gone());
}
END_TEST

static const struct rule rules[] = {
    RULE(R_REG_4_work_directory_is_removed),
    RULE(R_REG_4_empty_and_unused_are_swept),
    RULE(R_REG_4_nasty_content_is_removed),
    RULE(R_REG_4_deep_and_wide_content_is_removed),
    RULE(R_REG_4_mounts_are_not_crossed),
    RULE(R_REG_4_what_cannot_be_removed_is_reported),
    RULE(R_REG_4_hanging_removal_is_given_up),
    RULE(R_REG_4_removals_of_one_user_hold_up_nobody_else),
    RULE(R_REG_4_the_end_comes_during_removals),
    RULE(R_REG_4_work_directories_outlive_the_engine),
};

RULES_MAIN("keeper sweep", rules, begin, keeper_end)
