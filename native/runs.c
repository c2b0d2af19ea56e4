/* Runs of equal labels, and where one label ends and the next begins. Labels are only compared: size says it all. */
#include "kernels.h"
#include "scan.h"

size_t runs_count(const void *labels, size_t n, size_t size) {
    size_t runs = 0;
    for (size_t i = 0; i < n; runs++) i = run_end(labels, i, n, size);
    return runs;
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
