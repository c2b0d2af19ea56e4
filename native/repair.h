/* Labels for a colour mask that a lossy codec has been through. Plain C11: no Python objects, no globals, reentrant.
 *
 * The readable twin, and the explanation of every step, is src/smalti/kernels/reference/repair.py; both give the same
 * bits. All arithmetic is integer.
 */
#ifndef SMALTI_REPAIR_H
#define SMALTI_REPAIR_H

#include <stddef.h>
#include <stdint.h>

enum { SMALTI_REPAIR_PARAMETERS = 16, SMALTI_REPAIR_COUNTS = 4 };

/* y:          rows * cell_h by cols * cell_w luma samples, C order (the caller pads odd pictures by repeating the edge).
 * cb, cr:     rows by cols chroma samples, C order.
 * cell:       1 (4:4:4, one pixel a chroma sample) or 2 (4:2:0, two by two pixels a chroma sample).
 * colors:     n by 3 legend colours in the planes' own space (Y, Cb, Cr), 1 <= n <= 255.
 * parameters: SMALTI_REPAIR_PARAMETERS numbers; their order is `Parameters` in the reference.
 * positions:  out, the shape of y: 1 + the position of the legend colour, 0 where nothing explains the pixel.
 * counts:     out, pixels: confident and exact, confident and near, repaired, void.
 *
 * Returns 0; -1 when memory runs out; -2 when an argument is outside its range.
 */
int smalti_repair(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, ptrdiff_t rows, ptrdiff_t cols, int cell,
                  const uint8_t *colors, int n, const int32_t *parameters, uint8_t *positions,
                  int64_t counts[SMALTI_REPAIR_COUNTS]);

#endif
