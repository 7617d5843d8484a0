/* Words of mcaches that cannot be are told of in the log. Every client can write them, so they
 * prove nothing against anybody, and nobody is put in quarantine for them. */
#ifndef GA_SERVER_SHELL_SPOILT_H
#define GA_SERVER_SHELL_SPOILT_H

struct ga_attachment;
struct ga_server;

/* Look at the words of some mcaches, in turn; and at those of one client. */
void ga_spoilt_look(struct ga_server *server);
void ga_spoilt_look_at(const struct ga_attachment *attachment);

#endif
