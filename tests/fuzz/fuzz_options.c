/* goallocd's command line, a word a line; behind an empty line, the lines of the file that --config
 * names, whatever its name. What is accepted can be served. */
#include <errno.h>
#include <getopt.h>

#include "fuzz/fuzz.h"
#include "server/shell/config_file.h"
#include "server/shell/options.h"
#include "shm/mapping.h"

#define WORDS_MAX 32
#define WORD_MAX  256

static struct fuzz_input config;

/* In place of the one that reads files: no input shall name one. */
int ga_config_file_read(const char *path, ga_config_line_fn *each, void *data)
{
    char line[WORD_MAX];
    int r = path[0] == '\0' ? -ENOENT : 0;
    while (r == 0 && fuzz_take_line(&config, line, sizeof(line))) {
        char *equals = strchr(line, '=');
        if (equals)
            *equals = '\0';
        r = each("file:1: ", line, equals ? equals + 1 : "", data);
    }
    return r;
}

static void check(const struct ga_options *options)
{
    uint64_t reserve = options->reserve_bytes;
    FUZZ_CHECK(options->name[0] ? ga_heap_name_is_valid(options->name)
                                : options->restore_path != NULL);
    FUZZ_CHECK(options->socket_path[0] != '\0');
    FUZZ_CHECK(memchr(options->socket_path, '\0', sizeof(options->socket_path)));
    FUZZ_CHECK(reserve > 0 && reserve <= GA_RESERVE_MAX && reserve % GA_ARENA_SIZE == 0);
    FUZZ_CHECK(options->limit_bytes <= reserve && options->limit_bytes % GA_PAGE_SIZE == 0);
    FUZZ_CHECK(options->base % GA_ARENA_SIZE == 0 && options->base + reserve > options->base);
    FUZZ_CHECK(!options->is_private || options->ephemeral);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char words[WORDS_MAX + 1][WORD_MAX];
    char *argv[WORDS_MAX + 2] = {words[0]};
    struct fuzz_input input = {data, size};
    int argc = 1;
    snprintf(words[0], WORD_MAX, "goallocd");
    while (argc <= WORDS_MAX && fuzz_take_line(&input, words[argc], WORD_MAX)) {
        if (words[argc][0] == '\0')
            break;
        argv[argc] = words[argc];
        argc++;
    }
    config = input;
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1); /* or it would make a folder in /tmp */
    struct ga_options options;
    optind = 0; /* getopt begins anew */
    int r = ga_options_parse(argc, argv, &options);
    FUZZ_CHECK(r == GA_OPTIONS_SERVE || r == GA_OPTIONS_DONE || r < 0);
    if (r == GA_OPTIONS_SERVE && ga_options_default_socket(&options) == 0)
        check(&options);
    return 0;
}
