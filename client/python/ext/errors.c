#include "errors.h"

#include <errno.h>
#include <stdarg.h>

#include <goalloc/goalloc.h>

/* base2: a second base beside error, or NULL. */
static PyObject *make(PyObject *module, const char *name, const char *doc, PyObject *base,
                      PyObject *base2)
{
    PyObject *bases = base2 ? PyTuple_Pack(2, base, base2) : PyTuple_Pack(1, base);
    PyObject *made = bases ? PyErr_NewExceptionWithDoc(name, doc, bases, NULL) : NULL;
    Py_XDECREF(bases);
    if (made && PyModule_AddType(module, (PyTypeObject *)made) < 0)
        Py_CLEAR(made);
    return made;
}

int ga_py_errors_init(PyObject *module, struct ga_py_errors *ret)
{
    ret->error = make(module, "goalloc.Error",
                      "What the library refused, or could not do; errno says what it was.",
                      PyExc_OSError, NULL);
    if (!ret->error)
        return -1;
    ret->not_found = make(module, "goalloc.NotFoundError", "Nothing is published under that name.",
                          ret->error, PyExc_LookupError);
    ret->exists = make(module, "goalloc.ExistsError", "That name is taken.", ret->error,
                       PyExc_FileExistsError);
    ret->timeout =
        make(module, "goalloc.TimeoutError",
             "The time was up: nobody published that name, or the server did not answer.",
             ret->error, PyExc_TimeoutError);
    ret->out_of_memory =
        make(module, "goalloc.OutOfMemoryError", "The heap is full, or the user's quota used up.",
             ret->error, PyExc_MemoryError);
    return ret->not_found && ret->exists && ret->timeout && ret->out_of_memory ? 0 : -1;
}

int ga_py_errors_visit(const struct ga_py_errors *errors, visitproc visit, void *arg)
{
    Py_VISIT(errors->error);
    Py_VISIT(errors->not_found);
    Py_VISIT(errors->exists);
    Py_VISIT(errors->timeout);
    Py_VISIT(errors->out_of_memory);
    return 0;
}

void ga_py_errors_clear(struct ga_py_errors *errors)
{
    Py_CLEAR(errors->error);
    Py_CLEAR(errors->not_found);
    Py_CLEAR(errors->exists);
    Py_CLEAR(errors->timeout);
    Py_CLEAR(errors->out_of_memory);
}

static PyObject *class_of(const struct ga_py_errors *errors, int err)
{
    switch (-err) {
    case EEXIST:
        return errors->exists;
    case ETIMEDOUT:
        return errors->timeout;
    case ENOMEM:
        return errors->out_of_memory;
    default:
        return errors->error;
    }
}

static PyObject *raise_class(PyObject *class, int err, PyObject *text)
{
    PyObject *args = text ? Py_BuildValue("(iO)", -err, text) : NULL;
    if (args)
        PyErr_SetObject(class, args);
    Py_XDECREF(args);
    Py_XDECREF(text);
    return NULL;
}

PyObject *ga_py_raise_text(const struct ga_py_errors *errors, int err, PyObject *text)
{
    return raise_class(class_of(errors, err), err, text);
}

PyObject *ga_py_raise_message(const struct ga_py_errors *errors, int err, const char *message)
{
    return ga_py_raise_text(errors, err, PyUnicode_DecodeLocale(message, "surrogateescape"));
}

PyObject *ga_py_raise(const struct ga_py_errors *errors, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    PyObject *tried = PyUnicode_FromFormatV(format, args);
    va_end(args);
    if (!tried)
        return NULL;
    PyObject *text = PyUnicode_FromFormat("%U: %s", tried, goalloc_strerror(err));
    Py_DECREF(tried);
    return ga_py_raise_text(errors, err, text);
}

PyObject *ga_py_raise_name(const struct ga_py_errors *errors, int err, const char *name)
{
    PyObject *text = PyUnicode_FromFormat("'%s': %s", name, goalloc_strerror(err));
    return raise_class(err == -ENOENT ? errors->not_found : class_of(errors, err), err, text);
}
