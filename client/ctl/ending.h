/* The signals that end a command which goes on until it is told to end: SIGINT, SIGTERM and SIGHUP.
 * It polls for them, beside what else it waits for, and so ends in order. */
#ifndef GA_CLIENT_CTL_ENDING_H
#define GA_CLIENT_CTL_ENDING_H

/* Have these signals kept for a descriptor that becomes readable with one. Called before there are
 * other threads. Returns it, to be closed by the caller; or a negative errno, and has said why. */
int ga_ending_open(void);

#endif
