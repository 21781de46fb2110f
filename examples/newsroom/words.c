/* SPDX-License-Identifier: MIT */
/* A table of words: open addressing, never more than half full. */
#include "room.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define WORD_SIZE_MAX 64

static size_t
hash_of(const char *text, size_t size)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)text[i]) * 1099511628211u;
    return (size_t)hash;
}

/* The slot that holds the word, or the free one where it belongs. */
static struct word *
find(const struct words *words, const char *text, size_t size)
{
    size_t mask = words->slot_count - 1;

    for (size_t at = hash_of(text, size) & mask;; at = (at + 1) & mask) {
        struct word *slot = &words->slots[at];
        if (slot->text == NULL || (strncmp(slot->text, text, size) == 0 && slot->text[size] == 0))
            return slot;
    }
}

static void
grow(struct words *words)
{
    struct words larger = {.slot_count = words->slot_count ? words->slot_count * 2 : 1024};

    larger.slots = room_alloc(larger.slot_count * sizeof *larger.slots);
    for (size_t i = 0; i < words->slot_count; i++) {
        struct word *old = &words->slots[i];
        if (old->text != NULL)
            *find(&larger, old->text, strlen(old->text)) = *old;
    }
    free(words->slots);
    words->slots = larger.slots;
    words->slot_count = larger.slot_count;
}

void
words_add(struct words *words, const char *text, size_t size, uint64_t count)
{
    struct word *slot;

    if (words->used * 2 >= words->slot_count)
        grow(words);
    slot = find(words, text, size);
    if (slot->text == NULL) {
        slot->text = room_alloc(size + 1);
        memcpy(slot->text, text, size);
        words->used++;
    }
    slot->count += count;
    words->total += count;
}

uint64_t
words_count(const struct words *words, const char *text)
{
    return words->slot_count == 0 ? 0 : find(words, text, strlen(text))->count;
}

void
words_add_text(struct words *words, const char *text, size_t size)
{
    char word[WORD_SIZE_MAX];
    size_t length = 0;

    for (size_t i = 0; i <= size; i++) {
        int c = i < size ? (unsigned char)text[i] : ' ';
        if (isalpha(c) && length < sizeof word)
            word[length++] = (char)tolower(c);
        if (!isalpha(c) && length > 0) {
            words_add(words, word, length, 1);
            length = 0;
        }
    }
}

static int
more_first(const void *left, const void *right)
{
    const struct word *a = left;
    const struct word *b = right;

    if (a->count != b->count)
        return a->count > b->count ? -1 : 1;
    return strcmp(a->text, b->text);
}

struct word *
words_sorted(const struct words *words)
{
    struct word *list = room_alloc((words->used + 1) * sizeof *list);
    size_t n = 0;

    for (size_t i = 0; i < words->slot_count; i++)
        if (words->slots[i].text != NULL)
            list[n++] = words->slots[i];
    qsort(list, n, sizeof *list, more_first);
    return list;
}

void
words_free(struct words *words)
{
    for (size_t i = 0; i < words->slot_count; i++)
        free(words->slots[i].text);
    free(words->slots);
    *words = (struct words){0};
}
