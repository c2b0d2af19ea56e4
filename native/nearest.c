/* The table of nearest colours: 2**24 cells, built in cubes of 16 levels so that few colours compete in each. */
#include "kernels.h"
#include "scan.h"

#include <stdlib.h>

enum { SIDE = 16 };

typedef struct {
    const uint8_t *colors;
    const void *values;
    size_t value_size;
    int tolerance;
    uint32_t *rivals; /* positions that can win somewhere in the cube, ascending */
    uint32_t *floors; /* each colour's smallest squared distance to the cube */
    void *table;
} nearest_job;

static uint32_t square(int x) { return (uint32_t)(x * x); }

/* Squared distance from a level to the nearest and to the farthest level of lo..lo+15. */
static void reach(int level, int lo, uint32_t *near, uint32_t *far) {
    int below = lo - level, above = level - (lo + SIDE - 1);
    *near += below > 0 ? square(below) : above > 0 ? square(above) : 0;
    int a = level - lo, b = lo + SIDE - 1 - level;
    *far += square(a > b ? a : b);
}

/* A colour whose nearest point is farther than another's farthest point cannot win, not even a tie. */
static size_t choose_rivals(const nearest_job *job, size_t n, int r, int g, int b) {
    uint32_t bound = UINT32_MAX;
    for (size_t i = 0; i < n; i++) {
        const uint8_t *c = job->colors + 3 * i;
        uint32_t near = 0, far = 0;
        reach(c[0], r, &near, &far);
        reach(c[1], g, &near, &far);
        reach(c[2], b, &near, &far);
        job->floors[i] = near;
        if (far < bound) bound = far;
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (job->floors[i] <= bound) job->rivals[kept++] = (uint32_t)i;
    return kept;
}

static uint32_t value_at(const nearest_job *job, size_t i) {
    return job->value_size == 1 ? ((const uint8_t *)job->values)[i] : ((const uint16_t *)job->values)[i];
}

static int apart(int a, int b) { return a > b ? a - b : b - a; }

/* Sixteen cells along blue. Distance and rival share a word, so the smallest word is the nearest, lowest rival. */
CLONES static void nearest_row(const nearest_job *job, size_t rivals, int r, int g, int b) {
    uint64_t best[SIDE];
    for (int k = 0; k < SIDE; k++) best[k] = UINT64_MAX;
    for (size_t i = 0; i < rivals; i++) {
        const uint8_t *c = job->colors + 3 * (size_t)job->rivals[i];
        uint32_t base = square(r - c[0]) + square(g - c[1]);
        for (int k = 0; k < SIDE; k++) {
            uint64_t word = (uint64_t)(base + square(b + k - c[2])) << 32 | i;
            best[k] = word < best[k] ? word : best[k];
        }
    }
    size_t cell = (size_t)r << 16 | (size_t)g << 8 | (size_t)b;
    for (int k = 0; k < SIDE; k++) {
        size_t winner = job->rivals[(uint32_t)best[k]];
        const uint8_t *c = job->colors + 3 * winner;
        int fits = apart(c[0], r) <= job->tolerance && apart(c[1], g) <= job->tolerance &&
                   apart(c[2], b + k) <= job->tolerance;
        uint32_t value = fits ? value_at(job, winner) : 0;
        if (job->value_size == 1) ((uint8_t *)job->table)[cell + (size_t)k] = (uint8_t)value;
        else ((uint16_t *)job->table)[cell + (size_t)k] = (uint16_t)value;
    }
}

int nearest_table(const uint8_t *colors, const void *values, size_t n, size_t value_size, int tolerance, void *table) {
    if (n == 0) {
        memset(table, 0, ((size_t)1 << 24) * value_size);
        return KERNEL_OK;
    }
    nearest_job job = {colors, values, value_size, tolerance, malloc(n * 4), malloc(n * 4), table};
    int status = job.rivals && job.floors ? KERNEL_OK : KERNEL_NO_MEMORY;
    for (int r = 0; status == KERNEL_OK && r < 256; r += SIDE)
        for (int g = 0; g < 256; g += SIDE)
            for (int b = 0; b < 256; b += SIDE) {
                size_t rivals = choose_rivals(&job, n, r, g, b);
                for (int i = 0; i < SIDE * SIDE; i++) nearest_row(&job, rivals, r + i / SIDE, g + i % SIDE, b);
            }
    free(job.rivals);
    free(job.floors);
    return status;
}
