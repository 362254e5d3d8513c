/* snapshot/repository.h - an open repository: its mark, its snapshots. Main thread. For this room.
 */
#ifndef PB_SNAPSHOT_REPOSITORY_H
#define PB_SNAPSHOT_REPOSITORY_H

#include "manifest/closing_note.h"
#include "manifest/findings_file.h"
#include "manifest/intent.h"
#include "manifest/layout.h"
#include "manifest/repository_file.h"
#include "manifest/snapshot_file.h"
#include "snapshot/job.h"

typedef struct pb_repository pb_repository;
struct pb_repository {
    pb_session *session;
    pb_store_config *config;
    pb_store *store;
    pb_repository_file file;
    bool made; /* there is a pbcopy.json (a dry run does not make one) */
};

/* The code of a NOT_FOUND for a place that is there, and empty. */
#define PB_CODE_EMPTY "empty"

/* Opens a repository. With `make`, an empty place becomes one (and the store is asked whether it
 * honours create-only writes); a place that holds other things is USAGE, an absent one NOT_FOUND.
 */
int pb_repository_open(pb_session *session, const char *url, bool make,
                       pb_repository *ret_repository, pb_error *error);
void pb_repository_close(pb_repository *repository); /* a zeroed one is allowed */

/* The id of an attempt in a common prefix below a folder: "snapshots/<id>/". False where it is
 * named otherwise. *ret_id is borrowed from it. Pure. */
bool pb_repository_id_of(pb_slice prefix, size_t folder_bytes, pb_slice *ret_id);

/* Ids of everything under `prefix` ("snapshots/", "data/") that is named like a snapshot, oldest
 * first, in the arena. */
int pb_repository_ids(pb_repository *repository, const char *prefix, pb_arena *arena,
                      pb_slice **ret_ids, size_t *ret_count, pb_error *error);

/* The code of a NOT_FOUND for an attempt that was closed: it never can be committed. */
#define PB_CODE_ABANDONED "abandoned"

/* A committed snapshot's description; NOT_FOUND where it is not committed. ret_sha256 (65 bytes:
 * hex of the file, NULL allowed). */
int pb_repository_snapshot(pb_repository *repository, pb_slice id, pb_snapshot_file *ret_file,
                           char *ret_sha256, pb_error *error);
/* Adds what verify found damaged of a snapshot; nothing where it found nothing. A document that is
 * damaged itself, or of a newer version, counts as one that is cut off. */
int pb_repository_findings(pb_repository *repository, const char *id, pb_findings *findings,
                           pb_error *error);
/* Writes it, over what was there. */
int pb_repository_write_findings(pb_repository *repository, const char *id,
                                 const pb_findings *findings, pb_error *error);
int pb_repository_intent(pb_repository *repository, pb_slice id, pb_intent *ret_intent,
                         pb_error *error);

/* Writes a small object, create-only, and reads it back: DAMAGED unless the store gives back the
 * same bytes. For what success rests on. */
int pb_repository_write_proven(pb_repository *repository, pb_slice key, pb_slice text,
                               pb_error *error);

/* Reads a whole part (part->name is set), checks every record, and describes it in *part: for parts
 * of attempts, which no snapshot.json names. */
int pb_repository_part(pb_repository *repository, pb_slice id, pb_part *part, pb_error *error);

/* Cuts for a run over a manifest: the ends of its parts, gathered so that a shard has at least
 * `records` of them. In the arena. */
void pb_repository_cuts(const pb_snapshot_file *file, uint64_t records, pb_arena *arena,
                        pb_slice **ret_cuts, size_t *ret_count);

enum {
    PB_SNAPSHOT_FILE_BYTES_MAX = 256 * 1024 * 1024,
    PB_SMALL_FILE_BYTES_MAX = 1024 * 1024,
    PB_PART_BYTES_MAX = 64 * 1024 * 1024,
};

#endif
