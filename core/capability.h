/* SPDX-License-Identifier: MIT */
/* Capabilities, between the files that they are made of: authority.c (who may what),
 * capability.c (derive and revoke), apply_capability.c, capability_query.c. */
#ifndef ASUPERSYNC_CORE_CAPABILITY_H
#define ASUPERSYNC_CORE_CAPABILITY_H

#include "core/decide.h"

static inline struct capability *
capability_at(const struct kernel *k, uint32_t i)
{
    return arena_at(&k->capabilities.records, i);
}

static inline uint32_t
capability_of_id(const struct kernel *k, uint64_t id)
{
    return id == 0 ? NIL : index_find(&k->capabilities.ids, id);
}

/* What a caller shows, taken together. */
struct authority {
    uint32_t top;        /* the region that it is for, and below; NIL: it shows nothing */
    uint32_t capability; /* the derived one that bounds it; NIL: none */
    uint32_t rights;
};

/* 0, or why what it shows is no longer good. */
int authority_of(const struct kernel *k, const struct caller *c, struct authority *a,
                 struct refusal *why);
/* What the policy allows the caller at most, met into what it asks for. */
void standing_ceilings(const struct kernel *k, const struct caller *c, struct derive_params *p);
/* The rights in a region; with a code in `why` there are none. */
uint32_t
caller_rights(const struct kernel *k, const struct caller *c, uint32_t region, struct refusal *why);

#endif
