#ifndef SMALTI_BIND_FOLD_H
#define SMALTI_BIND_FOLD_H

#include "binding.h"

PyObject *py_fold(PyObject *self, PyObject *args);
PyObject *py_fold_numbers(PyObject *self, PyObject *args);
PyObject *py_mix(PyObject *self, PyObject *args);
PyObject *py_mix_into(PyObject *self, PyObject *args);
PyObject *py_flat_tokens(PyObject *self, PyObject *args);
PyObject *py_group_sets(PyObject *self, PyObject *args);
PyObject *py_number_groups(PyObject *self, PyObject *args);
PyObject *py_take_texts(PyObject *self, PyObject *args);

#define SMALTI_FOLD_METHODS                                                                           \
    {"fold", py_fold, METH_VARARGS, "values, offsets, out"},                                          \
        {"fold_numbers", py_fold_numbers, METH_VARARGS, "numbers, offsets, zero, out"},               \
        {"mix", py_mix, METH_VARARGS, "words, in place"},                                             \
        {"mix_into", py_mix_into, METH_VARARGS, "total, words, salt"},                                \
        {"flat_tokens", py_flat_tokens, METH_VARARGS, "text, offsets, longest, bytes, ends, counts"}, \
        {"group_sets", py_group_sets, METH_VARARGS, "codes, offsets, out, ends"},                     \
        {"number_groups", py_number_groups, METH_VARARGS, "values, offsets, numbers, firsts -> distinct"},\
        {"take_texts", py_take_texts, METH_VARARGS, "text, offsets, codes, out"}

#endif
