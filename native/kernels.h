/* The kernels as C sees them: plain pointers and sizes, no Python. Each returns 0, or one of the codes below. */
#ifndef SMALTI_KERNELS_H
#define SMALTI_KERNELS_H

#include <stddef.h>
#include <stdint.h>

enum { KERNEL_OK = 0, KERNEL_NO_MEMORY = -1, KERNEL_BEYOND = -2, KERNEL_BAD_SIZE = -3 };

/* Colours of a legend in an open-addressed table. A colour is R | G<<8 | B<<16, its order in memory. */
typedef struct {
    uint64_t *slots; /* value << 32 | taken << 31 | colour */
    uint32_t shift, mask;
} colormap;

int colormap_init(colormap *map, const uint32_t *keys, const void *values, size_t n, size_t value_size);
void colormap_free(colormap *map);

#define SLOT_TAKEN 0x80000000u

static inline uint32_t colormap_hash(const colormap *map, uint32_t color) {
    return (color * 0x9E3779B1u) >> map->shift;
}

/* The value of a colour, or `missing`. */
static inline uint32_t colormap_find(const colormap *map, uint32_t color, uint32_t missing) {
    uint32_t at = colormap_hash(map, color);
    for (;; at = (at + 1) & map->mask) {
        uint64_t slot = map->slots[at];
        if ((uint32_t)slot == (color | SLOT_TAKEN)) return (uint32_t)(slot >> 32);
        if (!slot) return missing;
    }
}

int gather_exact(const uint8_t *pixels, size_t n, const uint32_t *keys, const void *values, size_t key_count,
                 size_t value_size, void *out);
int gather_table(const uint8_t *pixels, size_t n, const void *table, size_t value_size, void *out);
int nearest_table(const uint8_t *colors, const void *values, size_t n, size_t value_size, int tolerance, void *table);
int lookup(const void *indices, size_t n, size_t index_size, const void *table, size_t cells, size_t value_size,
           void *out);

/* Whether this processor looks up 64 bytes at once. */
int looks_up_wide(void);

uint32_t largest(const void *labels, size_t n, size_t size);
int count_labels(const void *labels, size_t n, size_t size, int64_t *counts, size_t count);
int count_boxes(const void *labels, size_t height, size_t width, size_t size, int64_t *counts, int32_t *boxes,
                size_t count);
int confusion(const void *truth, const void *predicted, size_t n, size_t size, int64_t *counts, size_t count);

/* Distinct colours with their pixels, in the order they were met. Freed with color_counts_free. */
typedef struct {
    uint32_t *keys; /* R<<16 | G<<8 | B */
    int64_t *counts;
    size_t n;
} color_counts;
int count_colors(const uint8_t *pixels, size_t n, color_counts *found);
void color_counts_free(color_counts *found);

int blend(const uint8_t *image, const void *labels, size_t n, size_t size, const uint8_t *colors,
          const uint16_t *cover, size_t count, uint8_t *out);

size_t runs_count(const void *labels, size_t n, size_t size);
int runs_encode(const void *labels, size_t n, size_t size, void *values, int64_t *lengths, size_t runs);
int runs_decode(const void *values, const int64_t *lengths, size_t runs, size_t size, void *out, size_t n);
int contour(const void *labels, size_t height, size_t width, size_t size, uint8_t *out);

int tiles_pack(const uint8_t *map, const size_t map_hw[2], size_t tile, size_t size, uint8_t *out, size_t room,
               uint32_t *offsets, uint32_t *sums, size_t tiles);
int tiles_unpack(const uint8_t *bytes, size_t n, size_t base, const uint32_t *offsets, const uint32_t *sums,
                 size_t tiles, const size_t map_hw[2], size_t tile, const size_t box[4], size_t size, uint8_t *out);

#endif
