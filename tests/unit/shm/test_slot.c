/* The protocol of a slot, in one thread: each step with the whole state looked at, frees refused in
 * every state that is not "in use", processes that die half-way. The server's part is played by the
 * test. (Threads: test_holder.c.) */
#include "shm/slot.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shm/size_class.h"
#include "support/cunit_main.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define NPAGES   1024u
#define MCACHES  6u
#define PAGE     330u /* pending and inbox: word 5 (of an inbox 1), bit 10 */
#define ME       2u
#define OTHER    3u
#define DEATH    100 /* span class, of 7 slots */
#define BIT(i)   (UINT64_C(1) << (i))

/* What the protocol is about, and nothing else; compared as a whole. */
struct memory {
    struct ga_mcache mcaches[MCACHES];
    _Atomic uint64_t pending[NPAGES / 64];
    struct ga_span_line lines[NPAGES];
    struct ga_span_wide wide[NPAGES];
};
static struct memory *memory; /* shared with children that die */
static struct memory before;
static ga_page_word page_table[NPAGES];
static struct ga_view view;

static uint64_t random_state;
static ga_span_class span_class; /* of the span under test */
static uint32_t nslots;

/* Classes of 16, 6, 3, 2 and 1 words, the last with 64, 51 and 1 slots. */
static const ga_span_class classes[] = {2, 7, 11, 12, 20, 25, 135};

/* A fresh span of the class at page, with bits of either value, owned by ME. */
static void make_span(ga_page_id page, ga_span_class c)
{
    span_class = c;
    nslots = ga_size_classes[c / 2].nslots ? ga_size_classes[c / 2].nslots : 1;
    for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
        uint64_t bits = ga_test_random(&random_state);
        ga_store_relaxed(ga_view_a(&view, page, word), bits);
        ga_store_relaxed(ga_view_f(&view, page, word), bits);
    }
    ga_store_relaxed(&page_table[page], ga_entry_make(c, 1, ME, GA_ENTRY_INUSE | GA_ENTRY_FIRST));
}

static void reset(ga_span_class c)
{
    memset(memory, 0, sizeof(*memory));
    memset(page_table, 0, sizeof(page_table));
    make_span(PAGE, c);
    /* There was another lease before. */
    ga_store_relaxed(&memory->lines[PAGE].holder, ga_holder_next(0, OTHER, GA_HOLDER_RETURNED));
    ga_slot_begin_lease(&view, ME, PAGE);
}

static void set_owner(ga_page_id page, ga_mcache_id owner)
{
    ga_xchg_seq_cst(&page_table[page],
                    ga_entry_with_owner(ga_load_relaxed(&page_table[page]), owner));
}

static struct ga_slot slot_at(ga_page_id page, uint32_t index)
{
    return (struct ga_slot){.page = page, .index = index, .entry = ga_view_entry(&view, page)};
}

static bool in_use(uint32_t index)
{
    struct ga_slot slot = slot_at(PAGE, index);
    uint64_t a = 77;
    bool used = ga_slot_in_use(&view, &slot, &a);
    uint64_t bit = ga_load_relaxed(ga_view_a(&view, PAGE, index / 64)) & BIT(index % 64);
    CU_ASSERT_EQUAL(a, bit);
    return used;
}

static bool free_slot(ga_mcache_id me, uint32_t index)
{
    struct ga_slot slot = slot_at(PAGE, index);
    return ga_slot_free_by_other(&view, me, &slot);
}

/* The holder takes the lowest free slot of the word. */
static uint32_t allocate(uint32_t word)
{
    uint64_t slots = ga_slot_find_free(&view, PAGE, word, nslots);
    CU_ASSERT_FATAL(slots != 0);
    ga_slot_flip(ga_view_a(&view, PAGE, word), slots & -slots);
    return word * 64 + (uint32_t)__builtin_ctzll(slots);
}

static void allocate_all(uint32_t word)
{
    while (ga_slot_find_free(&view, PAGE, word, nslots) != 0)
        allocate(word);
}

/* Whether exactly the slots from..to-1 of the span are in use. */
static bool used_are(uint32_t from, uint32_t to)
{
    bool good = true;
    for (uint32_t i = 0; i < nslots; i++)
        good = good && in_use(i) == (i >= from && i < to);
    return good;
}

static bool is_pending(void)
{
    return ga_load_relaxed(ga_view_pending(&view, PAGE / 64)) == BIT(PAGE % 64);
}

static bool is_in_inbox(ga_mcache_id id)
{
    return ga_load_relaxed(&memory->mcaches[id].inbox[span_class].word[1]) == BIT(PAGE % 64);
}

static void valid_masks(void)
{
    CU_ASSERT_EQUAL(ga_valid_mask(1, 0), 1);
    CU_ASSERT_EQUAL(ga_valid_mask(63, 0), BIT(63) - 1);
    CU_ASSERT_EQUAL(ga_valid_mask(64, 0), ~UINT64_C(0));
    CU_ASSERT_EQUAL(ga_valid_mask(64, 1), 0);
    CU_ASSERT_EQUAL(ga_valid_mask(65, 1), 1);
    CU_ASSERT_EQUAL(ga_word_count(64), 1);
    CU_ASSERT_EQUAL(ga_word_count(65), 2);
    CU_ASSERT_EQUAL(ga_word_count(1024), GA_SPAN_WORDS);
}

/* begin, malloc, end: what each leaves, in each class. */
static void steps_of_a_lease(void)
{
    for (size_t c = 0; c < COUNT(classes); c++) {
        reset(classes[c]);
        uint32_t last = ga_word_count(nslots) - 1;
        uint32_t first = last * 64;
        _Atomic uint64_t *a = ga_view_a(&view, PAGE, last);
        uint64_t f = ga_load_relaxed(ga_view_f(&view, PAGE, last));
        _Atomic uint64_t *holder = &memory->lines[PAGE].holder;
        CU_ASSERT(ga_holder_is_leased_by(ga_load_relaxed(holder), ME));
        CU_ASSERT_EQUAL(ga_load_relaxed(holder) >> GA_HOLDER_SEQ_SHIFT, 2);
        CU_ASSERT(used_are(0, 0));
        CU_ASSERT_EQUAL(ga_slot_find_free(&view, PAGE, last, nslots), ga_valid_mask(nslots, last));

        CU_ASSERT_EQUAL(allocate(last), first);
        CU_ASSERT(used_are(first, first + 1));
        CU_ASSERT_EQUAL(ga_slot_used(a), 1);
        CU_ASSERT_EQUAL(ga_load_relaxed(a), f ^ 1);
        CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, nslots), 1);

        ga_slot_end_lease(&view, ME, PAGE);
        CU_ASSERT(ga_holder_is_returned_by(ga_load_relaxed(holder), ME));
        CU_ASSERT_FALSE(ga_holder_is_leased_by(ga_load_relaxed(holder), ME));
        CU_ASSERT_EQUAL(ga_load_relaxed(holder) >> GA_HOLDER_SEQ_SHIFT, 3);
        CU_ASSERT(used_are(first, first + 1));
        /* Nobody has written F. */
        CU_ASSERT_EQUAL(ga_load_relaxed(ga_view_f(&view, PAGE, last)), f);
    }
}

/* Every slot is allocated once and freed by others, and again, with all bits the other way; and
 * freed by its holder. */
static void life_of_all_slots(void)
{
    for (size_t c = 0; c < COUNT(classes); c++) {
        reset(classes[c]);
        bool good = true;
        for (int round = 0; round < 4; round++) {
            for (uint32_t word = 0; word < ga_word_count(nslots); word++) {
                for (uint32_t i = word * 64; i < nslots && i < word * 64 + 64; i++)
                    good = good && !in_use(i) && allocate(word) == i && in_use(i);
                CU_ASSERT_EQUAL(ga_slot_find_free(&view, PAGE, word, nslots), 0);
            }
            CU_ASSERT(used_are(0, nslots));
            CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, nslots), nslots);
            for (uint32_t i = 0; i < nslots; i++) {
                if (round == 2)
                    ga_slot_flip(ga_view_a(&view, PAGE, i / 64), BIT(i % 64));
                else
                    good = good && free_slot(OTHER, i);
                good = good && !in_use(i) && !free_slot(OTHER, i);
            }
            CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, nslots), 0);
        }
        CU_ASSERT(good);
    }
}

/* A refused free changes no word anywhere. */
static void check_refused(uint32_t index)
{
    before = *memory;
    CU_ASSERT_FALSE(in_use(index));
    CU_ASSERT_FALSE(free_slot(OTHER, index));
    CU_ASSERT_EQUAL(memcmp(&before, memory, sizeof(before)), 0);
}

static void double_free_in_each_state(void)
{
    for (size_t c = 0; c + 1 < COUNT(classes); c++) {
        reset(classes[c]);
        check_refused(0); /* never allocated */
        check_refused(nslots - 1);
        uint32_t i = allocate(0);
        CU_ASSERT(free_slot(OTHER, i));
        check_refused(i); /* freed by another */
        CU_ASSERT_EQUAL(allocate(0), i);
        CU_ASSERT(in_use(i));
        ga_slot_flip(ga_view_a(&view, PAGE, 0), BIT(i));
        check_refused(i); /* freed by the holder */
        CU_ASSERT_EQUAL(allocate(0), i);
        CU_ASSERT(free_slot(OTHER, i));
        check_refused(i); /* by another once more */
        ga_slot_end_lease(&view, ME, PAGE);
        check_refused(i); /* returned */
    }
}

static void nothing_found_under_a_flush(void)
{
    reset(20);
    ga_store_relaxed(&memory->lines[PAGE].d, 4);
    CU_ASSERT_EQUAL(ga_slot_find_free(&view, PAGE, 0, nslots), 0);
    ga_store_relaxed(&memory->lines[PAGE].d, 0);
    CU_ASSERT_EQUAL(ga_slot_find_free(&view, PAGE, 0, nslots), ~UINT64_C(0));
}

static void news_go_to_the_owner(void)
{
    reset(20);
    allocate_all(0);
    CU_ASSERT(free_slot(OTHER, 0));
    CU_ASSERT(is_in_inbox(ME));
    CU_ASSERT_EQUAL(ga_load_relaxed(ga_view_pending(&view, PAGE / 64)), 0);
    CU_ASSERT_EQUAL(ga_load_relaxed(&memory->mcaches[OTHER].telling), 0);

    /* The owner counts, not the holder. */
    memset(memory->mcaches[ME].inbox, 0, sizeof(memory->mcaches[ME].inbox));
    set_owner(PAGE, 4);
    CU_ASSERT(free_slot(OTHER, 1));
    CU_ASSERT(is_in_inbox(4));
    CU_ASSERT_FALSE(is_in_inbox(ME));
    CU_ASSERT_FALSE(is_pending());

    set_owner(PAGE, 0);
    CU_ASSERT(free_slot(OTHER, 2));
    CU_ASSERT(is_pending());
    CU_ASSERT_FALSE(is_in_inbox(ME));

    /* Told again, which may happen: nothing more. */
    before = *memory;
    ga_slot_tell(&view, PAGE);
    CU_ASSERT_EQUAL(memcmp(&before, memory, sizeof(before)), 0);
    /* A page that is no span's first any more: the server finds out. */
    memset(&memory->pending, 0, sizeof(memory->pending));
    ga_store_relaxed(&page_table[PAGE], ga_entry_make(20, 1, ME, GA_ENTRY_INUSE));
    ga_slot_tell(&view, PAGE);
    CU_ASSERT(is_pending());
}

static void large_slot(void)
{
    for (ga_span_class large = 0; large < 2; large++) {
        reset(large);
        ga_store_relaxed(&memory->lines[PAGE].holder, 0);
        set_owner(PAGE, 0);
        _Atomic uint64_t *a = ga_view_a(&view, PAGE, 0);
        ga_store_relaxed(a, ga_load_relaxed(a) ^ 1);
        CU_ASSERT(in_use(0));
        CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, 1), 1);
        CU_ASSERT(free_slot(OTHER, 0));
        CU_ASSERT(is_pending());
        CU_ASSERT_EQUAL(ga_slot_count_used(&view, PAGE, 1), 0);
        check_refused(0);
    }
}

/* A holder word that was overwritten leads nowhere: A and F alone decide. */
static void stray_holder(void)
{
    reset(20);
    allocate_all(0);
    ga_store_relaxed(&memory->lines[PAGE].holder, GA_HOLDER_ID_MASK);
    CU_ASSERT(used_are(0, 64));
    ga_store_relaxed(&memory->lines[PAGE].holder, GA_MCACHE_COUNT);
    CU_ASSERT(free_slot(OTHER, 63));
    CU_ASSERT(used_are(0, 63));
}

/* A second free that looked up its pointer, and then the span was freed and its page given to
 * another class: what it computed stands for another address now, and may free nothing. */
static void entry_out_of_date(void)
{
    reset(20); /* 64 slots of 128 bytes */
    allocate_all(0);
    CU_ASSERT(free_slot(OTHER, 40));
    struct ga_slot stale = slot_at(PAGE, 40);
    reset(12); /* 128 slots of 64 bytes */
    allocate_all(0);
    CU_ASSERT(in_use(40));
    CU_ASSERT_FALSE(ga_slot_free_by_other(&view, OTHER, &stale));
    CU_ASSERT(in_use(40));
    /* Only the owner has changed: that is no other span. */
    set_owner(PAGE, 4);
    stale = slot_at(PAGE, 41);
    set_owner(PAGE, 0);
    CU_ASSERT(ga_slot_free_by_other(&view, OTHER, &stale));
}

/* ---- deaths: a process that is killed at the store that a protected page refuses ----
 */

enum death {
    AT_LINE,
    AT_INBOX,
    NEVER,
};

static void die(int number)
{
    _exit(number);
}

static void protect(enum death death)
{
    char *line = (char *)&memory->lines[PAGE];
    char *const pages[] = {line - (uintptr_t)line % 4096, (char *)&memory->mcaches[ME] + 4096};
    static_assert(offsetof(struct ga_mcache, inbox[DEATH]) / 4096 == 1, "the second page");
    if (death != NEVER)
        mprotect(pages[death], 4096, PROT_READ);
}

/* Let a process free slot 0 and die of it. */
static void free_and_die(enum death death)
{
    struct ga_slot slot = slot_at(PAGE, 0);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, die);
        protect(death);
        ga_slot_free_by_other(&view, OTHER, &slot);
        _exit(0);
    }
    int status = 0;
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    CU_ASSERT_EQUAL(WEXITSTATUS(status), death == NEVER ? 0 : SIGSEGV);
}

/* A death between the change of F and the news: telling names the span, and to tell again is all
 * that recovery needs. A death before the change has changed nothing. */
static void half_a_free(void)
{
    static const enum death deaths[] = {AT_LINE, AT_INBOX, NEVER};
    for (size_t i = 0; i < COUNT(deaths); i++) {
        reset(DEATH);
        CU_ASSERT(allocate(0) == 0 && allocate(0) == 1 && allocate(0) == 2);
        free_and_die(deaths[i]);
        CU_ASSERT(used_are(i < 1 ? 0 : 1, 3));
        CU_ASSERT_EQUAL(ga_load_relaxed(&memory->mcaches[OTHER].telling), i < 2 ? PAGE : 0);
        CU_ASSERT_EQUAL(is_in_inbox(ME), i == 2);
        ga_slot_tell(&view, PAGE);
        CU_ASSERT(is_in_inbox(ME));
    }
}

int main(void)
{
    random_state = ga_test_seed();
    void *shared =
        mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        return 1;
    memory = shared;
    view = (struct ga_view){.page_table = page_table,
                            .mcaches = memory->mcaches,
                            .pending_end = memory->pending + NPAGES / 64,
                            .lines = memory->lines,
                            .wide_end = memory->wide + NPAGES};
    static const struct ga_test tests[] = {
        {"valid masks", valid_masks},
        {"steps of a lease", steps_of_a_lease},
        {"life of all slots", life_of_all_slots},
        {"double free in each state", double_free_in_each_state},
        {"nothing found under a flush", nothing_found_under_a_flush},
        {"news go to the owner", news_go_to_the_owner},
        {"half a free", half_a_free},
        {"large slot", large_slot},
        {"stray holder", stray_holder},
        {"entry out of date", entry_out_of_date},
    };
    return ga_test_main("shm.slot", tests, COUNT(tests));
}
