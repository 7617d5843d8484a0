/* goallocctl: looks inside a running heap. The command line is read against two small tables, of
 * options and of commands, so that help, checks and messages cannot disagree. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/address.h"
#include "client/channel.h"
#include "client/ctl/command.h"
#include "proto/error.h"

enum {
    EXIT_OK = 0,
    EXIT_SERVER = 1,
    EXIT_USAGE = 2,
};

struct command {
    const char *name;
    const char *summary;
    int (*run)(const struct ga_ctl *ctl); /* NULL: help, which needs no server */
    bool takes_all;
};

static const struct command commands[] = {
    {"status", "the heap at a glance: server, addresses, memory, who uses it", ga_ctl_status,
     false},
    {"stats", "what was allocated and freed, in all and by size class", ga_ctl_stats, true},
    {"spans", "every span in use: where, what size, how full, whose", ga_ctl_spans, false},
    {"clients", "the attached processes, what they hold and what they did", ga_ctl_clients, false},
    {"roots", "the objects published under a name", ga_ctl_roots, false},
    {"help", "this text", NULL, false},
};
#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

/* What the command line says. */
struct request {
    const struct command *command;
    const char *socket;
    bool json;
    bool all;
    bool help;
    bool version;
};

static const struct option {
    const char *name;
    const char *value; /* what is shown for its value, NULL = it takes none */
    const char *summary;
} options[] = {
    {"--socket", "PATH",
     "the server's socket; default: $GOALLOC_SOCKET, else\n"
     "                 $XDG_RUNTIME_DIR/goalloc.sock, else /run/goalloc/goalloc.sock"},
    {"--json", NULL, "print one JSON document, with raw numbers"},
    {"--all", NULL, "stats: also the size classes that were never used"},
    {"--help", NULL, "show this text"},
    {"--version", NULL, "show the version"},
};
#define NOPTIONS (sizeof(options) / sizeof(options[0]))

static void print_help(void)
{
    fputs("goallocctl looks inside a goalloc heap through the goallocd that serves it.\n\n"
          "usage: goallocctl [OPTION...] COMMAND\n\ncommands:\n",
          stdout);
    for (size_t i = 0; i < NCOMMANDS; i++)
        printf("  %-13s  %s\n", commands[i].name, commands[i].summary);
    fputs("\noptions:\n", stdout);
    for (size_t i = 0; i < NOPTIONS; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s%s%s", options[i].name, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        printf("  %-13s  %s\n", name, options[i].summary);
    }
    fputs("\nexit status: 0 done, 1 the server cannot be reached or failed, 2 wrong usage\n",
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

static void apply_option(const struct option *option, const char *value, struct request *request)
{
    if (strcmp(option->name, "--socket") == 0)
        request->socket = value;
    else if (strcmp(option->name, "--json") == 0)
        request->json = true;
    else if (strcmp(option->name, "--all") == 0)
        request->all = true;
    else if (strcmp(option->name, "--help") == 0)
        request->help = true;
    else
        request->version = true;
}

/* Read the option at argv[*index], and its value, which may be the next word. */
static int read_option(char **argv, int *index, struct request *request)
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
    apply_option(option, value, request);
    return 0;
}

static int read_command(const char *word, struct request *request)
{
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

static int read_command_line(int argc, char **argv, struct request *ret)
{
    struct request request = {0};
    for (int i = 1; i < argc; i++) {
        int err =
            argv[i][0] == '-' ? read_option(argv, &i, &request) : read_command(argv[i], &request);
        if (err < 0)
            return err;
    }
    if (!request.command && !request.help && !request.version) {
        fputs("goallocctl: no command given\n", stderr);
        list_commands();
        return -EINVAL;
    }
    if (request.command && request.all && !request.command->takes_all) {
        fprintf(stderr, "goallocctl: '--all' goes with 'stats', not with '%s'\n",
                request.command->name);
        return -EINVAL;
    }
    *ret = request;
    return 0;
}

static int run(const struct request *request)
{
    char socket[GA_ADDRESS_BYTES];
    int err = ga_address_resolve(request->socket, socket);
    if (err < 0) {
        fprintf(stderr, "goallocctl: the path of the socket, from %s, cannot be used: %s\n",
                request->socket ? request->socket : "the environment", ga_error_text(err));
        return EXIT_SERVER;
    }

    struct ga_channel_options channel_options = {.client_name = "goallocctl"};
    char reason[GA_CHANNEL_ERROR_BYTES];
    struct ga_ctl ctl = {.socket = socket, .json = request->json, .all = request->all};
    err = ga_channel_open(socket, &channel_options, reason, &ctl.channel);
    if (err < 0) {
        fprintf(stderr, "goallocctl: %s\n", reason);
        return EXIT_SERVER;
    }
    err = request->command->run(&ctl);
    ga_channel_close(ctl.channel);
    return err < 0 ? EXIT_SERVER : EXIT_OK;
}

/* What was printed must also have arrived, or a script would take half an answer for a whole. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("goallocctl: cannot write the answer");
    return EXIT_SERVER;
}

int main(int argc, char **argv)
{
    setlocale(LC_CTYPE, "");
    struct request request;
    if (read_command_line(argc, argv, &request) < 0)
        return EXIT_USAGE;
    if (request.version) {
        puts("goallocctl " GOALLOC_VERSION);
        return finish(EXIT_OK);
    }
    if (request.help || !request.command->run) {
        print_help();
        return finish(EXIT_OK);
    }
    return finish(run(&request));
}
