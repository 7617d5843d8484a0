/* LeakSanitizer does not look into memory that was mapped. Where a program is built with it, what
 * the library keeps there and leads to malloc's memory is shown to it, so that a program that exits
 * without detach has no leaks. Elsewhere this does nothing. */
#ifndef GA_CLIENT_LEAK_ROOT_H
#define GA_CLIENT_LEAK_ROOT_H

#include <stddef.h>

__attribute__((weak, visibility("default"))) void __lsan_register_root_region(const void *p,
                                                                              size_t bytes);
__attribute__((weak, visibility("default"))) void __lsan_unregister_root_region(const void *p,
                                                                                size_t bytes);

static inline void ga_leak_root_add(const void *p, size_t bytes)
{
    if (__lsan_register_root_region)
        __lsan_register_root_region(p, bytes);
}

/* With the same arguments as before, while the memory is still mapped. */
static inline void ga_leak_root_remove(const void *p, size_t bytes)
{
    if (__lsan_unregister_root_region)
        __lsan_unregister_root_region(p, bytes);
}

#endif
