/* goallocd: options, then the heap in shared memory, then the socket, then the loop; and back. Each
 * step takes back what it made when a later one fails. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/heap.h"
#include "server/shell/activation.h"
#include "server/shell/attachment.h"
#include "server/shell/descriptors.h"
#include "server/shell/exit_status.h"
#include "server/shell/listener.h"
#include "server/shell/log.h"
#include "server/shell/options.h"
#include "server/shell/reload.h"
#include "server/shell/room.h"
#include "server/shell/server.h"
#include "server/shell/signals.h"
#include "server/shell/size_text.h"
#include "server/shell/standard_fds.h"
#include "server/shell/world.h"

static void tell_ready(const struct ga_options *options, const struct ga_world *world)
{
    char reserve[GA_SIZE_TEXT_BYTES];
    char limit[GA_SIZE_TEXT_BYTES];
    ga_log(GA_LOG_INFO, "ready: heap '%s' on %s, base 0x%" PRIx64 ", reserve %s, limit %s%s",
           world->name, options->socket_path, world->base,
           ga_size_format(world->reserve_bytes, reserve), ga_size_format(world->limit_bytes, limit),
           world->limit_bytes > ga_room_of_shm() ? ", which is more than /dev/shm holds" : "");
    if (options->ready_fd < 0)
        return;
    static const char ready[] = "READY\n";
    if (write(options->ready_fd, ready, sizeof(ready) - 1) < 0)
        ga_log(GA_LOG_WARNING, "--ready-fd: %d cannot be written to", options->ready_fd);
    ga_standard_fds_close(options->ready_fd);
}

/* listener: the one that the service manager has passed, or none. */
static int serve(struct ga_reload *reload, struct ga_listener listener)
{
    const struct ga_options *options = reload->options;
    struct ga_world world;
    struct ga_heap *heap = NULL;
    struct ga_server *server = NULL;

    /* From here on there is something to take back. */
    ga_signals_block();
    int r = ga_descriptors_prepare();
    if (r == 0)
        r = ga_room_check();
    if (r < 0)
        return r;
    r = ga_world_open(&world, options, &heap);
    if (r < 0)
        return r;
    ga_log_set_heap(world.name);
    if (listener.fd < 0)
        r = ga_listener_open(&listener, options->socket_path, &options->access);
    if (r < 0)
        goto close_world;
    r = ga_server_new(&world, heap, options->socket_path, &options->access, &server);
    if (r == 0 && world.adopted)
        ga_attachment_adopt_all(server);
    if (r == 0)
        r = ga_server_listen(server, &listener);
    if (r == 0 && options->is_private)
        r = ga_server_make_private(server);
    if (r < 0) {
        ga_log(GA_LOG_ERROR, "the server cannot listen: %s", strerror(-r));
        goto close_listener;
    }
    ga_room_warn(options);
    if (options->config_path)
        ga_server_set_reload(server, reload);
    ga_world_commit_ahead(&world);
    tell_ready(options, &world);
    ga_service_ready(server);
    r = ga_server_run(server);
    /* A heap that was damaged is of no use to the next server. */
    world.keep = r == 0 && !options->ephemeral;

close_listener:
    ga_listener_close(&listener);
close_world:
    if (!world.keep)
        ga_heap_end(heap);
    ga_server_free(server);
    ga_heap_free(heap);
    ga_world_close(&world);
    if (r == 0)
        ga_log(GA_LOG_INFO,
               world.keep ? "heap '%s' is kept for the next start" : "heap '%s' has ended",
               world.name);
    return r;
}

/* An answer on stdout must also have arrived, or a script would take nothing for an answer. */
static int finish_answer(void)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_SUCCESS;
    ga_log(GA_LOG_ERROR, "standard output cannot be written: %s", strerror(errno));
    return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    struct ga_options options;
    if (ga_standard_fds_fill() < 0)
        return EXIT_FAILURE;
    ga_log_find_journal();
    int r = ga_options_parse(argc, argv, &options);
    if (r != GA_OPTIONS_SERVE)
        return r < 0 ? GA_EXIT_USAGE : finish_answer();
    /* A client that hangs up, and a limit on file sizes, are errors of calls and not our end. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    struct ga_reload reload;
    struct ga_listener listener = GA_LISTENER_NONE;
    ga_reload_init(&reload, argc, argv, &options);
    r = ga_activation_take(&options, &listener);
    if (r == 0)
        r = ga_options_default_socket(&options);
    return (int)ga_exit_status_of(r < 0 ? r : serve(&reload, listener));
}
