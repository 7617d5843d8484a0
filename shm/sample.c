#include "shm/sample.h"

#define LINE_WORDS 8u
#define ONE_SAMPLE (UINT64_C(1) << 32)

static _Atomic uint64_t *set_of(const struct ga_view *view, uint64_t offset)
{
    return &view->samples[offset / (GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE) * view->sample_words];
}

static uint64_t place_of(uint64_t offset)
{
    return offset % (GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE) / 8;
}

/* The first of the two lines of words that may stand for the object at this place: its number. */
static uint32_t first_line(const struct ga_view *view, uint64_t place)
{
    uint32_t nlines = view->sample_words / LINE_WORDS;
    return (uint32_t)(place * 0x9E3779B1u >> 8) & (nlines - 1);
}

/* The i-th of these words: of that line, and then of the one beside it. */
static _Atomic uint64_t *nth_word(const struct ga_view *view, _Atomic uint64_t *set, uint64_t place,
                                  uint32_t i)
{
    return &set[(first_line(view, place) ^ i / LINE_WORDS) * LINE_WORDS + i % LINE_WORDS];
}
#define NPLACES (2 * LINE_WORDS)

static bool is_at(uint64_t word, uint64_t place)
{
    return word != 0 && (word & ((UINT64_C(1) << GA_SAMPLE_SITE_SHIFT) - 1)) == place;
}

bool ga_sample_put(const struct ga_view *view, ga_page_id page, uint64_t offset, uint64_t word)
{
    _Atomic uint64_t *set = set_of(view, offset);
    uint64_t place = place_of(offset);
    _Atomic uint64_t *count = &view->lines[page].nholds;
    /* seq_cst, as the server's change of the other half. */
    ga_fetch_add_seq_cst(count, ONE_SAMPLE);
    for (uint32_t i = 0; i < NPLACES; i++) {
        _Atomic uint64_t *at = nth_word(view, set, place, i);
        uint64_t expected = 0;
        if (ga_load_relaxed(at) == 0 && ga_cas_seq_cst(at, &expected, word | place))
            return true;
    }
    ga_fetch_sub_relaxed(count, ONE_SAMPLE);
    return false;
}

/* Lower the span's count, unless somebody has spoilt it. */
static void count_down(const struct ga_view *view, ga_page_id page)
{
    _Atomic uint64_t *count = &view->lines[page].nholds;
    if (ga_line_samples(ga_load_relaxed(count)) > 0)
        ga_fetch_sub_relaxed(count, ONE_SAMPLE);
}

/* Where the word of the object at offset is, and *ret is it; NULL where there is none. */
static _Atomic uint64_t *find(const struct ga_view *view, uint64_t offset, uint64_t *ret)
{
    _Atomic uint64_t *set = set_of(view, offset);
    uint64_t place = place_of(offset);
    for (uint32_t i = 0; i < NPLACES; i++) {
        _Atomic uint64_t *at = nth_word(view, set, place, i);
        /* Acquire: pairs with the put, for what the site says. */
        uint64_t word = ga_load_acquire(at);
        if (is_at(word, place)) {
            *ret = word;
            return at;
        }
    }
    return NULL;
}

bool ga_sample_find(const struct ga_view *view, uint64_t offset, uint64_t *ret)
{
    return find(view, offset, ret) != NULL;
}

bool ga_sample_has(const struct ga_view *view, uint64_t offset)
{
    uint64_t place = place_of(offset);
    const _Atomic uint64_t *words = set_of(view, offset);
    uint32_t first = first_line(view, place) * LINE_WORDS;
    bool has = false;
    /* All of them: a loop without a branch that nobody can foresee. */
    for (uint32_t i = 0; i < LINE_WORDS; i++) {
        has |= is_at(ga_load_acquire(&words[first + i]), place);
        has |= is_at(ga_load_acquire(&words[(first ^ LINE_WORDS) + i]), place);
    }
    return has;
}

bool ga_sample_is_in_place(const struct ga_view *view, uint64_t set, uint32_t index)
{
    _Atomic uint64_t *at = &view->samples[set * view->sample_words + index];
    uint64_t word;
    return find(view, ga_sample_offset(set, ga_load_relaxed(at)), &word) == at;
}

bool ga_sample_take(const struct ga_view *view, ga_page_id page, uint64_t offset, uint64_t *ret)
{
    _Atomic uint64_t *set = set_of(view, offset);
    uint64_t place = place_of(offset);
    for (uint32_t i = 0; i < NPLACES; i++) {
        _Atomic uint64_t *at = nth_word(view, set, place, i);
        /* Acquire: pairs with the put, for what the site says. */
        uint64_t word = ga_load_acquire(at);
        if (is_at(word, place) && ga_cas_seq_cst(at, &word, 0)) {
            count_down(view, page);
            *ret = word;
            return true;
        }
    }
    return false;
}

uint32_t ga_sample_forget_span(const struct ga_view *view, ga_page_id page, uint64_t npages)
{
    uint64_t from = (uint64_t)page * GA_PAGE_SIZE;
    uint64_t to = from + npages * GA_PAGE_SIZE;
    uint32_t forgotten = 0;
    /* Objects of a span begin in its first GA_SAMPLE_SET_NPAGES pages: only large ones are longer,
     * and these are one object. */
    if (npages > GA_SAMPLE_SET_NPAGES)
        to = from + GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE;
    for (uint64_t set = page / GA_SAMPLE_SET_NPAGES;
         set <= (to - 1) / (GA_SAMPLE_SET_NPAGES * GA_PAGE_SIZE); set++)
        for (uint32_t i = 0; i < view->sample_words; i++) {
            _Atomic uint64_t *at = &view->samples[set * view->sample_words + i];
            uint64_t word = ga_load_relaxed(at);
            uint64_t offset = ga_sample_offset(set, word);
            if (word == 0 || offset < from || offset >= to)
                continue;
            ga_store_relaxed(at, 0);
            forgotten++;
        }
    ga_fetch_and_seq_cst(&view->lines[page].nholds, ONE_SAMPLE - 1);
    return forgotten;
}
