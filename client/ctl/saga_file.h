/* SPDX-License-Identifier: MIT */
/*
 * Files that tell a saga, for `asupersyncctl saga run`:
 *
 *     name: order-1017            # what listings show; absent: the file's name
 *     env: {ORDER: "1017"}        # for every command; absent: the daemon's own
 *     cwd: /srv/orders            # where they run; absent: here
 *     steps:
 *       - name: reserve
 *         run: ./reserve 1017     # a shell command, or a list: program, arguments
 *         undo: [./unreserve, "1017"]
 *         timeout: 30s            # of the action; absent: none
 *         undo-timeout: 10s       # of each attempt to undo it; absent: 10s
 *         retry: {attempts: 5, backoff: 1s, most: 1m}
 *       - name: charge
 *         run: {call: charge, input: "1017"}    # what a worker does
 *         undo: {call: refund, input: "1017"}
 */
#ifndef ASUPERSYNC_CTL_SAGA_FILE_H
#define ASUPERSYNC_CTL_SAGA_FILE_H

#include <jansson.h>

#include "text.h"

/* The file as {"name", "steps": [{"name", "action", "undo", "retry"?}]}, each
 * step as saga.step takes it. NULL: what is wrong stands in `error`, with the
 * file's name, line and column. */
json_t *saga_file_read(const char *path, struct text *error);
/* The same for text that was read already. */
json_t *saga_file_parse(const char *name, const char *text, size_t size, struct text *error);

#endif
