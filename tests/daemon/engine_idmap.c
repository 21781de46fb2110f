/* SPDX-License-Identifier: MIT */
/* The maps from ids, against the plainest one there is: an array. */
#include "daemon/engine/idpages.h"
#include "rules.h"

enum { KEYS = 500, TURNS = 200000 };

START_TEST(it_does_what_an_array_does)
{
    struct idmap map = {0};
    static char things[TURNS];
    void *plain[KEYS] = {0};
    uint64_t state = 12345;

    for (int i = 0; i < TURNS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t k = (size_t)(state >> 33) % KEYS;
        uint64_t key = (uint64_t)k * 65536 + 1; /* many share their low bits */
        if (state >> 62) {
            void *value = &things[i];
            ck_assert(idmap_put(&map, key, value));
            plain[k] = value;
        } else {
            ck_assert_ptr_eq(idmap_take(&map, key), plain[k]);
            plain[k] = NULL;
        }
        ck_assert_ptr_eq(idmap_get(&map, key), plain[k]);
    }
    size_t count = 0;
    for (size_t k = 0; k < KEYS; k++) {
        ck_assert_ptr_eq(idmap_get(&map, (uint64_t)k * 65536 + 1), plain[k]);
        count += plain[k] != NULL;
    }
    ck_assert_uint_eq(map.count, count);
    size_t cursor = 0;
    uint64_t key;
    void *value;
    while (idmap_next(&map, &cursor, &key, &value))
        count--;
    ck_assert_uint_eq(count, 0);
    idmap_fini(&map);
}
END_TEST

START_TEST(an_empty_map_gives_memory_back)
{
    struct idmap map = {0};

    for (uint64_t k = 1; k <= 10000; k++)
        ck_assert(idmap_put(&map, k, &map));
    for (uint64_t k = 1; k <= 10000; k++)
        ck_assert_ptr_eq(idmap_take(&map, k), &map);
    ck_assert_uint_le(map.capacity, 64);
    ck_assert_ptr_null(idmap_take(&map, 5));
    ck_assert_ptr_null(idmap_get(&map, 0));
    idmap_fini(&map);
}
END_TEST

START_TEST(pages_do_what_an_array_does)
{
    struct idpages map = {0};
    uint64_t plain[KEYS] = {0};
    uint64_t state = 54321;
    size_t pages = 0;

    for (int i = 0; i < TURNS; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        size_t k = (size_t)(state >> 33) % KEYS;
        if (state >> 63) {
            plain[k] = (uint64_t)i + 1;
            ck_assert(idpages_put(&map, k, plain[k]));
        } else {
            ck_assert_uint_eq(idpages_take(&map, k), plain[k]);
            plain[k] = 0;
        }
        ck_assert_uint_eq(idpages_get(&map, k), plain[k]);
    }
    for (size_t k = 0; k < KEYS; k++)
        ck_assert_uint_eq(idpages_get(&map, k), plain[k]);
    /* A page is there as long as it holds a number. */
    for (size_t k = 0; k < KEYS; k += IDPAGE_SIZE) {
        bool used = false;
        for (size_t i = k; i < k + IDPAGE_SIZE && i < KEYS; i++)
            used = used || plain[i];
        pages += used;
    }
    ck_assert_uint_eq(map.pages.count, pages);
    size_t cursor = 0;
    size_t left = 0;
    uint64_t id;
    uint64_t number;
    for (size_t k = 0; k < KEYS; k++)
        left += plain[k] != 0;
    while (idpages_next(&map, &cursor, &id, &number)) {
        ck_assert_uint_lt(id, KEYS);
        ck_assert_uint_eq(number, plain[id]);
        left--;
    }
    ck_assert_uint_eq(left, 0);
    for (size_t k = 0; k < KEYS; k++)
        ck_assert_uint_eq(idpages_take(&map, k), plain[k]);
    ck_assert_uint_eq(map.pages.count, 0);
    ck_assert(idpages_put(&map, UINT64_MAX, 7));
    ck_assert_uint_eq(idpages_get(&map, UINT64_MAX), 7);
    ck_assert_uint_eq(idpages_get(&map, 15), 0);
    idpages_fini(&map);
}
END_TEST

static const struct rule rules[] = {
    RULE(it_does_what_an_array_does),
    RULE(an_empty_map_gives_memory_back),
    RULE(pages_do_what_an_array_does),
};

RULES_MAIN("engine idmap", rules, NULL, NULL)
