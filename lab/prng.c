/* SPDX-License-Identifier: MIT */
#include "lab/prng.h"

static uint64_t
splitmix(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void
prng_seed(struct prng *p, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++)
        p->state[i] = splitmix(&seed);
}

static uint64_t
rotated(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

uint64_t
prng_next(struct prng *p)
{
    uint64_t *s = p->state;
    uint64_t result = rotated(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotated(s[3], 45);
    return result;
}

uint64_t
prng_below(struct prng *p, uint64_t sides)
{
    /* Numbers above the last whole multiple would favour the first ones. */
    uint64_t most = UINT64_MAX - UINT64_MAX % sides;
    uint64_t n;

    do
        n = prng_next(p);
    while (n >= most);
    return n % sides;
}

bool
prng_chance(struct prng *p, uint32_t chance)
{
    return (prng_next(p) >> 48) < chance;
}
