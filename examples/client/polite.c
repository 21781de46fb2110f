/* SPDX-License-Identifier: MIT */
/*
 * polite - a task that asks whether it should stop, and cleans up in time.
 *
 *     asupersyncctl submit --in /work --polls 1000 -- polite
 *
 * Counts primes. After each thousand numbers comes a checkpoint: it costs one
 * poll of the budget, acknowledges a cancel, and says how long the cleanup may
 * take (R-BUD-3, R-TSK-2, R-CAN-2). SIGTERM is not needed to stop this one.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include <asupersync/client.h>
#include <asupersync/values.h>

static bool
is_prime(uint64_t n)
{
    for (uint64_t d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n > 1;
}

int
main(void)
{
    struct asup_client *client = NULL;
    struct asup_error_info err;
    struct asup_task self;
    uint64_t primes = 0;
    bool stop = false;

    if (asup_self(NULL, &self) != 0) {
        fprintf(stderr, "polite: not run by asupersyncd\n");
        return 64;
    }
    signal(SIGTERM, SIG_IGN); /* the checkpoint tells */
    if (asup_client_connect(NULL, &client, &err) != 0) {
        fprintf(stderr, "polite: %s\n", err.message);
        return 125;
    }
    for (uint64_t n = 1; !stop; n++) {
        struct asup_checkpoint point;
        primes += is_prime(n);
        if (n % 1000 != 0)
            continue;
        if (asup_client_task_checkpoint(client, self, &point, &err) != 0) {
            fprintf(stderr, "polite: %s\n", err.message);
            break;
        }
        stop = point.cancel_requested;
        if (stop)
            printf("%" PRIu64 " primes up to %" PRIu64 "; asked to stop (%s), %" PRIu64
                   " ms for cleanup\n",
                   primes, n, asup_cancel_kind_name(asup_reason_root(point.reason)->key.kind),
                   point.drain_left_ns / ASUP_NS_PER_MS);
        asup_checkpoint_fini(&point);
    }
    asup_client_free(client);
    return stop ? 0 : 1;
}
