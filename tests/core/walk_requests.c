/* SPDX-License-Identifier: MIT */
#include "walk_ask.h"

#include <stdlib.h>
#include <string.h>

#include "lab/world_state.h"

static struct world *world;
static struct request request;

void
walk_ask_begin(uint64_t seed)
{
    if (world == NULL)
        world = calloc(1, sizeof *world);
    if (world == NULL)
        abort();
    prng_seed(&world->prng, seed);
    world->serial = 0;
    world->kernel_last = 0;
}

static struct world *
around(struct kernel *k)
{
    world->kernel = k;
    return world;
}

struct input
walk_request(struct kernel *k, asup_time now, uint64_t token)
{
    memset(&request, 0, sizeof request);
    around(k)->now = now;
    any_request(world, &request);
    request.in.token = token;
    return request.in;
}

uint64_t
walk_id(struct kernel *k)
{
    return any_id(around(k));
}

uint64_t
walk_session(struct kernel *k)
{
    return any_session(around(k));
}

uint64_t
walk_duration(void)
{
    return any_duration(world);
}
