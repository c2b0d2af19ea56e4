/* The container: chunks checked and bounded before anything is allocated, and rows served as the stream inflates. */
#include "png.h"
#include "scan.h"

#include <stdlib.h>

#include "third_party/libdeflate/libdeflate.h"

static const char *const MESSAGES[] = {
    [PNG_NOT_PNG] = "not a PNG: the signature is missing",
    [PNG_CUT] = "the PNG is cut off inside a chunk",
    [PNG_BAD_HEADER] = "the PNG header is damaged",
    [PNG_BAD_CRC] = "a PNG chunk does not match its checksum",
    [PNG_NO_DATA] = "the PNG has no image data",
    [PNG_BAD_STREAM] = "the PNG image data cannot be inflated",
    [PNG_BAD_SUM] = "the PNG image data does not match its checksum",
    [PNG_BAD_FILTER] = "a PNG row has a filter type that does not exist",
    [PNG_TOO_SHORT] = "the PNG image data ends before the last row",
    [PNG_BAD_PALETTE] = "the PNG palette is missing or damaged",
};

const char *png_message(int status) {
    size_t known = sizeof MESSAGES / sizeof *MESSAGES;
    return status > 0 && (size_t)status < known ? MESSAGES[status] : "the PNG cannot be read";
}

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#define CHUNK(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

enum { SIGNATURE_SIZE = 8, CHUNK_EXTRA = 12, MAX_CHUNKS = 1 << 20 };

/* Deflate gives at most 1032 bytes for one: a header that claims more lies. */
enum { MAX_RATIO = 1032 };

static int read_header(const uint8_t *body, size_t size, png_file *png) {
    if (size != 13) return PNG_BAD_HEADER;
    png->width = big32(body);
    png->height = big32(body + 4);
    png->bits = body[8];
    png->color = body[9];
    png->interlace = body[12];
    if (!png->width || !png->height || (png->width | png->height) >> 31) return PNG_BAD_HEADER;
    if (body[10] || body[11] || png->interlace > 1) return PNG_BAD_HEADER;
    int power = png->bits == 1 || png->bits == 2 || png->bits == 4 || png->bits == 8;
    switch (png->color) {
        case PNG_GREY: return power || png->bits == 16 ? PNG_OK : PNG_BAD_HEADER;
        case PNG_PALETTE: return power ? PNG_OK : PNG_BAD_HEADER;
        case PNG_RGB:
        case PNG_GREY_ALPHA:
        case PNG_RGB_ALPHA: return png->bits == 8 || png->bits == 16 ? PNG_OK : PNG_BAD_HEADER;
        default: return PNG_BAD_HEADER;
    }
}

size_t png_stride(const png_file *png) {
    size_t channels = png->color == PNG_RGB ? 3 : png->color == PNG_RGB_ALPHA ? 4 : png->color == PNG_GREY_ALPHA ? 2 : 1;
    return 1 + ((size_t)png->width * channels * png->bits + 7) / 8;
}

typedef struct {
    const uint8_t *first;
    size_t first_size, total, count;
    int ended; /* a chunk of another type came after the data */
} idat_list;

/* One chunk. Ancillary chunks are skipped unread; a critical one that nobody knows is for another reader. */
static int read_chunk(uint32_t type, const uint8_t *body, size_t size, png_file *png, idat_list *idat) {
    if (type == CHUNK('I', 'D', 'A', 'T')) {
        if (idat->ended) return PNG_UNUSUAL;
        if (!idat->count++) {
            idat->first = body;
            idat->first_size = size;
        }
        idat->total += size;
        return PNG_OK;
    }
    idat->ended = idat->count > 0;
    switch (type) {
        case CHUNK('I', 'H', 'D', 'R'): return PNG_BAD_HEADER;
        case CHUNK('P', 'L', 'T', 'E'):
            if (size % 3 || size > 768 || !size) return png->color == PNG_PALETTE ? PNG_BAD_PALETTE : PNG_UNUSUAL;
            if (idat->count || png->palette) return PNG_UNUSUAL;
            png->palette = body;
            png->palette_size = size / 3;
            return PNG_OK;
        case CHUNK('t', 'R', 'N', 'S'): png->transparent = 1; return PNG_OK;
        case CHUNK('a', 'c', 'T', 'L'): return PNG_UNUSUAL;
        default: return type >> 29 & 1 ? PNG_OK : PNG_UNUSUAL;
    }
}

/* All IDAT bodies behind each other; they were checked when they were counted. */
static int join_idat(const uint8_t *data, size_t n, const idat_list *idat, png_file *png) {
    if (idat->count == 1) {
        png->stream = idat->first;
        png->stream_size = idat->first_size;
        return PNG_OK;
    }
    png->joined = malloc(idat->total ? idat->total : 1);
    if (!png->joined) return PNG_NO_MEMORY;
    size_t at = (size_t)(idat->first - 8 - data), filled = 0;
    for (size_t k = 0; k < idat->count && at + CHUNK_EXTRA <= n; k++) {
        size_t size = big32(data + at);
        memcpy(png->joined + filled, data + at + 8, size);
        filled += size;
        at += size + CHUNK_EXTRA;
    }
    png->stream = png->joined;
    png->stream_size = filled;
    return PNG_OK;
}

int png_open(const uint8_t *data, size_t n, png_file *png) {
    static const uint8_t signature[SIGNATURE_SIZE] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    *png = (png_file){0};
    if (n < SIGNATURE_SIZE || memcmp(data, signature, SIGNATURE_SIZE) != 0) return PNG_NOT_PNG;
    idat_list idat = {0};
    size_t at = SIGNATURE_SIZE, chunks = 0;
    for (uint32_t type = 0; type != CHUNK('I', 'E', 'N', 'D'); chunks++) {
        if (n - at < CHUNK_EXTRA) return idat.count ? PNG_UNUSUAL : PNG_CUT; /* only the end mark missing? */
        size_t size = big32(data + at);
        const uint8_t *body = data + at + 8;
        type = big32(data + at + 4);
        if (size > n - at - CHUNK_EXTRA) return PNG_CUT;
        int critical = !(type >> 29 & 1) || type == CHUNK('t', 'R', 'N', 'S');
        if (critical && libdeflate_crc32(0, body - 4, size + 4) != big32(body + size)) return PNG_BAD_CRC;
        if (chunks > MAX_CHUNKS) return PNG_UNUSUAL;
        int status = PNG_OK;
        if (!chunks) status = type == CHUNK('I', 'H', 'D', 'R') ? read_header(body, size, png) : PNG_BAD_HEADER;
        else if (type != CHUNK('I', 'E', 'N', 'D')) status = read_chunk(type, body, size, png, &idat);
        if (status) return status;
        at += size + CHUNK_EXTRA;
    }
    if (!idat.count) return PNG_NO_DATA;
    if (png->color == PNG_PALETTE && !png->palette) return PNG_BAD_PALETTE;
    if (png_stride(png) * (uint64_t)png->height / MAX_RATIO > idat.total && !png->interlace) return PNG_TOO_SHORT;
    return join_idat(data, n, &idat, png);
}

void png_close(png_file *png) {
    free(png->joined);
    png->joined = NULL;
}

/* ---- rows ---- */

typedef struct {
    png_row row;
    void *context;
    size_t stride;
    uint32_t y, height;
    int status;
    uint8_t *previous; /* the row before, where it still lies in the window; else NULL */
} row_server;

static uint8_t *serve_rows(void *context, uint8_t *from, uint8_t *to) {
    row_server *server = context;
    const uint8_t *previous = server->y ? from - server->stride : NULL;
    while ((size_t)(to - from) >= server->stride) {
        if (server->y == server->height) break;
        if (from[0] > 4) server->status = PNG_BAD_FILTER;
        else server->status = server->row(server->context, server->y, from[0], from + 1, previous ? previous + 1 : NULL);
        if (server->status) return NULL;
        previous = from;
        from += server->stride;
        server->y++;
    }
    if (server->y == server->height && from != to) { /* more than the header says: others may be lenient */
        server->status = PNG_UNUSUAL;
        return NULL;
    }
    return from;
}

int png_rows(const png_file *png, png_row row, void *context) {
    row_server server = {.row = row, .context = context, .stride = png_stride(png), .height = png->height};
    /* History for the matches, the row before and the one that is not complete yet, and 64 KiB to work in. */
    size_t rows = 2 * server.stride, capacity = INFLATE_HISTORY + rows + 65536;
    struct libdeflate_decompressor *state = inflate_alloc();
    uint8_t *base = malloc(capacity + INFLATE_SLACK);
    int status = PNG_NO_MEMORY;
    if (state && base) {
        struct inflate_window window = {
            .base = base, .limit = base + capacity, .keep_behind = server.stride, .consumer = serve_rows, .context = &server};
        int inflated = inflate_zlib(state, png->stream, png->stream_size, &window);
        status = server.status               ? server.status
                 : inflated == INFLATE_OK    ? (server.y == server.height ? PNG_OK : PNG_TOO_SHORT)
                 : inflated == INFLATE_TOO_MUCH ? PNG_TOO_SHORT /* a row began and did not end */
                 : inflated == INFLATE_BAD_SUM  ? PNG_BAD_SUM
                                                : PNG_BAD_STREAM;
    }
    inflate_free(state);
    free(base);
    return status;
}
