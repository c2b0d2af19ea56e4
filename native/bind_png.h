#ifndef SMALTI_BIND_PNG_H
#define SMALTI_BIND_PNG_H

#include "binding.h"

PyObject *py_png_header(PyObject *self, PyObject *args);
PyObject *py_png_labels(PyObject *self, PyObject *args);
PyObject *py_png_discover(PyObject *self, PyObject *args);
PyObject *py_png_indices(PyObject *self, PyObject *args);

#define SMALTI_PNG_METHODS                                                                                    \
    {"png_header", py_png_header, METH_VARARGS, "data -> header or False"},                                   \
        {"png_labels", py_png_labels, METH_VARARGS, "data, keys, values, missing, labels, alpha"},            \
        {"png_discover", py_png_discover, METH_VARARGS, "data, limit, labels -> colours or False"},           \
        {"png_indices", py_png_indices, METH_VARARGS, "data, table, out -> bool"}

#endif
