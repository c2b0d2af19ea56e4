/* Runs of equal labels, and where one label ends and the next begins. Labels are only compared: size says it all. */
#include "kernels.h"
#include "scan.h"

#define CHANGES(NAME, T)                                              \
    CLONES static size_t NAME(const T *p, size_t n) {                 \
        size_t changes = 0;                                           \
        for (size_t i = 0; i + 1 < n;) {                              \
            uint32_t few = 0; /* narrow sums stay in wide vectors */  \
            size_t end = n - 1 - i < 4096 ? n - 1 : i + 4096;         \
            for (; i < end; i++) few += p[i] != p[i + 1];             \
            changes += few;                                           \
        }                                                             \
        return changes;                                               \
    }
CHANGES(changes1, uint8_t)
CHANGES(changes2, uint16_t)
CHANGES(changes4, uint32_t)
CHANGES(changes8, uint64_t)

size_t runs_count(const void *labels, size_t n, size_t size) {
    if (n == 0) return 0;
    return 1 + (size == 1   ? changes1(labels, n)
                : size == 2 ? changes2(labels, n)
                : size == 4 ? changes4(labels, n)
                            : changes8(labels, n));
}

int runs_encode(const void *labels, size_t n, size_t size, void *values, int64_t *lengths, size_t runs) {
    size_t k = 0;
    for (size_t i = 0, j; i < n; i = j, k++) {
        if (k == runs) return KERNEL_BAD_SIZE;
        j = run_end(labels, i, n, size);
        memcpy((uint8_t *)values + k * size, (const uint8_t *)labels + i * size, size);
        lengths[k] = (int64_t)(j - i);
    }
    return k == runs ? KERNEL_OK : KERNEL_BAD_SIZE;
}

#define DECODE(NAME, T)                                                                            \
    static int NAME(const T *values, const int64_t *lengths, size_t runs, T *out, size_t n) {      \
        size_t i = 0;                                                                              \
        for (size_t k = 0; k < runs; k++) {                                                        \
            if (lengths[k] < 0 || (uint64_t)lengths[k] > n - i) return KERNEL_BAD_SIZE;            \
            for (size_t end = i + (size_t)lengths[k]; i < end; i++) out[i] = values[k];            \
        }                                                                                          \
        return i == n ? KERNEL_OK : KERNEL_BAD_SIZE;                                               \
    }
DECODE(decode1, uint8_t)
DECODE(decode2, uint16_t)
DECODE(decode4, uint32_t)
DECODE(decode8, uint64_t)

int runs_decode(const void *values, const int64_t *lengths, size_t runs, size_t size, void *out, size_t n) {
    switch (size) {
        case 1: return decode1(values, lengths, runs, out, n);
        case 2: return decode2(values, lengths, runs, out, n);
        case 4: return decode4(values, lengths, runs, out, n);
        case 8: return decode8(values, lengths, runs, out, n);
        default: return KERNEL_BAD_SIZE;
    }
}

#define CONTOUR(NAME, T)                                                                                \
    CLONES static void NAME(const T *labels, size_t height, size_t width, uint8_t *out) {               \
        for (size_t y = 0; y < height; y++) {                                                           \
            const T *row = labels + y * width, *below = y + 1 < height ? row + width : row;             \
            uint8_t *edge = out + y * width;                                                            \
            for (size_t x = 0; x + 1 < width; x++) edge[x] = (row[x] != row[x + 1]) | (row[x] != below[x]); \
            if (width) edge[width - 1] = row[width - 1] != below[width - 1];                            \
        }                                                                                               \
    }
CONTOUR(contour1, uint8_t)
CONTOUR(contour2, uint16_t)
CONTOUR(contour4, uint32_t)
CONTOUR(contour8, uint64_t)

int contour(const void *labels, size_t height, size_t width, size_t size, uint8_t *out) {
    switch (size) {
        case 1: contour1(labels, height, width, out); return KERNEL_OK;
        case 2: contour2(labels, height, width, out); return KERNEL_OK;
        case 4: contour4(labels, height, width, out); return KERNEL_OK;
        case 8: contour8(labels, height, width, out); return KERNEL_OK;
        default: return KERNEL_BAD_SIZE;
    }
}
