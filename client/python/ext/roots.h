/* The methods of goalloc.Heap about names: publish, replace, unpublish, lookup, wait. */
#ifndef GA_PYTHON_ROOTS_H
#define GA_PYTHON_ROOTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>

#include "heap.h"

extern const char ga_py_publish_doc[];
extern const char ga_py_replace_doc[];
extern const char ga_py_unpublish_doc[];
extern const char ga_py_lookup_doc[];
extern const char ga_py_wait_doc[];

PyObject *ga_py_publish(PyObject *heap, PyObject *args);
PyObject *ga_py_replace(PyObject *heap, PyObject *args);
PyObject *ga_py_unpublish(PyObject *heap, PyObject *args);
PyObject *ga_py_lookup(PyObject *heap, PyObject *args, PyObject *keywords);
PyObject *ga_py_wait(PyObject *heap, PyObject *args, PyObject *keywords);

/* Wrap p, of which this process has a hold to give up if held. NULL with an exception, and then the
 * hold is given up. In a call that has begun. */
PyObject *ga_py_roots_wrap(struct ga_py_heap *self, void *p, bool held, bool readonly);

#endif
