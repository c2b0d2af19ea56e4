/* The kernel of polygons for Python: kernels/native_polygons.py checks. */
#include "bind_polygons.h"

#include <stdlib.h>

#include "binding.h"
#include "kernels.h"
#include "polygons.h"

/* points, begins, groups, height, width, closes, ends -> edges as bytes of int64 */
PyObject *py_ring_edges(PyObject *self, PyObject *args) {
    (void)self;
    Py_buffer b[4];
    Py_ssize_t height, width;
    int closes;
    if (!PyArg_ParseTuple(args, "y*y*y*nnpw*", &b[0], &b[1], &b[2], &height, &width, &closes, &b[3])) return NULL;
    int status = KERNEL_BAD_SIZE, is_wide = 1;
    for (int k = 0; k < 4; k++) is_wide &= b[k].itemsize == 8;
    size_t rings = items(&b[1]), groups = items(&b[2]);
    ring_edges_found found = {0};
    if (is_wide && items(&b[0]) % 2 == 0 && rings && groups && items(&b[3]) == groups - 1) {
        int64_t size_hw[2] = {height, width};
        Py_BEGIN_ALLOW_THREADS
        status = ring_edges(b[0].buf, items(&b[0]) / 2, b[1].buf, rings - 1, b[2].buf, groups - 1, size_hw, closes, b[3].buf, &found);
        Py_END_ALLOW_THREADS
    }
    release(b, 4);
    if (status) return result_of(status);
    PyObject *edges = PyBytes_FromStringAndSize((const char *)found.edges, (Py_ssize_t)(found.n * sizeof *found.edges));
    free(found.edges);
    return edges;
}
