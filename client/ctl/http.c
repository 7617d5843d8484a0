/* All is answered from memory: the files that are compiled in, and documents of the feed. Every
 * answer forbids the browser whatever the page does not need. Nothing is ever changed by a request.
 */
#include "client/ctl/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/http_guard.h"
#include "client/ctl/web_file.h"

#define CONNECTIONS_MAX 256u
#define TIMEOUT_S       30u

struct ga_http {
    struct ga_feed *feed;
    struct ga_listener *listener;
    struct MHD_Daemon *daemon;
};

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned status,
                                     const char *type, struct MHD_Response *response)
{
    static const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src "
         "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
        {"Cross-Origin-Opener-Policy", "same-origin"},
        {"Cache-Control", "no-store"},
    };
    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result send_text(struct MHD_Connection *connection, unsigned status,
                                 const char *text)
{
    return send_response(connection, status, "text/plain; charset=utf-8",
                         MHD_create_response_from_buffer(strlen(text), (void *)(uintptr_t)text,
                                                         MHD_RESPMEM_PERSISTENT));
}

static void unref(void *document)
{
    ga_document_unref(document);
}

/* Takes the reference over. */
static enum MHD_Result send_document(struct MHD_Connection *connection, const char *type,
                                     struct ga_document *document)
{
    if (!document)
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory\n");
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        document->nbytes, document->bytes, unref, document);
    if (!response)
        ga_document_unref(document);
    return send_response(connection, MHD_HTTP_OK, type, response);
}

static enum MHD_Result send_file(struct MHD_Connection *connection, const char *name)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
    };
    const struct ga_web_file *file = ga_web_file_find(name);
    const char *ending = strrchr(name, '.');
    for (size_t i = 0; file && ending && i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(ending, types[i][0]) == 0)
            return send_response(connection, MHD_HTTP_OK, types[i][1],
                                 MHD_create_response_from_buffer(file->nbytes,
                                                                 (void *)(uintptr_t)file->bytes,
                                                                 MHD_RESPMEM_PERSISTENT));
    return send_text(connection, MHD_HTTP_NOT_FOUND, "there is nothing of this name\n");
}

/* The number that the query gives for key, fallback where it gives none; -EINVAL. */
static int read_query(struct MHD_Connection *connection, const char *key, uint64_t fallback,
                      uint64_t *ret)
{
    const char *text = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, key);
    char *end;
    if (!text) {
        *ret = fallback;
        return 0;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno)
        return -EINVAL;
    *ret = number;
    return 0;
}

static enum MHD_Result send_map(struct ga_http *http, struct MHD_Connection *connection)
{
    const char *name = MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "by");
    enum ga_map_by by = GA_MAP_BY_STATE;
    uint64_t arena;
    uint64_t narenas;
    if ((name && ga_map_by_of(name, &by) < 0) || read_query(connection, "arena", 0, &arena) < 0 ||
        read_query(connection, "narenas", UINT64_MAX, &narenas) < 0)
        return send_text(
            connection, MHD_HTTP_BAD_REQUEST,
            "by=state, class, owner, occupancy or age; arena and narenas are numbers\n");
    struct ga_document *document = NULL;
    switch (ga_feed_map(http->feed, by, arena, narenas, &document)) {
    case 0:
        return send_document(connection, "application/json", document);
    case -EAGAIN:
        return send_text(connection, MHD_HTTP_ACCEPTED, "ask again in a second\n");
    case -ERANGE:
        return send_text(connection, MHD_HTTP_NOT_FOUND, "the heap has no such arena\n");
    case -EOPNOTSUPP:
        return send_text(connection, MHD_HTTP_NOT_FOUND, "only the server knows ages\n");
    case -EBADMSG:
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "the page table is damaged, or changed while it was read\n");
    default:
        return send_document(connection, "application/json", NULL);
    }
}

/* What came of reading profiles, err, or document, which is taken over. */
static enum MHD_Result send_sampled(struct MHD_Connection *connection, const char *type, int err,
                                    struct ga_document *document)
{
    if (err == -ENOTCONN)
        return send_text(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "goallocd is away\n");
    if (err < 0)
        return send_text(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                         "the profile cannot be had; goallocctl has said why\n");
    return send_document(connection, type, document);
}

/* As a Go program serves it, so that go tool pprof takes the URL. */
static enum MHD_Result send_profile(struct ga_http *http, struct MHD_Connection *connection,
                                    enum ga_pprof_default shown)
{
    struct ga_document *document = NULL;
    int err = ga_feed_profile(http->feed, shown, &document);
    return send_sampled(connection, "application/octet-stream", err, document);
}

static enum MHD_Result send_sites(struct ga_http *http, struct MHD_Connection *connection)
{
    struct ga_document *document = NULL;
    int err = ga_feed_sites(http->feed, &document);
    return send_sampled(connection, "application/json", err, document);
}

static enum MHD_Result route(struct ga_http *http, struct MHD_Connection *connection,
                             const char *path)
{
    if (strcmp(path, "/") == 0)
        return send_file(connection, "index.html");
    if (strcmp(path, "/api/state") == 0)
        return send_document(connection, "application/json", ga_feed_state(http->feed));
    if (strcmp(path, "/api/history") == 0)
        return send_document(connection, "application/json", ga_feed_history(http->feed));
    if (strcmp(path, "/api/map") == 0)
        return send_map(http, connection);
    if (strcmp(path, "/api/sites") == 0)
        return send_sites(http, connection);
    if (strcmp(path, "/debug/pprof/heap") == 0)
        return send_profile(http, connection, GA_PPROF_HEAP);
    if (strcmp(path, "/debug/pprof/allocs") == 0)
        return send_profile(http, connection, GA_PPROF_ALLOCS);
    if (strcmp(path, "/metrics") == 0)
        return send_document(connection, "text/plain; version=0.0.4; charset=utf-8",
                             ga_feed_metrics(http->feed));
    return send_file(connection, path + 1);
}

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static enum MHD_Result answer(void *data, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_bytes, void **request)
{
    struct ga_http *http = data;
    (void)version;
    (void)upload;
    (void)upload_bytes;
    (void)request;
    struct ga_http_origin origin = {.host = header(connection, "Host"),
                                    .origin = header(connection, "Origin"),
                                    .fetch_site = header(connection, "Sec-Fetch-Site"),
                                    .fetch_mode = header(connection, "Sec-Fetch-Mode")};
    if (!ga_http_may_answer(&origin, http->listener->is_unix))
        return send_text(connection, MHD_HTTP_FORBIDDEN,
                         "this is for the pages of goallocctl alone, at 127.0.0.1 or localhost\n");
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return send_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "this can only be read\n");
    return route(http, connection, path);
}

int ga_http_start(struct ga_feed *feed, struct ga_listener *listener, struct ga_http **ret)
{
    struct ga_http *http = calloc(1, sizeof(*http));
    if (http) {
        http->feed = feed;
        http->listener = listener;
        http->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, http,
                                        MHD_OPTION_LISTEN_SOCKET, listener->fd,
                                        MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
                                        MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S, MHD_OPTION_END);
    }
    if (!http || !http->daemon) {
        fputs("goallocctl: no HTTP server can be started: out of memory or of descriptors\n",
              stderr);
        free(http);
        return -ENOMEM;
    }
    *ret = http;
    return 0;
}

void ga_http_stop(struct ga_http *http)
{
    if (!http)
        return;
    MHD_stop_daemon(http->daemon);
    http->listener->fd = -1; /* which the daemon has closed */
    free(http);
}
