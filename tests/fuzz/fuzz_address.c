/* Where the server's socket is: three lines, the address that is given (empty: none) and the two
 * variables. And sizes as goallocd reads them: what is written with a unit's letter is read back.
 */
#include <errno.h>

#include "client/address.h"
#include "fuzz/fuzz.h"
#include "server/shell/size_text.h"

#define LINE_MAX_BYTES 512

static void set(const char *variable, const char *value)
{
    if (value[0] == '-')
        unsetenv(variable);
    else
        setenv(variable, value, 1);
}

static void check_size(const char *text)
{
    uint64_t bytes = 0;
    char formatted[GA_SIZE_TEXT_BYTES];
    int r = ga_size_parse(text, &bytes);
    FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
    if (r < 0)
        return;
    ga_size_format(bytes, formatted);
    char *unit = NULL;
    uint64_t number = strtoull(formatted, &unit, 10);
    FUZZ_CHECK(unit != formatted && *unit == ' ');
    char written[GA_SIZE_TEXT_BYTES + 1];
    snprintf(written, sizeof(written), "%llu%.1s", (unsigned long long)number,
             strcmp(unit, " bytes") == 0 ? "" : unit + 1);
    uint64_t again = 0;
    FUZZ_CHECK(ga_size_parse(written, &again) == 0 && again == bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {data, size};
    char lines[3][LINE_MAX_BYTES] = {"", "", ""};
    for (int i = 0; i < 3; i++)
        fuzz_take_line(&input, lines[i], LINE_MAX_BYTES);
    set("GOALLOC_SOCKET", lines[1]);
    set("XDG_RUNTIME_DIR", lines[2]);

    char path[GA_ADDRESS_BYTES];
    const char *given = lines[0][0] == '-' ? NULL : lines[0];
    memset(path, 'x', sizeof(path));
    int r = ga_address_resolve(given, path);
    FUZZ_CHECK(r == 0 || r == -EINVAL || r == -ENAMETOOLONG);
    FUZZ_CHECK((r == -EINVAL) == (given && given[0] == '\0'));
    if (r == 0) {
        FUZZ_CHECK(memchr(path, '\0', sizeof(path)) && path[0] != '\0');
        FUZZ_CHECK(!given || strcmp(path, given) == 0);
    }
    FUZZ_CHECK(!given || !ga_address_is_default(given));
    check_size(lines[0]);
    return 0;
}
