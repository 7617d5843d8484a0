/* A program of somebody else's: what it needs of goalloc is one header and one library.
 *
 *   consumer ROOT   find the text published as ROOT and free it; without one, publish one
 *
 * It has a function with a name that goalloc uses inside, which must not matter. */
#include <stdio.h>
#include <string.h>

#include <goalloc/goalloc.h>

#define TEXT "left by the first process"

int ga_slot_tell(void);
int ga_slot_tell(void)
{
    return 0;
}

static int fail(const char *what, int err)
{
    fprintf(stderr, "consumer: %s: %s\n", what, goalloc_strerror(err));
    return 1;
}

static int leave(struct goalloc_heap *heap, const char *root)
{
    char *text = goalloc_malloc(heap, sizeof(TEXT));
    if (!text)
        return fail("malloc", 0);
    memcpy(text, TEXT, sizeof(TEXT));
    int err = goalloc_publish(heap, root, text);
    return err < 0 ? fail("publish", err) : 0;
}

static int take(struct goalloc_heap *heap, const char *root, char *text)
{
    if (strcmp(text, TEXT) != 0)
        return fail("another text", 0);
    int err = goalloc_unpublish(heap, root);
    goalloc_free(heap, text);
    return err < 0 ? fail("unpublish", err) : 0;
}

int main(int argc, char **argv)
{
    struct goalloc_heap *heap;
    void *found;
    if (argc != 2)
        return 2;
    if (goalloc_attach(NULL, NULL, &heap) < 0) {
        fprintf(stderr, "consumer: %s\n", goalloc_attach_error());
        return 1;
    }
    int status = goalloc_lookup(heap, argv[1], &found) < 0 ? leave(heap, argv[1])
                                                           : take(heap, argv[1], found);
    goalloc_detach(heap);
    return status + ga_slot_tell();
}
