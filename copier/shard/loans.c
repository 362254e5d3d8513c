#include "copier/shard/loans.h"

#include <stdlib.h>

struct pb_loan {
    pb_loan *next;
    pb_transfer *transfer;
    engine_worker *lender, *borrower;
    /* What the lender's transfer says: */
    pb_store *source, *destination;
    void (*done)(pb_transfer *transfer);
    void *context;
};

/* The same store on another loop. */
static pb_store *store_of(const engine_worker *worker, const engine_worker *from, pb_store *store)
{
    for (unsigned i = 0; i < PB_ENGINE_STORES_MAX; i++)
        if (store && from->worker.stores[i] == store)
            return worker->worker.stores[i];
    return NULL;
}

/* On the borrower's thread. */
static void on_done(pb_transfer *transfer)
{
    pb_loan *loan = transfer->context;
    engine_worker *lender = loan->lender, *borrower = loan->borrower;
    transfer->source = loan->source;
    transfer->destination = loan->destination;
    transfer->done = loan->done;
    transfer->context = loan->context;
    pthread_mutex_lock(&lender->engine->lock);
    loan->next = lender->returned;
    lender->returned = loan;
    pthread_mutex_unlock(&lender->engine->lock);
    uv_async_send(&lender->wake);
    pb_worker_look_soon(borrower);
}

static void lend(engine_worker *lender, engine_worker *borrower)
{
    pb_loan *loan = pb_allocate(sizeof *loan);
    pb_transfer *transfer = pb_mover_take(lender->worker.mover);
    *loan = (pb_loan){
        .next = borrower->arrived,
        .transfer = transfer,
        .lender = lender,
        .borrower = borrower,
        .source = transfer->source,
        .destination = transfer->destination,
        .done = transfer->done,
        .context = transfer->context,
    };
    transfer->source = store_of(borrower, lender, loan->source);
    transfer->destination = store_of(borrower, lender, loan->destination);
    transfer->done = on_done;
    transfer->context = loan;
    borrower->arrived = loan;
    borrower->transfers_wanted--;
    lender->engine->statistics.loans++;
}

void pb_loans_ask(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    unsigned busy = pb_mover_running(worker->worker.mover) + pb_mover_waiting(worker->worker.mover);
    unsigned wanted = 0;
    if (!worker->shards_open && !worker->cancelled && busy < worker->transfers_max)
        wanted = worker->transfers_max - busy;
    pthread_mutex_lock(&engine->lock);
    bool more = wanted > worker->transfers_wanted;
    worker->transfers_wanted = wanted;
    pthread_mutex_unlock(&engine->lock);
    if (more)
        pb_worker_wake_others(worker);
}

void pb_loans_give(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    if (!pb_mover_waiting(worker->worker.mover) || worker->cancelled)
        return;
    pthread_mutex_lock(&engine->lock);
    for (unsigned i = 0; i < engine->loops; i++) {
        engine_worker *other = &engine->workers[i];
        unsigned waiting = pb_mover_waiting(worker->worker.mover);
        unsigned most = (waiting + 1) / 2, lent = 0;
        while (other != worker && other->transfers_wanted && lent < most) {
            lend(worker, other);
            lent++;
        }
        if (lent)
            uv_async_send(&other->wake);
    }
    pthread_mutex_unlock(&engine->lock);
}

void pb_loans_settle(engine_worker *worker)
{
    engine_run *engine = worker->engine;
    pthread_mutex_lock(&engine->lock);
    pb_loan *arrived = worker->arrived, *returned = worker->returned;
    worker->arrived = worker->returned = NULL;
    pthread_mutex_unlock(&engine->lock);
    for (; arrived; arrived = arrived->next)
        pb_mover_start(worker->worker.mover, arrived->transfer);
    while (returned) {
        pb_loan *loan = returned;
        pb_transfer *transfer = loan->transfer;
        returned = loan->next;
        free(loan);
        transfer->done(transfer);
    }
}
