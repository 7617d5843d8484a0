/* Times as Python has them, seconds or None, in the library's milliseconds. */
#ifndef GA_PYTHON_DURATION_H
#define GA_PYTHON_DURATION_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* seconds: a number, not negative; rounded up. Times of more than 49 days are taken for so long.
 * Returns 0, or -1 with an exception. */
int ga_py_duration_ms(PyObject *seconds, uint32_t *ret_ms);

#endif
