/* A peer's groups are those it had when it connected (SO_PEERGROUPS), its own among them, so that
 * nothing has to be looked up while the server serves. */
#include "server/shell/access.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES      256
#define PEER_GROUPS_MAX 65536u /* NGROUPS_MAX of Linux */
#define MODE_DEFAULT    0600u
#define MODE_WITH_GROUP 0660u

/* Names come before numbers, as for chown. */
typedef bool find_name(const char *name, uint32_t *ret);

static bool find_user(const char *name, uint32_t *ret)
{
    const struct passwd *entry = getpwnam(name);
    if (entry)
        *ret = entry->pw_uid;
    return entry != NULL;
}

static bool find_group(const char *name, uint32_t *ret)
{
    const struct group *entry = getgrnam(name);
    if (entry)
        *ret = entry->gr_gid;
    return entry != NULL;
}

static int read_name(const char *name, find_name *find, uint32_t *ret)
{
    if (name[0] == '\0')
        return -EINVAL;
    if (find(name, ret))
        return 0;
    if (strspn(name, "0123456789") != strlen(name))
        return -ENOENT;
    errno = 0;
    unsigned long number = strtoul(name, NULL, 10);
    if (errno != 0 || number >= UINT32_MAX) /* that is "no user" */
        return -EINVAL;
    *ret = (uint32_t)number;
    return 0;
}

static int read_list(const char *text, find_name *find, uint32_t *list, unsigned *count)
{
    for (const char *at = text;; at++) {
        char name[NAME_BYTES];
        size_t length = strcspn(at, ",");
        if (length >= sizeof(name))
            return -EINVAL;
        memcpy(name, at, length);
        name[length] = '\0';
        if (*count == GA_ACCESS_NAMES_MAX)
            return -E2BIG;
        int r = read_name(name, find, &list[*count]);
        if (r < 0)
            return r;
        ++*count;
        at += length;
        if (*at == '\0')
            return 0;
    }
}

int ga_access_set_group(struct ga_access *access, const char *text)
{
    int r = read_name(text, find_group, &access->group);
    access->has_group = r == 0;
    return r;
}

int ga_access_set_mode(struct ga_access *access, const char *text)
{
    size_t length = strlen(text);
    if (length < 3 || length > 4 || strspn(text, "01234567") != length)
        return -EINVAL;
    unsigned mode = (unsigned)strtoul(text, NULL, 8);
    if ((mode & ~0666u) != 0 || (mode & 0600) != 0600)
        return -EINVAL;
    access->mode = mode;
    return 0;
}

int ga_access_allow_users(struct ga_access *access, const char *text)
{
    return read_list(text, find_user, access->users, &access->nusers);
}

int ga_access_allow_groups(struct ga_access *access, const char *text)
{
    return read_list(text, find_group, access->groups, &access->ngroups);
}

static unsigned socket_mode(const struct ga_access *access)
{
    if (access->mode != 0)
        return access->mode;
    return access->has_group ? MODE_WITH_GROUP : MODE_DEFAULT;
}

static gid_t group_of(const struct ga_access *access)
{
    return access->has_group ? (gid_t)access->group : (gid_t)-1;
}

int ga_access_apply_to_socket(const struct ga_access *access, const char *path)
{
    if (lchown(path, (uid_t)-1, group_of(access)) < 0)
        return -errno;
    return chmod(path, (mode_t)socket_mode(access)) < 0 ? -errno : 0;
}

int ga_access_apply_to_object(const struct ga_access *access, enum ga_object object, int fd)
{
    unsigned mode = 0600;
    unsigned rights = object == GA_OBJECT_META ? 04 : 06;
    /* To connect takes the right to write. */
    if (socket_mode(access) & 0020)
        mode |= rights << 3;
    if (socket_mode(access) & 0002)
        mode |= rights;
    if (fchown(fd, (uid_t)-1, group_of(access)) < 0)
        return -errno;
    return fchmod(fd, (mode_t)mode) < 0 ? -errno : 0;
}

static bool is_listed(const uint32_t *list, unsigned count, uint32_t id)
{
    for (unsigned i = 0; i < count; i++)
        if (list[i] == id)
            return true;
    return false;
}

static bool is_in_listed_group(const struct ga_access *access, const struct ga_peer *peer,
                               int socket)
{
    if (access->ngroups == 0)
        return false;
    if (is_listed(access->groups, access->ngroups, peer->gid))
        return true;
    gid_t few[64];
    gid_t *groups = few;
    socklen_t bytes = sizeof(few);
    int r = getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes);
    if (r < 0 && errno == ERANGE && bytes <= PEER_GROUPS_MAX * sizeof(gid_t)) {
        groups = malloc(bytes);
        r = groups ? getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes) : -1;
    }
    bool is_in = false;
    for (size_t i = 0; r == 0 && i < bytes / sizeof(gid_t) && !is_in; i++)
        is_in = is_listed(access->groups, access->ngroups, groups[i]);
    if (groups != few)
        free(groups);
    return is_in;
}

bool ga_access_allows(const struct ga_access *access, const struct ga_peer *peer, int socket)
{
    if (access->nusers == 0 && access->ngroups == 0)
        return true;
    return peer->uid == 0 || peer->uid == (uint32_t)geteuid() ||
           is_listed(access->users, access->nusers, peer->uid) ||
           is_in_listed_group(access, peer, socket);
}
