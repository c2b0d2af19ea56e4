/* What the binding files share. Only module.c and the bind_*.c files know Python. */
#ifndef SMALTI_BINDING_H
#define SMALTI_BINDING_H

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "these kernels are proven on little-endian machines only; SMALTI_NO_NATIVE=1 builds the package without them"
#endif

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stddef.h>

PyObject *result_of(int status); /* None, or the exception that a kernel's code stands for */
void release(Py_buffer *views, size_t n);
size_t items(const Py_buffer *view);

#endif
