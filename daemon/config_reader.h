/* SPDX-License-Identifier: MIT */
/* Between the files that read asupersyncd.yaml: config.c, which is driven by
 * its table of keys, and config_access.c, which reads the rules of "access". */
#ifndef ASUPERSYNC_DAEMON_CONFIG_READER_H
#define ASUPERSYNC_DAEMON_CONFIG_READER_H

#include <libfyaml.h>

#include "daemon/config.h"

struct reader {
    const char *name;
    struct config *config;
    FILE *errors;
    int error_count;
};

/* Where a node begins; NULL: it is nowhere in the file. */
const struct fy_mark *config_mark(struct fy_node *where);
/* The place that an error is about, before its text. */
FILE *config_complain_at(struct reader *r, struct fy_node *where);
/* One line about an error: complain(r, node, "format" [, values]). */
#define complain(r, where, ...)                                                                    \
    ((void)fprintf(config_complain_at(r, where), __VA_ARGS__), (void)fputc('\n', (r)->errors))

/* Digits in that base, and nothing else. */
bool config_number(const char *text, int base, uint64_t *out);

/* The value of the key "access". */
void config_read_access(struct reader *r, struct fy_node *key, struct fy_node *value);

#endif
