/* SPDX-License-Identifier: MIT */
/*
 * A map from ids to numbers other than 0, for ids that are given out one after
 * the other: those of live tasks lie close together, so the numbers of sixteen
 * neighbours share a page, and one takes 11 bytes where struct idmap takes 24
 * to 48. A page goes with its last number.
 */
#ifndef ASUPERSYNC_DAEMON_ENGINE_IDPAGES_H
#define ASUPERSYNC_DAEMON_ENGINE_IDPAGES_H

#include "daemon/engine/idmap.h"

struct idpages {
    struct idmap pages; /* id / IDPAGE_SIZE + 1 -> IDPAGE_SIZE numbers */
};

enum { IDPAGE_SIZE = 16 };

/* 0: not there. */
uint64_t idpages_get(const struct idpages *map, uint64_t id);
/* Add or replace; the number is not 0. False: no memory, nothing changed;
 * replacing never fails. */
bool idpages_put(struct idpages *map, uint64_t id, uint64_t number);
/* Take out; returns what was there, or 0. */
uint64_t idpages_take(struct idpages *map, uint64_t id);
/* Every number once while no id comes or goes: start with *cursor = 0. */
bool
idpages_next(const struct idpages *map, size_t *cursor, uint64_t *id_out, uint64_t *number_out);
void idpages_fini(struct idpages *map);

#endif
