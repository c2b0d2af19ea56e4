/* Grey and palette rows: samples as stored, or through a table, in the same pass. Nothing is expanded to colours. */
#include "png.h"
#include "png_paeth.h"
#include "scan.h"

#include <stdlib.h>

typedef struct {
    const void *table;
    uint8_t *out;
    uint8_t *bytes;  /* the row as stored, unfiltered, bits < 16 */
    uint16_t *words; /* the same for 16 bits */
    size_t width, stored, value_size, out_stride; /* pixels; bytes of a stored row; of a value; of a row of values */
    unsigned bits, filter;
    uint8_t *unpacked; /* bits < 8: one byte a pixel */
    uint8_t *before;   /* NULL, or with a table: the stored bytes of the row above */
    png_tally *tally;  /* or NULL */
    size_t zeros, watched; /* in the row above */
} index_rows;

#define CONTEXT index_rows
#define ON_FILL(x, e, p) (void)0
#define ON_PIXEL(x, p) (void)0
#define FILL(row, x, e, p) for (size_t at_ = x; at_ < (e); at_++) (row)[at_] = p

INLINE uint8_t load1(const uint8_t *p) { return *p; }
INLINE uint16_t load2(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }

#define UNFILTER unfilter1
#define PIXEL uint8_t
#define BYTES 1
#define LOAD load1
#define PAETH paeth_byte
#include "unfilter.h"
#undef UNFILTER
#undef PIXEL
#undef BYTES
#undef LOAD
#undef PAETH
#define UNFILTER unfilter2
#define PIXEL uint16_t
#define BYTES 2
#define LOAD load2
#define PAETH paeth_pair
#include "unfilter.h"

CLONES static void add_rows(uint8_t *row, const uint8_t *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) row[i] = (uint8_t)(row[i] + bytes[i]);
}

static void unfilter_bytes(index_rows *rows, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    size_t n = rows->stored;
    if (filter == 0) memcpy(rows->bytes, bytes, n);
    else if (filter == 2) add_rows(rows->bytes, bytes, n);
    else unfilter1_row(rows, filter, bytes, previous, rows->bytes, n);
}

CLONES static void swap_words(const uint16_t *words, uint16_t *out, size_t n) {
    for (size_t x = 0; x < n; x++) out[x] = (uint16_t)(words[x] << 8 | words[x] >> 8);
}

/* bits 1, 2 or 4: the leftmost pixel is in the highest bits */
static void unpack_bits(const uint8_t *bytes, size_t width, unsigned bits, uint8_t *out) {
    unsigned each = 8 / bits, mask = (1u << bits) - 1;
    size_t x = 0;
    for (; x + each <= width; bytes++)
        for (unsigned shift = 8; shift; x++) out[x] = (uint8_t)(*bytes >> (shift -= bits) & mask);
    for (unsigned shift = 8; x < width; x++) out[x] = (uint8_t)(*bytes >> (shift -= bits) & mask);
}

/* Pixels from..end of the row through the table; 8 or 16 bits. */
static int emit_part(index_rows *rows, size_t from, size_t end) {
    void *out = rows->out + from * rows->value_size;
    if (rows->bits == 8)
        return lookup(rows->bytes + from, end - from, 1, rows->table, 256, rows->value_size, out) ? PNG_UNUSUAL : PNG_OK;
    uint16_t *samples = (uint16_t *)(void *)rows->unpacked;
    swap_words(rows->words + from, samples, end - from);
    return lookup(samples, end - from, 2, rows->table, 65536, rows->value_size, out) ? PNG_UNUSUAL : PNG_OK;
}

/* Most of a mask's row equals the row above: values are copied, and only blocks that changed ask the table. */
static int emit_changed(index_rows *rows) {
    enum { BLOCK = 64 };
    size_t size = rows->bits / 8, n = rows->stored;
    int status = PNG_OK;
    memcpy(rows->out, rows->out - rows->out_stride, rows->out_stride);
    for (size_t i = 0; status == PNG_OK; ) {
        i += same_bytes(rows->bytes + i, rows->before + i, n - i);
        if (i >= n) break;
        size_t from = i / BLOCK * BLOCK, end = from + BLOCK < n ? from + BLOCK : n;
        status = emit_part(rows, from / size, end / size);
        i = end;
    }
    return status;
}

static int emit(index_rows *rows, uint32_t y) {
    size_t width = rows->width;
    if (rows->bits < 8) {
        uint8_t *unpacked = rows->table ? rows->unpacked : rows->out;
        unpack_bits(rows->bytes, width, rows->bits, unpacked);
        if (!rows->table) return PNG_OK;
        return lookup(unpacked, width, 1, rows->table, 256, rows->value_size, rows->out) ? PNG_UNUSUAL : PNG_OK;
    }
    if (rows->table) return rows->before && y ? emit_changed(rows) : emit_part(rows, 0, width);
    if (rows->bits == 8) memcpy(rows->out, rows->bytes, width);
    else swap_words(rows->words, (uint16_t *)(void *)rows->out, width);
    return PNG_OK;
}

/* One row's values that are 0, and those that are `watched`; in steps that a value's own width can count. */
#define TALLY(NAME, T, STEP)                                                                     \
    CLONES static void NAME(const T *values, size_t n, T watched, size_t found[2]) {             \
        for (size_t i = 0; i < n; i += STEP) {                                                   \
            T zeros = 0, seen = 0;                                                               \
            size_t m = n - i < STEP ? n - i : STEP;                                              \
            for (size_t k = 0; k < m; k++) {                                                     \
                zeros = (T)(zeros + (values[i + k] == 0));                                       \
                seen = (T)(seen + (values[i + k] == watched));                                   \
            }                                                                                    \
            found[0] += zeros;                                                                   \
            found[1] += seen;                                                                    \
        }                                                                                        \
    }
TALLY(tally1, uint8_t, 128)
TALLY(tally2, uint16_t, 32768)

static void tally_row(index_rows *rows) {
    size_t found[2] = {0, 0};
    if (rows->value_size == 1) tally1(rows->out, rows->width, (uint8_t)rows->tally->value, found);
    else tally2((const uint16_t *)(const void *)rows->out, rows->width, (uint16_t)rows->tally->value, found);
    rows->zeros = found[0];
    rows->watched = found[1];
}

static int index_row(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous) {
    index_rows *rows = context;
    size_t stored = rows->stored;
    int kept; /* the row equals the one above */
    if (filter > 1 || filter != rows->filter) previous = NULL;
    if (filter <= 1) kept = previous && bytes[0] == previous[0] && same_bytes(bytes, previous, stored) == stored;
    else kept = filter != 3 && y && bytes[0] == 0 && zero_bytes(bytes, stored) == stored;
    rows->filter = filter;
    int status = PNG_OK;
    if (kept) {
        memcpy(rows->out, rows->out - rows->out_stride, rows->out_stride);
    } else {
        if (rows->before && y) memcpy(rows->before, rows->bytes, stored);
        if (rows->bits == 16) unfilter2_row(rows, filter, bytes, previous, rows->words, rows->width);
        else unfilter_bytes(rows, filter, bytes, previous);
        status = emit(rows, y);
        if (rows->tally) tally_row(rows);
    }
    if (rows->tally) {
        rows->tally->zeros += rows->zeros;
        rows->tally->watched += rows->watched;
    }
    rows->out += rows->out_stride;
    return status;
}

int png_indices(const png_file *png, const void *table, size_t value_size, void *out, png_tally *tally) {
    if (tally && (!table || value_size > 2)) return PNG_UNUSUAL;
    if (png->interlace || (png->color != PNG_GREY && png->color != PNG_PALETTE)) return PNG_UNUSUAL;
    index_rows rows = {.table = table, .out = out, .width = png->width, .bits = png->bits, .filter = 5, .tally = tally};
    rows.stored = png_stride(png) - 1;
    rows.value_size = table ? value_size : png->bits == 16 ? 2 : 1;
    rows.out_stride = rows.width * rows.value_size;
    uint16_t *row = calloc(rows.stored / 2 + 1, 2), *unpacked = malloc(rows.width * 2);
    /* Where all bytes are looked up at once, finding those that changed would take longer. */
    int compares = table && png->bits >= 8 && !(png->bits == 8 && value_size == 1 && looks_up_wide());
    rows.before = compares ? malloc(rows.stored) : NULL;
    rows.bytes = (uint8_t *)row;
    rows.words = row;
    rows.unpacked = (uint8_t *)unpacked;
    int status = row && unpacked && (rows.before || !compares) ? png_rows(png, index_row, &rows) : PNG_NO_MEMORY;
    free(row);
    free(unpacked);
    free(rows.before);
    return status;
}
