/* copier/http/outage.h - which endpoints answer and which do not, for all clients of a run: how
 * long a run waits for an endpoint depends on what any of its requests heard. Any thread.
 *
 * An endpoint answers where a whole answer comes that neither asks to slow down nor reports a fault
 * of the server. What is said of an outage goes to the log, as warnings: that it lasts, and how
 * long it took. Times are of the monotonic clock, in milliseconds. */
#ifndef PB_COPIER_HTTP_OUTAGE_H
#define PB_COPIER_HTTP_OUTAGE_H

#include "base/log.h"
#include <stdint.h>

typedef struct pb_outages pb_outages;
typedef struct pb_outage pb_outage; /* what is known of one endpoint; lives as long as its board */

/* `log` is borrowed; NULL for none. */
pb_outages *pb_outages_new(const pb_log *log);
void pb_outages_free(pb_outages *outages); /* NULL allowed */

/* The one of this base URL, made on first use. */
pb_outage *pb_outage_at(pb_outages *outages, const char *base_url);

/* A request was answered, or bytes of an answer came: an outage that was said is over, and the log
 * says how long it was. */
void pb_outage_answered(pb_outage *outage, int64_t now_ms);
/* An attempt failed. Returns since when all have: requests are tried again until `patience_ms`
 * later. */
int64_t pb_outage_failed(pb_outage *outage, int64_t now_ms, int64_t patience_ms);
/* When it answered last; 0: never yet. */
int64_t pb_outage_answered_ms(const pb_outage *outage);

#endif
