/* cluster/database/server.h - how the programs of PostgreSQL are told of a server, and what their
 * errors mean. For this room. */
#ifndef PB_CLUSTER_DATABASE_SERVER_H
#define PB_CLUSTER_DATABASE_SERVER_H

#include "cluster/database/database.h"
#include <stdatomic.h>

enum { PB_DATABASE_ARGUMENTS_MAX = 9 };

/* What of this process's environment a child that connects gets: see pb_child_options. */
extern const char *const pb_database_inherited[];

/* Arguments and environment of a child; the password is in the environment alone. Borrows from the
 * server. */
typedef struct pb_database_call {
    const char *arguments[PB_DATABASE_ARGUMENTS_MAX];
    size_t argument_count;
    const char *environment[5]; /* NULL at the end */
    char port[24];
    pb_buffer password, database;
} pb_database_call;

/* `database`: NULL where none is named. A name is told as one: it may look like a connection's
 * whole description, which libpq would follow to another server. Connections are kept alive, and
 * given up where nothing answers for minutes. *ret_call must not be moved. */
void pb_database_arguments(const pb_database_server *server, const char *database,
                           pb_database_call *ret_call);
void pb_database_call_free(pb_database_call *call);

/* Runs a program of PostgreSQL's (`arguments`, NULL at the end, at most 12) against the server to
 * its end, for deadline_ms at most. Its output, of output_max bytes at most, is appended to
 * *ret_output (NULL: dropped); its error is judged. Runs the loop. */
int pb_database_run(uv_loop_t *loop, const pb_database_server *server, const char *database,
                    const char *const *arguments, int64_t deadline_ms, const atomic_bool *cancelled,
                    size_t output_max, pb_buffer *ret_output, pb_error *error);
/* An answer of psql, appended without its formats; it ends in a newline where there is one, and has
 * a NUL behind it. On -1 too, *ret_answer is the caller's. Runs the loop. */
int pb_database_ask(uv_loop_t *loop, const pb_database_server *server, const char *database,
                    const char *question, pb_buffer *ret_answer, pb_error *error);

/* A dump waits so long for a table that somebody else has locked. */
#define PB_DATABASE_LOCK_WAIT "--lock-wait-timeout=60000"

/* Gives the error of a child of PostgreSQL its kind, and a hint, by what it said. Pure. */
void pb_database_judge(pb_slice said, pb_error *error);

#endif
