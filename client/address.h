/* Where goallocd listens: the one rule by which goalloc_attach and goallocctl find its socket. */
#ifndef GA_CLIENT_ADDRESS_H
#define GA_CLIENT_ADDRESS_H

#include <stdbool.h>

/* The room for a Unix socket's path, its zero included: what sockaddr_un has. */
#define GA_ADDRESS_BYTES 108

/* Where the system's service manager listens for the default heap. */
#define GA_ADDRESS_SYSTEM "/run/goalloc/goalloc.sock"

/* Find the path of the server's socket: given where it is not NULL, else $GOALLOC_SOCKET, else the
 * user's own, $XDG_RUNTIME_DIR/goalloc.sock or /tmp/goalloc-UID/goalloc.sock, where UID is the user
 * who runs this program; but GA_ADDRESS_SYSTEM where that is there, may be connected to, and the
 * user's own is not there. An empty variable counts as unset, and so does an XDG_RUNTIME_DIR that
 * is not absolute; a program that runs with more rights than its caller reads neither. Returns 0
 * and the path; -EINVAL where given is empty; -ENAMETOOLONG where the path does not fit in a
 * socket's address. Thread-safe as long as nobody changes the environment. */
int ga_address_resolve(const char *given, char ret_path[static GA_ADDRESS_BYTES]);

/* Whether own is not there, and system_socket may be connected to. */
bool ga_address_prefers_system(const char *own, const char *system_socket);

/* Whether that is the user's own socket: nothing says which one it is to be, and the system's is
 * not the one. */
bool ga_address_is_default(const char *given);

/* Where the path is in /tmp, which is everybody's: whether its folder is the user's alone, so that
 * who listens there is, too. make: make the folder if it is not there. Returns 0, also where the
 * path is another; -ENOENT; -EACCES where the folder is not the user's alone; or another negative
 * errno. */
int ga_address_check_folder(const char *given, bool make);

/* Put together the path of file in the folder where the user's default socket is, and make the
 * folder if it is in /tmp and not there. Returns 0; -EACCES where it is not the user's alone;
 * -ENAMETOOLONG; or another negative errno. */
int ga_address_beside_default(const char *file, char ret_path[static GA_ADDRESS_BYTES]);

#endif
