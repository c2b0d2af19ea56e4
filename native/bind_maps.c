/* The kernels of kept label maps and of mask videos for Python: kernels/tiles.py and kernels/video.py check and allocate. */
#include "bind_maps.h"
#include "binding.h"
#include "kernels.h"
#include "video.h"

static PyObject *finish(Py_buffer *views, size_t n, int status) {
    release(views, n);
    return result_of(status);
}

static int is_label(const Py_buffer *view) { return view->itemsize == 1 || view->itemsize == 2 || view->itemsize == 4; }

/* map, height, width, tile, out, offsets, sums */
PyObject *py_tiles_pack(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    Py_ssize_t height, width, tile;
    if (!PyArg_ParseTuple(args, "y*nnnw*w*w*", &b[0], &height, &width, &tile, &b[1], &b[2], &b[3])) return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t size = (size_t)b[0].itemsize, map_hw[2] = {(size_t)height, (size_t)width}, tiles = items(&b[3]);
    if (is_label(&b[0]) && height > 0 && width > 0 && tile > 0 && height * width == (Py_ssize_t)items(&b[0]) &&
        b[2].itemsize == 4 && b[3].itemsize == 4 && items(&b[2]) == tiles + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = tiles_pack(b[0].buf, map_hw, (size_t)tile, size, b[1].buf, (size_t)b[1].len, b[2].buf, b[3].buf, tiles);
        Py_END_ALLOW_THREADS
    }
    return finish(b, 4, status);
}

/* bytes, base, offsets, sums, height, width, tile, x, y, w, h of the box, out */
PyObject *py_tiles_unpack(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    Py_ssize_t base, height, width, tile, box[4];
    if (!PyArg_ParseTuple(args, "y*ny*y*nnnnnnnw*", &b[0], &base, &b[1], &b[2], &height, &width, &tile, &box[0], &box[1],
                          &box[2], &box[3], &b[3]))
        return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t map_hw[2] = {(size_t)height, (size_t)width}, tiles = items(&b[2]);
    size_t part[4] = {(size_t)box[0], (size_t)box[1], (size_t)box[2], (size_t)box[3]};
    int fits = height > 0 && width > 0 && tile > 0 && base >= 0 && box[0] >= 0 && box[1] >= 0 && box[2] > 0 && box[3] > 0;
    if (fits && is_label(&b[3]) && box[2] * box[3] == (Py_ssize_t)items(&b[3]) && b[1].itemsize == 4 &&
        b[2].itemsize == 4 && items(&b[1]) == tiles + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = tiles_unpack(b[0].buf, (size_t)b[0].len, (size_t)base, b[1].buf, b[2].buf, tiles, map_hw, (size_t)tile,
                              part, (size_t)b[3].itemsize, b[3].buf);
        Py_END_ALLOW_THREADS
    }
    return finish(b, 4, status);
}

enum { PLANES = 0, BEFORE = 3, TABLES = 6, RGB = 11, VALUES = 12, CELLS = 13, LABELS = 14, COUNTS = 15, VIEWS = 16 };

static int plane_sizes_fit(const Py_buffer *b, const plane_shape *shape, size_t chroma_height, int has_before) {
    size_t full = shape->height * shape->width, chroma = chroma_height * shape->chroma_width;
    size_t counted = shape->height * segments(shape->width);
    for (int k = 0; k < 3; k++) {
        size_t wanted = k ? chroma : full;
        if ((size_t)b[PLANES + k].len != wanted || (has_before && (size_t)b[BEFORE + k].len != wanted)) return 0;
    }
    for (int k = 0; k < 5; k++)
        if (b[TABLES + k].itemsize != (k < 3 ? 2 : 4) || items(&b[TABLES + k]) != 256) return 0;
    int reaches = (shape->height - 1) / shape->down < chroma_height && (shape->width - 1) / shape->across < shape->chroma_width;
    return reaches && b[VALUES].len > 0 && b[RGB].len == 3 * b[VALUES].len && items(&b[CELLS]) == (size_t)1 << 24 &&
           b[CELLS].itemsize == 2 && (size_t)b[LABELS].len == full && (size_t)b[COUNTS].len == 2 * counted;
}

/* three planes, three planes before (empty: none), five tables, colours, values, cells, labels, counts, height, width,
 * chroma height and width, pixels of a chroma sample down and across, limit -> stretches labelled, exact, void */
PyObject *py_label_planes(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[VIEWS];
    Py_ssize_t height, width, chroma_height, chroma_width, down, across;
    int limit;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*y*y*y*y*y*w*w*w*nnnnnni", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6],
                          &b[7], &b[8], &b[9], &b[10], &b[11], &b[12], &b[13], &b[14], &b[15], &height, &width,
                          &chroma_height, &chroma_width, &down, &across, &limit))
        return NULL;
    int bits = across == 1 ? 0 : across == 2 ? 1 : across == 4 ? 2 : -1;
    int known = down == 1 || down == 2 || down == 4;
    label_sums sums = {0};
    int status = KERNEL_BAD_SIZE;
    if (height > 0 && width > 0 && chroma_height > 0 && chroma_width > 0 && known && bits >= 0) {
        plane_shape shape = {(size_t)height, (size_t)width, (size_t)chroma_width, (size_t)down, (size_t)across, (size_t)bits};
        int has_before = b[BEFORE].len > 0;
        if (plane_sizes_fit(b, &shape, (size_t)chroma_height, has_before)) {
            const uint8_t *planes[3] = {b[0].buf, b[1].buf, b[2].buf}, *before[3] = {b[3].buf, b[4].buf, b[5].buf};
            plane_table table = {b[6].buf, b[7].buf,  b[8].buf,  b[9].buf, b[10].buf,
                                 b[11].buf, b[12].buf, (size_t)b[VALUES].len, limit, b[CELLS].buf};
            Py_BEGIN_ALLOW_THREADS
            status = label_planes(&shape, planes, has_before ? before : NULL, &table, b[LABELS].buf, b[COUNTS].buf, &sums);
            Py_END_ALLOW_THREADS
        }
    }
    release(b, VIEWS);
    return status ? result_of(status)
                  : Py_BuildValue("(KKK)", (unsigned long long)sums.redone, (unsigned long long)sums.exact,
                                  (unsigned long long)sums.unknown);
}
