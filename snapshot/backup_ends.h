/* snapshot/backup_ends.h - where a backup reads and where it writes. Main thread. For this room. */
#ifndef PB_SNAPSHOT_BACKUP_ENDS_H
#define PB_SNAPSHOT_BACKUP_ENDS_H

#include "snapshot/repository.h"

typedef struct pb_backup_ends {
    pb_repository repository;
    pb_store_config *source_config;
    pb_store *source;
    char *source_identity;
    bool server_side; /* the repository's store copies from the source's, and that is provable */
} pb_backup_ends;

/* Opens both: the source must be there and let its keys with `prefix` (NULL: all) be listed, the
 * repository is made where its place is empty. USAGE where they overlap. `keys` are the source's
 * own credentials where they are known (NULL: they are looked for as store.h says). On -1 too,
 * *ret_ends can be closed. */
int pb_backup_ends_open(pb_session *session, const char *source, const char *prefix,
                        const char *repository, const pb_store_keys *keys, pb_backup_ends *ret_ends,
                        pb_error *error);
void pb_backup_ends_close(pb_backup_ends *ends);

#endif
