/* journald's own protocol: a datagram of KEY=value lines to its socket. It is spoken by hand, since
 * it is that simple, is promised to stay (systemd.io/JOURNAL_NATIVE_PROTOCOL), and libsystemd would
 * wait where journald is slow. */
#ifndef GA_SERVER_SHELL_JOURNAL_SOCKET_H
#define GA_SERVER_SHELL_JOURNAL_SOCKET_H

#include "proto/message.h"
#include "server/shell/log.h"

/* Connect to journald if fd, which the log goes to, is its stream, by device and inode in
 * $JOURNAL_STREAM. Returns a socket; or -ENOENT where it is not, or another negative errno. */
int ga_journal_socket_open(int fd);

/* Send a message: PRIORITY, SYSLOG_IDENTIFIER, MESSAGE; GOALLOC_HEAP, if heap_name is not NULL; and
 * of an event, which may be NULL, GOALLOC_EVENT and a field for each it has, as GOALLOC_PID. The
 * message has no control characters. Does not wait. 0 or a negative errno. */
int ga_journal_socket_send(int journal, enum ga_log_level level, const char *heap_name,
                           const char *message, const Goalloc__V1__Event *event);

#endif
