/* The account that goallocctl run gives at the end: what is left in the heap. */
#ifndef GA_CTL_RUN_REPORT_H
#define GA_CTL_RUN_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "client/ctl/command_line.h"

struct ga_run_left {
    uint64_t objects;
    uint64_t bytes;
    uint64_t lost_objects; /* of them, that nothing reaches */
    uint64_t lost_bytes;
};

/* Wait until the server listening at socket has seen that all clients have ended, have it free what
 * it frees by itself then, and print to out what is left, for people or, with request's --json, as
 * JSON. status: the program's. folder: where processes with heaps of their own have given account,
 * "" = nowhere; what they have left counts too. Returns 0 and *ret; or a negative errno after
 * telling why on stderr.
 */
int ga_run_report(const struct ga_request *request, const char *socket, int status,
                  const char *folder, FILE *out, struct ga_run_left *ret);

#endif
