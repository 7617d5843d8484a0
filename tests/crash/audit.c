/* The words by the room shm's own audit; then the objects: every slot in use must be in the
 * account, and every object of the account in use and whole. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crash/world.h"
#include "shm/audit.h"
#include "shm/batch.h"
#include "shm/recount.h"
#include "shm/sample.h"
#include "shm/slot.h"
#include "shm/tiny.h"

struct audit {
    const struct ga_crash_world *world;
    struct ga_account *account;
    struct ga_verdict *verdict;
    int in_flight_class;
    uint8_t size_class[GA_ACCOUNT_OBJECTS]; /* of what was found */
};

static __attribute__((format(printf, 3, 4))) void blame(struct audit *audit, uint32_t *count,
                                                        const char *format, ...)
{
    va_list args;
    (*count)++;
    if (audit->verdict->why[0])
        return;
    va_start(args, format);
    vsnprintf(audit->verdict->why, sizeof(audit->verdict->why), format, args);
    va_end(args);
}

static uint32_t slots_of(ga_span_class span_class)
{
    if (span_class == GA_SPAN_CLASS_TINY)
        return GA_TINY_NBLOCKS * GA_TINY_UNITS; /* places an object may start at */
    return span_class < 2 ? 1 : ga_size_classes[span_class / 2].nslots;
}

static uint64_t slot_bytes(ga_span_class span_class)
{
    return span_class == GA_SPAN_CLASS_TINY ? GA_TINY_UNIT_BYTES
                                            : ga_size_classes[span_class / 2].size;
}

/* Whether a living process has freed the slot and not told anybody yet. */
static bool is_in_batch(const struct ga_view *view, ga_page_id page, uint32_t index)
{
    uint32_t end = ga_load_acquire(&view->meta->mcache_end);
    for (ga_mcache_id id = 1; id < end; id++) {
        uint64_t mask = ga_load_acquire(&view->mcaches[id].batch_mask);
        uint64_t where = ga_load_acquire(&view->mcaches[id].batch_where);
        if (where == ga_batch_where(page, index / 64) && (mask >> index % 64 & 1))
            return true;
    }
    return false;
}

/* Note the slots of a span that are in use. */
static void find_slots(struct audit *audit, ga_page_id page, uint64_t entry)
{
    struct ga_account *account = audit->account;
    ga_span_class span_class = ga_entry_span_class(entry);
    uint64_t base = audit->world->view.meta->base + page * GA_PAGE_SIZE;
    for (uint32_t i = 0; i < slots_of(span_class); i++) {
        struct ga_slot slot = {.page = page, .index = i, .entry = entry};
        uint64_t a;
        if (!ga_slot_in_use(&audit->world->view, &slot, &a) ||
            is_in_batch(&audit->world->view, page, i))
            continue;
        if (account->nfound == GA_ACCOUNT_OBJECTS)
            continue;
        audit->size_class[account->nfound] = (uint8_t)(span_class / 2);
        account->found[account->nfound++] = base + i * slot_bytes(span_class);
    }
}

static void find_objects(struct audit *audit)
{
    const struct ga_view *view = &audit->world->view;
    uint64_t page = 1;
    uint64_t entry;
    for (; ga_recount_next_span(view, &page, &entry) == 0; page += ga_entry_npages(entry))
        find_slots(audit, (ga_page_id)page, entry);
}

static void on_fault(void *data, const struct ga_audit_fault *fault)
{
    struct audit *audit = data;
    char text[GA_AUDIT_TEXT_BYTES];
    bool withheld = fault->kind == GA_FAULT_LOST || fault->kind == GA_FAULT_OWNER;
    blame(audit, withheld ? &audit->verdict->leaked : &audit->verdict->corrupted, "%s",
          ga_audit_fault_text(fault, text));
}

/* Every word against the others, as `goallocctl check` does it. */
static void check_words(struct audit *audit)
{
    static struct ga_audit_scratch scratch;
    struct ga_audit counts;
    struct ga_audit_options options = {.scratch = &scratch, .report = on_fault, .data = audit};
    (void)ga_audit_run(&audit->world->view, &options, &counts);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* The site at which the object was allocated, by the profile of a client that may be gone; NULL
 * where it has no word, or that names none. */
static const struct ga_profile_site *site_of(const struct ga_view *view, uint64_t address)
{
    uint64_t word;
    if (!ga_sample_find(view, address - view->meta->base, &word))
        return NULL;
    const struct ga_profile *profile = &view->profiles[ga_sample_client(word)];
    const struct ga_profile_entry *entry = &view->profile_entries[ga_sample_client(word)];
    const struct ga_profile_site *site = &profile->sites[ga_sample_site(word)];
    bool known = ga_load_acquire(&entry->instance) == ga_sample_instance(word) &&
                 ga_load_acquire(&profile->instance) == ga_sample_instance(word) &&
                 ga_load_acquire(&site->ready) == 1;
    return known ? site : NULL;
}

/* An object that must exist is in the profile, at a place that allocates such. That no word is left
 * of one that is free the audit of the words says. */
static void check_sample(struct audit *audit, const struct ga_account_object *object)
{
    const struct ga_profile_site *site = site_of(&audit->world->view, object->address);
    if (!site)
        blame(audit, &audit->verdict->corrupted, "an object of %" PRIu32 " bytes is in no profile",
              object->bytes);
    else if (site->size_bytes < object->bytes || site->nframes == 0)
        blame(audit, &audit->verdict->corrupted,
              "an object of %" PRIu32 " bytes is in the profile as one of %" PRIu64, object->bytes,
              site->size_bytes);
}

static void check_objects(struct audit *audit)
{
    struct ga_account *account = audit->account;
    struct ga_verdict *verdict = audit->verdict;
    static uint8_t known[GA_ACCOUNT_OBJECTS]; /* as what */
    memset(known, 0, sizeof(known));
    const unsigned char *heap = audit->world->objects[GA_OBJECT_HEAP].address;
    for (uint32_t i = 0; i < account->nobjects; i++) {
        const struct ga_account_object *object = &account->objects[i];
        if (object->state == GA_OBJECT_NONE || object->state == GA_OBJECT_PASSING)
            continue;
        const uint64_t *found =
            bsearch(&object->address, account->found, account->nfound, sizeof(uint64_t), compare);
        if (!found && object->state == GA_OBJECT_KEPT)
            blame(audit, &verdict->corrupted, "an object of %" PRIu32 " bytes is lost",
                  object->bytes);
        if (!found)
            continue;
        uint8_t *state = &known[found - account->found];
        uint8_t before = *state;
        if (before != GA_OBJECT_KEPT)
            *state = object->state;
        /* One that was leaving may have been handed out again since. */
        if (before == GA_OBJECT_KEPT && object->state == GA_OBJECT_KEPT)
            blame(audit, &verdict->corrupted, "0x%" PRIx64 " was handed out twice",
                  object->address);
        else if (object->state == GA_OBJECT_KEPT &&
                 !ga_account_is_whole(object,
                                      heap + (object->address - audit->world->view.meta->base)))
            blame(audit, &verdict->corrupted, "an object of %" PRIu32 " bytes is spoiled",
                  object->bytes);
        else if (object->state == GA_OBJECT_KEPT && account->sampled)
            check_sample(audit, object);
    }
    for (uint32_t i = 0; i < account->nfound; i++) {
        if (known[i] != GA_OBJECT_NONE)
            continue;
        if (audit->size_class[i] == audit->in_flight_class && verdict->in_flight == 0)
            verdict->in_flight = 1;
        else
            blame(audit, &verdict->leaked, "0x%" PRIx64 ", of size class %u, is in use by nobody",
                  account->found[i], audit->size_class[i]);
    }
}

/* Every root names an object. */
static void check_roots(struct audit *audit)
{
    const struct ga_view *view = &audit->world->view;
    const struct ga_account *account = audit->account;
    uint32_t end = ga_load_acquire(&view->meta->root_end);
    for (uint32_t i = 0; i < end; i++) {
        const struct ga_root_entry *root = &view->roots[i];
        uint64_t address = view->meta->base + ga_load_relaxed(&root->offset);
        if (ga_load_acquire(&root->used) &&
            !bsearch(&address, account->found, account->nfound, sizeof(uint64_t), compare))
            blame(audit, &audit->verdict->corrupted, "the root %s names no object", root->name);
    }
}

/* ---- memory ---- */

static uint64_t count_blocks(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_blocks : 0;
}

/* Whether the pages of the heap object had memory; they have now. How much of it there is does not
 * tell: the server has some ready for what comes next. */
static bool had_memory(int fd, uint64_t page, uint64_t npages)
{
    uint64_t before = count_blocks(fd);
    return fallocate(fd, 0, (off_t)(page * GA_PAGE_SIZE), (off_t)(npages * GA_PAGE_SIZE)) == 0 &&
           count_blocks(fd) == before;
}

static void check_pages(struct audit *audit, int fd)
{
    const struct ga_view *view = &audit->world->view;
    uint64_t end = ga_load_acquire(&view->meta->committed_npages);
    for (uint64_t page = 1; page < end;) {
        uint64_t n = 0;
        while (page + n < end && !(ga_view_entry(view, page + n) & GA_ENTRY_SCAVENGED))
            n++;
        if (n > 0 && !had_memory(fd, page, n))
            blame(audit, &audit->verdict->corrupted,
                  "of pages %" PRIu64 " to %" PRIu64
                  " some have no memory, and no mark that says so",
                  page, page + n - 1);
        page += n + 1;
    }
}

/* Every page that is not marked to have none has memory. The server stands still meanwhile, since
 * it may be at giving some back. */
static void check_memory(struct audit *audit)
{
    char name[GA_OBJECT_NAME_BYTES];
    ga_object_name(audit->world->heap_name, GA_OBJECT_HEAP, name);
    int fd = shm_open(name, O_RDWR | O_CLOEXEC, 0);
    int status;
    kill(audit->world->server, SIGSTOP);
    if (fd >= 0 && waitpid(audit->world->server, &status, WUNTRACED) == audit->world->server)
        check_pages(audit, fd);
    else
        blame(audit, &audit->verdict->corrupted, "the heap's memory cannot be looked at");
    kill(audit->world->server, SIGCONT);
    if (fd >= 0)
        close(fd);
}

void ga_crash_world_audit(struct ga_crash_world *world, struct ga_account *account,
                          int in_flight_class, struct ga_verdict *ret)
{
    static struct audit audit;
    audit.world = world;
    audit.account = account;
    audit.verdict = ret;
    audit.in_flight_class = in_flight_class;
    *ret = (struct ga_verdict){0};
    account->nfound = 0;
    check_words(&audit);
    find_objects(&audit);
    check_objects(&audit);
    check_roots(&audit);
    check_memory(&audit);
}

uint32_t ga_crash_world_free_slots(const struct ga_crash_world *world, ga_span_class span_class)
{
    uint32_t nfree = 0;
    uint64_t page = 1;
    uint64_t entry;
    uint32_t nslots = span_class == GA_SPAN_CLASS_TINY ? GA_TINY_NBLOCKS : slots_of(span_class);
    for (; ga_recount_next_span(&world->view, &page, &entry) == 0; page += ga_entry_npages(entry))
        if (ga_entry_span_class(entry) == span_class && ga_entry_owner(entry) == 0)
            nfree += nslots - ga_slot_count_used(&world->view, (ga_page_id)page, nslots);
    return nfree;
}
