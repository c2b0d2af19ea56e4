#ifndef SMALTI_BIND_MAPS_H
#define SMALTI_BIND_MAPS_H

#include "binding.h"

PyObject *py_tiles_pack(PyObject *self, PyObject *args);
PyObject *py_tiles_unpack(PyObject *self, PyObject *args);
PyObject *py_label_planes(PyObject *self, PyObject *args);

#define SMALTI_MAP_METHODS                                                                                      \
    {"tiles_pack", py_tiles_pack, METH_VARARGS, "map, height, width, tile, out, offsets, sums"},                \
        {"tiles_unpack", py_tiles_unpack, METH_VARARGS, "bytes, base, offsets, sums, sizes, box, out"},         \
        {"label_planes", py_label_planes, METH_VARARGS, "planes, before, tables, legend, labels, counts, sizes"}

#endif
