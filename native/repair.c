/* See repair.h for the contract and kernels/reference/repair.py for the reasons. */
#include "kernels.h"
#include "repair_cell.h"

#include <stdlib.h>
#include <string.h>

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
    free(job->luma_cost);
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
    job->luma_cost = calloc((size_t)256 * LABELS, sizeof *job->luma_cost);
    job->heads = calloc(65537 + 1, sizeof *job->heads);
    job->lists = malloc((size_t)job->n * side * side);
    return job->labels && job->tentative && job->anchors && job->dirty && job->exact && job->heads && job->lists &&
           job->luma_cost;
}

/* Costs are in sixteenths of a squared standard deviation. */
static void price(Job *job, int luma_variance, int chroma_variance) {
    const int32_t *p = job->p;
    for (int value = 0; value < 256; value++) {
        int32_t *costs = job->luma_cost + (size_t)value * LABELS;
        for (int label = 1; label <= job->n; label++) {
            int d = absolute(value - job->colors[3 * (label - 1)]);
            costs[label] = least(16 * d * d / luma_variance, p[LUMA_CAP]);
        }
        costs[job->alien] = ALIEN_COST;
    }
    for (int d = 0; d < CHROMA_STEPS; d++) job->chroma_cost[d] = least(d * d / chroma_variance, p[CHROMA_CAP]);
}

/* Which legend colours are near enough to a pair of chroma values: a list for each of the 65536 pairs. */
static void tabulate(Job *job) {
    int tolerance = job->p[TOLERANCE_CHROMA];
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
                top[0] == top[-cell] && top[last] == top[last - cell] && bottom[0] == bottom[-cell] &&
                bottom[last] == bottom[last - cell] && out[col - 1]) {
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

/* Count the anchors of a row, run by run, and the pixels that they settle: exactly or nearly. */
static void tally(Job *job, ptrdiff_t row, const uint8_t *a, int64_t counts[SMALTI_REPAIR_COUNTS]) {
    const uint8_t *exact = job->exact + row * job->cols;
    int64_t tall = least((int)(job->shown_height - row * job->cell), job->cell);
    for (ptrdiff_t start = 0, end; start < job->cols; start = end) {
        for (end = start + 1; end < job->cols && a[end] == a[start] && exact[end] == exact[start];) end++;
        job->frequency[a[start]] += end - start;
        if (!a[start] || a[start] == job->alien) continue;
        ptrdiff_t right = end * job->cell;
        if (right > job->shown_width) right = job->shown_width;
        counts[exact[start] ? 0 : 1] += tall * (right - start * job->cell);
    }
}

/* A guess is an anchor when enough of the 3 by 3 cells around agree. Also lists the cells that are left. */
static int confirm(Job *job, int64_t counts[SMALTI_REPAIR_COUNTS]) {
    ptrdiff_t s = job->cstride;
    size_t total[4] = {0, 0, 0, 0};
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        const uint8_t *t = job->tentative + (row + 1) * s + 1;
        uint8_t *a = job->anchors + (row + MAX_RADIUS) * job->astride + MAX_RADIUS;
        const uint8_t support = (uint8_t)least(job->p[SUPPORT], 10); /* more than nine cells never agree */
        for (ptrdiff_t col = 0; col < job->cols; col++) {
            uint8_t v = t[col];
            uint8_t same = (uint8_t)((t[col - s - 1] == v) + (t[col - s] == v) + (t[col - s + 1] == v) + (t[col - 1] == v) +
                                     (t[col + 1] == v) + (t[col + s - 1] == v) + (t[col + s] == v) + (t[col + s + 1] == v));
            a[col] = (uint8_t)(same + 1 >= support ? v : 0);
        }
        tally(job, row, a, counts);
        for (const uint8_t *at = a; (at = memchr(at, 0, (size_t)(a + job->cols - at))); at++)
            total[(row & 1) * 2 + ((at - a) & 1)]++;
    }
    for (int i = 0; i < 4; i++) job->phase_start[i + 1] = job->phase_start[i] + total[i];
    size_t unsure = job->phase_start[4], next[4];
    job->unsure = malloc((unsure + 1) * sizeof *job->unsure);
    job->near = calloc(unsure + 1, MAX_ANCHORS);
    if (!job->unsure || !job->near) return 0;
    memcpy(next, job->phase_start, sizeof next);
    for (ptrdiff_t row = 0; row < job->rows; row++) {
        const uint8_t *a = job->anchors + (row + MAX_RADIUS) * job->astride + MAX_RADIUS;
        for (const uint8_t *at = a; (at = memchr(at, 0, (size_t)(a + job->cols - at))); at++)
            job->unsure[next[(row & 1) * 2 + ((at - a) & 1)]++] = (uint32_t)(row * job->cols + (at - a));
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

static int averaged(int64_t sum, int64_t n, int share, int before, const int32_t *p) {
    int64_t variance = (sum * share / 16 + (int64_t)before * SOUND_PRIOR) / (n + SOUND_PRIOR);
    return variance < p[VARIANCE_LEAST] ? p[VARIANCE_LEAST] : variance > p[VARIANCE_MOST] ? p[VARIANCE_MOST] : (int)variance;
}

/* Solve some of the cells for the sake of what they leave unexplained, and price errors by that. */
static void sound(Job *job) {
    const int32_t *p = job->p;
    int64_t luma = 0, chroma = 0, pixels = 0, cells = 0;
    int area = job->cell * job->cell;
    Cell at;
    for (size_t i = 0; i < job->phase_start[4]; i += SOUND_EVERY) {
        smalti_examine(job, &at, i);
        int cb = 64 * at.cb - at.outer_cb, cr = 64 * at.cr - at.outer_cr, known = 0;
        for (int k = 0; k < area; k++) {
            int label = at.solution[k];
            if (!label || label == job->alien) continue;
            const uint8_t *color = job->colors + 3 * (label - 1);
            int inner = area == 1 ? 64 : 16 - at.outer / 4, away = at.pixels[k] - color[0];
            luma += least(away * away, SOUND_CAP);
            cb -= inner * color[1];
            cr -= inner * color[2];
            known++;
        }
        pixels += known;
        if (known < area) continue;
        cb = absolute(cb) >> 6, cr = absolute(cr) >> 6;
        chroma += least(cb * cb, SOUND_CAP) + least(cr * cr, SOUND_CAP);
        cells += 2;
    }
    price(job, averaged(luma, pixels, p[NOISE_LUMA], p[LUMA_VARIANCE], p),
          averaged(chroma, cells, p[NOISE_CHROMA], p[CHROMA_VARIANCE], p));
}

static void solve(Job *job, size_t i) {
    ptrdiff_t row = job->unsure[i] / job->cols, col = job->unsure[i] % job->cols, s = job->stride;
    uint8_t *dirty = job->dirty + (row + 1) * job->cstride + col + 1;
    if (!*dirty) return;
    *dirty = 0;
    Cell at;
    smalti_examine(job, &at, i);
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
    if (height < 0 || width < 0 || n < 1 || n > 254 || (cell != 1 && cell != 2)) return KERNEL_BAD_SIZE;
    if (parameters[RADIUS] < 0 || parameters[RADIUS] > MAX_RADIUS || parameters[LUMA_VARIANCE] < 1 ||
        parameters[CHROMA_VARIANCE] < 1 || parameters[VARIANCE_LEAST] < 1 ||
        parameters[VARIANCE_MOST] < parameters[VARIANCE_LEAST] || parameters[TOLERANCE_CHROMA] < 0 ||
        parameters[SMOOTH] < 0 || parameters[SMOOTH] > MAX_SMOOTH || parameters[SMOOTH_DIAGONAL] < 0 ||
        parameters[SMOOTH_DIAGONAL] > MAX_SMOOTH)
        return KERNEL_BAD_SIZE;
    if (!height || !width) return KERNEL_OK;
    ptrdiff_t rows = (height + cell - 1) / cell, cols = (width + cell - 1) / cell;
    Job job = {.rows = rows, .cols = cols, .width = cols * cell, .shown_height = height, .shown_width = width, .cell = cell, .n = n, .alien = n + 1};
    job.y = y, job.cb = cb, job.cr = cr, job.colors = colors, job.p = parameters;
    int status = KERNEL_NO_MEMORY;
    if (reserve(&job)) {
        smalti_border_prices(&job);
        price(&job, parameters[LUMA_VARIANCE], parameters[CHROMA_VARIANCE]);
        tabulate(&job);
        guess(&job);
        if (confirm(&job, counts)) {
            for (int label = 1; label <= n; label++)
                job.newcomer[label] =
                    parameters[NEW_LABEL] + (job.frequency[label] < parameters[RARE_BELOW] ? parameters[RARE_LABEL] : 0);
            settle(&job);
            survey(&job);
            if (parameters[NOISE_LUMA]) sound(&job);
            memset(job.dirty, 1, (size_t)(rows + 2) * (size_t)job.cstride);
            for (int sweep = 0; sweep < parameters[SWEEPS]; sweep++)
                for (size_t i = 0; i < job.phase_start[4]; i++) solve(&job, i);
            finish(&job, positions, counts);
            status = KERNEL_OK;
        }
    }
    release(&job);
    return status;
}
