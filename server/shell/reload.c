/* What is compared is what was read, then and now: what the server goes by may be something else,
 * as the limit of a heap that was taken over. Each setting that can change has its place in apply;
 * each other one in name_fixed. */
#include "server/shell/reload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "server/shell/cycle.h"
#include "server/shell/server.h"
#include "server/shell/size_text.h"

#define NAMES_BYTES 256

void ga_reload_init(struct ga_reload *reload, int argc, char *argv[], struct ga_options *options)
{
    *reload = (struct ga_reload){
        .argc = argc, .argv = argv, .started = *options, .given = *options, .options = options};
}

static void add_name(char names[static NAMES_BYTES], const char *name)
{
    size_t length = strlen(names);
    snprintf(names + length, NAMES_BYTES - length, "%s%s", length ? ", " : "", name);
}

/* What is another than before, and would take a new start. */
static void name_fixed(const struct ga_options *now, const struct ga_options *before,
                       char ret_names[static NAMES_BYTES])
{
    const struct {
        const char *name;
        bool differs;
    } fixed[] = {
        {"name", strcmp(now->name, before->name) != 0},
        {"socket", strcmp(now->socket_path, before->socket_path) != 0},
        {"reserve", now->reserve_bytes != before->reserve_bytes},
        {"base", now->base != before->base},
        {"group", now->access.has_group != before->access.has_group ||
                      now->access.group != before->access.group},
        {"mode", now->access.mode != before->access.mode},
        {"huge-pages", now->huge_pages != before->huge_pages},
        {"no-io-uring", now->io_uring != before->io_uring},
        {"ephemeral", now->ephemeral != before->ephemeral},
        {"private", now->is_private != before->is_private},
    };
    ret_names[0] = '\0';
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        if (fixed[i].differs)
            add_name(ret_names, fixed[i].name);
}

/* The heap's limit is what the heap has, if the file says no other than it did. */
static int set_limits(struct ga_server *server, const struct ga_options *now,
                      const struct ga_options *before)
{
    struct ga_world *world = server->world;
    uint64_t limit = world->limit_bytes;
    char text[GA_SIZE_TEXT_BYTES];
    if (now->limit_bytes != before->limit_bytes)
        limit = now->limit_bytes ? now->limit_bytes : world->reserve_bytes;
    const struct ga_heap_limits limits = {.limit_bytes = limit,
                                          .soft_limit_bytes = now->soft_limit_bytes,
                                          .user_quota = now->user_quota,
                                          .client_quota = now->client_quota};
    int r = ga_heap_set_limits(server->heap, &limits);
    if (r == 0)
        world->limit_bytes = limit;
    else if (r == -EBUSY)
        ga_log(GA_LOG_ERROR, "limit: %s is less than what is in use", ga_size_format(limit, text));
    else
        ga_log(GA_LOG_ERROR, "limit: %s is more than the heap's reserve",
               ga_size_format(limit, text));
    return r;
}

static void set_lists(struct ga_access *access, const struct ga_access *now)
{
    memcpy(access->users, now->users, sizeof(access->users));
    memcpy(access->groups, now->groups, sizeof(access->groups));
    access->nusers = now->nusers;
    access->ngroups = now->ngroups;
}

/* 0 or a negative errno, and then nothing has changed, and what is wrong has been logged. */
static int apply(struct ga_server *server, const struct ga_options *now)
{
    struct ga_reload *reload = server->reload;
    struct ga_options *options = reload->options;
    int r = set_limits(server, now, &reload->given);
    if (r < 0)
        return r;
    options->limit_bytes = now->limit_bytes;
    options->soft_limit_bytes = now->soft_limit_bytes;
    options->user_quota = now->user_quota;
    options->client_quota = now->client_quota;
    set_lists(&options->access, &now->access);
    options->gc_stops = now->gc_stops;
    options->gc_percent = now->gc_percent;
    ga_cycle_set_percent(server, now->gc_percent);
    if (now->profile_rate_bytes != reload->given.profile_rate_bytes)
        (void)ga_heap_set_profile_rate(server->heap, 0, 0, now->profile_rate_bytes);
    options->profile_rate_bytes = now->profile_rate_bytes;
    ga_log_set_level(now->log_level);
    return 0;
}

void ga_reload(struct ga_server *server)
{
    struct ga_reload *reload = server->reload;
    const char *file = reload->started.config_path;
    struct ga_options now;
    char fixed[NAMES_BYTES];
    ga_service_reloading(server);
    int r = ga_options_parse_again(reload->argc, reload->argv, &now);
    if (r == GA_OPTIONS_SERVE)
        r = apply(server, &now);
    if (r != GA_OPTIONS_SERVE) {
        ga_log(GA_LOG_ERROR, "%s is not taken, and all stays as it was", file);
        ga_service_reloaded(server, "the file of options has an error, see the log");
        return;
    }
    name_fixed(&now, &reload->started, fixed);
    if (fixed[0])
        ga_log(GA_LOG_WARNING, "only with the next start: %s", fixed);
    ga_log(GA_LOG_INFO, "%s was read again", file);
    reload->given = now;
    ga_service_reloaded(server, fixed[0] ? "some options wait for the next start" : NULL);
}
