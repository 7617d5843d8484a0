/* The answers of a heap that is read from shared memory: the messages that its server would send.
 */
#ifndef GA_CTL_SHM_ANSWER_H
#define GA_CTL_SHM_ANSWER_H

#include "client/ctl/shm_heap.h"
#include "client/ctl/source.h"

/* Answer request from the copy. A list comes whole, so cursors are not looked at. Returns 0 and
 * *ret_answer, which points into heap; a negative errno after the reason has been told on stderr.
 */
int ga_shm_answer(const struct ga_shm_heap *heap, const Goalloc__V1__Envelope *request,
                  struct ga_answer *ret_answer);

/* The same of GetClientStats, for ga_shm_answer. number: the client's, from 1. */
int ga_shm_client_stats(const struct ga_shm_heap *heap, uint32_t number, struct ga_answer *ret);

#endif
