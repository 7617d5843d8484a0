/* Each object's bytes follow from its number, so that it can be compared without a copy. */
#include "integration/snapshot_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#define OBJECTS 3000u
#define DEPTH   12u

struct entry {
    unsigned char *p;
    uint64_t bytes;
};

struct directory {
    struct directory *self;
    struct entry entries[OBJECTS];
};

struct node {
    struct node *left;
    struct node *right;
    uint64_t key;
};

/* ---- servers ---- */

static bool start(struct ga_daemon *daemon, const char *const *arguments)
{
    struct ga_daemon_setup setup = {.keep = true};
    return ga_daemon_launch(daemon, &setup, arguments) && ga_daemon_wait(daemon);
}

bool ga_fixture_serve(struct ga_daemon *daemon, const char *heap, const char *path,
                      const char *option, const char *value)
{
    const char *arguments[] = {"--name", heap,   "--socket", path, "--reserve",
                               "64M",    option, value,      NULL};
    return start(daemon, arguments);
}

bool ga_fixture_restore(struct ga_daemon *daemon, const char *file, const char *heap,
                        const char *path)
{
    const char *arguments[] = {"--restore", file, "--socket", path, heap ? "--name" : NULL,
                               heap,        NULL};
    return start(daemon, arguments);
}

bool ga_fixture_refuses(const char *file, const char *heap, int expected_code, const char *needle)
{
    struct ga_daemon daemon;
    static char path[128];
    if (!path[0])
        snprintf(path, sizeof(path), "%s", ga_daemon_path("refused"));
    char expected[256];
    snprintf(expected, sizeof(expected), "%s cannot be restored: %s", file, needle);
    bool ready = ga_fixture_restore(&daemon, file, heap, path);
    int code = ga_daemon_end(&daemon, ready ? SIGKILL : 0);
    bool said = ga_daemon_said(&daemon, expected);
    bool left = ga_daemon_left_objects(heap);
    if (code != expected_code || !said || left)
        printf("code %d, objects %s; expected '%s' in:\n%s", code, left ? "left" : "gone", expected,
               daemon.text);
    return !ready && code == expected_code && said && !left;
}

bool ga_fixture_in_process(const char *path, ga_fixture_work *work)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct goalloc_heap *heap = NULL;
        if (goalloc_attach(path, NULL, &heap) < 0)
            fprintf(stderr, "%s\n", goalloc_attach_error());
        bool good = heap && work(heap);
        goalloc_detach(heap);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- objects ---- */

static unsigned char byte_of(uint64_t object, uint64_t i)
{
    return (unsigned char)((object * 2654435761u + i * 40503u) >> 7);
}

/* Tiny, 8-byte slots (1,024 a page), small ones of many classes, large, with an alignment. */
static void *allocate(struct goalloc_heap *heap, uint64_t object, uint64_t *ret_bytes)
{
    unsigned flags = object % 2 ? GOALLOC_NOSCAN : 0;
    uint64_t bytes = 1 + object * 37 % 900;
    uint64_t alignment = 0;
    switch (object % 8) {
    case 0:
    case 1:
        bytes = 1 + object % 15;
        break;
    case 2:
        bytes = 8;
        break;
    case 3:
        bytes = 1000 + object * 11 % 30000;
        break;
    case 4:
        bytes = object % 160 == 4 ? 40000 + object * 100 : bytes;
        break;
    case 5:
        alignment = 256;
        break;
    default:
        break;
    }
    *ret_bytes = bytes;
    return goalloc_alloc(heap, bytes, alignment, flags);
}

static struct node *grow_tree(struct goalloc_heap *heap, uint64_t key, unsigned depth)
{
    struct node *node = depth ? goalloc_malloc(heap, sizeof(*node)) : NULL;
    if (node)
        *node = (struct node){.left = grow_tree(heap, 2 * key, depth - 1),
                              .right = grow_tree(heap, 2 * key + 1, depth - 1),
                              .key = key};
    return node;
}

static uint64_t count_tree(const struct node *node, uint64_t key)
{
    if (!node || node->key != key)
        return 0;
    return 1 + count_tree(node->left, 2 * key) + count_tree(node->right, 2 * key + 1);
}

static void free_tree(struct goalloc_heap *heap, struct node *node)
{
    if (!node)
        return;
    free_tree(heap, node->left);
    free_tree(heap, node->right);
    goalloc_free(heap, node);
}

bool ga_fixture_build(struct goalloc_heap *heap)
{
    struct directory *directory = goalloc_calloc(heap, 1, sizeof(*directory));
    if (!directory)
        return false;
    directory->self = directory;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        struct entry *entry = &directory->entries[i];
        entry->p = allocate(heap, i, &entry->bytes);
        if (!entry->p)
            return false;
        for (uint64_t k = 0; k < entry->bytes; k++)
            entry->p[k] = byte_of(i, k);
    }
    for (uint64_t i = 0; i < OBJECTS; i += 3) {
        goalloc_free(heap, directory->entries[i].p);
        directory->entries[i] = (struct entry){0};
    }
    struct node *tree = grow_tree(heap, 1, DEPTH);
    return goalloc_publish(heap, "directory", directory) == 0 &&
           goalloc_publish(heap, "tree", tree) == 0;
}

bool ga_fixture_verify(struct goalloc_heap *heap)
{
    void *found;
    if (goalloc_lookup(heap, "tree", &found) < 0 ||
        count_tree(found, 1) != (UINT64_C(1) << DEPTH) - 1 ||
        goalloc_lookup(heap, "directory", &found) < 0)
        return false;
    const struct directory *directory = found;
    if (directory->self != directory)
        return false;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        const struct entry *entry = &directory->entries[i];
        if (i % 3 == 0) {
            if (entry->p)
                return false;
            continue;
        }
        if (!entry->p)
            return false;
        for (uint64_t k = 0; k < entry->bytes; k++)
            if (entry->p[k] != byte_of(i, k))
                return false;
    }
    return true;
}

bool ga_fixture_drop(struct goalloc_heap *heap)
{
    void *tree;
    void *found;
    if (goalloc_lookup(heap, "tree", &tree) < 0 || goalloc_lookup(heap, "directory", &found) < 0 ||
        goalloc_unpublish(heap, "tree") < 0 || goalloc_unpublish(heap, "directory") < 0)
        return false;
    /* What is allocated among them is zeroed where asked, and overlaps none. */
    unsigned char *fresh[200];
    for (size_t i = 0; i < 200; i++) {
        fresh[i] = goalloc_calloc(heap, 1, 10 + i * 50);
        for (size_t k = 0; k < 10 + i * 50; k++)
            if (!fresh[i] || fresh[i][k] != 0)
                return false;
        memset(fresh[i], 0xff, 10 + i * 50);
    }
    struct directory *directory = found;
    for (uint64_t i = 0; i < OBJECTS; i++) {
        struct entry *entry = &directory->entries[i];
        for (uint64_t k = 0; k < entry->bytes; k++)
            if (entry->p[k] != byte_of(i, k))
                return false;
        if (entry->p)
            goalloc_free(heap, entry->p);
    }
    free_tree(heap, tree);
    goalloc_free(heap, directory);
    for (size_t i = 0; i < 200; i++)
        goalloc_free(heap, fresh[i]);
    struct goalloc_memstats stats = {.size = sizeof(stats)};
    return goalloc_memstats(heap, &stats) == 0 && stats.heap_objects == 0;
}

int ga_fixture_ctl(struct ga_run *run, const char *const *words)
{
    return ga_run(run, GOALLOCCTL_PATH, words) ? run->code : -1;
}

/* ---- files ---- */

struct ga_file ga_file_load(const char *path)
{
    struct ga_file file = {0};
    FILE *f = fopen(path, "rb");
    long n = f && fseek(f, 0, SEEK_END) == 0 ? ftell(f) : -1;
    if (n >= 0) {
        rewind(f);
        file.nbytes = (size_t)n;
        file.bytes = malloc(file.nbytes + 1);
        if (file.bytes && fread(file.bytes, 1, file.nbytes, f) != file.nbytes)
            ga_file_fini(&file);
    }
    if (f)
        fclose(f);
    return file;
}

bool ga_file_save(const char *path, const struct ga_file *file)
{
    FILE *f = fopen(path, "wb");
    bool good = f && fwrite(file->bytes, 1, file->nbytes, f) == file->nbytes;
    return f && fclose(f) == 0 && good;
}

void ga_file_fini(struct ga_file *file)
{
    free(file->bytes);
    *file = (struct ga_file){0};
}

static struct ga_snapshot_header header_of(const struct ga_file *file)
{
    struct ga_snapshot_header header;
    memcpy(&header, file->bytes, sizeof(header));
    return header;
}

/* The check sums that the file should have, from its data on; the sums go to sums. */
static struct ga_snapshot_trailer sum_up(const struct ga_file *file, uint64_t *sums)
{
    struct ga_snapshot_header header = header_of(file);
    uint64_t nblocks = ga_snapshot_nblocks(&header);
    const char *data = file->bytes + ga_snapshot_data_offset(&header);
    for (uint64_t i = 0; i < nblocks; i++) {
        uint64_t rest = header.data_bytes - i * GA_SNAPSHOT_BLOCK_BYTES;
        sums[i] = XXH3_64bits(data + i * GA_SNAPSHOT_BLOCK_BYTES,
                              rest < GA_SNAPSHOT_BLOCK_BYTES ? rest : GA_SNAPSHOT_BLOCK_BYTES);
    }
    struct ga_snapshot_trailer trailer = {
        .magic = GA_SNAPSHOT_TRAILER_MAGIC,
        .header_sum = XXH3_64bits(file->bytes, GA_SNAPSHOT_HEADER_BYTES),
        .extents_sum =
            XXH3_64bits(file->bytes + GA_SNAPSHOT_HEADER_BYTES, ga_snapshot_extents_bytes(&header)),
        .sums_sum = XXH3_64bits(sums, nblocks * sizeof(*sums)),
    };
    trailer.sum = XXH3_64bits(&trailer, offsetof(struct ga_snapshot_trailer, sum));
    return trailer;
}

void ga_file_seal(struct ga_file *file)
{
    struct ga_snapshot_header header = header_of(file);
    header.sum = XXH3_64bits(&header, offsetof(struct ga_snapshot_header, sum));
    memcpy(file->bytes, &header, sizeof(header));
    uint64_t nblocks = ga_snapshot_nblocks(&header);
    uint64_t *sums = calloc(nblocks, sizeof(*sums));
    struct ga_snapshot_trailer trailer = sum_up(file, sums);
    memcpy(file->bytes + ga_snapshot_sums_offset(&header), sums, nblocks * sizeof(*sums));
    memcpy(file->bytes + ga_snapshot_trailer_offset(&header), &trailer, sizeof(trailer));
    free(sums);
}

bool ga_file_is_whole(const struct ga_file *file)
{
    char why[GA_SNAPSHOT_WHY_BYTES];
    if (file->nbytes < GA_SNAPSHOT_HEADER_BYTES)
        return false;
    struct ga_snapshot_header header = header_of(file);
    uint64_t sum = XXH3_64bits(&header, offsetof(struct ga_snapshot_header, sum));
    if (ga_snapshot_header_check(&header, sizeof(header), sum, file->nbytes, why) < 0)
        return false;
    uint64_t nblocks = ga_snapshot_nblocks(&header);
    uint64_t *sums = calloc(nblocks, sizeof(*sums));
    struct ga_snapshot_trailer trailer = sum_up(file, sums);
    bool whole =
        memcmp(file->bytes + ga_snapshot_sums_offset(&header), sums, nblocks * sizeof(*sums)) ==
            0 &&
        memcmp(file->bytes + ga_snapshot_trailer_offset(&header), &trailer, sizeof(trailer)) == 0;
    free(sums);
    return whole;
}

size_t ga_file_place(const struct ga_file *file, enum ga_object object, uint64_t offset)
{
    struct ga_snapshot_header header = header_of(file);
    uint64_t place = ga_snapshot_data_offset(&header);
    for (uint64_t i = 0; i < header.nextents; i++) {
        struct ga_snapshot_extent extent;
        memcpy(&extent, file->bytes + GA_SNAPSHOT_HEADER_BYTES + i * sizeof(extent),
               sizeof(extent));
        if (extent.object == object && offset >= extent.offset &&
            offset < extent.offset + extent.bytes)
            return place + (offset - extent.offset);
        place += extent.bytes;
    }
    return 0;
}
