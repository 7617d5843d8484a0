#include "server/shell/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "server/shell/log.h"

#define LINE_BYTES  1024
#define WHERE_BYTES 512

/* text without the blanks around it, cut in place. */
static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    text[length] = '\0';
    return text;
}

static int read_line(char *line, const char *where, ga_config_line_fn *each, void *data)
{
    char *text = trim(line);
    if (text[0] == '\0' || text[0] == '#')
        return 0;
    char *equals = strchr(text, '=');
    if (!equals) {
        ga_log(GA_LOG_ERROR, "%s'%s' is not allowed: give key = value, or # and a comment", where,
               text);
        return -EINVAL;
    }
    *equals = '\0';
    return each(where, trim(text), trim(equals + 1), data);
}

/* Whether a line has come whole, as text: is_last says that no other follows. */
static int check_line(const char *line, bool is_last, const char *where)
{
    size_t length = strlen(line);
    if (length == LINE_BYTES - 1)
        ga_log(GA_LOG_ERROR, "%sthe line is too long: give at most %d bytes", where,
               LINE_BYTES - 2);
    else if (length == 0 || (line[length - 1] != '\n' && !is_last))
        ga_log(GA_LOG_ERROR, "%sthere is a zero byte: this is no text", where);
    else
        return 0;
    return -EINVAL;
}

int ga_config_file_read(const char *path, ga_config_line_fn *each, void *data)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        int err = -errno;
        ga_log(GA_LOG_ERROR, "--config: %s cannot be read: %s", path, strerror(-err));
        return err;
    }
    char line[LINE_BYTES];
    char where[WHERE_BYTES];
    int r = 0;
    for (unsigned number = 1; r == 0 && fgets(line, sizeof(line), file); number++) {
        snprintf(where, sizeof(where), "%.400s:%u: ", path, number);
        r = check_line(line, feof(file), where);
        if (r == 0)
            r = read_line(line, where, each, data);
    }
    if (r == 0 && ferror(file)) {
        ga_log(GA_LOG_ERROR, "--config: %s cannot be read", path);
        r = -EIO;
    }
    fclose(file);
    return r;
}
