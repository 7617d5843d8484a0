/* Only data is copied (SEEK_DATA): the tables are sparse, and what is no data is zero in the copy,
 * which is private memory that was never touched. meta is the server's alone; so it is copied
 * first, then its header again: the committed end that this tells covers every span of the page
 * table. bits is client-writable: of it, what lies past that end is not even read. */
#include "client/ctl/shm_heap.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ctl/process_memory.h"
#include "proto/error.h"
#include "proto/text.h"
#include "shm/mapping.h"
#include "shm/process.h"
#include "shm/server_lock.h"

static int refuse(const char *name, int err, const char *why)
{
    fprintf(stderr, "goallocctl: heap '%s' cannot be read: %s\n", name, why);
    return err;
}

static int read_piece(int fd, uint64_t offset, uint64_t bytes, char *ret)
{
    while (bytes > 0) {
        ssize_t n = pread(fd, ret, bytes, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0; /* cut short meanwhile: the rest is zeros */
        ret += n;
        offset += (uint64_t)n;
        bytes -= (uint64_t)n;
    }
    return 0;
}

/* Copy the data of [offset, offset + bytes) of the object to the same place in copy. */
static int copy_data(int fd, uint64_t offset, uint64_t bytes, char *copy)
{
    uint64_t end = offset + bytes;
    while (offset < end) {
        off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
        if (data < 0 && errno == ENXIO)
            return 0; /* nothing but holes from here on */
        if (data < 0)
            return -errno;
        off_t hole = lseek(fd, data, SEEK_HOLE);
        if (hole < 0)
            return -errno;
        uint64_t from = (uint64_t)data < end ? (uint64_t)data : end;
        uint64_t to = (uint64_t)hole < end ? (uint64_t)hole : end;
        int r = read_piece(fd, from, to - from, copy + from);
        if (r < 0)
            return r;
        offset = to;
    }
    return 0;
}

static int reserve(uint64_t bytes, void **ret)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *ret = memory;
    return 0;
}

static uint64_t memory_behind(int fd)
{
    struct stat st;
    return fstat(fd, &st) < 0 ? 0 : (uint64_t)st.st_blocks * 512;
}

/* A server holds a lock on meta as long as it lives, which also shows one of another pid namespace;
 * where that failed, its header names it. */
static bool has_server(int fd, const struct ga_meta_header *header)
{
    return ga_server_lock_is_held(fd) ||
           ga_process_is_alive(header->server_pid, header->server_start_time);
}

/* Nothing of a header is believed before this. */
static int check_header(const char *name, const struct ga_meta_header *header)
{
    char why[256];
    if (header->magic == 0)
        return refuse(name, -EPROTO, "its meta object is empty");
    if (header->magic == GA_META_MAKING)
        return refuse(name, -EPROTO, "it was never made to its end");
    int r = ga_geometry_check(header, why, sizeof(why));
    return r < 0 ? refuse(name, r, why) : 0;
}

static int read_header(const char *name, const struct ga_mapping *object,
                       struct ga_meta_header *ret)
{
    int r = read_piece(object->fd, 0, sizeof(*ret), (char *)ret);
    if (r < 0)
        return refuse(name, r, ga_error_text(r));
    r = check_header(name, ret);
    if (r == 0 && object->bytes < ret->meta_bytes)
        r = refuse(name, -EPROTO, "its meta object has been cut short");
    return r;
}

static uint32_t at_most(uint32_t number, uint32_t limit)
{
    return number < limit ? number : limit;
}

/* The copy's header was read once more, and somebody may have written to it meanwhile: it is as
 * good as the first, and all its tables lie where there is memory. */
static int check_copy(const char *name, const struct ga_meta_header *copy,
                      const struct ga_meta_header *first)
{
    int r = check_header(name, copy);
    if (r == 0 && (copy->meta_bytes != first->meta_bytes || copy->bits_bytes != first->bits_bytes))
        r = refuse(name, -EPROTO, "it was written to meanwhile");
    return r;
}

/* How far the tables of the copy were ever used. */
static void note_ends(struct ga_shm_heap *heap)
{
    const struct ga_meta_header *copy = heap->meta;
    heap->client_end = at_most(ga_load_relaxed(&copy->client_end), copy->counts.clients);
    heap->mcache_end = at_most(ga_load_relaxed(&copy->mcache_end), copy->counts.mcaches);
    heap->root_end = at_most(ga_load_relaxed(&copy->root_end), copy->counts.roots);
}

static int copy_meta(const struct ga_mapping *object, struct ga_shm_heap *heap)
{
    struct ga_meta_header header;
    int r = read_header(heap->name, object, &header);
    if (r < 0)
        return r;
    heap->meta_bytes = header.meta_bytes;
    r = reserve(header.meta_bytes, &heap->meta);
    if (r == 0)
        r = copy_data(object->fd, 0, header.meta_bytes, heap->meta);
    if (r < 0)
        return refuse(heap->name, r, ga_error_text(r));
    assert(heap->meta);
    r = read_header(heap->name, object, heap->meta);
    if (r < 0)
        return r;
    const struct ga_meta_header *copy = heap->meta;
    if (copy->meta_bytes != header.meta_bytes || copy->bits_bytes != header.bits_bytes)
        return refuse(heap->name, -EPROTO, "another was made in its place meanwhile");
    note_ends(heap);
    heap->meta_sys_bytes = memory_behind(object->fd);
    heap->server_alive = has_server(object->fd, copy);
    return 0;
}

static int copy_bits(const struct ga_mapping *object, struct ga_shm_heap *heap)
{
    const struct ga_meta_header *header = heap->meta;
    struct ga_bits_header bits = {0};
    int r = read_piece(object->fd, 0, sizeof(bits), (char *)&bits);
    if (r < 0)
        return refuse(heap->name, r, ga_error_text(r));
    if (bits.magic != GA_BITS_MAGIC || bits.heap_id != header->heap_id ||
        object->bytes < header->bits_bytes)
        return refuse(heap->name, -EPROTO,
                      "its bits object is damaged, cut short, or another heap's");
    uint64_t npages = ga_load_relaxed(&header->committed_npages);
    heap->bits_bytes = header->bits_bytes;
    r = reserve(header->bits_bytes, &heap->bits);
    if (r == 0)
        r = copy_data(object->fd, 0, sizeof(bits), heap->bits);
    if (r == 0)
        r = copy_data(object->fd, ga_geometry_pending(header, npages), (npages + 63) / 64 * 8,
                      heap->bits);
    if (r == 0)
        r = copy_data(object->fd, header->bits_mcaches_offset,
                      heap->mcache_end * sizeof(struct ga_mcache), heap->bits);
    if (r == 0)
        r = copy_data(object->fd, header->bits_handles_offset,
                      at_most(heap->client_end, header->counts.handles) * sizeof(struct ga_handles),
                      heap->bits);
    if (r == 0)
        r = copy_data(object->fd, header->bits_gc_words_offset, heap->client_end * sizeof(uint64_t),
                      heap->bits);
    if (r == 0)
        r = copy_data(object->fd, header->bits_lines_offset, npages * sizeof(struct ga_span_line),
                      heap->bits);
    if (r == 0)
        r = copy_data(object->fd, ga_geometry_wide(header, npages),
                      npages * sizeof(struct ga_span_wide), heap->bits);
    if (r == 0)
        r = copy_data(object->fd, header->bits_tiny_offset, npages * sizeof(struct ga_tiny_bits),
                      heap->bits);
    heap->bits_sys_bytes = memory_behind(object->fd);
    return r < 0 ? refuse(heap->name, r, ga_error_text(r)) : 0;
}

static int open_object(const char *name, enum ga_object object, struct ga_mapping *ret)
{
    int r = ga_mapping_open(name, object, true, -1, 0, 0, ret);
    if (r == -ENOENT && object == GA_OBJECT_META)
        fprintf(stderr, "goallocctl: there is no heap '%s' in /dev/shm\n", name);
    else if (r == -EPROTO)
        refuse(name, r, "it is no goalloc heap, or was never made to its end");
    else if (r < 0)
        refuse(name, r, ga_error_text(r));
    return r;
}

int ga_shm_heap_open(const char *name, struct ga_shm_heap *ret)
{
    struct ga_mapping meta = GA_MAPPING_NONE;
    struct ga_mapping bits = GA_MAPPING_NONE;
    struct ga_shm_heap heap = {.name = name};
    int r = open_object(name, GA_OBJECT_META, &meta);
    if (r == 0)
        r = copy_meta(&meta, &heap);
    if (r == 0)
        r = open_object(name, GA_OBJECT_BITS, &bits);
    if (r == 0)
        r = copy_bits(&bits, &heap);
    ga_mapping_close(&bits);
    ga_mapping_close(&meta);
    if (r < 0) {
        ga_shm_heap_close(&heap);
        return r;
    }
    heap.view = ga_view_of(heap.meta, heap.bits);
    *ret = heap;
    return 0;
}

/* ---- of a process ---- */

static uint64_t whole_os_pages(uint64_t bytes)
{
    return (bytes + GA_OS_PAGE_SIZE - 1) & ~(GA_OS_PAGE_SIZE - 1);
}

static int refuse_process(uint32_t pid, int err)
{
    const char *why = strerrordesc_np(-err);
    if (err == -ESRCH)
        why = "it has ended";
    if (err == -EPERM || err == -EACCES)
        why = "only its user, or root, may; see also the kernel's setting kernel.yama.ptrace_scope";
    fprintf(stderr, "goallocctl: the heap of process %u cannot be read: %s\n", pid, why);
    return err;
}

/* Copy what has memory of bytes at address to *ret, and the header once more, as of an object: meta
 * changes meanwhile. */
static int copy_of_process(uint32_t pid, uint64_t address, uint64_t bytes, void **ret,
                           uint64_t *ret_sys_bytes)
{
    int r = reserve(whole_os_pages(bytes), ret);
    if (r == 0)
        r = ga_process_memory_copy(pid, address, whole_os_pages(bytes), *ret, ret_sys_bytes);
    return r < 0 ? refuse_process(pid, r) : 0;
}

static int copy_process(uint64_t meta_address, uint64_t bits_address, struct ga_shm_heap *heap)
{
    struct ga_meta_header header;
    int r = ga_process_memory_read(heap->pid, meta_address, sizeof(header), &header);
    if (r < 0)
        return refuse_process(heap->pid, r);
    r = check_header(heap->name, &header);
    if (r < 0)
        return r;
    heap->bits_bytes = whole_os_pages(header.bits_bytes);
    heap->meta_bytes = whole_os_pages(header.meta_bytes);
    /* What an entry says was true of the bits before: the other way round than of objects, since
     * here both are read as they are, and none can be cut. */
    r = copy_of_process(heap->pid, bits_address, header.bits_bytes, &heap->bits,
                        &heap->bits_sys_bytes);
    if (r == 0)
        r = copy_of_process(heap->pid, meta_address, header.meta_bytes, &heap->meta,
                            &heap->meta_sys_bytes);
    if (r < 0)
        return r;
    assert(heap->meta);
    r = check_copy(heap->name, heap->meta, &header);
    if (r == 0)
        note_ends(heap);
    return r;
}

int ga_shm_heap_open_process(const char *name, uint32_t pid, uint64_t meta_address,
                             uint64_t bits_address, struct ga_shm_heap *ret)
{
    struct ga_shm_heap heap = {.name = name, .pid = pid, .server_alive = true};
    int r = copy_process(meta_address, bits_address, &heap);
    if (r < 0) {
        ga_shm_heap_close(&heap);
        return r;
    }
    heap.view = ga_view_of(heap.meta, heap.bits);
    *ret = heap;
    return 0;
}

/* ---- of a process that has ended ---- */

static int open_file(const char *name, const char *path, uint64_t least_bytes, int *ret)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return refuse(name, -errno, strerrordesc_np(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < least_bytes) {
        close(fd);
        return refuse(name, -EPROTO, "what it has left is cut short");
    }
    *ret = fd;
    return 0;
}

static int copy_whole(const char *name, int fd, uint64_t bytes, void **ret, uint64_t *ret_bytes)
{
    *ret_bytes = whole_os_pages(bytes);
    int r = reserve(*ret_bytes, ret);
    if (r == 0)
        r = copy_data(fd, 0, bytes, *ret);
    return r < 0 ? refuse(name, r, ga_error_text(r)) : 0;
}

static int copy_files(const char *meta_path, const char *bits_path, struct ga_shm_heap *heap)
{
    struct ga_meta_header header = {0};
    int meta = -1;
    int bits = -1;
    int r = open_file(heap->name, meta_path, sizeof(header), &meta);
    if (r == 0)
        r = read_piece(meta, 0, sizeof(header), (char *)&header);
    if (r == 0)
        r = check_header(heap->name, &header);
    if (r == 0)
        r = copy_whole(heap->name, meta, header.meta_bytes, &heap->meta, &heap->meta_bytes);
    if (r == 0) {
        assert(heap->meta);
        r = check_copy(heap->name, heap->meta, &header);
    }
    if (r == 0)
        r = open_file(heap->name, bits_path, header.bits_bytes, &bits);
    if (r == 0)
        r = copy_whole(heap->name, bits, header.bits_bytes, &heap->bits, &heap->bits_bytes);
    if (r == 0)
        note_ends(heap);
    if (bits >= 0)
        close(bits);
    if (meta >= 0)
        close(meta);
    return r;
}

int ga_shm_heap_open_files(const char *name, uint32_t pid, const char *meta_path,
                           const char *bits_path, struct ga_shm_heap *ret)
{
    struct ga_shm_heap heap = {.name = name, .pid = pid};
    int r = copy_files(meta_path, bits_path, &heap);
    if (r < 0) {
        ga_shm_heap_close(&heap);
        return r;
    }
    heap.view = ga_view_of(heap.meta, heap.bits);
    *ret = heap;
    return 0;
}

void ga_shm_heap_close(struct ga_shm_heap *heap)
{
    if (heap->bits)
        munmap(heap->bits, heap->bits_bytes);
    if (heap->meta)
        munmap(heap->meta, heap->meta_bytes);
    *heap = (struct ga_shm_heap){0};
}

void ga_shm_heap_clean_names(struct ga_shm_heap *heap)
{
    struct ga_meta_header *header = heap->meta;
    struct ga_client_entry *clients = (void *)((char *)heap->meta + header->clients_offset);
    struct ga_root_entry *roots = (void *)((char *)heap->meta + header->roots_offset);
    header->name[sizeof(header->name) - 1] = '\0';
    header->server_version[sizeof(header->server_version) - 1] = '\0';
    ga_text_clean(header->name);
    ga_text_clean(header->server_version);
    for (uint32_t i = 0; i < heap->client_end; i++) {
        clients[i].name[sizeof(clients[i].name) - 1] = '\0';
        ga_text_clean(clients[i].name);
    }
    for (uint32_t i = 0; i < heap->root_end; i++) {
        roots[i].name[sizeof(roots[i].name) - 1] = '\0';
        ga_text_clean(roots[i].name);
    }
}

int ga_shm_heap_report_damage(const struct ga_shm_heap *heap, uint64_t page)
{
    fprintf(stderr,
            "goallocctl: the page table of heap '%s' is damaged at page %llu, or changed while it "
            "was read\n",
            heap->name, (unsigned long long)page);
    return -EBADMSG;
}

int ga_shm_heap_recount(const struct ga_shm_heap *heap, struct ga_recount *ret)
{
    uint64_t bad_page = 0;
    int r = ga_recount(&heap->view, ret, &bad_page);
    return r < 0 ? ga_shm_heap_report_damage(heap, bad_page) : 0;
}
