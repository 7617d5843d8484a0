/* goalloc.Stats and goalloc.SizeStats: struct goalloc_memstats as named tuples. */
#ifndef GA_PYTHON_STATS_H
#define GA_PYTHON_STATS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <goalloc/goalloc.h>

/* Make both types and add them to module. Returns 0, or -1 with an exception. */
int ga_py_stats_init(PyObject *module, PyTypeObject **ret_stats, PyTypeObject **ret_size_stats);

/* NULL with an exception. */
PyObject *ga_py_stats_new(PyTypeObject *stats_type, PyTypeObject *size_stats_type,
                          const struct goalloc_memstats *stats);

#endif
