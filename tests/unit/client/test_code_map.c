/* The code map of this process: that the program is in it, and a file's build id wherever in the
 * file that lies. */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/code_map.h"
#include "support/cunit_main.h"

#define MAPPINGS_MAX 64u
#define FILE_BYTES   (3 * GA_OS_PAGE_SIZE)
#define ID_BYTES     20u

static char buffer[GA_CODE_MAP_BUFFER_BYTES];
static struct ga_profile_mapping mappings[MAPPINGS_MAX];

/* A file with a table of two parts at one place, of which the second is a note with a build id of
 * 1, 2, 3... at another. */
static void write_file(char *file, uint64_t parts_at, uint64_t note_at)
{
    Elf64_Ehdr header = {.e_phoff = parts_at, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2};
    Elf64_Phdr parts[2] = {{.p_type = PT_LOAD}, {.p_type = PT_NOTE, .p_offset = note_at}};
    Elf64_Nhdr note = {sizeof(ELF_NOTE_GNU), ID_BYTES, NT_GNU_BUILD_ID};
    size_t id_at = note_at + sizeof(note) + sizeof(ELF_NOTE_GNU);
    parts[1].p_filesz = id_at + ID_BYTES - note_at;
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    memcpy(file, &header, sizeof(header));
    memcpy(file + parts_at, parts, sizeof(parts));
    memcpy(file + note_at, &note, sizeof(note));
    memcpy(file + note_at + sizeof(note), ELF_NOTE_GNU, sizeof(ELF_NOTE_GNU));
    for (uint32_t i = 0; i < ID_BYTES; i++)
        file[id_at + i] = (char)(i + 1);
}

/* Where p is not in the map, one that is nothing. */
static const struct ga_profile_mapping *find(const void *p)
{
    static const struct ga_profile_mapping none;
    uint32_t n = ga_code_map_read(buffer, mappings, MAPPINGS_MAX);
    for (uint32_t i = 0; i < n; i++)
        if ((uintptr_t)p >= mappings[i].start && (uintptr_t)p < mappings[i].limit)
            return &mappings[i];
    return &none;
}

static void check_file(uint64_t parts_at, uint64_t note_at)
{
    int fd = memfd_create("code", MFD_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, FILE_BYTES) == 0);
    char *file = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CU_ASSERT_FATAL(file != MAP_FAILED);
    write_file(file, parts_at, note_at);
    CU_ASSERT_FATAL(mprotect(file, FILE_BYTES, PROT_READ | PROT_EXEC) == 0);

    const struct ga_profile_mapping *mapping = find(file);
    CU_ASSERT_EQUAL(mapping->start, (uintptr_t)file);
    CU_ASSERT_EQUAL(mapping->limit, (uintptr_t)file + FILE_BYTES);
    CU_ASSERT_PTR_NOT_NULL(strstr(mapping->path, "/memfd:code"));
    CU_ASSERT_EQUAL(mapping->build_id_bytes, ID_BYTES);
    for (uint32_t i = 0; i < mapping->build_id_bytes; i++)
        CU_ASSERT_EQUAL(mapping->build_id[i], i + 1);
    munmap(file, FILE_BYTES);
    close(fd);
}

static void build_id(void)
{
    check_file(sizeof(Elf64_Ehdr), 1024);
    check_file(sizeof(Elf64_Ehdr), 2 * GA_OS_PAGE_SIZE); /* far from the header */
    check_file(GA_OS_PAGE_SIZE, 1024);
    check_file(2000, 2030 + sizeof(Elf64_Phdr) * 2); /* neither here nor there */
    check_file(64 + 2 * sizeof(Elf64_Phdr), 2020);
}

static void program(void)
{
    char path[sizeof(mappings->path)] = "";
    CU_ASSERT_FATAL(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
    const struct ga_profile_mapping *mapping = find((const void *)(uintptr_t)&build_id);
    CU_ASSERT(mapping->limit > mapping->start);
    CU_ASSERT_STRING_EQUAL(mapping->path, path);
    CU_ASSERT_EQUAL(mapping->start % GA_OS_PAGE_SIZE, 0);
    CU_ASSERT_EQUAL(mapping->limit % GA_OS_PAGE_SIZE, 0);
    CU_ASSERT_EQUAL(mapping->offset % GA_OS_PAGE_SIZE, 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"build id", build_id},
        {"program", program},
    };
    return ga_test_main("client.code_map", tests, sizeof(tests) / sizeof(tests[0]));
}
