/* Who may use the heap: the rights on the socket and the shared memory objects, and lists of users
 * and groups, which are asked of the kernel for each connection. */
#ifndef GA_SERVER_SHELL_ACCESS_H
#define GA_SERVER_SHELL_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "server/shell/process.h"
#include "shm/mapping.h"

#define GA_ACCESS_NAMES_MAX 64u /* on each list */

struct ga_access {
    bool has_group;
    uint32_t group; /* that socket and objects belong to */
    unsigned mode;  /* of the socket; 0 = 0600, or 0660 where there is a group */
    uint32_t users[GA_ACCESS_NAMES_MAX];
    unsigned nusers;
    uint32_t groups[GA_ACCESS_NAMES_MAX];
    unsigned ngroups;
};

/* Read what options say: a group, by name or number; a mode, octal; a list of users or groups,
 * names or numbers with commas between, which is added to what is on the list. 0; -EINVAL; -ENOENT
 * (there is no such user or group); -E2BIG (the list is full). */
int ga_access_set_group(struct ga_access *access, const char *text);
int ga_access_set_mode(struct ga_access *access, const char *text);
int ga_access_allow_users(struct ga_access *access, const char *text);
int ga_access_allow_groups(struct ga_access *access, const char *text);

/* Give the socket's file, and the object behind fd, the rights and the group. Who may connect may
 * read and write the objects, but only read meta. 0 or a negative errno. */
int ga_access_apply_to_socket(const struct ga_access *access, const char *path);
int ga_access_apply_to_object(const struct ga_access *access, enum ga_object object, int fd);

/* Whether peer, at the other end of socket, may use the heap: anybody who can connect if there are
 * no lists, else who is on one, root, and the server's own user. */
bool ga_access_allows(const struct ga_access *access, const struct ga_peer *peer, int socket);

#endif
