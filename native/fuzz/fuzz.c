/* The C alone, under sanitizers: every file named on the command line is read by every PNG kernel, then mutated copies of
 * it, their chunk checksums repaired so that damage reaches the inflater and the rows. The label kernels run on whatever
 * came out. Deterministic: fuzz ITERATIONS SEED FILE... ; with -DSMALTI_LIBFUZZER it is a libFuzzer target instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../groups.h"
#include "../kernels.h"
#include "../png.h"
#include "../polygons.h"
#include "../repair.h"
#include "../third_party/libdeflate/libdeflate.h"
#include "../video.h"

enum { MOST_PIXELS = 1 << 20, MOST_FILE = 1 << 20 };

static uint64_t random_state;

static uint32_t any(uint32_t below) { /* xorshift */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)((random_state >> 11) % below);
}

static void require(int holds, const char *what) {
    if (holds) return;
    fprintf(stderr, "broken promise: %s\n", what);
    abort();
}

static void try_labels(const png_file *png, size_t pixels) {
    static const uint32_t keys[] = {0, 0x0000FF, 0x808000, 0xFFFFFF};
    static const uint16_t wide[] = {1, 2, 3, 65535};
    static const uint8_t narrow[] = {1, 2, 3, 255};
    uint8_t *labels = malloc(2 * pixels), *alpha = malloc(pixels); /* exactly as large as allowed */
    for (size_t size = 1; size <= 2; size++) {
        labeler how = {.mode = LABEL_MAP};
        uint8_t *exact = realloc(labels, size * pixels);
        labels = exact;
        if (colormap_init(&how.map, keys, size == 1 ? (const void *)narrow : wide, 4, size)) abort();
        int status = png_labels(png, &how, size, labels, alpha);
        colormap_free(&how.map);
        if (status == PNG_OK) {
            int64_t *counts = calloc(65536, 8);
            int32_t *boxes = calloc(4 * 65536, 4);
            require(!count_boxes(labels, png->height, png->width, size, counts, boxes, 65536), "labels are in range");
            int64_t sum = 0;
            for (size_t i = 0; i < 65536; i++) sum += counts[i];
            require((size_t)sum == pixels, "every pixel has one label");
            free(counts);
            free(boxes);
        }
    }
    labels = realloc(labels, 2 * pixels);
    labeler how = {.mode = LABEL_DISCOVER, .limit = 1 + any(65535)};
    how.found = malloc(((size_t)how.limit + 1) * 4);
    if (colormap_init(&how.map, NULL, NULL, 0, 2)) abort();
    if (png_labels(png, &how, 2, labels, NULL) == PNG_OK)
        require(largest(labels, pixels, 2) == how.found_count, "discovered colours are numbered without gaps");
    colormap_free(&how.map);
    free(how.found);
    free(labels);
    free(alpha);
}

static void try_indices(const png_file *png, size_t pixels) {
    size_t sample = png->bits == 16 ? 2 : 1, cells = png->bits == 16 ? 65536 : 256;
    void *out = malloc(8 * pixels), *table = calloc(cells, 8);
    out = realloc(out, sample * pixels);
    int status = png_indices(png, NULL, 0, out, NULL);
    if (status == PNG_OK) {
        size_t runs = runs_count(out, pixels, sample);
        void *values = malloc(runs * sample);
        int64_t *lengths = malloc(runs * 8);
        uint8_t *edge = malloc(pixels);
        require(!runs_encode(out, pixels, sample, values, lengths, runs), "runs are counted right");
        require(!runs_decode(values, lengths, runs, sample, out, pixels), "runs come back");
        require(!contour(out, png->height, png->width, sample, edge), "contour");
        free(values);
        free(lengths);
        free(edge);
    }
    for (size_t size = 1; size <= 8; size *= 2) {
        out = realloc(out, size * pixels);
        png_tally tally = {.value = 1};
        require(png_indices(png, table, size, out, NULL) == status, "a table changes nothing about the file");
        if (size > 2) continue;
        require(png_indices(png, table, size, out, &tally) == status, "nor does counting");
        require(status || (tally.zeros == pixels && !tally.watched), "a table of zeros gives zeros");
    }
    free(out);
    free(table);
}

static int read_one(const uint8_t *data, size_t n) {
    uint8_t *exact = malloc(n ? n : 1); /* so that one byte too far is seen */
    memcpy(exact, data, n);
    png_file png;
    int status = png_open(exact, n, &png);
    if (status == PNG_OK && (uint64_t)png.width * png.height <= MOST_PIXELS) {
        try_labels(&png, (size_t)png.width * png.height);
        try_indices(&png, (size_t)png.width * png.height);
    }
    png_close(&png);
    free(exact);
    return status;
}

static uint32_t big32(const uint8_t *p) { return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]; }

/* Make every chunk's checksum true again, as far as the lengths lead. */
static void repair_checksums(uint8_t *data, size_t n) {
    for (size_t at = 8; at + 12 <= n;) {
        size_t size = big32(data + at);
        if (size > n - at - 12) return;
        uint32_t sum = libdeflate_crc32(0, data + at + 4, size + 4);
        uint8_t *p = data + at + 8 + size;
        p[0] = (uint8_t)(sum >> 24), p[1] = (uint8_t)(sum >> 16), p[2] = (uint8_t)(sum >> 8), p[3] = (uint8_t)sum;
        at += size + 12;
    }
}

static size_t mutate(uint8_t *data, size_t n) {
    for (uint32_t k = 1 + any(4); k && n > 8; k--) {
        size_t at = any(4) ? any((uint32_t)n) : 16 + any(17); /* now and then the header */
        if (at >= n) continue;
        switch (any(5)) {
            case 0: data[at] ^= (uint8_t)(1u << any(8)); break;
            case 1: data[at] = (uint8_t)any(256); break;
            case 2: data[at] = any(2) ? 0 : 255; break;
            case 3: {
                size_t length = 1 + any(16), from = any((uint32_t)n);
                if (at + length <= n && from + length <= n) memmove(data + at, data + from, length);
                break;
            }
            default:
                if (!any(8)) n = at ? at : n;
        }
    }
    if (any(4)) repair_checksums(data, n);
    return n;
}

#ifdef SMALTI_LIBFUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    random_state = n + 1;
    repair_checksums(copy, n);
    read_one(copy, n);
    free(copy);
    return 0;
}
#else

/* Noise through the repair of lossy masks: it has no format, only sizes. */
static void try_repair(void) {
    static const int32_t usual[20] = {5, 5, 5, 4, 45, 40, 800, 800, 24, 17, 192, 100, 5, 4, 4, 24, 40, 16, 12, 250};
    int32_t parameters[SMALTI_REPAIR_PARAMETERS];
    for (size_t i = 0; i < SMALTI_REPAIR_PARAMETERS; i++) parameters[i] = usual[i];
    ptrdiff_t height = any(40), width = any(40);
    int cell = 1 + (int)any(2), n = 1 + (int)any(254);
    ptrdiff_t rows = (height + cell - 1) / cell, cols = (width + cell - 1) / cell;
    size_t luma = (size_t)(rows * cols * cell * cell), chroma = (size_t)(rows * cols);
    uint8_t *y = malloc(luma + 1), *cb = malloc(chroma + 1), *cr = malloc(chroma + 1), *colors = malloc(3 * (size_t)n);
    uint8_t *positions = malloc((size_t)(height * width) + 1);
    uint32_t levels = 1 + any(256);
    for (size_t i = 0; i < luma; i++) y[i] = (uint8_t)any(levels);
    for (size_t i = 0; i < chroma; i++) cb[i] = (uint8_t)any(levels), cr[i] = (uint8_t)any(levels);
    for (size_t i = 0; i < 3 * (size_t)n; i++) colors[i] = (uint8_t)any(levels);
    int64_t counts[SMALTI_REPAIR_COUNTS];
    require(!smalti_repair(y, cb, cr, height, width, cell, colors, n, parameters, positions, counts), "repair");
    for (ptrdiff_t i = 0; i < height * width; i++) require(positions[i] <= n, "repaired positions are in range");
    free(y), free(cb), free(cr), free(colors), free(positions);
}

/* A map through tiles and back, whole and a box; then damaged tiles and offsets, their checksums made true again. */
static void try_tiles(void) {
    static const size_t sizes[] = {1, 2, 4};
    size_t size = sizes[any(3)], hw[2] = {1 + any(70), 1 + any(70)}, tile = 1 + any(40), n = hw[0] * hw[1];
    size_t tiles = ((hw[0] + tile - 1) / tile) * ((hw[1] + tile - 1) / tile), room = tiles * 2 + n * size;
    uint8_t *map = malloc(n * size), *packed = malloc(room);
    uint32_t *offsets = malloc((tiles + 1) * 4), *sums = malloc(tiles * 4), levels = 1 + any(255), flat = 1 + any(60);
    for (size_t i = 0; i < n * size; i++) map[i] = any(flat) || i < size ? (i < size ? 0 : map[i - size]) : (uint8_t)any(levels);
    require(!tiles_pack(map, hw, tile, size, packed, room, offsets, sums, tiles), "tiles are packed");
    size_t used = offsets[tiles];
    packed = realloc(packed, used);
    size_t x = any((uint32_t)hw[1]), y = any((uint32_t)hw[0]);
    size_t box[4] = {x, y, 1 + any((uint32_t)(hw[1] - x)), 1 + any((uint32_t)(hw[0] - y))}, area = box[2] * box[3];
    uint8_t *out = malloc(area * size);
    require(!tiles_unpack(packed, used, 0, offsets, sums, tiles, hw, tile, box, size, out), "tiles are unpacked");
    for (size_t row = 0; row < box[3]; row++)
        require(!memcmp(out + row * box[2] * size, map + ((y + row) * hw[1] + x) * size, box[2] * size), "the same labels");
    for (uint32_t k = any(6); k; k--) packed[any((uint32_t)used)] = (uint8_t)any(256);
    if (!any(3)) offsets[any((uint32_t)tiles + 1)] = any((uint32_t)used + 9);
    for (size_t k = 0; k < tiles; k++)
        if (offsets[k] <= offsets[k + 1] && offsets[k + 1] <= used)
            sums[k] = libdeflate_crc32(0, packed + offsets[k], offsets[k + 1] - offsets[k]);
    size_t base = any(2) ? 0 : any((uint32_t)used + 1);
    tiles_unpack(packed + base, used - base, base, offsets, sums, tiles, hw, tile, box, size, out);
    free(map), free(packed), free(offsets), free(sums), free(out);
}

/* Two pictures of a video, the second a change of the first: labels of both ways are the same. */
static void try_planes(uint16_t *cells) {
    static int16_t levels[256], red[256], blue[256];
    static int32_t green_cb[256], green_cr[256];
    for (int k = 0; k < 256; k++) {
        levels[k] = (int16_t)k, red[k] = (int16_t)(k - 128), blue[k] = (int16_t)(128 - k);
        green_cb[k] = (k - 128) * 20000, green_cr[k] = (128 - k) * 30000;
    }
    unsigned bits = any(3), down = 1u << any(3);
    plane_shape shape = {1 + any(40), 1 + any(80), 0, down, 1u << bits, bits};
    size_t chroma_height = (shape.height + down - 1) / down, n = shape.height * shape.width;
    shape.chroma_width = (shape.width + shape.across - 1) / shape.across;
    size_t plane_sizes[3] = {n, chroma_height * shape.chroma_width, chroma_height * shape.chroma_width};
    uint8_t *first[3], *second[3], rgb[3 * 256], values[256];
    size_t colors = 1 + any(255), counted = 2 * shape.height * segments(shape.width);
    uint32_t spread = 1 + any(256);
    for (int k = 0; k < 3; k++) {
        first[k] = malloc(plane_sizes[k]), second[k] = malloc(plane_sizes[k]);
        for (size_t i = 0; i < plane_sizes[k]; i++) first[k][i] = (uint8_t)any(spread);
        memcpy(second[k], first[k], plane_sizes[k]);
        for (uint32_t c = any(5); c; c--) second[k][any((uint32_t)plane_sizes[k])] = (uint8_t)any(256);
    }
    for (size_t k = 0; k < 3 * colors; k++) rgb[k] = (uint8_t)any(256);
    for (size_t k = 0; k < colors; k++) values[k] = (uint8_t)k;
    memset(cells, 0, sizeof *cells << 24);
    plane_table table = {levels, red, blue, green_cb, green_cr, rgb, values, colors, (int)any(256), cells};
    uint8_t *labels = malloc(n), *again = malloc(n), *counts = calloc(counted, 1), *fresh = calloc(counted, 1);
    label_sums one, two;
    const uint8_t *const *a = (const uint8_t *const *)first, *const *b = (const uint8_t *const *)second;
    require(!label_planes(&shape, a, NULL, &table, labels, counts, &one), "planes are labelled");
    require(!label_planes(&shape, b, a, &table, labels, counts, &one), "changed planes are labelled");
    require(!label_planes(&shape, b, NULL, &table, again, fresh, &two), "and labelled anew");
    require(!memcmp(labels, again, n) && one.exact == two.exact && one.unknown == two.unknown, "both ways agree");
    for (int k = 0; k < 3; k++) free(first[k]), free(second[k]);
    free(labels), free(again), free(counts), free(fresh);
}

static void try_polygons(void) {
    size_t rings = any(5), groups = 1 + any(4);
    int64_t begins[6] = {0}, marks[6] = {0}, ends[6], size_hw[2] = {any(50), any(50)}, reach = any(2) ? 60 : 2000;
    for (size_t k = 0; k < rings; k++) begins[k + 1] = begins[k] + any(9);
    for (size_t k = 0; k < groups; k++) marks[k + 1] = marks[k] + any((uint32_t)(rings - (size_t)marks[k]) + 1);
    marks[groups] = (int64_t)rings;
    size_t n = (size_t)begins[rings];
    int64_t *points = malloc(2 * n * sizeof *points + 1);
    for (size_t k = 0; k < 2 * n; k++) points[k] = (int64_t)any((uint32_t)reach) - reach / 3;
    if (n && !any(20)) points[any((uint32_t)(2 * n))] = INT64_MIN;
    if (!any(20)) begins[any((uint32_t)rings + 1)] = (int64_t)any(90) - 20;
    ring_edges_found found;
    int closes = (int)any(2), status = ring_edges(points, n, begins, rings, marks, groups, size_hw, closes, ends, &found);
    for (size_t k = 0, at = 0; k < groups && !status; at = (size_t)ends[k++])
        for (; at + 1 < (size_t)ends[k]; at++) require(found.edges[at] < found.edges[at + 1], "edges rise");
    free(found.edges);
    free(points);
}

static void try_texts(const uint8_t *bytes, size_t n, const int64_t *offsets, size_t texts) {
    int32_t short_offsets[41];
    uint32_t codes[60], count = any(60);
    size_t room = 0, distinct = 0, at = 0;
    int64_t firsts[40];
    uint32_t numbers[40];
    for (size_t k = 0; k <= texts; k++) short_offsets[k] = (int32_t)offsets[k];
    groups_of all = {bytes, n, 1, short_offsets, 4, texts};
    int status = number_groups(&all, numbers, firsts, &distinct);
    for (uint32_t i = 0; i < count; i++) codes[i] = any((uint32_t)texts + (!texts || !any(30)));
    for (uint32_t i = 0; i < count; i++)
        if (codes[i] < texts) room += (size_t)(short_offsets[codes[i] + 1] - short_offsets[codes[i]]) % 4096;
    uint8_t *out = malloc(room + 1);
    if (!take_texts(&all, codes, count, out, room) && !status)
        for (uint32_t i = 0; i < count; i++) {
            size_t size = (size_t)(short_offsets[codes[i] + 1] - short_offsets[codes[i]]);
            require(!memcmp(out + at, bytes + short_offsets[codes[i]], size), "texts are taken");
            at += size;
        }
    free(out);
}

/* Groups as sets and as numbers, and their bytes one after another; now and then an offset that leads out. */
static void try_groups(void) {
    size_t groups = any(40), n = 0, distinct = 0;
    uint32_t spread = 1 + any(9);
    int64_t offsets[41] = {0}, ends[41], firsts[40];
    for (size_t k = 0; k < groups; k++) offsets[k + 1] = offsets[k] + any(any(8) ? 4 : 60);
    n = (size_t)offsets[groups];
    uint32_t *codes = malloc(n * sizeof *codes + 1), *sets = malloc(n * sizeof *sets + 1), numbers[40];
    for (size_t i = 0; i < n; i++) codes[i] = any(spread);
    if (!any(8)) offsets[any((uint32_t)groups + 1)] = (int64_t)any(200) - 50;
    groups_of all = {(const uint8_t *)codes, n, sizeof *codes, offsets, 8, groups};
    if (!group_sets(&all, sets, ends))
        for (size_t k = 0; k < groups; k++)
            for (int64_t i = ends[k]; i + 1 < ends[k + 1]; i++) require(sets[i] < sets[i + 1], "sets rise");
    if (!number_groups(&all, numbers, firsts, &distinct))
        for (size_t k = 0; k < groups; k++) {
            int64_t first = firsts[numbers[k]], size = offsets[k + 1] - offsets[k];
            require(numbers[k] < distinct && offsets[first + 1] - offsets[first] == size, "numbers are known");
            require(!memcmp(codes + offsets[first], codes + offsets[k], (size_t)size * sizeof *codes), "equal groups");
        }
    free(sets);
    try_texts((const uint8_t *)codes, n, offsets, groups);
    free(codes);
}

int main(int argc, char **argv) {
    if (argc < 4) return fprintf(stderr, "usage: fuzz ITERATIONS SEED FILE...\n"), 2;
    uint32_t iterations = (uint32_t)strtoul(argv[1], NULL, 10);
    random_state = strtoull(argv[2], NULL, 10) * 0x9E3779B97F4A7C15u + 1;
    uint8_t *data = malloc(MOST_FILE), *copy = malloc(MOST_FILE);
    size_t files = 0, read = 0, tried = 0, passed = 0;
    for (int i = 3; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (!file) return perror(argv[i]), 2;
        size_t n = fread(data, 1, MOST_FILE, file);
        fclose(file);
        files++;
        read += read_one(data, n) == PNG_OK;
        for (uint32_t k = 0; k < iterations / (uint32_t)(argc - 3) && n < 20000; k++, tried++) {
            memcpy(copy, data, n);
            passed += read_one(copy, mutate(copy, n)) == PNG_OK;
        }
    }
    for (uint32_t k = 0; k < iterations / 100; k++) try_repair();
    for (uint32_t k = 0; k < iterations / 4; k++) try_tiles(), try_polygons(), try_groups();
    uint16_t *cells = malloc(sizeof *cells << 24);
    for (uint32_t k = 0; k < iterations / 400; k++) try_planes(cells);
    free(cells);
    free(data);
    free(copy);
    printf("%zu files (%zu opened), %zu mutations (%zu opened): no fault\n", files, read, tried, passed);
    return 0;
}
#endif
