/* What fails says so by its errno, and logs the sentence; here is what a script, or systemd's
 * RestartPreventExitStatus, is told of it. */
#include "server/shell/exit_status.h"

#include <errno.h>

enum ga_exit_status ga_exit_status_of(int err)
{
    switch (-err) {
    case 0:
        return GA_EXIT_ENDED;
    case EINVAL:
        return GA_EXIT_USAGE;
    case EEXIST:
        return GA_EXIT_NAME_TAKEN;
    case ENOENT:
    case ENOTDIR:
        return GA_EXIT_NOT_THERE;
    case EACCES:
    case EPERM:
    case EROFS:
        return GA_EXIT_NO_RIGHT;
    case EPROTO:
    case EBADMSG:
        return GA_EXIT_NOT_KNOWN;
    case EADDRINUSE:
        return GA_EXIT_SOCKET_TAKEN;
    case ENOMEM:
    case ENOSPC:
    case EDQUOT:
        return GA_EXIT_NO_MEMORY;
    case EADDRNOTAVAIL:
        return GA_EXIT_ADDRESS_TAKEN;
    default:
        return GA_EXIT_FAILED;
    }
}
