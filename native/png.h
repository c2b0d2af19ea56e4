/* PNG straight to labels. Only what masks are: no interlace, 8-bit RGB and RGBA, grey and palette of 1 to 16 bits. */
#ifndef SMALTI_PNG_H
#define SMALTI_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "inflate.h"
#include "kernels.h"

/* What went wrong, or why another reader has to do it. png_message() says it in words. */
enum {
    PNG_OK = 0,
    PNG_NO_MEMORY = -1,
    PNG_UNUSUAL = -2, /* not wrong: interlaced, an animation, 16-bit RGB, ... */
    PNG_NOT_PNG = 1,
    PNG_CUT,
    PNG_BAD_HEADER,
    PNG_BAD_CRC,
    PNG_NO_DATA,
    PNG_BAD_STREAM,
    PNG_BAD_SUM,
    PNG_BAD_FILTER,
    PNG_TOO_SHORT,
    PNG_BAD_PALETTE,
};
const char *png_message(int status);

enum { PNG_GREY = 0, PNG_RGB = 2, PNG_PALETTE = 3, PNG_GREY_ALPHA = 4, PNG_RGB_ALPHA = 6 };

typedef struct {
    uint32_t width, height;
    uint8_t bits, color, interlace, transparent; /* transparent: a tRNS chunk is there */
    const uint8_t *palette;
    size_t palette_size;
    const uint8_t *stream; /* the IDAT chunks' bytes; joined when there are several */
    size_t stream_size;
    uint8_t *joined; /* owned, or NULL */
} png_file;

/* Take a file apart, checking every critical chunk's CRC. Nothing is allocated but the joined IDAT bytes. */
int png_open(const uint8_t *data, size_t n, png_file *png);
void png_close(png_file *png);

/* Bytes of one row, its filter byte included. */
size_t png_stride(const png_file *png);

/* How a colour becomes a label. */
typedef enum { LABEL_MAP, LABEL_TABLE, LABEL_DISCOVER } label_mode;

typedef struct {
    label_mode mode;
    colormap map;        /* LABEL_MAP; LABEL_DISCOVER adds to it */
    const void *table;   /* LABEL_TABLE: 2**24 cells */
    uint32_t missing;    /* what the map answers for a stranger: a value that no entry has */
    int met_strangers;
    uint32_t *found;     /* LABEL_DISCOVER: the colours in the order they were met, room for `limit` */
    uint32_t found_count, limit;
} labeler;

/* RGB or RGBA, 8 bits. labels: (height, width) of label_size 1 or 2; alpha: (height, width) or NULL. */
int png_labels(const png_file *png, labeler *how, size_t label_size, void *labels, uint8_t *alpha);

/* What is counted on the way: values that are 0, and those that are `value`. */
typedef struct {
    uint32_t value;
    uint64_t zeros, watched;
} png_tally;

/* Grey or palette. table: NULL for the stored samples, else a cell for every sample. value_size 1, 2, 4 or 8.
 * tally: NULL, or with a table of 1 or 2 bytes what to count. */
int png_indices(const png_file *png, const void *table, size_t value_size, void *out, png_tally *tally);

/* The driver both share: inflate, and call `row` with each row's filter, its bytes and the bytes of the row before. */
typedef int (*png_row)(void *context, uint32_t y, unsigned filter, const uint8_t *bytes, const uint8_t *previous);
int png_rows(const png_file *png, png_row row, void *context);

#endif
