/* SPDX-License-Identifier: MIT */
#include "daemon/keeper/table.h"

#include <stdlib.h>

#define TABLE_BUCKETS_FIRST 64u

/* Ids are handed out in order; the multiplication spreads them. */
static uint32_t
bucket_of(const struct table *table, uint64_t key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (table->bucket_count - 1);
}

bool
table_init(struct table *table)
{
    table->count = 0;
    table->bucket_count = TABLE_BUCKETS_FIRST;
    table->buckets = calloc(table->bucket_count, sizeof(struct table_node *));
    return table->buckets != NULL;
}

void
table_fini(struct table *table)
{
    free(table->buckets);
    table->buckets = NULL;
}

static void
table_grow(struct table *table)
{
    struct table old = *table;

    table->buckets = calloc((size_t)old.bucket_count * 2, sizeof(struct table_node *));
    if (table->buckets == NULL) {
        table->buckets = old.buckets;
        return;
    }
    table->bucket_count = old.bucket_count * 2;
    for (uint32_t i = 0; i < old.bucket_count; i++) {
        struct table_node *node = old.buckets[i];

        while (node != NULL) {
            struct table_node *next = node->next;
            uint32_t bucket = bucket_of(table, node->key);

            node->next = table->buckets[bucket];
            table->buckets[bucket] = node;
            node = next;
        }
    }
    free(old.buckets);
}

void
table_add(struct table *table, struct table_node *node, uint64_t key)
{
    uint32_t bucket;

    if (table->count >= table->bucket_count && table->bucket_count < (1u << 24))
        table_grow(table);
    bucket = bucket_of(table, key);
    node->key = key;
    node->next = table->buckets[bucket];
    table->buckets[bucket] = node;
    table->count++;
}

void
table_remove(struct table *table, struct table_node *node)
{
    struct table_node **at = &table->buckets[bucket_of(table, node->key)];

    while (*at != NULL && *at != node)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = node->next;
    node->next = NULL;
    table->count--;
}

struct table_node *
table_find(const struct table *table, uint64_t key)
{
    struct table_node *node = table->buckets[bucket_of(table, key)];

    while (node != NULL && node->key != key)
        node = node->next;
    return node;
}

struct table_node *
table_next(const struct table *table, const struct table_node *node)
{
    uint32_t bucket = 0;

    if (node != NULL) {
        if (node->next != NULL)
            return node->next;
        bucket = bucket_of(table, node->key) + 1;
    }
    for (; table->count > 0 && bucket < table->bucket_count; bucket++)
        if (table->buckets[bucket] != NULL)
            return table->buckets[bucket];
    return NULL;
}
