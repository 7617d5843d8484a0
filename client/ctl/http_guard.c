#include "client/ctl/http_guard.h"

#include <string.h>
#include <strings.h>

/* Whether host, with a port or without, is a name of the loopback that nobody else can own. The
 * port may be another one: of ssh -L, for one. */
static bool is_loopback(const char *host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t length = strlen(names[i]);
        if (strncasecmp(host, names[i], length) != 0)
            continue;
        const char *rest = host + length;
        if (rest[0] == '\0' || (rest[0] == ':' && rest[1 + strspn(rest + 1, "0123456789")] == '\0'))
            return true;
    }
    return false;
}

/* A page may ask only where it came from: its origin is this host, and as http. */
static bool is_same_origin(const char *origin, const char *host)
{
    return strncmp(origin, "http://", 7) == 0 && strcasecmp(origin + 7, host) == 0;
}

bool ga_http_may_answer(const struct ga_http_origin *request, bool is_unix)
{
    if (!request->host || (!is_unix && !is_loopback(request->host)))
        return false;
    if (request->origin && !is_same_origin(request->origin, request->host))
        return false;
    if (!request->fetch_site || strcmp(request->fetch_site, "same-origin") == 0 ||
        strcmp(request->fetch_site, "none") == 0)
        return true;
    /* Of others only that they lead here: a link that somebody follows, which shows them nothing.
     */
    return request->fetch_mode && strcmp(request->fetch_mode, "navigate") == 0;
}
