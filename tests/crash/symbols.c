/* Names of functions, from the symbol table of an ELF file, and where a process has mapped it. */
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crash/trace.h"

/* A file mapped whole; NULL where that cannot be. */
static const char *map_file(const char *path, size_t *ret_bytes)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    void *file = MAP_FAILED;
    if (fstat(fd, &st) == 0 && (size_t)st.st_size > sizeof(Elf64_Ehdr))
        file = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (file == MAP_FAILED)
        return NULL;
    *ret_bytes = (size_t)st.st_size;
    return file;
}

/* Call seen with each function of the file until it says true. */
static bool find(const char *file,
                 bool (*seen)(const char *name, const Elf64_Sym *symbol, void *data), void *data)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Shdr *sections = (const void *)(file + header->e_shoff);
    if (memcmp(file, ELFMAG, SELFMAG) != 0)
        return false;
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB)
            continue;
        const Elf64_Sym *symbols = (const void *)(file + sections[i].sh_offset);
        const char *names = file + sections[sections[i].sh_link].sh_offset;
        for (size_t n = 0; n < sections[i].sh_size / sizeof(*symbols); n++)
            if (ELF64_ST_TYPE(symbols[n].st_info) == STT_FUNC && symbols[n].st_value != 0 &&
                seen(names + symbols[n].st_name, &symbols[n], data))
                return true;
    }
    return false;
}

/* The mapping that address lies in, or (address 0) the first of the file at path: where the file's
 * first byte lies, or would. */
static bool find_mapping(pid_t pid, uint64_t address, char path[static PATH_MAX],
                         uint64_t *ret_base)
{
    char line[PATH_MAX + 128];
    snprintf(line, sizeof(line), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(line, "re");
    bool found = false;
    while (maps && !found && fgets(line, sizeof(line), maps)) {
        uint64_t from;
        uint64_t to;
        uint64_t offset;
        char file[PATH_MAX] = "";
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %*s %4095s", &from, &to,
                   &offset, file) != 4)
            continue;
        found = address ? address >= from && address < to : strcmp(file, path) == 0;
        if (found) {
            snprintf(path, PATH_MAX, "%s", file);
            *ret_base = from - offset;
        }
    }
    if (maps)
        fclose(maps);
    return found;
}

struct by_name {
    const char *name;
    uint64_t value;
};

static bool has_name(const char *name, const Elf64_Sym *symbol, void *data)
{
    struct by_name *wanted = data;
    if (strcmp(name, wanted->name) != 0)
        return false;
    wanted->value = symbol->st_value;
    return true;
}

uint64_t ga_trace_find_function(pid_t pid, const char *program, const char *name)
{
    char path[PATH_MAX];
    uint64_t base;
    size_t bytes;
    if (!realpath(program, path) || !find_mapping(pid, 0, path, &base))
        return 0;
    const char *file = map_file(path, &bytes);
    if (!file)
        return 0;
    struct by_name wanted = {.name = name};
    bool position_independent = ((const Elf64_Ehdr *)(const void *)file)->e_type == ET_DYN;
    uint64_t result = 0;
    if (find(file, has_name, &wanted))
        result = wanted.value + (position_independent ? base : 0);
    munmap((void *)file, bytes);
    return result;
}

struct by_value {
    uint64_t value;
    char *text;
    size_t bytes;
};

static bool covers(const char *name, const Elf64_Sym *symbol, void *data)
{
    const struct by_value *wanted = data;
    if (wanted->value < symbol->st_value || wanted->value >= symbol->st_value + symbol->st_size)
        return false;
    snprintf(wanted->text, wanted->bytes, "%s+%" PRIu64, name, wanted->value - symbol->st_value);
    return true;
}

void ga_trace_describe(pid_t pid, uint64_t address, char *ret, size_t bytes)
{
    char path[PATH_MAX] = "";
    uint64_t base = 0;
    size_t file_bytes;
    snprintf(ret, bytes, "0x%" PRIx64, address);
    if (!find_mapping(pid, address, path, &base))
        return;
    snprintf(ret, bytes, "%s+0x%" PRIx64, path, address - base);
    const char *file = map_file(path, &file_bytes);
    if (!file)
        return;
    struct by_value wanted = {.value = address - base, .text = ret, .bytes = bytes};
    (void)find(file, covers, &wanted);
    munmap((void *)file, file_bytes);
}
