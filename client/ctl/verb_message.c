/* SPDX-License-Identifier: MIT */
/*
 * send and receive, as a shell script wants them; and session, by which several
 * commands hold things together.
 *
 * A message that is received is owed an answer. With a command it is the
 * command's: exit 0 acks, anything else gives the message back. Without one,
 * the message is acked when it has been written out. If this process dies in
 * between, its session ends with it, and the message is received again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "ctl.h"
#include "request.h"
#include "wait.h"
#include "wire_json.h"

/* ---- send -------------------------------------------------------------------------- */

/* One message: a permit, then the data into it. With --key it is one request:
 * asked again, it must not need another permit first. */
static int
send_one(struct ctl *ctl, const char *channel, const char *data, size_t size, uint64_t deadline)
{
    struct asup_error_info error;
    json_t *permit = NULL;
    json_t *body = NULL;
    json_t *args = json_pack("{s:o}", "channel", json_string_nocheck(channel));

    if (ctl->key != NULL)
        json_object_set_new(args, "data", json_wire_bytes(data, size));
    else if (ctl_call(ctl, "channel.reserve", args, wait_left_ms(deadline), &permit, &error) != 0)
        return ctl_fail(ctl, &error);
    if (ctl->key == NULL)
        args = json_pack("{s:s, s:o}", "obligation", get_text(permit, "obligation"), "data",
                         json_wire_bytes(data, size));
    int rc = ctl_ask(ctl, "channel.send", args, &body);
    json_decref(permit);
    if (rc != 0)
        return rc;
    if (ctl->json) {
        ctl_print_json(ctl, body);
        return 0;
    }
    struct text out = {0};
    text_addf(&out, "%s\n", get_text(body, "message"));
    json_decref(body);
    ctl_print(&out);
    return 0;
}

static int
send_lines(struct ctl *ctl, const char *channel, FILE *file, uint64_t deadline)
{
    char *line = NULL;
    size_t capacity = 0;
    ssize_t size;
    int rc = 0;

    ctl->stream = true;
    while (rc == 0 && (size = getline(&line, &capacity, file)) >= 0) {
        if (size > 0 && line[size - 1] == '\n')
            size--;
        rc = send_one(ctl, channel, line, (size_t)size, deadline);
    }
    free(line);
    return rc;
}

static int
read_whole(struct ctl *ctl, FILE *file, const char *path, struct text *out)
{
    char part[65536];
    size_t size;

    while ((size = fread(part, 1, sizeof part, file)) > 0)
        text_put(out, part, size);
    return ferror(file)
               ? ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno))
               : 0;
}

static int
send_file(struct ctl *ctl, const char *channel, const char *path, uint64_t deadline)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    struct text data = {0};
    int rc;

    if (file == NULL)
        return ctl_failf(ctl, -ASUP_EINVALID, "", "cannot read %s: %s", path, strerror(errno));
    if (args_have(&ctl->args, OPTION_LINES)) {
        rc = send_lines(ctl, channel, file, deadline);
    } else {
        rc = read_whole(ctl, file, path, &data);
        if (rc == 0)
            rc = send_one(ctl, channel, data.data != NULL ? data.data : "", data.size, deadline);
    }
    text_free(&data);
    if (file != stdin)
        fclose(file);
    return rc;
}

int
verb_send(struct ctl *ctl)
{
    const char *path = args_value(&ctl->args, OPTION_INPUT);
    const char *channel = ctl->args.operands[0];
    struct text data = {0};
    uint64_t deadline;
    int rc = wait_deadline(ctl, OPTION_CHANNEL_TIMEOUT, &deadline);

    if (rc == 0 && ctl->args.operand_count > 1 &&
        (path != NULL || args_have(&ctl->args, OPTION_LINES)))
        rc = ctl_usage(ctl, "a message is given as text or as input, not both", "");
    if (rc == 0 && ctl->key != NULL && args_have(&ctl->args, OPTION_LINES))
        rc = ctl_usage(ctl, "--key is for one message, --lines for many", "");
    if (rc == 0)
        rc = ctl_connect(ctl, NULL);
    if (rc != 0)
        return rc;
    if (ctl->args.operand_count == 1)
        return send_file(ctl, channel, path != NULL ? path : "-", deadline);
    for (int i = 1; i < ctl->args.operand_count; i++)
        text_addf(&data, "%s%s", i > 1 ? " " : "", ctl->args.operands[i]);
    rc = send_one(ctl, channel, data.data, data.size, deadline);
    text_free(&data);
    return rc;
}

/* ---- What a command does with a message -------------------------------------------------- */

static volatile sig_atomic_t command_pid;

static void
on_signal(int number)
{
    if (command_pid > 0)
        kill((pid_t)command_pid, number);
}

/* Signals that would end this command are the command's while it runs: what it
 * makes of them decides about the message. */
static void
signals_for_command(bool begin)
{
    struct sigaction action = {.sa_handler = begin ? on_signal : SIG_DFL};

    action.sa_flags = SA_RESTART;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    /* From the terminal it got those itself. */
    action.sa_handler = begin ? SIG_IGN : SIG_DFL;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGQUIT, &action, NULL);
}

static void __attribute__((noreturn))
command_exec(struct ctl *ctl, const json_t *delivery, int input)
{
    char deliveries[32];

    signal(SIGPIPE, SIG_DFL);
    signals_for_command(false);
    snprintf(deliveries, sizeof deliveries, "%llu",
             (unsigned long long)get_number(delivery, "deliveries", 1));
    /* It ends with this one: else the message would be handled by two at once. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setenv("ASUPERSYNC_MESSAGE", get_text(delivery, "message"), 1);
    setenv("ASUPERSYNC_ACK", get_text(delivery, "obligation"), 1);
    setenv("ASUPERSYNC_CHANNEL", get_text(delivery, "channel"), 1);
    setenv("ASUPERSYNC_DELIVERIES", deliveries, 1);
    if (dup2(input, STDIN_FILENO) < 0)
        _exit(126);
    execvp(ctl->args.command[0], ctl->args.command);
    int code = errno == ENOENT ? 127 : 126;
    fprintf(stderr, "asupersyncctl: cannot run %s: %s\n", ctl->args.command[0], strerror(errno));
    _exit(code);
}

/* Write to the command what it takes, and keep the ack alive until it ends. */
static void
command_feed(struct ctl *ctl, const json_t *delivery, int pidfd, int output, const char *data,
             size_t size)
{
    uint64_t left = get_number(delivery, "left_ns", UINT64_MAX);
    uint64_t every = left == UINT64_MAX ? UINT64_MAX : left / 3;
    uint64_t next = every == UINT64_MAX ? UINT64_MAX : now_steady_ns() + every;

    for (;;) {
        struct pollfd fds[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = output, .events = POLLOUT}};
        uint64_t now = now_steady_ns();
        int wait = next == UINT64_MAX ? -1 : next <= now ? 0 : (int)((next - now) / 1000000 + 1);

        if (output >= 0 && size == 0) {
            close(output);
            output = fds[1].fd = -1;
        }
        if (poll(fds, 2, wait) < 0 && errno != EINTR)
            break;
        if (output >= 0 && (fds[1].revents & (POLLOUT | POLLERR)) != 0) {
            ssize_t part = write(output, data, size);
            if (part > 0) {
                data += part;
                size -= (size_t)part;
            } else if (part < 0 && errno != EAGAIN && errno != EINTR) {
                size = 0; /* it reads no more */
            }
        }
        if ((fds[0].revents & POLLIN) != 0)
            break;
        if (next <= now_steady_ns()) {
            struct asup_error_info error;
            (void)ctl_call(ctl, "channel.extend",
                           json_pack("{s:s}", "obligation", get_text(delivery, "obligation")), -1,
                           NULL, &error);
            next = now_steady_ns() + every;
        }
    }
    if (output >= 0)
        close(output);
}

/* Run the command; its exit code, 128+SIGNAL, or 126 when it could not be begun. */
static int
command_run(struct ctl *ctl, const json_t *delivery, const char *data, size_t size)
{
    int pipes[2];
    int status = 0;

    if (pipe(pipes) != 0)
        return 126;
    fflush(NULL);
    signals_for_command(true);
    pid_t pid = fork();
    if (pid == 0) {
        close(pipes[1]);
        command_exec(ctl, delivery, pipes[0]);
    }
    close(pipes[0]);
    if (pid < 0) {
        close(pipes[1]);
        signals_for_command(false);
        return 126;
    }
    command_pid = pid;
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0U);
    command_feed(ctl, delivery, pidfd, pipes[1], data, size);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    command_pid = 0;
    signals_for_command(false);
    if (pidfd >= 0)
        close(pidfd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* ---- receive ---------------------------------------------------------------------------- */

static int
settle(struct ctl *ctl, const json_t *delivery, int code)
{
    const char *ack = get_text(delivery, "obligation");
    char note[64];

    if (code == 0)
        return ctl_ask(ctl, "channel.ack", json_pack("{s:s}", "obligation", ack), NULL);
    if (code > 128)
        snprintf(note, sizeof note, "the command died of signal %d", code - 128);
    else
        snprintf(note, sizeof note, "the command exited %d", code);
    return ctl_ask(ctl, "channel.nack", json_pack("{s:s, s:s}", "obligation", ack, "note", note),
                   NULL);
}

/* Print it: raw, or as an object with the data as text where it is UTF-8. */
static void
print_delivery(struct ctl *ctl, json_t *delivery, const char *data, size_t size, bool many)
{
    struct text out = {0};
    bool bad = false;

    if (ctl->json) {
        if (utf8_valid(data, size, &bad) == size)
            json_object_set_new(delivery, "text", json_stringn(data, size));
        ctl_print_json(ctl, json_incref(delivery));
        return;
    }
    if (args_have(&ctl->args, OPTION_NO_ACK))
        text_addf(&out, "%s\n", get_text(delivery, "obligation"));
    text_put(&out, data, size);
    if (many && (size == 0 || data[size - 1] != '\n'))
        text_add(&out, "\n");
    ctl_print(&out);
}

/* One message: 0, or how settling it went wrong; *code is how the command ended,
 * which may be 125 too. */
static int
take_one(struct ctl *ctl, json_t *delivery, bool many, int *code)
{
    size_t size = 0;
    char *data = (char *)base64_decode(get_text(delivery, "data"), &size);
    int rc = 0;

    if (data == NULL) {
        data = must_copy("");
        size = 0;
    }
    if (ctl->args.command != NULL) {
        *code = command_run(ctl, delivery, data, size);
        rc = settle(ctl, delivery, *code);
    } else {
        print_delivery(ctl, delivery, data, size, many);
        if (!args_have(&ctl->args, OPTION_NO_ACK))
            rc = settle(ctl, delivery, 0);
    }
    free(data);
    return rc;
}

static int
receive_all(struct ctl *ctl, const json_t *common, uint64_t count)
{
    uint64_t got = 0;
    int worst = 0;

    while (count == 0 || got < count) {
        struct asup_error_info error;
        json_t *delivery = NULL;
        uint64_t deadline;
        int rc = wait_deadline(ctl, OPTION_CHANNEL_TIMEOUT, &deadline);

        if (rc != 0)
            return rc;
        rc = ctl_call(ctl, "channel.receive", json_deep_copy(common), wait_left_ms(deadline),
                      &delivery, &error);
        if (rc == -ASUP_EENDED && count == 0)
            return worst; /* all there was */
        if (rc == -ASUP_EENDED) {
            ctl_remark(ctl, "%s", error.message);
            return worst != 0 ? worst : 1;
        }
        if (rc != 0)
            return ctl_fail(ctl, &error);
        got++;
        int code = 0;
        rc = take_one(ctl, delivery, count != 1, &code);
        json_decref(delivery);
        if (rc == EXIT_DAEMON)
            return rc;
        if (rc != 0 || code != 0)
            worst = rc != 0 ? rc : code;
    }
    return worst;
}

int
verb_receive(struct ctl *ctl)
{
    const char *text = args_value(&ctl->args, OPTION_MESSAGES);
    struct asup_client_options how;
    json_t *args = json_object();
    uint64_t count = 1;
    int rc = 0;

    if (text != NULL && !parse_number(text, 0, UINT32_MAX, &count))
        rc = ctl_bad_value(ctl, OPTION_MESSAGES, text, "a number; 0 is all");
    if (rc == 0 && args_have(&ctl->args, OPTION_NO_ACK) && ctl->args.command != NULL)
        rc = ctl_usage(ctl, "--no-ack: a command's end acks its message", "leave one of them out");
    if (rc == 0 && args_have(&ctl->args, OPTION_NO_ACK) && !ctl_in_session() && !ctl_in_task(ctl))
        rc = ctl_usage(ctl, "--no-ack: nobody would hold the ack when this command has ended",
                       "say it in a task, or in a session: "
                       "export ASUPERSYNC_SESSION=$(asupersyncctl session)");
    if (rc == 0)
        rc = request_duration(ctl, args, OPTION_ACK_TIMEOUT, "ack_timeout_ns");
    ctl_client_options(ctl, &how);
    if (args_have(&ctl->args, OPTION_NO_ACK))
        how.keep_session = true; /* it holds the ack; else the session's end gives it back */
    if (rc == 0)
        rc = ctl_connect(ctl, &how);
    if (rc == 0) {
        ctl->stream = count != 1;
        json_object_set_new(args, "channel", json_string_nocheck(ctl->args.operands[0]));
        rc = receive_all(ctl, args, count);
    }
    json_decref(args);
    return rc;
}

/* ---- session ----------------------------------------------------------------------------------
 */

int
verb_session(struct ctl *ctl)
{
    uint8_t secret[ASUP_SECRET_SIZE];
    struct asup_client_options how;
    json_t *times = json_object();
    struct text hex = {0};
    int rc = request_duration(ctl, times, OPTION_SESSION_TTL, "ttl_ns");

    ctl_client_options(ctl, &how);
    how.session_secret = NULL;
    how.keep_session = true;
    how.session_ttl_ns = get_number(times, "ttl_ns", 0);
    json_decref(times);
    if (rc == 0)
        rc = ctl_connect(ctl, &how);
    if (rc != 0)
        return rc;
    if (asup_client_secret(ctl->client, secret) != 0)
        return ctl_failf(ctl, -ASUP_ENOTFOUND, "", "the daemon gave no session");
    for (size_t i = 0; i < sizeof secret; i++)
        text_addf(&hex, "%02x", secret[i]);
    if (ctl->json) {
        char id[ASUP_REF_TEXT_SIZE];
        struct asup_session session = asup_client_session(ctl->client);
        asup_ref_format((struct asup_ref){session.id, ASUP_SORT_SESSION}, id, sizeof id);
        ctl_print_json(ctl, json_pack("{s:s, s:s}", "session", id, "secret", hex.data));
        text_free(&hex);
        return 0;
    }
    text_add(&hex, "\n");
    ctl_print(&hex);
    return 0;
}
