/* Rings to positions where inside and outside change; see polygons.c. */
#ifndef SMALTI_POLYGONS_H
#define SMALTI_POLYGONS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t *edges; /* column * height + row, in order within a group; the caller's to free */
    size_t n, room;
} ring_edges_found;

/* points: n pairs x, y in fifths of a pixel; begins: rings + 1 numbers of points; groups: group_count + 1 numbers of rings,
 * which are filled even-odd together. closes: each group's edges end with height * width. ends: where they end. */
int ring_edges(const int64_t *points, size_t n, const int64_t *begins, size_t rings, const int64_t *groups, size_t group_count,
               const int64_t size_hw[2], int closes, int64_t *ends, ring_edges_found *found);

#endif
