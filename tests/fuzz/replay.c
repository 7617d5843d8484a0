/* The main of a fuzz target where there is no libFuzzer: runs every input of the folders and files
 * that it is given. */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

#define INPUT_MAX (1u << 20)

static size_t nrun;

static int run_file(const char *path)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        perror(path);
        return -1;
    }
    /* Of the input's very size, so that a read past its end is seen. */
    uint8_t *bytes = malloc(INPUT_MAX);
    FUZZ_CHECK(bytes);
    size_t size = fread(bytes, 1, INPUT_MAX, file);
    fclose(file);
    uint8_t *exact = realloc(bytes, size ? size : 1);
    FUZZ_CHECK(exact);
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    nrun++;
    return 0;
}

static int run_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOTDIR ? run_file(path) : -1;
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(folder));) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        r = run_file(name);
    }
    closedir(folder);
    return r;
}

int main(int argc, char *argv[])
{
    int r = 0;
    for (int i = 1; i < argc && r == 0; i++)
        r = run_folder(argv[i]);
    if (r < 0 || nrun == 0) {
        fprintf(stderr, "no inputs to run\n");
        return 1;
    }
    printf("%zu inputs\n", nrun);
    return 0;
}
