/* One row, unfiltered in place over the row above it. No include guard: included once for each kind of pixel.
 *
 * The including file defines
 *   UNFILTER       the name of the function
 *   PIXEL          uint8_t, uint16_t or uint32_t: a pixel, its first byte lowest
 *   BYTES          bytes of a pixel in the file, 1 to 4
 *   CONTEXT        a type for `ctx`
 *   ON_COPY(x, e)     pixels x..e keep what the row above has
 *   ON_FILL(x, e, p)  pixels x..e all became p, the pixel left of x
 *   ON_PIXEL(x, p)    pixel x became p
 *
 * A zero residual means "as predicted". In flat pictures nearly all are, so each filter asks how long a run of zeros is
 * and what it predicts for all of them: Sub repeats the left pixel; Up keeps the row above; Paeth keeps the row above
 * as long as left and upper left are equal (then each next pixel starts out the same way), and repeats the left pixel
 * as long as above and upper left are equal; Average repeats the left pixel while the one above equals it.
 *
 * row[0..width) holds the row above and becomes the row; done: pixels from the left that are already right.
 */

#define SPREAD(byte) ((PIXEL)(0x01010101u * (byte)))

static inline __attribute__((always_inline)) void UNFILTER(CONTEXT *ctx, unsigned filter, const uint8_t *bytes,
                                                           PIXEL *row, size_t width, size_t done) {
    size_t x = done;
    PIXEL left = x ? row[x - 1] : 0, corner = x ? row[x - 1] : 0; /* corner: upper left */
    if (x) ON_COPY(0, x);
    while (x < width) {
        const uint8_t *at = bytes + x * BYTES;
        PIXEL delta = LOAD(at);
        if (delta != 0) {
            PIXEL above = row[x], base;
            switch (filter) {
                case 1: base = left; break;
                case 2: base = above; break;
                case 3: base = (PIXEL)((left & above) + (((left ^ above) & SPREAD(0xFE)) >> 1)); break;
                case 4: base = PAETH(left, above, corner); break;
                default: base = 0;
            }
            PIXEL made = (PIXEL)(((base & SPREAD(0x7F)) + (delta & SPREAD(0x7F))) ^ ((base ^ delta) & SPREAD(0x80)));
            ON_PIXEL(x, made);
            row[x] = made;
            corner = above;
            left = made;
            x++;
            if (filter != 0) continue;
            /* unfiltered: equal neighbours are a run */
            size_t end = x + same_bytes(bytes + x * BYTES, at, (width - x) * BYTES) / BYTES;
            if (end > x) {
                ON_FILL(x, end, left);
                for (; x < end; x++) row[x] = left;
            }
            continue;
        }
        size_t end = x + 1 + zero_bytes(at + BYTES, (width - x - 1) * BYTES) / BYTES;
        if (filter <= 1) {
            if (filter == 0) {
                ON_PIXEL(x, 0);
                left = 0;
                row[x++] = 0;
            }
            ON_FILL(x, end, left);
            for (; x < end; x++) row[x] = left;
            continue;
        }
        if (filter == 2) {
            ON_COPY(x, end);
            x = end;
            continue; /* left and corner are not used by Up */
        }
        while (x < end) {
            PIXEL above = row[x];
            if (filter == 4 && left == corner) {
                ON_COPY(x, end);
                x = end;
                left = corner = row[x - 1];
            } else if (filter == 4 ? above == corner : above == left) {
                size_t stop = x;
                while (stop < end && row[stop] == above) row[stop++] = left;
                ON_FILL(x, stop, left);
                x = stop;
                corner = above;
            } else {
                PIXEL made = filter == 4 ? PAETH(left, above, corner)
                                         : (PIXEL)((left & above) + (((left ^ above) & SPREAD(0xFE)) >> 1));
                ON_PIXEL(x, made);
                row[x++] = made;
                corner = above;
                left = made;
            }
        }
    }
}

#undef SPREAD
