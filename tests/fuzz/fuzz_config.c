/* A file of options: every line is given out in order, trimmed, or the reading ends with an error.
 */
#include <ctype.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "server/shell/config_file.h"
#include "server/shell/log.h"

static void check_trimmed(const char *text)
{
    size_t length = strlen(text);
    FUZZ_CHECK(length == 0 || !isspace((unsigned char)text[0]));
    FUZZ_CHECK(length == 0 || !isspace((unsigned char)text[length - 1]));
}

/* A key "stop" ends the reading. */
static int take_line(const char *where, const char *key, const char *value, void *data)
{
    unsigned *last = data;
    const char *number = strchr(where, ':');
    FUZZ_CHECK(number);
    unsigned line = (unsigned)strtoul(number + 1, NULL, 10);
    FUZZ_CHECK(line > *last);
    *last = line;
    check_trimmed(key);
    check_trimmed(value);
    FUZZ_CHECK(key[0] != '#' && !strchr(key, '='));
    return strcmp(key, "stop") == 0 ? -ECANCELED : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ga_log_set_level(GA_LOG_ERROR);
    int fd = memfd_create("config", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    unsigned last = 0;
    int r = ga_config_file_read(path, take_line, &last);
    FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ECANCELED);
    close(fd);
    return 0;
}
