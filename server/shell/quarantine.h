/* Clients that did what no client does, on their own connection: what lies in shared memory may be
 * another's doing, and is no proof. Such a client is granted nothing more and loses its
 * connection, and its process gets no other attachment; what it holds it keeps until the process
 * has ended, since a living process cannot be kept from storing into memory that it has mapped. */
#ifndef GA_SERVER_SHELL_QUARANTINE_H
#define GA_SERVER_SHELL_QUARANTINE_H

#include <stdbool.h>
#include <stdint.h>

struct ga_attachment;
struct ga_server;

/* Put the client into quarantine, and say in the log who it is and what it did. One that is there
 * already stays. */
void ga_quarantine(struct ga_attachment *attachment, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same for each attachment of the process with this pid. One that has none loses nothing: it
 * holds nothing that could be kept from it. */
void ga_quarantine_process(const struct ga_server *server, uint32_t pid, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether the process with this pid is in quarantine, by any of its attachments. */
bool ga_quarantine_has(const struct ga_server *server, uint32_t pid);

#endif
