/* The exceptions of the module: what the library says by a negative errno becomes a goalloc.Error,
 * or that one of its subclasses which Python programs expect of such a failure. */
#ifndef GA_PYTHON_ERRORS_H
#define GA_PYTHON_ERRORS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

struct ga_py_errors {
    PyObject *error;         /* Error(OSError) */
    PyObject *not_found;     /* NotFoundError(Error, LookupError) */
    PyObject *exists;        /* ExistsError(Error, FileExistsError) */
    PyObject *timeout;       /* TimeoutError(Error, TimeoutError) */
    PyObject *out_of_memory; /* OutOfMemoryError(Error, MemoryError) */
};

/* Make them and add them to module. Returns 0, or -1 with an exception. */
int ga_py_errors_init(PyObject *module, struct ga_py_errors *ret);
int ga_py_errors_visit(const struct ga_py_errors *errors, visitproc visit, void *arg);
void ga_py_errors_clear(struct ga_py_errors *errors);

/* Raise what stands for err, a negative errno, with message. Returns NULL. */
PyObject *ga_py_raise_message(const struct ga_py_errors *errors, int err, const char *message);

/* The same with a text, which this takes; NULL with an exception raises that. */
PyObject *ga_py_raise_text(const struct ga_py_errors *errors, int err, PyObject *text);

/* The same, the message being what was tried, by format as of PyUnicode_FromFormat, and the
 * library's sentence for err. */
PyObject *ga_py_raise(const struct ga_py_errors *errors, int err, const char *format, ...);

/* The same for a call about what is published under name: -ENOENT is NotFoundError there. */
PyObject *ga_py_raise_name(const struct ga_py_errors *errors, int err, const char *name);

#endif
