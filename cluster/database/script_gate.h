/* cluster/database/script_gate.h - a hostile script on its way to psql. psql has commands of its
 * own beside SQL, some of which run programs on this machine, and text can be hidden where a
 * careless reader takes it for a string or a row. So the script is read here by psql's own rules
 * (its psqlscan.l and copy.c), a line is passed on only when it is whole and accepted, and what
 * pg_dump does not write is an error (cluster/boundary/restore_policy.h decides). Pure. For this
 * room.
 *
 * Where psql knows \restrict it runs restricted throughout, by a key that the script cannot know:
 * then it refuses by itself what this reader might misread. */
#ifndef PB_CLUSTER_DATABASE_SCRIPT_GATE_H
#define PB_CLUSTER_DATABASE_SCRIPT_GATE_H

#include "cluster/database/database.h"

typedef struct pb_script_gate pb_script_gate;

typedef struct pb_script_gate_options {
    const char *restrict_key; /* letters and digits, copied; NULL: psql is too old for it */
    /* "30s": how long statements wait for locks, whatever the script says; borrowed. NULL: as long
     * as it says. */
    const char *lock_timeout;
    /* What psql is to read. */
    void (*write)(void *context, const void *data, size_t size);
    void *context;
} pb_script_gate_options;

pb_script_gate *pb_script_gate_new(const pb_script_gate_options *options);
/* The next bytes. DAMAGED where a line is refused, with its number: nothing of that line or behind
 * it is written, now or later. */
int pb_script_gate_feed(pb_script_gate *gate, const void *data, size_t size, pb_error *error);
/* That was all: a last line without a newline is judged too. */
int pb_script_gate_end(pb_script_gate *gate, pb_error *error);
void pb_script_gate_free(pb_script_gate *gate); /* NULL allowed */

#endif
