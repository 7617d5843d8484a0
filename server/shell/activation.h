/* Socket activation: the service manager has made the socket, listens, and passes it to us when the
 * first client connects (sd_listen_fds(3)). It stays the manager's: clients that come while no
 * server runs wait in it for the next, and its file is not ours to remove. */
#ifndef GA_SERVER_SHELL_ACTIVATION_H
#define GA_SERVER_SHELL_ACTIVATION_H

#include "server/shell/listener.h"
#include "server/shell/options.h"

/* Take the socket that was passed, if any, and with it its path and its rights, which are the
 * heap's from then on: options, to which the result points, must outlive it. Nothing of it is left
 * in the environment. Returns 1 where there is one; 0 where there is none; or a negative errno
 * where what was passed is not one listening stream socket with a path, or is not what options say,
 * which has been logged. */
int ga_activation_take(struct ga_options *options, struct ga_listener *ret);

#endif
