/* Errors between processes: the number that stands for an errno on the socket, and the sentence
 * that stands for it before people. Errno values differ between platforms, wire values never
 * change. */
#ifndef GA_PROTO_ERROR_H
#define GA_PROTO_ERROR_H

#include <stdint.h>

/* The wire value for err, a negative errno; that of EIO for one that has none. */
uint32_t ga_error_to_wire(int err);

/* The negative errno for a wire value; -EPROTO for one that is not known here. */
int ga_error_from_wire(uint32_t wire);

/* A sentence for err, a negative errno or 0; a general one for what is not known. Static text.
 * All three functions are thread-safe. */
const char *ga_error_text(int err);

#endif
