/* Inflate a zlib stream through a window: rows are used while they are in the cache, and no whole picture is held. */
#ifndef SMALTI_INFLATE_H
#define SMALTI_INFLATE_H

#include <stddef.h>
#include <stdint.h>

enum { INFLATE_OK = 0, INFLATE_BAD = 1, INFLATE_TOO_MUCH = 2, INFLATE_BAD_SUM = 3, INFLATE_STOPPED = 4 };

enum { INFLATE_HISTORY = 32768, INFLATE_SLACK = 1024 };

/* Called with the bytes from `from` to `to`, which no call before has used up. Returns where unused bytes begin, at
 * least `from` and at most `to`, or NULL to stop. Up to `keep_behind` used bytes before that stay readable. */
typedef uint8_t *(*inflate_consumer)(void *context, uint8_t *from, uint8_t *to);

struct inflate_window {
    uint8_t *base, *limit; /* the buffer; reads of up to INFLATE_SLACK bytes past limit are allowed */
    uint8_t *fresh;        /* from here on not yet in the checksum */
    uint8_t *unused;       /* from here on not yet used by the consumer */
    uint8_t *end;          /* set when the stream has ended */
    size_t keep_behind;
    uint32_t sum;
    inflate_consumer consumer;
    void *context;
};

/* The state of one inflater; kept between calls by its owner, freed with inflate_free. */
struct libdeflate_decompressor;
struct libdeflate_decompressor *inflate_alloc(void);
void inflate_free(struct libdeflate_decompressor *state);

int inflate_zlib(struct libdeflate_decompressor *state, const uint8_t *in, size_t n, struct inflate_window *window);

#endif
