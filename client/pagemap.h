/* What the kernel tells of ranges of pages (PAGEMAP_SCAN at /proc/self/pagemap, Linux 6.7): of
 * <linux/fs.h>, which in Debian 12 is older. */
#ifndef GA_CLIENT_PAGEMAP_H
#define GA_CLIENT_PAGEMAP_H

#include <stdint.h>
#include <sys/ioctl.h>

struct ga_pagemap_region {
    uint64_t start; /* addresses */
    uint64_t end;
    uint64_t categories;
};

struct ga_pagemap_scan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end; /* how far it went */
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define GA_PAGEMAP_SCAN _IOWR('f', 16, struct ga_pagemap_scan)

/* Categories. */
#define GA_PAGEMAP_WRITTEN (UINT64_C(1) << 1) /* is not write-protected for userfaultfd */
#define GA_PAGEMAP_FILE    (UINT64_C(1) << 2)
#define GA_PAGEMAP_PRESENT (UINT64_C(1) << 3)
#define GA_PAGEMAP_SWAPPED (UINT64_C(1) << 4)
#define GA_PAGEMAP_ZERO    (UINT64_C(1) << 5) /* the page that all share which were only read */

/* Flags. */
#define GA_PAGEMAP_PROTECT UINT64_C(1) /* write-protect what is told */
#define GA_PAGEMAP_CHECK   UINT64_C(2) /* fail where that cannot be */

#endif
