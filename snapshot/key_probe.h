/* snapshot/key_probe.h - does a store keep keys apart that could become one? Main thread. For this
 * room. */
#ifndef PB_SNAPSHOT_KEY_PROBE_H
#define PB_SNAPSHOT_KEY_PROBE_H

#include "base/key_form.h"
#include "snapshot/job.h"

typedef struct pb_key_probe {
    unsigned changed; /* forms that are not kept as they are written: under another key, together
                         with another, or not at all */
    unsigned refused; /* forms that the store takes no object of: nothing can be overwritten */
    char answer[160]; /* its error code (or message) for the last that it refused */
} pb_key_probe;

/* Tries the forms (PB_KEY_*) one by one: writes a few small objects below one random prefix of the
 * location, asks the listing for each, reads them, and deletes them again; a note names those that
 * could not be deleted. A key that the store resolves as a path stays below that prefix. -1 where
 * the store cannot be written to at all. */
int pb_key_probe_run(pb_session *session, pb_store *store, unsigned forms, pb_key_probe *ret_probe,
                     pb_error *error);

#endif
