/* RGB and RGBA rows to labels. The pixels of one row are kept; labels are copied where pixels are. */
#include "png.h"
#include "png_paeth.h"
#include "scan.h"

#include <stdlib.h>

typedef struct {
    labeler *how;
    uint8_t *labels, *alpha; /* the row being made; alpha may be NULL */
    const uint8_t *above;    /* labels of the row above; before the first row those of black */
    uint8_t *first_above;
    uint32_t *row;
    size_t width, label_size;
    uint32_t black, label; /* label of 0,0,0; label of the pixel on the left */
    unsigned filter;       /* of the row above; 5 before the first row */
    int status;
} label_rows;

/* ---- a colour's label ---- */

static int discover_grow(colormap *map) {
    colormap wide = {.shift = map->shift - 1, .mask = 2 * map->mask + 1};
    wide.slots = calloc((size_t)wide.mask + 1, sizeof *wide.slots);
    if (!wide.slots) return KERNEL_NO_MEMORY;
    for (size_t i = 0; i <= map->mask; i++) {
        uint64_t slot = map->slots[i];
        if (!slot) continue;
        uint32_t at = colormap_hash(&wide, (uint32_t)slot & 0xFFFFFF);
        while (wide.slots[at]) at = (at + 1) & wide.mask;
        wide.slots[at] = slot;
    }
    free(map->slots);
    *map = wide;
    return KERNEL_OK;
}

/* Colours are numbered from 1 in the order they are met. */
static uint32_t discover(label_rows *rows, uint32_t color) {
    labeler *how = rows->how;
    uint32_t known = colormap_find(&how->map, color, 0);
    if (known) return known;
    if (how->found_count == how->limit) {
        rows->status = PNG_UNUSUAL;
        return 0;
    }
    if (how->found_count >= how->map.mask / 2 && discover_grow(&how->map)) {
        rows->status = PNG_NO_MEMORY;
        return 0;
    }
    uint32_t at = colormap_hash(&how->map, color);
    while (how->map.slots[at]) at = (at + 1) & how->map.mask;
    how->found[how->found_count++] = color;
    how->map.slots[at] = (uint64_t)how->found_count << 32 | SLOT_TAKEN | color;
    return how->found_count;
}

static inline uint32_t label_of(label_rows *rows, uint32_t pixel) {
    labeler *how = rows->how;
    uint32_t color = pixel & 0xFFFFFF;
    if (LIKELY(how->mode == LABEL_MAP)) {
        uint32_t label = colormap_find(&how->map, color, how->missing);
        how->met_strangers |= label == how->missing;
        return label;
    }
    if (how->mode == LABEL_DISCOVER) return discover(rows, color);
    size_t cell = (size_t)(color & 0xFF) << 16 | (color & 0xFF00) | color >> 16;
    return rows->label_size == 1 ? ((const uint8_t *)how->table)[cell] : ((const uint16_t *)how->table)[cell];
}

/* ---- rows ---- */

INLINE uint32_t load3(const uint8_t *p) { return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16; }
INLINE uint32_t load4(const uint8_t *p) { return load3(p) | (uint32_t)p[3] << 24; }

/* Short runs are one wide store where the row has room: what is written too far is overwritten by what follows. */
INLINE void fill_labels1(label_rows *rows, size_t x, size_t end) {
    uint64_t word = (rows->label & 255) * 0x0101010101010101u;
    if (end - x <= 16 && x + 16 <= rows->width) {
        memcpy(rows->labels + x, &word, 8);
        memcpy(rows->labels + x + 8, &word, 8);
    } else {
        memset(rows->labels + x, (int)rows->label, end - x);
    }
}

INLINE void fill_labels2(label_rows *rows, size_t x, size_t end) {
    uint16_t *labels = (uint16_t *)(void *)rows->labels, label = (uint16_t)rows->label;
    for (; x < end; x++) labels[x] = label;
}

INLINE void copy_labels(label_rows *rows, size_t x, size_t end, size_t size) {
    uint8_t *to = rows->labels + x * size;
    const uint8_t *from = rows->above + x * size;
    if ((end - x) * size <= 16 && x * size + 16 <= rows->width * size) memcpy(to, from, 16);
    else memcpy(to, from, (end - x) * size);
}

#define CONTEXT label_rows
#define PIXEL uint32_t
#define PAETH paeth_pixel

#define ON_FILL(x, e, p) fill_labels1(ctx, x, e)
#define ON_COPY(x, e) (copy_labels(ctx, x, e, 1), ctx->label = ctx->above[(e) - 1])
#define ON_PIXEL(x, p) (ctx->label = label_of(ctx, p), ctx->labels[x] = (uint8_t)ctx->label)
#define UNFILTER unfilter_rgb_1
#define BYTES 3
#define LOAD load3
#include "unfilter.h"
#undef UNFILTER
#undef BYTES
#undef LOAD
#define UNFILTER unfilter_rgba_1
#define BYTES 4
#define LOAD load4
#include "unfilter.h"
#undef UNFILTER
#undef ON_FILL
#undef ON_COPY
#undef ON_PIXEL

#define ON_FILL(x, e, p) fill_labels2(ctx, x, e)
#define ON_COPY(x, e) (copy_labels(ctx, x, e, 2), ctx->label = ((const uint16_t *)(const void *)ctx->above)[(e) - 1])
#define ON_PIXEL(x, p) (ctx->label = label_of(ctx, p), ((uint16_t *)(void *)ctx->labels)[x] = (uint16_t)ctx->label)
#define UNFILTER unfilter_rgba_2
#include "unfilter.h"
#undef UNFILTER
#undef BYTES
#undef LOAD
#define UNFILTER unfilter_rgb_2
#define BYTES 3
#define LOAD load3
#include "unfilter.h"

#define EACH_FILTER(NAME)                                                                                        \
    static void NAME##_row(label_rows *rows, unsigned filter, const uint8_t *bytes, size_t done) {               \
        switch (filter) {                                                                                        \
            case 0: NAME(rows, 0, bytes, rows->row, rows->width, done); break;                                   \
            case 1: NAME(rows, 1, bytes, rows->row, rows->width, done); break;                                   \
            case 2: NAME(rows, 2, bytes, rows->row, rows->width, done); break;                                   \
            case 3: NAME(rows, 3, bytes, rows->row, rows->width, done); break;                                   \
            default: NAME(rows, 4, bytes, rows->row, rows->width, done); break;                                  \
        }                                                                                                        \
    }
EACH_FILTER(unfilter_rgb_1)
EACH_FILTER(unfilter_rgb_2)
EACH_FILTER(unfilter_rgba_1)
EACH_FILTER(unfilter_rgba_2)

static inline __attribute__((always_inline)) int label_row(label_rows *rows, unsigned filter, const uint8_t *bytes,
                                                           const uint8_t *previous, size_t pixel_bytes) {
    /* Sub and None say the same for the same bytes: where a row begins like the one above, it begins with its pixels. */
    size_t done = 0;
    if (filter <= 1 && filter == rows->filter && previous)
        done = same_bytes(bytes, previous, rows->width * pixel_bytes) / pixel_bytes;
    rows->filter = filter;
    rows->label = rows->black;
    if (pixel_bytes == 3)
        (rows->label_size == 1 ? unfilter_rgb_1_row : unfilter_rgb_2_row)(rows, filter, bytes, done);
    else (rows->label_size == 1 ? unfilter_rgba_1_row : unfilter_rgba_2_row)(rows, filter, bytes, done);
    if (rows->alpha) {
        for (size_t x = 0; x < rows->width; x++) rows->alpha[x] = (uint8_t)(rows->row[x] >> 24);
        rows->alpha += rows->width;
    }
    rows->above = rows->labels;
    rows->labels += rows->width * rows->label_size;
    return rows->status;
}

static int rgb_row(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    (void)y;
    return label_row(context, filter, bytes, previous, 3);
}

static int rgba_row(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    (void)y;
    return label_row(context, filter, bytes, previous, 4);
}

/* While discovering, 0 stands for the black that rows took over from above the picture or from its left. */
static int name_black(label_rows *rows, uint16_t *labels, size_t n) {
    size_t i = 0;
    while (i < n && labels[i]) i++;
    if (i == n) return PNG_OK;
    uint16_t black = (uint16_t)discover(rows, 0);
    for (; i < n; i++) labels[i] = labels[i] ? labels[i] : black;
    return rows->status;
}

int png_labels(const png_file *png, labeler *how, size_t label_size, void *labels, uint8_t *alpha) {
    if (png->interlace || png->bits != 8 || (png->color != PNG_RGB && png->color != PNG_RGB_ALPHA)) return PNG_UNUSUAL;
    size_t width = png->width;
    label_rows rows = {.how = how, .labels = labels, .width = width, .label_size = label_size, .filter = 5};
    rows.alpha = png->color == PNG_RGB_ALPHA ? alpha : NULL;
    rows.row = calloc(width, sizeof *rows.row);
    rows.above = rows.first_above = malloc(width * label_size);
    int status = PNG_NO_MEMORY;
    if (rows.row && rows.first_above) {
        /* Above the first row PNG has black, transparent pixels. Discovery must not meet them before the file has them. */
        rows.black = how->mode == LABEL_DISCOVER ? 0 : label_of(&rows, 0);
        how->met_strangers = 0;
        if (label_size == 1) memset(rows.first_above, (int)rows.black, width);
        else
            for (size_t x = 0; x < width; x++) ((uint16_t *)(void *)rows.first_above)[x] = (uint16_t)rows.black;
        status = png_rows(png, png->color == PNG_RGB ? rgb_row : rgba_row, &rows);
    }
    if (status == PNG_OK && how->mode == LABEL_DISCOVER) status = name_black(&rows, labels, width * png->height);
    if (alpha && png->color == PNG_RGB && status == PNG_OK) memset(alpha, 255, width * png->height);
    free(rows.row);
    free(rows.first_above);
    return status;
}
