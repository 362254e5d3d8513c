/* cli/result_json.h - results for --json. Pure, any thread. Names are snake_case, sizes bytes,
 * durations milliseconds, times RFC 3339; what is not known is null.
 *
 * Functions with an `object` add members to it; the others return a new value that the caller owns.
 */
#ifndef PB_CLI_RESULT_JSON_H
#define PB_CLI_RESULT_JSON_H

#include "snapshot/backup.h"
#include "snapshot/catalogue.h"
#include "snapshot/copy.h"
#include "snapshot/restore.h"
#include "snapshot/verify.h"
#include <jansson.h>

void pb_json_add_backup(json_t *object, const pb_backup_result *result);
void pb_json_add_restore(json_t *object, const pb_restore_result *result);
void pb_json_add_verify(json_t *object, const pb_verify_result *result);
void pb_json_add_copy(json_t *object, const pb_copy_result *result);
/* "newer_attempts", and "sources" where more than one could be meant. */
void pb_json_add_choice(json_t *object, const pb_choice *choice);

/* null for one without an id. With `parts`, an array of the manifest's parts. */
json_t *pb_json_of_snapshot(const pb_snapshot_file *file, bool parts);
json_t *pb_json_of_entry(const pb_catalogue_entry *entry);
/* null for kind NONE. */
json_t *pb_json_of_error(const pb_error *error);
/* null for 0. */
json_t *pb_json_of_time(int64_t utc_ms);
/* null for NULL. Bytes that are not UTF-8 become '?'. */
json_t *pb_json_of_text(const char *text);

#endif
