/* The heart of the repair: which labels would have led to the samples of one cell? */
#include "repair_cell.h"

#include <string.h>

/* ring:   0  1  2  3      pixels:  0 1      A cell of one pixel has neighbours in places 0, 1, 3, 4, 5, 8, 9 and 11:
 *         4        5               2 3      the last row of the tables. NOT_THERE fills rows up.
 *         6        7
 *         8  9 10 11 */
enum { NOT_THERE = 12 };
static const uint8_t STRAIGHT[5][4] = {
    {1, 4, NOT_THERE, NOT_THERE}, {2, 5, NOT_THERE, NOT_THERE}, {6, 9, NOT_THERE, NOT_THERE}, {7, 10, NOT_THERE, NOT_THERE},
    {1, 4, 5, 9}};
static const uint8_t DIAGONAL[5][4] = {
    {0, 2, 6, NOT_THERE}, {1, 3, 7, NOT_THERE}, {4, 8, 10, NOT_THERE}, {5, 9, 11, NOT_THERE}, {0, 3, 8, 11}};

void smalti_border_prices(Job *job) {
    memset(job->border, 0, sizeof job->border);
    for (int k = 0; k < job->cell * job->cell; k++)
        for (int i = 0; i < 4; i++) {
            int straight = STRAIGHT[job->cell == 2 ? k : 4][i], diagonal = DIAGONAL[job->cell == 2 ? k : 4][i];
            if (straight != NOT_THERE) job->border[straight] += (uint64_t)job->p[SMOOTH] << (16 * k);
            if (diagonal != NOT_THERE) job->border[diagonal] += (uint64_t)job->p[SMOOTH_DIAGONAL] << (16 * k);
        }
}

static int32_t lane(uint64_t prices, int k) { return (int32_t)(prices >> (16 * k) & 0xFFFF); }

static const int32_t *luma_costs(const Job *job, int value) { return job->luma_cost + (size_t)value * LABELS; }

static void enter(const Job *job, Cell *at, int slot, int label) {
    at->labels[slot] = (uint8_t)label;
    uint64_t borders = at->known;
    for (int i = 0; i < 12; i++) borders -= job->border[i] & (0 - (uint64_t)(at->ring[i] == label));
    for (int k = 0; k < job->cell * job->cell; k++)
        at->cost[k][slot] = luma_costs(job, at->pixels[k])[label] + lane(borders, k);
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

/* Legend colours that nobody around has: each costs `newcomer` more, and most are ruled out by what they cost at least:
 * a pixel takes the newcomer or the cheapest candidate, and a newcomer differs from every known label around it. */
static void try_newcomers(const Job *job, Cell *at) {
    int known = at->count, pixels = job->cell * job->cell, kept = least(known, 2);
    int32_t bounds[LABELS];
    memcpy(bounds, job->newcomer, sizeof bounds);
    for (int k = 0; k < pixels; k++) {
        const int32_t *costs = luma_costs(job, at->pixels[k]);
        /* A ring of more labels than there is room for may hold the newcomer itself. */
        const int32_t apart = known < MAX_CANDIDATES ? lane(at->known, k) : 0;
        int32_t ceiling = NO_ENERGY;
        for (int a = 0; a < known; a++) ceiling = least(ceiling, at->cost[k][a]);
        ceiling -= apart;
        for (int label = 1; label <= job->n; label++)
            bounds[label] += (costs[label] < ceiling ? costs[label] : ceiling) + apart;
    }
    for (int a = 0; a < known; a++) bounds[at->labels[a]] = NO_ENERGY;
    for (int label = 1; label <= job->n; label++) {
        if (bounds[label] >= at->energy) continue;
        enter(job, at, kept, label);
        try_all(job, at, kept + 1, job->newcomer[label]);
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
    at->known = 0;
    for (int i = 0; i < 12; i++) at->known += job->border[i] & (0 - (uint64_t)(at->ring[i] != 0));
    for (int i = 0; i < MAX_ANCHORS + 12 && at->count < MAX_CANDIDATES; i++) {
        int label = i < MAX_ANCHORS ? near[i] : at->ring[i - MAX_ANCHORS], old = !label;
        for (int a = 0; a < at->count; a++) old |= at->labels[a] == label;
        if (!old) enter(job, at, at->count++, label);
    }
}

void smalti_examine(const Job *job, Cell *at, size_t i) {
    look(job, at, job->unsure[i] / job->cols, job->unsure[i] % job->cols);
    gather(job, at, job->near + MAX_ANCHORS * i);
    try_all(job, at, at->count, 0);
    if (at->energy > job->p[NEW_LABEL]) try_newcomers(job, at);
}
