/* Quotas as people write them: bytes=1G,spans=5000,roots=16. */
#ifndef GA_SERVER_SHELL_QUOTA_TEXT_H
#define GA_SERVER_SHELL_QUOTA_TEXT_H

#include "server/quota.h"

/* Read amounts, each kind at most once: bytes as a size, the others as numbers; 0, and what is not
 * named, is unlimited. What ret says before of kinds that are not named stays. 0 or -EINVAL. */
int ga_quota_parse(const char *text, struct ga_amounts *ret);

#endif
