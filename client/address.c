/* The rule for the server's socket. It never tries one socket after the other: a client that
 * quietly reached another heap than the one it was told to use would be worse than an error. Where
 * nothing is told, the user's own socket comes before the system's, so that a server that somebody
 * has started by himself is the one he gets; and the system's only where he may use it, so that
 * others have a private server as if there were none. */
#include "client/address.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == GA_ADDRESS_BYTES,
              "the room for a socket's path");

/* A variable's value, NULL where it is empty. Who runs with more rights than its caller must not
 * be sent to a server of the caller's choice, which secure_getenv sees to. */
static const char *variable(const char *name)
{
    const char *value = secure_getenv(name);
    return value && value[0] != '\0' ? value : NULL;
}

static const char *runtime_folder(void)
{
    const char *folder = variable("XDG_RUNTIME_DIR");
    return folder && folder[0] == '/' ? folder : NULL;
}

/* Where there is no runtime folder, as in a cron job: one that we make ourselves. */
static void name_own_folder(char ret_folder[static GA_ADDRESS_BYTES])
{
    snprintf(ret_folder, GA_ADDRESS_BYTES, "/tmp/goalloc-%u", (unsigned)geteuid());
}

static int join(const char *folder, const char *file, char ret_path[static GA_ADDRESS_BYTES])
{
    char joined[GA_ADDRESS_BYTES];
    int length = snprintf(joined, sizeof(joined), "%s/%s", folder, file);
    if (length < 0 || length >= GA_ADDRESS_BYTES)
        return -ENAMETOOLONG;
    snprintf(ret_path, GA_ADDRESS_BYTES, "%s", joined);
    return 0;
}

static int name_own_socket(char ret_path[static GA_ADDRESS_BYTES])
{
    char own_folder[GA_ADDRESS_BYTES];
    const char *folder = runtime_folder();
    name_own_folder(own_folder);
    return join(folder ? folder : own_folder, "goalloc.sock", ret_path);
}

bool ga_address_prefers_system(const char *own, const char *system_socket)
{
    struct stat st;
    return lstat(own, &st) < 0 && errno == ENOENT &&
           faccessat(AT_FDCWD, system_socket, W_OK, AT_EACCESS) == 0;
}

bool ga_address_is_default(const char *given)
{
    char own[GA_ADDRESS_BYTES];
    if (given || variable("GOALLOC_SOCKET"))
        return false;
    return name_own_socket(own) < 0 || !ga_address_prefers_system(own, GA_ADDRESS_SYSTEM);
}

static int check_own_folder(bool make)
{
    char folder[GA_ADDRESS_BYTES];
    struct stat st;
    name_own_folder(folder);
    if (make && mkdir(folder, 0700) < 0 && errno != EEXIST)
        return -errno;
    if (lstat(folder, &st) < 0)
        return -errno;
    bool ours = S_ISDIR(st.st_mode) && st.st_uid == geteuid() && (st.st_mode & 0077) == 0;
    return ours ? 0 : -EACCES;
}

int ga_address_check_folder(const char *given, bool make)
{
    if (!ga_address_is_default(given) || runtime_folder())
        return 0;
    return check_own_folder(make);
}

int ga_address_beside_default(const char *file, char ret_path[static GA_ADDRESS_BYTES])
{
    char own_folder[GA_ADDRESS_BYTES];
    const char *folder = runtime_folder();
    int err = folder ? 0 : check_own_folder(true);
    if (err < 0)
        return err;
    name_own_folder(own_folder);
    return join(folder ? folder : own_folder, file, ret_path);
}

static int resolve_default(char ret_path[static GA_ADDRESS_BYTES])
{
    char own[GA_ADDRESS_BYTES];
    int err = name_own_socket(own);
    if (err < 0)
        return err;
    snprintf(ret_path, GA_ADDRESS_BYTES, "%s",
             ga_address_prefers_system(own, GA_ADDRESS_SYSTEM) ? GA_ADDRESS_SYSTEM : own);
    return 0;
}

int ga_address_resolve(const char *given, char ret_path[static GA_ADDRESS_BYTES])
{
    const char *path = given ? given : variable("GOALLOC_SOCKET");
    if (!path)
        return resolve_default(ret_path);
    if (path[0] == '\0')
        return -EINVAL;
    size_t length = strnlen(path, GA_ADDRESS_BYTES);
    if (length >= GA_ADDRESS_BYTES)
        return -ENAMETOOLONG;
    memcpy(ret_path, path, length + 1);
    return 0;
}
