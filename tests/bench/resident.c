/* How much memory a heap has the machine keep: see resident.h. */
#include "resident.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A number of KiB in the text of /proc/PID/status, in bytes. */
static uint64_t field(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    if (!found)
        ga_bench_die("the kernel does not tell %s", name);
    return strtoull(found + strlen(name), NULL, 10) << 10;
}

static void read_status(pid_t pid, size_t size, char *ret_text)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, ret_text, size - 1) : -1;
    if (length <= 0)
        ga_bench_die("cannot read %s", path);
    close(fd);
    ret_text[length] = '\0';
}

uint64_t ga_bench_resident_process(pid_t pid)
{
    char text[8192];
    read_status(pid, sizeof text, text);
    return field(text, "\nRssAnon:") + field(text, "\nRssFile:");
}

uint64_t ga_bench_resident_anonymous(pid_t pid)
{
    char text[8192];
    read_status(pid, sizeof text, text);
    return field(text, "\nRssAnon:");
}

uint64_t ga_bench_resident_object(const char *heap, const char *part)
{
    char path[256];
    struct stat state;
    snprintf(path, sizeof path, "/dev/shm/goalloc.%s.%s", heap, part);
    if (stat(path, &state) < 0)
        ga_bench_die("cannot see %s", path);
    return (uint64_t)state.st_blocks * 512;
}

uint64_t ga_bench_resident_objects(const char *heap)
{
    return ga_bench_resident_object(heap, "meta") + ga_bench_resident_object(heap, "bits") +
           ga_bench_resident_object(heap, "heap");
}

uint64_t ga_bench_resident(const struct ga_bench_args *args)
{
    char text[8192];
    if (args->objects)
        return ga_bench_resident_process(getpid()) + ga_bench_resident_process(args->server) +
               ga_bench_resident_objects(args->objects);
    read_status(getpid(), sizeof text, text);
    return field(text, "\nVmRSS:");
}
