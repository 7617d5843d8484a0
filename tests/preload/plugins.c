/* Libraries that allocate while they come and go, in several threads at once; the path of one is
 * the argument. */
#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "check.h"

#define THREADS 4
#define ROUNDS  200

static const char *path;

static void *load_and_close(void *data)
{
    for (int i = 0; i < ROUNDS; i++) {
        char *(*copy)(const char *) = NULL;
        void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        CHECK(library);
        void *symbol = dlsym(library, "ga_plugin_copy");
        CHECK(symbol);
        memcpy(&copy, &symbol, sizeof(symbol));
        char *text = copy("a copy");
        dlclose(library);
        CHECK(strcmp(text, "a copy") == 0);
        free(text);
    }
    return data;
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    CHECK(argc == 2);
    path = argv[1];
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_create(&thread[i], NULL, load_and_close, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    puts("all came and went");
    return 0;
}
