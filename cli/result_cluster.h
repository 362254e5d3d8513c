/* cli/result_cluster.h - what a snapshot holds of a cluster, for people and as JSON. Pure. For this
 * room. */
#ifndef PB_CLI_RESULT_CLUSTER_H
#define PB_CLI_RESULT_CLUSTER_H

#include "manifest/cluster_record.h"

/* Appends some lines: the namespace, its dumps and captures, the downtime. */
void pb_text_cluster(pb_buffer *buffer, const pb_cluster_record *record);
/* null for NULL. */
json_t *pb_json_of_cluster(const pb_cluster_record *record);

/* What became of helm's release, and what to do: `objects` of it were left out of, or are not tied
 * to it any more in, the namespace. Appends one line without its newline. */
void pb_text_helm(pb_buffer *buffer, uint64_t objects, const char *name_space);

#endif
