/* goalloc.attach. */
#ifndef GA_PYTHON_ATTACH_H
#define GA_PYTHON_ATTACH_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

extern const char ga_py_attach_doc[];
PyObject *ga_py_attach(PyObject *module, PyObject *args, PyObject *keywords);

#endif
