/* Each option has one reader, for the command line and the file of options, which on a bad value
 * logs the option, the value and what is allowed. The file is read first, so the command line wins.
 * What depends on two options is checked at the end, when all of them are known. */
#include "server/shell/options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/shell/config_file.h"
#include "server/shell/log.h"
#include "server/shell/option_table.h"
#include "server/shell/quota_text.h"
#include "server/shell/size_text.h"
#include "shm/mapping.h"

/* The first address that user space does not have. */
#define ADDRESS_END UINT64_C(0x7ffffffff000)

/* What stands before an option's name in messages: where it was read. */
static const char *origin = "--";

static int bad(const char *option, const char *value, const char *allowed)
{
    ga_log(GA_LOG_ERROR, "%s%s: '%s' is not allowed: give %s", origin, option, value, allowed);
    return -EINVAL;
}

static int set_name(const char *value, struct ga_options *options)
{
    if (!ga_heap_name_is_valid(value))
        return bad("name", value,
                   "1 to 63 letters, digits, '-', '_' and '.', not beginning with '.'");
    snprintf(options->name, sizeof(options->name), "%s", value);
    return 0;
}

static int set_socket(const char *option, const char *value, struct ga_options *options)
{
    size_t length = strlen(value);
    if (length == 0)
        return bad(option, value, "the path of a socket");
    if (length >= GA_SOCKET_PATH_BYTES) {
        ga_log(GA_LOG_ERROR, "%s%s: '%s' is %zu bytes long: a socket's path has at most %zu",
               origin, option, value, length, GA_SOCKET_PATH_BYTES - 1);
        return -EINVAL;
    }
    memcpy(options->socket_path, value, length + 1);
    return 0;
}

/* In a folder in /tmp that must be ours alone: made here, or before. */
static int set_own_socket(struct ga_options *options)
{
    char folder[64];
    struct stat st;
    snprintf(folder, sizeof(folder), "/tmp/goalloc-%u", (unsigned)geteuid());
    bool made = mkdir(folder, 0700) == 0 || errno == EEXIST;
    if (!made || lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() ||
        (st.st_mode & 0077) != 0) {
        ga_log(GA_LOG_ERROR,
               "%s cannot be made, or is not a folder of this user alone: give --socket PATH",
               folder);
        return -EACCES;
    }
    snprintf(options->socket_path, GA_SOCKET_PATH_BYTES, "%s/goalloc.sock", folder);
    return 0;
}

/* A variable that is empty, or a directory that is not absolute, counts as unset, as it does for
 * clients. */
int ga_options_default_socket(struct ga_options *options)
{
    if (options->socket_path[0] != '\0')
        return 0;
    const char *path = secure_getenv("GOALLOC_SOCKET");
    if (path && path[0] != '\0')
        return set_socket("socket", path, options);
    const char *directory = secure_getenv("XDG_RUNTIME_DIR");
    if (!directory || directory[0] != '/')
        return set_own_socket(options);
    int n = snprintf(options->socket_path, GA_SOCKET_PATH_BYTES, "%s/goalloc.sock", directory);
    if (n < 0 || (size_t)n >= GA_SOCKET_PATH_BYTES) {
        ga_log(GA_LOG_ERROR, "$XDG_RUNTIME_DIR, '%s', is too long for a socket: give --socket PATH",
               directory);
        return -EINVAL;
    }
    return 0;
}

static int set_limit(const char *value, struct ga_options *options)
{
    uint64_t bytes;
    if (ga_size_parse(value, &bytes) < 0 || bytes < GA_LIMIT_MIN || bytes % GA_PAGE_SIZE != 0)
        return bad("limit", value, "a multiple of 8K from 1M up to the reserve, such as 512M");
    options->limit_bytes = bytes;
    return 0;
}

static int set_soft_limit(const char *value, struct ga_options *options)
{
    uint64_t bytes;
    if (ga_size_parse(value, &bytes) < 0 || bytes < GA_LIMIT_MIN)
        return bad("soft-limit", value, "a size from 1M up, such as 512M");
    options->soft_limit_bytes = bytes;
    return 0;
}

static int set_reserve(const char *value, struct ga_options *options)
{
    uint64_t bytes;
    if (ga_size_parse(value, &bytes) < 0 || bytes == 0 || bytes > GA_RESERVE_MAX ||
        bytes % GA_ARENA_SIZE != 0)
        return bad("reserve", value, "a multiple of 64M up to 320G");
    options->reserve_bytes = bytes;
    options->reserve_given = true;
    return 0;
}

static int set_base(const char *value, struct ga_options *options)
{
    char *end;
    errno = 0;
    uint64_t base = strtoull(value, &end, 0);
    if (errno != 0 || end == value || *end != '\0' || value[0] == '-' || base == 0 ||
        base % GA_ARENA_SIZE != 0 || base >= ADDRESS_END)
        return bad("base", value,
                   "an address that is a multiple of 64 MiB, such as 0x550000000000");
    options->base = base;
    return 0;
}

static int set_quota(const char *option, const char *value, struct ga_amounts *ret)
{
    if (ga_quota_parse(value, ret) < 0)
        return bad(option, value,
                   "bytes=SIZE, spans=N, mcaches=N, connections=N, roots=N or holds=N, or several "
                   "with commas between");
    return 0;
}

static int set_access(int id, const char *value, struct ga_access *access)
{
    switch (id) {
    case GA_OPTION_GROUP:
        return ga_access_set_group(access, value) == 0
                   ? 0
                   : bad("group", value, "the name or the number of a group");
    case GA_OPTION_MODE:
        return ga_access_set_mode(access, value) == 0
                   ? 0
                   : bad("mode", value, "600 and what others may, in octal, such as 660");
    case GA_OPTION_ALLOW_USER:
        return ga_access_allow_users(access, value) == 0
                   ? 0
                   : bad("allow-user", value,
                         "names or numbers of users with commas between, 64 in all");
    default:
        return ga_access_allow_groups(access, value) == 0
                   ? 0
                   : bad("allow-group", value,
                         "names or numbers of groups with commas between, 64 in all");
    }
}

static int set_gc_percent(const char *value, struct ga_options *options)
{
    char *end = NULL;
    errno = 0;
    bool off = strcmp(value, "off") == 0;
    unsigned long percent = off ? 0 : strtoul(value, &end, 10);
    if (!off && (errno != 0 || value[0] < '0' || value[0] > '9' || *end != '\0' ||
                 percent > GA_GC_PERCENT_MAX))
        return bad("gc-percent", value, "a number of percent up to 100000, or off");
    options->gc_percent = (uint32_t)percent;
    return 0;
}

static int set_gc_mode(const char *value, struct ga_options *options)
{
    options->gc_stops = strcmp(value, "stop") == 0;
    return options->gc_stops || strcmp(value, "concurrent") == 0
               ? 0
               : bad("gc-mode", value, "concurrent or stop");
}

static int set_profile_rate(const char *value, struct ga_options *options)
{
    if (ga_size_parse(value, &options->profile_rate_bytes) < 0)
        return bad("profile-rate", value, "a size, such as 512K, or 0");
    return 0;
}

static int set_ready_fd(const char *value, struct ga_options *options)
{
    char *end;
    errno = 0;
    long fd = strtol(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || fd < 0 || fd > 1 << 20 ||
        (!options->again &&
         fcntl((int)fd, F_GETFD) < 0)) /* again: it was closed when we were ready */
        return bad("ready-fd", value, "the number of an open file descriptor");
    options->ready_fd = (int)fd;
    return 0;
}

static int set_log_level(const char *value, struct ga_options *options)
{
    if (ga_log_level_find(value, &options->log_level) < 0)
        return bad("log-level", value, "error, warning, info, debug or trace");
    if (!options->again)
        ga_log_set_level(options->log_level);
    return 0;
}

static int set_log_format(const char *value, const struct ga_options *options)
{
    bool json = strcmp(value, "json") == 0;
    if (!json && strcmp(value, "text") != 0)
        return bad("log-format", value, "text or json");
    if (!options->again)
        ga_log_set_format(json ? GA_LOG_JSON : GA_LOG_TEXT);
    return 0;
}

static int set_option(int id, const char *value, struct ga_options *options)
{
    switch (id) {
    case GA_OPTION_NAME:
        return set_name(value, options);
    case GA_OPTION_SOCKET:
        return set_socket("socket", value, options);
    case GA_OPTION_LIMIT:
        return set_limit(value, options);
    case GA_OPTION_SOFT_LIMIT:
        return set_soft_limit(value, options);
    case GA_OPTION_RESERVE:
        return set_reserve(value, options);
    case GA_OPTION_BASE:
        return set_base(value, options);
    case GA_OPTION_QUOTA:
        return set_quota("quota", value, &options->user_quota);
    case GA_OPTION_CLIENT_QUOTA:
        return set_quota("client-quota", value, &options->client_quota);
    case GA_OPTION_GROUP:
    case GA_OPTION_MODE:
    case GA_OPTION_ALLOW_USER:
    case GA_OPTION_ALLOW_GROUP:
        return set_access(id, value, &options->access);
    case GA_OPTION_PROFILE_RATE:
        return set_profile_rate(value, options);
    case GA_OPTION_GC_PERCENT:
        return set_gc_percent(value, options);
    case GA_OPTION_GC_MODE:
        return set_gc_mode(value, options);
    case GA_OPTION_HUGE_PAGES:
        options->huge_pages = true;
        return 0;
    case GA_OPTION_NO_IO_URING:
        options->io_uring = false;
        return 0;
    case GA_OPTION_EPHEMERAL:
        options->ephemeral = true;
        return 0;
    case GA_OPTION_PRIVATE:
        options->is_private = true;
        options->ephemeral = true;
        return 0;
    case GA_OPTION_REPLACE:
        options->replace = true;
        return 0;
    case GA_OPTION_RESTORE:
        options->restore_path = value;
        return value[0] ? 0 : bad("restore", value, "the path of a snapshot");
    case GA_OPTION_CONFIG:
        return 0; /* it was read before */
    case GA_OPTION_READY_FD:
        return set_ready_fd(value, options);
    case GA_OPTION_LOG_LEVEL:
        return set_log_level(value, options);
    case GA_OPTION_LOG_FORMAT:
        return set_log_format(value, options);
    case GA_OPTION_HELP:
        ga_option_help();
        return GA_OPTIONS_DONE;
    default:
        printf("goallocd %s (layout %u)\n", GOALLOC_VERSION, GA_LAYOUT_VERSION);
        return GA_OPTIONS_DONE;
    }
}

static void set_default_name(struct ga_options *options)
{
    if (options->is_private)
        snprintf(options->name, sizeof(options->name), "user-%u", (unsigned)geteuid());
    else
        snprintf(options->name, sizeof(options->name), "default");
}

static int check_together(struct ga_options *options)
{
    if (options->name[0] == '\0' && (!options->restore_path || options->is_private))
        set_default_name(options);
    char reserve[GA_SIZE_TEXT_BYTES];
    char limit[GA_SIZE_TEXT_BYTES];
    ga_size_format(options->reserve_bytes, reserve);
    if (options->limit_bytes > options->reserve_bytes) {
        ga_log(GA_LOG_ERROR, "--limit: %s is more than the reserve of %s: give at most that",
               ga_size_format(options->limit_bytes, limit), reserve);
        return -EINVAL;
    }
    if (options->base != 0 && options->reserve_bytes > ADDRESS_END - options->base) {
        ga_log(GA_LOG_ERROR, "--base: from 0x%" PRIx64 " on there is no room for a reserve of %s",
               options->base, reserve);
        return -EINVAL;
    }
    return 0;
}

/* ---- the words ---- */

/* The table as getopt_long wants it; what it returns is one more than the place in the table. */
static const struct option *long_options(void)
{
    static struct option list[GA_OPTION_COUNT + 1];
    for (int i = 0; i < GA_OPTION_COUNT; i++)
        list[i] = (struct option){.name = ga_options[i].name,
                                  .has_arg = ga_options[i].value ? required_argument : no_argument,
                                  .val = i + 1};
    return list;
}

/* What getopt_long did not understand. */
static int not_understood(int answer, char *argument)
{
    const char *nearest = ga_option_nearest(argument, false);
    if (answer == ':')
        ga_log(GA_LOG_ERROR, "'%s' needs a value; see 'goallocd --help'", argument);
    else if (nearest && strcspn(argument + 2, "=") == strlen(nearest) &&
             strncmp(argument + 2, nearest, strlen(nearest)) == 0)
        ga_log(GA_LOG_ERROR, "'--%s' takes no value", nearest);
    else if (nearest)
        ga_log(GA_LOG_ERROR, "unknown option '%s'; did you mean '--%s'?", argument, nearest);
    else
        ga_log(GA_LOG_ERROR, "unknown option '%s'; see 'goallocd --help'", argument);
    return -EINVAL;
}

/* ---- the file of options ---- */

static int set_from_file(const struct ga_option *option, const char *value,
                         struct ga_options *options)
{
    if (!option->value && strcmp(value, "no") == 0)
        return 0;
    if (!option->value && strcmp(value, "yes") != 0)
        return bad(option->name, value, "yes or no");
    return set_option((int)(option - ga_options), value, options);
}

static int unknown_key(const char *where, const char *key)
{
    char keys[256] = "";
    const char *nearest = ga_option_nearest(key, true);
    if (nearest) {
        ga_log(GA_LOG_ERROR, "%s'%s' is not known: did you mean '%s'?", where, key, nearest);
        return -EINVAL;
    }
    for (size_t i = 0; i < GA_OPTION_COUNT; i++) {
        size_t length = strlen(keys);
        if (ga_options[i].in_file)
            snprintf(keys + length, sizeof(keys) - length, "%s%s", length ? ", " : "",
                     ga_options[i].name);
    }
    ga_log(GA_LOG_ERROR, "%s'%s' is not known: give one of %s", where, key, keys);
    return -EINVAL;
}

static int read_config_line(const char *where, const char *key, const char *value, void *data)
{
    int r = -ENOENT;
    origin = where;
    for (size_t i = 0; i < GA_OPTION_COUNT && r == -ENOENT; i++)
        if (ga_options[i].in_file && strcmp(ga_options[i].name, key) == 0)
            r = set_from_file(&ga_options[i], value, data);
    origin = "--";
    return r == -ENOENT ? unknown_key(where, key) : r;
}

/* Read the file that the command line names, if any. What is wrong with the command line is said
 * when it is read itself. */
static int read_config_file(int argc, char *argv[], struct ga_options *options)
{
    int id;
    optind = 0; /* getopt begins anew */
    while ((id = getopt_long(argc, argv, "+:", long_options(), NULL)) != -1 && id != ':' &&
           id != '?')
        if (id == GA_OPTION_CONFIG + 1)
            options->config_path = optarg;
    optind = 0;
    return options->config_path
               ? ga_config_file_read(options->config_path, read_config_line, options)
               : 0;
}

static int parse(int argc, char *argv[], bool again, struct ga_options *ret)
{
    struct ga_options options = {.reserve_bytes = GA_WINDOW_SIZE,
                                 .gc_percent = GA_GC_PERCENT_DEFAULT,
                                 .profile_rate_bytes = GA_PROFILE_RATE_DEFAULT,
                                 .io_uring = true,
                                 .ready_fd = -1,
                                 .log_level = GA_LOG_INFO,
                                 .again = again};
    int r = read_config_file(argc, argv, &options);
    if (r < 0)
        return r;
    for (;;) {
        int at = optind > 0 ? optind : 1;
        int id = getopt_long(argc, argv, "+:", long_options(), NULL);
        if (id == -1)
            break;
        r = id == ':' || id == '?' ? not_understood(id, argv[at])
                                   : set_option(id - 1, optarg, &options);
        if (r != 0)
            return r;
    }
    if (optind < argc) {
        ga_log(GA_LOG_ERROR,
               "'%s' is no option, and goallocd takes nothing else; see 'goallocd --help'",
               argv[optind]);
        return -EINVAL;
    }
    r = check_together(&options);
    if (r < 0)
        return r;
    *ret = options;
    return GA_OPTIONS_SERVE;
}

int ga_options_parse(int argc, char *argv[], struct ga_options *ret)
{
    return parse(argc, argv, false, ret);
}

int ga_options_parse_again(int argc, char *argv[], struct ga_options *ret)
{
    return parse(argc, argv, true, ret);
}
