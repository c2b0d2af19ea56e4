/* Labels of a mask video by nearest colour, from the planes as they were decoded. Pictures of one clip hardly differ:
 * a stretch of a row whose samples are those of the picture before keeps its labels; a triple of samples is matched once
 * a clip. */
#include "video.h"

#include <string.h>

#include "kernels.h"
#include "scan.h"

enum { CELL_EXACT = 0x8000, CELL_LABEL = 0x7FFF, MAX_COLORS = 256 };

static int clip8(int value) { return value < 0 ? 0 : value > 255 ? 255 : value; }

/* The legend with each channel for itself, so that many colours are compared at once; and where the bits of a sample stand
 * in the number of a cell, taken in turn from Y, Cb and Cr: what is near in colour is near in memory. */
typedef struct {
    const plane_table *table;
    uint32_t of_y[256], of_cb[256], of_cr[256];
    int32_t red[MAX_COLORS], green[MAX_COLORS], blue[MAX_COLORS];
} matcher;

/* The nearest colour by squared distance, the lower of equals: distance << 8 | position is least. */
CLONES static uint32_t nearest_color(const matcher *legend, int32_t red, int32_t green, int32_t blue) {
    int32_t least = INT32_MAX;
    int32_t n = (int32_t)legend->table->colors;
    for (int32_t k = 0; k < n; k++) {
        int32_t r = red - legend->red[k], g = green - legend->green[k], b = blue - legend->blue[k];
        int32_t rank = (r * r + g * g + b * b) << 8 | k;
        least = rank < least ? rank : least;
    }
    return (uint32_t)least & 255;
}

static int apart(int a, int b) { return a > b ? a - b : b - a; }

/* The label + 1 of a triple, with CELL_EXACT where the colour is a legend's. */
static __attribute__((noinline)) uint16_t match(const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr) {
    const plane_table *table = legend->table;
    int level = table->levels[y];
    int red = clip8(level + table->red_of_cr[cr]);
    int green = clip8(level + (int16_t)((table->green_of_cb[cb] + table->green_of_cr[cr]) >> 16));
    int blue = clip8(level + table->blue_of_cb[cb]);
    uint32_t best = nearest_color(legend, red, green, blue);
    int r = apart(red, legend->red[best]), g = apart(green, legend->green[best]), b = apart(blue, legend->blue[best]);
    int worst = r > g ? r : g;
    if (b > worst) worst = b;
    if (worst > table->limit) return 1;
    return (uint16_t)((table->values[best] + 1) | (worst ? 0 : CELL_EXACT));
}

INLINE uint16_t *cell_of(const matcher *legend, uint32_t y, uint32_t cb, uint32_t cr) {
    return &legend->table->cells[legend->of_y[y] | legend->of_cb[cb] | legend->of_cr[cr]];
}

/* A stretch of a row: SEGMENT luma samples and the chroma beside them, less at the end of a row. */
typedef struct {
    const uint8_t *luma, *blue, *red;
} samples;

INLINE samples samples_at(const uint8_t *const planes[3], const plane_shape *shape, size_t row, size_t column) {
    size_t chroma = row / shape->down * shape->chroma_width + (column >> shape->across_bits);
    return (samples){planes[0] + row * shape->width + column, planes[1] + chroma, planes[2] + chroma};
}

INLINE uint64_t differ8(const uint8_t *a, const uint8_t *b, size_t n) {
    uint64_t x = 0, y = 0;
    memcpy(&x, a, n);
    memcpy(&y, b, n);
    return x ^ y;
}

/* `bits` is known to the compiler. */
INLINE int is_same(samples a, samples b, unsigned bits) {
    uint64_t differ = differ8(a.luma, b.luma, 8) | differ8(a.luma + 8, b.luma + 8, 8);
    size_t chroma = bits ? SEGMENT >> bits : 8;
    differ |= differ8(a.blue, b.blue, chroma) | differ8(a.red, b.red, chroma);
    if (!bits) differ |= differ8(a.blue + 8, b.blue + 8, 8) | differ8(a.red + 8, b.red + 8, 8);
    return !differ;
}

INLINE int is_flat(samples at, unsigned bits) {
    uint64_t luma = at.luma[0] * 0x0101010101010101u, blue = at.blue[0] * 0x0101010101010101u;
    uint64_t red = at.red[0] * 0x0101010101010101u, differ = (load_word(at.luma) ^ luma) | (load_word(at.luma + 8) ^ luma);
    size_t chroma = bits ? SEGMENT >> bits : 8;
    differ |= differ8(at.blue, (const uint8_t *)&blue, chroma) | differ8(at.red, (const uint8_t *)&red, chroma);
    if (!bits) differ |= (load_word(at.blue + 8) ^ blue) | (load_word(at.red + 8) ^ red);
    return !differ;
}

#define CELL_OF(k) cells[pairs[(k) >> bits] | legend->of_y[luma[k]]]

/* The labels of a whole stretch; nobody asks which pixels are like their neighbours, since at a border of what a codec left
 * hardly any are, and a wrong guess costs more than the look. Whether all cells were known; counts: exact, void. */
INLINE int look_up(const matcher *legend, samples at, unsigned bits, uint8_t *labels, uint8_t counts[2]) {
    const uint16_t *cells = legend->table->cells;
    const uint8_t *luma = at.luma;
    uint32_t pairs[SEGMENT];
#pragma GCC unroll 16
    for (size_t k = 0; k < SEGMENT >> bits; k++) pairs[k] = legend->of_cb[at.blue[k]] | legend->of_cr[at.red[k]];
#ifdef __SSE2__
    __m128i half[2];
#pragma GCC unroll 2
    for (size_t n = 0; n < 2; n++) {
        size_t k = 8 * n;
        __m128i v = _mm_cvtsi32_si128(CELL_OF(k));
        v = _mm_insert_epi16(v, CELL_OF(k + 1), 1);
        v = _mm_insert_epi16(v, CELL_OF(k + 2), 2);
        v = _mm_insert_epi16(v, CELL_OF(k + 3), 3);
        v = _mm_insert_epi16(v, CELL_OF(k + 4), 4);
        v = _mm_insert_epi16(v, CELL_OF(k + 5), 5);
        v = _mm_insert_epi16(v, CELL_OF(k + 6), 6);
        half[n] = _mm_insert_epi16(v, CELL_OF(k + 7), 7);
    }
    const __m128i one = _mm_set1_epi16(1), zero = _mm_setzero_si128(), label = _mm_set1_epi16(CELL_LABEL);
    __m128i missing = _mm_or_si128(_mm_cmpeq_epi16(half[0], zero), _mm_cmpeq_epi16(half[1], zero));
    if (UNLIKELY(_mm_movemask_epi8(missing))) return 0;
    __m128i unknown = _mm_packs_epi16(_mm_cmpeq_epi16(half[0], one), _mm_cmpeq_epi16(half[1], one));
    counts[0] = (uint8_t)__builtin_popcount((unsigned)_mm_movemask_epi8(_mm_packs_epi16(half[0], half[1])));
    counts[1] = (uint8_t)__builtin_popcount((unsigned)_mm_movemask_epi8(unknown));
    __m128i low = _mm_sub_epi16(_mm_and_si128(half[0], label), one), high = _mm_sub_epi16(_mm_and_si128(half[1], label), one);
    _mm_storeu_si128((__m128i *)(void *)labels, _mm_packus_epi16(low, high));
    return 1;
#else
    unsigned exact = 0, unknown = 0, missing = 0;
    for (size_t k = 0; k < SEGMENT; k++) {
        uint16_t cell = CELL_OF(k);
        labels[k] = (uint8_t)((cell & CELL_LABEL) - 1);
        exact += cell >> 15;
        unknown += cell == 1;
        missing += cell == 0;
    }
    counts[0] = (uint8_t)exact;
    counts[1] = (uint8_t)unknown;
    return !missing;
#endif
}

/* The same where somebody has to be asked, or for a stretch that is not whole. */
static __attribute__((noinline)) void match_all(const matcher *legend, samples at, size_t wide, unsigned bits,
                                                uint8_t *labels, uint8_t counts[2]) {
    counts[0] = counts[1] = 0;
    for (size_t k = 0; k < wide; k++) {
        uint16_t *cell = cell_of(legend, at.luma[k], at.blue[k >> bits], at.red[k >> bits]);
        if (!*cell) *cell = match(legend, at.luma[k], at.blue[k >> bits], at.red[k >> bits]);
        labels[k] = (uint8_t)((*cell & CELL_LABEL) - 1);
        counts[0] = (uint8_t)(counts[0] + (*cell >> 15));
        counts[1] = (uint8_t)(counts[1] + (*cell == 1));
    }
}

typedef struct {
    const plane_shape *shape;
    const uint8_t *const *planes, *const *before;
    const matcher *legend;
    uint8_t *labels, *counts;
} labelling;

/* One row; returns how many stretches were labelled. */
INLINE size_t label_row(const labelling *job, size_t row, unsigned bits) {
    const plane_shape *shape = job->shape;
    uint8_t *labels = job->labels + row * shape->width, *counts = job->counts + 2 * row * segments(shape->width);
    size_t whole = shape->width / SEGMENT, n = 0;
    for (size_t k = 0; k < whole; k++, counts += 2) {
        samples at = samples_at(job->planes, shape, row, k * SEGMENT);
        if (job->before && is_same(at, samples_at(job->before, shape, row, k * SEGMENT), bits)) continue;
        n++;
        uint16_t cell = is_flat(at, bits) ? *cell_of(job->legend, at.luma[0], at.blue[0], at.red[0]) : 0;
        if (cell) {
            memset(labels + k * SEGMENT, (uint8_t)((cell & CELL_LABEL) - 1), SEGMENT);
            counts[0] = cell >> 15 ? SEGMENT : 0;
            counts[1] = cell == 1 ? SEGMENT : 0;
        } else if (UNLIKELY(!look_up(job->legend, at, bits, labels + k * SEGMENT, counts))) {
            match_all(job->legend, at, SEGMENT, bits, labels + k * SEGMENT, counts);
        }
    }
    size_t rest = shape->width % SEGMENT, column = whole * SEGMENT;
    if (!rest) return n;
    samples at = samples_at(job->planes, shape, row, column);
    if (job->before) {
        samples old = samples_at(job->before, shape, row, column);
        size_t chroma = ((rest - 1) >> bits) + 1;
        if (!memcmp(at.luma, old.luma, rest) && !memcmp(at.blue, old.blue, chroma) && !memcmp(at.red, old.red, chroma))
            return n;
    }
    match_all(job->legend, at, rest, bits, labels + column, counts);
    return n + 1;
}

CLONES static size_t label_rows(const labelling *job) {
    size_t redone = 0;
    unsigned bits = job->shape->across_bits;
    for (size_t row = 0; row < job->shape->height; row++)
        redone += bits == 1 ? label_row(job, row, 1) : bits == 0 ? label_row(job, row, 0) : label_row(job, row, 2);
    return redone;
}

CLONES static void sum_pairs(const uint8_t *counts, size_t pairs, uint64_t sums[2]) {
    enum { STEP = 1 << 12 };
    for (size_t i = 0; i < pairs; i += STEP) {
        uint32_t first = 0, second = 0;
        size_t end = pairs - i < STEP ? pairs : i + STEP;
        for (size_t k = i; k < end; k++) {
            first += counts[2 * k];
            second += counts[2 * k + 1];
        }
        sums[0] += first;
        sums[1] += second;
    }
}

int label_planes(const plane_shape *shape, const uint8_t *const planes[3], const uint8_t *const before[3],
                 const plane_table *table, uint8_t *labels, uint8_t *counts, label_sums *sums) {
    *sums = (label_sums){0};
    if (!table->colors || table->colors > MAX_COLORS) return KERNEL_BAD_SIZE;
    matcher legend = {.table = table};
    for (uint32_t k = 1; k < 256; k++) {
        legend.of_cr[k] = legend.of_cr[k >> 1] << 3 | (k & 1);
        legend.of_cb[k] = legend.of_cr[k] << 1;
        legend.of_y[k] = legend.of_cr[k] << 2;
    }
    for (size_t k = 0; k < table->colors; k++) {
        legend.red[k] = table->rgb[3 * k];
        legend.green[k] = table->rgb[3 * k + 1];
        legend.blue[k] = table->rgb[3 * k + 2];
    }
    labelling job = {shape, planes, before, &legend, labels, counts};
    uint64_t found[2] = {0};
    sums->redone = label_rows(&job);
    sum_pairs(counts, shape->height * segments(shape->width), found);
    sums->exact = found[0];
    sums->unknown = found[1];
    return KERNEL_OK;
}
