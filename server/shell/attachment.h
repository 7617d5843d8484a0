/* An attachment: one client of the heap, and the watch over its process. It outlives its
 * connection, since a client that has hung up may go on storing: the heap takes back what it holds
 * only when its process has certainly ended, or when it has said itself that it is done. Not so one
 * that nobody has used as yet: where its client gave up waiting for the answer to Attach and has
 * hung up, it ends with the connection. A process may attach several times; each is a client of its
 * own. */
#ifndef GA_SERVER_SHELL_ATTACHMENT_H
#define GA_SERVER_SHELL_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>

#include <uv.h>

#include "server/heap.h"
#include "server/shell/process.h"
#include "server/shell/shortage.h"
#include "server/shell/track.h"

/* What one process may have at most. Attaching costs little, and so one that attaches, hangs up and
 * goes on living could use up the client table (GA_CLIENT_COUNT), and one client all mcaches
 * (GA_MCACHE_COUNT), at 12 KiB each. Both are far above what a program needs: an attachment for
 * each library that brings its own, an mcache for each thread. */
#define GA_PROCESS_ATTACHMENTS_MAX 64u
#define GA_CLIENT_MCACHES_MAX      4096u

struct ga_server;
struct ga_connection;

/* In a collection (standstill.h). */
enum ga_standing {
    GA_STANDING_NOT = 0,
    GA_STANDING_ASKED = 1,
    GA_STANDING_STILL = 2,
};

struct ga_attachment {
    uv_poll_t watch;
    int pidfd;
    uint32_t pid;
    uint32_t uid;
    char name[GA_CLIENT_NAME_BYTES]; /* as its client calls itself */
    ga_client_id client;
    uint32_t nmcaches; /* that it was given */
    bool settled;      /* its process knows of it, and has begun to use the heap */
    bool leaving;      /* the heap takes back what it holds, slice by slice */
    bool ended;
    uint64_t detach_id; /* leaving: the request that is answered when it is done, 0 = none */
    bool quarantined;   /* quarantine.h */
    bool paused;        /* it uses the heap no more until it resumes (quiet.h) */
    bool broke_pause;   /* and that it asked for something nevertheless has been logged */
    bool ends_later;    /* it has ended, or detached, while the heap was copied */
    bool tracks;        /* it can be asked what it writes (track.h) */
    enum ga_tracking tracking;
    enum ga_standing standing;
    bool asked_early;   /* for that, before it had settled */
    uint64_t heard_ms;  /* when it was asked to stand still, or was heard of since */
    uint64_t resume_id; /* the request that is answered when no pause is wanted, 0 = none */
    struct ga_shortage shortage;
    struct ga_server *server;
    struct ga_connection *connection; /* NULL = it has hung up */
    struct ga_attachment *next;
    struct ga_attachment *previous;
};

/* Attach the process at the other end of connection to the heap. 0; -ESRCH where the process cannot
 * be seen; what ga_heap_attach returns; or another negative errno. */
int ga_attachment_new(struct ga_connection *connection, struct ga_attachment **ret);

/* The process at the other end of connection says that it is client, whose connection has ended:
 * see that it is that very process, and let it go on. 0; -ENOENT (nobody is that client); -EPERM
 * (another process is; *ret_pid tells which); -EBUSY (the connection is attached already); -ESRCH;
 * or another negative errno. */
int ga_attachment_resume(struct ga_connection *connection, ga_client_id client, uint32_t *ret_pid);

/* End the attachments of managed processes that run another program now, as far as that can be
 * seen: they would hold up every collection. Also before one of that program begins, which maps the
 * heap again. */
void ga_attachment_end_replaced(struct ga_server *server);

/* The clients of a heap that was taken over: watch those whose process lives; what the others hold,
 * the heap takes back. Those that live have no connection any more, and keep what they hold until
 * they end; they come back by ga_attachment_resume. */
void ga_attachment_adopt_all(struct ga_server *server);

/* That of client; NULL where it is leaving, or is not watched. */
struct ga_attachment *ga_attachment_find(const struct ga_server *server, ga_client_id client);

/* How many attachments process pid has. */
uint32_t ga_attachment_count(const struct ga_server *server, uint32_t pid);

/* The client is done: the heap takes back what it holds, as much as a slice at once, the rest
 * in ga_attachment_go_on; all of it later, where the heap is being copied. Then Done answers
 * request detach_id, unless that is 0. The connection stays. */
void ga_attachment_end(struct ga_attachment *attachment, uint64_t detach_id);

/* The client at the other end of connection has hung up, and all that it had sent is handled: end
 * an attachment that it has not begun to use. */
void ga_attachment_hung_up(struct ga_connection *connection);

/* The next slice of one of the clients that are leaving. False when there is none. */
bool ga_attachment_go_on(struct ga_server *server);

/* Stop the watch; the heap is not told. For the server's end. */
void ga_attachment_abandon(struct ga_attachment *attachment);

#endif
