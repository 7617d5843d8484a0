/* What a process with a heap of its own says to the server, once: who it is and where its heap
 * lies. Two frames, Hello and Program, written without protobuf-c, whose descriptors are tables of
 * pointers that each process would relocate when it starts. */
#ifndef GA_PROTO_ANNOUNCE_H
#define GA_PROTO_ANNOUNCE_H

#include <stddef.h>
#include <stdint.h>

#define GA_ANNOUNCE_NAME_MAX 63u /* bytes of the name; what is longer is cut off */
#define GA_ANNOUNCE_BYTES    192u

struct ga_announcement {
    const char *name; /* any C string: what is no text in it is replaced */
    uint32_t layout_version;
    uint64_t meta_address;
    uint64_t bits_address;
};

/* Write both frames. Returns how many bytes they are. */
size_t ga_announce_encode(const struct ga_announcement *announcement,
                          uint8_t ret_frames[static GA_ANNOUNCE_BYTES]);

#endif
