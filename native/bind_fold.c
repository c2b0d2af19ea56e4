/* The kernels of rows for Python: kernels/native_fold.py checks and allocates. */
#include "bind_fold.h"
#include "fold.h"
#include "groups.h"
#include "kernels.h"
#include "tokens.h"

PyObject *py_fold(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    if (!PyArg_ParseTuple(args, "y*y*w*", &b[0], &b[1], &b[2])) return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t sequences = items(&b[2]);
    if (b[2].itemsize == 8 && items(&b[1]) == sequences + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = fold(b[0].buf, items(&b[0]), (size_t)b[0].itemsize, b[1].buf, (size_t)b[1].itemsize, sequences,
                      b[2].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 3);
    return result_of(status);
}

PyObject *py_fold_numbers(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[3];
    unsigned long long zero;
    if (!PyArg_ParseTuple(args, "y*y*Kw*", &b[0], &b[1], &zero, &b[2])) return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t sequences = items(&b[2]);
    if (b[0].itemsize == 8 && b[2].itemsize == 8 && items(&b[1]) == sequences + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = fold_numbers(b[0].buf, items(&b[0]), b[1].buf, (size_t)b[1].itemsize, sequences, zero, b[2].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 3);
    return result_of(status);
}

PyObject *py_mix(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer words;
    if (!PyArg_ParseTuple(args, "w*", &words)) return NULL;
    int status = KERNEL_BAD_SIZE;
    if (words.itemsize == 8) {
        Py_BEGIN_ALLOW_THREADS
        mix_words(words.buf, items(&words));
        status = KERNEL_OK;
        Py_END_ALLOW_THREADS
    }
    release(&words, 1);
    return result_of(status);
}

PyObject *py_mix_into(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[2];
    unsigned long long salt;
    if (!PyArg_ParseTuple(args, "w*y*K", &b[0], &b[1], &salt)) return NULL;
    int status = KERNEL_BAD_SIZE;
    if (b[0].itemsize == 8 && b[1].itemsize == 8 && items(&b[0]) == items(&b[1])) {
        Py_BEGIN_ALLOW_THREADS
        mix_into(b[0].buf, b[1].buf, items(&b[0]), salt);
        status = KERNEL_OK;
        Py_END_ALLOW_THREADS
    }
    release(b, 2);
    return result_of(status);
}

/* text, offsets, longest, bytes, ends, counts -> (size of the bytes, number of tokens) */
PyObject *py_flat_tokens(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[5];
    Py_ssize_t longest;
    if (!PyArg_ParseTuple(args, "y*y*nw*w*w*", &b[0], &b[1], &longest, &b[2], &b[3], &b[4])) return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t rows = items(&b[4]);
    token_sink sink = {b[2].buf, b[3].buf, (size_t)b[2].len, items(&b[3]), 0, 0};
    if (b[0].itemsize == 1 && b[1].itemsize == 8 && b[3].itemsize == 4 && b[4].itemsize == 4 && longest >= 0 &&
        items(&b[1]) == rows + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = flat_tokens(b[0].buf, (size_t)b[0].len, b[1].buf, rows, (size_t)longest, &sink, b[4].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 5);
    return status ? result_of(status) : Py_BuildValue("(nn)", (Py_ssize_t)sink.size, (Py_ssize_t)sink.count);
}

/* Values and offsets as groups; 0 where they do not fit together. */
static int as_groups(const Py_buffer *values, const Py_buffer *offsets, groups_of *all) {
    *all = (groups_of){values->buf, items(values), (size_t)values->itemsize, offsets->buf, (size_t)offsets->itemsize, 0};
    if ((all->size != 1 && all->size != 4) || (all->offset_size != 4 && all->offset_size != 8) || !items(offsets)) return 0;
    all->groups = items(offsets) - 1;
    return 1;
}

/* codes, offsets, out, ends; out has room for all codes */
PyObject *py_group_sets(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    groups_of all;
    if (!PyArg_ParseTuple(args, "y*y*w*w*", &b[0], &b[1], &b[2], &b[3])) return NULL;
    int status = KERNEL_BAD_SIZE;
    if (as_groups(&b[0], &b[1], &all) && b[2].itemsize == 4 && b[3].itemsize == 8 && b[2].len == b[0].len &&
        items(&b[3]) == all.groups + 1) {
        Py_BEGIN_ALLOW_THREADS
        status = group_sets(&all, b[2].buf, b[3].buf);
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    return result_of(status);
}

/* values, offsets, numbers, firsts -> how many different ones */
PyObject *py_number_groups(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    groups_of all;
    if (!PyArg_ParseTuple(args, "y*y*w*w*", &b[0], &b[1], &b[2], &b[3])) return NULL;
    int status = KERNEL_BAD_SIZE;
    size_t distinct = 0;
    if (as_groups(&b[0], &b[1], &all) && b[2].itemsize == 4 && b[3].itemsize == 8 && items(&b[2]) == all.groups &&
        items(&b[3]) == all.groups) {
        Py_BEGIN_ALLOW_THREADS
        status = number_groups(&all, b[2].buf, b[3].buf, &distinct);
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    return status ? result_of(status) : PyLong_FromSize_t(distinct);
}

/* text, offsets, codes, out; out has room for just these texts */
PyObject *py_take_texts(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    groups_of all;
    if (!PyArg_ParseTuple(args, "y*y*y*w*", &b[0], &b[1], &b[2], &b[3])) return NULL;
    int status = KERNEL_BAD_SIZE;
    if (as_groups(&b[0], &b[1], &all) && all.size == 1 && b[2].itemsize == 4 && b[3].itemsize == 1) {
        Py_BEGIN_ALLOW_THREADS
        status = take_texts(&all, b[2].buf, items(&b[2]), b[3].buf, (size_t)b[3].len);
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    return result_of(status);
}
