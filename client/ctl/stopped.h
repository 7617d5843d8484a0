/* Processes that are stopped, by a signal or a debugger: what they are in the middle of stays as it
 * is for as long as they are, and an audit cannot wait for its end. */
#ifndef GA_CTL_STOPPED_H
#define GA_CTL_STOPPED_H

#include <stdint.h>

#include "shm/audit.h"
#include "shm/view.h"

/* The pid of the client whose step may have left the words that the fault is about, if it is
 * stopped; else 0. */
uint32_t ga_stopped_client(const struct ga_view *view, const struct ga_audit_fault *fault);

#endif
