/* The words are looked at as far as they go: a command line that is being typed is seldom right. */
#include "client/ctl/complete.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/ask.h"
#include "client/ctl/commands.h"
#include "client/ctl/open.h"

#include "proto/event.h"
#include "shm/mapping.h"
#include "shm/size_class.h"

struct typed {
    const char *word;   /* what is there of it */
    const char *before; /* of the word, what stands before a value: "--shm=" */
    int before_bytes;
    const struct ga_command *command; /* NULL = not there yet */
    const struct ga_option *option;   /* whose value it is, NULL = none's */
    bool is_program;                  /* it, or one of its arguments */
    bool plain;                       /* behind "--" */
    struct ga_request request;        /* what tells which heap */
};

static void offer(const struct typed *typed, const char *word, const char *text)
{
    size_t length = strlen(typed->word);
    if (strncmp(word, typed->word, length) != 0)
        return;
    size_t line = strcspn(text, "\n");
    printf("%.*s%s\t%.*s\n", typed->before_bytes, typed->before, word, (int)line, text);
}

static void offer_choices(const struct typed *typed, const char *choices)
{
    char word[32];
    while (*choices) {
        size_t n = strcspn(choices, " ");
        snprintf(word, sizeof(word), "%.*s", (int)n, choices);
        offer(typed, word, "");
        choices += n + (choices[n] == ' ');
    }
}

/* By the names of their meta objects, whoever's they are. */
static void offer_heaps(const struct typed *typed)
{
    static const char prefix[] = "goalloc.";
    static const char suffix[] = ".meta";
    DIR *folder = opendir("/dev/shm");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        size_t length = strlen(entry->d_name);
        if (length < sizeof(prefix) + sizeof(suffix) - 1 ||
            strncmp(entry->d_name, prefix, sizeof(prefix) - 1) != 0 ||
            strcmp(entry->d_name + length - (sizeof(suffix) - 1), suffix) != 0)
            continue;
        entry->d_name[length - (sizeof(suffix) - 1)] = '\0';
        const char *name = entry->d_name + sizeof(prefix) - 1;
        if (ga_heap_name_is_valid(name))
            offer(typed, name, "");
    }
    if (folder)
        closedir(folder);
}

static void offer_classes(const struct typed *typed)
{
    char number[16];
    char text[32] = "large";
    for (uint32_t i = 0; i < GA_SIZE_CLASS_COUNT; i++) {
        snprintf(number, sizeof(number), "%" PRIu32, i);
        if (i > 0)
            snprintf(text, sizeof(text), "%" PRIu32 " bytes", ga_size_classes[i].size);
        offer(typed, number, text);
    }
}

/* The numbers of the clients, or of their processes. */
static void offer_clients(const struct typed *typed, bool pids)
{
    char socket[GA_ADDRESS_BYTES];
    char number[16];
    struct ga_ctl ctl = typed->request.ctl;
    struct ga_parts parts;
    if (ga_open(&typed->request, socket, &ctl.source) < 0)
        return;
    if (ga_ask_clients(&ctl, &parts) == 0) {
        for (size_t i = 0; i < parts.count; i++) {
            const Goalloc__V1__ClientList *list = parts.answers[i].message->client_list;
            for (size_t j = 0; j < list->n_clients; j++) {
                const Goalloc__V1__ClientInfo *client = list->clients[j];
                snprintf(number, sizeof(number), "%" PRIu32, pids ? client->pid : client->client);
                offer(typed, number, client->name);
            }
        }
        ga_parts_fini(&parts);
    }
    ga_source_close(&ctl.source);
}

/* The processes that have a heap of their own. */
static void offer_programs(const struct typed *typed)
{
    char socket[GA_ADDRESS_BYTES];
    char number[16];
    struct ga_ctl ctl = typed->request.ctl;
    struct ga_parts parts;
    if (ga_open(&typed->request, socket, &ctl.source) < 0)
        return;
    if (ga_ask_programs(&ctl, &parts) == 0) {
        for (size_t i = 0; i < parts.count; i++) {
            const Goalloc__V1__ProgramList *list = parts.answers[i].message->program_list;
            for (size_t j = 0; j < list->n_programs; j++) {
                snprintf(number, sizeof(number), "%" PRIu32, list->programs[j]->pid);
                offer(typed, number, list->programs[j]->name);
            }
        }
        ga_parts_fini(&parts);
    }
    ga_source_close(&ctl.source);
}

static void offer_values(const struct typed *typed)
{
    switch (typed->option->kind) {
    case GA_VALUE_FILE:
        puts(":file");
        return;
    case GA_VALUE_HEAP:
        offer_heaps(typed);
        return;
    case GA_VALUE_CLASS:
        offer_classes(typed);
        return;
    case GA_VALUE_PID:
    case GA_VALUE_CLIENT:
        offer_clients(typed, typed->option->kind == GA_VALUE_PID);
        return;
    case GA_VALUE_OWN_PID:
        offer_programs(typed);
        return;
    case GA_VALUE_CHOICE:
        offer_choices(typed, typed->option->choices);
        return;
    default:
        return;
    }
}

static void offer_options(const struct typed *typed)
{
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        if (ga_option_fits(&ga_options[i], typed->command))
            offer(typed, ga_options[i].name, ga_options[i].summary);
}

static void offer_commands(const struct typed *typed)
{
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++)
        offer(typed, ga_commands[i].name, ga_commands[i].summary);
}

static void offer_operands(const struct typed *typed)
{
    switch (typed->command->operand) {
    case GA_OPERAND_HEAP:
        offer_heaps(typed);
        return;
    case GA_OPERAND_FILE:
        puts(":file");
        return;
    case GA_OPERAND_PROGRAM:
        puts(":program");
        return;
    case GA_OPERAND_EVENTS:
        offer(typed, "all", "every event");
        for (uint32_t i = 0; i < GA_EVENT_COUNT; i++)
            offer(typed, ga_event_name(i), "event");
        return;
    case GA_OPERAND_TOPIC:
        offer_commands(typed);
        return;
    default:
        return;
    }
}

/* What of the words before the last one matters: the command, and which heap. */
static void take_option(struct typed *typed, int nwords, char **words, int *index)
{
    const char *word = words[*index];
    const struct ga_option *option = ga_option_find(word, typed->command);
    const char *value = strchr(word, '=');
    if (!option || !option->value)
        return;
    if (value)
        value++;
    else if (*index + 2 < nwords)
        value = words[++*index];
    else
        typed->option = option; /* the last word is its value */
    if (option == &ga_options[GA_OPTION_SOCKET])
        typed->request.socket = value;
    if (option == &ga_options[GA_OPTION_SHM])
        typed->request.shm = value && ga_heap_name_is_valid(value) ? value : NULL;
}

static void take_words(struct typed *typed, int nwords, char **words)
{
    for (int i = 0; i + 1 < nwords && !typed->is_program; i++) {
        const struct ga_command *command = typed->command;
        if (!typed->plain && strcmp(words[i], "--") == 0)
            typed->plain = true;
        else if (!typed->plain && words[i][0] == '-')
            take_option(typed, nwords, words, &i);
        else if (!command)
            typed->command = ga_command_find(words[i]);
        else
            typed->is_program = command->operand == GA_OPERAND_PROGRAM;
    }
}

/* Whoever types does not want to read complaints. */
static void silence(void)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (null >= 0) {
        dup2(null, STDERR_FILENO);
        close(null);
    }
}

int ga_complete(int nwords, char **words)
{
    struct typed typed = {.word = nwords > 0 ? words[nwords - 1] : "", .before = ""};
    silence();
    take_words(&typed, nwords, words);
    const char *equals = strchr(typed.word, '=');
    bool is_option = !typed.plain && !typed.option && typed.word[0] == '-';
    if (is_option && equals) {
        typed.option = ga_option_find(typed.word, typed.command);
        typed.before = typed.word;
        typed.before_bytes = (int)(equals + 1 - typed.word);
        typed.word = equals + 1;
        is_option = false;
        if (!typed.option)
            return 0;
    }
    if (typed.is_program)
        puts(":program");
    else if (typed.option)
        offer_values(&typed);
    else if (is_option)
        offer_options(&typed);
    else if (!typed.command)
        offer_commands(&typed);
    else
        offer_operands(&typed);
    return 0;
}
