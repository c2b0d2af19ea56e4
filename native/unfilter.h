/* One row, unfiltered in place over the row above it. No include guard: included once for each kind of pixel.
 *
 * The including file defines
 *   UNFILTER          the name of the function
 *   PIXEL             uint8_t, uint16_t or uint32_t: a pixel, its first byte lowest
 *   BYTES, LOAD       bytes of a pixel in the file, and how to load one
 *   PAETH             the predictor for a PIXEL
 *   CONTEXT           a type for `ctx`
 *   ON_FILL(x, e, p)  pixels x..e all became p, the pixel left of x
 *   ON_PIXEL(x, p)    pixel x became p
 *   FILL(row, x, e, p)  store p to row[x..e); what lies behind e may be overwritten
 * Pixels that no ON_... names keep what the row above has: for filters 2 to 4 the caller starts from a copy of that.
 *
 * A zero residual means "as predicted". In flat pictures nearly all are, so each filter asks how long a run of zeros is
 * and what it predicts for all of them: Sub repeats the left pixel; Up keeps the row above; Paeth keeps the row above
 * as long as left and upper left are equal (then each next pixel starts out the same way), and repeats the left pixel
 * as long as above and upper left are equal; Average repeats the left pixel while the one above equals it.
 *
 * row[0..width) holds the row above and becomes the row.
 */

#define SPREAD(byte) ((PIXEL)(0x01010101u * (byte)))
#define ADD(a, b) ((PIXEL)((((a) & SPREAD(0x7F)) + ((b) & SPREAD(0x7F))) ^ (((a) ^ (b)) & SPREAD(0x80))))
#define AVERAGE(a, b) ((PIXEL)(((a) & (b)) + ((((a) ^ (b)) & SPREAD(0xFE)) >> 1)))
#define FILL_EXACT(row, x, e, p)                            \
    for (size_t at_ = (x), end_ = (e); at_ < end_; at_++) (row)[at_] = (p)
#define PASTE_(a, b) a##b
#define PASTE(a, b) PASTE_(a, b)

/* None and Sub: the row above does not matter. */
static void PASTE(UNFILTER, _alone)(CONTEXT *ctx, unsigned filter, const uint8_t *bytes, PIXEL *row, size_t width) {
    (void)ctx;
    PIXEL left = 0;
    size_t x = 0;
    while (x < width) {
        const uint8_t *at = bytes + x * BYTES;
        PIXEL delta = LOAD(at);
        size_t rest = (width - x - 1) * BYTES, end;
        if (filter == 0) {
            end = x + 1 + same_bytes(at + BYTES, at, rest) / BYTES;
            left = delta;
        } else {
            left = ADD(left, delta);
            end = x + 1 + zero_bytes(at + BYTES, rest) / BYTES;
        }
        ON_PIXEL(x, left);
        if (end > x + 1) ON_FILL(x + 1, end, left);
        FILL(row, x, end, left);
        x = end;
    }
}

/* None after None, Sub after Sub: where the bytes repeat those of the row above, so do the pixels - for Sub once one
 * pixel has come out like the one above it. In masks borders move by a pixel or two, so hardly anything is touched. */
static void PASTE(UNFILTER, _again)(CONTEXT *ctx, unsigned filter, const uint8_t *bytes, const uint8_t *previous,
                                    PIXEL *row, size_t width) {
    (void)ctx;
    size_t x = 0;
    while (x < width) {
        x += same_bytes(bytes + x * BYTES, previous + x * BYTES, (width - x) * BYTES) / BYTES;
        if (x >= width) break;
        if (filter == 0) {
            row[x] = LOAD(bytes + x * BYTES);
            ON_PIXEL(x, row[x]);
            x++;
            continue;
        }
        PIXEL left = x ? row[x - 1] : 0;
        for (size_t near = x + 8; x < width; x++) {
            PIXEL delta = LOAD(bytes + x * BYTES);
            left = ADD(left, delta);
            if (row[x] == left) break;
            row[x] = left;
            ON_PIXEL(x, left);
            if (UNLIKELY(x >= near)) { /* something new begins: take whole runs */
                size_t end = x + 1 + zero_bytes(bytes + (x + 1) * BYTES, (width - x - 1) * BYTES) / BYTES;
                if (end > x + 1) ON_FILL(x + 1, end, left);
                FILL_EXACT(row, x + 1, end, left);
                x = end - 1;
            }
        }
        x++; /* like the one above */
    }
}

/* Up, Average and Paeth. */
static inline __attribute__((always_inline)) void UNFILTER(CONTEXT *ctx, unsigned filter, const uint8_t *bytes,
                                                           PIXEL *row, size_t width) {
    (void)ctx;
    size_t x = 0;
    PIXEL left = 0, corner = 0; /* corner: upper left */
    while (x < width) {
        const uint8_t *at = bytes + x * BYTES;
        PIXEL delta = LOAD(at), above = row[x];
        if (delta != 0) {
            PIXEL base = filter == 2 ? above : filter == 3 ? AVERAGE(left, above) : PAETH(left, above, corner);
            left = ADD(base, delta);
            ON_PIXEL(x, left);
            row[x++] = left;
            corner = above;
            continue;
        }
        size_t end = x + 1 + zero_bytes(at + BYTES, (width - x - 1) * BYTES) / BYTES;
        if (filter == 2) {
            x = end;
            continue;
        }
        while (x < end) {
            above = row[x];
            if (filter == 4 && left == corner) {
                x = end;
                left = corner = row[x - 1];
            } else if (filter == 4 ? above == corner : above == left) {
                size_t stop = x;
                while (stop < end && row[stop] == above) row[stop++] = left;
                ON_FILL(x, stop, left);
                x = stop;
                corner = above;
            } else {
                left = filter == 3 ? AVERAGE(left, above) : PAETH(left, above, corner);
                ON_PIXEL(x, left);
                row[x++] = left;
                corner = above;
            }
        }
    }
}

static void PASTE(UNFILTER, _row)(CONTEXT *ctx, unsigned filter, const uint8_t *bytes, const uint8_t *previous,
                                  PIXEL *row, size_t width) {
    switch (filter) {
        case 0:
            if (previous) PASTE(UNFILTER, _again)(ctx, 0, bytes, previous, row, width);
            else PASTE(UNFILTER, _alone)(ctx, 0, bytes, row, width);
            break;
        case 1:
            if (previous) PASTE(UNFILTER, _again)(ctx, 1, bytes, previous, row, width);
            else PASTE(UNFILTER, _alone)(ctx, 1, bytes, row, width);
            break;
        case 2: UNFILTER(ctx, 2, bytes, row, width); break;
        case 3: UNFILTER(ctx, 3, bytes, row, width); break;
        default: UNFILTER(ctx, 4, bytes, row, width); break;
    }
}

#undef SPREAD
#undef FILL_EXACT
#undef ADD
#undef AVERAGE
