/* Errors between processes. One list gives each errno its wire value and its sentence; the
 * functions search it. A wire value is never given to another errno, and a new one goes to the
 * end. */
#include "proto/error.h"

#include <errno.h>
#include <stddef.h>

#define GENERIC_ERROR EIO

/* X(errno, wire value, sentence) */
#define ERRORS(X)                                                                                  \
    X(EIO, 1, "Something failed in a way that has no error of its own.")                           \
    X(EINVAL, 2, "An argument is not valid.")                                                      \
    X(ENOMEM, 3, "The heap is full, or at its limit, or the system is out of memory.")             \
    X(ENOENT, 4, "There is nothing of this name.")                                                 \
    X(EEXIST, 5, "The name is taken.")                                                             \
    X(EACCES, 6, "The permissions of the socket or of the heap do not allow this.")                \
    X(EPERM, 7, "This is not allowed to this process.")                                            \
    X(EAGAIN, 8, "The server's tables are full; try again later.")                                 \
    X(EPROTO, 9, "The other side does not speak a protocol or layout known here.")                 \
    X(ENAMETOOLONG, 10, "The name is too long.")                                                   \
    X(ENOSPC, 11, "There is no space left, in the table of roots or in shared memory.")            \
    X(ETIMEDOUT, 12, "The server did not answer in time.")                                         \
    X(ENOTCONN, 13, "The connection to the server is gone.")                                       \
    X(ECONNREFUSED, 14, "Nobody listens at the socket.")                                           \
    X(EADDRINUSE, 15, "The address is taken: the heap's range in this process, or the socket.")    \
    X(EMFILE, 16, "This process has too many heaps or files open.")                                \
    X(EMSGSIZE, 17, "The message is larger than messages may be.")                                 \
    X(EBADMSG, 18, "The message is malformed.")                                                    \
    X(EBUSY, 19, "What this needs is in use.")                                                     \
    X(EDQUOT, 20, "The quota is used up.")                                                         \
    X(ENOTSUP, 21, "The other side, or this system, cannot do this.")                              \
    X(ECONNRESET, 22, "The other side ended the connection.")                                      \
    X(ENFILE, 23, "The system has too many files open.")                                           \
    X(EOVERFLOW, 24, "A number is too large for its place.")                                       \
    X(ESTALE, 25, "The heap that this process has attached is no more.")                           \
    X(ELOOP, 26, "There is a symbolic link, which goalloc does not follow.")                       \
    X(ECANCELED, 27, "It was abandoned, and has changed nothing.")

struct error_entry {
    int number;
    uint32_t wire;
    const char *text;
};

#define ENTRY(number, wire, text) {number, wire, text},
static const struct error_entry errors[] = {ERRORS(ENTRY)};

/* Two errnos with one wire value do not compile: they would be one label twice. */
#define LABEL(number, wire, text)                                                                  \
    case wire:                                                                                     \
        return -number;

int ga_error_from_wire(uint32_t wire)
{
    switch (wire) {
        ERRORS(LABEL)
    default:
        return -EPROTO;
    }
}

/* err is negative. */
static const struct error_entry *find_error(int err)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (-errors[i].number == err)
            return &errors[i];
    return NULL;
}

uint32_t ga_error_to_wire(int err)
{
    const struct error_entry *entry = find_error(err);
    return entry ? entry->wire : find_error(-GENERIC_ERROR)->wire;
}

const char *ga_error_text(int err)
{
    if (err == 0)
        return "It worked.";
    const struct error_entry *entry = find_error(err);
    return entry ? entry->text : "The system reported an error that goalloc does not expect.";
}
