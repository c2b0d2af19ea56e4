/* Groups of numbers or letters: kernels/reference/groups.py says the same with a sort and a dictionary. Groups are small,
 * so each is sorted where it goes. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"
#include "scan.h"

enum { FEW = 32 };

/* Where a group begins, and its size, in bytes; 0 where it lies beyond the values. */
INLINE int bounds(const groups_of *all, size_t group, size_t *start, size_t *size) {
    int64_t first, stop;
    if (all->offset_size == 4) {
        first = ((const int32_t *)all->offsets)[group], stop = ((const int32_t *)all->offsets)[group + 1];
    } else {
        first = ((const int64_t *)all->offsets)[group], stop = ((const int64_t *)all->offsets)[group + 1];
    }
    if (first < 0 || stop < first || (uint64_t)stop > all->n) return 0;
    *start = (size_t)first * all->size;
    *size = (size_t)(stop - first) * all->size;
    return 1;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The distinct codes in order; returns how many. */
static size_t as_set(const uint32_t *codes, size_t size, uint32_t *out) {
    size_t count = 0;
    uint32_t any = 0;
    uint64_t seen = 0;
    for (size_t i = 0; i < size; i++) any |= codes[i], seen |= (uint64_t)1 << (codes[i] & 63);
    if (any < 64) { /* as nearly always: a bit for each */
        for (; seen; seen &= seen - 1) out[count++] = (uint32_t)__builtin_ctzll(seen);
        return count;
    }
    memcpy(out, codes, size * sizeof *out);
    if (size <= FEW) {
        for (size_t i = 1; i < size; i++) {
            uint32_t code = out[i];
            size_t at = i;
            for (; at && out[at - 1] > code; at--) out[at] = out[at - 1];
            out[at] = code;
        }
    } else {
        qsort(out, size, sizeof *out, ascending);
    }
    for (size_t i = 0; i < size; i++)
        if (!i || out[i] != out[count - 1]) out[count++] = out[i];
    return count;
}

int group_sets(const groups_of *all, uint32_t *out, int64_t *out_offsets) {
    size_t at = 0, start, size;
    if (all->size != sizeof *out) return KERNEL_BAD_SIZE;
    out_offsets[0] = 0;
    for (size_t k = 0; k < all->groups; k++) {
        if (!bounds(all, k, &start, &size)) return KERNEL_BAD_SIZE;
        size /= sizeof *out;
        if (size > all->n - at) return KERNEL_BAD_SIZE;
        at += as_set((const uint32_t *)(const void *)(all->values + start), size, out + at);
        out_offsets[k + 1] = (int64_t)at;
    }
    return KERNEL_OK;
}

/* Numbers of groups in an open-addressed table; a slot is hash << 32 | number + 1, or 0. */
typedef struct {
    uint64_t *slots;
    size_t mask, taken;
} numbering;

#define STEP(h, word) ((h) = ((h) ^ (word)) * 0x9E3779B97F4A7C15u, (h) ^= (h) >> 32)

static uint32_t hash_bytes(const uint8_t *p, size_t n) {
    uint64_t h = n, word = 0;
    for (size_t i = 0; i + 8 < n; i += 8) STEP(h, load_word(p + i));
    if (n >= 8) {
        word = load_word(p + n - 8); /* may overlap the one before */
    } else if (n >= 4) {
        uint32_t low, high;
        memcpy(&low, p, 4), memcpy(&high, p + n - 4, 4);
        word = low | (uint64_t)high << 32;
    } else if (n) {
        word = p[0] | (uint32_t)p[n / 2] << 8 | (uint32_t)p[n - 1] << 16;
    }
    STEP(h, word);
    STEP(h, 0); /* texts that differ in their last letter only are far apart after the second multiplication */
    return (uint32_t)h;
}

INLINE int are_same(const uint8_t *a, const uint8_t *b, size_t n) {
    uint64_t differ = 0;
    for (size_t i = 0; i + 8 < n; i += 8) differ |= load_word(a + i) ^ load_word(b + i);
    if (n >= 8) return !(differ | (load_word(a + n - 8) ^ load_word(b + n - 8)));
    if (n >= 4) return !memcmp(a, b, 4) && !memcmp(a + n - 4, b + n - 4, 4);
    return !n || (a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1]);
}

static int grow(numbering *table) {
    size_t size = table->slots ? 2 * (table->mask + 1) : 1024;
    uint64_t *slots = calloc(size, sizeof *slots);
    if (!slots) return 0;
    for (size_t i = 0; table->slots && i <= table->mask; i++) {
        uint64_t slot = table->slots[i];
        size_t at = (size_t)(slot >> 32) & (size - 1);
        if (!slot) continue;
        while (slots[at]) at = (at + 1) & (size - 1);
        slots[at] = slot;
    }
    free(table->slots);
    table->slots = slots;
    table->mask = size - 1;
    return 1;
}

/* The number of the k-th group, which is `size` bytes at p; a new one is given to it where none is the same. */
static uint32_t number_of(numbering *table, const groups_of *all, size_t k, size_t start, size_t size, int64_t *firsts) {
    const uint8_t *p = all->values + start;
    uint32_t hash = hash_bytes(p, size);
    for (size_t at = hash & table->mask;; at = (at + 1) & table->mask) {
        uint64_t slot = table->slots[at];
        size_t first, length;
        if (!slot) {
            firsts[table->taken] = (int64_t)k;
            table->slots[at] = (uint64_t)hash << 32 | ++table->taken;
            return (uint32_t)table->taken - 1;
        }
        if (slot >> 32 == hash && bounds(all, (size_t)firsts[(uint32_t)slot - 1], &first, &length) && length == size &&
            are_same(all->values + first, p, size))
            return (uint32_t)slot - 1;
    }
}

int number_groups(const groups_of *all, uint32_t *numbers, int64_t *firsts, size_t *distinct) {
    numbering table = {NULL, 0, 0};
    int status = all->groups < UINT32_MAX ? KERNEL_OK : KERNEL_BAD_SIZE;
    size_t start, size;
    for (size_t k = 0; k < all->groups && !status; k++) {
        if (!bounds(all, k, &start, &size)) status = KERNEL_BAD_SIZE;
        else if ((!table.slots || 2 * table.taken > table.mask) && !grow(&table)) status = KERNEL_NO_MEMORY;
        else numbers[k] = number_of(&table, all, k, start, size, firsts);
    }
    free(table.slots);
    *distinct = table.taken;
    return status;
}

/* Texts one after another. A short one is copied as 16 bytes, where those behind it are overwritten by what follows. */
int take_texts(const groups_of *all, const uint32_t *codes, size_t n, uint8_t *out, size_t room) {
    size_t at = 0, start, size;
    for (size_t i = 0; i < n; i++) {
        if (codes[i] >= all->groups) return KERNEL_BEYOND;
        if (!bounds(all, codes[i], &start, &size) || size > room - at) return KERNEL_BAD_SIZE;
        if (size <= 16 && all->n - start >= 16 && room - at >= 16) memcpy(out + at, all->values + start, 16);
        else if (size) memcpy(out + at, all->values + start, size);
        at += size;
    }
    return at == room ? KERNEL_OK : KERNEL_BAD_SIZE;
}
