#include "client/ctl/document.h"

#include <stdlib.h>

struct ga_document *ga_document_of(char *bytes, size_t nbytes)
{
    struct ga_document *document = malloc(sizeof(*document));
    if (!document || !bytes) {
        free(document);
        free(bytes);
        return NULL;
    }
    document->bytes = bytes;
    document->nbytes = nbytes;
    atomic_init(&document->references, 1);
    return document;
}

struct ga_document *ga_document_write(void (*write)(FILE *out, const void *data), const void *data)
{
    char *bytes = NULL;
    size_t nbytes = 0;
    FILE *out = open_memstream(&bytes, &nbytes);
    if (!out)
        return NULL;
    write(out, data);
    if (ferror(out) || fclose(out) != 0) {
        free(bytes);
        return NULL;
    }
    return ga_document_of(bytes, nbytes);
}

struct ga_document *ga_document_ref(struct ga_document *document)
{
    if (document)
        atomic_fetch_add_explicit(&document->references, 1, memory_order_relaxed);
    return document;
}

void ga_document_unref(struct ga_document *document)
{
    /* Acquire and release: what the others read, they have read before it is freed. */
    if (!document || atomic_fetch_sub_explicit(&document->references, 1, memory_order_acq_rel) != 1)
        return;
    free(document->bytes);
    free(document);
}
