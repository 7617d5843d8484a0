/* The library is looked for where this program lies, in the build tree or installed, and then where
 * it was to be installed. What is preloaded already stays, behind it. */
#include "client/ctl/run_preload.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/malloc/account_file.h"

#define LIBRARY "libgoalloc-malloc.so"

static int refuse(int err, const char *what, const char *why)
{
    fprintf(stderr, "goallocctl: no heap for the program: %s: %s\n", what, why);
    return err;
}

static bool is_there(const char *path)
{
    return access(path, R_OK) == 0;
}

/* Beside this program: in FOLDER/../lib, or what the system has for that. */
static bool find_beside(char ret_path[static PATH_MAX])
{
    static const char *const folders[] = {"lib", GOALLOC_LIBDIR};
    char self[PATH_MAX];
    ssize_t bytes = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (bytes <= 0)
        return false;
    self[bytes] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        int n = snprintf(ret_path, PATH_MAX, "%s/../%s/" LIBRARY, self, folders[i]);
        if (n > 0 && n < PATH_MAX && is_there(ret_path))
            return true;
    }
    return false;
}

static bool find(char ret_path[static PATH_MAX])
{
    const char *given = secure_getenv("GOALLOC_MALLOC");
    if (given && given[0] != '\0')
        return snprintf(ret_path, PATH_MAX, "%s", given) < PATH_MAX && is_there(ret_path);
    if (find_beside(ret_path))
        return true;
    snprintf(ret_path, PATH_MAX, "%s", GOALLOC_LIBRARY_PATH "/" LIBRARY);
    return is_there(ret_path);
}

static int make_folder(char ret_folder[static PATH_MAX])
{
    const char *parent = secure_getenv("TMPDIR");
    if (!parent || parent[0] != '/')
        parent = "/tmp";
    int n = snprintf(ret_folder, PATH_MAX, "%s/goalloc-run-XXXXXX", parent);
    if (n > 0 && n < PATH_MAX && mkdtemp(ret_folder))
        return 0;
    int err = n < PATH_MAX ? errno : ENAMETOOLONG;
    ret_folder[0] = '\0';
    return refuse(-err, "a folder for the accounts of its processes", strerrordesc_np(err));
}

int ga_run_preload_begin(const struct ga_run_options *options, struct ga_run_preload *ret)
{
    char library[PATH_MAX];
    const char *others = getenv("LD_PRELOAD");
    ret->preload[0] = '\0';
    ret->folder[0] = '\0';
    if (!options->preload)
        return 0;
    if (!find(library))
        return refuse(-ENOENT, LIBRARY, "it is not installed; $GOALLOC_MALLOC may name it");
    int n = snprintf(ret->preload, sizeof(ret->preload), "%s%s%s", library,
                     others && others[0] ? ":" : "", others ? others : "");
    if (n < 0 || n >= (int)sizeof(ret->preload))
        return refuse(-ENAMETOOLONG, "$LD_PRELOAD", "it is too long");
    return options->leak_check ? make_folder(ret->folder) : 0;
}

void ga_run_preload_variables(const struct ga_run_preload *preload, const char *socket,
                              struct ga_run_variable ret[static GA_RUN_VARIABLES])
{
    int n = 0;
    ret[n++] = (struct ga_run_variable){"GOALLOC_SOCKET", socket};
    if (preload->preload[0])
        ret[n++] = (struct ga_run_variable){"LD_PRELOAD", preload->preload};
    if (preload->folder[0]) {
        ret[n++] = (struct ga_run_variable){GA_ACCOUNT_VARIABLE, preload->folder};
        if (!getenv("GOALLOC_PROFILE_RATE"))
            ret[n++] = (struct ga_run_variable){"GOALLOC_PROFILE_RATE", "1"};
    }
    ret[n] = (struct ga_run_variable){NULL, NULL};
}

void ga_run_preload_end(struct ga_run_preload *preload)
{
    DIR *folder = preload->folder[0] ? opendir(preload->folder) : NULL;
    if (!folder)
        return;
    struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    rmdir(preload->folder);
}
