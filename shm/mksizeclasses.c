/* The generator of the size-class tables, a program the build runs: mksizeclasses OUTPUT.h.
 *
 * The classes are those of the Go runtime and follow from a rule, in four steps:
 *   1. Walk the candidate sizes from 8 to 32,768. The step is 8 at first and is picked anew at each
 *      power of two from 32 on, so that from 128 to 2,048 there are eight sizes a doubling:
 * rounding a request up wastes at most an eighth.
 *   2. A candidate's span is the fewest pages whose rest behind the last slot is at most an eighth.
 *   3. A candidate with the pages and the slots of the class before it replaces that class: the
 *      smaller size would have saved nothing.
 *   4. At the end each class grows into the rest of its span as far as multiples of 128 go, which
 *      the lookup table of the larger sizes is indexed by.
 *
 * The tables are checked before they are written. A table that is not what the rest of goalloc was
 * built for ends the program with 1 and leaves the output as it was, and so fails the build. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLASS_COUNT     68u /* class 0 included, which stands for the large spans */
#define PAGE_SIZE       8192u
#define SMALL_MAX       32768u
#define MIN_STEP        8u
#define FINE_STEP       8u /* of the lookup table up to FINE_MAX */
#define FINE_MAX        1024u
#define COARSE_STEP     128u /* of the lookup table from there on */
#define FINE_ENTRIES    (FINE_MAX / FINE_STEP + 1)
#define COARSE_ENTRIES  ((SMALL_MAX - FINE_MAX) / COARSE_STEP + 1)
#define REST_DIVISOR    8u  /* a span's rest is at most this part of it */
#define MALLOC_ALIGN    16u /* of what malloc returns, from this size on */
#define ENTRIES_PER_ROW 16u

struct size_class {
    uint32_t size;
    uint32_t npages;
    uint32_t nslots;
    uint32_t magic;
    uint32_t align;
};

struct tables {
    struct size_class classes[CLASS_COUNT];
    uint32_t count;
    uint8_t fine[FINE_ENTRIES];
    uint8_t coarse[COARSE_ENTRIES];
    uint8_t fine_malloc[FINE_ENTRIES];
};

static bool is_power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* The distance to the candidate after size. */
static uint32_t step_after(uint32_t size, uint32_t step)
{
    if (!is_power_of_two(size) || size < 32)
        return step;
    if (size >= 2048)
        return 256;
    return size >= 128 ? size / 8 : 16;
}

static uint32_t pages_for(uint32_t size)
{
    uint32_t npages = 1;
    while (npages * PAGE_SIZE % size > npages * PAGE_SIZE / REST_DIVISOR)
        npages++;
    return npages;
}

/* The largest power of two that divides size; a slot is never aligned to more than its page. */
static uint32_t natural_align(uint32_t size)
{
    uint32_t align = size & (~size + 1);
    return align < PAGE_SIZE ? align : PAGE_SIZE;
}

/* Steps 1 to 3. False: more classes than there may be. */
static bool walk_sizes(struct tables *t)
{
    t->count = 1;
    uint32_t step = MIN_STEP;
    for (uint32_t size = MIN_STEP; size <= SMALL_MAX; size += step) {
        step = step_after(size, step);
        uint32_t npages = pages_for(size);
        uint32_t nslots = npages * PAGE_SIZE / size;
        const struct size_class *last = &t->classes[t->count - 1];
        if (last->npages != npages || last->nslots != nslots)
            t->count++;
        if (t->count > CLASS_COUNT)
            return false;
        t->classes[t->count - 1] =
            (struct size_class){.size = size, .npages = npages, .nslots = nslots};
    }
    return true;
}

/* Step 4, and the columns that follow from the size. */
static void finish_classes(struct tables *t)
{
    for (uint32_t i = 1; i < t->count; i++) {
        struct size_class *class = &t->classes[i];
        uint32_t grown = class->npages * PAGE_SIZE / class->nslots / COARSE_STEP * COARSE_STEP;
        if (grown > class->size)
            class->size = grown;
        class->magic = UINT32_MAX / class->size + 1;
        class->align = natural_align(class->size);
    }
}

/* The smallest class for size with at least this alignment. */
static uint8_t smallest_class(const struct tables *t, uint32_t size, uint32_t align)
{
    uint32_t i = size == 0 ? 0 : 1;
    while (i + 1 < t->count && (t->classes[i].size < size || t->classes[i].align < align))
        i++;
    return (uint8_t)i;
}

static void fill_lookups(struct tables *t)
{
    for (uint32_t i = 0; i < FINE_ENTRIES; i++) {
        uint32_t size = i * FINE_STEP;
        t->fine[i] = smallest_class(t, size, 0);
        /* malloc(0) gives a pointer of its own and so counts as malloc(1). The entry of a size
         * serves those down to the entry before it: that of 16 also 9 to 15. */
        t->fine_malloc[i] =
            smallest_class(t, size == 0 ? 1 : size, size >= MALLOC_ALIGN ? MALLOC_ALIGN : MIN_STEP);
    }
    for (uint32_t i = 0; i < COARSE_ENTRIES; i++)
        t->coarse[i] = smallest_class(t, FINE_MAX + i * COARSE_STEP, 0);
}

static bool complain(const char *what, uint32_t class)
{
    fprintf(stderr, "mksizeclasses: class %u: %s\n", class, what);
    return false;
}

static bool check_class(const struct tables *t, uint32_t i)
{
    const struct size_class *class = &t->classes[i];
    uint32_t span = class->npages * PAGE_SIZE;
    if (class->size <= t->classes[i - 1].size)
        return complain("not larger than the class before it", i);
    if (class->size % MIN_STEP != 0)
        return complain("the size is not a multiple of 8", i);
    if (class->size > FINE_MAX && class->size % COARSE_STEP != 0)
        return complain("the size is not a multiple of 128", i);
    if (class->nslots != span / class->size)
        return complain("growing the size lost a slot", i);
    /* The coarse table, which malloc uses too, does not look at alignment. */
    if (class->size > FINE_MAX && class->align < MALLOC_ALIGN)
        return complain("a large size is not aligned for malloc", i);
    for (uint32_t offset = 0; offset <= span; offset++)
        if ((uint64_t)offset * class->magic >> 32 != offset / class->size)
            return complain("the magic number does not divide", i);
    return true;
}

static bool check_tables(const struct tables *t)
{
    if (t->count != CLASS_COUNT)
        return complain("the rule ends here, with too few classes", t->count - 1);
    if (t->classes[CLASS_COUNT - 1].size != SMALL_MAX)
        return complain("the last class is not the largest small size", CLASS_COUNT - 1);
    for (uint32_t i = 1; i < CLASS_COUNT; i++)
        if (!check_class(t, i))
            return false;
    return true;
}

static void print_lookup(FILE *f, const char *name, const uint8_t *entries, uint32_t count)
{
    fprintf(f, "\nconst uint8_t %s[%u] = {", name, count);
    for (uint32_t i = 0; i < count; i++)
        fprintf(f, "%s%u,", i % ENTRIES_PER_ROW == 0 ? "\n    " : " ", entries[i]);
    fprintf(f, "\n};\n");
}

/* For the reader: what each class wastes. The worst case is a span full of the smallest objects
 * that the class serves. */
static void print_waste(FILE *f, const struct tables *t)
{
    fprintf(f, "/* class   bytes  span bytes  slots  rest bytes  worst waste  align\n");
    for (uint32_t i = 1; i < CLASS_COUNT; i++) {
        const struct size_class *class = &t->classes[i];
        uint32_t span = class->npages * PAGE_SIZE;
        uint32_t rest = span - class->nslots * class->size;
        uint32_t waste = (class->size - t->classes[i - 1].size - 1) * class->nslots + rest;
        fprintf(f, " * %5u  %6u  %10u  %5u  %10u  %9.2f %%  %5u\n", i, class->size, span,
                class->nslots, rest, 100.0 * waste / span, class->align);
    }
    fprintf(f, " */\n");
}

static void declare_lookup(FILE *f, const char *name, uint32_t count)
{
    fprintf(f, "extern const uint8_t %s[%u] GA_SIZE_CLASS_TABLE;\n", name, count);
}

/* One copy of each table for all who read it: they lie in few OS pages, and in few cache lines. */
static void print_declarations(FILE *f)
{
    fprintf(f,
            "#define GA_SIZE_CLASS_TABLE __attribute__((visibility(\"hidden\")))\n\n"
            "/* Class 0 stands for the large spans, and its fields are 0. */\n"
            "extern const struct ga_size_class ga_size_classes[GA_SIZE_CLASS_COUNT]\n"
            "    GA_SIZE_CLASS_TABLE;\n\n"
            "/* Entry i of the fine tables is the class of a size of 8 * i bytes, of the coarse\n"
            " * table that of 1,024 + 128 * i. The malloc table keeps to 16-byte alignment from\n"
            " * 16 bytes on. */\n");
    declare_lookup(f, "ga_size_class_fine", FINE_ENTRIES);
    declare_lookup(f, "ga_size_class_fine_malloc", FINE_ENTRIES);
    declare_lookup(f, "ga_size_class_coarse", COARSE_ENTRIES);
}

static void print_definitions(FILE *f, const struct tables *t)
{
    fprintf(f, "\n#ifdef GA_SIZE_CLASS_DEFINE /* shm/size_class.c alone */\n\n"
               "const struct ga_size_class ga_size_classes[GA_SIZE_CLASS_COUNT] = {\n");
    for (uint32_t i = 0; i < CLASS_COUNT; i++) {
        const struct size_class *class = &t->classes[i];
        fprintf(f, "    {%u, %u, %u, %uu, %u},\n", class->size, class->npages, class->nslots,
                class->magic, class->align);
    }
    fprintf(f, "};\n");
    print_lookup(f, "ga_size_class_fine", t->fine, FINE_ENTRIES);
    print_lookup(f, "ga_size_class_fine_malloc", t->fine_malloc, FINE_ENTRIES);
    print_lookup(f, "ga_size_class_coarse", t->coarse, COARSE_ENTRIES);
    fprintf(f, "\n#endif\n");
}

static void print_tables(FILE *f, const struct tables *t)
{
    fprintf(f,
            "/* The size classes and their lookup tables, made by shm/mksizeclasses.c: change the\n"
            " * rule there, not the numbers here. Read through shm/size_class.h. */\n"
            "#ifndef GA_SHM_SIZE_CLASS_TABLES_H\n"
            "#define GA_SHM_SIZE_CLASS_TABLES_H\n\n"
            "#include <stdint.h>\n\n"
            "#define GA_SIZE_CLASS_COUNT %uu\n"
            "#define GA_SMALL_MAX        %uu\n\n",
            CLASS_COUNT, SMALL_MAX);
    print_waste(f, t);
    fprintf(f, "\n"
               "struct ga_size_class {\n"
               "    uint32_t size;   /* of a slot, in bytes */\n"
               "    uint32_t npages; /* of a span */\n"
               "    uint32_t nslots; /* in a span */\n"
               "    uint32_t magic;  /* offset * magic >> 32 is offset / size, within the span */\n"
               "    uint32_t align;  /* of every slot: the largest power of two dividing size, at\n"
               "                        most a page */\n"
               "};\n\n");
    print_declarations(f);
    print_definitions(f, t);
    fprintf(f, "\n#endif\n");
}

/* Write the tables to path and close it. */
static bool write_file(const char *path, const struct tables *t)
{
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    print_tables(f, t);
    bool failed = ferror(f) != 0;
    return fclose(f) == 0 && !failed;
}

/* Put the tables at path, whole or not at all: they are written beside it and renamed. What is
 * there and is no regular file, such as a device, is written to and never replaced or removed. */
static bool write_output(const char *path, const struct tables *t)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return write_file(path, t);
    char beside[PATH_MAX];
    int length = snprintf(beside, sizeof(beside), "%s.new", path);
    if (length < 0 || (size_t)length >= sizeof(beside)) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (write_file(beside, t) && rename(beside, path) == 0)
        return true;
    int err = errno;
    unlink(beside);
    errno = err;
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: mksizeclasses OUTPUT.h\n");
        return 2;
    }
    static struct tables tables;
    if (!walk_sizes(&tables)) {
        complain("the rule gives more classes than this", CLASS_COUNT - 1);
        return 1;
    }
    finish_classes(&tables);
    fill_lookups(&tables);
    if (!check_tables(&tables))
        return 1;

    if (!write_output(argv[1], &tables)) {
        fprintf(stderr, "mksizeclasses: %s cannot be written: %s\n", argv[1], strerror(errno));
        return 1;
    }
    return 0;
}
