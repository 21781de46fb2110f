/* SPDX-License-Identifier: MIT */
/*
 * stubborn PIDFILE - everything a well-behaved service does not do.
 *
 * Ignores SIGTERM, SIGINT and SIGHUP; forks, leaves its session, forks again,
 * so that the last child has no parent left that knew it, and lets that child
 * close every descriptor and go on for ever. The process ids of both that
 * stay are written to PIDFILE, so that one can see later that they are gone.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void
ignore_everything(void)
{
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

static void
stay_for_ever(void)
{
    for (;;)
        pause();
}

static void
forget_everything(const char *pid_file, pid_t main_pid)
{
    FILE *out = fopen(pid_file, "we");

    if (out != NULL) {
        fprintf(out, "%ld\n%ld\n", (long)main_pid, (long)getpid());
        fclose(out);
    }
    close_range(0, ~0u, 0);
    stay_for_ever();
}

int
main(int argc, char **argv)
{
    pid_t main_pid = getpid();
    pid_t child;

    if (argc != 2) {
        fprintf(stderr, "usage: stubborn PIDFILE\n");
        return 64;
    }
    ignore_everything();
    child = fork();
    if (child < 0) {
        perror("fork");
        return 1;
    }
    if (child == 0) {
        setsid();
        if (fork() == 0)
            forget_everything(argv[1], main_pid);
        _exit(0); /* the grandchild is an orphan now */
    }
    waitpid(child, NULL, 0);
    printf("stubborn: you cannot make me leave\n");
    fflush(stdout);
    stay_for_ever();
    return 0;
}
