/* See repair.h for the contract and kernels/reference/repair.py for the reasons. */
#include "repair.h"

#include <stdlib.h>
#include <string.h>

enum {
    TOLERANCE_LUMA,
    TOLERANCE_CHROMA,
    SUPPORT,
    RADIUS,
    LUMA_VARIANCE,
    CHROMA_VARIANCE,
    LUMA_CAP,
    CHROMA_CAP,
    SMOOTH,
    SMOOTH_DIAGONAL,
    NEW_LABEL,
    RARE_LABEL,
    RARE_BELOW,
    SWEEPS,
    VERTICAL_TAP,
    ALIEN
};

enum { MAX_ANCHORS = 3, MAX_CANDIDATES = 4, MAX_RADIUS = 8, CHROMA_STEPS = 1024, FLAT_LUMA = 8, FLAT_CHROMA = 4 };
enum { ALIEN_COST = 48, NO_ENERGY = INT32_MAX };

typedef struct {
    ptrdiff_t rows, cols, width, stride, cstride, astride;
    ptrdiff_t shown_height, shown_width; /* less than the padded size where that is odd */
    int cell, n, alien;
    const uint8_t *y, *cb, *cr, *colors;
    const int32_t *p;
    uint8_t *labels;    /* pixels, two of zeros around */
    uint8_t *tentative; /* cells, one of zeros around */
    uint8_t *anchors;   /* cells, MAX_RADIUS of zeros around */
    uint8_t *dirty;     /* cells, one around */
    uint8_t *exact;     /* cells */
    uint8_t *near;      /* MAX_ANCHORS labels for each unsure cell, in the order of `unsure` */
    uint32_t *unsure;   /* row * cols + column; the four phases one after the other */
    size_t phase_start[5];
    uint32_t *heads; /* 65537 starts into `lists`, by cb * 256 + cr */
    uint8_t *lists;
    int32_t luma_cost[256], chroma_cost[CHROMA_STEPS], newcomer[256];
    int64_t frequency[256];
} Job;

static int absolute(int value) { return value < 0 ? -value : value; }
static int least(int a, int b) { return a < b ? a : b; }
static int most(int a, int b) { return a > b ? a : b; }

static void release(Job *job) {
    free(job->labels);
    free(job->tentative);
    free(job->anchors);
    free(job->dirty);
    free(job->exact);
    free(job->near);
    free(job->unsure);
    free(job->heads);
    free(job->lists);
}

static int reserve(Job *job) {
    size_t rows = (size_t)job->rows, cols = (size_t)job->cols, cells = rows * cols;
    size_t side = 2 * (size_t)job->p[TOLERANCE_CHROMA] + 1;
    job->stride = job->width + 4;
    job->cstride = job->cols + 2;
    job->astride = job->cols + 2 * MAX_RADIUS;
    job->labels = calloc((rows * (size_t)job->cell + 4) * (size_t)job->stride, 1);
    job->tentative = calloc((rows + 2) * (size_t)job->cstride, 1);
    job->anchors = calloc((rows + 2 * MAX_RADIUS) * (size_t)job->astride, 1);
    job->dirty = malloc((rows + 2) * (size_t)job->cstride);
    job->exact = malloc(cells);
    job->heads = calloc(65537 + 1, sizeof *job->heads);
    job->lists = malloc((size_t)job->n * side * side);
    return job->labels && job->tentative && job->anchors && job->dirty && job->exact && job->heads && job->lists;
}

/* Costs are in sixteenths of a squared standard deviation. */
static void tabulate(Job *job) {
    const int32_t *p = job->p;
    for (int d = 0; d < 256; d++) job->luma_cost[d] = least(16 * d * d / p[LUMA_VARIANCE], p[LUMA_CAP]);
    for (int d = 0; d < CHROMA_STEPS; d++) job->chroma_cost[d] = least(d * d / p[CHROMA_VARIANCE], p[CHROMA_CAP]);
    /* Which legend colours are near enough to a pair of chroma values: a list for each of the 65536 pairs. */
    int tolerance = p[TOLERANCE_CHROMA];
    for (int pass = 0; pass < 2; pass++) {
        for (int label = 0; label < job->n; label++) {
            int cb = job->colors[3 * label + 1], cr = job->colors[3 * label + 2];
            for (int b = most(cb - tolerance, 0); b <= least(cb + tolerance, 255); b++)
                for (int r = most(cr - tolerance, 0); r <= least(cr + tolerance, 255); r++) {
                    uint32_t *head = job->heads + b * 256 + r + 1;
                    if (pass) job->lists[head[0]] = (uint8_t)label;
                    head[0]++;
                }
        }
        if (pass) break;
        /* counts (one place up) become starts, still one place up: filling moves each start to its end */
        uint32_t sum = 0;
        for (int i = 1; i <= 65536; i++) {
            uint32_t count = job->heads[i];
            job->heads[i] = sum;
            sum += count;
        }
    }
}

/* The legend colour that all samples of a cell are near to, 0 if there is none. */
static int match(const Job *job, const uint8_t *top, const uint8_t *bottom, int cb, int cr, int *exact) {
    const uint32_t *head = job->heads + cb * 256 + cr;
    int best = 0, best_sum = INT32_MAX, last = job->cell - 1, weight = job->cell * job->cell;
    *exact = 0;
    for (uint32_t i = head[0]; i < head[1]; i++) {
        int label = job->lists[i];
        const uint8_t *color = job->colors + 3 * label;
        int d0 = absolute(top[0] - color[0]), d1 = absolute(top[last] - color[0]);
        int d2 = absolute(bottom[0] - color[0]), d3 = absolute(bottom[last] - color[0]);
        int worst = most(most(d0, d1), most(d2, d3)), db = absolute(cb - color[1]), dr = absolute(cr - color[2]);
        if (worst > job->p[TOLERANCE_LUMA]) continue;
        int sum = (last ? d0 + d1 + d2 + d3 : d0) + weight * (db + dr);
        if (sum >= best_sum) continue;
        best_sum = sum;
        best = label + 1;
        *exact = worst <= 1 && db <= 1 && dr <= 1;
    }
    return best;
}

/* Whether a cell that matches nothing is flat, with its neighbours, and far from every legend colour. */
static int is_alien(const Job *job, ptrdiff_t row, ptrdiff_t col) {
    int cell = job->cell;
    const uint8_t *at = job->y + row * cell * job->width + col * cell;
    ptrdiff_t here = row * job->cols + col;
    int low = 255, high = 0;
    for (int k = 0; k < cell * cell; k++) {
        int value = at[k / cell * job->width + k % cell];
        low = least(low, value);
        high = most(high, value);
    }
    if (high - low > FLAT_LUMA) return 0;
    for (int k = 0; k < 4; k++) {
        int dr = k == 0 ? -1 : k == 1, dc = k == 2 ? -1 : k == 3;
        if (row + dr < 0 || row + dr >= job->rows || col + dc < 0 || col + dc >= job->cols) continue;
        ptrdiff_t there = here + dr * job->cols + dc;
        if (absolute(at[0] - at[dr * cell * job->width + dc * cell]) > FLAT_LUMA) return 0;
        if (absolute(job->cb[here] - job->cb[there]) > FLAT_CHROMA) return 0;
        if (absolute(job->cr[here] - job->cr[there]) > FLAT_CHROMA) return 0;
    }
    for (int label = 0; label < job->n; label++) {
        const uint8_t *color = job->colors + 3 * label;
        int d = most(absolute(job->cb[here] - color[1]), absolute(job->cr[here] - color[2]));
        if (most(d, absolute(at[0] - color[0])) <= job->p[ALIEN]) return 0;
    }
    return 1;
}

static void guess(Job *job) {
    int cell = job->cell, last = cell - 1;
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        const uint8_t *top = job->y + row * cell * job->width, *bottom = top + last * job->width;
        const uint8_t *cb = job->cb + row * job->cols, *cr = job->cr + row * job->cols;
        uint8_t *out = job->tentative + (row + 1) * job->cstride + 1, *exact = job->exact + row * job->cols;
        for (ptrdiff_t col = 0; col < job->cols; col++, top += cell, bottom += cell) {
            if (col && cb[col] == cb[col - 1] && cr[col] == cr[col - 1] && out[col - 1] != job->alien &&
                !memcmp(top, top - cell, (size_t)cell) && !memcmp(bottom, bottom - cell, (size_t)cell) && out[col - 1]) {
                out[col] = out[col - 1];
                exact[col] = exact[col - 1];
                continue;
            }
            int is_exact, label = match(job, top, bottom, cb[col], cr[col], &is_exact);
            if (!label && is_alien(job, row, col)) label = job->alien;
            out[col] = (uint8_t)label;
            exact[col] = (uint8_t)is_exact;
        }
    }
}

/* How many pixels of a cell lie inside the picture, along one axis. */
static int shown(int cell, ptrdiff_t at, ptrdiff_t size) { return size - at * cell < cell ? 1 : cell; }

/* A guess is an anchor when enough of the 3 by 3 cells around agree. Also lists the cells that are left. */
static int confirm(Job *job, int64_t counts[SMALTI_REPAIR_COUNTS]) {
    ptrdiff_t s = job->cstride;
    size_t total[4] = {0, 0, 0, 0}, cells = (size_t)job->rows * (size_t)job->cols;
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        const uint8_t *t = job->tentative + (row + 1) * s + 1;
        uint8_t *a = job->anchors + (row + MAX_RADIUS) * job->astride + MAX_RADIUS;
        const uint8_t support = (uint8_t)job->p[SUPPORT];
        for (ptrdiff_t col = 0; col < job->cols; col++) {
            uint8_t v = t[col];
            uint8_t same = (uint8_t)((t[col - s - 1] == v) + (t[col - s] == v) + (t[col - s + 1] == v) + (t[col - 1] == v) +
                                     (t[col + 1] == v) + (t[col + s - 1] == v) + (t[col + s] == v) + (t[col + s + 1] == v));
            a[col] = (uint8_t)(same + 1 >= support ? v : 0);
        }
        const uint8_t *exact = job->exact + row * job->cols;
        int tall = shown(job->cell, row, job->shown_height);
        for (ptrdiff_t col = 0; col < job->cols; col++) {
            int v = a[col];
            job->frequency[v]++;
            if (!v) total[(row & 1) * 2 + (col & 1)]++;
            else if (v != job->alien) counts[exact[col] ? 0 : 1] += tall * shown(job->cell, col, job->shown_width);
        }
    }
    job->phase_start[0] = 0;
    for (int i = 0; i < 4; i++) job->phase_start[i + 1] = job->phase_start[i] + total[i];
    size_t unsure = job->phase_start[4], next[4];
    job->unsure = malloc((unsure + 1) * sizeof *job->unsure);
    job->near = calloc(unsure + 1, MAX_ANCHORS);
    if (!job->unsure || !job->near) return 0;
    memcpy(next, job->phase_start, sizeof next);
    for (size_t i = 0; i < cells && unsure; i++) {
        ptrdiff_t row = (ptrdiff_t)(i / (size_t)job->cols), col = (ptrdiff_t)(i % (size_t)job->cols);
        if (!job->anchors[(row + MAX_RADIUS) * job->astride + MAX_RADIUS + col])
            job->unsure[next[(row & 1) * 2 + (col & 1)]++] = (uint32_t)i;
    }
    return 1;
}

/* Spread the anchors' labels over their pixels. */
static void settle(Job *job) {
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        const uint8_t *a = job->anchors + (row + MAX_RADIUS) * job->astride + MAX_RADIUS;
        uint8_t *out = job->labels + (row * job->cell + 2) * job->stride + 2;
        if (job->cell == 1) {
            memcpy(out, a, (size_t)job->cols);
            continue;
        }
        for (ptrdiff_t col = 0; col < job->cols; col++) out[2 * col] = out[2 * col + 1] = a[col];
        memcpy(out + job->stride, out, (size_t)job->width);
    }
}

/* The labels of the anchors around a cell, the heaviest first: near anchors weigh more. */
static void survey(Job *job) {
    int radius = job->p[RADIUS], weights[2 * MAX_RADIUS + 1][2 * MAX_RADIUS + 1], sums[256] = {0};
    for (int dr = -radius; dr <= radius; dr++)
        for (int dc = -radius; dc <= radius; dc++) weights[dr + radius][dc + radius] = 256 / (dr * dr + dc * dc + 1);
    for (size_t i = 0; i < job->phase_start[4]; i++) {
        ptrdiff_t row = job->unsure[i] / job->cols, col = job->unsure[i] % job->cols;
        const uint8_t *a = job->anchors + (row + MAX_RADIUS - radius) * job->astride + MAX_RADIUS + col - radius;
        uint8_t seen[(2 * MAX_RADIUS + 1) * (2 * MAX_RADIUS + 1)];
        int n = 0;
        for (int r = 0; r <= 2 * radius; r++, a += job->astride)
            for (int c = 0; c <= 2 * radius; c++) {
                int label = a[c];
                if (!label) continue;
                if (!sums[label]) seen[n++] = (uint8_t)label;
                sums[label] += weights[r][c];
            }
        for (int k = 0; k < MAX_ANCHORS; k++) {
            int best = 0;
            for (int m = 0; m < n; m++) {
                int label = seen[m];
                if (sums[label] > sums[best] || (best && sums[label] == sums[best] && label < best)) best = label;
            }
            job->near[MAX_ANCHORS * i + (size_t)k] = (uint8_t)best;
            sums[best] = 0;
            if (!best) break;
        }
        for (int m = 0; m < n; m++) sums[seen[m]] = 0;
    }
}

/* One cell under examination: four pixels, the ring around them, and what the candidates cost. */
typedef struct {
    int pixels[4], ring[13], cb, cr, outer_cb, outer_cr, outer, count;
    uint8_t labels[MAX_CANDIDATES + 1];
    int32_t cost[4][MAX_CANDIDATES + 1];
    int tint_cb[MAX_CANDIDATES + 1], tint_cr[MAX_CANDIDATES + 1];
    int32_t energy;
    uint8_t solution[4];
} Cell;

/* ring:   0  1  2  3      pixels:  0 1      Place 12 is always empty. The last row is for cells of one pixel, whose
 *         4        5               2 3      eight neighbours lie in places 0, 1, 3, 4, 5, 8, 9 and 11.
 *         6        7
 *         8  9 10 11 */
static const uint8_t STRAIGHT[5][4] = {{1, 4, 12, 12}, {2, 5, 12, 12}, {6, 9, 12, 12}, {7, 10, 12, 12}, {1, 4, 5, 9}};
static const uint8_t DIAGONAL[5][4] = {{0, 2, 6, 12}, {1, 3, 7, 12}, {4, 8, 10, 12}, {5, 9, 11, 12}, {0, 3, 8, 11}};

static int32_t luma_cost(const Job *job, int label, int value) {
    return label == job->alien ? ALIEN_COST : job->luma_cost[absolute(value - job->colors[3 * (label - 1)])];
}

/* What it costs to give pixel k of the cell this label: its luma, and the neighbours that differ. */
static int32_t pixel_cost(const Job *job, const Cell *at, int k, int label) {
    const uint8_t *s = STRAIGHT[job->cell == 2 ? k : 4], *d = DIAGONAL[job->cell == 2 ? k : 4];
    int32_t straight = 0, diagonal = 0;
    for (int i = 0; i < 4; i++) {
        straight += at->ring[s[i]] && at->ring[s[i]] != label;
        diagonal += at->ring[d[i]] && at->ring[d[i]] != label;
    }
    return luma_cost(job, label, at->pixels[k]) + straight * job->p[SMOOTH] + diagonal * job->p[SMOOTH_DIAGONAL];
}

static void enter(const Job *job, Cell *at, int slot, int label) {
    at->labels[slot] = (uint8_t)label;
    for (int k = 0; k < job->cell * job->cell; k++) at->cost[k][slot] = pixel_cost(job, at, k, label);
    at->tint_cb[slot] = label == job->alien ? at->cb : job->colors[3 * (label - 1) + 1];
    at->tint_cr[slot] = label == job->alien ? at->cr : job->colors[3 * (label - 1) + 2];
}

static int32_t chroma_cost(const Job *job, int residual_cb, int residual_cr) {
    int b = least(absolute(residual_cb) >> 4, CHROMA_STEPS - 1), r = least(absolute(residual_cr) >> 4, CHROMA_STEPS - 1);
    return least(job->chroma_cost[b] + job->chroma_cost[r], job->p[CHROMA_CAP]);
}

/* Try every way to give the pixels of the cell one of `count` candidates; keep the first of the cheapest. */
static void try_all(const Job *job, Cell *at, int count, int32_t extra) {
    const int32_t smooth = job->p[SMOOTH], diagonal = job->p[SMOOTH_DIAGONAL];
    int inner = 16 - at->outer / 4, cb = 64 * at->cb - at->outer_cb, cr = 64 * at->cr - at->outer_cr;
    if (job->cell == 1) {
        for (int a = 0; a < count; a++) {
            int32_t e = extra + at->cost[0][a] + chroma_cost(job, cb - 64 * at->tint_cb[a], cr - 64 * at->tint_cr[a]);
            if (e >= at->energy) continue;
            at->energy = e;
            at->solution[0] = at->labels[a];
        }
        return;
    }
    for (int a = 0; a < count; a++)
        for (int b = 0; b < count; b++) {
            int32_t top = extra + at->cost[0][a] + at->cost[1][b] + (a != b) * smooth;
            if (top >= at->energy) continue;
            for (int c = 0; c < count; c++)
                for (int d = 0; d < count; d++) {
                    int32_t e = top + at->cost[2][c] + at->cost[3][d] + (c != d) * smooth;
                    if (e >= at->energy) continue;
                    e += ((a != c) + (b != d)) * smooth + ((a != d) + (b != c)) * diagonal;
                    int sum_cb = at->tint_cb[a] + at->tint_cb[b] + at->tint_cb[c] + at->tint_cb[d];
                    int sum_cr = at->tint_cr[a] + at->tint_cr[b] + at->tint_cr[c] + at->tint_cr[d];
                    e += chroma_cost(job, cb - inner * sum_cb, cr - inner * sum_cr);
                    if (e >= at->energy) continue;
                    at->energy = e;
                    at->solution[0] = at->labels[a];
                    at->solution[1] = at->labels[b];
                    at->solution[2] = at->labels[c];
                    at->solution[3] = at->labels[d];
                }
        }
}

/* Legend colours that nobody around has: each costs `newcomer` more, most are ruled out by luma alone. */
static void try_newcomers(const Job *job, Cell *at) {
    int known = at->count, pixels = job->cell * job->cell, kept = least(known, 2);
    int32_t cheapest[4];
    for (int k = 0; k < pixels; k++) {
        cheapest[k] = NO_ENERGY;
        for (int a = 0; a < known; a++) cheapest[k] = least(cheapest[k], at->cost[k][a]);
    }
    for (int label = 1; label <= job->n; label++) {
        int old = 0;
        for (int a = 0; a < known; a++) old |= at->labels[a] == label;
        if (old) continue;
        int32_t bound = job->newcomer[label];
        for (int k = 0; k < pixels; k++) bound += least(cheapest[k], luma_cost(job, label, at->pixels[k]));
        if (bound >= at->energy) continue;
        Cell trial = *at;
        enter(job, &trial, kept, label);
        try_all(job, &trial, kept + 1, job->newcomer[label]);
        at->energy = trial.energy;
        memcpy(at->solution, trial.solution, sizeof at->solution);
    }
}

/* Read the samples of a cell and the labels around it. */
static void look(const Job *job, Cell *at, ptrdiff_t row, ptrdiff_t col) {
    static const uint8_t taps[4] = {1, 2, 9, 10};
    int cell = job->cell, tap = job->p[VERTICAL_TAP];
    ptrdiff_t s = job->stride, w = job->width;
    const uint8_t *l = job->labels + (row * cell + 2) * s + col * cell + 2, *below = l + cell * s;
    const uint8_t *y = job->y + row * cell * w + col * cell;
    at->cb = job->cb[row * job->cols + col];
    at->cr = job->cr[row * job->cols + col];
    at->outer = at->outer_cb = at->outer_cr = 0;
    at->energy = NO_ENERGY;
    memset(at->solution, 0, sizeof at->solution);
    memset(at->ring, 0, sizeof at->ring);
    at->pixels[0] = y[0];
    at->ring[0] = l[-s - 1], at->ring[1] = l[-s], at->ring[3] = l[-s + cell];
    at->ring[4] = l[-1], at->ring[5] = l[cell];
    at->ring[8] = below[-1], at->ring[9] = below[0], at->ring[11] = below[cell];
    if (cell == 1) return;
    at->pixels[1] = y[1], at->pixels[2] = y[w], at->pixels[3] = y[w + 1];
    at->ring[2] = l[-s + 1], at->ring[6] = l[s - 1], at->ring[7] = l[s + 2], at->ring[10] = below[1];
    for (int i = 0; i < 4; i++) {
        int label = at->ring[taps[i]];
        if (!label || label == job->alien) continue;
        at->outer += tap;
        at->outer_cb += tap * job->colors[3 * (label - 1) + 1];
        at->outer_cr += tap * job->colors[3 * (label - 1) + 2];
    }
}

/* Candidates: the anchors around, then whatever the ring holds by now. */
static void gather(const Job *job, Cell *at, const uint8_t *near) {
    at->count = 0;
    for (int i = 0; i < MAX_ANCHORS + 12 && at->count < MAX_CANDIDATES; i++) {
        int label = i < MAX_ANCHORS ? near[i] : at->ring[i - MAX_ANCHORS], old = !label;
        for (int a = 0; a < at->count; a++) old |= at->labels[a] == label;
        if (!old) enter(job, at, at->count++, label);
    }
}

static void solve(Job *job, size_t i) {
    ptrdiff_t row = job->unsure[i] / job->cols, col = job->unsure[i] % job->cols, s = job->stride;
    uint8_t *dirty = job->dirty + (row + 1) * job->cstride + col + 1;
    if (!*dirty) return;
    *dirty = 0;
    Cell at;
    look(job, &at, row, col);
    gather(job, &at, job->near + MAX_ANCHORS * i);
    try_all(job, &at, at.count, 0);
    if (at.energy > job->p[NEW_LABEL]) try_newcomers(job, &at);
    uint8_t *l = job->labels + (row * job->cell + 2) * s + col * job->cell + 2;
    int changed = l[0] != at.solution[0];
    l[0] = at.solution[0];
    if (job->cell == 2) {
        changed |= l[1] != at.solution[1] || l[s] != at.solution[2] || l[s + 1] != at.solution[3];
        l[1] = at.solution[1];
        l[s] = at.solution[2];
        l[s + 1] = at.solution[3];
    }
    if (!changed) return;
    for (ptrdiff_t r = -1; r <= 1; r++) dirty[r * job->cstride - 1] = dirty[r * job->cstride + 1] = 1;
    dirty[-job->cstride] = dirty[job->cstride] = 1;
}

static void finish(Job *job, uint8_t *positions, int64_t counts[SMALTI_REPAIR_COUNTS]) {
    int64_t empty = 0;
    for (ptrdiff_t row = 0; row < job->shown_height; row++) {
        const uint8_t *l = job->labels + (row + 2) * job->stride + 2;
        uint8_t *out = positions + row * job->shown_width;
        for (ptrdiff_t col = 0; col < job->shown_width; col++) {
            out[col] = (uint8_t)(l[col] == job->alien ? 0 : l[col]);
            empty += !out[col];
        }
    }
    counts[3] = empty;
    counts[2] = job->shown_height * job->shown_width - counts[0] - counts[1] - empty;
}

int smalti_repair(const uint8_t *y, const uint8_t *cb, const uint8_t *cr, ptrdiff_t height, ptrdiff_t width, int cell,
                  const uint8_t *colors, int n, const int32_t *parameters, uint8_t *positions,
                  int64_t counts[SMALTI_REPAIR_COUNTS]) {
    memset(counts, 0, SMALTI_REPAIR_COUNTS * sizeof *counts);
    if (height < 0 || width < 0 || n < 1 || n > 254 || (cell != 1 && cell != 2)) return -2;
    if (parameters[RADIUS] < 0 || parameters[RADIUS] > MAX_RADIUS || parameters[LUMA_VARIANCE] < 1 ||
        parameters[CHROMA_VARIANCE] < 1 || parameters[TOLERANCE_CHROMA] < 0)
        return -2;
    if (!height || !width) return 0;
    ptrdiff_t rows = (height + cell - 1) / cell, cols = (width + cell - 1) / cell;
    Job job = {.rows = rows, .cols = cols, .width = cols * cell, .shown_height = height, .shown_width = width, .cell = cell, .n = n, .alien = n + 1};
    job.y = y, job.cb = cb, job.cr = cr, job.colors = colors, job.p = parameters;
    int status = -1;
    if (reserve(&job)) {
        tabulate(&job);
        guess(&job);
        if (confirm(&job, counts)) {
            for (int label = 1; label <= n; label++)
                job.newcomer[label] =
                    parameters[NEW_LABEL] + (job.frequency[label] < parameters[RARE_BELOW] ? parameters[RARE_LABEL] : 0);
            settle(&job);
            survey(&job);
            memset(job.dirty, 1, (size_t)(rows + 2) * (size_t)job.cstride);
            for (int sweep = 0; sweep < parameters[SWEEPS]; sweep++)
                for (size_t i = 0; i < job.phase_start[4]; i++) solve(&job, i);
            finish(&job, positions, counts);
            status = 0;
        }
    }
    release(&job);
    return status;
}
