/* Label maps to numbers: pixels, boxes, agreement, distinct colours. */
#include "kernels.h"
#include "scan.h"

#include <stdlib.h>

#define LARGEST(NAME, T)                                   \
    CLONES static uint32_t NAME(const T *p, size_t n) {    \
        T top = 0;                                         \
        for (size_t i = 0; i < n; i++) top = p[i] > top ? p[i] : top; \
        return top;                                        \
    }
LARGEST(largest8, uint8_t)
LARGEST(largest16, uint16_t)
LARGEST(largest32, uint32_t)

uint32_t largest(const void *labels, size_t n, size_t size) {
    return size == 1 ? largest8(labels, n) : size == 2 ? largest16(labels, n) : largest32(labels, n);
}

static uint32_t element(const void *base, size_t i, size_t size) {
    return size == 1 ? ((const uint8_t *)base)[i] : size == 2 ? ((const uint16_t *)base)[i] : ((const uint32_t *)base)[i];
}

static int beyond(const void *labels, size_t n, size_t size, size_t count) {
    return n && (size > 2 || count < (size_t)1 << (8 * size)) && largest(labels, n, size) >= count;
}

/* Four rows of counters, so that neighbours with one label do not wait for each other's store. */
static void count8(const uint8_t *p, size_t n, int64_t *counts, size_t count) {
    uint64_t rows[4][256] = {{0}};
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        if (FLAT32(uint8_t, p + i)) {
            rows[0][p[i]] += 32;
        } else {
            for (size_t k = 0; k < 32; k += 4) {
                rows[0][p[i + k]]++;
                rows[1][p[i + k + 1]]++;
                rows[2][p[i + k + 2]]++;
                rows[3][p[i + k + 3]]++;
            }
        }
    }
    for (; i < n; i++) rows[0][p[i]]++;
    for (size_t v = 0; v < count && v < 256; v++) counts[v] = (int64_t)(rows[0][v] + rows[1][v] + rows[2][v] + rows[3][v]);
}

#define COUNT(NAME, T)                                                      \
    static void NAME(const T *p, size_t n, int64_t *counts) {               \
        enum { BLOCK = 32 / sizeof(T) };                                    \
        size_t i = 0;                                                       \
        for (; i + BLOCK <= n; i += BLOCK) {                                \
            if (FLAT32(T, p + i)) counts[p[i]] += BLOCK;                    \
            else                                                            \
                for (size_t k = 0; k < BLOCK; k++) counts[p[i + k]]++;      \
        }                                                                   \
        for (; i < n; i++) counts[p[i]]++;                                  \
    }
COUNT(count16, uint16_t)
COUNT(count32, uint32_t)

int count_labels(const void *labels, size_t n, size_t size, int64_t *counts, size_t count) {
    if (beyond(labels, n, size, count)) return KERNEL_BEYOND;
    memset(counts, 0, count * sizeof *counts);
    if (size == 1) count8(labels, n, counts, count);
    else if (size == 2) count16(labels, n, counts);
    else count32(labels, n, counts);
    return KERNEL_OK;
}

/* While counting, a box is left, top, right, bottom (inclusive); `finish` turns it into x, y, w, h. */
static void finish_boxes(const int64_t *counts, int32_t *boxes, size_t count) {
    for (size_t v = 0; v < count; v++) {
        int32_t *box = boxes + 4 * v;
        if (counts[v]) {
            box[2] += 1 - box[0];
            box[3] += 1 - box[1];
        }
    }
}

int count_boxes(const void *labels, size_t height, size_t width, size_t size, int64_t *counts, int32_t *boxes,
                size_t count) {
    if (beyond(labels, height * width, size, count)) return KERNEL_BEYOND;
    memset(counts, 0, count * sizeof *counts);
    memset(boxes, 0, count * 4 * sizeof *boxes);
    for (size_t y = 0; y < height; y++) {
        const uint8_t *row = (const uint8_t *)labels + y * width * size;
        for (size_t x = 0, end; x < width; x = end) {
            end = run_end(row, x, width, size);
            uint32_t v = element(row, x, size);
            int32_t *box = boxes + 4 * (size_t)v;
            if (!counts[v]) {
                box[0] = (int32_t)x;
                box[1] = (int32_t)y;
            }
            counts[v] += (int64_t)(end - x);
            if ((int32_t)x < box[0]) box[0] = (int32_t)x;
            if ((int32_t)end - 1 > box[2]) box[2] = (int32_t)end - 1;
            box[3] = (int32_t)y;
        }
    }
    finish_boxes(counts, boxes, count);
    return KERNEL_OK;
}

/* 32 bytes of one pair at a time; elsewhere each pixel, without a branch to mispredict. */
#define CONFUSION(NAME, T)                                                                                     \
    static void NAME(const T *truth, const T *predicted, size_t n, int64_t *counts, size_t count) {            \
        enum { BLOCK = 32 / sizeof(T) };                                                                       \
        size_t i = 0;                                                                                          \
        for (; i + BLOCK <= n; i += BLOCK) {                                                                   \
            if (FLAT32(T, truth + i) && FLAT32(T, predicted + i))                                              \
                counts[truth[i] * count + predicted[i]] += BLOCK;                                              \
            else                                                                                               \
                for (size_t k = i; k < i + BLOCK; k++) counts[truth[k] * count + predicted[k]]++;              \
        }                                                                                                      \
        for (; i < n; i++) counts[truth[i] * count + predicted[i]]++;                                          \
    }
CONFUSION(confusion8, uint8_t)
CONFUSION(confusion16, uint16_t)
CONFUSION(confusion32, uint32_t)

int confusion(const void *truth, const void *predicted, size_t n, size_t size, int64_t *counts, size_t count) {
    if (beyond(truth, n, size, count) || beyond(predicted, n, size, count)) return KERNEL_BEYOND;
    memset(counts, 0, count * count * sizeof *counts);
    if (size == 1) confusion8(truth, predicted, n, counts, count);
    else if (size == 2) confusion16(truth, predicted, n, counts, count);
    else confusion32(truth, predicted, n, counts, count);
    return KERNEL_OK;
}

/* ---- distinct colours ---- */

typedef struct {
    uint32_t *slots; /* position + 1 in keys, 0 = free */
    uint32_t bits;
    size_t room;
} color_index;

static size_t color_slot(const color_index *index, const color_counts *found, uint32_t key) {
    size_t mask = ((size_t)1 << index->bits) - 1, at = (key * 0x9E3779B1u) >> (32 - index->bits);
    while (index->slots[at] && found->keys[index->slots[at] - 1] != key) at = (at + 1) & mask;
    return at;
}

/* Twice the room; the slots stay at most half full. */
static int color_grow(color_index *index, color_counts *found) {
    size_t room = index->room ? 2 * index->room : 512;
    uint32_t *keys = realloc(found->keys, room * sizeof *keys);
    if (keys) found->keys = keys;
    int64_t *counts = realloc(found->counts, room * sizeof *counts);
    if (counts) found->counts = counts;
    uint32_t bits = index->bits ? index->bits + 1 : 10;
    uint32_t *slots = calloc((size_t)1 << bits, sizeof *slots);
    if (!keys || !counts || !slots) {
        free(slots);
        return KERNEL_NO_MEMORY;
    }
    free(index->slots);
    *index = (color_index){slots, bits, room};
    for (size_t i = 0; i < found->n; i++) index->slots[color_slot(index, found, found->keys[i])] = (uint32_t)i + 1;
    return KERNEL_OK;
}

int count_colors(const uint8_t *pixels, size_t n, color_counts *found) {
    color_index index = {0};
    *found = (color_counts){0};
    int status = color_grow(&index, found);
    for (size_t i = 0, j; status == KERNEL_OK && i < n; i = j) {
        const uint8_t *p = pixels + 3 * i;
        j = run_end(pixels, i, n, 3);
        uint32_t key = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        size_t at = color_slot(&index, found, key);
        if (!index.slots[at]) {
            if (found->n == index.room) {
                status = color_grow(&index, found);
                if (status) break;
                at = color_slot(&index, found, key);
            }
            found->keys[found->n] = key;
            found->counts[found->n] = 0;
            index.slots[at] = (uint32_t)++found->n;
        }
        found->counts[index.slots[at] - 1] += (int64_t)(j - i);
    }
    free(index.slots);
    if (status) color_counts_free(found);
    return status;
}

void color_counts_free(color_counts *found) {
    free(found->keys);
    free(found->counts);
    *found = (color_counts){0};
}
