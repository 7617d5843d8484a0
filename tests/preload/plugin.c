/* A library that allocates when it is loaded and unloaded, and for each thread that calls it. */
#include <stdlib.h>
#include <string.h>

static void *(*volatile allocate)(size_t) = malloc;
static char *text;
static _Thread_local char of_thread[20000];

char *ga_plugin_copy(const char *of);

static __attribute__((constructor)) void begin(void)
{
    text = allocate(100);
    if (!text)
        abort();
    strcpy(text, "loaded");
}

static __attribute__((destructor)) void end(void)
{
    if (strcmp(text, "loaded") != 0)
        abort();
    free(text);
    free(allocate(5000));
}

/* A copy that outlives the library. */
char *ga_plugin_copy(const char *of)
{
    strcpy(of_thread, of);
    return strdup(of_thread);
}
