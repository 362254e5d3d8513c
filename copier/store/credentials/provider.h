/* copier/store/credentials/provider.h - the login of one end of a run, kept fresh.
 *
 * A provider has a source, its newest value, and a thread that fetches the next one before that
 * ends: off the hot path, one fetch at a time for all loops. What is asked on the hot path is one
 * atomic number. The old value is used until it ends, whatever the fetches answer meanwhile. */
#ifndef PB_COPIER_STORE_CREDENTIALS_PROVIDER_H
#define PB_COPIER_STORE_CREDENTIALS_PROVIDER_H

#include "base/log.h"
#include "copier/store/credentials/source.h"

typedef struct pb_provider pb_provider;

/* Opens a provider and fetches the first value: blocks. It tries again what may pass, for some
 * seconds. Takes the source, also where it fails. `log` (borrowed, NULL for none) gets a line for
 * each fetch that failed. Free with pb_provider_close. */
int pb_provider_open(pb_credential_source *source, const pb_log *log, pb_provider **ret_provider,
                     pb_error *error);
/* No value is in use any more. NULL allowed. */
void pb_provider_close(pb_provider *provider);

/* The number of the newest value: it grows with each. Any thread; costs an atomic load. */
unsigned pb_provider_number(const pb_provider *provider);
/* Copies the newest value and its number; the caller clears the value. Any thread. */
void pb_provider_take(pb_provider *provider, pb_credential *ret_credential, unsigned *ret_number);
/* An answer says that the value of this number has ended: the next is fetched at once (but a second
 * after the last one at the earliest), unless a newer one is there or under way. True where a newer
 * one can come: the request is worth another try. Any thread; does not wait. */
bool pb_provider_has_ended(pb_provider *provider, unsigned number);

/* When a value fetched at `now_ms` is fetched anew: a third of its life before its end, at most
 * five minutes, at least one second from now. Pure. */
int64_t pb_provider_due_ms(int64_t now_ms, int64_t expires_ms);

#endif
