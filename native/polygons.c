/* Rings to the places where a picture, read column by column, goes in and out of them: by COCO's rule, which
 * kernels/reference/polygons.py writes down. Only crossings of columns are computed; they fall into order by column. */
#include "polygons.h"

#include <stdlib.h>
#include <string.h>

#include "kernels.h"

enum { FARTHEST = 1 << 30 };

typedef struct {
    int64_t x, y;
} point;

/* The columns whose third fifth lies between the two ends of an edge: from `low`, before `high`. */
static void columns_of(point a, point b, int64_t width, int64_t *low, int64_t *high) {
    int64_t least = (a.x < b.x ? a.x : b.x) + 2, most = (a.x < b.x ? b.x : a.x) + 2;
    *low = least > 0 ? least / 5 : 0;
    *high = most > 0 ? most / 5 : 0;
    if (*high > width) *high = width;
}

/* An edge, walked from its left (or upper) end. */
typedef struct {
    point from;
    double slope;
    int is_flat;
} walk;

static walk walk_along(point a, point b) {
    int64_t wide = llabs(b.x - a.x), tall = llabs(b.y - a.y);
    int is_flat = wide >= tall, swapped = is_flat ? a.x > b.x : a.y > b.y;
    point from = swapped ? b : a, to = swapped ? a : b;
    double rise = is_flat ? (double)(to.y - from.y) : (double)(to.x - from.x);
    return (walk){from, rise / (double)(is_flat ? wide : tall), is_flat};
}

/* Whether a steep edge is beyond fifth `left` after so many rows. */
static int has_passed(const walk *edge, int64_t left, int64_t rows) {
    int64_t x = (int64_t)((double)edge->from.x + edge->slope * (double)rows + 0.5);
    return edge->slope > 0 ? x > left : x <= left;
}

/* The upper of the two points of an edge at fifths `left` and `left + 1`. */
static int64_t fifth_at(const walk *edge, int64_t left) {
    if (edge->is_flat) {
        int64_t step = left - edge->from.x;
        int64_t here = (int64_t)((double)edge->from.y + edge->slope * (double)step + 0.5);
        int64_t beyond = (int64_t)((double)edge->from.y + edge->slope * (double)(step + 1) + 0.5);
        return here < beyond ? here : beyond;
    }
    double exact = ((double)left + 0.5 - (double)edge->from.x) / edge->slope;
    int64_t rows = (int64_t)exact;
    rows += (double)rows < exact; /* the next whole number */
    rows -= has_passed(edge, left, rows - 1);
    rows += !has_passed(edge, left, rows);
    return edge->from.y + rows - 1;
}

static int64_t row_of(int64_t fifth, int64_t height) {
    int64_t row = fifth > 2 ? (fifth + 2) / 5 : 0;
    return row > height ? height : row;
}

typedef struct {
    const point *points;
    const int64_t *begins; /* of each ring, and the end of the last */
    int64_t height, width;
    uint32_t *counts;      /* crossings of each column, and one more */
    int64_t *rows;         /* of crossings, by column */
    int closes;            /* each group ends with the end of the picture */
    size_t room;
} drawing;

/* Call `put` for every edge of the rings from `first` before `last`. */
#define EACH_EDGE(d, first, last, a, b)                                                            \
    for (int64_t ring_ = (first); ring_ < (last); ring_++)                                         \
        for (int64_t at_ = (d)->begins[ring_], end_ = (d)->begins[ring_ + 1]; at_ < end_; at_++)   \
            for (point a = (d)->points[at_], b = (d)->points[at_ + 1 < end_ ? at_ + 1 : (d)->begins[ring_]], *once_ = &a; \
                 once_; once_ = NULL)

/* Crossings of each column are counted; least and most: the columns that have any. Returns how many there are. */
static size_t count_columns(drawing *d, int64_t first, int64_t last, int64_t *least, int64_t *most) {
    size_t total = 0;
    *least = d->width;
    *most = 0;
    EACH_EDGE(d, first, last, a, b) {
        int64_t low, high;
        columns_of(a, b, d->width, &low, &high);
        if (low >= high) continue;
        if (low < *least) *least = low;
        if (high > *most) *most = high;
    }
    if (*least >= *most) return 0;
    memset(d->counts + *least, 0, (size_t)(*most - *least + 1) * sizeof *d->counts);
    EACH_EDGE(d, first, last, a, b) {
        int64_t low, high;
        columns_of(a, b, d->width, &low, &high);
        for (int64_t column = low; column < high; column++) d->counts[column]++;
        total += low < high ? (size_t)(high - low) : 0;
    }
    return total;
}

static int make_room(drawing *d, size_t wanted) {
    if (wanted <= d->room) return KERNEL_OK;
    int64_t *rows = realloc(d->rows, wanted * sizeof *rows);
    if (!rows) return KERNEL_NO_MEMORY;
    d->rows = rows;
    d->room = wanted;
    return KERNEL_OK;
}

/* Into the place of its column, and up to where it belongs there: most columns have two. */
static void put_rows(drawing *d, int64_t first, int64_t last, int64_t least, int64_t most) {
    uint32_t sum = 0;
    for (int64_t column = least; column < most; column++) {
        uint32_t n = d->counts[column];
        d->counts[column] = sum;
        sum += n;
    }
    EACH_EDGE(d, first, last, a, b) {
        int64_t low, high;
        columns_of(a, b, d->width, &low, &high);
        if (low >= high) continue;
        walk edge = walk_along(a, b);
        for (int64_t column = low; column < high; column++)
            d->rows[d->counts[column]++] = row_of(fifth_at(&edge, 5 * column + 2), d->height);
    }
}

static int compare(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void sort_rows(int64_t *rows, size_t n) {
    if (n > 32) {
        qsort(rows, n, sizeof *rows, compare);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        int64_t row = rows[i];
        size_t k = i;
        for (; k && rows[k - 1] > row; k--) rows[k] = rows[k - 1];
        rows[k] = row;
    }
}

/* Positions in order; two that are equal cancel, and those at the very end say nothing. */
static int append_group(drawing *d, int64_t least, int64_t most, size_t total, ring_edges_found *found) {
    if (found->n + total + 1 > found->room) {
        size_t room = 2 * (found->n + total + 1);
        int64_t *edges = realloc(found->edges, room * sizeof *edges);
        if (!edges) return KERNEL_NO_MEMORY;
        found->edges = edges;
        found->room = room;
    }
    size_t begin = found->n, at = 0;
    for (int64_t column = least; column < most; column++) {
        size_t end = d->counts[column]; /* after put_rows: where the next column begins */
        sort_rows(d->rows + at, end - at);
        for (; at < end; at++) {
            int64_t position = column * d->height + d->rows[at];
            if (found->n > begin && found->edges[found->n - 1] == position) found->n--;
            else found->edges[found->n++] = position;
        }
    }
    while (found->n > begin && found->edges[found->n - 1] >= d->height * d->width) found->n--;
    if (d->closes) found->edges[found->n++] = d->height * d->width;
    return KERNEL_OK;
}

int ring_edges(const int64_t *points, size_t n, const int64_t *begins, size_t rings, const int64_t *groups, size_t group_count,
               const int64_t size_hw[2], int closes, int64_t *ends, ring_edges_found *found) {
    *found = (ring_edges_found){0};
    if (size_hw[0] < 0 || size_hw[1] < 0 || size_hw[0] > FARTHEST || size_hw[1] > FARTHEST) return KERNEL_BAD_SIZE;
    if (begins[0] != 0 || begins[rings] != (int64_t)n || groups[0] != 0 || groups[group_count] != (int64_t)rings)
        return KERNEL_BAD_SIZE;
    for (size_t k = 0; k < rings; k++)
        if (begins[k] > begins[k + 1]) return KERNEL_BAD_SIZE;
    for (size_t k = 0; k < group_count; k++)
        if (groups[k] > groups[k + 1]) return KERNEL_BAD_SIZE;
    for (size_t k = 0; k < 2 * n; k++)
        if (points[k] > FARTHEST || points[k] < -FARTHEST) return KERNEL_BAD_SIZE;
    drawing d = {.points = (const point *)(const void *)points, .begins = begins, .height = size_hw[0], .width = size_hw[1]};
    d.closes = closes;
    d.counts = malloc(((size_t)d.width + 1) * sizeof *d.counts);
    int status = d.counts ? KERNEL_OK : KERNEL_NO_MEMORY;
    for (size_t k = 0; k < group_count && !status; k++) {
        int64_t least, most;
        size_t total = count_columns(&d, groups[k], groups[k + 1], &least, &most);
        if (total > UINT32_MAX) status = KERNEL_NO_MEMORY;
        else if (!(status = make_room(&d, total))) {
            if (total) put_rows(&d, groups[k], groups[k + 1], least, most);
            status = append_group(&d, least, total ? most : least, total, found);
        }
        ends[k] = (int64_t)found->n;
    }
    free(d.counts);
    free(d.rows);
    if (status) {
        free(found->edges);
        found->edges = NULL;
    }
    return status;
}
