/* A file's first piece has its ELF header, which leads to its notes, of which one is the build id.
 * Memory is read as another process's would be: what is unmapped meanwhile is an error, and no
 * fault. */
#include "client/code_map.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* What is read of a file at once: nearly always its header, its table of parts and its build id. */
#define HEAD_BYTES  2048u
#define NOTES_BYTES 512u
#define PARTS_MAX   32u

/* A file in memory, from base on. */
struct image {
    uint64_t base;
    char head[HEAD_BYTES];
};

static bool read_memory(uint64_t address, void *ret, size_t bytes)
{
    struct iovec local = {ret, bytes};
    struct iovec remote = {(void *)(uintptr_t)address, bytes}; /* NOLINT: found in the map */
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

static bool read_image(const struct image *image, uint64_t offset, void *ret, size_t bytes)
{
    if (offset > sizeof(image->head) || bytes > sizeof(image->head) - offset)
        return read_memory(image->base + offset, ret, bytes);
    memcpy(ret, image->head + offset, bytes);
    return true;
}

/* The build id among these notes. */
static void find_build_id(const char *notes, size_t bytes, struct ga_profile_mapping *mapping)
{
    Elf64_Nhdr note;
    for (size_t at = 0; at + sizeof(note) <= bytes;) {
        memcpy(&note, notes + at, sizeof(note));
        size_t name = at + sizeof(note);
        size_t id = name + ((note.n_namesz + 3u) & ~3u);
        if (note.n_namesz > bytes || note.n_descsz > bytes || id + note.n_descsz > bytes)
            return;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(ELF_NOTE_GNU) &&
            memcmp(notes + name, ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU)) == 0 &&
            note.n_descsz <= sizeof(mapping->build_id)) {
            memcpy(mapping->build_id, notes + id, note.n_descsz);
            mapping->build_id_bytes = (uint8_t)note.n_descsz;
            return;
        }
        at = id + ((note.n_descsz + 3u) & ~3u);
    }
}

/* base: where the file's beginning is mapped. */
static void read_build_id(uint64_t base, struct ga_profile_mapping *mapping)
{
    struct image image;
    Elf64_Ehdr header;
    image.base = base;
    if (!read_memory(base, image.head, sizeof(image.head)))
        return;
    memcpy(&header, image.head, sizeof(header));
    if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof(Elf64_Phdr))
        return;
    for (unsigned i = 0; i < header.e_phnum && i < PARTS_MAX && mapping->build_id_bytes == 0; i++) {
        Elf64_Phdr part;
        char notes[NOTES_BYTES];
        if (!read_image(&image, header.e_phoff + i * sizeof(part), &part, sizeof(part)))
            return;
        size_t bytes = part.p_filesz < sizeof(notes) ? part.p_filesz : sizeof(notes);
        /* Notes lie in the file's first piece, where an offset is a distance in memory too. */
        if (part.p_type == PT_NOTE && read_image(&image, part.p_offset, notes, bytes))
            find_build_id(notes, bytes, mapping);
    }
}

/* What one line says. */
struct line {
    uint64_t start;
    uint64_t limit;
    uint64_t offset;
    bool executable;
    const char *path; /* "" = no file */
};

/* A number as the kernel writes it, and what comes after it: done some hundred times for the first
 * sample of a process, where strtoull took most of the instructions. */
static uint64_t parse_number(const char *text, const char **ret_end)
{
    uint64_t number = 0;
    for (;; text++) {
        if (*text >= '0' && *text <= '9')
            number = number << 4 | (uint64_t)(*text - '0');
        else if (*text >= 'a' && *text <= 'f')
            number = number << 4 | (uint64_t)(*text - 'a' + 10);
        else
            break;
    }
    *ret_end = text;
    return number;
}

static bool parse(const char *text, struct line *ret)
{
    /* start-limit rights offset device inode path */
    const char *at;
    ret->start = parse_number(text, &at);
    if (*at != '-')
        return false;
    ret->limit = parse_number(at + 1, &at);
    if (strlen(at) < 6)
        return false;
    ret->executable = at[3] == 'x';
    ret->offset = parse_number(at + 6, &at);
    const char *path = strchr(at, '/');
    if (!path)
        path = strstr(at, "[vdso]");
    ret->path = path ? path : "";
    return true;
}

struct map {
    struct ga_profile_mapping *mappings;
    uint32_t max;
    uint32_t count;
    uint64_t base; /* of the file that the lines are of */
    char base_path[sizeof(((struct ga_profile_mapping *)0)->path)];
};

static void enter(struct map *map, const struct line *line)
{
    if (line->path[0] == '\0')
        return;
    if (line->offset == 0) {
        map->base = line->start;
        snprintf(map->base_path, sizeof(map->base_path), "%s", line->path);
    }
    if (!line->executable || map->count == map->max)
        return;
    struct ga_profile_mapping *mapping = &map->mappings[map->count++];
    *mapping = (struct ga_profile_mapping){
        .start = line->start, .limit = line->limit, .offset = line->offset};
    snprintf(mapping->path, sizeof(mapping->path), "%s", line->path);
    if (strcmp(mapping->path, map->base_path) == 0)
        read_build_id(map->base, mapping);
}

uint32_t ga_code_map_read(char *buffer, struct ga_profile_mapping *ret, uint32_t max)
{
    struct map map = {.mappings = ret, .max = max};
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    size_t bytes = 0;
    for (;;) {
        ssize_t n = read(fd, buffer + bytes, GA_CODE_MAP_BUFFER_BYTES - 1 - bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        bytes += (size_t)n;
        buffer[bytes] = '\0';
        char *at = buffer;
        char *end;
        while ((end = strchr(at, '\n')) != NULL) {
            struct line line;
            *end = '\0';
            if (parse(at, &line))
                enter(&map, &line);
            at = end + 1;
        }
        bytes -= (size_t)(at - buffer);
        memmove(buffer, at, bytes + 1);
    }
    close(fd);
    return map.count;
}
