/* The kernel says who has called listen last (SO_PEERCRED), as it was when the connection was made:
 * of a socket that the service manager made that is root's process 1, until the first server
 * listens too. */
#include "client/owner.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/stat.h>

int ga_owner_of_server(int fd, int64_t *ret_uid)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t bytes = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) < 0)
        return -errno;
    bool is_manager = peer.uid == 0 && peer.pid <= 1; /* 0: it is in no namespace of ours */
    *ret_uid = is_manager ? GA_OWNER_ANYBODY : (int64_t)peer.uid;
    return 0;
}

int ga_owner_of_object(int fd, int64_t *ret_uid)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *ret_uid = (int64_t)st.st_uid;
    return 0;
}
