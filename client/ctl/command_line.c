/* Options may stand before or behind the command, so the words are read twice: first the command is
 * found, and which words are the options' values; then each option is the command's own of that
 * name. One that is for other commands is refused, rather than ignored. */
#include "client/ctl/command_line.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/event.h"
#include "shm/mapping.h"
#include "shm/nearest.h"
#include "shm/size_class.h"

#define WAIT_DEFAULT_S 3u
#define WAIT_MAX_S     86400u

static int __attribute__((format(printf, 1, 2))) wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("goallocctl: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return -EINVAL;
}

/* ---- words that are not known ---- */

static int unknown_command(const char *word)
{
    struct ga_nearest nearest = {.word = word};
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++)
        ga_nearest_try(&nearest, ga_commands[i].name);
    if (nearest.best)
        return wrong("unknown command '%s'; did you mean '%s'?", word, nearest.best);
    return wrong("unknown command '%s'; 'goallocctl --help' lists the commands", word);
}

/* Only options that go with the command are worth a try. */
static int unknown_option(const char *word, const struct ga_command *command)
{
    char name[GA_NEAREST_MAX + 1];
    snprintf(name, sizeof(name), "%.*s", (int)strcspn(word, "="), word);
    struct ga_nearest nearest = {.word = name + strspn(name, "-")};
    for (size_t i = 0; i < GA_OPTION_COUNT; i++)
        if (ga_option_fits(&ga_options[i], command))
            ga_nearest_try(&nearest, ga_options[i].name + 2);
    if (nearest.best)
        return wrong("unknown option '%s'; did you mean '--%s'?", name, nearest.best);
    return wrong("unknown option '%s'; 'goallocctl %s%s--help' lists the options", name,
                 command ? command->name : "", command ? " " : "");
}

/* ---- values ---- */

static int read_number(const struct ga_option *option, const char *text, uint64_t from, uint64_t to,
                       uint64_t *ret)
{
    char *end;
    assert(text); /* the option's value: take_option has seen to it */
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < from ||
        number > to)
        return wrong("'%s' is no value for '%s': give a number from %llu to %llu", text,
                     option->name, (unsigned long long)from, (unsigned long long)to);
    *ret = number;
    return 0;
}

/* Bytes, or a number with K, M, G or T. */
static int read_size(const struct ga_option *option, const char *text, uint64_t *ret)
{
    static const char units[] = "KMGT";
    char *end;
    assert(text);
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    const char *unit = *end ? strchr(units, *end) : NULL;
    unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
    if (text[0] < '0' || text[0] > '9' || errno != 0 || (*end && (!unit || end[1])) ||
        number > UINT64_MAX >> shift)
        return wrong("'%s' is no value for '%s': give a size, such as 512K", text, option->name);
    *ret = (uint64_t)number << shift;
    return 0;
}

/* The place of text among the option's choices. */
static int read_choice(const struct ga_option *option, const char *text, unsigned *ret)
{
    size_t length = strlen(text);
    unsigned place = 0;
    for (const char *word = option->choices; *word; place++) {
        size_t n = strcspn(word, " ");
        if (n == length && strncmp(word, text, n) == 0) {
            *ret = place;
            return 0;
        }
        word += n + (word[n] == ' ');
    }
    return wrong("'%s' is no value for '%s': give one of: %s", text, option->name, option->choices);
}

/* Two options that both say the class must agree on it. */
static int set_class(const struct ga_option *option, uint64_t size_class,
                     struct ga_span_filter *filter)
{
    if (filter->size_class >= 0 && filter->size_class != (int64_t)size_class)
        return wrong("'%s' means size class %llu, and class %lld was asked for before",
                     option->name, (unsigned long long)size_class, (long long)filter->size_class);
    filter->size_class = (int64_t)size_class;
    return 0;
}

static int apply_filter(const struct ga_option *option, const char *value,
                        struct ga_span_filter *filter)
{
    uint64_t number = 0;
    int err = 0;
    switch ((enum ga_option_id)(option - ga_options)) {
    case GA_OPTION_CLASS:
        err = read_number(option, value, 0, GA_SIZE_CLASS_COUNT - 1, &number);
        return err < 0 ? err : set_class(option, number, filter);
    case GA_OPTION_SIZE:
        err = read_number(option, value, 0, GA_RESERVE_MAX, &number);
        if (err < 0)
            return err;
        return set_class(option, number > GA_SMALL_MAX ? 0 : ga_size_class_for_malloc(number),
                         filter);
    case GA_OPTION_OWNER:
        return read_number(option, value, 1, GA_MCACHE_COUNT - 1, &filter->owner);
    case GA_OPTION_PID:
        return read_number(option, value, 1, INT32_MAX, &filter->pid);
    case GA_OPTION_LIMIT:
        return read_number(option, value, 1, UINT32_MAX, &filter->limit);
    case GA_OPTION_PARTIAL:
        filter->partial = true;
        return 0;
    case GA_OPTION_FULL:
        filter->full = true;
        return 0;
    case GA_OPTION_LARGE:
        filter->large = true;
        return 0;
    default:
        filter->leased = true;
        return 0;
    }
}

static int apply_run_option(const struct ga_option *option, const char *value,
                            struct ga_run_options *run)
{
    switch ((enum ga_option_id)(option - ga_options)) {
    case GA_OPTION_RUN_LIMIT:
        run->limit = value;
        return 0;
    case GA_OPTION_RESERVE:
        run->reserve = value;
        return 0;
    case GA_OPTION_GC_PERCENT:
        run->gc_percent = value;
        return 0;
    default:
        run->error_status_given = true;
        return read_number(option, value, 1, 255, &run->error_status);
    }
}

/* What an option sets that is only given or not; NULL: it is another. */
static bool *find_flag(enum ga_option_id id, struct ga_request *request)
{
    struct ga_ctl *ctl = &request->ctl;
    switch (id) {
    case GA_OPTION_ALLOCS:
        return &ctl->allocs;
    case GA_OPTION_RECOUNT:
        return &ctl->recount;
    case GA_OPTION_JSON:
        return &ctl->json;
    case GA_OPTION_ALL:
        return &ctl->all;
    case GA_OPTION_ONCE:
        return &request->once;
    case GA_OPTION_BATCH:
        return &request->batch;
    case GA_OPTION_QUIET:
        return &ctl->quiet;
    case GA_OPTION_REPORT:
        return &ctl->report;
    case GA_OPTION_VERBOSE:
        return &ctl->verbose;
    case GA_OPTION_HELP:
        return &request->help;
    case GA_OPTION_VERSION:
        return &request->version;
    case GA_OPTION_PRELOAD:
        return &request->run.preload;
    case GA_OPTION_LEAK_CHECK:
        return &request->run.leak_check;
    default:
        return NULL;
    }
}

static int apply_option(const struct ga_option *option, const char *value,
                        struct ga_request *request)
{
    struct ga_ctl *ctl = &request->ctl;
    uint64_t number = 0;
    unsigned place = 0;
    int err = 0;
    enum ga_option_id id = (enum ga_option_id)(option - ga_options);
    bool *flag = find_flag(id, request);
    if (flag) {
        *flag = true;
        return 0;
    }
    switch (id) {
    case GA_OPTION_RATE:
        ctl->rate_given = true;
        return read_size(option, value, &ctl->rate_bytes);
    case GA_OPTION_SOCKET:
        request->socket = value;
        return 0;
    case GA_OPTION_SHM:
        request->shm = value;
        return 0;
    case GA_OPTION_PROCESS:
        err = read_number(option, value, 1, INT32_MAX, &number);
        request->process = (uint32_t)number;
        return err;
    case GA_OPTION_COLOR:
        err = read_choice(option, value, &place);
        request->color = (enum ga_color_when)place;
        return err;
    case GA_OPTION_CLIENT:
        err = read_number(option, value, 1, GA_CLIENT_COUNT, &number);
        ctl->client = (uint32_t)number;
        return err;
    case GA_OPTION_WAIT:
        request->wait_given = true;
        err = read_number(option, value, 0, WAIT_MAX_S, &number);
        ctl->wait_ms = (uint32_t)number * 1000;
        return err;
    case GA_OPTION_INTERVAL:
        err = read_number(option, value, 200, 60000, &number);
        request->interval_ms = (unsigned)number;
        return err;
    case GA_OPTION_REPORTS:
        return read_number(option, value, 1, UINT32_MAX, &request->nreports);
    case GA_OPTION_BY:
        err = read_choice(option, value, &place);
        ctl->by = (enum ga_map_by)place;
        return err;
    case GA_OPTION_ARENA:
        err = read_number(option, value, 0, GA_RESERVE_MAX / GA_ARENA_SIZE - 1, &number);
        ctl->arena = (int64_t)number;
        return err;
    case GA_OPTION_OUTPUT:
        ctl->output = value;
        return 0;
    case GA_OPTION_LISTEN:
        request->listen = value;
        return 0;
    default:
        if (request->command == &ga_commands[GA_COMMAND_RUN])
            return apply_run_option(option, value, &request->run);
        return apply_filter(option, value, &ctl->filter);
    }
}

/* ---- the words ---- */

/* A walk over the command line. */
struct words {
    int argc;
    char **argv;
    int i;
    bool plain; /* behind "--": no word is an option any more */
};

/* Take the option at the words' place, with its value, which may be the next word. NULL after
 * telling what is wrong. */
static const struct ga_option *take_option(struct words *words, const struct ga_command *command,
                                           const char **ret_value)
{
    const char *word = words->argv[words->i];
    const struct ga_option *option = ga_option_find(word, command);
    if (!option) {
        unknown_option(word, command);
        return NULL;
    }
    const char *value = strchr(word, '=');
    if (value && !option->value) {
        wrong("'%s' takes no value", option->name);
        return NULL;
    }
    if (value)
        value++;
    else if (option->value)
        value = ++words->i < words->argc ? words->argv[words->i] : NULL;
    if (option->value && (!value || value[0] == '\0')) {
        wrong("'%s' needs a value: give '%s %s'", option->name, option->name, option->value);
        return NULL;
    }
    *ret_value = value;
    return option;
}

static bool is_option(const struct words *words)
{
    const char *word = words->argv[words->i];
    return !words->plain && word[0] == '-' && word[1] != '\0';
}

static bool ends_options(struct words *words)
{
    if (words->plain || strcmp(words->argv[words->i], "--") != 0)
        return false;
    words->plain = true;
    return true;
}

/* The command: the first word that is neither an option nor an option's value. */
static int find_command(int argc, char **argv, const struct ga_command **ret)
{
    for (struct words words = {argc, argv, 1, false}; words.i < argc; words.i++) {
        const char *value;
        if (ends_options(&words))
            continue;
        if (is_option(&words)) {
            if (!take_option(&words, NULL, &value))
                return -EINVAL;
            continue;
        }
        *ret = ga_command_find(argv[words.i]);
        return *ret ? 0 : unknown_command(argv[words.i]);
    }
    *ret = NULL;
    return 0;
}

/* A word behind the command. */
static int take_event(const char *word, struct ga_request *request)
{
    enum ga_event_kind kind = GA_EVENT_ATTACH;
    char names[512] = "all";
    if (strcmp(word, names) == 0) {
        request->events = GA_EVENTS_ALL;
        return 0;
    }
    if (ga_event_find(word, &kind) == 0) {
        request->events |= UINT64_C(1) << kind;
        return 0;
    }
    for (uint32_t i = 0; i < GA_EVENT_COUNT; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), ", %s", ga_event_name(i));
    return wrong("'%s' is no event: give one of %s", word, names);
}

static int take_word(const char *word, struct ga_request *request)
{
    const struct ga_command *command = request->command;
    if (command->operand == GA_OPERAND_EVENTS)
        return take_event(word, request);
    if (command->operand != GA_OPERAND_NONE && !request->operand) {
        request->operand = word;
        return 0;
    }
    if (command->operand != GA_OPERAND_NONE)
        return wrong("'%s' takes one %s: '%s' is too much after '%s'", command->name,
                     command->words, word, request->operand);
    if (ga_command_find(word))
        return wrong("one command at a time: '%s' after '%s'", word, command->name);
    return wrong("'%s' takes no '%s'; see 'goallocctl %s --help'", command->name, word,
                 command->name);
}

/* Name the commands that option goes with. */
static int misplaced(const struct ga_option *option, const struct ga_command *command)
{
    char with[256] = "";
    for (size_t i = 0; i < GA_COMMAND_COUNT; i++) {
        size_t length = strlen(with);
        if (ga_option_fits(option, &ga_commands[i]))
            snprintf(with + length, sizeof(with) - length, "%s'%s'", length ? ", " : "",
                     ga_commands[i].name);
    }
    if (option == &ga_options[GA_OPTION_SHM])
        return wrong("only a server can do '%s': ask it, without '--shm'", command->name);
    return wrong("'%s' goes with %s, not with '%s'", option->name, with, command->name);
}

/* Help is given also to who has set up options for all other commands. */
static bool is_misplaced(const struct ga_option *option, const struct ga_command *command)
{
    return command && command->operand != GA_OPERAND_TOPIC && !ga_option_fits(option, command);
}

static int read_words(int argc, char **argv, struct ga_request *request)
{
    const struct ga_command *command = request->command;
    bool seen = false; /* the command */
    for (struct words words = {argc, argv, 1, false}; words.i < argc; words.i++) {
        const char *value = NULL;
        int err = 0;
        if (ends_options(&words))
            continue;
        if (is_option(&words)) {
            const struct ga_option *option = take_option(&words, command, &value);
            err = option ? 0 : -EINVAL;
            if (err == 0 && is_misplaced(option, command))
                err = misplaced(option, command);
            if (err == 0)
                err = apply_option(option, value, request);
        } else if (!seen) {
            seen = true;
        } else if (command->operand == GA_OPERAND_PROGRAM) {
            request->program = &argv[words.i];
            return 0;
        } else {
            err = take_word(argv[words.i], request);
        }
        if (err < 0)
            return err;
    }
    return 0;
}

/* ---- what can only be said when all words are known ---- */

static int check_heap_name(const char *name)
{
    if (!name || ga_heap_name_is_valid(name))
        return 0;
    return wrong("'%s' cannot be the name of a heap: 1 to %u letters, digits, '-', '_' and '.', "
                 "not beginning with '.'",
                 name, GA_HEAP_NAME_MAX);
}

static int check_operand(struct ga_request *request)
{
    const struct ga_command *command = request->command;
    switch (command->operand) {
    case GA_OPERAND_HEAP:
        if (request->operand && request->shm)
            return wrong("'%s' takes one heap: '%s', or '--shm %s'?", command->name,
                         request->operand, request->shm);
        if (!request->operand)
            request->operand = request->shm;
        if (!request->operand)
            return wrong("'%s' needs the name of a heap: give 'goallocctl %s %s'", command->name,
                         command->name, command->words);
        return check_heap_name(request->operand);
    case GA_OPERAND_FILE:
        if (!request->operand)
            return wrong("'%s' needs the name of a file: give 'goallocctl %s %s'", command->name,
                         command->name, command->words);
        request->ctl.file = request->operand;
        return 0;
    case GA_OPERAND_PROGRAM:
        if (!request->program)
            return wrong("'%s' needs a program: give 'goallocctl %s %s'", command->name,
                         command->name, command->words);
        return 0;
    default:
        return 0;
    }
}

static int check_together(const struct ga_request *request)
{
    const struct ga_span_filter *filter = &request->ctl.filter;
    if (request->socket && request->shm)
        return wrong("'--socket' and '--shm' do not go together: give one of them");
    if (request->process && request->shm)
        return wrong("'--process' and '--shm' do not go together: give one of them");
    if (request->process && request->ctl.rate_given)
        return wrong("'--rate' and '--process' do not go together: a program reads its rate from "
                     "$GOALLOC_PROFILE_RATE when it starts");
    if (request->wait_given && request->shm)
        return wrong("'--wait' and '--shm' do not go together: without a server nobody can be "
                     "asked to pause");
    if (request->ctl.rate_given && request->shm)
        return wrong("'--rate' and '--shm' do not go together: a server sets it");
    if (request->ctl.rate_given && request->ctl.output)
        return wrong("'--rate' and '--output' do not go together: give one of them");
    if (request->ctl.client && request->ctl.recount)
        return wrong("'--recount' counts the objects of all: it does not go with '--client'");
    if (request->run.error_status_given && !request->run.leak_check)
        return wrong("'--error-exitcode' needs '--leak-check': else nobody looks for what is lost");
    if (filter->partial && filter->full)
        return wrong("no span is both '--partial' and '--full': give one of them");
    if (filter->large && filter->size_class > 0)
        return wrong("a large span is of class 0: '--large' goes with neither another '--class' "
                     "nor '--size'");
    return 0;
}

int ga_command_line_read(int argc, char **argv, struct ga_request *ret)
{
    struct ga_request request = {
        .ctl = {.filter = {.size_class = -1}, .wait_ms = WAIT_DEFAULT_S * 1000, .arena = -1}};
    int err = find_command(argc, argv, &request.command);
    if (err == 0)
        err = read_words(argc, argv, &request);
    if (err < 0)
        return err;
    if (!request.help && !request.version) {
        if (!request.command)
            return wrong("no command given; 'goallocctl --help' lists the commands");
        err = check_heap_name(request.shm);
        if (err == 0)
            err = check_operand(&request);
        if (err == 0)
            err = check_together(&request);
    }
    if (err < 0)
        return err;
    request.ctl.recount |= request.shm != NULL || request.process != 0;
    *ret = request;
    return 0;
}
