/* goallocctl's command line, a word a line. What is accepted makes sense together. */
#include <errno.h>

#include "client/ctl/command_line.h"
#include "fuzz/fuzz.h"
#include "shm/mapping.h"
#include "shm/size_class.h"

#define WORDS_MAX 32
#define WORD_MAX  256

static void check(const struct ga_request *request)
{
    const struct ga_ctl *ctl = &request->ctl;
    const struct ga_span_filter *filter = &ctl->filter;
    if (request->help || request->version)
        return;
    const struct ga_command *command = request->command;
    FUZZ_CHECK(command && (command->run == NULL) != (command->run_alone == NULL));
    FUZZ_CHECK(!request->shm || ga_heap_name_is_valid(request->shm));
    FUZZ_CHECK(!request->shm || !request->socket);
    FUZZ_CHECK(command->operand != GA_OPERAND_NONE || !request->operand);
    FUZZ_CHECK(command->operand != GA_OPERAND_HEAP || ga_heap_name_is_valid(request->operand));
    FUZZ_CHECK((command->operand == GA_OPERAND_FILE) == (ctl->file != NULL));
    FUZZ_CHECK((command->operand == GA_OPERAND_PROGRAM) == (request->program != NULL));
    /* Help takes the options of all. */
    bool helps = command->operand == GA_OPERAND_TOPIC;
    FUZZ_CHECK(!request->wait_given || (!request->shm && (ctl->file || helps)));
    FUZZ_CHECK(!request->shm || ctl->recount);
    FUZZ_CHECK(filter->size_class >= -1 && filter->size_class < (int64_t)GA_SIZE_CLASS_COUNT);
    FUZZ_CHECK(filter->owner < GA_MCACHE_COUNT);
    FUZZ_CHECK(filter->pid <= INT32_MAX && filter->limit <= UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char words[WORDS_MAX + 1][WORD_MAX];
    char *argv[WORDS_MAX + 2] = {words[0]};
    struct fuzz_input input = {data, size};
    int argc = 1;
    snprintf(words[0], WORD_MAX, "goallocctl");
    while (argc <= WORDS_MAX && fuzz_take_line(&input, words[argc], WORD_MAX)) {
        argv[argc] = words[argc];
        argc++;
    }
    struct ga_request request;
    int r = ga_command_line_read(argc, argv, &request);
    FUZZ_CHECK(r == 0 || r == -EINVAL);
    if (r == 0)
        check(&request);
    return 0;
}
