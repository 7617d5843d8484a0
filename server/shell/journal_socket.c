#include "server/shell/journal_socket.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/event.h"

#define JOURNAL_PATH   "/run/systemd/journal/socket"
#define DATAGRAM_BYTES 4096
#define KEY_BYTES      48

/* As syslog(3) counts. */
static const int priorities[GA_LOG_LEVEL_COUNT] = {3, 4, 6, 7, 7};

int ga_journal_socket_open(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    char own[64];
    if (!stream || fstat(fd, &st) < 0)
        return -ENOENT;
    snprintf(own, sizeof(own), "%" PRIu64 ":%" PRIu64, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
    if (strcmp(own, stream) != 0)
        return -ENOENT;
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_PATH};
    int journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (journal < 0)
        return -errno;
    if (connect(journal, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int err = errno;
        close(journal);
        return -err;
    }
    return journal;
}

struct datagram {
    char text[DATAGRAM_BYTES];
    size_t length;
};

/* Add a line, or what there is room for of it. A control character in the value, as a newline,
 * would begin another field. */
static void add(struct datagram *datagram, const char *key, const char *value)
{
    size_t room = sizeof(datagram->text) - datagram->length;
    char *line = datagram->text + datagram->length;
    int n = snprintf(line, room, "%s=%s", key, value);
    if (n < 0 || (size_t)n + 1 >= room)
        return;
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20)
            line[i] = '?';
    line[n] = '\n';
    datagram->length += (size_t)n + 1;
}

static void add_number(struct datagram *datagram, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    add(datagram, key, text);
}

static void add_event(struct datagram *datagram, const Goalloc__V1__Event *event)
{
    struct ga_event_field fields[GA_EVENT_FIELDS_MAX + 1];
    ga_event_fields(event, fields);
    add(datagram, "GOALLOC_EVENT", ga_event_name(event->kind));
    for (const struct ga_event_field *field = fields; field->name; field++) {
        char key[KEY_BYTES];
        snprintf(key, sizeof(key), "GOALLOC_%s", field->name);
        for (char *c = key; *c != '\0'; c++)
            *c = (char)toupper((unsigned char)*c);
        if (field->text)
            add(datagram, key, field->text);
        else
            add_number(datagram, key, field->number);
    }
}

int ga_journal_socket_send(int journal, enum ga_log_level level, const char *heap_name,
                           const char *message, const Goalloc__V1__Event *event)
{
    struct datagram datagram = {.length = 0};
    add(&datagram, "MESSAGE", message);
    add_number(&datagram, "PRIORITY", (uint64_t)priorities[level]);
    add(&datagram, "SYSLOG_IDENTIFIER", "goallocd");
    if (heap_name)
        add(&datagram, "GOALLOC_HEAP", heap_name);
    if (event)
        add_event(&datagram, event);
    ssize_t n = send(journal, datagram.text, datagram.length, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n < 0 ? -errno : 0;
}
