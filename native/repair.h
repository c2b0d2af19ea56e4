/* Labels for a colour mask that a lossy codec has been through. Plain C11: no Python objects, no globals, reentrant.
 *
 * The readable twin, and the explanation of every step, is src/smalti/kernels/reference/repair.py; both give the same
 * bits. All arithmetic is integer.
 */
#ifndef SMALTI_REPAIR_H
#define SMALTI_REPAIR_H

#include <stddef.h>
#include <stdint.h>

enum { SMALTI_REPAIR_PARAMETERS = 20, SMALTI_REPAIR_COUNTS = 4 };

/* height, width: of the picture in pixels.
 * cell:       1 (4:4:4, one pixel a chroma sample) or 2 (4:2:0, two by two pixels a chroma sample).
 * y:          luma, C order, padded to whole cells where height or width is odd (the caller repeats the edge).
 * cb, cr:     (height + cell - 1) / cell by (width + cell - 1) / cell chroma samples, C order.
 * colors:     n by 3 legend colours in the planes' own space (Y, Cb, Cr), 1 <= n <= 254.
 * parameters: SMALTI_REPAIR_PARAMETERS numbers, in the order of `RepairParameters` in the reference.
 * positions:  out, height by width: 1 + the position of the legend colour, 0 where nothing explains the pixel.
 * counts:     out, pixels: settled as exact (within one level), as near, repaired, void. They sum to height * width.
 *
 * Returns KERNEL_OK, KERNEL_NO_MEMORY, or KERNEL_BAD_SIZE when an argument is outside its range. Needs about 2 bytes a pixel.
 */
int smalti_repair(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, ptrdiff_t height, ptrdiff_t width, int cell,
                  const uint8_t *colors, int n, const int32_t *parameters, uint8_t *positions,
                  int64_t counts[SMALTI_REPAIR_COUNTS]);

#endif
