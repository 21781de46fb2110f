/* SPDX-License-Identifier: MIT */
/*
 * A program that behaves as badly, or as well, as a test asks. Its arguments
 * are steps, done in order:
 *
 *   detach            double fork with setsid; the grandchild goes on
 *   children N        fork N children; they go on too
 *   ignore SIG        ignore a signal (TERM, INT, HUP, USR1)
 *   trap SIG CODE     on that signal exit with CODE
 *   mark SIG PATH     on that signal append its name to PATH and exit 0
 *   touch PATH        create a file
 *   append PATH TEXT  append a line to a file, in one write
 *   await PATH        wait until the file exists
 *   pid PATH          write the own pid to a file, complete when it appears
 *   print TEXT        a line on standard output
 *   cat               copy standard input to standard output
 *   notify TEXT       send TEXT to NOTIFY_SOCKET
 *   fill N            write N MiB to standard output
 *   burn MS           use that much processor time
 *   stop              stop itself (SIGSTOP)
 *   stop-everyone     SIGSTOP to every process of this user; refused as root
 *   abort             die by SIGABRT
 *   sleep MS          sleep
 *   forever           sleep until killed
 *   forkbomb N        fork until N descendants exist or fork fails, for ever replacing those
 *                     that end
 *   exit CODE         exit
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *mark_path[NSIG];
static int trap_code[NSIG];

static void
fail(const char *what)
{
    fprintf(stderr, "actor: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static int
signal_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } table[] = {{"TERM", SIGTERM}, {"INT", SIGINT},   {"HUP", SIGHUP},
                 {"USR1", SIGUSR1}, {"QUIT", SIGQUIT}, {"CONT", SIGCONT}};

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return table[i].number;
    errno = EINVAL;
    fail(name);
    return 0;
}

static void
append_line(const char *path, const char *text)
{
    char line[512];
    int size = snprintf(line, sizeof line, "%s\n", text);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0 || write(fd, line, (size_t)size) != size)
        fail(path);
    close(fd);
}

static void
on_trap(int sig)
{
    _exit(trap_code[sig]);
}

static void
on_mark(int sig)
{
    int fd = open(mark_path[sig], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd >= 0 && write(fd, "signalled\n", 10) == 10)
        _exit(0);
    _exit(98);
}

static void
handle(int sig, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};

    if (sigaction(sig, &action, NULL) != 0)
        fail("sigaction");
}

static void
detach(void)
{
    pid_t pid = fork();

    if (pid < 0)
        fail("fork");
    if (pid > 0)
        _exit(0);
    if (setsid() < 0)
        fail("setsid");
    pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid > 0)
        _exit(0);
}

/* Waits for an event of the directory, so it neither spins nor misses. */
static void
await_file(const char *path)
{
    char dir[4096];
    char buffer[4096];
    char *slash;
    int fd = inotify_init1(IN_CLOEXEC);

    snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL)
        snprintf(dir, sizeof dir, ".");
    else
        *slash = '\0';
    if (fd < 0 || inotify_add_watch(fd, dir, IN_CREATE | IN_MOVED_TO) < 0)
        fail(dir);
    while (access(path, F_OK) != 0)
        if (read(fd, buffer, sizeof buffer) < 0 && errno != EINTR)
            fail("inotify");
    close(fd);
}

static void
write_pid(const char *path)
{
    char temporary[4096];
    char text[32];

    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    snprintf(text, sizeof text, "%d", (int)getpid());
    append_line(temporary, text);
    if (rename(temporary, path) != 0)
        fail(path);
}

static void
notify(const char *text)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (path == NULL || fd < 0)
        fail("NOTIFY_SOCKET");
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (sendto(fd, text, strlen(text), 0, (struct sockaddr *)&address, sizeof address) < 0)
        fail(path);
    close(fd);
}

static void
burn(long ms)
{
    struct timespec now;

    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while (now.tv_sec * 1000 + now.tv_nsec / 1000000 < ms);
}

static void
forkbomb(long count)
{
    long living = 0;

    for (;;) {
        while (living < count) {
            pid_t pid = fork();

            if (pid < 0)
                break;
            if (pid == 0) {
                setsid();
                pause();
                _exit(0);
            }
            living++;
        }
        if (waitpid(-1, NULL, 0) > 0)
            living--;
    }
}

static void
copy_input(void)
{
    char buffer[65536];
    ssize_t size;

    while ((size = read(STDIN_FILENO, buffer, sizeof buffer)) > 0)
        for (ssize_t done = 0; done < size;) {
            ssize_t n = write(STDOUT_FILENO, buffer + done, (size_t)(size - done));

            if (n < 0)
                fail("write");
            done += n;
        }
}

static void
fill(long mib)
{
    static char block[1 << 20];

    memset(block, 'x', sizeof block);
    block[sizeof block - 1] = '\n';
    for (long i = 0; i < mib; i++)
        for (size_t done = 0; done < sizeof block;) {
            ssize_t n = write(STDOUT_FILENO, block + done, sizeof block - done);

            if (n < 0)
                fail("write");
            done += (size_t)n;
        }
}

int
main(int argc, char **argv)
{
    int i = 1;

/* The argument after the step, which must be there. */
#define NEXT() (++i < argc ? argv[i] : (errno = EINVAL, fail(argv[argc - 1]), ""))

    for (; i < argc; i++) {
        const char *step = argv[i];

        if (strcmp(step, "detach") == 0) {
            detach();
        } else if (strcmp(step, "children") == 0) {
            long count = strtol(NEXT(), NULL, 10);

            for (; count > 0; count--) {
                pid_t pid = fork();

                if (pid < 0)
                    fail("fork");
                if (pid == 0)
                    break;
            }
        } else if (strcmp(step, "ignore") == 0) {
            handle(signal_number(NEXT()), SIG_IGN);
        } else if (strcmp(step, "trap") == 0) {
            int sig = signal_number(NEXT());

            trap_code[sig] = (int)strtol(NEXT(), NULL, 10);
            handle(sig, on_trap);
        } else if (strcmp(step, "mark") == 0) {
            int sig = signal_number(NEXT());

            mark_path[sig] = NEXT();
            handle(sig, on_mark);
        } else if (strcmp(step, "touch") == 0) {
            const char *path = NEXT();
            int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);

            if (fd < 0)
                fail(path);
            close(fd);
        } else if (strcmp(step, "append") == 0) {
            const char *path = NEXT();

            append_line(path, NEXT());
        } else if (strcmp(step, "await") == 0) {
            await_file(NEXT());
        } else if (strcmp(step, "pid") == 0) {
            write_pid(NEXT());
        } else if (strcmp(step, "print") == 0) {
            printf("%s\n", NEXT());
            fflush(stdout);
        } else if (strcmp(step, "cat") == 0) {
            copy_input();
        } else if (strcmp(step, "notify") == 0) {
            notify(NEXT());
        } else if (strcmp(step, "fill") == 0) {
            fill(strtol(NEXT(), NULL, 10));
        } else if (strcmp(step, "burn") == 0) {
            burn(strtol(NEXT(), NULL, 10));
        } else if (strcmp(step, "stop") == 0) {
            raise(SIGSTOP);
        } else if (strcmp(step, "stop-everyone") == 0) {
            if (geteuid() == 0) {
                errno = EPERM;
                fail("stop-everyone as root");
            }
            kill(-1, SIGSTOP);
        } else if (strcmp(step, "abort") == 0) {
            abort();
        } else if (strcmp(step, "sleep") == 0) {
            poll(NULL, 0, (int)strtol(NEXT(), NULL, 10));
        } else if (strcmp(step, "forever") == 0) {
            for (;;)
                pause();
        } else if (strcmp(step, "forkbomb") == 0) {
            forkbomb(strtol(NEXT(), NULL, 10));
        } else if (strcmp(step, "exit") == 0) {
            exit((int)strtol(NEXT(), NULL, 10));
        } else {
            errno = EINVAL;
            fail(step);
        }
    }
    return 0;
}
