/* goallocctl scavenge: have the server give all free memory back to the system now. It does so in
 * parts, and serves others in between, so this asks until nothing is left. */
#include "client/ctl/command.h"

#include <errno.h>
#include <stdio.h>

#include "client/ctl/ask.h"
#include "client/ctl/json.h"
#include "client/ctl/print.h"
#include "client/ctl/units.h"

/* A heap that is busy always has something; after so many parts it has had its turn. */
#define PARTS_MAX 65536u

static int release(const struct ga_ctl *ctl, uint64_t *ret_bytes)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < PARTS_MAX; i++) {
        struct ga_answer answer;
        int r = ga_ask_scavenge(ctl, &answer);
        if (r < 0)
            return r;
        uint64_t part = answer.message->scavenged->released_bytes;
        ga_answer_fini(&answer);
        if (part == 0)
            break;
        bytes += part;
    }
    *ret_bytes = bytes;
    return 0;
}

int ga_ctl_scavenge(const struct ga_ctl *ctl)
{
    uint64_t bytes;
    int r = release(ctl, &bytes);
    if (r < 0)
        return r;
    if (ctl->json) {
        struct ga_json json;
        ga_print_begin_json(ctl, &json);
        ga_json_number(&json, "released_bytes", bytes);
        ga_json_end(&json);
        return 0;
    }
    char size[GA_UNITS_BYTES];
    ga_units_size(bytes, size);
    printf("%s given back to the system\n", size);
    return 0;
}
