/* smalti.kernels._native: buffers in, buffers out. kernels/native.py checks dtypes and allocates; here only sizes are
 * checked again, so that no call from Python can reach past a buffer. The GIL is released around every loop.
 * Limited API: one build serves every CPython from 3.11 on. */
#define PY_SSIZE_T_CLEAN
#include "bind_fold.h"
#include "bind_maps.h"
#include "bind_png.h"
#include "bind_polygons.h"
#include "binding.h"
#include "kernels.h"
#include "repair.h"

PyObject *result_of(int status) {
    switch (status) {
        case KERNEL_OK: Py_RETURN_NONE;
        case KERNEL_NO_MEMORY: return PyErr_NoMemory();
        case KERNEL_BEYOND: PyErr_SetString(PyExc_IndexError, "an index lies beyond the table"); return NULL;
        default: PyErr_SetString(PyExc_ValueError, "buffers do not fit together"); return NULL;
    }
}

void release(Py_buffer *views, size_t n) {
    for (size_t i = 0; i < n; i++) PyBuffer_Release(&views[i]);
}

size_t items(const Py_buffer *view) { return view->itemsize ? (size_t)(view->len / view->itemsize) : 0; }

static int small(const Py_buffer *view) { return view->itemsize == 1 || view->itemsize == 2; }
static int label(const Py_buffer *view) { return small(view) || view->itemsize == 4; }
static int any_size(const Py_buffer *view) { return label(view) || view->itemsize == 8; }

/* Run `call` without the GIL when `fits`, and give everything back. */
#define RUN(fits, call)                \
    int status = KERNEL_BAD_SIZE;      \
    if (fits) {                        \
        Py_BEGIN_ALLOW_THREADS         \
        status = call;                 \
        Py_END_ALLOW_THREADS           \
    }                                  \
    release(b, sizeof b / sizeof *b);  \
    return result_of(status)

static PyObject *py_gather_exact(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &b[0], &b[1], &b[2], &b[3])) return NULL;
    size_t n = items(&b[3]), keys = items(&b[1]);
    RUN(b[0].len == 3 * (Py_ssize_t)n && b[1].itemsize == 4 && small(&b[2]) && items(&b[2]) == keys &&
            b[3].itemsize == b[2].itemsize,
        gather_exact(b[0].buf, n, b[1].buf, b[2].buf, keys, (size_t)b[2].itemsize, b[3].buf));
}

static PyObject *py_gather_table(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "y*y*w*", &b[0], &b[1], &b[2])) return NULL;
    size_t n = items(&b[2]);
    RUN(b[0].len == 3 * (Py_ssize_t)n && small(&b[1]) && items(&b[1]) == (size_t)1 << 24 &&
            b[2].itemsize == b[1].itemsize,
        gather_table(b[0].buf, n, b[1].buf, (size_t)b[1].itemsize, b[2].buf));
}

static PyObject *py_nearest_table(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    int tolerance;
    if (!PyArg_ParseTuple(args, "y*y*iw*", &b[0], &b[1], &tolerance, &b[2])) return NULL;
    size_t n = items(&b[1]);
    RUN(b[0].len == 3 * (Py_ssize_t)n && small(&b[1]) && items(&b[2]) == (size_t)1 << 24 &&
            b[2].itemsize == b[1].itemsize,
        nearest_table(b[0].buf, b[1].buf, n, (size_t)b[1].itemsize, tolerance, b[2].buf));
}

static PyObject *py_lookup(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "y*y*w*", &b[0], &b[1], &b[2])) return NULL;
    size_t n = items(&b[0]);
    RUN(label(&b[0]) && any_size(&b[1]) && items(&b[2]) == n && b[2].itemsize == b[1].itemsize,
        lookup(b[0].buf, n, (size_t)b[0].itemsize, b[1].buf, items(&b[1]), (size_t)b[1].itemsize, b[2].buf));
}

static PyObject *py_count(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[2];
    if (!PyArg_ParseTuple(args, "y*w*", &b[0], &b[1])) return NULL;
    RUN(label(&b[0]) && b[1].itemsize == 8,
        count_labels(b[0].buf, items(&b[0]), (size_t)b[0].itemsize, b[1].buf, items(&b[1])));
}

static PyObject *py_count_boxes(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    Py_ssize_t width;
    if (!PyArg_ParseTuple(args, "y*nw*w*", &b[0], &width, &b[1], &b[2])) return NULL;
    size_t n = items(&b[0]), count = items(&b[1]);
    RUN(label(&b[0]) && width > 0 && n % (size_t)width == 0 && b[1].itemsize == 8 && b[2].itemsize == 4 &&
            items(&b[2]) == 4 * count,
        count_boxes(b[0].buf, n / (size_t)width, (size_t)width, (size_t)b[0].itemsize, b[1].buf, b[2].buf, count));
}

static PyObject *py_confusion(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    Py_ssize_t count;
    if (!PyArg_ParseTuple(args, "y*y*nw*", &b[0], &b[1], &count, &b[2])) return NULL;
    size_t n = items(&b[0]);
    RUN(label(&b[0]) && b[1].itemsize == b[0].itemsize && items(&b[1]) == n && count >= 0 && b[2].itemsize == 8 &&
            count < (1 << 24) && items(&b[2]) == (size_t)count * (size_t)count,
        confusion(b[0].buf, b[1].buf, n, (size_t)b[0].itemsize, b[2].buf, (size_t)count));
}

/* pixels -> (keys, counts) as bytes of uint32 and int64, in the order the colours were met */
static PyObject *py_count_colors(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer pixels;
    if (!PyArg_ParseTuple(args, "y*", &pixels)) return NULL;
    color_counts found;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = count_colors(pixels.buf, (size_t)pixels.len / 3, &found);
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&pixels);
    if (status) return result_of(status);
    PyObject *pair = Py_BuildValue("(y#y#)", (const char *)found.keys, (Py_ssize_t)(found.n * sizeof *found.keys),
                                   (const char *)found.counts, (Py_ssize_t)(found.n * sizeof *found.counts));
    color_counts_free(&found);
    return pair;
}

static PyObject *py_blend(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[5];
    if (!PyArg_ParseTuple(args, "y*y*y*y*w*", &b[0], &b[1], &b[2], &b[3], &b[4])) return NULL;
    size_t n = items(&b[1]), count = items(&b[3]);
    RUN(label(&b[1]) && b[0].len == 3 * (Py_ssize_t)n && b[4].len == b[0].len && b[3].itemsize == 2 &&
            b[2].len == 3 * (Py_ssize_t)count,
        blend(b[0].buf, b[1].buf, n, (size_t)b[1].itemsize, b[2].buf, b[3].buf, count, b[4].buf));
}

static PyObject *py_runs_count(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[1];
    if (!PyArg_ParseTuple(args, "y*", &b[0])) return NULL;
    size_t runs = 0;
    int fits = any_size(&b[0]);
    Py_BEGIN_ALLOW_THREADS
    if (fits) runs = runs_count(b[0].buf, items(&b[0]), (size_t)b[0].itemsize);
    Py_END_ALLOW_THREADS
    release(b, 1);
    return fits ? PyLong_FromSize_t(runs) : result_of(KERNEL_BAD_SIZE);
}

static PyObject *py_runs_encode(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "y*w*w*", &b[0], &b[1], &b[2])) return NULL;
    size_t runs = items(&b[1]);
    RUN(any_size(&b[0]) && b[1].itemsize == b[0].itemsize && b[2].itemsize == 8 && items(&b[2]) == runs,
        runs_encode(b[0].buf, items(&b[0]), (size_t)b[0].itemsize, b[1].buf, b[2].buf, runs));
}

static PyObject *py_runs_decode(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "y*y*w*", &b[0], &b[1], &b[2])) return NULL;
    size_t runs = items(&b[0]);
    RUN(any_size(&b[0]) && b[1].itemsize == 8 && items(&b[1]) == runs && b[2].itemsize == b[0].itemsize,
        runs_decode(b[0].buf, b[1].buf, runs, (size_t)b[0].itemsize, b[2].buf, items(&b[2])));
}

static PyObject *py_contour(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[2];
    Py_ssize_t width;
    if (!PyArg_ParseTuple(args, "y*nw*", &b[0], &width, &b[1])) return NULL;
    size_t n = items(&b[0]);
    RUN(any_size(&b[0]) && width > 0 && n % (size_t)width == 0 && b[1].len == (Py_ssize_t)n,
        contour(b[0].buf, n / (size_t)width, (size_t)width, (size_t)b[0].itemsize, b[1].buf));
}

static PyObject *py_repair(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[7];
    Py_ssize_t width;
    int cell;
    if (!PyArg_ParseTuple(args, "y*y*y*niy*y*w*w*", &b[0], &b[1], &b[2], &width, &cell, &b[3], &b[4], &b[5], &b[6]))
        return NULL;
    size_t cells = (size_t)b[1].len, colors = (size_t)b[3].len / 3;
    Py_ssize_t height = width > 0 ? b[5].len / width : 0;
    int fits = (cell == 1 || cell == 2) && width > 0 && height * width == b[5].len &&
               (size_t)((height + cell - 1) / cell) * (size_t)((width + cell - 1) / cell) == cells;
    RUN(fits && (size_t)b[2].len == cells && (size_t)b[0].len == cells * (size_t)(cell * cell) &&
            (size_t)b[3].len == 3 * colors && colors < 256 && b[4].len == SMALTI_REPAIR_PARAMETERS * 4 &&
            b[6].len == SMALTI_REPAIR_COUNTS * 8,
        smalti_repair(b[0].buf, b[1].buf, b[2].buf, height, width, cell, b[3].buf, (int)colors, b[4].buf, b[5].buf,
                      b[6].buf));
}

static PyMethodDef methods[] = {
    {"gather_exact", py_gather_exact, METH_VARARGS, "pixels, keys, values, out"},
    {"gather_table", py_gather_table, METH_VARARGS, "pixels, table, out"},
    {"nearest_table", py_nearest_table, METH_VARARGS, "colors, values, tolerance, table"},
    {"lookup", py_lookup, METH_VARARGS, "indices, table, out"},
    {"count", py_count, METH_VARARGS, "labels, counts"},
    {"count_boxes", py_count_boxes, METH_VARARGS, "labels, width, counts, boxes"},
    {"confusion", py_confusion, METH_VARARGS, "truth, predicted, n, counts"},
    {"count_colors", py_count_colors, METH_VARARGS, "pixels -> (keys, counts)"},
    {"blend", py_blend, METH_VARARGS, "image, labels, colors, cover, out"},
    {"runs_count", py_runs_count, METH_VARARGS, "labels -> runs"},
    {"runs_encode", py_runs_encode, METH_VARARGS, "labels, values, lengths"},
    {"runs_decode", py_runs_decode, METH_VARARGS, "values, lengths, out"},
    {"contour", py_contour, METH_VARARGS, "labels, width, edge"},
    SMALTI_PNG_METHODS,
    SMALTI_MAP_METHODS,
    SMALTI_POLYGON_METHODS,
    SMALTI_FOLD_METHODS,
    {"repair", py_repair, METH_VARARGS, "y, cb, cr, width, cell, colors, parameters, positions, counts"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "_native",
    .m_doc = "The compiled kernels; use them through smalti.kernels.",
    .m_size = 0,
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module); }
