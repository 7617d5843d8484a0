#include "attach.h"

#include <errno.h>
#include <string.h>

#include <goalloc/goalloc.h>

#include "duration.h"
#include "heap.h"
#include "module.h"
#include "report.h"

const char ga_py_attach_doc[] =
    "attach(address=None, *, timeout=None, policy='keep', client_name=None)\n"
    "--\n"
    "\n"
    "Attach this process to the heap served at address, the path of a Unix socket.\n"
    "\n"
    "address: None means $GOALLOC_SOCKET, else the user's own server, which is started if need "
    "be.\n"
    "timeout: for how many seconds a call waits for the server; None means 5.\n"
    "policy: what becomes of this process's objects when it detaches or ends, however it ends:\n"
    "    'keep', they stay until somebody frees them; 'private', they are freed; 'unreachable',\n"
    "    those are freed that nothing in the heap or a hold keeps.\n"
    "client_name: shown by goallocctl clients; None means the program's short name.\n"
    "Raises goalloc.Error, whose text says which socket or heap it was and why.";

static const char *const policies[] = {
    [GOALLOC_POLICY_KEEP] = "keep",
    [GOALLOC_POLICY_PRIVATE] = "private",
    [GOALLOC_POLICY_UNREACHABLE] = "unreachable",
};

static int read_policy(const char *name, uint32_t *ret)
{
    for (uint32_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (strcmp(name, policies[i]) == 0) {
            *ret = i;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "policy is 'keep', 'private' or 'unreachable', not '%s'", name);
    return -1;
}

/* As the library takes 0 for its default, a timeout must be at least a millisecond. */
static int read_timeout(PyObject *seconds, uint32_t *ret_ms)
{
    if (seconds == Py_None)
        return 0;
    if (ga_py_duration_ms(seconds, ret_ms) < 0)
        return -1;
    if (*ret_ms > 0)
        return 0;
    PyErr_SetString(PyExc_ValueError, "attach needs a timeout of more than 0 seconds");
    return -1;
}

static PyObject *attach(const struct ga_py_state *state, const char *address,
                        const struct goalloc_options *options)
{
    struct ga_py_heap *self = (struct ga_py_heap *)PyType_GenericAlloc(state->heap_type, 0);
    if (!self)
        return NULL;
    self->fork_count = ga_py_fork_count();
    struct goalloc_heap *heap = NULL;
    int r;
    Py_BEGIN_ALLOW_THREADS
    r = goalloc_attach(address, options, &heap);
    Py_END_ALLOW_THREADS
    if (r == 0) {
        self->heap = heap;
        return (PyObject *)self;
    }
    Py_DECREF((PyObject *)self);
    const char *why = goalloc_attach_error();
    return ga_py_raise_message(&state->errors, r, why[0] ? why : goalloc_strerror(r));
}

PyObject *ga_py_attach(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"address", "timeout", "policy", "client_name", NULL};
    PyObject *path = Py_None;
    PyObject *timeout = Py_None;
    const char *policy = policies[GOALLOC_POLICY_KEEP];
    struct goalloc_options options = {.size = sizeof(options), .report = ga_py_report};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O$Osz:attach", names, &path, &timeout,
                                     &policy, &options.client_name) ||
        read_policy(policy, &options.policy) < 0 || read_timeout(timeout, &options.timeout_ms) < 0)
        return NULL;
    PyObject *bytes = NULL;
    if (path != Py_None && !PyUnicode_FSConverter(path, &bytes))
        return NULL;
    PyObject *heap =
        attach(PyModule_GetState(module), bytes ? PyBytes_AsString(bytes) : NULL, &options);
    Py_XDECREF(bytes);
    return heap;
}
