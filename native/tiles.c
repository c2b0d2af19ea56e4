/* Label maps in tiles: each tile holds the runs of its pixels in C order, or its pixels where runs would take more.
 *
 * A tile's bytes: u16 count of runs, then count values, then count u16 lengths that add up to its area; count 0 means
 * that the pixels themselves follow. The machine's order of bytes: a file says which one it was written in. */
#include "kernels.h"
#include "scan.h"

#include <stdlib.h>
#include <string.h>

#include "third_party/libdeflate/libdeflate.h"

enum { COUNT_SIZE = 2, LENGTH_SIZE = 2, MAX_AREA = 65535 };

typedef struct {
    uint8_t *out;       /* top left of the box */
    size_t stride;      /* bytes from one row of the box to the next */
    size_t left, right; /* columns of the tile that are wanted, the end excluded */
    size_t top, bottom; /* rows */
    size_t width;       /* of the tile */
} tile_part;

/* The runs of a tile behind each other, until `last` pixels are there: each is a few wide stores, the next overwrites what
 * was too much. `to` has room for `area` pixels and STORE bytes. Returns the pixels, or SIZE_MAX where a run is too long. */
enum { STORE = 32 };
#define SPREAD(T)                                                                                               \
    CLONES static size_t spread_##T(uint8_t *to, size_t area, size_t last, const uint8_t *values,               \
                                    const uint8_t *lengths, size_t count) {                                     \
        enum { STEP = STORE / sizeof(T) };                                                                      \
        T *out = (T *)(void *)to;                                                                               \
        size_t at = 0;                                                                                          \
        for (size_t k = 0; k < count && at < last; k++) {                                                       \
            T value;                                                                                            \
            uint16_t length;                                                                                    \
            memcpy(&value, values + k * sizeof(T), sizeof(T));                                                  \
            memcpy(&length, lengths + k * LENGTH_SIZE, LENGTH_SIZE);                                            \
            if (length > area - at) return SIZE_MAX;                                                            \
            size_t end = at + length;                                                                           \
            do {                                                                                                \
                for (size_t n = 0; n < STEP; n++) out[at + n] = value;                                          \
                at += STEP;                                                                                     \
            } while (UNLIKELY(at < end));                                                                       \
            at = end;                                                                                           \
        }                                                                                                       \
        return at;                                                                                              \
    }
SPREAD(uint8_t)
SPREAD(uint16_t)
SPREAD(uint32_t)

INLINE void copy_step(uint8_t *to, const uint8_t *from) {
    uint8_t step[STORE];
    memcpy(step, from, STORE);
    memcpy(to, step, STORE);
}

/* The wanted part of a whole tile's pixels. */
CLONES static void copy_part(const tile_part *part, const uint8_t *pixels, size_t size) {
    size_t bytes = (part->right - part->left) * size, stride = part->width * size;
    const uint8_t *from = pixels + (part->top * part->width + part->left) * size;
    uint8_t *to = part->out;
    for (size_t row = part->top; row < part->bottom; row++, from += stride, to += part->stride) {
        if (bytes < STORE) {
            memcpy(to, from, bytes);
            continue;
        }
        for (size_t i = 0; i + STORE < bytes; i += STORE) copy_step(to + i, from + i);
        copy_step(to + bytes - STORE, from + bytes - STORE);
    }
}

/* `room` is for the pixels of a whole tile and STORE bytes. */
static int put_tile(const tile_part *part, size_t area, const uint8_t *bytes, size_t n, size_t size, uint8_t *room) {
    if (n < COUNT_SIZE) return KERNEL_BAD_SIZE;
    uint16_t count;
    memcpy(&count, bytes, COUNT_SIZE);
    const uint8_t *values = bytes + COUNT_SIZE;
    if (!count) {
        if (n != COUNT_SIZE + area * size) return KERNEL_BAD_SIZE;
        copy_part(part, values, size);
        return KERNEL_OK;
    }
    if (n != COUNT_SIZE + (size_t)count * (size + LENGTH_SIZE)) return KERNEL_BAD_SIZE;
    const uint8_t *lengths = values + (size_t)count * size;
    size_t last = part->bottom * part->width;
    size_t made = size == 1   ? spread_uint8_t(room, area, last, values, lengths, count)
                  : size == 2 ? spread_uint16_t(room, area, last, values, lengths, count)
                              : spread_uint32_t(room, area, last, values, lengths, count);
    if (made == SIZE_MAX || made < last) return KERNEL_BAD_SIZE;
    copy_part(part, room, size);
    return KERNEL_OK;
}

/* What tiles (`tile` pixels high and wide, less at the right and at the bottom, row by row) have of a box of a map.
 *
 * offsets: where each tile begins, and where the last one ends; `bytes` begin at offset `base`. sums: the CRC-32 of each
 * tile; only tiles that the box touches are looked at. box: x, y, w, h in the map; out: h rows of w labels. */
int tiles_unpack(const uint8_t *bytes, size_t n, size_t base, const uint32_t *offsets, const uint32_t *sums,
                 size_t tiles, const size_t map_hw[2], size_t tile, const size_t box[4], size_t size, uint8_t *out) {
    size_t height = map_hw[0], width = map_hw[1];
    if (!tile || tile * tile > MAX_AREA) return KERNEL_BAD_SIZE;
    size_t across = (width + tile - 1) / tile, down = (height + tile - 1) / tile;
    if (tiles / across != down || tiles % across) return KERNEL_BAD_SIZE;
    if (box[2] > width || box[0] > width - box[2] || box[3] > height || box[1] > height - box[3]) return KERNEL_BAD_SIZE;
    uint8_t *room = malloc(tile * tile * size + STORE);
    if (!room) return KERNEL_NO_MEMORY;
    int status = KERNEL_OK;
    size_t right_end = box[0] + box[2], bottom_end = box[1] + box[3];
    for (size_t y = box[1] / tile * tile; y < bottom_end && !status; y += tile) {
        for (size_t x = box[0] / tile * tile; x < right_end && !status; x += tile) {
            size_t k = y / tile * across + x / tile;
            size_t tall = height - y < tile ? height - y : tile, wide = width - x < tile ? width - x : tile;
            if (offsets[k] < base || offsets[k] > offsets[k + 1] || offsets[k + 1] - base > n) {
                status = KERNEL_BAD_SIZE;
                break;
            }
            const uint8_t *stored = bytes + (offsets[k] - base);
            size_t length = offsets[k + 1] - offsets[k];
            size_t top = box[1] > y ? box[1] - y : 0, left = box[0] > x ? box[0] - x : 0;
            tile_part part = {
                .out = out + ((y + top - box[1]) * box[2] + (x + left - box[0])) * size,
                .stride = box[2] * size,
                .left = left,
                .right = right_end - x < wide ? right_end - x : wide,
                .top = top,
                .bottom = bottom_end - y < tall ? bottom_end - y : tall,
                .width = wide,
            };
            status = libdeflate_crc32(0, stored, length) == sums[k]
                         ? put_tile(&part, wide * tall, stored, length, size, room)
                         : KERNEL_BAD_SIZE;
        }
    }
    free(room);
    return status;
}

static void put16(uint8_t *to, size_t value) {
    uint16_t half = (uint16_t)value;
    memcpy(to, &half, 2);
}

/* The pixels of one tile as they are kept; returns the bytes written, at most COUNT_SIZE + area * size. */
static size_t pack_tile(const uint8_t *map, size_t stride, size_t tall, size_t wide, size_t size, uint8_t *to) {
    size_t area = tall * wide, most = area * size / (size + LENGTH_SIZE), count = 0, length = 0;
    uint8_t *values = to + COUNT_SIZE;
    const uint8_t *last = NULL;
    /* Values from the front; lengths from the back of the room, moved up behind the values at the end. */
    uint8_t *lengths = values + most * size;
    for (size_t row = 0; row < tall && count <= most; row++) {
        const uint8_t *pixel = map + row * stride;
        for (size_t column = 0, run; column < wide; column += run, pixel += run * size) {
            run = 1 + same_bytes(pixel, pixel + size, (wide - column - 1) * size) / size;
            if (last && memcmp(last, pixel, size) == 0) {
                length += run;
                continue;
            }
            if (count == most) {
                count++;
                break;
            }
            if (count) put16(lengths + (count - 1) * LENGTH_SIZE, length);
            memcpy(values + count * size, pixel, size);
            count++;
            length = run;
            last = pixel;
        }
    }
    uint16_t stored = 0;
    if (count <= most) {
        put16(lengths + (count - 1) * LENGTH_SIZE, length);
        memmove(values + count * size, lengths, count * LENGTH_SIZE);
        stored = (uint16_t)count;
        memcpy(to, &stored, COUNT_SIZE);
        return COUNT_SIZE + count * (size + LENGTH_SIZE);
    }
    memcpy(to, &stored, COUNT_SIZE);
    for (size_t row = 0; row < tall; row++) memcpy(values + row * wide * size, map + row * stride, wide * size);
    return COUNT_SIZE + area * size;
}

/* A map as tiles: `out` has room for COUNT_SIZE a tile and for every pixel; offsets: tiles + 1; sums: tiles. */
int tiles_pack(const uint8_t *map, const size_t map_hw[2], size_t tile, size_t size, uint8_t *out, size_t room,
               uint32_t *offsets, uint32_t *sums, size_t tiles) {
    size_t height = map_hw[0], width = map_hw[1];
    if (!tile || tile * tile > MAX_AREA) return KERNEL_BAD_SIZE;
    size_t across = (width + tile - 1) / tile, down = (height + tile - 1) / tile;
    if (tiles / across != down || tiles % across) return KERNEL_BAD_SIZE;
    if (room < tiles * COUNT_SIZE + height * width * size || room > UINT32_MAX) return KERNEL_BAD_SIZE;
    size_t used = 0, k = 0;
    for (size_t y = 0; y < height; y += tile) {
        for (size_t x = 0; x < width; x += tile, k++) {
            size_t tall = height - y < tile ? height - y : tile, wide = width - x < tile ? width - x : tile;
            offsets[k] = (uint32_t)used;
            size_t length = pack_tile(map + (y * width + x) * size, width * size, tall, wide, size, out + used);
            sums[k] = libdeflate_crc32(0, out + used, length);
            used += length;
        }
    }
    offsets[k] = (uint32_t)used;
    return KERNEL_OK;
}
