#include "crash/account.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

/* Of a big object only the ends are filled and looked at. */
#define WHOLE_BYTES 8192u
#define END_BYTES   64u

struct ga_account *ga_account_new(void)
{
    void *memory = mmap(NULL, sizeof(struct ga_account), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static bool is_private; /* this process */

void ga_account_be_private(void)
{
    is_private = true;
}

static bool is_filled(const struct ga_account_object *object, uint32_t i)
{
    return object->bytes <= WHOLE_BYTES || i < END_BYTES || i >= object->bytes - END_BYTES;
}

void ga_account_keep(struct ga_account *account, void *p, size_t bytes)
{
    static uint8_t seed;
    if (!p) {
        ga_account_complain(account, "%zu bytes could not be allocated", bytes);
        return;
    }
    if (account->nobjects == GA_ACCOUNT_OBJECTS) {
        ga_account_complain(account, "the account is full");
        return;
    }
    struct ga_account_object *object = &account->objects[account->nobjects];
    *object = (struct ga_account_object){.address = (uintptr_t)p,
                                         .bytes = (uint32_t)bytes,
                                         .seed = (uint8_t)(seed += 37),
                                         .state = is_private ? GA_OBJECT_PASSING : GA_OBJECT_KEPT,
                                         .survivors = account->by_survivor};
    for (uint32_t i = 0; i < object->bytes; i++)
        if (is_filled(object, i))
            ((unsigned char *)p)[i] = (unsigned char)(object->seed + i);
    /* Noted last: who is killed in between has an object on its way. */
    atomic_signal_fence(memory_order_seq_cst);
    account->nobjects++;
}

void ga_account_hold(struct ga_account *account, void *p, size_t bytes)
{
    uint32_t n = account->nobjects;
    ga_account_keep(account, p, bytes);
    if (account->nobjects > n)
        account->objects[n].held = true;
}

bool ga_account_is_whole(const struct ga_account_object *object, const unsigned char *bytes)
{
    for (uint32_t i = 0; i < object->bytes; i++)
        if (is_filled(object, i) && bytes[i] != (unsigned char)(object->seed + i))
            return false;
    return true;
}

/* What is freed: not the note of who holds it. */
static struct ga_account_object *find(struct ga_account *account, const void *p)
{
    for (uint32_t i = account->nobjects; i-- > 0;)
        if (account->objects[i].address == (uintptr_t)p &&
            account->objects[i].state != GA_OBJECT_NONE && !account->objects[i].held)
            return &account->objects[i];
    return NULL;
}

void ga_account_leave(struct ga_account *account, const void *p)
{
    struct ga_account_object *object = find(account, p);
    if (object)
        object->state = object->state == GA_OBJECT_PASSING ? GA_OBJECT_NONE : GA_OBJECT_LEAVING;
}

void ga_account_drop(struct ga_account *account, const void *p)
{
    struct ga_account_object *object = find(account, p);
    if (object)
        object->state = GA_OBJECT_NONE;
}

void ga_account_clear(struct ga_account *account, bool all)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < account->nobjects; i++)
        if (!all && account->objects[i].survivors && account->objects[i].state == GA_OBJECT_KEPT)
            account->objects[n++] = account->objects[i];
    account->nobjects = n;
    account->ncomplaints = 0;
    account->complaint[0] = '\0';
    account->by_survivor = false;
    memset(account->handed, 0, sizeof(account->handed));
}

void ga_account_orphan(struct ga_account *account)
{
    for (uint32_t i = 0; i < account->nobjects; i++) {
        account->objects[i].survivors = false;
        if (account->objects[i].held)
            account->objects[i].state = GA_OBJECT_NONE;
    }
}

void ga_account_complain(struct ga_account *account, const char *format, ...)
{
    va_list args;
    account->ncomplaints++;
    if (account->complaint[0])
        return; /* the first says most */
    va_start(args, format);
    vsnprintf(account->complaint, sizeof(account->complaint), format, args);
    va_end(args);
}
