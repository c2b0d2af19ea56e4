/* Labels of video planes by nearest colour; see video.c. */
#ifndef SMALTI_VIDEO_H
#define SMALTI_VIDEO_H

#include <stddef.h>
#include <stdint.h>

enum { SEGMENT = 16 }; /* luma samples of a row that keep their labels where none of them changed */

/* Luma (height, width) and chroma (…, chroma_width); a chroma sample stands for down × across pixels, each 1, 2 or 4. */
typedef struct {
    size_t height, width, chroma_width, down, across, across_bits;
} plane_shape;

/* How triples become labels: the way to RGB, the legend, and what was matched before (0 = not yet). */
typedef struct {
    const int16_t *levels, *red_of_cr, *blue_of_cb; /* 256 each */
    const int32_t *green_of_cb, *green_of_cr;
    const uint8_t *rgb, *values;
    size_t colors; /* at least one */
    int limit;     /* the largest difference in any channel */
    uint16_t *cells; /* 2**24, by the bits of Y, Cb and Cr in turn, the highest of Y first */
} plane_table;

/* Stretches that were labelled anew; exact and void pixels of the whole picture. */
typedef struct {
    uint64_t redone, exact, unknown;
} label_sums;

static inline size_t segments(size_t width) { return (width + SEGMENT - 1) / SEGMENT; }

/* labels and counts (exact, void; two for each stretch in rows of stretches) are those of `before`, and become those of
 * `planes`; before NULL: they are filled. */
int label_planes(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3],
                 const plane_table *table, uint8_t *labels, uint8_t *counts, label_sums *sums);

#endif
