/* SPDX-License-Identifier: MIT */
/*
 * A table: things found by a 64-bit number, which is unique in it. The nodes
 * live inside the things; the table only owns its array of buckets, and goes
 * on with the one it has when a larger one cannot be had.
 */
#ifndef ASUPERSYNC_KEEPER_TABLE_H
#define ASUPERSYNC_KEEPER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_node {
    struct table_node *next;
    uint64_t key;
};

struct table {
    struct table_node **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t count;
};

bool table_init(struct table *table);
void table_fini(struct table *table);
void table_add(struct table *table, struct table_node *node, uint64_t key);
void table_remove(struct table *table, struct table_node *node);
struct table_node *table_find(const struct table *table, uint64_t key);

/* The node after this one, or the first for NULL; NULL at the end. The order
 * is none, and the table must not change in between, except that table_next of
 * NULL takes everything out one by one. */
struct table_node *table_next(const struct table *table, const struct table_node *node);

#define TABLE_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

#endif
