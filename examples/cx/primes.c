/* SPDX-License-Identifier: MIT */
/* Map and reduce: the primes below 20,000, counted by range, four ranges at a time. */
#include "example.h"

enum { RANGES = 20, RANGE_SIZE = 1000 };

struct range {
    unsigned from, to, primes;
};

static bool
is_prime(unsigned n)
{
    for (unsigned d = 2; d * d <= n; d++) {
        if (n % d == 0)
            return false;
    }
    return n > 1;
}

static int
count(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    struct range *range = item;

    (void)index;
    (void)arg;
    for (unsigned n = range->from; n < range->to; n++) {
        range->primes += is_prime(n);
        if (n % 250 == 0)
            ASUP_TRY(asup_cx_checkpoint(cx)); /* long work gives others their turn */
    }
    return 0;
}

static int
add(struct asup_cx *cx, size_t index, void *item, void *arg)
{
    const struct range *range = item;

    (void)cx;
    (void)index;
    *(unsigned *)arg += range->primes;
    return 0;
}

int
main_task(struct asup_cx *cx, void *arg)
{
    struct range ranges[RANGES];
    unsigned sum = 0;

    (void)arg;
    for (unsigned i = 0; i < RANGES; i++)
        ranges[i] = (struct range){.from = i * RANGE_SIZE, .to = (i + 1) * RANGE_SIZE};
    ASUP_TRY(asup_cx_map_reduce(cx, ranges, RANGES, sizeof ranges[0], 4, count, add, &sum, NULL));
    asup_cx_trace(cx, "%u primes", sum);
    return sum == 2262 ? 0 : 1;
}
