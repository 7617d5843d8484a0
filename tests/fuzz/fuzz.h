/* What a fuzz target is: one function that takes any bytes and ends the process if what it tests
 * breaks its promise. libFuzzer calls it with inputs of its own, replay.c with the kept ones. */
#ifndef GA_TESTS_FUZZ_H
#define GA_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must hold whatever the input is. */
#define FUZZ_CHECK(condition)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The input, taken from its front; zeros when it is used up. */
struct fuzz_input {
    const uint8_t *data;
    size_t size;
};

static inline uint64_t fuzz_take(struct fuzz_input *input, size_t nbytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < nbytes && input->size > 0; i++, input->size--)
        value |= (uint64_t)*input->data++ << (8 * i);
    return value;
}

/* The next line of the input, as a string in ret; false at the end. What does not fit is cut. */
static inline int fuzz_take_line(struct fuzz_input *input, char *ret, size_t ret_bytes)
{
    size_t n = 0;
    if (input->size == 0)
        return 0;
    while (input->size > 0) {
        uint8_t byte = *input->data++;
        input->size--;
        if (byte == '\n' || byte == '\0')
            break;
        if (n + 1 < ret_bytes)
            ret[n++] = (char)byte;
    }
    ret[n] = '\0';
    return 1;
}

#endif
