/* SPDX-License-Identifier: MIT */
#include "daemon/engine/idpages.h"

#include <stdlib.h>

static uint64_t
page_key(uint64_t id)
{
    return id / IDPAGE_SIZE + 1; /* a key is not 0 */
}

uint64_t
idpages_get(const struct idpages *map, uint64_t id)
{
    const uint64_t *page = idmap_get(&map->pages, page_key(id));

    return page ? page[id % IDPAGE_SIZE] : 0;
}

bool
idpages_put(struct idpages *map, uint64_t id, uint64_t number)
{
    uint64_t *page = idmap_get(&map->pages, page_key(id));

    if (!page) {
        page = calloc(IDPAGE_SIZE, sizeof *page);
        if (!page || !idmap_put(&map->pages, page_key(id), page)) {
            free(page);
            return false;
        }
    }
    page[id % IDPAGE_SIZE] = number;
    return true;
}

uint64_t
idpages_take(struct idpages *map, uint64_t id)
{
    uint64_t *page = idmap_get(&map->pages, page_key(id));

    if (!page)
        return 0;
    uint64_t number = page[id % IDPAGE_SIZE];
    page[id % IDPAGE_SIZE] = 0;
    for (unsigned i = 0; i < IDPAGE_SIZE; i++) {
        if (page[i])
            return number;
    }
    (void)idmap_take(&map->pages, page_key(id));
    free(page);
    return number;
}

bool
idpages_next(const struct idpages *map, size_t *cursor, uint64_t *id_out, uint64_t *number_out)
{
    /* Slot of the map and place in its page as one number. */
    for (; *cursor / IDPAGE_SIZE < map->pages.capacity; (*cursor)++) {
        const struct idmap_slot *slot = &map->pages.slots[*cursor / IDPAGE_SIZE];
        const uint64_t *page = slot->value;
        size_t at = *cursor % IDPAGE_SIZE;

        if (!slot->key || !page[at])
            continue;
        *id_out = (slot->key - 1) * IDPAGE_SIZE + at;
        *number_out = page[at];
        (*cursor)++;
        return true;
    }
    return false;
}

void
idpages_fini(struct idpages *map)
{
    size_t cursor = 0;
    uint64_t key;
    void *page;

    while (idmap_next(&map->pages, &cursor, &key, &page))
        free(page);
    idmap_fini(&map->pages);
}
