/* What the library reports: a misuse during a call of this thread becomes its exception; all else
 * goes to stderr, as without Python. */
#ifndef GA_PYTHON_REPORT_H
#define GA_PYTHON_REPORT_H

#include <goalloc/goalloc.h>

/* For goalloc_options. */
void ga_py_report(enum goalloc_report_kind kind, const char *message, void *data);

/* From now on keep what this thread's calls report of misuses. */
void ga_py_report_begin(void);

/* Do so no more. Returns what was reported last, valid until the next begin; NULL: nothing. */
const char *ga_py_report_end(void);

#endif
