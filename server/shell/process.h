/* Other processes: who is at the other end of a socket, and that it has ended. */
#ifndef GA_SERVER_SHELL_PROCESS_H
#define GA_SERVER_SHELL_PROCESS_H

#include <stdint.h>

#include "shm/process.h"

/* A client's name, as it says, with its zero. */
#define GA_CLIENT_NAME_BYTES 32

struct ga_peer {
    uint32_t pid; /* 0: of another pid namespace, not to be seen from here */
    uint32_t uid;
    uint32_t gid;
};

/* Who made the connection fd. 0 or a negative errno. */
int ga_peer_of_socket(int fd, struct ga_peer *ret);

/* A file descriptor that becomes readable when the peer at socket fd has ended, all its threads
 * included; and the peer's start time. Both are certain to be of the same process, which is
 * peer->pid. 0; -ESRCH where it has ended already; or another negative errno. */
int ga_process_watch_fd(int fd, const struct ga_peer *peer, int *ret_pidfd,
                        uint64_t *ret_start_time);

/* The descriptor alone, which is less to do: the start time is read in /proc. */
int ga_process_pidfd(int fd, const struct ga_peer *peer, int *ret_pidfd);

/* The same for the process that had this pid and start time. */
int ga_process_watch_pid(uint32_t pid, uint64_t start_time, int *ret_pidfd);

/* Whether the process has the file that is open at fd mapped anywhere. 1, 0; or a negative errno
 * where that cannot be seen: -EACCES of another user's, -ESRCH of one that has ended. */
int ga_process_maps(uint32_t pid, int fd);

#endif
