/* Removing a heap whose server is dead. */
#ifndef GA_CTL_DESTROY_H
#define GA_CTL_DESTROY_H

struct ga_request;

/* Remove the objects of the heap that request names and say so on stdout; processes that are
 * attached keep what they have mapped. Returns 0; a negative errno after the reason has been told
 * on stderr: -EBUSY while a server lives, which is final. */
int ga_ctl_destroy(const struct ga_request *request);

#endif
