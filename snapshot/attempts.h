/* snapshot/attempts.h - the attempts of a repository, the newest first, and what stands at their
 * commit keys. Main thread. For this room.
 *
 * A repository may hold a hundred thousand of them, and who asks mostly wants the newest few. So
 * the names are listed in pieces, from times ever further back, and the commit keys are looked at
 * several at once, the more the longer it goes on. */
#ifndef PB_SNAPSHOT_ATTEMPTS_H
#define PB_SNAPSHOT_ATTEMPTS_H

#include "snapshot/repository.h"
#include "snapshot/sources.h"

typedef struct pb_attempts pb_attempts;

/* Begins at the newest. With `intents`, their intents are read as well. */
pb_attempts *pb_attempts_open(pb_repository *repository, bool intents);

/* The next older one: 1; 0 where there is none; -1. ret_attempt->source is UNKNOWN. A commit counts
 * as one whatever it says. *ret_intent (NULL allowed) is the text of the intent, empty where there
 * is none or it is not read; valid until the next call. */
int pb_attempts_next(pb_attempts *attempts, pb_attempt *ret_attempt, pb_slice *ret_intent,
                     pb_error *error);

/* The id of the newest attempt, "" for none. */
int pb_attempts_newest(pb_repository *repository, char ret_id[PB_SNAPSHOT_ID_SIZE],
                       pb_error *error);

/* Waits for what is under way, and frees; NULL allowed. */
void pb_attempts_close(pb_attempts *attempts);

#endif
