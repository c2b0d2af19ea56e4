#ifndef SMALTI_BIND_POLYGONS_H
#define SMALTI_BIND_POLYGONS_H

#include "binding.h"

PyObject *py_ring_edges(PyObject *self, PyObject *args);

#define SMALTI_POLYGON_METHODS {"ring_edges", py_ring_edges, METH_VARARGS, "points, begins, groups, size, ends -> edges"}

#endif
