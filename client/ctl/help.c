/* Help, made of the tables of commands and options; no line is wider than 80 columns. */
#include "client/ctl/help.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "client/ctl/color.h"
#include "client/ctl/manual.h"
#include "shm/nearest.h"

#define NAME_COLUMNS 17

static void title(const char *text)
{
    printf("\n%s%s%s\n", ga_color(stdout, GA_COLOR_TITLE), text, ga_color(stdout, GA_COLOR_NONE));
}

/* A name, and behind it what it is, whose further lines stand below its first. */
static void entry(const char *name, const char *text)
{
    bool fits = strlen(name) <= NAME_COLUMNS - 2;
    printf("  %-*s", NAME_COLUMNS, name);
    if (!fits)
        printf("\n  %-*s", NAME_COLUMNS, "");
    for (const char *p = text; *p; p++) {
        putchar(*p);
        if (*p == '\n')
            printf("  %-*s", NAME_COLUMNS, "");
    }
    putchar('\n');
}

static void print_option(const struct ga_option *option)
{
    char name[64];
    char letter[8] = "";
    if (option->letter)
        snprintf(letter, sizeof(letter), "-%c, ", option->letter);
    snprintf(name, sizeof(name), "%s%s%s%s", letter, option->name, option->value ? " " : "",
             option->value ? option->value : "");
    entry(name, option->summary);
}

static void print_options(const struct ga_command *command)
{
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        if (command ? ga_option_fits(&ga_options[i], command)
                    : ga_options[i].commands == GA_COMMANDS_ALL)
            print_option(&ga_options[i]);
}

static void print_all(void)
{
    fputs("goallocctl looks inside a goalloc heap: asks its server, or reads its shared\n"
          "memory.\n\nusage: goallocctl [OPTION...] COMMAND\n",
          stdout);
    title("commands:");
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++)
        entry(ga_commands[i].name, ga_commands[i].summary);
    title("options:");
    print_options(NULL);
    fputs("\n'goallocctl COMMAND --help' tells the options of a command, 'goallocctl help\n"
          "COMMAND' also what it does and what it prints.\n",
          stdout);
    title("exit status:");
    fputs("  0 done, 1 failed, 2 wrong usage, 3 held up by a server or by clients,\n"
          "  4 the heap has faults, 5 there is no server, or no heap, 6 no right to it,\n"
          "  7 it is damaged or of another version, 8 the terminal is none or too small,\n"
          "  9 somebody else listens there\n",
          stdout);
}

static void print_command(const struct ga_command *command, bool at_length)
{
    printf("goallocctl %s: %s\n\nusage: goallocctl %s [OPTION...]%s%s\n", command->name,
           command->summary, command->name, command->words ? " " : "",
           command->words ? command->words : "");
    if (at_length) {
        putchar('\n');
        ga_manual_print(ga_manual_page, command->name, stdout);
    }
    title("options:");
    print_options(command);
    title("example:");
    printf("  $ %s\n", command->example);
}

void ga_help_print(const struct ga_command *command)
{
    if (command)
        print_command(command, false);
    else
        print_all();
}

int ga_ctl_help(const struct ga_request *request)
{
    const struct ga_command *command = NULL;
    if (request->operand)
        command = ga_command_find(request->operand);
    if (command)
        print_command(command, true);
    if (!request->operand)
        print_all();
    if (command || !request->operand)
        return 0;
    struct ga_nearest nearest = {.word = request->operand};
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++)
        ga_nearest_try(&nearest, ga_commands[i].name);
    fprintf(stderr, "goallocctl: there is no command '%s' to tell of; %s%s%s\n", request->operand,
            nearest.best ? "did you mean '" : "'goallocctl --help' lists the commands",
            nearest.best ? nearest.best : "", nearest.best ? "'?" : "");
    return GA_CTL_EXIT + 2;
}
