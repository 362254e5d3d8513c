/* base/process.h - which process this is, so that others can ask whether it still lives. Any
 * thread. */
#ifndef PB_BASE_PROCESS_H
#define PB_BASE_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* As intent.json and a suspension's record name a run. Texts are UTF-8. */
typedef struct pb_process {
    char *host;           /* name of the machine */
    char *boot_id;        /* of the machine's boot and namespace of processes; "" where unknown */
    uint64_t pid;         /* pid and pid_start are at most 2^63 - 1 */
    uint64_t pid_start;   /* start time of the process in clock ticks since boot */
    int64_t heartbeat_ms; /* the last sign of life, by the run's clock */
} pb_process;

/* Describes this process, alive now. Freed with pb_process_free. */
void pb_process_this(pb_process *ret_process);
void pb_process_free(pb_process *process); /* back to {0} */

/* True where the process provably is no more: it was one of this machine, this boot and this
 * namespace of processes, and its number is free or another's. What cannot be seen (a process of
 * another user under hidepid) is not proven. */
bool pb_process_is_gone(const pb_process *process);
/* What may live: one of this machine that is not gone, one of another whose heartbeat is no older
 * than three minutes. */
bool pb_process_is_alive(const pb_process *process);

#endif
