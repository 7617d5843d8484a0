#include "client/ctl/commands.h"

#include <assert.h>
#include <string.h>

#include "client/ctl/destroy.h"
#include "client/ctl/help.h"
#include "client/ctl/run.h"
#include "client/ctl/serve.h"
#include "client/ctl/top.h"
#include "client/ctl/watch.h"

static_assert(GA_COMMAND_COUNT <= 63, "a set of commands has a bit for each");

const struct ga_command ga_commands[GA_COMMAND_COUNT] = {
    [GA_COMMAND_STATUS] = {.name = "status",
                           .summary = "the heap at a glance: server, addresses, memory, users",
                           .example = "goallocctl status --shm default",
                           .run = ga_ctl_status},
    [GA_COMMAND_STATS] = {.name = "stats",
                          .summary = "what was allocated and freed, in all and by size class",
                          .example = "goallocctl stats --recount",
                          .run = ga_ctl_stats},
    [GA_COMMAND_CLASSES] = {.name = "classes",
                            .summary =
                                "the size classes: slots, what they waste, how they are used",
                            .example = "goallocctl classes --json",
                            .run = ga_ctl_classes},
    [GA_COMMAND_ARENAS] = {.name = "arenas",
                           .summary = "the heap's address space, 64 MiB by 64 MiB",
                           .example = "goallocctl arenas",
                           .run = ga_ctl_arenas},
    [GA_COMMAND_SPANS] = {.name = "spans",
                          .summary = "every span in use: where, what size, how full, whose",
                          .example = "goallocctl spans --size 64 --partial",
                          .run = ga_ctl_spans},
    [GA_COMMAND_CLIENTS] = {.name = "clients",
                            .summary = "the attached processes, what they hold and what they did",
                            .example = "goallocctl clients",
                            .run = ga_ctl_clients},
    [GA_COMMAND_USERS] = {.name = "users",
                          .summary = "what each user has, and may have",
                          .example = "goallocctl users",
                          .run = ga_ctl_users},
    [GA_COMMAND_ROOTS] = {.name = "roots",
                          .summary = "the objects published under a name",
                          .example = "goallocctl roots --shm default",
                          .run = ga_ctl_roots},
    [GA_COMMAND_MAP] = {.name = "map",
                        .summary = "the heap as a picture: arenas and pages, in SVG",
                        .example = "goallocctl map --by occupancy -o heap.svg",
                        .run = ga_ctl_map},
    [GA_COMMAND_SERVE] = {.name = "serve",
                          .summary = "a page that shows the heap live, and metrics for programs",
                          .example = "goallocctl serve --listen 127.0.0.1:4625",
                          .run_alone = ga_ctl_serve},
    [GA_COMMAND_CHECK] = {.name = "check",
                          .summary = "look for faults: every table and word against each other",
                          .example = "goallocctl check --shm default",
                          .run = ga_ctl_check},
    [GA_COMMAND_PROFILE] = {.name = "profile",
                            .summary = "which calls allocated what is in use, by sampling",
                            .example = "goallocctl profile -o heap.pb.gz",
                            .run = ga_ctl_profile},
    [GA_COMMAND_TOP] = {.name = "top",
                        .summary = "a live view: memory, processes, classes, rates, latency",
                        .example = "goallocctl top --once",
                        .run_alone = ga_ctl_top},
    [GA_COMMAND_WATCH] = {.name = "watch",
                          .words = "[EVENT...]",
                          .summary = "tell what happens, when it does, until it is ended",
                          .example = "goallocctl watch refusal bad-free",
                          .operand = GA_OPERAND_EVENTS,
                          .run_alone = ga_ctl_watch},
    [GA_COMMAND_SHARING] = {.name = "sharing",
                            .summary = "who frees whose objects, what stays private, what is lost",
                            .example = "goallocctl sharing",
                            .run = ga_ctl_sharing},
    [GA_COMMAND_GC] = {.name = "gc",
                       .summary = "free what nothing reaches, and say how much",
                       .example = "goallocctl gc --report",
                       .run = ga_ctl_gc},
    [GA_COMMAND_SCAVENGE] = {.name = "scavenge",
                             .summary = "give all free memory back to the system now",
                             .example = "goallocctl scavenge",
                             .run = ga_ctl_scavenge},
    [GA_COMMAND_SNAPSHOT] = {.name = "snapshot",
                             .words = "FILE",
                             .summary = "write the heap to a file, while all its clients pause",
                             .example = "goallocctl snapshot --wait 10 heap.snap",
                             .operand = GA_OPERAND_FILE,
                             .run = ga_ctl_snapshot},
    [GA_COMMAND_DESTROY] = {.name = "destroy",
                            .words = "NAME",
                            .summary = "remove a heap whose server is dead",
                            .example = "goallocctl destroy default",
                            .operand = GA_OPERAND_HEAP,
                            .run_alone = ga_ctl_destroy},
    [GA_COMMAND_RUN] = {.name = "run",
                        .words = "[--] PROGRAM [ARGUMENT...]",
                        .summary = "run a program with a heap of its own, and say what it leaves",
                        .example = "goallocctl run --leak-check --error-exitcode 9 ./program",
                        .operand = GA_OPERAND_PROGRAM,
                        .run_alone = ga_ctl_run},
    [GA_COMMAND_HELP] = {.name = "help",
                         .words = "[COMMAND]",
                         .summary = "this text, or that of a command",
                         .example = "goallocctl help spans",
                         .operand = GA_OPERAND_TOPIC,
                         .run_alone = ga_ctl_help},
};

/* Those that look into a heap, whoever answers. */
#define LOOKING                                                                                    \
    (GA_COMMAND_BIT(STATUS) | GA_COMMAND_BIT(STATS) | GA_COMMAND_BIT(CLASSES) |                    \
     GA_COMMAND_BIT(ARENAS) | GA_COMMAND_BIT(SPANS) | GA_COMMAND_BIT(CLIENTS) |                    \
     GA_COMMAND_BIT(ROOTS) | GA_COMMAND_BIT(MAP) | GA_COMMAND_BIT(CHECK) |                         \
     GA_COMMAND_BIT(PROFILE) | GA_COMMAND_BIT(SHARING))
/* Those that only a server can carry out. */
#define ASKING                                                                                     \
    (GA_COMMAND_BIT(USERS) | GA_COMMAND_BIT(GC) | GA_COMMAND_BIT(SCAVENGE) | GA_COMMAND_BIT(WATCH))

const struct ga_option ga_options[GA_OPTION_COUNT] = {
    [GA_OPTION_SOCKET] = {.name = "--socket",
                          .value = "PATH",
                          .kind = GA_VALUE_FILE,
                          .commands = LOOKING | ASKING | GA_COMMAND_BIT(SNAPSHOT) |
                                      GA_COMMAND_BIT(SERVE) | GA_COMMAND_BIT(TOP),
                          .summary = "the server's socket; default: $GOALLOC_SOCKET, else\n"
                                     "$XDG_RUNTIME_DIR/goalloc.sock, else\n"
                                     "/tmp/goalloc-UID/goalloc.sock"},
    [GA_OPTION_SHM] = {.name = "--shm",
                       .value = "NAME",
                       .kind = GA_VALUE_HEAP,
                       .commands = LOOKING | GA_COMMAND_BIT(SNAPSHOT) | GA_COMMAND_BIT(DESTROY) |
                                   GA_COMMAND_BIT(TOP) | GA_COMMAND_BIT(SERVE),
                       .summary = "read the heap's shared memory, also when its server is dead"},
    [GA_OPTION_PROCESS] = {.name = "--process",
                           .value = "PID",
                           .kind = GA_VALUE_OWN_PID,
                           .commands = LOOKING & ~GA_COMMAND_BIT(CHECK),
                           .summary = "the heap that this process, which runs with\n"
                                      "libgoalloc-malloc.so, has for itself"},
    [GA_OPTION_JSON] = {.name = "--json",
                        .commands = LOOKING | ASKING | GA_COMMAND_BIT(SNAPSHOT) |
                                    GA_COMMAND_BIT(RUN) | GA_COMMAND_BIT(TOP),
                        .summary = "print one JSON document, with raw numbers; watch, top:\n"
                                   "a line each"},
    [GA_OPTION_COLOR] = {.name = "--color",
                         .value = "WHEN",
                         .kind = GA_VALUE_CHOICE,
                         .choices = "auto always never",
                         .commands = GA_COMMANDS_ALL,
                         .summary = "colours: always, never, or auto, on a terminal unless\n"
                                    "$NO_COLOR is set; default: auto"},
    [GA_OPTION_ALL] = {.name = "--all",
                       .commands = GA_COMMAND_BIT(STATS),
                       .summary = "also the size classes that were never used"},
    [GA_OPTION_RECOUNT] = {.name = "--recount",
                           .commands = GA_COMMAND_BIT(STATS),
                           .summary = "also count the objects themselves, from the bitmaps"},
    [GA_OPTION_CLIENT] = {.name = "--client",
                          .value = "ID",
                          .kind = GA_VALUE_CLIENT,
                          .commands = GA_COMMAND_BIT(STATS),
                          .summary = "what this client did since it attached"},
    [GA_OPTION_CLASS] = {.name = "--class",
                         .value = "N",
                         .kind = GA_VALUE_CLASS,
                         .commands = GA_COMMAND_BIT(SPANS),
                         .summary = "those of size class N, 0 to 67; 0 is large"},
    [GA_OPTION_SIZE] = {.name = "--size",
                        .value = "BYTES",
                        .kind = GA_VALUE_NUMBER,
                        .commands = GA_COMMAND_BIT(SPANS),
                        .summary = "those that malloc(BYTES) would take a slot of"},
    [GA_OPTION_OWNER] = {.name = "--owner",
                         .value = "MCACHE",
                         .kind = GA_VALUE_NUMBER,
                         .commands = GA_COMMAND_BIT(SPANS),
                         .summary = "those leased to this mcache"},
    [GA_OPTION_PID] = {.name = "--pid",
                       .value = "PID",
                       .kind = GA_VALUE_PID,
                       .commands = GA_COMMAND_BIT(SPANS) | GA_COMMAND_BIT(WATCH) |
                                   GA_COMMAND_BIT(PROFILE) | GA_COMMAND_BIT(SHARING),
                       .summary = "those of this process"},
    [GA_OPTION_PARTIAL] = {.name = "--partial",
                           .commands = GA_COMMAND_BIT(SPANS),
                           .summary = "those with slots used and slots free"},
    [GA_OPTION_FULL] = {.name = "--full",
                        .commands = GA_COMMAND_BIT(SPANS),
                        .summary = "those without a free slot"},
    [GA_OPTION_LARGE] = {.name = "--large",
                         .commands = GA_COMMAND_BIT(SPANS),
                         .summary = "those of large objects"},
    [GA_OPTION_LEASED] = {.name = "--leased",
                          .commands = GA_COMMAND_BIT(SPANS),
                          .summary = "those that an mcache allocates from"},
    [GA_OPTION_LIMIT] = {.name = "--limit",
                         .value = "N",
                         .kind = GA_VALUE_NUMBER,
                         .commands = GA_COMMAND_BIT(SPANS),
                         .summary = "no more than N"},
    [GA_OPTION_BY] = {.name = "--by",
                      .value = "WHAT",
                      .kind = GA_VALUE_CHOICE,
                      .choices = "state class owner occupancy age",
                      .commands = GA_COMMAND_BIT(MAP),
                      .summary = "colour pages by state, the default, class, owner,\n"
                                 "occupancy or age"},
    [GA_OPTION_ARENA] = {.name = "--arena",
                         .value = "N",
                         .kind = GA_VALUE_NUMBER,
                         .commands = GA_COMMAND_BIT(MAP),
                         .summary = "this arena alone"},
    [GA_OPTION_OUTPUT] = {.name = "--output",
                          .letter = 'o',
                          .value = "FILE",
                          .kind = GA_VALUE_FILE,
                          .commands =
                              GA_COMMAND_BIT(MAP) | GA_COMMAND_BIT(RUN) | GA_COMMAND_BIT(PROFILE),
                          .summary = "write the answer to FILE"},
    [GA_OPTION_ALLOCS] = {.name = "--allocs",
                          .commands = GA_COMMAND_BIT(PROFILE),
                          .summary = "of what was ever allocated, rather than is in use"},
    [GA_OPTION_RATE] = {.name = "--rate",
                        .value = "SIZE",
                        .kind = GA_VALUE_NUMBER,
                        .commands = GA_COMMAND_BIT(PROFILE),
                        .summary = "only set it: from now on one object is sampled in so\n"
                                   "many bytes, such as 512K, in all processes, or in that\n"
                                   "of --pid; 0 = none"},
    [GA_OPTION_LISTEN] = {.name = "--listen",
                          .value = "ADDRESS",
                          .kind = GA_VALUE_TEXT,
                          .commands = GA_COMMAND_BIT(SERVE),
                          .summary = "127.0.0.1:PORT, [::1]:PORT or unix:PATH; port 0: any\n"
                                     "that is free; default: 127.0.0.1:4625"},
    [GA_OPTION_REPORT] = {.name = "--report",
                          .commands = GA_COMMAND_BIT(GC),
                          .summary = "count it only, also of who keeps what it leaves"},
    [GA_OPTION_RUN_LIMIT] = {.name = "--limit",
                             .value = "SIZE",
                             .kind = GA_VALUE_TEXT,
                             .commands = GA_COMMAND_BIT(RUN),
                             .summary = "memory the heap may take, such as 512M"},
    [GA_OPTION_RESERVE] = {.name = "--reserve",
                           .value = "SIZE",
                           .kind = GA_VALUE_TEXT,
                           .commands = GA_COMMAND_BIT(RUN),
                           .summary = "address space for the heap, 64G if it is not given"},
    [GA_OPTION_GC_PERCENT] = {.name = "--gc-percent",
                              .value = "N",
                              .kind = GA_VALUE_TEXT,
                              .commands = GA_COMMAND_BIT(RUN),
                              .summary = "when managed processes are collected, as for goallocd"},
    [GA_OPTION_LEAK_CHECK] = {.name = "--leak-check",
                              .commands = GA_COMMAND_BIT(RUN),
                              .summary = "tell what of it nothing reaches any more"},
    [GA_OPTION_PRELOAD] = {.name = "--preload",
                           .commands = GA_COMMAND_BIT(RUN),
                           .summary = "have libgoalloc-malloc.so be the malloc of every program"},
    [GA_OPTION_ERROR_EXITCODE] = {.name = "--error-exitcode",
                                  .value = "N",
                                  .kind = GA_VALUE_NUMBER,
                                  .commands = GA_COMMAND_BIT(RUN),
                                  .summary = "with --leak-check: end with N, 1 to 255, where\n"
                                             "something is lost"},
    [GA_OPTION_ONCE] = {.name = "--once",
                        .commands = GA_COMMAND_BIT(TOP),
                        .summary = "print one report, an interval after the start"},
    [GA_OPTION_BATCH] = {.name = "--batch",
                         .commands = GA_COMMAND_BIT(TOP),
                         .summary = "print a report each interval"},
    [GA_OPTION_INTERVAL] = {.name = "--interval",
                            .value = "MS",
                            .kind = GA_VALUE_NUMBER,
                            .commands = GA_COMMAND_BIT(TOP),
                            .summary = "look each so many ms, 200 to 60000; default: 1000"},
    [GA_OPTION_REPORTS] = {.name = "--count",
                           .value = "N",
                           .kind = GA_VALUE_NUMBER,
                           .commands = GA_COMMAND_BIT(TOP),
                           .summary = "with --batch or --json: end after N reports"},
    [GA_OPTION_WAIT] = {.name = "--wait",
                        .value = "SECONDS",
                        .kind = GA_VALUE_NUMBER,
                        .commands = GA_COMMAND_BIT(SNAPSHOT),
                        .summary = "how long clients may take to pause, 0 to 86400; default: 3"},
    [GA_OPTION_QUIET] = {.name = "--quiet",
                         .commands = GA_COMMAND_BIT(SNAPSHOT) | GA_COMMAND_BIT(RUN),
                         .summary = "say nothing where all goes well"},
    [GA_OPTION_VERBOSE] = {.name = "--verbose",
                           .commands = GA_COMMAND_BIT(SNAPSHOT),
                           .summary = "say how the file is written"},
    [GA_OPTION_HELP] = {.name = "--help",
                        .letter = 'h',
                        .commands = GA_COMMANDS_ALL,
                        .summary = "show this text; with a command, that of the command"},
    [GA_OPTION_VERSION] = {.name = "--version",
                           .commands = GA_COMMANDS_ALL,
                           .summary = "show the version"},
};

const struct ga_command *ga_command_find(const char *name)
{
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++)
        if (strcmp(ga_commands[i].name, name) == 0)
            return &ga_commands[i];
    return NULL;
}

bool ga_option_fits(const struct ga_option *option, const struct ga_command *command)
{
    return !command || option->commands == GA_COMMANDS_ALL ||
           (option->commands >> (command - ga_commands) & 1) != 0;
}

static bool spells(const char *word, const struct ga_option *option)
{
    size_t length = strcspn(word, "=");
    if (option->letter != '\0' && word[0] == '-' && word[1] == option->letter && word[2] == '\0')
        return true;
    return strlen(option->name) == length && strncmp(option->name, word, length) == 0;
}

const struct ga_option *ga_option_find(const char *word, const struct ga_command *command)
{
    const struct ga_option *found = NULL;
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        if (spells(word, &ga_options[i]) && (!found || ga_option_fits(&ga_options[i], command)))
            found = &ga_options[i];
    return found;
}
