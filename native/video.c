/* Labels of a mask video by nearest colour, from the planes as they were decoded. Pictures of one clip hardly differ:
 * a block whose samples are those of the picture before keeps its labels; a triple of samples is matched once a clip. */
#include "video.h"

#include <string.h>

#include "kernels.h"
#include "scan.h"

enum { CELL_EXACT = 0x8000, CELL_LABEL = 0x7FFF };

static int clip8(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

/* The label + 1 of a triple, with CELL_EXACT where the colour is a legend's: squared distance, the lower of equals. */
static uint16_t match(const plane_table *table, uint32_t y, uint32_t cb, uint32_t cr) {
    int level = table->levels[y];
    int red = clip8(level + table->red_of_cr[cr]);
    int green = clip8(level + (int16_t)((table->green_of_cb[cb] + table->green_of_cr[cr]) >> 16));
    int blue = clip8(level + table->blue_of_cb[cb]);
    int least = 1 << 30;
    size_t best = 0;
    for (size_t k = 0; k < table->colors; k++) {
        const uint8_t *color = table->rgb + 3 * k;
        int r = red - color[0], g = green - color[1], b = blue - color[2], square = r * r + g * g + b * b;
        if (square < least) {
            least = square;
            best = k;
        }
    }
    const uint8_t *color = table->rgb + 3 * best;
    int r = red > color[0] ? red - color[0] : color[0] - red, g = green > color[1] ? green - color[1] : color[1] - green;
    int b = blue > color[2] ? blue - color[2] : color[2] - blue;
    int worst = r > g ? r : g;
    if (b > worst) worst = b;
    if (worst > table->limit) return 1;
    return (uint16_t)((table->values[best] + 1) | (worst ? 0 : CELL_EXACT));
}

INLINE uint16_t cell_of(const plane_table *table, uint32_t y, uint32_t cb, uint32_t cr) {
    uint16_t *cell = &table->cells[(size_t)y << 16 | cb << 8 | cr];
    if (UNLIKELY(!*cell)) *cell = match(table, y, cb, cr);
    return *cell;
}

static int same_rows(const uint8_t *a, const uint8_t *b, size_t stride, size_t rows, size_t wide) {
    for (size_t row = 0; row < rows; row++)
        if (memcmp(a + row * stride, b + row * stride, wide)) return 0;
    return 1;
}

typedef struct {
    size_t row, column, tall, wide; /* in luma samples */
} block;

static int is_same(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3], block at) {
    if (!same_rows(planes[0] + at.row * shape->width + at.column, before[0] + at.row * shape->width + at.column,
                   shape->width, at.tall, at.wide))
        return 0;
    size_t row = at.row / shape->down, column = at.column / shape->across;
    size_t rows = (at.row + at.tall - 1) / shape->down + 1 - row;
    size_t wide = (at.column + at.wide - 1) / shape->across + 1 - column;
    size_t offset = row * shape->chroma_width + column;
    for (int k = 1; k < 3; k++)
        if (!same_rows(planes[k] + offset, before[k] + offset, shape->chroma_width, rows, wide)) return 0;
    return 1;
}

static void label_block(const plane_shape *shape, const uint8_t *const planes[3], const plane_table *table, block at,
                        uint8_t *labels, uint16_t counts[2]) {
    uint32_t exact = 0, void_pixels = 0, last = UINT32_MAX;
    uint16_t cell = 0;
    for (size_t row = at.row; row < at.row + at.tall; row++) {
        const uint8_t *luma = planes[0] + row * shape->width;
        size_t chroma = row / shape->down * shape->chroma_width;
        const uint8_t *blue = planes[1] + chroma, *red = planes[2] + chroma;
        uint8_t *out = labels + row * shape->width;
        for (size_t column = at.column; column < at.column + at.wide; column++) {
            size_t half = column >> shape->across_bits;
            uint32_t key = (uint32_t)luma[column] << 16 | (uint32_t)blue[half] << 8 | red[half];
            if (key != last) {
                last = key;
                cell = cell_of(table, luma[column], blue[half], red[half]);
            }
            out[column] = (uint8_t)((cell & CELL_LABEL) - 1);
            exact += cell >> 15;
            void_pixels += cell == 1;
        }
    }
    counts[0] = (uint16_t)exact;
    counts[1] = (uint16_t)void_pixels;
}

int label_planes(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3],
                 const plane_table *table, uint8_t *labels, uint16_t *counts, size_t *redone) {
    *redone = 0;
    for (size_t row = 0; row < shape->height; row += BLOCK_HEIGHT) {
        for (size_t column = 0; column < shape->width; column += BLOCK_WIDTH, counts += 2) {
            block at = {row, column, shape->height - row, shape->width - column};
            if (at.tall > BLOCK_HEIGHT) at.tall = BLOCK_HEIGHT;
            if (at.wide > BLOCK_WIDTH) at.wide = BLOCK_WIDTH;
            if (before && is_same(shape, planes, before, at)) continue;
            label_block(shape, planes, table, at, labels, counts);
            (*redone)++;
        }
    }
    return KERNEL_OK;
}
