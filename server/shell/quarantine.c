#include "server/shell/quarantine.h"

#include <stdarg.h>
#include <stdio.h>

#include "server/shell/attachment.h"
#include "server/shell/connection.h"
#include "server/shell/server.h"

#define DEED_BYTES 160

static void quarantine(struct ga_attachment *attachment, const char *deed)
{
    struct ga_server *server = attachment->server;
    if (attachment->ended || attachment->quarantined)
        return;
    attachment->quarantined = true;
    ga_heap_quarantine(server->heap, attachment->client);
    ga_event_quarantine(attachment, deed);
    if (attachment->connection)
        ga_connection_close(attachment->connection);
}

void ga_quarantine(struct ga_attachment *attachment, const char *format, ...)
{
    char deed[DEED_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(deed, sizeof(deed), format, args);
    va_end(args);
    quarantine(attachment, deed);
}

void ga_quarantine_process(const struct ga_server *server, uint32_t pid, const char *format, ...)
{
    char deed[DEED_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(deed, sizeof(deed), format, args);
    va_end(args);
    for (struct ga_attachment *a = server->attachments; a; a = a->next)
        if (a->pid == pid && !a->leaving)
            quarantine(a, deed);
}

bool ga_quarantine_has(const struct ga_server *server, uint32_t pid)
{
    for (const struct ga_attachment *a = server->attachments; a; a = a->next)
        if (a->quarantined && !a->ended && a->pid == pid)
            return true;
    return false;
}
