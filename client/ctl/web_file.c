#include "client/ctl/web_file.h"

#include <string.h>

const struct ga_web_file *ga_web_file_find(const char *name)
{
    for (const struct ga_web_file *file = ga_web_files; file->name; file++)
        if (strcmp(file->name, name) == 0)
            return file;
    return NULL;
}
