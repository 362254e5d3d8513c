#include "base/process.h"

#include "base/bytes.h"
#include "base/clock.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { HEARTBEAT_STALE_MS = 3 * 60 * 1000 };

/* Where a process's number means something: this boot of the machine and this namespace of
 * processes (two containers of one machine may have the same name). The caller frees. */
static char *name_this_boot(void)
{
    char boot[64] = "", space[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (file) {
        if (!fgets(boot, sizeof boot, file))
            boot[0] = 0;
        fclose(file);
    }
    boot[strcspn(boot, "\n")] = 0;
    if (readlink("/proc/self/ns/pid", space, sizeof space - 1) < 0)
        space[0] = 0;
    pb_buffer name = {0};
    if (boot[0] && space[0])
        pb_buffer_append_format(&name, "%s %s", boot, space);
    char *text = pb_duplicate(pb_buffer_slice(&name));
    pb_buffer_free(&name);
    return text;
}

/* Start time of a process in clock ticks since boot (proc(5), field 22); 0 for one that has ended
 * and only waits for its parent to ask. False where it cannot be read. */
static bool read_start(uint64_t pid, uint64_t *ret_start)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *field = strrchr(text, ')'); /* the name before it may hold anything */
    *ret_start = 0;
    if (field && (strncmp(field, ") Z", 3) == 0 || strncmp(field, ") X", 3) == 0))
        return true;
    for (int i = 2; field && i < 22; i++)
        field = strchr(field + 1, ' ');
    if (field)
        *ret_start = strtoull(field + 1, NULL, 10);
    return field != NULL;
}

void pb_process_this(pb_process *ret_process)
{
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    ret_process->host = pb_duplicate(pb_slice_of(host));
    ret_process->boot_id = name_this_boot();
    ret_process->pid = (uint64_t)getpid();
    if (!read_start(ret_process->pid, &ret_process->pid_start))
        ret_process->pid_start = 0;
    ret_process->heartbeat_ms = pb_clock_utc_ms();
}

void pb_process_free(pb_process *process)
{
    free(process->host);
    free(process->boot_id);
    *process = (pb_process){0};
}

static bool is_of_here(const pb_process *process)
{
    char *boot_id = name_this_boot();
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    bool here =
        boot_id[0] && strcmp(boot_id, process->boot_id) == 0 && strcmp(host, process->host) == 0;
    free(boot_id);
    return here;
}

bool pb_process_is_gone(const pb_process *process)
{
    if (!is_of_here(process) || !process->pid || process->pid > INT32_MAX)
        return false;
    if (kill((pid_t)process->pid, 0) && errno == ESRCH)
        return true;
    uint64_t start;
    return read_start(process->pid, &start) && start != process->pid_start;
}

bool pb_process_is_alive(const pb_process *process)
{
    if (is_of_here(process))
        return !pb_process_is_gone(process);
    return pb_clock_utc_ms() - process->heartbeat_ms < HEARTBEAT_STALE_MS;
}
