/* Groups of numbers: kernels/reference/groups.py says the same with a sort and a dictionary. Groups are small, so each is
 * sorted where it goes. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { FEW = 32 };

static int bounds(const int64_t *offsets, size_t group, size_t n, size_t *start, size_t *size) {
    int64_t first = offsets[group], stop = offsets[group + 1];
    if (first < 0 || stop < first || (uint64_t)stop > n) return 0;
    *start = (size_t)first;
    *size = (size_t)(stop - first);
    return 1;
}

static int ascending(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* The distinct codes in order; returns how many. */
static size_t as_set(const uint32_t *codes, size_t size, uint32_t *out) {
    size_t count = 0;
    if (size <= FEW) {
        for (size_t i = 0; i < size; i++) {
            uint32_t code = codes[i];
            size_t at = count;
            while (at && out[at - 1] > code) at--;
            if (at && out[at - 1] == code) continue;
            memmove(out + at + 1, out + at, (count++ - at) * sizeof *out);
            out[at] = code;
        }
        return count;
    }
    memcpy(out, codes, size * sizeof *out);
    qsort(out, size, sizeof *out, ascending);
    for (size_t i = 0; i < size; i++)
        if (!i || out[i] != out[count - 1]) out[count++] = out[i];
    return count;
}

int group_sets(const uint32_t *codes, size_t n, const int64_t *offsets, size_t groups, uint32_t *out,
               int64_t *out_offsets) {
    size_t at = 0, start, size;
    out_offsets[0] = 0;
    for (size_t k = 0; k < groups; k++) {
        if (!bounds(offsets, k, n, &start, &size) || size > n - at) return KERNEL_BAD_SIZE;
        at += as_set(codes + start, size, out + at);
        out_offsets[k + 1] = (int64_t)at;
    }
    return KERNEL_OK;
}

/* Numbers of groups in an open-addressed table; a slot is hash << 32 | number + 1, or 0. */
typedef struct {
    uint64_t *slots;
    size_t mask, taken;
} numbering;

static uint32_t hash_codes(const uint32_t *codes, size_t size) {
    uint64_t h = size;
    for (size_t i = 0; i < size; i++) h = (h ^ codes[i]) * 0x9E3779B97F4A7C15u, h ^= h >> 29;
    return (uint32_t)(h ^ h >> 32);
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

int number_groups(const uint32_t *codes, size_t n, const int64_t *offsets, size_t groups, uint32_t *numbers,
                  int64_t *firsts, size_t *distinct) {
    numbering table = {NULL, 0, 0};
    int status = groups < UINT32_MAX ? KERNEL_OK : KERNEL_BAD_SIZE;
    size_t start, size;
    for (size_t k = 0; k < groups && !status; k++) {
        if (!bounds(offsets, k, n, &start, &size)) {
            status = KERNEL_BAD_SIZE;
        } else if ((!table.slots || 2 * table.taken > table.mask) && !grow(&table)) {
            status = KERNEL_NO_MEMORY;
        } else {
            uint32_t hash = hash_codes(codes + start, size);
            for (size_t at = hash & table.mask;; at = (at + 1) & table.mask) {
                uint64_t slot = table.slots[at];
                if (!slot) {
                    firsts[table.taken] = (int64_t)k;
                    table.slots[at] = (uint64_t)hash << 32 | ++table.taken;
                    numbers[k] = (uint32_t)table.taken - 1;
                    break;
                }
                int64_t first = firsts[(uint32_t)slot - 1];
                if (slot >> 32 == hash && (size_t)(offsets[first + 1] - offsets[first]) == size &&
                    !memcmp(codes + offsets[first], codes + start, size * sizeof *codes)) {
                    numbers[k] = (uint32_t)slot - 1;
                    break;
                }
            }
        }
    }
    free(table.slots);
    *distinct = table.taken;
    return status;
}
