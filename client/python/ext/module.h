/* What the module keeps: its types and exceptions. */
#ifndef GA_PYTHON_MODULE_H
#define GA_PYTHON_MODULE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "errors.h"

struct ga_py_state {
    PyTypeObject *heap_type;
    PyTypeObject *object_type;
    PyTypeObject *stats_type;
    PyTypeObject *size_stats_type;
    struct ga_py_errors errors;
};

/* Of self, an instance of one of the module's types (which cannot be derived from). */
struct ga_py_state *ga_py_state_of(PyObject *self);

/* How many times this process has been forked: differs between a process and its child. */
unsigned ga_py_fork_count(void);

#endif
