/* What goallocctl tells about itself. */
#ifndef GA_CTL_HELP_H
#define GA_CTL_HELP_H

#include "client/ctl/command_line.h"

/* Print how the command is called, or, where it is NULL, which commands there are, to stdout. */
void ga_help_print(const struct ga_command *command);

/* The command help: its operand is a command, or none. Returns 0; -EINVAL after telling that there
 * is no such command. */
int ga_ctl_help(const struct ga_request *request);

#endif
