/* Holds some memory until its standard input ends, and says when it does. */
#include <string.h>
#include <unistd.h>

#include "check.h"

#define N    3000
#define SIZE 1000

static void *(*volatile allocate)(size_t) = malloc;
static void *held[N];

/* A name that profiles show. */
__attribute__((noinline)) static void hold_much(void)
{
    for (int i = 0; i < N; i++) {
        held[i] = allocate(SIZE);
        CHECK(held[i]);
        memset(held[i], 1, SIZE);
    }
    __asm__ volatile("" : : : "memory");
}

int main(void)
{
    char byte;
    hold_much();
    CHECK(write(STDOUT_FILENO, ".", 1) == 1);
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
