/* Other processes: who is at the other end of a socket, when a process began, whether it is alive.
 * A pid alone names nobody, since pids are used again; a pid and its start time do. */
#ifndef GA_SERVER_SHELL_PROCESS_H
#define GA_SERVER_SHELL_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct ga_peer {
    uint32_t pid; /* 0: of another pid namespace, not to be seen from here */
    uint32_t uid;
    uint32_t gid;
};

/* Who made the connection fd. 0 or a negative errno. */
int ga_peer_of_socket(int fd, struct ga_peer *ret);

/* When process pid began, in clock ticks after boot. 0; -ESRCH where there is no such process;
 * -EPROTO where /proc says nothing that can be read. */
int ga_process_start_time(uint32_t pid, uint64_t *ret_ticks);

/* Whether the process that had this pid and start time is there still, and not a zombie. */
bool ga_process_is_alive(uint32_t pid, uint64_t start_time);

/* A file descriptor that becomes readable when the peer at socket fd has ended, all its threads
 * included; and the peer's start time. Both are certain to be of the same process, which is
 * peer->pid. 0; -ESRCH where it has ended already; or another negative errno. */
int ga_process_watch_fd(int fd, const struct ga_peer *peer, int *ret_pidfd,
                        uint64_t *ret_start_time);

/* The same for the process that had this pid and start time. */
int ga_process_watch_pid(uint32_t pid, uint64_t start_time, int *ret_pidfd);

#endif
