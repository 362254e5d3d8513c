/* cli/snapshot_fields.h - the fields of a pb_snapshot_file, which the tables of several results
 * share. For result_fields.c. */
#ifndef PB_CLI_SNAPSHOT_FIELDS_H
#define PB_CLI_SNAPSHOT_FIELDS_H

#include "cli/result_fields.h"

/* In the order of the text; the text of a backup has other fields between them. */
extern const pb_fields pb_snapshot_head_fields, pb_snapshot_proof_fields,
    pb_snapshot_cluster_fields;
extern const pb_fields pb_snapshot_fields; /* all three */

#endif
