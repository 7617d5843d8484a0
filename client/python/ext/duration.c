#include "duration.h"

#include <math.h>

#include <goalloc/goalloc.h>

int ga_py_duration_ms(PyObject *seconds, uint32_t *ret_ms)
{
    double value = PyFloat_AsDouble(seconds);
    if (value == -1.0 && PyErr_Occurred())
        return -1;
    if (!(value >= 0)) { /* nor not a number */
        PyErr_SetString(PyExc_ValueError, "a timeout is a number of seconds, 0 or more");
        return -1;
    }
    double ms = ceil(value * 1000);
    *ret_ms = ms < GOALLOC_FOR_EVER ? (uint32_t)ms : GOALLOC_FOR_EVER - 1;
    return 0;
}
