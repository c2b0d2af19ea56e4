/* Labels of a mask video by nearest colour, from the planes as they were decoded. Pictures of one clip hardly differ:
 * a block whose samples are those of the picture before keeps its labels; a triple of samples is matched once a clip. */
#include "video.h"

#include <string.h>

#include "kernels.h"
#include "scan.h"

enum { CELL_EXACT = 0x8000, CELL_LABEL = 0x7FFF, MAX_COLORS = 256, STRIP_BLOCKS = 256 };

static int clip8(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

/* The legend with each channel for itself, so that many colours are compared at once; and where each sample's bits
 * stand in the number of a cell: taken in turn from Y, Cb and Cr, so that the triples of one region, which differ by a
 * few levels each way, lie in few cache lines. */
typedef struct {
    const plane_table *table;
    uint32_t spread[256];
    int32_t red[MAX_COLORS], green[MAX_COLORS], blue[MAX_COLORS];
} matcher;

/* The nearest colour by squared distance, the lower of equals: distance << 8 | position is least. */
CLONES static uint32_t nearest_color(const matcher *legend, int32_t red, int32_t green, int32_t blue) {
    int32_t least = INT32_MAX;
    int32_t n = (int32_t)legend->table->colors;
    for (int32_t k = 0; k < n; k++) {
        int32_t r = red - legend->red[k], g = green - legend->green[k], b = blue - legend->blue[k];
        int32_t rank = (r * r + g * g + b * b) << 8 | k;
        least = rank < least ? rank : least;
    }
    return (uint32_t)least & 255;
}

static int apart(int a, int b) { return a > b ? a - b : b - a; }

/* The label + 1 of a triple, with CELL_EXACT where the colour is a legend's. */
static __attribute__((noinline)) uint16_t match(const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr) {
    const plane_table *table = legend->table;
    int level = table->levels[y];
    int red = clip8(level + table->red_of_cr[cr]);
    int green = clip8(level + (int16_t)((table->green_of_cb[cb] + table->green_of_cr[cr]) >> 16));
    int blue = clip8(level + table->blue_of_cb[cb]);
    uint32_t best = nearest_color(legend, red, green, blue);
    int r = apart(red, legend->red[best]), g = apart(green, legend->green[best]), b = apart(blue, legend->blue[best]);
    int worst = r > g ? r : g;
    if (b > worst) worst = b;
    if (worst > table->limit) return 1;
    return (uint16_t)((table->values[best] + 1) | (worst ? 0 : CELL_EXACT));
}

INLINE uint32_t place_of(const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr) {
    return legend->spread[y] << 2 | legend->spread[cb] << 1 | legend->spread[cr];
}

INLINE uint16_t cell_of(const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr) {
    uint16_t *cell = &legend->table->cells[place_of(legend, y, cb, cr)];
    if (UNLIKELY(!*cell)) *cell = match(legend, y, cb, cr);
    return *cell;
}

typedef struct {
    size_t row, column, tall, wide; /* in luma samples */
} block;

/* Mark each block, `wide` samples of a plane across, in which a row differs. Rows are read from end to end: memory comes
 * several times as fast as when blocks are read one by one. */
static void mark_row(const uint8_t *a, const uint8_t *b, size_t samples, size_t wide, uint8_t *changed) {
    for (size_t at = 0; at < samples; at += wide, changed++) {
        size_t n = samples - at < wide ? samples - at : wide;
        if (!*changed && same_bytes(a + at, b + at, n) < n) *changed = 1;
    }
}

/* The same for a strip of blocks; a chroma sample at its edge belongs to it. */
static void mark_strip(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3],
                       block strip, uint8_t *changed) {
    for (size_t row = strip.row; row < strip.row + strip.tall; row++) {
        size_t offset = row * shape->width + strip.column;
        mark_row(planes[0] + offset, before[0] + offset, strip.wide, BLOCK_WIDTH, changed);
    }
    size_t first = strip.row / shape->down, last = (strip.row + strip.tall - 1) / shape->down;
    size_t column = strip.column >> shape->across_bits;
    size_t samples = ((strip.column + strip.wide - 1) >> shape->across_bits) + 1 - column;
    for (int k = 1; k < 3; k++) {
        for (size_t row = first; row <= last; row++) {
            size_t offset = row * shape->chroma_width + column;
            mark_row(planes[k] + offset, before[k] + offset, samples, BLOCK_WIDTH >> shape->across_bits, changed);
        }
    }
}

/* What the last pixel was. */
typedef struct {
    uint32_t key; /* Y << 16 | Cb << 8 | Cr, or NO_KEY */
    uint16_t cell;
    uint32_t exact, unknown; /* pixels so far */
} pen;

static const uint32_t NO_KEY = UINT32_MAX;

INLINE uint64_t eight(uint32_t byte) { return byte * 0x0101010101010101u; }

INLINE void label_pixel(pen *p, const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr, uint8_t *out) {
    uint32_t key = y << 16 | cb << 8 | cr;
    if (key != p->key) {
        p->key = key;
        p->cell = cell_of(legend, y, cb, cr);
    }
    *out = (uint8_t)((p->cell & CELL_LABEL) - 1);
    p->exact += p->cell >> 15;
    p->unknown += p->cell == 1;
}

/* Eight pixels that are not all like the last: looked up without asking whether each is like the one before, since in
 * what a codec left of a border hardly any is, and a wrong guess costs more than the look. */
INLINE void label_eight(pen *p, const matcher *legend, const uint8_t *luma, const uint8_t *blue, const uint8_t *red,
                        unsigned bits, uint8_t *out) {
    uint16_t cells[8];
    int asked = 1;
    for (unsigned k = 0; k < 8; k++) {
        cells[k] = legend->table->cells[place_of(legend, luma[k], blue[k >> bits], red[k >> bits])];
        asked &= cells[k] != 0;
    }
    if (UNLIKELY(!asked))
        for (unsigned k = 0; k < 8; k++) cells[k] = cell_of(legend, luma[k], blue[k >> bits], red[k >> bits]);
    for (unsigned k = 0; k < 8; k++) {
        out[k] = (uint8_t)((cells[k] & CELL_LABEL) - 1);
        p->exact += cells[k] >> 15;
        p->unknown += cells[k] == 1;
    }
    p->key = (uint32_t)luma[7] << 16 | (uint32_t)blue[7 >> bits] << 8 | red[7 >> bits];
    p->cell = cells[7];
}

/* The chroma of eight pixels: 8 >> bits bytes. */
INLINE uint64_t load_chroma(const uint8_t *from, unsigned bits) {
    uint64_t word = 0;
    memcpy(&word, from, 8u >> bits);
    return word;
}

/* One row of a block; `bits` is known to the compiler. Eight pixels like the last one are one comparison a plane. */
INLINE void label_row(pen *p, const matcher *legend, const uint8_t *luma, const uint8_t *blue, const uint8_t *red,
                      size_t wide, unsigned bits, uint8_t *out) {
    size_t i = 0;
    uint64_t mask = 0;
    memset(&mask, 0xFF, 8u >> bits);
    for (; i + 8 <= wide; i += 8) {
        size_t half = i >> bits;
        if (p->key != NO_KEY) {
            uint64_t last = eight(p->key >> 16), last_blue = eight(p->key >> 8 & 255), last_red = eight(p->key & 255);
            uint64_t differ = load_word(luma + i) ^ last;
            uint64_t chroma = (load_chroma(blue + half, bits) ^ last_blue) | (load_chroma(red + half, bits) ^ last_red);
            if (!(differ | (chroma & mask))) {
                uint64_t labels = eight((uint8_t)((p->cell & CELL_LABEL) - 1));
                memcpy(out + i, &labels, 8);
                p->exact += 8u * (p->cell >> 15);
                p->unknown += 8u * (p->cell == 1);
                continue;
            }
        }
        label_eight(p, legend, luma + i, blue + half, red + half, bits, out + i);
    }
    for (; i < wide; i++) label_pixel(p, legend, luma[i], blue[i >> bits], red[i >> bits], out + i);
}

static void label_block(const plane_shape *shape, const uint8_t *const planes[3], const matcher *legend, block at,
                        uint8_t *labels, uint16_t counts[2]) {
    pen p = {.key = NO_KEY};
    for (size_t row = at.row; row < at.row + at.tall; row++) {
        size_t offset = row * shape->width + at.column;
        size_t chroma = row / shape->down * shape->chroma_width + (at.column >> shape->across_bits);
        const uint8_t *luma = planes[0] + offset, *blue = planes[1] + chroma, *red = planes[2] + chroma;
        if (shape->across_bits == 1) label_row(&p, legend, luma, blue, red, at.wide, 1, labels + offset);
        else if (shape->across_bits == 0) label_row(&p, legend, luma, blue, red, at.wide, 0, labels + offset);
        else label_row(&p, legend, luma, blue, red, at.wide, 2, labels + offset);
    }
    counts[0] = (uint16_t)p.exact;
    counts[1] = (uint16_t)p.unknown;
}

int label_planes(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3],
                 const plane_table *table, uint8_t *labels, uint16_t *counts, size_t *redone) {
    *redone = 0;
    if (!table->colors || table->colors > MAX_COLORS) return KERNEL_BAD_SIZE;
    matcher legend = {.table = table};
    for (uint32_t k = 1; k < 256; k++) legend.spread[k] = legend.spread[k >> 1] << 3 | (k & 1);
    for (size_t k = 0; k < table->colors; k++) {
        legend.red[k] = table->rgb[3 * k];
        legend.green[k] = table->rgb[3 * k + 1];
        legend.blue[k] = table->rgb[3 * k + 2];
    }
    uint8_t changed[STRIP_BLOCKS];
    for (size_t row = 0; row < shape->height; row += BLOCK_HEIGHT) {
        size_t tall = shape->height - row < BLOCK_HEIGHT ? shape->height - row : BLOCK_HEIGHT;
        for (size_t column = 0; column < shape->width; column += STRIP_BLOCKS * BLOCK_WIDTH) {
            block strip = {row, column, tall, shape->width - column};
            if (strip.wide > STRIP_BLOCKS * BLOCK_WIDTH) strip.wide = STRIP_BLOCKS * BLOCK_WIDTH;
            memset(changed, !before, sizeof changed);
            if (before) mark_strip(shape, planes, before, strip, changed);
            for (size_t x = 0, k = 0; x < strip.wide; x += BLOCK_WIDTH, k++, counts += 2) {
                if (!changed[k]) continue;
                block at = {row, column + x, tall, strip.wide - x};
                if (at.wide > BLOCK_WIDTH) at.wide = BLOCK_WIDTH;
                label_block(shape, planes, &legend, at, labels, counts);
                (*redone)++;
            }
        }
    }
    return KERNEL_OK;
}
