#include "client/ctl/stopped.h"

#include "shm/process.h"

/* The client whose thread writes the words, + 1; 0 where that is the server, or nobody. */
static uint32_t writer(const struct ga_view *view, const struct ga_audit_fault *fault)
{
    switch (fault->kind) {
    case GA_FAULT_HANDLE:
        return (uint32_t)fault->index + 1;
    case GA_FAULT_TINY:
    case GA_FAULT_TELLING:
    case GA_FAULT_INTO:
    case GA_FAULT_FLUSH:
    case GA_FAULT_BATCH:
        return fault->mcache < view->counts.mcaches
                   ? ga_load_acquire(&view->mcache_entries[fault->mcache].client)
                   : 0;
    default:
        return 0;
    }
}

uint32_t ga_stopped_client(const struct ga_view *view, const struct ga_audit_fault *fault)
{
    uint32_t client_plus_1 = writer(view, fault);
    if (client_plus_1 == 0 || client_plus_1 > view->counts.clients)
        return 0;
    uint32_t pid = view->clients[client_plus_1 - 1].pid;
    return ga_process_is_stopped(pid) ? pid : 0;
}
