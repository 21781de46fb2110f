/* SPDX-License-Identifier: MIT */
/*
 * What of a task's output may reach a terminal: text, line ends, tabs and
 * colours. Everything else that a terminal acts on is spelled out, so that
 * looking at a log can neither move the cursor nor type into the shell.
 *
 * Output comes in pieces that may end anywhere, so a filter keeps the start of
 * a sequence until it has seen its end.
 */
#ifndef ASUPERSYNC_CTL_FILTER_H
#define ASUPERSYNC_CTL_FILTER_H

#include "text.h"

struct filter {
    struct look look;
    char kept[64]; /* the start of something not yet complete */
    size_t kept_size;
};

/* Append the harmless form of the bytes; at the end of the output what is
 * still kept comes out, too. */
void filter_feed(struct filter *f, struct text *out, const char *bytes, size_t size, bool end);

#endif
