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
    uint32_t black;        /* label of 0,0,0 */
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

/* Runs up to 32 pixels are the same few wide stores whatever their length: nothing to mispredict. */
INLINE void fill_pixels(uint32_t *row, size_t x, size_t end, uint32_t pixel) {
    for (; x < end; x += 32)
        for (size_t k = 0; k < 32; k++) row[x + k] = pixel; /* the row has room for 32 more */
}

INLINE void fill_labels1(uint8_t *labels, size_t x, size_t end, uint32_t label) {
    if (end - x < 8) {
        for (; x < end; x++) labels[x] = (uint8_t)label;
    } else if (end - x <= 16) {
        uint64_t word = (label & 255) * 0x0101010101010101u;
        memcpy(labels + x, &word, 8);
        memcpy(labels + end - 8, &word, 8);
    } else {
        memset(labels + x, (int)label, end - x);
    }
}

INLINE void fill_labels2(uint16_t *labels, size_t x, size_t end, uint32_t label) {
    for (; x < end; x++) labels[x] = (uint16_t)label;
}

#define CONTEXT label_rows
#define PIXEL uint32_t
#define PAETH paeth_pixel
#define FILL(row, x, e, p) fill_pixels(row, x, e, p)

#define LABELS1 (ctx->labels)
#define ON_FILL(x, e, p) fill_labels1(LABELS1, x, e, (x) ? LABELS1[(x) - 1] : ctx->black)
#define ON_PIXEL(x, p) (LABELS1[x] = (uint8_t)label_of(ctx, p))
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
#undef ON_PIXEL

#define LABELS2 ((uint16_t *)(void *)ctx->labels)
#define ON_FILL(x, e, p) fill_labels2(LABELS2, x, e, (x) ? LABELS2[(x) - 1] : ctx->black)
#define ON_PIXEL(x, p) (LABELS2[x] = (uint16_t)label_of(ctx, p))
#define UNFILTER unfilter_rgba_2
#include "unfilter.h"
#undef UNFILTER
#undef BYTES
#undef LOAD
#define UNFILTER unfilter_rgb_2
#define BYTES 3
#define LOAD load3
#include "unfilter.h"

static int label_row(label_rows *rows, unsigned filter, const uint8_t *bytes, const uint8_t *previous, int alpha) {
    size_t row_bytes = rows->width * rows->label_size;
    if (filter > 1 || filter != rows->filter) previous = NULL;
    if (filter > 1 || previous) memcpy(rows->labels, rows->above, row_bytes);
    rows->filter = filter;
    if (!alpha)
        (rows->label_size == 1 ? unfilter_rgb_1_row : unfilter_rgb_2_row)(rows, filter, bytes, previous, rows->row, rows->width);
    else
        (rows->label_size == 1 ? unfilter_rgba_1_row : unfilter_rgba_2_row)(rows, filter, bytes, previous, rows->row,
                                                                           rows->width);
    if (rows->alpha) {
        for (size_t x = 0; x < rows->width; x++) rows->alpha[x] = (uint8_t)(rows->row[x] >> 24);
        rows->alpha += rows->width;
    }
    rows->above = rows->labels;
    rows->labels += row_bytes;
    return rows->status;
}

static int rgb_row(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    (void)y;
    return label_row(context, filter, bytes, previous, 0);
}

static int rgba_row(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    (void)y;
    return label_row(context, filter, bytes, previous, 1);
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
    rows.row = calloc(width + 32, sizeof *rows.row);
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
