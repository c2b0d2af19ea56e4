/* What the two files of the repair share: the state of one picture, and the cell under examination. */
#ifndef SMALTI_REPAIR_CELL_H
#define SMALTI_REPAIR_CELL_H

#include "repair.h"

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
    ALIEN,
    NOISE_LUMA,
    NOISE_CHROMA,
    VARIANCE_LEAST,
    VARIANCE_MOST
};

enum { MAX_ANCHORS = 3, MAX_CANDIDATES = 4, MAX_RADIUS = 8, CHROMA_STEPS = 1024, FLAT_LUMA = 8, FLAT_CHROMA = 4 };
enum { ALIEN_COST = 48, NO_ENERGY = INT32_MAX, SOUND_EVERY = 4, SOUND_CAP = 900, SOUND_PRIOR = 64, LABELS = 256, MAX_SMOOTH = 4095 };

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
    int32_t *luma_cost; /* 256 rows of LABELS: what a luma sample costs each label */
    int32_t chroma_cost[CHROMA_STEPS], newcomer[LABELS];
    uint64_t border[12]; /* what a ring pixel that differs costs pixels 0 to 3: four lanes of 16 bits */
    int64_t frequency[LABELS];
} Job;

static inline int absolute(int value) { return value < 0 ? -value : value; }
static inline int least(int a, int b) { return a < b ? a : b; }
static inline int most(int a, int b) { return a > b ? a : b; }

/* One cell under examination: four pixels, the ring around them, and what the candidates cost. */
typedef struct {
    int pixels[4], cb, cr, outer_cb, outer_cr, outer, count;
    uint8_t ring[12];
    uint64_t known; /* what the whole ring costs a label that none of it has, in the lanes of `border` */
    uint8_t labels[MAX_CANDIDATES + 1];
    int32_t cost[4][MAX_CANDIDATES + 1];
    int tint_cb[MAX_CANDIDATES + 1], tint_cr[MAX_CANDIDATES + 1];
    int32_t energy;
    uint8_t solution[4];
} Cell;

/* Fill `border` from the parameters. */
void smalti_border_prices(Job *job);

/* The labels that explain cell i of the unsure ones best, by what is known around it now. */
void smalti_examine(const Job *job, Cell *at, size_t i);

#endif
