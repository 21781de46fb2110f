/* SPDX-License-Identifier: MIT */
/* Errors as texts and as bodies of replies. */
#include "message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "asupersync/values.h"
#include "text.h"

int
proto_error_set(struct proto_error *err, int code, const char *format, ...)
{
    va_list arguments;

    *err = (struct proto_error){.code = code};
    va_start(arguments, format);
    (void)vsnprintf(err->message, sizeof err->message, format, arguments);
    va_end(arguments);
    text_mend(err->message);
    return code;
}

void
proto_error_body(struct proto_writer *w, const struct proto_error *err)
{
    pw_map(w);
    pw_key(w, "error");
    pw_str(w, asup_error_name(err->code));
    pw_key(w, "message");
    pw_str(w, err->message[0] ? err->message : asup_error_text(err->code));
    if (err->hint[0]) {
        pw_key(w, "hint");
        pw_str(w, err->hint);
    }
    if (err->field[0]) {
        pw_key(w, "field");
        pw_str(w, err->field);
    }
    if (err->limit[0]) {
        pw_key(w, "limit");
        pw_str(w, err->limit);
    }
    if (err->has_oldest) {
        pw_key(w, "oldest");
        pw_uint(w, err->oldest);
    }
    if (err->code == -ASUP_EUNSUPPORTED && strcmp(err->field, "version") == 0) {
        pw_key(w, "versions");
        pw_list(w);
        pw_uint(w, PROTO_VERSION);
        pw_end(w);
    }
    pw_end(w);
}

void
proto_reply_begin(struct proto_writer *w, uint64_t id, int code)
{
    /* The envelope's size is known, so it is no open list: the body ends the
     * message. */
    static const char list_of_four = (char)0x94;

    pw_raw(w, &list_of_four, 1);
    pw_uint(w, PROTO_VERSION);
    pw_uint(w, id);
    pw_int(w, code);
}

void
proto_reply_error(struct proto_writer *w, uint64_t id, const struct proto_error *err)
{
    proto_reply_begin(w, id, err->code);
    proto_error_body(w, err);
}
