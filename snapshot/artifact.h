/* snapshot/artifact.h - dumps and captures on their way into the repository and back. Main thread.
 * For this room. */
#ifndef PB_SNAPSHOT_ARTIFACT_H
#define PB_SNAPSHOT_ARTIFACT_H

#include "cluster/database/database.h"
#include "cluster/process/chunk_sort.h"
#include "cluster/process/sealing.h"
#include "snapshot/repository.h"

/* ---- out ---- */

typedef struct pb_artifact_out pb_artifact_out;

/* A dump begins to stream into snapshots/<id>/<path>, while the session's loop runs. `path` is the
 * artifact's without ".zst"; `sort` (borrowed) gets the chunks that it needs, where not NULL. */
int pb_artifact_dump(pb_repository *repository, const char *id, const char *path,
                     pb_artifact_kind kind, const pb_database_server *server, const char *database,
                     const pb_sealing *sealing, pb_chunk_sort *sort, pb_artifact_out **ret_out,
                     pb_error *error);
/* The same of bytes in memory, which are borrowed until it is over: a capture (OBJECTS, RIGHTS). */
int pb_artifact_capture(pb_repository *repository, const char *id, const char *path,
                        pb_artifact_kind kind, pb_slice bytes, const pb_sealing *sealing,
                        pb_artifact_out **ret_out, pb_error *error);
bool pb_artifact_is_over(const pb_artifact_out *out);
bool pb_artifact_has_failed(const pb_artifact_out *out); /* pb_artifact_end will tell why */
uint64_t pb_artifact_bytes(const pb_artifact_out *out);  /* so far */
void pb_artifact_kill(pb_artifact_out *out, const pb_error *why);
/* Waits for its end, running the loop, and frees it. 0: *ret_artifact is complete and stored. */
int pb_artifact_end(pb_artifact_out *out, pb_artifact *ret_artifact, pb_error *error);

/* ---- back ---- */

/* Reads a stored dump to its end through pb_undump: into a server, or (options->check_only) only to
 * be looked at. Artifact, drained, chunk, done and context of the options are set here; `sort` gets
 * the chunks, where not NULL. `confirm` (may be NULL) is called before the last of the bytes, and
 * may run the loop: its -1 ends the call, and what has one transaction changes nothing. DAMAGED
 * where the stored bytes are not what the snapshot says. */
int pb_artifact_undump(pb_repository *repository, const char *id, const pb_artifact *artifact,
                       const pb_undump_options *options, pb_chunk_sort *sort,
                       int (*confirm)(void *context, pb_error *error), void *context,
                       pb_error *error);
/* Is it there, and of its size; with `read`, are its stored bytes those of the snapshot? 1: yes; 0:
 * no, *ret_finding names what is wrong ("missing", "truncated", "mismatch", "unreadable") and
 * *error says it; -1: cancelled. */
int pb_artifact_verify(pb_repository *repository, const char *id, const pb_artifact *artifact,
                       bool read, const char **ret_finding, pb_error *error);
/* Reads a stored capture, at most max_bytes, and appends it to *ret_bytes. */
int pb_artifact_read(pb_repository *repository, const char *id, const pb_artifact *artifact,
                     const char *identity, size_t max_bytes, pb_buffer *ret_bytes, pb_error *error);

#endif
