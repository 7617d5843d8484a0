/* A heap is copied while clients are attached that have agreed to pause; who has not holds it up,
 * who breaks its word is found out, and whoever is killed meanwhile holds nobody up. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>

#include "integration/json_check.h"
#include "integration/puppet.h"
#include "integration/snapshot_fixture.h"
#include "integration/wire.h"
#include "support/cunit_main.h"

#define COUNT(a)           (sizeof(a) / sizeof(*(a)))
#define SAYS(text, needle) CU_ASSERT_PTR_NOT_NULL(strstr(text, needle))
#define LONG_MS            60000u /* longer than any test waits where all is well */

static struct ga_run run;

/* ---- goallocctl in the background ---- */

struct tool {
    const char *path;
    const char *file;
    const char *wait;
    struct ga_run run;
    pthread_t thread;
};

static void *run_tool(void *argument)
{
    struct tool *tool = argument;
    GA_CTL(&tool->run, "--socket", tool->path, "--json", "snapshot", "--wait", tool->wait,
           tool->file);
    return NULL;
}

static void start_tool(struct tool *tool)
{
    CU_ASSERT_EQUAL_FATAL(pthread_create(&tool->thread, NULL, run_tool, tool), 0);
}

static int finish_tool(struct tool *tool)
{
    pthread_join(tool->thread, NULL);
    return tool->run.code;
}

/* ---- the protocol by hand ---- */

static const Goalloc__V1__Envelope *quiesce(struct ga_wire *wire, uint32_t wait_ms)
{
    Goalloc__V1__Quiesce body = GOALLOC__V1__QUIESCE__INIT;
    body.wait_ms = wait_ms;
    return ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_QUIESCE, &body);
}

/* Send it and do not wait for the answer. */
static void ask_for_quiet(struct ga_wire *wire, uint32_t wait_ms)
{
    Goalloc__V1__Quiesce body = GOALLOC__V1__QUIESCE__INIT;
    body.wait_ms = wait_ms;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = ++wire->last_id;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_QUIESCE;
    message.quiesce = &body;
    CU_ASSERT(ga_wire_send(wire, &message));
}

static bool is_quiet(const Goalloc__V1__Envelope *reply, uint32_t npaused)
{
    return reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_QUIET &&
           reply->quiet->nclients == 0 && reply->quiet->npaused == npaused;
}

/* ---- tests ---- */

/* A client that knows nothing of the tool but that a pause is wanted. */
static void test_agreement(void)
{
    struct ga_daemon daemon;
    const char *heap = ga_daemon_heap("agree");
    const char *path = ga_daemon_path("agree");
    const char *file = ga_daemon_path("agree.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    struct ga_puppet one;
    CU_ASSERT_FATAL(ga_puppet_begin(path, GOALLOC_POLICY_KEEP, "one", &one));
    struct ga_puppet two;
    CU_ASSERT_FATAL(ga_puppet_begin(path, GOALLOC_POLICY_KEEP, "two", &two));
    CU_ASSERT(ga_puppet_does(&one, 'f') && ga_puppet_does(&two, 'f') && ga_puppet_does(&one, 'n') &&
              ga_puppet_does(&two, 'n'));
    struct tool tool = {.path = path, .file = file, .wait = "60"};
    start_tool(&tool);
    CU_ASSERT(ga_puppet_does(&one, 'w') && ga_puppet_does(&two, 'w') && ga_puppet_does(&one, 'p'));
    ga_puppet_tell(&one, 'r'); /* which has to wait until the snapshot is there */
    CU_ASSERT(access(file, F_OK) < 0);
    CU_ASSERT(ga_puppet_does(&two, 'p'));
    CU_ASSERT(ga_puppet_answers(&one));
    CU_ASSERT(ga_puppet_does(&one, 'n')); /* once it goes on, none is wanted */
    CU_ASSERT(ga_puppet_does(&two, 'r'));
    CU_ASSERT_EQUAL(finish_tool(&tool), 0);
    CU_ASSERT(ga_json_is_valid(tool.run.out));
    CU_ASSERT_EQUAL(ga_json_number_of(tool.run.out, "paused_clients"), 2);
    struct ga_file bytes = ga_file_load(file);
    CU_ASSERT(ga_file_is_whole(&bytes));
    ga_file_fini(&bytes);
    CU_ASSERT(ga_puppet_does(&one, 'm') && ga_puppet_does(&two, 'm') && ga_puppet_does(&one, 'l'));
    /* One that has gone on holds the next one up, one that is paused does not. */
    CU_ASSERT(ga_puppet_does(&one, 'p'));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "clients"), 0);
    SAYS(run.out, "paused");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "--wait", "0", file), 3);
    char who[64];
    snprintf(who, sizeof(who), "process %d (", (int)two.pid);
    SAYS(run.err, "1 client is attached and has not paused");
    SAYS(run.err, who);
    snprintf(who, sizeof(who), "process %d (", (int)one.pid);
    CU_ASSERT_PTR_NULL(strstr(run.err, who));
    CU_ASSERT(ga_puppet_does(&one, 'r') && ga_puppet_does(&one, 'm'));
    ga_puppet_end(&one, 0);
    ga_puppet_end(&two, 0);
    ga_run_fini(&tool.run);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap), 0);
}

/* What the clients had in hand when they were copied is settled as after a death, while they go on
 * in the heap that they are attached to, under the pids that the file names. */
static void test_restore(void)
{
    struct ga_daemon daemon;
    struct ga_daemon copy;
    const char *heap = ga_daemon_heap("old");
    const char *second = ga_daemon_heap("new");
    const char *path = ga_daemon_path("old");
    const char *file = ga_daemon_path("old.snap");
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon, heap, path, NULL, NULL));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_build));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    uint64_t before = ga_json_number_of(run.out, "counted_objects");
    struct ga_puppet keep;
    CU_ASSERT_FATAL(ga_puppet_begin(path, GOALLOC_POLICY_KEEP, "keep", &keep));
    CU_ASSERT(ga_puppet_does(&keep, 'f'));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    uint64_t kept = ga_json_number_of(run.out, "counted_objects");
    struct ga_puppet private;
    CU_ASSERT_FATAL(ga_puppet_begin(path, GOALLOC_POLICY_PRIVATE, "private", &private));
    CU_ASSERT(ga_puppet_does(&private, 'f') && ga_puppet_does(&keep, 'p') &&
              ga_puppet_does(&private, 'p'));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "snapshot", "--wait", "0", file), 0);
    SAYS(run.out, "wrote heap");

    CU_ASSERT_FATAL(ga_fixture_restore(&copy, file, second, ga_daemon_path("new")));
    CU_ASSERT(ga_daemon_said(&copy, "' over: 0 of its clients live, 2 have ended\n"));
    path = ga_daemon_path("new");
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "check"), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "stats", "--recount"), 0);
    /* The object in the slot goes with its client; that of the private go all. */
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "counted_objects"), kept - 1);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "heap_objects"), kept - 1);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "spans_leased"), 0);
    CU_ASSERT(kept > before + 20000);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "roots"), 0);
    SAYS(run.out, "keep");
    CU_ASSERT_PTR_NULL(strstr(run.out, "private"));
    CU_ASSERT(ga_fixture_in_process(path, ga_fixture_verify));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path, "--json", "users"), 0);
    CU_ASSERT_EQUAL(ga_json_number_of(run.out, "used_holds"), 0);

    CU_ASSERT(ga_puppet_does(&keep, 'r') && ga_puppet_does(&private, 'r'));
    CU_ASSERT(ga_puppet_does(&keep, 'm') && ga_puppet_does(&private, 'm') &&
              ga_puppet_does(&keep, 'l') && ga_puppet_does(&private, 'l'));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", ga_daemon_path("old"), "check"), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&copy, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "--shm", second, "check"), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", second), 0);
    ga_puppet_end(&keep, 0);
    ga_puppet_end(&private, 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap), 0);
}

/* ---- quiet, and what happens meanwhile ---- */

static struct ga_daemon daemon_;
static char path_[128];
static char heap_[64];

static void serve(const char *suffix)
{
    snprintf(path_, sizeof(path_), "%s", ga_daemon_path(suffix));
    snprintf(heap_, sizeof(heap_), "%s", ga_daemon_heap(suffix));
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon_, heap_, path_, NULL, NULL));
}

/* Nothing of the heap is damaged or lost. */
static void end_serving(void)
{
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path_, "check"), 0);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap_), 0);
}

static uint64_t count_clients(void)
{
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path_, "--json", "status"), 0);
    return ga_json_number_of(run.out, "clients");
}

/* What clients write of their own: the first mcaches and slots, summed. */
static uint64_t sum_of_hands(void)
{
    static char bytes[16 * sizeof(struct ga_mcache) + 4 * sizeof(struct ga_handles)];
    struct ga_meta_header header = {0};
    int meta = ga_daemon_open_object(heap_, "meta", O_RDONLY);
    int bits = ga_daemon_open_object(heap_, "bits", O_RDONLY);
    size_t nmcaches = 16 * sizeof(struct ga_mcache);
    CU_ASSERT(pread(meta, &header, sizeof(header), 0) == (ssize_t)sizeof(header));
    CU_ASSERT(pread(bits, bytes, nmcaches, (off_t)header.bits_mcaches_offset) == (ssize_t)nmcaches);
    CU_ASSERT(pread(bits, bytes + nmcaches, sizeof(bytes) - nmcaches,
                    (off_t)header.bits_handles_offset) == (ssize_t)(sizeof(bytes) - nmcaches));
    close(meta);
    close(bits);
    return XXH3_64bits(bytes, sizeof(bytes));
}

/* A paused client asks for things, has threads that exit, detaches, forks, is killed: nothing
 * changes before quiet is over, and then all is made up for. */
static void test_meanwhile(void)
{
    struct ga_puppet one;
    struct ga_puppet two;
    struct ga_puppet three;
    struct ga_wire wire;
    char line[128];
    serve("meanwhile");
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "one", &one));
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_PRIVATE, "two", &two));
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "three", &three));
    CU_ASSERT(ga_puppet_does(&one, 'f') && ga_puppet_does(&two, 'f'));
    CU_ASSERT(ga_puppet_does(&three, 'f') && ga_puppet_does(&three, 't'));
    CU_ASSERT(ga_puppet_does(&one, 'p') && ga_puppet_does(&two, 'p') &&
              ga_puppet_does(&three, 'p'));
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, path_));
    CU_ASSERT(is_quiet(quiesce(&wire, 0), 3));
    uint64_t sum = sum_of_hands();

    CU_ASSERT(ga_puppet_does(&three, 's') && ga_puppet_does(&three, 's'));
    snprintf(line, sizeof(line), "process %d (integration_snapshot", (int)three.pid);
    CU_ASSERT(ga_daemon_said(&daemon_, line));
    CU_ASSERT(ga_daemon_said(&daemon_, ") uses the heap although it has paused: refused"));
    const char *first = strstr(daemon_.text, "although it has paused");
    CU_ASSERT_FATAL(first != NULL);
    CU_ASSERT_PTR_NULL(strstr(first + 1, "although it has paused")); /* it is told of once */
    CU_ASSERT(ga_puppet_does(&three, 'j'));
    ga_puppet_end(&one, SIGKILL);
    ga_puppet_tell(&two, 'd');
    usleep(20000); /* for the server to hear of all this */
    CU_ASSERT_EQUAL(count_clients(), 3);
    CU_ASSERT_EQUAL(sum_of_hands(), sum);
    ga_puppet_tell(&three, 'c'); /* the child has agreed to nothing, and has to wait */
    usleep(20000);
    CU_ASSERT_EQUAL(count_clients(), 3);
    ga_wire_close(&wire);

    CU_ASSERT(ga_puppet_answers(&two));
    CU_ASSERT(ga_puppet_answers(&three));
    CU_ASSERT(ga_puppet_does(&three, 'r') && ga_puppet_does(&three, 'm'));
    for (int i = 0; i < 2000 && count_clients() > 1; i++) /* the child's end is heard of later */
        usleep(1000);
    CU_ASSERT_EQUAL(count_clients(), 1);
    ga_puppet_end(&two, 0);
    ga_puppet_end(&three, 0);
    end_serving();
}

/* To resume waits for as long as it takes, longer than other calls; however the wish ends. */
static void test_resume(void)
{
    struct ga_puppet one;
    struct ga_puppet two;
    struct ga_wire wire;
    serve("resume");
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "one", &one));
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "two", &two));
    CU_ASSERT(ga_puppet_does(&one, 'r')); /* of what was never paused */
    CU_ASSERT(ga_puppet_does(&one, 'p') && ga_puppet_does(&one, 'p') && ga_puppet_does(&one, 'r'));
    CU_ASSERT(ga_puppet_does(&one, 'm'));
    /* The connection ends, while one waits for the other. */
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, path_));
    ask_for_quiet(&wire, LONG_MS);
    CU_ASSERT(ga_puppet_does(&one, 'w') && ga_puppet_does(&one, 'p'));
    ga_puppet_tell(&one, 'r');
    usleep(2 * GA_PUPPET_TIMEOUT_MS * 1000);
    ga_wire_close(&wire);
    CU_ASSERT(ga_puppet_answers(&one));
    CU_ASSERT(ga_puppet_does(&one, 'n'));
    /* The time is over; who is named is the other. */
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, path_));
    ask_for_quiet(&wire, 300);
    CU_ASSERT(ga_puppet_does(&one, 'w') && ga_puppet_does(&one, 'p'));
    ga_puppet_tell(&one, 'r');
    const Goalloc__V1__Envelope *reply = ga_wire_receive(&wire);
    CU_ASSERT_FATAL(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_QUIET);
    CU_ASSERT_EQUAL(reply->quiet->nclients, 1);
    CU_ASSERT_EQUAL(reply->quiet->npaused, 1);
    CU_ASSERT_EQUAL(reply->quiet->clients[0]->pid, (uint32_t)two.pid);
    CU_ASSERT(ga_puppet_answers(&one) && ga_puppet_does(&one, 'm'));
    /* Who holds it up is killed, and then it is quiet. */
    ask_for_quiet(&wire, LONG_MS);
    CU_ASSERT(ga_puppet_does(&one, 'w') && ga_puppet_does(&one, 'p'));
    ga_puppet_tell(&one, 'r');
    ga_puppet_end(&two, SIGKILL);
    CU_ASSERT(is_quiet(ga_wire_receive(&wire), 1));
    ga_wire_close(&wire);
    CU_ASSERT(ga_puppet_answers(&one) && ga_puppet_does(&one, 'm'));
    ga_puppet_end(&one, 0);
    end_serving();
}

/* The server is killed under clients that are paused, and under a tool that waits for one. */
static void test_server_killed(void)
{
    struct ga_puppet one;
    struct ga_puppet two;
    struct ga_wire wire;
    const char *file = ga_daemon_path("killed.snap");
    serve("killed");
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "one", &one));
    CU_ASSERT_FATAL(ga_puppet_begin(path_, GOALLOC_POLICY_KEEP, "two", &two));
    CU_ASSERT(ga_puppet_does(&one, 'f') && ga_puppet_does(&one, 'p'));
    struct tool tool = {.path = path_, .file = file, .wait = "60"};
    start_tool(&tool);
    CU_ASSERT(ga_puppet_does(&two, 'w'));
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_EQUAL(finish_tool(&tool), 1);
    SAYS(tool.run.err, "did not answer");
    CU_ASSERT(access(file, F_OK) < 0);
    int looks = 0; /* it hears of the end when it does */
    while (!ga_puppet_does(&two, 'n') && ++looks < 2000)
        usleep(1000);
    CU_ASSERT(looks < 2000);
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon_, heap_, path_, NULL, NULL));
    CU_ASSERT(ga_puppet_does(&two, 'p'));
    /* The other has said it to the first server alone. */
    CU_ASSERT_FATAL(ga_wire_open_greeted(&wire, path_));
    CU_ASSERT(is_quiet(quiesce(&wire, LONG_MS), 2));
    ga_puppet_tell(&one, 'r');
    ga_wire_close(&wire);
    CU_ASSERT(ga_puppet_answers(&one) && ga_puppet_does(&one, 'm') && ga_puppet_does(&one, 'l'));
    CU_ASSERT(ga_puppet_does(&two, 'r') && ga_puppet_does(&two, 'm'));
    /* Who has resumed does not count as paused with the next server either. */
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGKILL), 256 + SIGKILL);
    CU_ASSERT_FATAL(ga_fixture_serve(&daemon_, heap_, path_, NULL, NULL));
    CU_ASSERT(ga_puppet_does(&one, 'l') && ga_puppet_does(&two, 'p'));
    CU_ASSERT_EQUAL(GA_CTL(&run, "--socket", path_, "snapshot", "--wait=0", file), 3);
    SAYS(run.err, "1 client is attached and has not paused");
    CU_ASSERT(ga_puppet_does(&two, 'r'));
    ga_puppet_end(&one, 0);
    ga_puppet_end(&two, 0);
    ga_run_fini(&tool.run);
    end_serving();
}

/* ---- by hand ---- */

static bool lease_some(struct ga_wire *wire, uint32_t nspans)
{
    Goalloc__V1__NewMcache new_mcache = GOALLOC__V1__NEW_MCACHE__INIT;
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_NEW_MCACHE, &new_mcache);
    Goalloc__V1__Lease lease = GOALLOC__V1__LEASE__INIT;
    lease.mcache = reply && reply->mcache ? reply->mcache->mcache : 0;
    lease.span_class = 2;
    lease.count = 64;
    for (uint32_t n = 0; n < nspans; n += lease.count) {
        reply = ga_wire_ask(wire, GOALLOC__V1__ENVELOPE__BODY_LEASE, &lease);
        if (!reply || reply->body_case != GOALLOC__V1__ENVELOPE__BODY_LEASES)
            return false;
    }
    return true;
}

/* A client that has just detached, and has more than the server takes back in a turn: it is not
 * quiet before all of that is done. */
static void test_leaving(void)
{
    struct ga_wire wire;
    Goalloc__V1__Detach detach = GOALLOC__V1__DETACH__INIT;
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    serve("leaving");
    CU_ASSERT_FATAL(ga_wire_open_attached(&wire, path_));
    CU_ASSERT(lease_some(&wire, 2048));
    /* Sent together, so that they are handled in one turn. */
    kill(daemon_.pid, SIGSTOP);
    message.id = ++wire.last_id;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_DETACH;
    message.detach = &detach;
    CU_ASSERT(ga_wire_send(&wire, &message));
    ask_for_quiet(&wire, 0);
    kill(daemon_.pid, SIGCONT);
    const Goalloc__V1__Envelope *reply = ga_wire_receive(&wire);
    CU_ASSERT(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
    CU_ASSERT(is_quiet(ga_wire_receive(&wire), 0));
    ga_wire_close(&wire);
    end_serving();
}

static bool is_note(const Goalloc__V1__Envelope *message, bool wanted)
{
    return message && message->id == 0 &&
           message->body_case == GOALLOC__V1__ENVELOPE__BODY_PAUSE_WANTED &&
           message->pause_wanted->wanted == wanted;
}

/* Who attaches while a pause is wanted is told; who is told of it no longer may be asked again. */
static void test_by_hand(void)
{
    struct ga_wire asker;
    struct ga_wire client;
    struct ga_wire late;
    Goalloc__V1__Attach attach = GOALLOC__V1__ATTACH__INIT;
    Goalloc__V1__Pause pause = GOALLOC__V1__PAUSE__INIT;
    Goalloc__V1__Resume resume = GOALLOC__V1__RESUME__INIT;
    attach.layout_version = GA_LAYOUT_VERSION;
    serve("hand");
    CU_ASSERT_FATAL(ga_wire_open_greeted(&asker, path_) && ga_wire_open_greeted(&late, path_));
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&asker, GOALLOC__V1__ENVELOPE__BODY_PAUSE, &pause),
                                 -EPERM, "the client is not attached to the heap"));
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&asker, GOALLOC__V1__ENVELOPE__BODY_RESUME, &resume),
                                 -EPERM,
                                 "the client is not attached to the heap, nor is it quiet for it"));
    CU_ASSERT_FATAL(ga_wire_open_attached(&client, path_));
    ask_for_quiet(&asker, LONG_MS);
    CU_ASSERT(is_note(ga_wire_receive(&client), true));
    const Goalloc__V1__Envelope *reply =
        ga_wire_ask(&late, GOALLOC__V1__ENVELOPE__BODY_ATTACH, &attach);
    CU_ASSERT(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_ATTACHED);
    CU_ASSERT(is_note(ga_wire_receive(&late), true));
    reply = ga_wire_ask(&client, GOALLOC__V1__ENVELOPE__BODY_PAUSE, &pause);
    CU_ASSERT(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
    reply = ga_wire_ask(&late, GOALLOC__V1__ENVELOPE__BODY_PAUSE, &pause);
    CU_ASSERT(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
    CU_ASSERT(is_quiet(ga_wire_receive(&asker), 2));
    /* Two answers at a time there are not for one client. */
    Goalloc__V1__Envelope message = GOALLOC__V1__ENVELOPE__INIT;
    message.id = ++client.last_id;
    message.body_case = GOALLOC__V1__ENVELOPE__BODY_RESUME;
    message.resume = &resume;
    CU_ASSERT(ga_wire_send(&client, &message));
    CU_ASSERT(ga_wire_is_failure(ga_wire_ask(&client, GOALLOC__V1__ENVELOPE__BODY_RESUME, &resume),
                                 -EBUSY, "the client waits to go on already"));
    /* Copied: the note is first, so that nobody who goes on thinks that it is wanted still. */
    reply = ga_wire_ask(&asker, GOALLOC__V1__ENVELOPE__BODY_RESUME, &resume);
    CU_ASSERT(reply && reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
    CU_ASSERT(is_note(ga_wire_receive(&client), false));
    reply = ga_wire_receive(&client);
    CU_ASSERT(reply && reply->id == message.id &&
              reply->body_case == GOALLOC__V1__ENVELOPE__BODY_DONE);
    CU_ASSERT(lease_some(&client, 64));
    CU_ASSERT(is_note(ga_wire_receive(&late), false));
    CU_ASSERT_FALSE(lease_some(&late, 64)); /* it has not gone on */
    ga_wire_close(&asker);
    ga_wire_close(&client);
    ga_wire_close(&late);
    CU_ASSERT_EQUAL(ga_daemon_end(&daemon_, SIGTERM), 0);
    CU_ASSERT_EQUAL(GA_CTL(&run, "destroy", heap_), 0);
}

int main(void)
{
    static const struct ga_test tests[] = {
        {"clients agree, and go on when it is done", test_agreement},
        {"restored, the clients are dead", test_restore},
        {"what happens while it is quiet", test_meanwhile},
        {"to resume waits", test_resume},
        {"a server that is killed", test_server_killed},
        {"a client that is leaving is waited for", test_leaving},
        {"messages", test_by_hand},
    };
    int code = ga_test_main("integration.snapshot_pause", tests, COUNT(tests));
    ga_run_fini(&run);
    return ga_daemon_clean_up() == 0 ? code : 1;
}
