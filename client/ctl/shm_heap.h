/* A heap read from its shared memory objects, without its server's help: a private copy of what
 * meta and bits hold. A copy, because reading a mapped hole would allocate it, and because another
 * process may cut the objects short or write to them; copied, what was checked stays so. */
#ifndef GA_CTL_SHM_HEAP_H
#define GA_CTL_SHM_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "shm/recount.h"
#include "shm/view.h"

struct ga_shm_heap {
    const char *name;
    struct ga_view view; /* of the copies */
    void *meta;          /* the copies, NULL where there is none */
    void *bits;
    uint64_t meta_bytes; /* how long they are */
    uint64_t bits_bytes;
    uint64_t meta_sys_bytes; /* memory behind the objects */
    uint64_t bits_sys_bytes;
    uint32_t pid;        /* whose own heap it is, 0 = it is shared */
    uint32_t client_end; /* no entry from here on was ever used */
    uint32_t mcache_end;
    uint32_t root_end;
    bool server_alive;
};

/* Copy the heap called name, which must outlive the copy. It is no snapshot while the heap is in
 * use. Returns 0; a negative errno after the reason has been told on stderr. */
int ga_shm_heap_open(const char *name, struct ga_shm_heap *ret);
/* The same of the heap that process pid has for itself (client/malloc), with its meta and bits at
 * these addresses of it, profiles and samples included. */
int ga_shm_heap_open_process(const char *name, uint32_t pid, uint64_t meta_address,
                             uint64_t bits_address, struct ga_shm_heap *ret);
/* The same of one that has ended, as it has written them to files (client/malloc/account_file.h).
 */
int ga_shm_heap_open_files(const char *name, uint32_t pid, const char *meta_path,
                           const char *bits_path, struct ga_shm_heap *ret);
void ga_shm_heap_close(struct ga_shm_heap *heap);

/* Make every name in the copy a string of UTF-8, whatever is in it: it may then be shown. */
void ga_shm_heap_clean_names(struct ga_shm_heap *heap);

/* Count the copy's objects from the bitmaps. 0; a negative errno after telling on stderr that the
 * page table is damaged. */
int ga_shm_heap_recount(const struct ga_shm_heap *heap, struct ga_recount *ret);

/* Tell on stderr that the page table is damaged at page. Returns -EBADMSG. */
int ga_shm_heap_report_damage(const struct ga_shm_heap *heap, uint64_t page);

#endif
