/* Who may connect is what the socket's file says, as the manager has made it. The objects get the
 * same rights, so that nobody connects to a heap that he cannot map; an option that says something
 * else is a mistake of whoever wrote the two, and is not guessed about. */
#include "server/shell/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "server/shell/log.h"

#define NAMES_BYTES 256

static int refuse_several(char *const *names, int count)
{
    char list[NAMES_BYTES] = "";
    for (int i = 0; i < count; i++) {
        size_t length = strlen(list);
        snprintf(list + length, sizeof(list) - length, "%s'%s'", length ? ", " : "", names[i]);
    }
    ga_log(GA_LOG_ERROR, "the service manager passes %d sockets, %s: goallocd listens at one",
           count, list);
    return -EINVAL;
}

/* The path that the socket is bound to. An abstract one begins with a zero byte. */
static int read_path(int fd, const char *name, char ret_path[static GA_SOCKET_PATH_BYTES])
{
    struct sockaddr_un address = {0};
    socklen_t bytes = sizeof(address);
    if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0) {
        ga_log(GA_LOG_ERROR,
               "what the service manager passes as '%s' is no Unix stream socket that listens: "
               "give its unit ListenStream= with a path",
               name);
        return -EINVAL;
    }
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0 || address.sun_path[0] != '/') {
        ga_log(GA_LOG_ERROR, "the service manager's socket '%s' has no path: clients need one",
               name);
        return -EINVAL;
    }
    /* One of full length ends without a zero byte, and is none that clients could give. */
    snprintf(ret_path, GA_SOCKET_PATH_BYTES, "%.*s", (int)sizeof(address.sun_path) - 1,
             address.sun_path);
    return 0;
}

/* Whether what is ours may be given to the group. group_member leaves out the effective one. */
static bool has_group(gid_t wanted)
{
    return geteuid() == 0 || getegid() == wanted || group_member(wanted);
}

static int take_rights(const char *path, struct ga_access *access)
{
    struct stat st;
    if (lstat(path, &st) < 0) {
        int err = errno;
        ga_log(GA_LOG_ERROR, "the service manager's socket %s is not there any more: %s", path,
               strerror(err));
        return -err;
    }
    unsigned mode = (st.st_mode & 0666) | 0600;
    bool for_group = mode & 0020;
    if (access->mode != 0 && access->mode != mode) {
        ga_log(GA_LOG_ERROR,
               "--mode: %o is not what the service manager gave %s, %o: change SocketMode= of its "
               "unit",
               access->mode, path, mode);
        return -EINVAL;
    }
    if (access->has_group && (access->group != st.st_gid || !for_group)) {
        ga_log(GA_LOG_ERROR,
               "--group: %u may not connect to the service manager's socket %s: change "
               "SocketGroup= and SocketMode= of its unit",
               (unsigned)access->group, path);
        return -EINVAL;
    }
    if (for_group && !has_group(st.st_gid)) {
        ga_log(GA_LOG_ERROR,
               "the heap cannot belong to the group of %s, %u, since the server is not in it: give "
               "its unit SupplementaryGroups=",
               path, (unsigned)st.st_gid);
        return -EPERM;
    }
    access->mode = mode;
    access->has_group = for_group;
    access->group = for_group ? (uint32_t)st.st_gid : 0;
    return 0;
}

static int take(int fd, const char *name, struct ga_options *options, struct ga_listener *ret)
{
    char path[GA_SOCKET_PATH_BYTES];
    int r = read_path(fd, name, path);
    if (r < 0)
        return r;
    if (options->socket_path[0] != '\0' && strcmp(options->socket_path, path) != 0) {
        ga_log(GA_LOG_ERROR,
               "--socket: '%s' is not the socket that the service manager passes, %s: give one of "
               "them",
               options->socket_path, path);
        return -EINVAL;
    }
    r = take_rights(path, &options->access);
    if (r < 0)
        return r;
    memcpy(options->socket_path, path, sizeof(path));
    *ret = (struct ga_listener){.fd = fd};
    return 1;
}

int ga_activation_take(struct ga_options *options, struct ga_listener *ret)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    int r = count;
    if (count < 0)
        ga_log(GA_LOG_ERROR, "what the service manager says of its sockets is wrong: %s",
               strerror(-count));
    else if (count > 1)
        r = refuse_several(names, count);
    else if (count == 1)
        r = take(SD_LISTEN_FDS_START, names[0], options, ret);
    for (int i = 0; names && i < count; i++)
        free(names[i]);
    free(names);
    return r;
}
