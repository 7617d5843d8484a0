/* A text that several answers share: made once, and freed when the last of them is sent. */
#ifndef GA_CTL_DOCUMENT_H
#define GA_CTL_DOCUMENT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

struct ga_document {
    _Atomic unsigned references;
    char *bytes;
    size_t nbytes;
};

/* Have write put the text on a stream. Returns it with one reference; NULL without memory. */
struct ga_document *ga_document_write(void (*write)(FILE *out, const void *data), const void *data);
/* Take bytes, from malloc, over; they are freed also if NULL is returned. */
struct ga_document *ga_document_of(char *bytes, size_t nbytes);
struct ga_document *ga_document_ref(struct ga_document *document);
/* NULL is allowed. Thread-safe, as ga_document_ref. */
void ga_document_unref(struct ga_document *document);

#endif
