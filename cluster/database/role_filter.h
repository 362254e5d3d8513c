/* cluster/database/role_filter.h - pg_dumpall's script on its way into a server that has some of
 * its roles: each CREATE ROLE is made only where the role is not there yet. Pure. For this room. */
#ifndef PB_CLUSTER_DATABASE_ROLE_FILTER_H
#define PB_CLUSTER_DATABASE_ROLE_FILTER_H

#include "base/bytes.h"

typedef struct pb_role_filter pb_role_filter;

/* `write` gets the script as psql is to read it. */
pb_role_filter *pb_role_filter_new(void (*write)(void *context, const void *data, size_t size),
                                   void *context);
void pb_role_filter_feed(pb_role_filter *filter, const void *data, size_t size);
void pb_role_filter_end(pb_role_filter *filter);
void pb_role_filter_free(pb_role_filter *filter); /* NULL allowed */

#endif
