/* Options may stand before or behind the command. One that is for a certain command is refused with
 * any other, rather than ignored. */
#include "client/ctl/command_line.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/destroy.h"
#include "shm/mapping.h"
#include "shm/size_class.h"

static const struct ga_command commands[] = {
    {"status", "the heap at a glance: server, addresses, memory, who uses it", ga_ctl_status, NULL,
     false},
    {"stats", "what was allocated and freed, in all and by size class", ga_ctl_stats, NULL, false},
    {"classes", "the size classes: slots, what they waste, how they are used", ga_ctl_classes, NULL,
     false},
    {"arenas", "the heap's address space, 64 MiB by 64 MiB", ga_ctl_arenas, NULL, false},
    {"spans", "every span in use: where, what size, how full, whose", ga_ctl_spans, NULL, false},
    {"clients", "the attached processes, what they hold and what they did", ga_ctl_clients, NULL,
     false},
    {"users", "what each user has, and may have; not with --shm", ga_ctl_users, NULL, false},
    {"roots", "the objects published under a name", ga_ctl_roots, NULL, false},
    {"check", "look for faults: every table and word against each other", ga_ctl_check, NULL,
     false},
    {"gc", "free what nothing reaches, and say how much; not with --shm", ga_ctl_gc, NULL, false},
    {"scavenge", "give all free memory back to the system now; not with --shm", ga_ctl_scavenge,
     NULL, false},
    {"snapshot", "FILE: write the heap to a file, while all its clients pause", ga_ctl_snapshot,
     NULL, true},
    {"destroy", "NAME: remove a heap whose server is dead", NULL, ga_ctl_destroy, false},
    {"help", "this text", NULL, NULL, false},
};
#define WAIT_DEFAULT_S 3u
#define WAIT_MAX_S     86400u
#define NCOMMANDS      (sizeof(commands) / sizeof(commands[0]))

enum option_id {
    OPTION_SOCKET,
    OPTION_SHM,
    OPTION_JSON,
    OPTION_ALL,
    OPTION_RECOUNT,
    OPTION_CLIENT,
    OPTION_CLASS,
    OPTION_SIZE,
    OPTION_OWNER,
    OPTION_PID,
    OPTION_PARTIAL,
    OPTION_FULL,
    OPTION_LARGE,
    OPTION_LEASED,
    OPTION_LIMIT,
    OPTION_WAIT,
    OPTION_QUIET,
    OPTION_REPORT,
    OPTION_VERBOSE,
    OPTION_HELP,
    OPTION_VERSION,
    NOPTIONS,
};

static const struct option {
    const char *name;
    const char *value;   /* what is shown for its value, NULL = it takes none */
    const char *command; /* the only one it goes with, NULL = any */
    const char *summary;
} options[NOPTIONS] = {
    [OPTION_SOCKET] = {"--socket", "PATH", NULL,
                       "the server's socket; default: $GOALLOC_SOCKET, else\n"
                       "                   $XDG_RUNTIME_DIR/goalloc.sock, else\n"
                       "                   /tmp/goalloc-UID/goalloc.sock"},
    [OPTION_SHM] = {"--shm", "NAME", NULL,
                    "read the heap's shared memory, also when its server is dead"},
    [OPTION_JSON] = {"--json", NULL, NULL, "print one JSON document, with raw numbers"},
    [OPTION_ALL] = {"--all", NULL, "stats", "also the size classes that were never used"},
    [OPTION_RECOUNT] = {"--recount", NULL, "stats",
                        "also count the objects themselves, from the bitmaps"},
    [OPTION_CLIENT] = {"--client", "ID", "stats", "what this client did since it attached"},
    [OPTION_CLASS] = {"--class", "N", "spans", "those of size class N, 0 to 67; 0 is large"},
    [OPTION_SIZE] = {"--size", "BYTES", "spans", "those that malloc(BYTES) would take a slot of"},
    [OPTION_OWNER] = {"--owner", "MCACHE", "spans", "those leased to this mcache"},
    [OPTION_PID] = {"--pid", "PID", "spans", "those of this process"},
    [OPTION_PARTIAL] = {"--partial", NULL, "spans", "those with slots used and slots free"},
    [OPTION_FULL] = {"--full", NULL, "spans", "those without a free slot"},
    [OPTION_LARGE] = {"--large", NULL, "spans", "those of large objects"},
    [OPTION_LEASED] = {"--leased", NULL, "spans", "those that an mcache allocates from"},
    [OPTION_LIMIT] = {"--limit", "N", "spans", "no more than N"},
    [OPTION_WAIT] = {"--wait", "SECONDS", "snapshot",
                     "how long clients may take to pause, 0 to 86400; default: 3"},
    [OPTION_QUIET] = {"--quiet", NULL, "snapshot", "say nothing where all goes well"},
    [OPTION_REPORT] = {"--report", NULL, "gc", "count it only, also of who keeps what it leaves"},
    [OPTION_VERBOSE] = {"--verbose", NULL, "snapshot", "say how the file is written"},
    [OPTION_HELP] = {"--help", NULL, NULL, "show this text"},
    [OPTION_VERSION] = {"--version", NULL, NULL, "show the version"},
};

static void print_option(const struct option *option)
{
    char name[32];
    snprintf(name, sizeof(name), "%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    printf("  %-15s  %s\n", name, option->summary);
}

void ga_command_line_help(void)
{
    fputs("goallocctl looks inside a goalloc heap: asks its server, or reads its shared\n"
          "memory.\n\nusage: goallocctl [OPTION...] COMMAND\n\ncommands:\n",
          stdout);
    for (size_t i = 0; i < NCOMMANDS; i++)
        printf("  %-15s  %s\n", commands[i].name, commands[i].summary);
    fputs("\noptions:\n", stdout);
    for (size_t i = 0; i < NOPTIONS; i++)
        if (!options[i].command)
            print_option(&options[i]);
    for (size_t c = 0; c < NCOMMANDS; c++) {
        bool any = false;
        for (size_t i = 0; i < NOPTIONS; i++) {
            if (!options[i].command || strcmp(options[i].command, commands[c].name) != 0)
                continue;
            if (!any)
                printf("\noptions of %s:\n", commands[c].name);
            any = true;
            print_option(&options[i]);
        }
    }
    fputs("\nexit status: 0 done, 1 the heap cannot be reached or read, or the server failed,\n"
          "2 wrong usage, 3 not destroyed because a server lives, or no snapshot because\n"
          "of clients, 4 check found faults\n",
          stdout);
}

static void list_commands(void)
{
    fputs("goallocctl: commands are", stderr);
    for (size_t i = 0; i < NCOMMANDS; i++)
        fprintf(stderr, "%s %s", i ? "," : "", commands[i].name);
    fputc('\n', stderr);
}

static void list_options(void)
{
    fputs("goallocctl: options are", stderr);
    for (size_t i = 0; i < NOPTIONS; i++)
        fprintf(stderr, "%s %s", i ? "," : "", options[i].name);
    fputc('\n', stderr);
}

/* The option that word spells, alone or with "=value"; NULL when there is none. */
static const struct option *find_option(const char *word)
{
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < NOPTIONS; i++)
        if (strlen(options[i].name) == length && strncmp(options[i].name, word, length) == 0)
            return &options[i];
    return NULL;
}

static int read_number(const struct option *option, const char *text, uint64_t from, uint64_t to,
                       uint64_t *ret)
{
    char *end;
    assert(text); /* the option's value: read_option has seen to it */
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < from ||
        number > to) {
        fprintf(stderr, "goallocctl: '%s' is no value for %s: a number from %llu to %llu\n", text,
                option->name, (unsigned long long)from, (unsigned long long)to);
        return -EINVAL;
    }
    *ret = number;
    return 0;
}

/* Two options that both say the class must agree on it. */
static int set_class(const struct option *option, uint64_t size_class,
                     struct ga_span_filter *filter)
{
    if (filter->size_class >= 0 && filter->size_class != (int64_t)size_class) {
        fprintf(stderr,
                "goallocctl: %s means size class %llu, and class %lld was asked for before\n",
                option->name, (unsigned long long)size_class, (long long)filter->size_class);
        return -EINVAL;
    }
    filter->size_class = (int64_t)size_class;
    return 0;
}

static int apply_filter(const struct option *option, const char *value,
                        struct ga_span_filter *filter)
{
    uint64_t number = 0;
    int err = 0;
    switch ((enum option_id)(option - options)) {
    case OPTION_CLASS:
        err = read_number(option, value, 0, GA_SIZE_CLASS_COUNT - 1, &number);
        return err < 0 ? err : set_class(option, number, filter);
    case OPTION_SIZE:
        err = read_number(option, value, 0, GA_RESERVE_MAX, &number);
        if (err < 0)
            return err;
        return set_class(option, number > GA_SMALL_MAX ? 0 : ga_size_class_for_malloc(number),
                         filter);
    case OPTION_OWNER:
        return read_number(option, value, 1, GA_MCACHE_COUNT - 1, &filter->owner);
    case OPTION_PID:
        return read_number(option, value, 1, INT32_MAX, &filter->pid);
    case OPTION_LIMIT:
        return read_number(option, value, 1, UINT32_MAX, &filter->limit);
    case OPTION_PARTIAL:
        filter->partial = true;
        return 0;
    case OPTION_FULL:
        filter->full = true;
        return 0;
    case OPTION_LARGE:
        filter->large = true;
        return 0;
    default:
        filter->leased = true;
        return 0;
    }
}

static int apply_option(const struct option *option, const char *value, struct ga_request *request)
{
    switch ((enum option_id)(option - options)) {
    case OPTION_SOCKET:
        request->socket = value;
        return 0;
    case OPTION_SHM:
        request->shm = value;
        return 0;
    case OPTION_RECOUNT:
        request->recount = true;
        return 0;
    case OPTION_CLIENT:
        return read_number(option, value, 1, GA_CLIENT_COUNT, &request->client);
    case OPTION_JSON:
        request->json = true;
        return 0;
    case OPTION_ALL:
        request->all = true;
        return 0;
    case OPTION_WAIT:
        request->wait_given = true;
        return read_number(option, value, 0, WAIT_MAX_S, &request->wait_s);
    case OPTION_QUIET:
        request->quiet = true;
        return 0;
    case OPTION_REPORT:
        request->report = true;
        return 0;
    case OPTION_VERBOSE:
        request->verbose = true;
        return 0;
    case OPTION_HELP:
        request->help = true;
        return 0;
    case OPTION_VERSION:
        request->version = true;
        return 0;
    default:
        return apply_filter(option, value, &request->filter);
    }
}

/* Read the option at argv[*index], and its value, which may be the next word. */
static int read_option(char **argv, int *index, struct ga_request *request,
                       const struct option **ret_bound)
{
    const char *word = argv[*index];
    const struct option *option = find_option(word);
    if (!option) {
        fprintf(stderr, "goallocctl: unknown option '%s'\n", word);
        list_options();
        return -EINVAL;
    }
    const char *value = strchr(word, '=');
    if (value && !option->value) {
        fprintf(stderr, "goallocctl: '%s' takes no value\n", option->name);
        return -EINVAL;
    }
    if (value)
        value++;
    else if (option->value)
        value = argv[++*index];
    if (option->value && (!value || value[0] == '\0')) {
        fprintf(stderr, "goallocctl: '%s' needs a value: %s %s\n", option->name, option->name,
                option->value);
        return -EINVAL;
    }
    if (option->command && !*ret_bound)
        *ret_bound = option;
    else if (option->command && strcmp(option->command, (*ret_bound)->command) != 0) {
        fprintf(stderr, "goallocctl: '%s' and '%s' do not go together\n", (*ret_bound)->name,
                option->name);
        return -EINVAL;
    }
    return apply_option(option, value, request);
}

static int read_command(const char *word, struct ga_request *request)
{
    if (request->command && request->command->run_on_name && !request->name) {
        request->name = word;
        return 0;
    }
    if (request->command && request->command->takes_file && !request->file) {
        request->file = word;
        return 0;
    }
    if (request->command && request->command->takes_file) {
        fprintf(stderr, "goallocctl: '%s' takes one FILE: '%s' after '%s'\n",
                request->command->name, word, request->file);
        return -EINVAL;
    }
    if (request->command) {
        fprintf(stderr, "goallocctl: one command at a time: '%s' after '%s'\n", word,
                request->command->name);
        return -EINVAL;
    }
    for (size_t i = 0; i < NCOMMANDS; i++)
        if (strcmp(commands[i].name, word) == 0)
            request->command = &commands[i];
    if (request->command)
        return 0;
    fprintf(stderr, "goallocctl: unknown command '%s'\n", word);
    list_commands();
    return -EINVAL;
}

static int check_names(const struct ga_request *request)
{
    const char *const names[] = {request->name, request->shm};
    for (size_t i = 0; i < 2; i++) {
        if (!names[i] || ga_heap_name_is_valid(names[i]))
            continue;
        fprintf(stderr,
                "goallocctl: '%s' cannot be the name of a heap: 1 to %u letters, digits, '-', '_' "
                "and '.', not beginning with '.'\n",
                names[i], GA_HEAP_NAME_MAX);
        return -EINVAL;
    }
    const struct ga_command *command = request->command;
    if (command->run_on_name &&
        (request->socket || request->json || (request->name && request->shm))) {
        fprintf(stderr, "goallocctl: '%s' takes the name of a heap and nothing else\n",
                command->name);
        return -EINVAL;
    }
    return 0;
}

/* What can only be said when all words are known. bound: an option that is for one command. */
static int check(const struct ga_request *request, const struct option *bound)
{
    const struct ga_span_filter *filter = &request->filter;
    if (request->help || request->version)
        return 0;
    if (!request->command) {
        fputs("goallocctl: no command given\n", stderr);
        list_commands();
        return -EINVAL;
    }
    if (bound && strcmp(bound->command, request->command->name) != 0) {
        fprintf(stderr, "goallocctl: '%s' goes with '%s', not with '%s'\n", bound->name,
                bound->command, request->command->name);
        return -EINVAL;
    }
    if (request->socket && request->shm) {
        fputs("goallocctl: '--socket' and '--shm' do not go together\n", stderr);
        return -EINVAL;
    }
    if (request->wait_given && request->shm) {
        fputs("goallocctl: '--wait' and '--shm' do not go together: without a server nobody can be "
              "asked to pause\n",
              stderr);
        return -EINVAL;
    }
    if (request->command->run_on_name && !request->name && !request->shm) {
        fprintf(stderr, "goallocctl: '%s' needs the name of a heap\n", request->command->name);
        return -EINVAL;
    }
    if (request->command->takes_file && !request->file) {
        fprintf(stderr, "goallocctl: '%s' needs the name of a file\n", request->command->name);
        return -EINVAL;
    }
    int err = check_names(request);
    if (err < 0)
        return err;
    if (request->client && request->recount) {
        fputs("goallocctl: '--recount' counts the objects of all: it does not go with '--client'\n",
              stderr);
        return -EINVAL;
    }
    if (filter->partial && filter->full) {
        fputs("goallocctl: no span is both --partial and --full\n", stderr);
        return -EINVAL;
    }
    if (filter->large && filter->size_class > 0) {
        fputs("goallocctl: a large span is of class 0: '--large' goes with neither another --class "
              "nor --size\n",
              stderr);
        return -EINVAL;
    }
    return 0;
}

int ga_command_line_read(int argc, char **argv, struct ga_request *ret)
{
    struct ga_request request = {.filter = {.size_class = -1}, .wait_s = WAIT_DEFAULT_S};
    const struct option *bound = NULL;
    for (int i = 1; i < argc; i++) {
        int err = argv[i][0] == '-' ? read_option(argv, &i, &request, &bound)
                                    : read_command(argv[i], &request);
        if (err < 0)
            return err;
    }
    int err = check(&request, bound);
    if (err == 0)
        *ret = request;
    return err;
}
