/* The messages of goalloc.proto, which are calls here (own_server.c), each name a descriptor, by
 * which protobuf-c would pack them. Nothing packs them in this library, so the name is all that
 * there is: the descriptors are tables of pointers, ten OS pages that each process would relocate
 * when it starts. What asks for more of protobuf-c than these is told by the linker. */
#include "proto/message.h"

/* What a string of a message is that nobody has set. */
const char protobuf_c_empty_string[] = "";

#define NAMED(message) const ProtobufCMessageDescriptor goalloc__v1__##message##__descriptor

NAMED(bad_free);
NAMED(done);
NAMED(envelope);
NAMED(hold);
NAMED(large_alloc);
NAMED(large_free);
NAMED(large_resize);
NAMED(large_span);
NAMED(lease);
NAMED(lease_ahead);
NAMED(leases);
NAMED(mcache);
NAMED(new_mcache);
NAMED(profile_room);
NAMED(put_off);
NAMED(release);
NAMED(return );
NAMED(set_profile_rate);
NAMED(sync);
