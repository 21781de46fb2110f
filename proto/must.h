/* SPDX-License-Identifier: MIT */
/* must(condition): a bug of ours, not of a peer, when it does not hold. Stays
 * live in every build. */
#ifndef ASUPERSYNC_PROTO_MUST_H
#define ASUPERSYNC_PROTO_MUST_H

#include <stdio.h>
#include <stdlib.h>

#define must(condition) ((condition) ? (void)0 : must_failed(#condition, __FILE__, __LINE__))

_Noreturn static inline void
must_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: must hold: %s\n", file, line, condition);
    abort();
}

#endif
