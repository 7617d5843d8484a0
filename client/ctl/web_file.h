/* The files of web/, compiled in (embed.cmake). */
#ifndef GA_CTL_WEB_FILE_H
#define GA_CTL_WEB_FILE_H

#include <stddef.h>

struct ga_web_file {
    const char *name;           /* NULL behind the last */
    const unsigned char *bytes; /* a zero follows them */
    size_t nbytes;
};

extern const struct ga_web_file ga_web_files[];

/* The file of this name, or NULL. */
const struct ga_web_file *ga_web_file_find(const char *name);

#endif
