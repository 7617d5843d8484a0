/* A file is mapped and nothing of it believed: every offset is checked against its length. Of its
 * two tables of symbols the whole one is taken where it is there, and that of what is exported
 * where the file was stripped. Functions are sorted once, so that each search is short. */
#include "client/ctl/elf_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/text.h"

struct function {
    uint64_t start;
    uint64_t bytes; /* 0 = it is not known */
    char *name;
};

struct file {
    struct file *next;
    struct ga_profile_mapping key; /* path and build id */
    char *data;                    /* private; NULL: it cannot be read, or is another build */
    size_t bytes;
    struct function *functions;
    size_t nfunctions;
};

struct ga_symbols {
    struct file *files;
};

struct ga_symbols *ga_symbols_new(void)
{
    return calloc(1, sizeof(struct ga_symbols));
}

static void free_file(struct file *file)
{
    if (file->data)
        munmap(file->data, file->bytes);
    free(file->functions);
    free(file);
}

void ga_symbols_free(struct ga_symbols *symbols)
{
    while (symbols && symbols->files) {
        struct file *file = symbols->files;
        symbols->files = file->next;
        free_file(file);
    }
    free(symbols);
}

/* ---- a file ---- */

/* The n things of size bytes at offset, or NULL where the file has not so much. */
static const void *at(const struct file *file, uint64_t offset, uint64_t n, uint64_t size)
{
    if (n > file->bytes / size || offset > file->bytes - n * size || offset % sizeof(uint32_t) != 0)
        return NULL;
    return file->data + offset;
}

static const Elf64_Ehdr *header_of(const struct file *file)
{
    const Elf64_Ehdr *header = at(file, 0, 1, sizeof(*header));
    bool good = header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
                header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB;
    return good ? header : NULL;
}

static const Elf64_Phdr *parts_of(const struct file *file, const Elf64_Ehdr *header)
{
    return header->e_phentsize == sizeof(Elf64_Phdr)
               ? at(file, header->e_phoff, header->e_phnum, sizeof(Elf64_Phdr))
               : NULL;
}

static bool has_build_id(const struct file *file, const Elf64_Phdr *part)
{
    const struct ga_profile_mapping *key = &file->key;
    uint64_t end = part->p_offset + part->p_filesz;
    for (uint64_t offset = part->p_offset; offset < end;) {
        const Elf64_Nhdr *note = at(file, offset, 1, sizeof(*note));
        if (!note)
            return false;
        uint64_t id = offset + sizeof(*note) + ((note->n_namesz + 3u) & ~3u);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == sizeof(ELF_NOTE_GNU) &&
            note->n_descsz == key->build_id_bytes) {
            const void *found = at(file, id, 1, note->n_descsz ? note->n_descsz : 1);
            if (found && memcmp(found, key->build_id, key->build_id_bytes) == 0)
                return true;
        }
        offset = id + ((note->n_descsz + 3u) & ~3u);
    }
    return false;
}

/* Whether it is the file that was mapped, as far as that can be told. */
static bool is_same_build(const struct file *file)
{
    const Elf64_Ehdr *header = header_of(file);
    const Elf64_Phdr *parts = header ? parts_of(file, header) : NULL;
    bool same = parts && file->key.build_id_bytes == 0;
    for (unsigned i = 0; parts && !same && i < header->e_phnum; i++)
        same = parts[i].p_type == PT_NOTE && has_build_id(file, &parts[i]);
    return same;
}

/* ---- its functions ---- */

static int by_start(const void *one, const void *other)
{
    const struct function *a = one;
    const struct function *b = other;
    return (a->start > b->start) - (a->start < b->start);
}

/* The name in the table of strings, ended within it; or NULL. */
static char *name_at(const struct file *file, const Elf64_Shdr *strings, uint64_t offset)
{
    if (offset >= strings->sh_size)
        return NULL;
    uint64_t begin = strings->sh_offset + offset;
    uint64_t left = strings->sh_size - offset;
    if (begin > file->bytes || left > file->bytes - begin)
        return NULL;
    char *name = file->data + begin;
    return name[0] && memchr(name, '\0', left) ? name : NULL;
}

static void read_table(struct file *file, const Elf64_Shdr *table, const Elf64_Shdr *strings)
{
    uint64_t n = table->sh_size / sizeof(Elf64_Sym);
    const Elf64_Sym *symbols = at(file, table->sh_offset, n, sizeof(*symbols));
    struct function *functions = symbols ? calloc(n + 1, sizeof(*functions)) : NULL;
    if (!functions)
        return;
    size_t count = 0;
    for (uint64_t i = 0; i < n; i++) {
        const Elf64_Sym *symbol = &symbols[i];
        if (ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_shndx == SHN_UNDEF)
            continue;
        char *name = name_at(file, strings, symbol->st_name);
        if (name)
            functions[count++] = (struct function){symbol->st_value, symbol->st_size, name};
    }
    qsort(functions, count, sizeof(*functions), by_start);
    file->functions = functions;
    file->nfunctions = count;
}

static void read_functions(struct file *file)
{
    const Elf64_Ehdr *header = header_of(file);
    const Elf64_Shdr *sections =
        header->e_shentsize == sizeof(Elf64_Shdr)
            ? at(file, header->e_shoff, header->e_shnum, sizeof(Elf64_Shdr))
            : NULL;
    const uint32_t types[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (unsigned t = 0; sections && t < 2 && file->nfunctions == 0; t++)
        for (unsigned i = 0; i < header->e_shnum; i++)
            if (sections[i].sh_type == types[t] && sections[i].sh_link < header->e_shnum &&
                !file->functions)
                read_table(file, &sections[i], &sections[sections[i].sh_link]);
}

static void open_file(struct file *file)
{
    int fd = open(file->key.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        file->data = data == MAP_FAILED ? NULL : data;
        file->bytes = (size_t)st.st_size;
    }
    close(fd);
    if (!file->data)
        return;
    if (is_same_build(file)) {
        read_functions(file);
    } else {
        munmap(file->data, file->bytes);
        file->data = NULL;
    }
}

static bool is_of(const struct file *file, const struct ga_profile_mapping *mapping)
{
    return strcmp(file->key.path, mapping->path) == 0 &&
           file->key.build_id_bytes == mapping->build_id_bytes &&
           memcmp(file->key.build_id, mapping->build_id, mapping->build_id_bytes) == 0;
}

static struct file *find_file(struct ga_symbols *symbols, const struct ga_profile_mapping *mapping)
{
    for (struct file *file = symbols->files; file; file = file->next)
        if (is_of(file, mapping))
            return file;
    struct file *file = calloc(1, sizeof(*file));
    if (!file)
        return NULL;
    file->key = *mapping;
    file->next = symbols->files;
    symbols->files = file;
    open_file(file);
    return file;
}

/* ---- from an address to a name ---- */

/* Where the file says that what lies at this offset in it belongs in memory. */
static bool find_address(const struct file *file, uint64_t offset, uint64_t *ret)
{
    const Elf64_Ehdr *header = header_of(file);
    const Elf64_Phdr *parts = parts_of(file, header);
    for (unsigned i = 0; i < header->e_phnum; i++)
        if (parts[i].p_type == PT_LOAD && offset >= parts[i].p_offset &&
            offset - parts[i].p_offset < parts[i].p_filesz) {
            *ret = parts[i].p_vaddr + (offset - parts[i].p_offset);
            return true;
        }
    return false;
}

const char *ga_symbols_find(struct ga_symbols *symbols, const struct ga_profile_mapping *mapping,
                            uint64_t address)
{
    struct file *file = mapping->path[0] == '/' ? find_file(symbols, mapping) : NULL;
    uint64_t wanted = 0;
    if (!file || !file->data ||
        !find_address(file, address - mapping->start + mapping->offset, &wanted))
        return NULL;
    size_t low = 0;
    size_t high = file->nfunctions; /* the last that begins at or before it lies below */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (file->functions[middle].start <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return NULL;
    const struct function *function = &file->functions[low - 1];
    bool inside = function->bytes == 0 || wanted - function->start < function->bytes;
    if (!inside)
        return NULL;
    ga_text_clean(function->name);
    return function->name;
}
