/* Colours and indices to labels. A mask is flat: each run of equal pixels asks its table once. */
#include "kernels.h"
#include "scan.h"

#include <stdlib.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(SMALTI_PLAIN)
#define WIDE_PERMUTE
#include <immintrin.h>
#endif

int colormap_init(colormap *map, const uint32_t *keys, const void *values, size_t n, size_t value_size) {
    uint32_t bits = 6;
    while (bits < 26 && ((size_t)1 << bits) < 4 * n) bits++;
    map->shift = 32 - bits;
    map->mask = (1u << bits) - 1;
    map->slots = calloc((size_t)1 << bits, sizeof *map->slots);
    if (!map->slots) return KERNEL_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        uint32_t key = keys[i] & 0xFFFFFF, color = (key >> 16) | (key & 0xFF00) | (key & 0xFF) << 16;
        uint64_t value = value_size == 1 ? ((const uint8_t *)values)[i] : ((const uint16_t *)values)[i];
        uint32_t at = colormap_hash(map, color);
        while (map->slots[at]) at = (at + 1) & map->mask;
        map->slots[at] = value << 32 | SLOT_TAKEN | color;
    }
    return KERNEL_OK;
}

void colormap_free(colormap *map) {
    free(map->slots);
    map->slots = NULL;
}

/* Fill with a run; short runs are one wide store when there is room behind them (the next run overwrites it). */
INLINE void fill8(uint8_t *out, size_t i, size_t j, size_t n, uint32_t value) {
    if (j - i <= 16 && i + 16 <= n) {
        uint64_t word = value * 0x0101010101010101u;
        memcpy(out + i, &word, 8);
        memcpy(out + i + 8, &word, 8);
    } else {
        memset(out + i, (int)value, j - i);
    }
}

INLINE void fill16(uint16_t *out, size_t i, size_t j, size_t n, uint32_t value) {
    (void)n;
    for (size_t k = i; k < j; k++) out[k] = (uint16_t)value;
}

#define PIXEL(p) ((uint32_t)(p)[0] | (uint32_t)(p)[1] << 8 | (uint32_t)(p)[2] << 16)

#define GATHER(NAME, T, FILL, MAP, FIND)                                     \
    static void NAME(const uint8_t *pixels, size_t n, MAP map, T *out) {     \
        for (size_t i = 0, j; i < n; i = j) {                                \
            const uint8_t *p = pixels + 3 * i;                               \
            j = run_end(pixels, i, n, 3);                                    \
            FILL(out, i, j, n, FIND);                                        \
        }                                                                    \
    }

GATHER(exact8, uint8_t, fill8, const colormap *, colormap_find(map, PIXEL(p), 0))
GATHER(exact16, uint16_t, fill16, const colormap *, colormap_find(map, PIXEL(p), 0))
#define CELL(p) ((size_t)(p)[0] << 16 | (size_t)(p)[1] << 8 | (p)[2])
GATHER(table8, uint8_t, fill8, const uint8_t *, map[CELL(p)])
GATHER(table16, uint16_t, fill16, const uint16_t *, map[CELL(p)])

int gather_exact(const uint8_t *pixels, size_t n, const uint32_t *keys, const void *values, size_t key_count,
                 size_t value_size, void *out) {
    colormap map;
    if (colormap_init(&map, keys, values, key_count, value_size)) return KERNEL_NO_MEMORY;
    if (value_size == 1) exact8(pixels, n, &map, out);
    else exact16(pixels, n, &map, out);
    colormap_free(&map);
    return KERNEL_OK;
}

int gather_table(const uint8_t *pixels, size_t n, const void *table, size_t value_size, void *out) {
    if (value_size == 1) table8(pixels, n, table, out);
    else table16(pixels, n, table, out);
    return KERNEL_OK;
}

/* Blocks of 32 bytes that repeat one index are filled; the others look up each element. */
#define LOOKUP(NAME, I, T)                                                           \
    CLONES static void NAME(const I *indices, size_t n, const T *table, T *out) {    \
        enum { BLOCK = 32 / sizeof(I) };                                             \
        size_t i = 0;                                                                \
        for (; i + BLOCK <= n; i += BLOCK) {                                         \
            if (FLAT32(I, indices + i)) {                                            \
                const T value = table[indices[i]];                                   \
                for (size_t k = 0; k < BLOCK; k++) out[i + k] = value;               \
            } else {                                                                 \
                for (size_t k = 0; k < BLOCK; k++) out[i + k] = table[indices[i + k]]; \
            }                                                                        \
        }                                                                            \
        for (; i < n; i++) out[i] = table[indices[i]];                               \
    }

#define LOOKUPS(I)                        \
    LOOKUP(lookup_##I##_1, I, uint8_t)    \
    LOOKUP(lookup_##I##_2, I, uint16_t)   \
    LOOKUP(lookup_##I##_4, I, uint32_t)   \
    LOOKUP(lookup_##I##_8, I, uint64_t)

LOOKUPS(uint8_t)
LOOKUPS(uint16_t)
LOOKUPS(uint32_t)

/* Processors that permute bytes among 128 look up 64 bytes at once, borders or not. */
#ifdef WIDE_PERMUTE
static __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi"))) size_t permute(const uint8_t *indices, size_t n,
                                                                                      const uint8_t *table, uint8_t *out) {
    const __m512i a = _mm512_loadu_si512(table), b = _mm512_loadu_si512(table + 64);
    const __m512i c = _mm512_loadu_si512(table + 128), d = _mm512_loadu_si512(table + 192);
    size_t i = 0;
    for (; i + 64 <= n; i += 64) {
        const __m512i index = _mm512_loadu_si512(indices + i);
        const __m512i low = _mm512_permutex2var_epi8(a, index, b), high = _mm512_permutex2var_epi8(c, index, d);
        _mm512_storeu_si512(out + i, _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), low, high));
    }
    return i;
}

int looks_up_wide(void) {
    return __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#else
int looks_up_wide(void) { return 0; }
#endif

/* Bytes through a table of bytes. */
static void lookup_bytes(const uint8_t *indices, size_t n, const uint8_t *table, size_t cells, uint8_t *out) {
    size_t done = 0;
#ifdef WIDE_PERMUTE
    uint8_t whole[256] = {0};
    if (n >= 256 && looks_up_wide()) {
        if (cells < 256) table = memcpy(whole, table, cells);
        done = permute(indices, n, table, out);
    }
#else
    (void)cells;
#endif
    lookup_uint8_t_1(indices + done, n - done, table, out + done);
}

#define DISPATCH(I)                                                       \
    switch (value_size) {                                                 \
        case 1: lookup_##I##_1(indices, n, table, out); return KERNEL_OK; \
        case 2: lookup_##I##_2(indices, n, table, out); return KERNEL_OK; \
        case 4: lookup_##I##_4(indices, n, table, out); return KERNEL_OK; \
        case 8: lookup_##I##_8(indices, n, table, out); return KERNEL_OK; \
        default: return KERNEL_BAD_SIZE;                                  \
    }

int lookup(const void *indices, size_t n, size_t index_size, const void *table, size_t cells, size_t value_size,
           void *out) {
    if (n == 0) return KERNEL_OK;
    if ((index_size > 2 || cells < (size_t)1 << (8 * index_size)) && largest(indices, n, index_size) >= cells)
        return KERNEL_BEYOND;
    if (index_size == 1 && value_size == 1) {
        lookup_bytes(indices, n, table, cells, out);
        return KERNEL_OK;
    }
    switch (index_size) {
        case 1: DISPATCH(uint8_t)
        case 2: DISPATCH(uint16_t)
        case 4: DISPATCH(uint32_t)
        default: return KERNEL_BAD_SIZE;
    }
}
