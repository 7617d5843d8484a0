/* goalloc._goalloc: the module, and attach, its one function.
 *
 * Each thread that calls the library lets the others run Python meanwhile: any call may have to ask
 * the server. So what a call uses must stay until it returns. Of a heap, calls under way are
 * counted and close refuses as long as there are any (heap.h); of an object, whoever changes to
 * whom it belongs marks it as busy first (object.h). */
#include "module.h"

#include <pthread.h>

#include <goalloc/goalloc.h>

#include "attach.h"
#include "heap.h"
#include "object.h"
#include "report.h"
#include "stats.h"

static unsigned fork_count; /* changes only where there is one thread */

static void in_child(void)
{
    fork_count++;
}

unsigned ga_py_fork_count(void)
{
    return fork_count;
}

static void install_fork_handler(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

struct ga_py_state *ga_py_state_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

static PyTypeObject *add_type(PyObject *module, PyType_Spec *spec)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

static int exec(PyObject *module)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct ga_py_state *state = PyModule_GetState(module);
    pthread_once(&once, install_fork_handler);
    if (ga_py_errors_init(module, &state->errors) < 0 ||
        ga_py_stats_init(module, &state->stats_type, &state->size_stats_type) < 0)
        return -1;
    state->heap_type = add_type(module, &ga_py_heap_spec);
    state->object_type = add_type(module, &ga_py_object_spec);
    if (!state->heap_type || !state->object_type)
        return -1;
    return PyModule_AddIntConstant(module, "NAME_MAX", GOALLOC_NAME_MAX);
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    struct ga_py_state *state = PyModule_GetState(module);
    Py_VISIT(state->heap_type);
    Py_VISIT(state->object_type);
    Py_VISIT(state->stats_type);
    Py_VISIT(state->size_stats_type);
    return ga_py_errors_visit(&state->errors, visit, arg);
}

static int clear(PyObject *module)
{
    struct ga_py_state *state = PyModule_GetState(module);
    Py_CLEAR(state->heap_type);
    Py_CLEAR(state->object_type);
    Py_CLEAR(state->stats_type);
    Py_CLEAR(state->size_stats_type);
    ga_py_errors_clear(&state->errors);
    return 0;
}

static void free_module(void *module)
{
    clear(module);
}

static PyMethodDef functions[] = {
    {"attach", (PyCFunction)(void (*)(void))ga_py_attach, METH_VARARGS | METH_KEYWORDS,
     ga_py_attach_doc},
    {0},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)(uintptr_t)exec},
    {0},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "goalloc._goalloc",
    .m_doc = "The part of goalloc that is written in C; import goalloc instead.",
    .m_size = sizeof(struct ga_py_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = traverse,
    .m_clear = clear,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__goalloc(void);
PyMODINIT_FUNC PyInit__goalloc(void)
{
    return PyModuleDef_Init(&definition);
}
