/* The files are the programs', which may have written anything: of an account numbers are shown,
 * and what meta and bits say is read as every heap's is that is not locked. */
#include "client/ctl/run_account.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ctl/color.h"
#include "client/ctl/command.h"
#include "client/ctl/lost.h"
#include "client/ctl/print.h"
#include "client/ctl/shm_heap.h"
#include "client/ctl/units.h"
#include "proto/text.h"

/* Processes that are told of at length, and those without an account by name. */
#define SHOWN_MAX 20u
#define NAMED_MAX 10u

/* ---- reading ---- */

/* Up to bytes of the file. How many. */
static size_t read_file(int folder, const char *name, void *ret, size_t bytes)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, ret, bytes);
    if (fd >= 0)
        close(fd);
    return n > 0 ? (size_t)n : 0;
}

static struct ga_run_process read_process(int folder, uint32_t pid)
{
    char name[32];
    struct ga_run_process process = {.given = false};
    struct ga_exit_account *account = &process.account;
    snprintf(name, sizeof(name), "%" PRIu32 ".account", pid);
    process.given = read_file(folder, name, account, sizeof(*account)) == sizeof(*account) &&
                    account->magic == GA_ACCOUNT_MAGIC &&
                    account->lost.objects <= account->left.objects;
    if (!process.given) {
        *account = (struct ga_exit_account){.pid = pid};
        snprintf(name, sizeof(name), "%" PRIu32 ".began", pid);
        read_file(folder, name, account->name, sizeof(account->name) - 1);
    }
    account->pid = pid;
    account->name[sizeof(account->name) - 1] = '\0';
    ga_text_clean(account->name);
    return process;
}

static int most_lost_first(const void *one, const void *other)
{
    const struct ga_exit_account *a = &((const struct ga_run_process *)one)->account;
    const struct ga_exit_account *b = &((const struct ga_run_process *)other)->account;
    if (a->lost.bytes != b->lost.bytes)
        return a->lost.bytes < b->lost.bytes ? 1 : -1;
    if (a->left.bytes != b->left.bytes)
        return a->left.bytes < b->left.bytes ? 1 : -1;
    return (a->pid > b->pid) - (a->pid < b->pid);
}

static int add(struct ga_run_accounts *accounts, const struct ga_run_process *process)
{
    if ((accounts->count & (accounts->count - 1)) == 0) {
        size_t room = accounts->count ? accounts->count * 2 : 1;
        struct ga_run_process *grown =
            reallocarray(accounts->processes, room, sizeof(*accounts->processes));
        if (!grown)
            return -ENOMEM;
        accounts->processes = grown;
    }
    accounts->processes[accounts->count++] = *process;
    accounts->left.objects += process->account.left.objects;
    accounts->left.bytes += process->account.left.bytes;
    accounts->lost.objects += process->account.lost.objects;
    accounts->lost.bytes += process->account.lost.bytes;
    return 0;
}

/* The number of "NUMBER.began". */
static bool parse(const char *name, uint32_t *ret_pid)
{
    char *end;
    unsigned long long number = strtoull(name, &end, 10);
    *ret_pid = (uint32_t)number;
    return isdigit((unsigned char)name[0]) && number <= INT_MAX && strcmp(end, ".began") == 0;
}

int ga_run_accounts_read(const char *folder, struct ga_run_accounts *ret)
{
    struct ga_run_accounts accounts = {.folder = folder};
    DIR *list = folder[0] ? opendir(folder) : NULL;
    struct dirent *entry;
    int r = 0;
    while (list && r == 0 && (entry = readdir(list)) != NULL) {
        uint32_t pid;
        if (!parse(entry->d_name, &pid))
            continue;
        struct ga_run_process process = read_process(dirfd(list), pid);
        r = add(&accounts, &process);
    }
    if (list)
        closedir(list);
    if (r < 0) {
        ga_run_accounts_fini(&accounts);
        fputs("goallocctl: out of memory\n", stderr);
        return r;
    }
    if (accounts.count)
        qsort(accounts.processes, accounts.count, sizeof(*accounts.processes), most_lost_first);
    *ret = accounts;
    return 0;
}

void ga_run_accounts_fini(struct ga_run_accounts *accounts)
{
    free(accounts->processes);
    *accounts = (struct ga_run_accounts){0};
}

/* Where the process has allocated what is left. */
static int read_places(const struct ga_run_accounts *accounts,
                       const struct ga_exit_account *account, struct ga_lost *ret)
{
    char meta[PATH_MAX + 32];
    char bits[PATH_MAX + 32];
    struct ga_shm_heap heap;
    snprintf(meta, sizeof(meta), "%s/%" PRIu32 ".meta", accounts->folder, account->pid);
    snprintf(bits, sizeof(bits), "%s/%" PRIu32 ".bits", accounts->folder, account->pid);
    int r = ga_shm_heap_open_files("own", account->pid, meta, bits, &heap);
    if (r < 0)
        return r;
    struct ga_ctl ctl = {.source = {.kind = "file", .heap = &heap}};
    r = ga_lost_fetch(&ctl, account->collection, ret);
    ga_shm_heap_close(&heap);
    return r;
}

/* ---- for people ---- */

static void print_amount(FILE *out, const char *what, struct ga_exit_count count, const char *more)
{
    char size[GA_UNITS_BYTES];
    ga_units_size(count.bytes, size);
    fprintf(out, "  %-10s %s in %" PRIu64 " object%s%s\n", what, size, count.objects,
            ga_print_plural(count.objects), count.objects ? more : "");
}

static void print_process(const struct ga_run_accounts *accounts,
                          const struct ga_exit_account *account, FILE *out)
{
    char size[GA_UNITS_BYTES];
    struct ga_lost lost = {0};
    struct ga_exit_count reachable = {account->left.objects - account->lost.objects,
                                      account->left.bytes - account->lost.bytes};
    ga_units_size(account->left.bytes, size);
    fprintf(out,
            "%sgoallocctl: %s in %" PRIu64 " object%s left at its end by process %" PRIu32
            " (%s)%s\n",
            ga_color(out, account->lost.objects ? GA_COLOR_BAD : GA_COLOR_TITLE), size,
            account->left.objects, ga_print_plural(account->left.objects), account->pid,
            account->name, ga_color(out, GA_COLOR_NONE));
    print_amount(out, "lost", account->lost, ": no pointer in its memory reaches them");
    print_amount(out, "reachable", reachable, "");
    if (read_places(accounts, account, &lost) == 0)
        ga_lost_print(&lost, account->lost.objects, account->lost.bytes, out);
    ga_lost_fini(&lost);
}

static void print_rest(const struct ga_run_accounts *accounts, size_t from, FILE *out)
{
    struct ga_exit_count rest = {0, 0};
    uint64_t n = 0;
    for (size_t i = from; i < accounts->count; i++) {
        const struct ga_exit_account *account = &accounts->processes[i].account;
        n += account->left.objects > 0;
        rest.objects += account->left.objects;
        rest.bytes += account->left.bytes;
    }
    if (n == 0)
        return;
    fprintf(out, "goallocctl: and %" PRIu64 " more process%s\n", n, n == 1 ? "" : "es");
    print_amount(out, "left", rest, "");
}

/* Those that gave no account. */
static void print_silent(const struct ga_run_accounts *accounts, FILE *out)
{
    uint64_t n = 0;
    for (size_t i = 0; i < accounts->count; i++) {
        const struct ga_run_process *process = &accounts->processes[i];
        if (process->given)
            continue;
        if (n++ < NAMED_MAX)
            fprintf(out, "%s%" PRIu32 " (%s)",
                    n == 1 ? "goallocctl: killed, or ended without exit(3), and not looked at: "
                           : ", ",
                    process->account.pid, process->account.name);
    }
    if (n > NAMED_MAX)
        fprintf(out, " and %" PRIu64 " more", n - NAMED_MAX);
    if (n > 0)
        fputc('\n', out);
}

void ga_run_accounts_print(const struct ga_run_accounts *accounts, bool quiet, FILE *out)
{
    size_t shown = 0;
    if (quiet && accounts->lost.objects == 0)
        return;
    while (shown < accounts->count && shown < SHOWN_MAX &&
           accounts->processes[shown].account.left.objects > 0)
        print_process(accounts, &accounts->processes[shown++].account, out);
    print_rest(accounts, shown, out);
    print_silent(accounts, out);
    if (accounts->nseen == 0)
        fputs("goallocctl: no process has had a heap of its own: a program that is linked "
              "statically, "
              "or runs with other rights than its caller's, cannot\n",
              out);
    else
        fprintf(out, "goallocctl: %" PRIu64 " process%s had a heap of %s own; all of it is freed\n",
                accounts->nseen, accounts->nseen == 1 ? "" : "es",
                accounts->nseen == 1 ? "its" : "their");
}

/* ---- as JSON ---- */

static void json_process(const struct ga_run_accounts *accounts,
                         const struct ga_run_process *process, struct ga_json *json)
{
    const struct ga_exit_account *account = &process->account;
    struct ga_lost lost = {0};
    ga_json_begin_object(json, NULL);
    ga_json_number(json, "pid", account->pid);
    ga_json_string(json, "program", account->name);
    ga_json_bool(json, "account", process->given);
    if (process->given) {
        ga_json_number(json, "objects", account->left.objects);
        ga_json_number(json, "bytes", account->left.bytes);
        ga_json_number(json, "lost_objects", account->lost.objects);
        ga_json_number(json, "lost_bytes", account->lost.bytes);
        if (account->left.objects > 0 && read_places(accounts, account, &lost) == 0)
            ga_lost_json(&lost, json);
        ga_lost_fini(&lost);
    }
    ga_json_end(json);
}

void ga_run_accounts_json(const struct ga_run_accounts *accounts, struct ga_json *json)
{
    ga_json_number(json, "programs_seen", accounts->nseen);
    ga_json_begin_list(json, "processes");
    for (size_t i = 0; i < accounts->count; i++)
        json_process(accounts, &accounts->processes[i], json);
    ga_json_end(json);
}
