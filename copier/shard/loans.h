/* copier/shard/loans.h - transfers that run on another loop than their shard's. For this room only.
 *
 * Ranges cannot be given away once they are listed: eight large objects on one page are one
 * shard's. A loop without a shard is lent what another's mover has not begun. The borrower's stores
 * do the work; the transfer ends on the loop that it belongs to. */
#ifndef PB_COPIER_SHARD_LOANS_H
#define PB_COPIER_SHARD_LOANS_H

#include "copier/shard/worker.h"

/* Says how many transfers this loop could run, having no shard of its own. */
void pb_loans_ask(engine_worker *worker);
/* Lends to those that asked: half of what waits at most, so that both end together. */
void pb_loans_give(engine_worker *worker);
/* Begins what was lent to this loop, ends what came back to it. */
void pb_loans_settle(engine_worker *worker);

#endif
