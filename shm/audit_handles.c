/* The handles of clients: each of a living one is empty or names an object in use; those of one
 * that is leaving or gone are empty, unless the server is at emptying them. */
#include "shm/audit_internal.h"

/* The server frees an object, and then empties its handle. */
static bool names_object(const struct ga_audit_run *run, uint64_t address)
{
    struct ga_slot slot;
    return ga_audit_find_slot(run, address - run->view->meta->base, &slot) &&
           (ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY) || ga_audit_is_in_use(run, &slot));
}

static void look_at_handles(struct ga_audit_run *run, uint64_t client, bool again, void *count,
                            struct ga_audit_findings *findings)
{
    (void)again;
    (void)count;
    uint32_t state = ga_load_acquire(&run->view->clients[client].state);
    bool attached = state == GA_CLIENT_ATTACHED ||
                    (state == GA_CLIENT_LEAVING && ga_audit_has(run, GA_AUDIT_SERVER_MIDWAY));
    for (uint32_t i = 0; i < GA_HANDLE_COUNT; i++) {
        struct ga_audit_fault fault =
            ga_audit_fault(attached ? GA_FAULT_HANDLE : GA_FAULT_HANDLE_LEFT);
        fault.index = (int32_t)client;
        fault.word = (int32_t)i;
        fault.found = ga_load_acquire(&run->view->handles[client].object[i]);
        if (fault.found != 0 && !(attached && names_object(run, fault.found)))
            ga_audit_find(findings, &fault);
    }
}

void ga_audit_handles(struct ga_audit_run *run)
{
    for (uint32_t client = 0; client < run->client_end && client < run->view->counts.handles;
         client++)
        ga_audit_each(run, look_at_handles, client, NULL);
}
