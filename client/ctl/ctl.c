/* SPDX-License-Identifier: MIT */
#include "ctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "target.h"
#include "wire_json.h"

/* ---- Printing -------------------------------------------------------------------- */

/* Standard output that cannot be written (a full disk) is a failure of the
 * whole command; a reader that has gone away needs no words. */
static void
output_check(FILE *stream)
{
    if (fflush(stream) == 0 && !ferror(stream))
        return;
    if (errno != EPIPE)
        fprintf(stderr, "asupersyncctl: cannot write: %s\n", strerror(errno));
    _exit(1);
}

void
ctl_print(struct text *t)
{
    if (t->size > 0)
        fwrite(t->data, 1, t->size, stdout);
    output_check(stdout);
    text_free(t);
}

void
ctl_print_json(struct ctl *ctl, json_t *object)
{
    FILE *stream = ctl->json_stream != NULL ? ctl->json_stream : stdout;
    size_t flags = isatty(fileno(stream)) && !ctl->stream ? JSON_INDENT(2) : JSON_COMPACT;
    json_t *whole = json_pack("{s:i}", "format", JSON_FORMAT);

    json_object_update_missing(whole, object);
    json_dumpf(whole, stream, flags);
    fputc('\n', stream);
    json_decref(whole);
    json_decref(object);
    output_check(stream);
}

void
ctl_remark(struct ctl *ctl, const char *format, ...)
{
    struct text line = {0};
    va_list args;
    char buffer[1024];

    if (ctl->quiet)
        return;
    va_start(args, format);
    vsnprintf(buffer, sizeof buffer, format, args);
    va_end(args);
    text_add(&line, "asupersyncctl: ");
    text_safe(&line, &ctl->err, buffer, strlen(buffer));
    text_add(&line, ctl->raw ? "\r\n" : "\n");
    fputs(line.data, stderr);
    text_free(&line);
}

/* ---- Failing ----------------------------------------------------------------------- */

/* All errors pass here: one line for people, or one object. */
static void
report(struct ctl *ctl, const char *name, int number, const char *message, const char *hint,
       const struct asup_error_info *more, int exit_code)
{
    if (ctl->json) {
        json_t *error = json_pack(
            "{s:o, s:i, s:o, s:o, s:b, s:i}", "code", json_string(name), "number", number,
            "message", json_text(message, strlen(message)), "hint", json_text(hint, strlen(hint)),
            "retry", number > 0 && asup_error_retry_helps(number), "exit_code", exit_code);
        if (more != NULL && more->field[0] != '\0')
            json_object_set_new(error, "field", json_string(more->field));
        if (more != NULL && more->limit[0] != '\0')
            json_object_set_new(error, "limit", json_string(more->limit));
        if (more != NULL && more->oldest != 0)
            json_object_set_new(error, "oldest", json_integer((json_int_t)more->oldest));
        ctl_print_json(ctl, json_pack("{s:o}", "error", error));
        return;
    }
    struct text line = {0};
    text_add(&line, "asupersyncctl: ");
    if (number > 0)
        text_addf(&line, "%s: ", name);
    text_safe(&line, &ctl->err, message, strlen(message));
    if (more != NULL && more->limit[0] != '\0' && strstr(message, more->limit) == NULL) {
        text_add(&line, " (limit ");
        text_safe(&line, &ctl->err, more->limit, strlen(more->limit));
        text_add(&line, ")");
    }
    text_add(&line, "\n");
    if (hint[0] != '\0') {
        text_add(&line, "  hint: ");
        text_safe(&line, &ctl->err, hint, strlen(hint));
        text_add(&line, "\n");
    }
    fputs(line.data, stderr);
    text_free(&line);
}

int
ctl_usage(struct ctl *ctl, const char *message, const char *hint)
{
    report(ctl, "usage", 0, message, hint, NULL, EXIT_USAGE);
    return EXIT_USAGE;
}

int
ctl_bad_value(struct ctl *ctl, enum option_id id, const char *value, const char *accepted)
{
    struct text message = {0};
    struct text hint = {0};

    text_addf(&message, "--%s: '%s' is not understood", option_rows[id].name, value);
    text_addf(&hint, "accepted: %s", accepted);
    int exit_code = ctl_usage(ctl, message.data, hint.data);
    text_free(&message);
    text_free(&hint);
    return exit_code;
}

int
ctl_fail(struct ctl *ctl, const struct asup_error_info *error)
{
    int number = error->code < 0 ? -error->code : error->code;
    int exit_code = EXIT_DAEMON;

    if (number == ASUP_ETIMEDOUT)
        exit_code = EXIT_WAIT_TIMEOUT;
    report(ctl, asup_error_name(number), number,
           error->message[0] != '\0' ? error->message : asup_error_text(number), error->hint, error,
           exit_code);
    return exit_code;
}

int
ctl_failf(struct ctl *ctl, int code, const char *hint, const char *format, ...)
{
    struct asup_error_info error = {.code = code};
    va_list args;

    va_start(args, format);
    vsnprintf(error.message, sizeof error.message, format, args);
    va_end(args);
    snprintf(error.hint, sizeof error.hint, "%s", hint);
    return ctl_fail(ctl, &error);
}

/* ---- Calls --------------------------------------------------------------------------- */

int
ctl_answer(int code, const void *bytes, size_t size, json_t **body, struct asup_error_info *error)
{
    json_t *value = NULL;

    asup_error_info_read(error, code, bytes, size);
    if (code == 0) {
        value = wire_to_json(bytes, size);
        if (!json_is_object(value)) {
            json_decref(value);
            value = NULL;
            code = -ASUP_EMALFORMED;
            snprintf(error->message, sizeof error->message, "the answer could not be understood");
        }
    }
    error->code = code;
    *body = value;
    return code;
}

/* --key goes with every request of the verb that changes something and takes one. */
static void
add_key(const struct ctl *ctl, const char *op, json_t *args)
{
    static const char *const keyed[] = {
        "region.open",       "region.close",     "task.submit",         "task.cancel",
        "finalizer.defer",   "channel.open",     "channel.seal",        "channel.send",
        "channel.retry",     "channel.discard",  "saga.begin",          "saga.step",
        "saga.complete",     "saga.abort",       "saga.resolve",        "obligation.reserve",
        "obligation.commit", "obligation.abort", "obligation.transfer", "cx.revoke",
    };

    for (size_t i = 0; ctl->key != NULL && i < sizeof keyed / sizeof keyed[0]; i++) {
        if (strcmp(op, keyed[i]) != 0)
            continue;
        json_object_set_new(args, "key", json_string_nocheck(ctl->key));
        if (ctl->key_retention_ns != 0)
            json_object_set_new(args, "key_retention_ns",
                                json_integer((json_int_t)ctl->key_retention_ns));
    }
}

int
ctl_next_key(struct ctl *ctl)
{
    return ctl->key == NULL ? 0 : asup_client_next_key(ctl->key, ctl->key_retention_ns);
}

int
ctl_call(struct ctl *ctl, const char *op, json_t *args, int64_t timeout_ms, json_t **body,
         struct asup_error_info *error)
{
    json_t *unused = NULL;
    void *bytes = NULL;
    size_t size = 0;
    size_t args_size;

    if (args == NULL)
        args = json_object();
    add_key(ctl, op, args);
    void *args_bytes = json_to_wire(args, &args_size);
    json_decref(args);
    *error = (struct asup_error_info){0};
    int rc =
        asup_client_call(ctl->client, op, args_bytes, args_size, timeout_ms, &bytes, &size, error);
    free(args_bytes);
    error->code = rc;
    if (rc == 0)
        rc = ctl_answer(0, bytes, size, body != NULL ? body : &unused, error);
    json_decref(unused);
    free(bytes);
    return rc;
}

int
ctl_start(struct ctl *ctl, const char *op, json_t *args, asup_reply_fn fn, void *arg,
          struct asup_error_info *error)
{
    size_t size;
    void *bytes = json_to_wire(args, &size);

    json_decref(args);
    int rc = asup_client_call_start(ctl->client, op, bytes, size, -1, fn, arg, NULL);
    free(bytes);
    if (rc != 0)
        asup_error_info_read(error, rc, NULL, 0);
    error->code = rc;
    return rc;
}

/* Of several operands, the one that a request is about; NULL: there is one, or none. */
static const char *
operand_asked(const struct ctl *ctl, const json_t *args)
{
    for (int i = 0; ctl->args.operand_count > 1 && i < ctl->args.operand_count; i++) {
        const char *operand = ctl->args.operands[i];
        json_t *value;
        const char *key;

        json_object_foreach((json_t *)args, key, value)
        {
            const char *text = json_string_value(value);

            if (text != NULL && strcmp(text, operand) == 0 && target_of(operand) != TARGET_NONE)
                return operand;
        }
    }
    return NULL;
}

/* A refusal says whose it is, where that could be in doubt. */
static void
error_about(struct asup_error_info *error, const char *operand)
{
    struct text message = {0};

    if (operand == NULL || strstr(error->message, operand) != NULL)
        return;
    text_addf(&message, "%s: %s", operand,
              error->message[0] != '\0' ? error->message : asup_error_text(-error->code));
    snprintf(error->message, sizeof error->message, "%s", message.data);
    text_free(&message);
}

int
ctl_ask(struct ctl *ctl, const char *op, json_t *args, json_t **body)
{
    const char *operand = operand_asked(ctl, args);
    struct asup_error_info error;

    if (ctl_call(ctl, op, args, -1, body, &error) != 0) {
        error_about(&error, operand);
        return ctl_fail(ctl, &error);
    }
    if (error.message[0] != '\0')
        ctl_remark(ctl, "advice: %s", error.message);
    return 0;
}
