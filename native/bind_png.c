/* The PNG kernels for Python: see kernels/png.py, which checks the arguments and allocates. */
#include "bind_png.h"
#include "binding.h"
#include "png.h"

#include <stdlib.h>
#include <string.h>

/* None is "not for this reader"; what is wrong with the file is a ValueError. */
static PyObject *png_result(int status) {
    if (status == PNG_OK) Py_RETURN_TRUE;
    if (status == PNG_UNUSUAL) Py_RETURN_FALSE;
    if (status == PNG_NO_MEMORY) return PyErr_NoMemory();
    PyErr_SetString(PyExc_ValueError, png_message(status));
    return NULL;
}

/* data -> (width, height, bits, color, interlace, transparent, palette) or False */
PyObject *py_png_header(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data;
    if (!PyArg_ParseTuple(args, "y*", &data)) return NULL;
    png_file png;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = png_open(data.buf, (size_t)data.len, &png);
    Py_END_ALLOW_THREADS
    PyObject *answer = NULL;
    if (status) answer = png_result(status);
    else
        answer = Py_BuildValue("(IIiiiiy#)", png.width, png.height, png.bits, png.color, png.interlace, png.transparent,
                               (const char *)png.palette, (Py_ssize_t)(3 * png.palette_size));
    png_close(&png);
    PyBuffer_Release(&data);
    return answer;
}

static int fits(const png_file *png, Py_ssize_t items) {
    return items >= 0 && (uint64_t)png->width * png->height == (uint64_t)items;
}

typedef struct {
    const png_file *png;
    Py_buffer *keys, *values, *labels, *alpha;
    uint32_t missing;
    uint64_t strangers;
} label_call;

/* Strangers carry a value that no entry has; they become 0 and are counted. */
static uint64_t settle(void *labels, size_t n, size_t size, uint32_t missing) {
    uint64_t count = 0;
    if (size == 1) {
        uint8_t *p = labels;
        for (size_t i = 0; i < n; i++) {
            uint8_t stranger = p[i] == missing;
            count += stranger;
            p[i] = stranger ? 0 : p[i];
        }
    } else {
        uint16_t *p = labels;
        for (size_t i = 0; i < n; i++) {
            uint16_t stranger = p[i] == missing;
            count += stranger;
            p[i] = stranger ? 0 : p[i];
        }
    }
    return count;
}

static int run_labels(label_call *call) {
    size_t size = (size_t)call->labels->itemsize, n = items(call->labels);
    labeler how = {.missing = call->missing};
    if (call->keys) {
        how.mode = LABEL_MAP;
        if (colormap_init(&how.map, call->keys->buf, call->values->buf, items(call->keys), size)) return PNG_NO_MEMORY;
    } else {
        how.mode = LABEL_TABLE;
        how.table = call->values->buf;
    }
    int status = png_labels(call->png, &how, size, call->labels->buf, call->alpha ? call->alpha->buf : NULL);
    if (!status && (how.met_strangers || how.mode == LABEL_TABLE))
        call->strangers = settle(call->labels->buf, n, size, call->missing);
    if (call->keys) colormap_free(&how.map);
    return status;
}

/* data, keys or None, values or table, missing, labels, alpha or None -> strangers, or False */
PyObject *py_png_labels(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, keys = {0}, values, labels, alpha = {0};
    PyObject *keys_or_none, *alpha_or_none;
    unsigned int missing;
    if (!PyArg_ParseTuple(args, "y*Oy*Iw*O", &data, &keys_or_none, &values, &missing, &labels, &alpha_or_none)) return NULL;
    PyObject *answer = NULL;
    if (keys_or_none != Py_None && PyObject_GetBuffer(keys_or_none, &keys, PyBUF_SIMPLE)) goto done;
    if (alpha_or_none != Py_None && PyObject_GetBuffer(alpha_or_none, &alpha, PyBUF_WRITABLE)) goto done;
    size_t entries = keys.obj ? items(&keys) : (size_t)1 << 24;
    if ((labels.itemsize != 1 && labels.itemsize != 2) || values.itemsize != labels.itemsize || items(&values) != entries ||
        (keys.obj && keys.itemsize != 4)) {
        answer = result_of(KERNEL_BAD_SIZE);
        goto done;
    }
    png_file png;
    label_call call = {&png, keys.obj ? &keys : NULL, &values, &labels, alpha.obj ? &alpha : NULL, missing, 0};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = png_open(data.buf, (size_t)data.len, &png);
    if (!status && (!fits(&png, (Py_ssize_t)items(&labels)) || (alpha.obj && alpha.len != (Py_ssize_t)items(&labels))))
        status = PNG_BAD_HEADER;
    if (!status) status = run_labels(&call);
    png_close(&png);
    Py_END_ALLOW_THREADS
    answer = status ? png_result(status) : PyLong_FromUnsignedLongLong(call.strangers);
done:
    PyBuffer_Release(&data);
    PyBuffer_Release(&values);
    PyBuffer_Release(&labels);
    if (keys.obj) PyBuffer_Release(&keys);
    if (alpha.obj) PyBuffer_Release(&alpha);
    return answer;
}

/* data, limit, labels (uint16) -> colours as bytes of uint32 R | G<<8 | B<<16 in the order they were met, or False */
PyObject *py_png_discover(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, labels;
    unsigned int limit;
    if (!PyArg_ParseTuple(args, "y*Iw*", &data, &limit, &labels)) return NULL;
    png_file png;
    labeler how = {.mode = LABEL_DISCOVER, .limit = limit < 65535 ? limit : 65535};
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = png_open(data.buf, (size_t)data.len, &png);
    if (!status && (labels.itemsize != 2 || !fits(&png, (Py_ssize_t)items(&labels)))) status = PNG_BAD_HEADER;
    if (!status) {
        how.found = malloc(((size_t)how.limit + 1) * sizeof *how.found);
        status = how.found && !colormap_init(&how.map, NULL, NULL, 0, 2) ? PNG_OK : PNG_NO_MEMORY;
        if (!status) status = png_labels(&png, &how, 2, labels.buf, NULL);
        colormap_free(&how.map);
    }
    png_close(&png);
    Py_END_ALLOW_THREADS
    PyObject *answer = status ? png_result(status)
                              : PyBytes_FromStringAndSize((const char *)how.found, (Py_ssize_t)(4 * how.found_count));
    free(how.found);
    PyBuffer_Release(&data);
    PyBuffer_Release(&labels);
    return answer;
}

/* data, table or None, out, the value to count or -1 -> True or (zeros, counted), or False */
PyObject *py_png_indices(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer data, out, table = {0};
    PyObject *table_or_none;
    Py_ssize_t counted = -1;
    if (!PyArg_ParseTuple(args, "y*Ow*|n", &data, &table_or_none, &out, &counted)) return NULL;
    png_tally tally = {.value = (uint32_t)counted};
    PyObject *answer = NULL;
    if (table_or_none != Py_None && PyObject_GetBuffer(table_or_none, &table, PyBUF_SIMPLE)) goto done;
    png_file png;
    int status;
    Py_BEGIN_ALLOW_THREADS
    status = png_open(data.buf, (size_t)data.len, &png);
    if (!status) {
        size_t cells = png.bits == 16 ? 65536 : 256, size = table.obj ? (size_t)table.itemsize : png.bits == 16 ? 2 : 1;
        if (!fits(&png, (Py_ssize_t)items(&out)) || (size_t)out.itemsize != size ||
            (table.obj && (items(&table) != cells || (size & (size - 1)) || size > 8)))
            status = PNG_BAD_HEADER;
    }
    if (!status)
        status = png_indices(&png, table.obj ? table.buf : NULL, table.obj ? (size_t)table.itemsize : 0, out.buf,
                             counted < 0 ? NULL : &tally);
    png_close(&png);
    Py_END_ALLOW_THREADS
    if (status || counted < 0) answer = png_result(status);
    else
        answer = Py_BuildValue("(KK)", (unsigned long long)tally.zeros, (unsigned long long)tally.watched);
done:
    PyBuffer_Release(&data);
    PyBuffer_Release(&out);
    if (table.obj) PyBuffer_Release(&table);
    return answer;
}
