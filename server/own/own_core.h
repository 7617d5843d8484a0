/* What the parts of server/own share: the process's heap, and which of its clients the process is.
 */
#ifndef GA_SERVER_OWN_OWN_CORE_H
#define GA_SERVER_OWN_OWN_CORE_H

#include "proto/own_core.h"
#include "server/heap.h"

extern struct ga_heap *ga_own_heap_core;
extern ga_client_id ga_own_client;

#endif
