/* The sign of life is sent by a timer of the loop, and nothing else sends it: a loop that is stuck
 * misses it, whatever its threads do. A private server is nobody's service: it has its environment
 * from a program, which may be one, and whose manager is not to be told about it. */
#include "server/shell/service.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "server/heap.h"
#include "server/shell/server.h"

#define STATUS_INTERVAL_MS 1000u
#define SIGNS_A_TIMEOUT    4u

static void format_size(uint64_t bytes, char *text, size_t text_bytes)
{
    double mib = (double)bytes / (1 << 20);
    if (mib < 1024)
        snprintf(text, text_bytes, "%.1f MiB", mib);
    else
        snprintf(text, text_bytes, "%.1f GiB", mib / 1024);
}

/* The line that `systemctl status` shows. */
static void format_status(const struct ga_server *server,
                          char ret_status[static GA_SERVICE_STATUS_BYTES])
{
    struct ga_heap_status status;
    char inuse[32];
    char limit[32];
    ga_heap_get_status(server->heap, &status);
    format_size(status.inuse_bytes, inuse, sizeof(inuse));
    format_size(status.limit_bytes, limit, sizeof(limit));
    snprintf(ret_status, GA_SERVICE_STATUS_BYTES, "heap '%s': %" PRIu32 " client%s, %s of %s%s%s",
             server->world->name, status.clients, status.clients == 1 ? "" : "s", inuse, limit,
             server->service.trouble ? "; " : "",
             server->service.trouble ? server->service.trouble : "");
}

static void tell_status(struct ga_server *server, const char *state)
{
    struct ga_service *service = &server->service;
    char status[GA_SERVICE_STATUS_BYTES];
    format_status(server, status);
    if (state[0] == '\0' && strcmp(status, service->status) == 0)
        return;
    memcpy(service->status, status, sizeof(status));
    sd_notifyf(0, "%sSTATUS=%s", state, status);
}

static void on_timer(uv_timer_t *timer)
{
    struct ga_server *server = timer->data;
    if (server->service.is_watched)
        sd_notify(0, "WATCHDOG=1");
    tell_status(server, "");
}

int ga_service_init(struct ga_server *server)
{
    const char *socket = getenv("NOTIFY_SOCKET");
    server->service.is_told = socket && socket[0] != '\0' && !server->world->options->is_private;
    server->service.timer.data = server;
    return uv_timer_init(&server->loop, &server->service.timer);
}

void ga_service_close(struct ga_server *server)
{
    uv_close((uv_handle_t *)&server->service.timer, NULL);
    if (server->service.is_told)
        sd_notifyf(0, "STOPPING=1\nSTATUS=heap '%s': ending", server->world->name);
}

void ga_service_ready(struct ga_server *server)
{
    struct ga_service *service = &server->service;
    uint64_t timeout_us = 0;
    if (!service->is_told)
        return;
    service->is_watched = sd_watchdog_enabled(0, &timeout_us) > 0;
    uint64_t interval_ms = STATUS_INTERVAL_MS;
    if (service->is_watched && timeout_us / 1000 / SIGNS_A_TIMEOUT < interval_ms)
        interval_ms = timeout_us / 1000 / SIGNS_A_TIMEOUT;
    uv_timer_start(&service->timer, on_timer, interval_ms, interval_ms);
    tell_status(server, "READY=1\n");
}

/* The time is for managers that take a later one than their signal's for the answer to it. */
void ga_service_reloading(struct ga_server *server)
{
    if (server->service.is_told)
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, uv_hrtime() / 1000);
}

void ga_service_reloaded(struct ga_server *server, const char *trouble)
{
    server->service.trouble = trouble;
    if (server->service.is_told)
        tell_status(server, "READY=1\n");
}
