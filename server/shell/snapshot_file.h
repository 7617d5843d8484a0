/* A snapshot file, read and verified. Whatever is wrong with it is logged with its path. */
#ifndef GA_SERVER_SHELL_SNAPSHOT_FILE_H
#define GA_SERVER_SHELL_SNAPSHOT_FILE_H

#include "shm/snapshot.h"

struct ga_snapshot_file {
    int fd; /* -1 = not open */
    const char *path;
    struct ga_snapshot_header header;
    struct ga_snapshot_extent *extents;
    uint64_t *sums; /* of the blocks */
    char *block;    /* room for one */
};

/* Open the file at path, which must outlive it, and verify every byte of it. Returns 0; or a
 * negative errno, which has been logged. */
int ga_snapshot_file_open(const char *path, struct ga_snapshot_file *ret);
/* One that is not open is left alone. */
void ga_snapshot_file_close(struct ga_snapshot_file *file);

/* A piece of an object; returns 0 or a negative errno, which ends the reading. */
typedef int ga_snapshot_piece_fn(void *data, enum ga_object object, uint64_t offset,
                                 const char *bytes, uint64_t nbytes);

/* Hand out the data in pieces, in their order; each was verified again. Returns 0; what take_piece
 * returned; or a negative errno, which has been logged. */
int ga_snapshot_file_read(const struct ga_snapshot_file *file, ga_snapshot_piece_fn *take_piece,
                          void *data);

#endif
