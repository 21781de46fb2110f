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
