/* word_index: an index of the words in text files, built by one process and used by others.
 *
 *   word_index build [--stay] [FILE...]   index the files and publish the index
 *   word_index query [--all] WORD...      show the lines that have a word
 *   word_index forget WORD|FILE...        take words, or all about a file, out of the index
 *   word_index drop                       free the whole index
 *
 * The index is an ordinary C data structure: a hash table of words, each with a list of postings,
 * one for each line that has the word. What is not ordinary is where it lies: in a goalloc heap,
 * which a server keeps in shared memory. Every process sees that heap at the same addresses, so
 * the pointers below are plain pointers, nobody copies or converts anything, and each process may
 * free what another has allocated. The builder may be gone by then.
 *
 *   root "word-index" -> struct word_index -> buckets[] -> struct word  -> struct word -> ...
 *                                 |                          |     `-> text (no pointers in it)
 *                                 |                          `-> struct posting -> ...
 *                                 `-> struct file -> ...  <--------------'
 *
 * The heap gives memory, not locks: who changes a published index must see to it that nobody reads
 * or changes it meanwhile (README.md). */
#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <goalloc/goalloc.h>

#define ROOT_NAME      "word-index"
#define INDEX_MAGIC    UINT64_C(0x31786469646f7277) /* "wordidx1": what kind of object this is */
#define NBUCKETS       8192u
#define DEFAULT_FOLDER "/usr/share/common-licenses"
#define SHOWN_PLACES   3u

/* ---- the index, as it lies in the shared heap ---- */

struct file {
    struct file *next;
    char *path;
};

struct posting {
    struct posting *next;
    const struct file *file;
    uint32_t line;
};

struct word {
    struct word *next; /* in the same bucket */
    char *text;        /* in lower case */
    struct posting *first;
    struct posting *last; /* a line comes behind the line before it */
    uint64_t nlines;
};

struct word_index {
    uint64_t magic;
    struct word **buckets; /* NBUCKETS lists */
    struct file *files;
    uint64_t nfiles;
    uint64_t nwords;
    uint64_t npostings;
};

/* How many goalloc_malloc calls the index consists of. */
static uint64_t count_objects(const struct word_index *ix)
{
    return 2 + 2 * ix->nfiles + 2 * ix->nwords + ix->npostings;
}

static struct word **bucket_of(const struct word_index *ix, const char *text)
{
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * 16777619u;
    return &ix->buckets[hash % NBUCKETS];
}

/* The link that points to the word, or to NULL where it would go. */
static struct word **find_word(const struct word_index *ix, const char *text)
{
    struct word **link = bucket_of(ix, text);
    while (*link && strcmp((*link)->text, text) != 0)
        link = &(*link)->next;
    return link;
}

/* ---- building ---- */

/* A string never holds pointers, so it is allocated noscan: the heap then need not look into it
 * when it searches for what is still reachable. */
static char *copy_string(struct goalloc_heap *heap, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = goalloc_alloc(heap, size, 0, GOALLOC_NOSCAN);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static struct word_index *new_index(struct goalloc_heap *heap)
{
    struct word_index *ix = goalloc_calloc(heap, 1, sizeof(*ix));
    if (!ix)
        return NULL;
    ix->magic = INDEX_MAGIC;
    ix->buckets = goalloc_calloc(heap, NBUCKETS, sizeof(struct word *));
    if (!ix->buckets) {
        goalloc_free(heap, ix);
        return NULL;
    }
    return ix;
}

static struct file *add_file(struct goalloc_heap *heap, struct word_index *ix, const char *path)
{
    struct file *file = goalloc_calloc(heap, 1, sizeof(*file));
    if (!file)
        return NULL;
    file->path = copy_string(heap, path);
    if (!file->path) {
        goalloc_free(heap, file);
        return NULL;
    }
    file->next = ix->files;
    ix->files = file;
    ix->nfiles++;
    return file;
}

static struct word *add_word(struct goalloc_heap *heap, struct word_index *ix, const char *text)
{
    struct word **link = find_word(ix, text);
    if (*link)
        return *link;
    struct word *word = goalloc_calloc(heap, 1, sizeof(*word));
    if (!word)
        return NULL;
    word->text = copy_string(heap, text);
    if (!word->text) {
        goalloc_free(heap, word);
        return NULL;
    }
    *link = word;
    ix->nwords++;
    return word;
}

/* Note that the line has the word; a line counts once, however often it has it. */
static bool add_posting(struct goalloc_heap *heap, struct word_index *ix, struct word *word,
                        const struct file *file, uint32_t line)
{
    if (word->last && word->last->file == file && word->last->line == line)
        return true;
    struct posting *posting = goalloc_malloc(heap, sizeof(*posting));
    if (!posting)
        return false;
    *posting = (struct posting){.file = file, .line = line};
    if (word->last)
        word->last->next = posting;
    else
        word->first = posting;
    word->last = posting;
    word->nlines++;
    ix->npostings++;
    return true;
}

static bool is_word_character(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* A word is a run of [A-Za-z0-9_], compared without regard to case: what `LC_ALL=C grep -iw`
 * takes for one. Changes text. */
static bool add_line(struct goalloc_heap *heap, struct word_index *ix, const struct file *file,
                     uint32_t line, char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char *start = &text[i];
        while (i < length && is_word_character(text[i])) {
            text[i] = (char)tolower((unsigned char)text[i]);
            i++;
        }
        if (start == &text[i])
            continue;
        text[i] = '\0'; /* text[length], at the most, is there: getline ends it with a zero */
        struct word *word = add_word(heap, ix, start);
        if (!word || !add_posting(heap, ix, word, file, line))
            return false;
    }
    return true;
}

static bool index_file(struct goalloc_heap *heap, struct word_index *ix, const char *path)
{
    FILE *in = fopen(path, "r");
    if (!in) {
        perror(path);
        return false;
    }
    /* The line is this process's own business, so it lies in this process's own memory. */
    char *text = NULL;
    size_t capacity = 0;
    ssize_t length;
    uint32_t line = 0;
    const struct file *file = add_file(heap, ix, path);
    bool ok = file != NULL;
    while (ok && (length = getline(&text, &capacity, in)) >= 0)
        ok = add_line(heap, ix, file, ++line, text, (size_t)length);
    if (!ok)
        fprintf(stderr, "word_index: the heap is full at %s, line %" PRIu32 "\n", path, line);
    if (ferror(in)) {
        perror(path);
        ok = false;
    }
    free(text);
    fclose(in);
    return ok;
}

/* ---- taking apart ---- */

/* Take the word out of its bucket and free it with its postings. Which process has allocated them
 * does not matter. */
static void free_word(struct goalloc_heap *heap, struct word_index *ix, struct word **link)
{
    struct word *word = *link;
    *link = word->next;
    struct posting *next;
    for (struct posting *posting = word->first; posting; posting = next) {
        next = posting->next;
        goalloc_free(heap, posting);
        ix->npostings--;
    }
    goalloc_free(heap, word->text);
    goalloc_free(heap, word);
    ix->nwords--;
}

/* Free those postings of the word that are of the file. */
static void free_postings_of(struct goalloc_heap *heap, struct word_index *ix, struct word *word,
                             const struct file *file)
{
    struct posting **link = &word->first;
    word->last = NULL;
    while (*link) {
        struct posting *posting = *link;
        if (posting->file != file) {
            word->last = posting;
            link = &posting->next;
            continue;
        }
        *link = posting->next;
        goalloc_free(heap, posting);
        word->nlines--;
        ix->npostings--;
    }
}

/* Take the file out of the list and free it with all postings of it, and the words that have no
 * others. */
static void free_file(struct goalloc_heap *heap, struct word_index *ix, struct file **link)
{
    struct file *file = *link;
    for (size_t i = 0; i < NBUCKETS; i++) {
        struct word **word = &ix->buckets[i];
        while (*word) {
            free_postings_of(heap, ix, *word, file);
            if ((*word)->first)
                word = &(*word)->next;
            else
                free_word(heap, ix, word);
        }
    }
    *link = file->next;
    goalloc_free(heap, file->path);
    goalloc_free(heap, file);
    ix->nfiles--;
}

static void free_index(struct goalloc_heap *heap, struct word_index *ix)
{
    for (size_t i = 0; i < NBUCKETS; i++)
        while (ix->buckets[i])
            free_word(heap, ix, &ix->buckets[i]);
    while (ix->files)
        free_file(heap, ix, &ix->files);
    goalloc_free(heap, ix->buckets);
    goalloc_free(heap, ix);
}

/* ---- the commands ---- */

static int fail(const char *what, int err)
{
    fprintf(stderr, "word_index: %s: %s\n", what, goalloc_strerror(err));
    return EXIT_FAILURE;
}

/* Find the index that another process has published. */
static struct word_index *look_up(struct goalloc_heap *heap)
{
    void *found;
    int err = goalloc_lookup(heap, ROOT_NAME, &found);
    if (err < 0) {
        fail("cannot find the root \"" ROOT_NAME "\" (has an index been built?)", err);
        return NULL;
    }
    struct word_index *ix = found;
    if (goalloc_usable_size(heap, ix) < sizeof(*ix) || ix->magic != INDEX_MAGIC) {
        fputs("word_index: the root \"" ROOT_NAME "\" is no index of words\n", stderr);
        return NULL;
    }
    return ix;
}

static void to_lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* Index the file at path if it is a regular file; a link to one would count its lines twice. */
static bool index_path(struct goalloc_heap *heap, struct word_index *ix, const char *path)
{
    struct stat info;
    if (lstat(path, &info) < 0) {
        perror(path);
        return false;
    }
    return !S_ISREG(info.st_mode) || index_file(heap, ix, path);
}

static bool index_folder(struct goalloc_heap *heap, struct word_index *ix, const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    if (count < 0) {
        perror(folder);
        return false;
    }
    bool ok = true;
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX];
        int length = snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        free(entries[i]);
        ok = ok && length < (int)sizeof(path) && index_path(heap, ix, path);
    }
    free(entries);
    return ok;
}

/* Wait until somebody ends this process in an orderly way. */
static void stay_attached(void)
{
    sigset_t ending;
    int number;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);
    puts("stays attached");
    fflush(stdout);
    sigwait(&ending, &number);
}

static int build(struct goalloc_heap *heap, char **paths, bool stay)
{
    struct word_index *ix = new_index(heap);
    if (!ix) {
        fputs("word_index: the heap is full\n", stderr);
        return EXIT_FAILURE;
    }
    bool ok = paths[0] || index_folder(heap, ix, DEFAULT_FOLDER);
    for (size_t i = 0; ok && paths[i]; i++)
        ok = index_path(heap, ix, paths[i]);

    /* Published when it is whole, so that nobody ever finds half an index. */
    int err = ok ? goalloc_publish(heap, ROOT_NAME, ix) : 0;
    if (!ok || err < 0) {
        free_index(heap, ix);
        return ok ? fail("cannot publish the index as \"" ROOT_NAME "\"", err) : EXIT_FAILURE;
    }
    printf("built by process %d: %" PRIu64 " files, %" PRIu64 " words, %" PRIu64
           " postings, %" PRIu64 " objects\n",
           (int)getpid(), ix->nfiles, ix->nwords, ix->npostings, count_objects(ix));
    printf("published as \"" ROOT_NAME "\" at %p\n", (void *)ix);
    if (stay)
        stay_attached();
    return EXIT_SUCCESS;
}

static void query_word(const struct word_index *ix, const char *text, bool all)
{
    const struct word *word = *find_word(ix, text);
    if (!word) {
        printf("%s: 0 lines\n", text);
        return;
    }
    printf("%s: %" PRIu64 " lines, at %p\n", text, word->nlines, (const void *)word);
    uint64_t shown = 0;
    for (const struct posting *posting = word->first; posting; posting = posting->next) {
        if (!all && shown == SHOWN_PLACES)
            break;
        printf("  %s:%" PRIu32 "\n", posting->file->path, posting->line);
        shown++;
    }
    if (shown < word->nlines)
        printf("  and %" PRIu64 " more\n", word->nlines - shown);
}

static int query(struct goalloc_heap *heap, char **words, bool all)
{
    const struct word_index *ix = look_up(heap);
    if (!ix)
        return EXIT_FAILURE;
    printf("read by process %d: index at %p\n", (int)getpid(), (const void *)ix);
    for (size_t i = 0; words[i]; i++) {
        to_lower(words[i]);
        query_word(ix, words[i], all);
    }
    return EXIT_SUCCESS;
}

/* Free what the index has under name, a file's path or else a word. False where there is none. */
static bool forget_name(struct goalloc_heap *heap, struct word_index *ix, char *name)
{
    struct file **file = &ix->files;
    while (*file && strcmp((*file)->path, name) != 0)
        file = &(*file)->next;
    if (*file) {
        free_file(heap, ix, file);
        return true;
    }
    to_lower(name);
    struct word **word = find_word(ix, name);
    if (!*word)
        return false;
    free_word(heap, ix, word);
    return true;
}

static int forget(struct goalloc_heap *heap, char **names, bool unused)
{
    (void)unused;
    struct word_index *ix = look_up(heap);
    if (!ix)
        return EXIT_FAILURE;
    int status = EXIT_SUCCESS;
    for (size_t i = 0; names[i]; i++) {
        uint64_t before = count_objects(ix);
        if (forget_name(heap, ix, names[i])) {
            printf("%s: %" PRIu64 " objects freed by process %d\n", names[i],
                   before - count_objects(ix), (int)getpid());
        } else {
            fprintf(stderr, "word_index: not in the index: %s\n", names[i]);
            status = EXIT_FAILURE;
        }
    }
    return status;
}

static int drop(struct goalloc_heap *heap, char **rest, bool unused)
{
    (void)rest;
    (void)unused;
    struct word_index *ix = look_up(heap);
    if (!ix)
        return EXIT_FAILURE;
    int err = goalloc_unpublish(heap, ROOT_NAME);
    if (err < 0)
        return fail("cannot take the root back", err);
    printf("the index: %" PRIu64 " objects freed by process %d\n", count_objects(ix),
           (int)getpid());
    free_index(heap, ix);
    return EXIT_SUCCESS;
}

static const struct mode {
    const char *name;
    const char *option; /* the one it knows, or NULL */
    enum { NO_WORDS, SOME_WORDS, ANY_WORDS } takes;
    int (*run)(struct goalloc_heap *heap, char **words, bool option);
} modes[] = {
    {"build", "--stay", ANY_WORDS, build},
    {"query", "--all", SOME_WORDS, query},
    {"forget", NULL, SOME_WORDS, forget},
    {"drop", NULL, NO_WORDS, drop},
};

static int usage(void)
{
    fputs("usage: word_index build [--stay] [FILE...]\n"
          "       word_index query [--all] WORD...\n"
          "       word_index forget WORD|FILE...\n"
          "       word_index drop\n"
          "Without a FILE, build indexes those in " DEFAULT_FOLDER ".\n"
          "The heap is that of the server at $GOALLOC_SOCKET.\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    const struct mode *mode = NULL;
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[1], modes[i].name) == 0)
            mode = &modes[i];
    if (!mode)
        return usage();
    char **words = argv + 2;
    bool option = mode->option && words[0] && strcmp(words[0], mode->option) == 0;
    words += option;
    if ((words[0] && words[0][0] == '-') || (mode->takes == SOME_WORDS && !words[0]) ||
        (mode->takes == NO_WORDS && words[0]))
        return usage();

    struct goalloc_heap *heap;
    if (goalloc_attach(NULL, NULL, &heap) < 0) {
        fprintf(stderr, "word_index: %s\n", goalloc_attach_error());
        return EXIT_FAILURE;
    }
    int status = mode->run(heap, words, option);
    goalloc_detach(heap);
    return status;
}
