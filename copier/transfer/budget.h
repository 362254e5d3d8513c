/* copier/transfer/budget.h - the bytes that part buffers may take on one loop (--memory). Pure.
 *
 * Whoever wants a buffer takes a ticket for its size first and gives it back after. A ticket larger
 * than the whole budget is granted when nothing else is out, so that nothing waits for ever. */
#ifndef PB_COPIER_TRANSFER_BUDGET_H
#define PB_COPIER_TRANSFER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pb_budget {
    uint64_t total_bytes;
    uint64_t out_bytes;    /* now in tickets */
    uint64_t most_bytes;   /* the most at any time */
    uint64_t taken, given; /* tickets so far: equal when all work is done */
} pb_budget;

static inline bool pb_budget_take(pb_budget *budget, uint64_t bytes)
{
    if (budget->out_bytes && budget->out_bytes + bytes > budget->total_bytes)
        return false;
    budget->out_bytes += bytes;
    budget->taken++;
    if (budget->out_bytes > budget->most_bytes)
        budget->most_bytes = budget->out_bytes;
    return true;
}

static inline void pb_budget_give(pb_budget *budget, uint64_t bytes)
{
    budget->out_bytes -= bytes;
    budget->given++;
}

#endif
