/* SPDX-License-Identifier: MIT */
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

/* The one relay of the process, for giving the terminal back at exit. */
static struct relay *relay_of_process;

static void
give_terminal_at_exit(void)
{
    if (relay_of_process != NULL)
        relay_give_terminal(relay_of_process);
}

/* ---- Whether there is a pty ------------------------------------------------------- */

static bool
in_foreground(int terminal)
{
    pid_t group = tcgetpgrp(terminal);

    /* Not the controlling terminal (-1): nobody else is there to share it. */
    return group < 0 || group == getpgrp();
}

/* At the head of a pipeline the terminal is everybody's. */
static bool
heads_pipeline(void)
{
    struct stat status;

    if (isatty(STDOUT_FILENO) || fstat(STDOUT_FILENO, &status) < 0)
        return false;
    return (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode)) && tcgetpgrp(STDIN_FILENO) >= 0;
}

static bool
same_terminal(int fd)
{
    struct stat terminal;
    struct stat other;

    return isatty(fd) && fstat(STDIN_FILENO, &terminal) == 0 && fstat(fd, &other) == 0 &&
           terminal.st_rdev == other.st_rdev;
}

/* ---- Opening ------------------------------------------------------------------------- */

/* Where to write what the program shows on its pty. */
static int
output_to_terminal(const int fds[3], int slave)
{
    if (fds[1] == slave)
        return STDOUT_FILENO;
    if (fds[2] == slave)
        return STDERR_FILENO;
    return STDIN_FILENO; /* terminals are opened for both */
}

int
relay_open(struct relay *r, bool wanted, int fds[3])
{
    struct winsize size = {0};

    *r = (struct relay){.terminal = -1, .output = -1, .master = -1, .slave = -1};
    for (int fd = 0; fd < 3; fd++)
        fds[fd] = fd;
    if (!wanted || !isatty(STDIN_FILENO) || heads_pipeline())
        return 0;
    if (tcgetattr(STDIN_FILENO, &r->saved) < 0)
        return 0;
    (void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
    if (openpty(&r->master, &r->slave, NULL, &r->saved, &size) < 0) {
        r->master = r->slave = -1;
        return -errno;
    }
    (void)fcntl(r->master, F_SETFD, FD_CLOEXEC);
    (void)fcntl(r->slave, F_SETFD, FD_CLOEXEC);
    (void)fcntl(r->master, F_SETFL, O_NONBLOCK);
    r->terminal = STDIN_FILENO;
    r->input_open = true;
    for (int fd = 0; fd < 3; fd++) {
        if (fd == 0 || same_terminal(fd))
            fds[fd] = r->slave;
    }
    r->output = output_to_terminal(fds, r->slave);
    relay_of_process = r;
    (void)atexit(give_terminal_at_exit);
    return 0;
}

void
relay_handed_over(struct relay *r)
{
    if (r->slave >= 0)
        close(r->slave);
    r->slave = -1;
}

void
relay_close(struct relay *r)
{
    relay_give_terminal(r);
    relay_handed_over(r);
    if (r->master >= 0)
        close(r->master);
    r->master = -1;
    relay_of_process = NULL;
}

/* ---- The user's terminal ----------------------------------------------------------------- */

void
relay_take_terminal(struct relay *r)
{
    struct termios raw = r->saved;

    if (r->master < 0 || r->raw || r->program_gone || !in_foreground(r->terminal))
        return;
    cfmakeraw(&raw);
    if (tcsetattr(r->terminal, TCSADRAIN, &raw) == 0)
        r->raw = true;
    relay_resize(r);
}

void
relay_give_terminal(struct relay *r)
{
    if (!r->raw)
        return;
    (void)tcsetattr(r->terminal, TCSADRAIN, &r->saved);
    r->raw = false;
}

void
relay_resize(struct relay *r)
{
    struct winsize size;

    if (r->master >= 0 && ioctl(r->terminal, TIOCGWINSZ, &size) == 0)
        (void)ioctl(r->master, TIOCSWINSZ, &size);
}

pid_t
relay_foreground(const struct relay *r)
{
    pid_t group = r->master >= 0 ? tcgetpgrp(r->master) : -1;

    return group > 0 ? group : 0;
}

pid_t
relay_leader(const struct relay *r)
{
    pid_t session = r->master >= 0 ? tcgetsid(r->master) : -1;

    return session > 0 ? session : 0;
}

/* ---- Keys --------------------------------------------------------------------------------------
 */

/* Whether a process ignores a signal. */
static bool
ignores_signal(pid_t pid, int number)
{
    char path[64];
    char line[256];
    unsigned long long mask = 0;

    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *status = fopen(path, "re");
    if (status == NULL)
        return false;
    while (fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "SigIgn:", 7) == 0)
            mask = strtoull(line + 7, NULL, 16);
    }
    fclose(status);
    return (mask >> (number - 1) & 1) != 0;
}

/* What a byte means just now. The slave's settings may change with every one
 * that the program reads. */
static enum relay_key
key_of(const struct relay *r, unsigned char byte)
{
    struct termios settings;
    pid_t leader;

    if (tcgetattr(r->master, &settings) < 0 || (settings.c_lflag & ISIG) == 0)
        return RELAY_KEY_NONE;
    bool interrupt = byte != _POSIX_VDISABLE && byte == settings.c_cc[VINTR];
    bool suspend = byte != _POSIX_VDISABLE && byte == settings.c_cc[VSUSP];
    if (!interrupt && !suspend)
        return RELAY_KEY_NONE;
    leader = relay_leader(r);
    /* Not started yet: nothing to stop, but something to cancel. */
    if (leader == 0)
        return interrupt ? RELAY_KEY_CANCEL : RELAY_KEY_NONE;
    if (r->job_control || relay_foreground(r) != leader)
        return RELAY_KEY_NONE;
    if (interrupt)
        return (settings.c_lflag & ICANON) != 0 ? RELAY_KEY_CANCEL : RELAY_KEY_NONE;
    return ignores_signal(leader, SIGTSTP) ? RELAY_KEY_NONE : RELAY_KEY_SUSPEND;
}

/* ---- Moving bytes
 * ---------------------------------------------------------------------------------- */

static bool
buffer_empty(const struct relay_buffer *buffer)
{
    return buffer->begin == buffer->end;
}

static void
buffer_write(struct relay_buffer *buffer, int fd, size_t most)
{
    size_t size = buffer->end - buffer->begin;

    if (size == 0)
        return;
    ssize_t written = write(fd, buffer->bytes + buffer->begin, size < most ? size : most);
    if (written < 0 && errno != EAGAIN && errno != EINTR)
        written = (ssize_t)size; /* nobody is there any more */
    if (written > 0)
        buffer->begin += (size_t)written;
    if (buffer_empty(buffer))
        buffer->begin = buffer->end = 0;
}

/* End of the user's input: the program reads end of file. */
static void
input_ended(struct relay *r)
{
    struct termios settings;

    r->input_open = false;
    if (tcgetattr(r->master, &settings) == 0 && (settings.c_lflag & ICANON) != 0) {
        r->in.bytes[0] = (char)settings.c_cc[VEOF];
        r->in.begin = 0;
        r->in.end = 1;
        buffer_write(&r->in, r->master, 1);
    }
}

static enum relay_key
take_input(struct relay *r)
{
    char typed[1024];
    enum relay_key key = RELAY_KEY_NONE;
    ssize_t size = read(r->terminal, typed, sizeof typed);

    if (size < 0 && (errno == EINTR || errno == EAGAIN))
        return RELAY_KEY_NONE;
    if (size <= 0) {
        input_ended(r);
        return RELAY_KEY_NONE;
    }
    for (ssize_t i = 0; i < size; i++) {
        enum relay_key now = key_of(r, (unsigned char)typed[i]);
        if (now != RELAY_KEY_NONE)
            key = now;
        /* ^Z goes to the program, too: it may want to tidy its screen. */
        if (now != RELAY_KEY_CANCEL)
            r->in.bytes[r->in.end++] = typed[i];
    }
    buffer_write(&r->in, r->master, RELAY_BUFFER_SIZE);
    return key;
}

/* "\r\n" becomes "\n". */
static void
drop_returns(struct relay_buffer *buffer)
{
    size_t kept = 0;

    for (size_t i = 0; i < buffer->end; i++) {
        if (buffer->bytes[i] == '\r' && i + 1 < buffer->end && buffer->bytes[i + 1] == '\n')
            continue;
        buffer->bytes[kept++] = buffer->bytes[i];
    }
    buffer->end = kept;
}

static void
take_output(struct relay *r)
{
    ssize_t size = read(r->master, r->out.bytes, sizeof r->out.bytes);

    if (size > 0) {
        r->out.begin = 0;
        r->out.end = (size_t)size;
        /* A terminal that is not raw (this runs in the background) makes line
         * ends of its own. */
        if (!r->raw)
            drop_returns(&r->out);
        return;
    }
    /* EIO: the last slave is closed and all that was written has been read. */
    if (size == 0 || (errno != EAGAIN && errno != EINTR))
        r->program_gone = true;
}

size_t
relay_poll(const struct relay *r, struct pollfd *fds)
{
    size_t count = 0;

    if (r->master < 0)
        return 0;
    if (!r->program_gone) {
        short events =
            (short)((buffer_empty(&r->out) ? POLLIN : 0) | (buffer_empty(&r->in) ? 0 : POLLOUT));
        fds[count++] = (struct pollfd){.fd = events != 0 ? r->master : -1, .events = events};
    }
    if (!buffer_empty(&r->out))
        fds[count++] = (struct pollfd){.fd = r->output, .events = POLLOUT};
    if (r->input_open && r->raw && buffer_empty(&r->in))
        fds[count++] = (struct pollfd){.fd = r->terminal, .events = POLLIN};
    return count;
}

enum relay_key
relay_move(struct relay *r, const struct pollfd *fds, size_t count)
{
    enum relay_key key = RELAY_KEY_NONE;

    for (size_t i = 0; i < count; i++) {
        if (fds[i].revents == 0)
            continue;
        if (fds[i].fd == r->master) {
            if ((fds[i].revents & POLLOUT) != 0)
                buffer_write(&r->in, r->master, RELAY_BUFFER_SIZE);
            if ((fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 && buffer_empty(&r->out))
                take_output(r);
        } else if ((fds[i].events & POLLOUT) != 0) {
            buffer_write(&r->out, r->output, 1024);
        } else if (r->raw) {
            key = take_input(r);
        }
    }
    if (count > 0 && !r->job_control) {
        pid_t group = relay_foreground(r);
        r->job_control = group != 0 && group != relay_leader(r);
    }
    /* As soon as it is here: one round of the loop fewer for every key. */
    struct pollfd ready = {.fd = r->output, .events = POLLOUT};
    if (!buffer_empty(&r->out) && poll(&ready, 1, 0) > 0)
        buffer_write(&r->out, r->output, 1024);
    return key;
}

void
relay_flush(struct relay *r)
{
    while (r->master >= 0 && !r->program_gone) {
        while (!buffer_empty(&r->out))
            buffer_write(&r->out, r->output, RELAY_BUFFER_SIZE);
        take_output(r);
        if (buffer_empty(&r->out))
            return;
    }
}

bool
relay_drained(const struct relay *r)
{
    return r->master < 0 || (r->program_gone && buffer_empty(&r->out));
}
