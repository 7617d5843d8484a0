#include "support/folder.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/janitor.h"

#define PARENT_MAX      24
#define DESCRIPTORS_MAX 8

const char *ga_test_folders(void)
{
    const char *parent = getenv("TMPDIR");
    return parent && *parent && strlen(parent) <= PARENT_MAX ? parent : "/tmp";
}

bool ga_test_folder_make(char ret[GA_TEST_FOLDER_BYTES])
{
    ga_janitor_start();
    snprintf(ret, GA_TEST_FOLDER_BYTES, "%s/goalloc-test-%d-XXXXXX", ga_test_folders(),
             (int)getpid());
    return mkdtemp(ret) != NULL;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    (void)remove(path); /* what cannot go stays, and the rest goes */
    return 0;
}

void ga_test_folder_remove(const char *folder)
{
    nftw(folder, remove_one, DESCRIPTORS_MAX, FTW_DEPTH | FTW_PHYS);
}
