/* SPDX-License-Identifier: MIT */
/*
 * The terminal of `run`: a pty pair between the user's terminal and the
 * program, so that the program has a controlling terminal of its own though
 * the daemon starts it in a session of its own.
 *
 *     user's terminal (raw) <--> this relay <--> master == slave <--> program
 *
 * The line discipline that counts is the slave's: it echoes, edits lines and
 * turns ^\ into SIGQUIT. Two characters are special when they would have
 * become signals: ^C in a program that reads lines cancels the region, and ^Z
 * stops the program and this command. A program that reads single keys, that
 * turned signals off, or that does job control of its own (a shell: once its
 * foreground group was not its own) gets the byte.
 *
 * When is there a pty? When standard input is a terminal, except at the head
 * of a pipeline in the foreground: there the terminal belongs to all of the
 * pipeline (think of `run -- make | less`), so it stays as it is and the
 * program gets it itself as its standard input. Of standard output and error
 * those that are that terminal go to the pty; files and pipes stay what they
 * are.
 */
#ifndef ASUPERSYNC_CTL_RELAY_H
#define ASUPERSYNC_CTL_RELAY_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <termios.h>

#define RELAY_BUFFER_SIZE 16384

struct relay_buffer {
    char bytes[RELAY_BUFFER_SIZE];
    size_t begin, end;
};

struct relay {
    int terminal; /* the user's: standard input */
    int output;   /* where it is written to */
    int master;   /* -1: there is no pty */
    int slave;    /* until handed over, then -1 */
    struct termios saved;
    bool raw;                /* the user's terminal is raw now */
    bool input_open;         /* the user's terminal can still be read */
    bool job_control;        /* the program has had another foreground group */
    bool program_gone;       /* every slave is closed */
    struct relay_buffer in;  /* to the program */
    struct relay_buffer out; /* to the user */
};

/* What the user typed that is for this command, not for the program. */
enum relay_key {
    RELAY_KEY_NONE,
    RELAY_KEY_CANCEL,
    RELAY_KEY_SUSPEND,
};

/* Make the pty if it is wanted and there shall be one. fds are the three
 * descriptors that the program shall have. Returns 0 or -errno. */
int relay_open(struct relay *r, bool wanted, int fds[3]);
/* The program's side is handed over: let go of it. */
void relay_handed_over(struct relay *r);

/* Make the user's terminal raw if this process is in its foreground. */
void relay_take_terminal(struct relay *r);
/* Give the user's terminal back as it was. */
void relay_give_terminal(struct relay *r);
/* The window of the user's terminal has another size. */
void relay_resize(struct relay *r);

/* What to poll: up to three entries; returns how many. */
size_t relay_poll(const struct relay *r, struct pollfd *fds);
/* Move bytes as the entries say. */
enum relay_key relay_move(struct relay *r, const struct pollfd *fds, size_t count);
/* Show what the program has written so far, without waiting for it. */
void relay_flush(struct relay *r);
/* All that the program wrote has been shown, and nothing can follow. */
bool relay_drained(const struct relay *r);

/* The program's foreground process group and its session; 0: none. */
pid_t relay_foreground(const struct relay *r);
pid_t relay_leader(const struct relay *r);

void relay_close(struct relay *r);

#endif
