#include "object.h"

#include <string.h>

#include "support/cunit_main.h"

/* Of a long object not every word is written. */
enum { WORD = 8, DENSE = 64, SPARSE = 509, DECOY = 1 };

/* No address of a heap begins with this byte. */
#define NOT_AN_ADDRESS (UINT64_C(0xc5) << 56)

static uint64_t word_of(uint64_t number, uint64_t index)
{
    uint64_t state = (number << 24) + index;
    return ga_test_random(&state) >> 8 | NOT_AN_ADDRESS;
}

uint32_t object_nedges(uint64_t bytes, bool noscan)
{
    uint64_t nwords = bytes / WORD;
    if (noscan || nwords < 2)
        return 0;
    return nwords - 1 < SHADOW_EDGES ? (uint32_t)(nwords - 1) : SHADOW_EDGES;
}

/* In a small object they follow the number, in a larger one the last is the last word. */
static uint64_t edge_word(uint64_t bytes, uint32_t edge)
{
    uint64_t nwords = bytes / WORD;
    if (nwords - 1 <= SHADOW_EDGES)
        return 1 + edge;
    return 1 + edge * (nwords - 2) / (SHADOW_EDGES - 1);
}

void **object_edge(uint8_t *object, uint64_t bytes, uint32_t edge)
{
    return (void **)(void *)(object + edge_word(bytes, edge) * WORD);
}

/* The word after index that is written; the number itself is word 0. */
static uint64_t next_word(uint64_t index)
{
    return index < DENSE ? index + 1 : index + SPARSE;
}

static bool is_edge(const struct shadow_record *record, uint64_t word)
{
    for (uint32_t i = 0; i < record->nedges; i++)
        if (edge_word(record->bytes, i) == word)
            return true;
    return false;
}

static bool is_body(const struct shadow_record *record, uint64_t word)
{
    return !is_edge(record, word) && !(record->noscan && word == DECOY);
}

void object_fill(uint8_t *object, const struct shadow_record *record, const void *decoy)
{
    uint64_t first = word_of(record->number, 0);
    memcpy(object, &first, record->bytes < WORD ? record->bytes : WORD);
    for (uint64_t i = 1; i < record->bytes / WORD; i = next_word(i)) {
        uint64_t word = word_of(record->number, i);
        if (is_body(record, i))
            memcpy(object + i * WORD, &word, WORD);
    }
    for (uint32_t i = 0; i < record->nedges; i++)
        *object_edge(object, record->bytes, i) = NULL;
    if (record->noscan && record->bytes >= (DECOY + 1) * WORD)
        memcpy(object + DECOY * WORD, &decoy, WORD);
}

bool object_is_intact(const uint8_t *object, const struct shadow_record *record)
{
    uint64_t first = word_of(record->number, 0);
    if (memcmp(object, &first, record->bytes < WORD ? record->bytes : WORD) != 0)
        return false;
    for (uint64_t i = 1; i < record->bytes / WORD; i = next_word(i)) {
        uint64_t word = word_of(record->number, i);
        if (is_body(record, i) && memcmp(object + i * WORD, &word, WORD) != 0)
            return false;
    }
    return true;
}

void object_deface(uint8_t *object, const struct shadow_record *record)
{
    uint64_t first = ~word_of(record->number, 0);
    memcpy(object, &first, record->bytes < WORD ? record->bytes : WORD);
}

bool object_is_defaced(const uint8_t *object, const struct shadow_record *record)
{
    uint64_t first = ~word_of(record->number, 0);
    return memcmp(object, &first, record->bytes < WORD ? record->bytes : WORD) == 0;
}
