/* The thread does nothing but fallocate, from next to goal; how far it has come the loop's thread
 * finds when it looks the next time. A commit that meets it at work waits for it in the kernel,
 * which lets one at a time allocate of an object, and then finds the memory there. */
#include "server/shell/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>

#include "shm/layout.h"

#define PART_OF_HEAP 32 /* as the core grows */
#define PART_MIN     (UINT64_C(1) << 20)
#define PART_MAX     (UINT64_C(4) << 20)

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static int allocate(int fd, int mode, uint64_t begin, uint64_t end)
{
    int r;
    do {
        r = fallocate(fd, mode, (off_t)begin, (off_t)(end - begin));
    } while (r < 0 && errno == EINTR);
    return r;
}

/* KEEP_SIZE: an object that somebody has cut meanwhile is not made longer. */
static void *work(void *data)
{
    struct ga_ahead *ahead = data;
    pthread_mutex_lock(&ahead->lock);
    while (!ahead->stopping) {
        if (ahead->next >= ahead->goal) {
            pthread_cond_broadcast(&ahead->changed);
            pthread_cond_wait(&ahead->changed, &ahead->lock);
            continue;
        }
        uint64_t begin = ahead->next;
        uint64_t end = ahead->goal;
        pthread_mutex_unlock(&ahead->lock);
        if (ahead->huge != GA_HUGE_NONE)
            ga_huge_populate(ahead->heap, ahead->huge, begin, end - begin);
        int r = allocate(ahead->heap->fd, FALLOC_FL_KEEP_SIZE, begin, end);
        if (r < 0 && ahead->huge != GA_HUGE_NONE)
            (void)allocate(ahead->heap->fd, PUNCH, begin, end); /* what was got before */
        pthread_mutex_lock(&ahead->lock);
        if (r == 0)
            ahead->next = end;
        else
            ahead->goal = begin; /* there is no memory; the next growth may find some */
    }
    pthread_mutex_unlock(&ahead->lock);
    return NULL;
}

void ga_ahead_start(struct ga_ahead *ahead, const struct ga_mapping *heap, enum ga_huge huge)
{
    ahead->heap = heap;
    ahead->huge = huge;
    ahead->wanted = true;
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
}

/* Signals are the loop's. */
static bool start_thread(struct ga_ahead *ahead)
{
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ahead->started = pthread_create(&ahead->thread, NULL, work, ahead) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ahead->started;
}

void ga_ahead_stop(struct ga_ahead *ahead)
{
    if (!ahead->started)
        return;
    ga_ahead_give_up(ahead);
    pthread_mutex_lock(&ahead->lock);
    ahead->stopping = true;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
    pthread_join(ahead->thread, NULL);
    ahead->started = false;
}

/* Wait until the thread has nothing to do, and see how far it has come; from now on that does not
 * matter any more. */
static void settle(struct ga_ahead *ahead)
{
    pthread_mutex_lock(&ahead->lock);
    while (ahead->next < ahead->goal)
        pthread_cond_wait(&ahead->changed, &ahead->lock);
    if (ahead->next > ahead->ready_end)
        ahead->ready_end = ahead->next;
    ahead->next = 0;
    ahead->goal = 0;
    pthread_mutex_unlock(&ahead->lock);
}

bool ga_ahead_has(struct ga_ahead *ahead, uint64_t offset, uint64_t bytes)
{
    if (!ahead->started)
        return false;
    if (offset != ahead->committed) { /* what it committed last was not to be had in the end */
        settle(ahead);
        ahead->ready_end = 0;
        return false;
    }
    pthread_mutex_lock(&ahead->lock);
    if (ahead->next > ahead->ready_end)
        ahead->ready_end = ahead->next;
    bool works = ahead->next < ahead->goal;
    pthread_mutex_unlock(&ahead->lock);
    /* The caller will commit it himself, and the thread must not be at the same then: if it finds
     * no memory for the rest, what is not yet written to goes, whoever has committed it. */
    if (offset + bytes > ahead->ready_end && works)
        settle(ahead);
    return offset + bytes <= ahead->ready_end;
}

void ga_ahead_go_on(struct ga_ahead *ahead, uint64_t committed_bytes, uint64_t end)
{
    if (!ahead->wanted)
        return;
    ahead->committed = committed_bytes;
    if (ahead->ready_end < committed_bytes)
        ahead->ready_end = committed_bytes;
    uint64_t part = committed_bytes / PART_OF_HEAP;
    part = part > PART_MAX ? PART_MAX : part - part % GA_PAGE_SIZE;
    uint64_t goal = committed_bytes + part;
    if (ahead->huge != GA_HUGE_NONE)
        goal = (goal + GA_HUGE_PAGE_BYTES - 1) & ~(GA_HUGE_PAGE_BYTES - 1);
    if (part < PART_MIN || goal > end || goal <= ahead->ready_end)
        return;
    if (!ahead->started && !start_thread(ahead))
        return;
    pthread_mutex_lock(&ahead->lock);
    if (ahead->next >= ahead->goal)
        ahead->next = ahead->ready_end;
    ahead->goal = goal;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

void ga_ahead_keep_off(struct ga_ahead *ahead, uint64_t end)
{
    if (!ahead->started)
        return;
    pthread_mutex_lock(&ahead->lock);
    bool in_the_way = ahead->next < ahead->goal && ahead->next < end;
    pthread_mutex_unlock(&ahead->lock);
    if (in_the_way)
        settle(ahead);
}

bool ga_ahead_give_up(struct ga_ahead *ahead)
{
    if (!ahead->started)
        return false;
    settle(ahead);
    if (ga_ahead_bytes(ahead) == 0)
        return false;
    bool given = allocate(ahead->heap->fd, PUNCH, ahead->committed, ahead->ready_end) == 0;
    ahead->ready_end = ahead->committed;
    return given;
}

uint64_t ga_ahead_bytes(const struct ga_ahead *ahead)
{
    return ahead->ready_end > ahead->committed ? ahead->ready_end - ahead->committed : 0;
}
