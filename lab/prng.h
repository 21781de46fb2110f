/* SPDX-License-Identifier: MIT */
/*
 * Random numbers of the lab: xoshiro256**, seeded by splitmix64. The same on
 * every machine and in every build (R-EVT-4); no other source of chance is used.
 */
#ifndef ASUPERSYNC_LAB_PRNG_H
#define ASUPERSYNC_LAB_PRNG_H

#include <stdbool.h>
#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_seed(struct prng *p, uint64_t seed);
uint64_t prng_next(struct prng *p);
/* 0 to sides - 1, each as likely; sides at least 1. */
uint64_t prng_below(struct prng *p, uint64_t sides);
/* True `chance` times out of 65536. */
bool prng_chance(struct prng *p, uint32_t chance);

#endif
