/* What stands in () is the default. */
#include "server/shell/option_table.h"

#include <stdio.h>
#include <string.h>

#include "shm/nearest.h"

#define NAME_COLUMNS 19

const struct ga_option ga_options[GA_OPTION_COUNT] = {
    [GA_OPTION_NAME] = {.name = "name",
                        .value = "NAME",
                        .in_file = true,
                        .summary = "the heap's name: 1 to 63 letters, digits, '-', '_', '.'\n"
                                   "(default)"},
    [GA_OPTION_SOCKET] = {.name = "socket",
                          .value = "PATH",
                          .in_file = true,
                          .summary = "listen at PATH ($GOALLOC_SOCKET, else\n"
                                     "$XDG_RUNTIME_DIR/goalloc.sock, else\n"
                                     "/tmp/goalloc-UID/goalloc.sock)"},
    [GA_OPTION_LIMIT] = {.name = "limit",
                         .value = "SIZE",
                         .in_file = true,
                         .summary = "memory the heap may take (as much as the reserve)"},
    [GA_OPTION_SOFT_LIMIT] = {.name = "soft-limit",
                              .value = "SIZE",
                              .in_file = true,
                              .summary =
                                  "memory that heap and tables are to stay below if they can:\n"
                                  "near it free memory goes back to the system at once (none)"},
    [GA_OPTION_RESERVE] = {.name = "reserve",
                           .value = "SIZE",
                           .in_file = true,
                           .summary = "address space to set aside, a multiple of 64M up to 320G\n"
                                      "(64G)"},
    [GA_OPTION_BASE] = {.name = "base",
                        .value = "ADDRESS",
                        .in_file = true,
                        .summary = "where the heap lies in every process, a multiple of 64 MiB\n"
                                   "(the first window from 0x550000000000 on that no heap uses)"},
    [GA_OPTION_QUOTA] = {.name = "quota",
                         .value = "AMOUNTS",
                         .in_file = true,
                         .summary = "what each user may have at most, such as bytes=1G,roots=16:\n"
                                    "bytes, spans, mcaches, connections, roots, holds (all\n"
                                    "unlimited)"},
    [GA_OPTION_CLIENT_QUOTA] = {.name = "client-quota",
                                .value = "AMOUNTS",
                                .in_file = true,
                                .summary = "the same for each attachment of a process"},
    [GA_OPTION_GROUP] = {.name = "group",
                         .value = "GROUP",
                         .in_file = true,
                         .summary = "the group that socket and heap belong to"},
    [GA_OPTION_MODE] = {.name = "mode",
                        .value = "MODE",
                        .in_file = true,
                        .summary = "the socket's rights, octal (600; 660 with --group); who may\n"
                                   "connect may use the heap"},
    [GA_OPTION_ALLOW_USER] = {.name = "allow-user",
                              .value = "LIST",
                              .in_file = true,
                              .summary =
                                  "of those who can connect, serve only these users, names or\n"
                                  "numbers with commas between, and root and its own"},
    [GA_OPTION_ALLOW_GROUP] = {.name = "allow-group",
                               .value = "LIST",
                               .in_file = true,
                               .summary = "and members of these groups"},
    [GA_OPTION_GC_PERCENT] = {.name = "gc-percent",
                              .value = "N",
                              .in_file = true,
                              .summary =
                                  "collect what managed processes have when it has grown by N\n"
                                  "percent (100); 0 or off: only when asked, or for want of\n"
                                  "memory"},
    [GA_OPTION_GC_MODE] = {.name = "gc-mode",
                           .value = "MODE",
                           .in_file = true,
                           .summary =
                               "concurrent: managed processes run while they are collected,\n"
                               "and stand still for the end of it; stop: for all of it\n"
                               "(concurrent, where that can be)"},
    [GA_OPTION_PROFILE_RATE] = {.name = "profile-rate",
                                .value = "SIZE",
                                .in_file = true,
                                .summary = "sample one object in so many bytes allocated, for\n"
                                           "profiles (512K); 0: none"},
    [GA_OPTION_HUGE_PAGES] = {.name = "huge-pages",
                              .in_file = true,
                              .summary =
                                  "take the heap's memory in huge pages, of /dev/shm or, from\n"
                                  "Linux 6.1 on, made by the kernel"},
    [GA_OPTION_NO_IO_URING] = {.name = "no-io-uring",
                               .in_file = true,
                               .summary = "give memory back with plain calls on a thread"},
    [GA_OPTION_EPHEMERAL] = {.name = "ephemeral",
                             .in_file = true,
                             .summary = "remove the heap at the end; else it stays, and the next\n"
                                        "server of this name takes it over"},
    [GA_OPTION_PRIVATE] = {.name = "private",
                           .in_file = true,
                           .summary = "end, and remove the heap, a second after the last client\n"
                                      "has gone; the name is user-UID if none is given"},
    [GA_OPTION_REPLACE] = {.name = "replace",
                           .summary = "remove the heap of this name that another server left, and\n"
                                      "start anew"},
    [GA_OPTION_RESTORE] = {.name = "restore",
                           .value = "FILE",
                           .summary = "begin with the heap that 'goallocctl snapshot' wrote to\n"
                                      "FILE, under its name if none is given"},
    [GA_OPTION_CONFIG] = {.name = "config",
                          .value = "FILE",
                          .summary = "read options from FILE first: lines such as limit = 512M;\n"
                                     "for those without a value, yes or no"},
    [GA_OPTION_READY_FD] = {.name = "ready-fd",
                            .value = "FD",
                            .summary =
                                "write \"READY\" and a newline to FD once the socket accepts"},
    [GA_OPTION_LOG_LEVEL] = {.name = "log-level",
                             .value = "LEVEL",
                             .in_file = true,
                             .summary = "error, warning, info, debug or trace (info)"},
    [GA_OPTION_LOG_FORMAT] = {.name = "log-format",
                              .value = "FORMAT",
                              .in_file = true,
                              .summary = "text or json, on stderr; where none is given and stderr "
                                         "is\nthe journal's, fields of the journal"},
    [GA_OPTION_HELP] = {.name = "help", .summary = "show this and exit"},
    [GA_OPTION_VERSION] = {.name = "version", .summary = "show the version and exit"},
};

const char *ga_option_nearest(const char *word, bool in_file)
{
    char name[GA_NEAREST_MAX + 1];
    word += strspn(word, "-");
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    struct ga_nearest nearest = {.word = name};
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        if (ga_options[i].in_file || !in_file)
            ga_nearest_try(&nearest, ga_options[i].name);
    return nearest.best;
}

/* Further lines of the text stand below its first. */
static void print_option(const struct ga_option *option)
{
    char name[64];
    snprintf(name, sizeof(name), "--%s%s%s", option->name, option->value ? " " : "",
             option->value ? option->value : "");
    printf("  %-*s", NAME_COLUMNS, name);
    if (strlen(name) >= NAME_COLUMNS)
        printf("\n  %-*s", NAME_COLUMNS, "");
    for (const char *p = option->summary; *p; p++) {
        putchar(*p);
        if (*p == '\n')
            printf("  %-*s", NAME_COLUMNS, "");
    }
    putchar('\n');
}

void ga_option_help(void)
{
    fputs("usage: goallocd [OPTION...]\n\n"
          "Serve a heap in shared memory, which processes attach to by a Unix socket.\n"
          "\noptions:\n",
          stdout);
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        print_option(&ga_options[i]);
    fputs("\nSIZE is a number of bytes, or a number with K, M, G or T.\n"
          "\nexit status: 0 ended in order, 1 failed, 2 wrong usage; the others: man goallocd\n",
          stdout);
}
