/* SPDX-License-Identifier: MIT */
/* Small questions about text. */
#ifndef ASUPERSYNC_PROTO_TEXT_H
#define ASUPERSYNC_PROTO_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8: shortest forms, no surrogates, at most U+10FFFF. */
bool text_is_utf8(const char *data, size_t size);

/* Some control character in well-formed UTF-8: C0, DEL or C1. */
bool text_has_control(const char *data, size_t size);

/* Cut off a character that the end of a buffer has cut in two. */
void text_mend(char *text);

/* Copy for an error message: in quotes, control characters and broken UTF-8 as
 * '?', at most about `most` bytes of it, then "...". Returns out. */
const char *text_quote(char *out, size_t out_size, const char *data, size_t size, size_t most);

#endif
