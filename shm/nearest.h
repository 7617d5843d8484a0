/* Of the words that a program knows, the one that a mistyped word probably was: goallocctl and
 * goallocd tell it with their complaint. Pure, no allocation. */
#ifndef GA_SHM_NEAREST_H
#define GA_SHM_NEAREST_H

#include <stddef.h>

/* Longer words are like no other. */
#define GA_NEAREST_MAX 64

struct ga_nearest {
    const char *word; /* what was typed, without what is alike in all, such as dashes */
    const char *best; /* the most alike so far, NULL = none is alike */
    size_t distance;  /* of best */
};

/* How many letters must be left out, put in, replaced, or exchanged with their neighbours, to make
 * one word of the other, no letter touched twice. SIZE_MAX where one has more than GA_NEAREST_MAX
 * bytes. */
size_t ga_edit_distance(const char *a, const char *b);

/* Begin with .word alone set; then try each word that is known. candidate becomes best if it is
 * more alike than those before, and enough so: one fault, and one more for every four letters, or
 * word is the
 * beginning of it. */
void ga_nearest_try(struct ga_nearest *nearest, const char *candidate);

#endif
