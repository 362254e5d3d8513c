/* An exhaustive explorer: two runs and somebody who closes attempts, over a store with create-only
 * writes that is kept in memory. All interleavings of their steps are tried; a run may freeze for
 * any time (it is simply not picked), be killed, take another for dead when it is not; each write
 * may get no answer, be sent again, and arrive much later; the source changes meanwhile. What the
 * runs do next and what they take over is decided by the program's own functions. */
#include "snapshot/protocol.h"
#include "snapshot/reuse.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { RUNS = 2, ATTEMPTS = 1 + RUNS, VERSIONS = 2, LATE = 1, NOBODY = 0xff };

typedef enum write_kind {
    WRITE_NONE,
    WRITE_LEASE_NEW, /* create-only */
    WRITE_LEASE,
    WRITE_LEASE_OVER,
    WRITE_NOTE, /* create-only */
    WRITE_OBJECT,
    WRITE_PART,
    WRITE_COMMIT, /* create-only */
} write_kind;

typedef struct write_request {
    uint8_t kind, attempt, at, version;
} write_request;

/* A copy of the one object: `at` whose folder, which version of the source. */
typedef struct copy_record {
    uint8_t at, version; /* version 0: none */
} copy_record;

typedef struct attempt_state {
    uint8_t made, started; /* the source's version when it began */
    uint8_t commit;        /* 0 nothing, 1 commit, 2 note */
    copy_record committed, part;
    uint8_t object; /* the version in its folder; 0: none */
} attempt_state;

typedef struct run_state {
    pb_protocol protocol;
    uint8_t dead, attempt, holder, base;
    uint8_t donors[ATTEMPTS], donor_count;
    uint8_t copy_step, listed; /* 0 list, 1 choose, 2 read and put, 3 part */
    copy_record record;
} run_state;

/* Compared byte by byte: zeroed, and copied as a whole. */
typedef struct model {
    uint8_t version; /* of the source's object */
    uint8_t lease, lease_over, made;
    attempt_state attempts[ATTEMPTS];
    run_state runs[RUNS];
    write_request late[LATE];
} model;

typedef struct explorer {
    bool shares_ids; /* a mutation: a takeover goes on under the dead run's id */
    uint8_t *table;  /* hashed worlds: each a byte that says "used", and the world */
    size_t capacity, count;
    model *stack;
    size_t depth, stack_capacity;
    uint64_t committed_worlds, donated_worlds; /* with a new snapshot; with one that uses a donor */
    const char *violation;
} explorer;

enum { SLOT = 1 + sizeof(model) };

static uint64_t hash_of(const model *world)
{
    const unsigned char *bytes = (const unsigned char *)world;
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < sizeof *world; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash ^ hash >> 29;
}

/* True where the world was not in the table. */
static bool insert(uint8_t *table, size_t capacity, const model *world)
{
    size_t at = hash_of(world) & (capacity - 1);
    while (table[at * SLOT]) {
        if (memcmp(table + at * SLOT + 1, world, sizeof *world) == 0)
            return false;
        at = (at + 1) & (capacity - 1);
    }
    table[at * SLOT] = 1;
    memcpy(table + at * SLOT + 1, world, sizeof *world);
    return true;
}

static void grow(explorer *self)
{
    size_t capacity = self->capacity ? self->capacity * 2 : 1024;
    uint8_t *table = calloc(capacity, SLOT);
    assert_non_null(table);
    for (size_t i = 0; i < self->capacity; i++)
        if (self->table[i * SLOT]) {
            model kept;
            memcpy(&kept, self->table + i * SLOT + 1, sizeof kept);
            insert(table, capacity, &kept);
        }
    free(self->table);
    self->table = table;
    self->capacity = capacity;
}

static void check(explorer *self, const model *world)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        const attempt_state *attempt = &world->attempts[i];
        if (attempt->commit != 1)
            continue;
        const copy_record *record = &attempt->committed;
        if (world->attempts[record->at].object != record->version)
            self->violation = "an object of a committed snapshot is missing or has changed";
        if (record->version < attempt->started)
            self->violation = "a snapshot holds an object that is older than its start";
    }
    for (int i = 0; i < RUNS; i++) {
        const run_state *run = &world->runs[i];
        bool committed = run->attempt != NOBODY && world->attempts[run->attempt].commit == 1;
        if (run->protocol.outcome == PB_RUN_COMMITTED && !committed)
            self->violation = "a run says that it committed, and there is no commit";
    }
}

static void visit(explorer *self, const model *world)
{
    if (self->violation)
        return;
    if (2 * self->count >= self->capacity)
        grow(self);
    if (!insert(self->table, self->capacity, world))
        return;
    self->count++;
    check(self, world);
    for (int i = 1; i < ATTEMPTS; i++) {
        const attempt_state *attempt = &world->attempts[i];
        self->committed_worlds += attempt->commit == 1;
        self->donated_worlds +=
            attempt->commit == 1 && attempt->committed.at != i && attempt->committed.at != 0;
    }
    if (self->depth == self->stack_capacity) {
        self->stack_capacity = self->stack_capacity ? self->stack_capacity * 2 : 1024;
        self->stack = realloc(self->stack, self->stack_capacity * sizeof *self->stack);
        assert_non_null(self->stack);
    }
    memcpy(&self->stack[self->depth++], world, sizeof *world);
}

/* ---- the store ---- */

/* False where a create-only write found the key taken. */
static bool apply(model *world, const write_request *request)
{
    attempt_state *attempt = &world->attempts[request->attempt];
    switch ((write_kind)request->kind) {
    case WRITE_LEASE_NEW:
        if (world->lease != NOBODY)
            return false;
        /* fallthrough */
    case WRITE_LEASE:
        world->lease = request->attempt;
        world->lease_over = 0;
        return true;
    case WRITE_LEASE_OVER:
        world->lease = request->attempt;
        world->lease_over = 1;
        return true;
    case WRITE_NOTE:
        if (attempt->commit)
            return false;
        attempt->commit = 2;
        return true;
    case WRITE_OBJECT:
        attempt->object = request->version;
        return true;
    case WRITE_PART:
        attempt->part = (copy_record){request->at, request->version};
        return true;
    case WRITE_COMMIT:
        if (attempt->commit)
            return false;
        attempt->commit = 1;
        attempt->committed = (copy_record){request->at, request->version};
        return true;
    case WRITE_NONE:
        break;
    }
    return true;
}

static bool keep_for_later(model *world, const write_request *request)
{
    for (int i = 0; i < LATE; i++)
        if (world->late[i].kind == WRITE_NONE) {
            world->late[i] = *request;
            return true;
        }
    return false;
}

/* ---- a run ---- */

/* The write that the run's next step sends; kind NONE where the step only reads. */
static write_request next_write(const explorer *self, model *world, run_state *run)
{
    write_request request = {.kind = WRITE_NONE, .attempt = run->attempt};
    switch (pb_protocol_next(&run->protocol)) {
    case PB_STEP_CLOSE_HOLDER:
        request.kind = WRITE_NOTE;
        request.attempt = run->holder;
        break;
    case PB_STEP_TAKE_LEASE:
        if (run->attempt == NOBODY) {
            if (self->shares_ids && run->protocol.lease == PB_LEASE_DEAD) {
                run->attempt = run->holder;
            } else {
                run->attempt = world->made++;
                world->attempts[run->attempt].made = 1;
            }
            world->attempts[run->attempt].started = world->version;
        }
        request.attempt = run->attempt;
        request.kind = run->protocol.lease == PB_LEASE_ABSENT ? WRITE_LEASE_NEW : WRITE_LEASE;
        break;
    case PB_STEP_CLOSE_DONOR:
        request.kind = WRITE_NOTE;
        request.attempt = run->donors[run->protocol.closed];
        break;
    case PB_STEP_COPY:
        request.at = run->record.at;
        request.version = run->record.version;
        if (run->copy_step == 2) {
            request.kind = WRITE_OBJECT;
            request.version = run->listed;
        } else if (run->copy_step == 3) {
            request.kind = WRITE_PART;
        }
        break;
    case PB_STEP_COMMIT:
        request.kind = WRITE_COMMIT;
        request.at = run->record.at;
        request.version = run->record.version;
        break;
    case PB_STEP_RELEASE:
        request.kind = world->lease == run->attempt ? WRITE_LEASE_OVER : WRITE_NONE;
        break;
    default:
        break;
    }
    return request;
}

/* The answer to a write. */
static void record_answer(model *world, run_state *run, const write_request *request, bool done)
{
    pb_protocol *protocol = &run->protocol;
    const attempt_state *attempt = &world->attempts[request->attempt];
    switch ((write_kind)request->kind) {
    case WRITE_LEASE_NEW:
    case WRITE_LEASE:
        pb_protocol_lease_taken(protocol);
        break;
    case WRITE_LEASE_OVER:
        pb_protocol_released(protocol);
        break;
    case WRITE_NOTE: { /* who finds the key taken reads what is there */
        pb_close_outcome outcome =
            !done && attempt->commit == 1 ? PB_CLOSE_COMMITTED : PB_CLOSE_DONE;
        if (pb_protocol_next(protocol) == PB_STEP_CLOSE_HOLDER)
            pb_protocol_holder_closed(protocol);
        else
            pb_protocol_donor_closed(protocol, outcome);
        break;
    }
    case WRITE_OBJECT:
        run->record = (copy_record){run->attempt, run->listed};
        run->copy_step = 3;
        break;
    case WRITE_PART:
        pb_protocol_copied(protocol);
        break;
    case WRITE_COMMIT:
        pb_protocol_committed(
            protocol, done || (attempt->commit == 1 && attempt->committed.at == run->record.at &&
                               attempt->committed.version == run->record.version));
        break;
    case WRITE_NONE:
        break;
    }
}

static void survey(const model *world, run_state *run)
{
    run->base = NOBODY;
    run->donor_count = 0;
    for (int i = 0; i < world->made; i++)
        if (world->attempts[i].commit == 1)
            run->base = (uint8_t)i; /* ids are in the order of making */
    for (int i = world->made - 1; i >= 0; i--)
        if (i != run->attempt && world->attempts[i].commit != 1 &&
            (run->base == NOBODY || i > run->base))
            run->donors[run->donor_count++] = (uint8_t)i;
    pb_protocol_surveyed(&run->protocol, run->donor_count);
}

static pb_entry entry_of(uint8_t version)
{
    static const char *const etags[VERSIONS + 1] = {
        "",
        "11111111111111111111111111111111",
        "22222222222222222222222222222222",
    };
    return (pb_entry){
        .key = PB_SLICE_LITERAL("k"),
        .size = 1,
        .mtime_ms = version,
        .etag = pb_slice_of(etags[version]),
    };
}

static void choose(const model *world, run_state *run)
{
    static const pb_reuse_ends ends = {true, true, true};
    pb_entry source = entry_of(run->listed), base = {0}, records[ATTEMPTS], stored[ATTEMPTS];
    const pb_entry *record_list[ATTEMPTS] = {NULL}, *stored_list[ATTEMPTS] = {NULL};
    copy_record base_record = {0};
    if (run->base != NOBODY) {
        base_record = world->attempts[run->base].committed;
        base = entry_of(base_record.version);
    }
    for (int i = 0; i < run->donor_count; i++) {
        const attempt_state *donor = &world->attempts[run->donors[i]];
        if (donor->part.version) {
            records[i] = entry_of(donor->part.version);
            record_list[i] = &records[i];
        }
        if (donor->object) {
            stored[i] = entry_of(donor->object);
            stored_list[i] = &stored[i];
        }
    }
    pb_reuse reuse = pb_reuse_choose(&ends, &source, run->base != NOBODY ? &base : NULL,
                                     record_list, stored_list, run->donor_count);
    run->copy_step = 3;
    if (reuse.kind == PB_REUSE_KEEP)
        run->record = base_record;
    else if (reuse.kind == PB_REUSE_TAKE)
        run->record = world->attempts[run->donors[reuse.donor]].part;
    else if (reuse.kind == PB_REUSE_FOUND)
        run->record = (copy_record){run->donors[reuse.donor], run->listed};
    else
        run->copy_step = 2;
}

/* A step that only reads; those with a choice visit each outcome. */
static void read_step(explorer *self, const model *before, int number)
{
    model after;
    memcpy(&after, before, sizeof after);
    run_state *run = &after.runs[number];
    pb_protocol *protocol = &run->protocol;
    switch (pb_protocol_next(protocol)) {
    case PB_STEP_READ_LEASE:
    case PB_STEP_CONFIRM_LEASE:
    case PB_STEP_CHECK_LEASE:
        run->holder = after.lease;
        if (after.lease == NOBODY)
            pb_protocol_lease_read(protocol, PB_LEASE_ABSENT, false);
        else if (after.lease == run->attempt && !after.lease_over)
            pb_protocol_lease_read(protocol, PB_LEASE_MINE, true);
        else if (protocol->held && after.attempts[after.lease].commit == 2)
            pb_protocol_lease_read(protocol, PB_LEASE_MINE, true); /* written late, by one closed */
        else if (after.lease_over)
            pb_protocol_lease_read(protocol, PB_LEASE_OVER, true);
        else { /* nobody can know: either may be believed */
            model other;
            pb_protocol_lease_read(protocol, PB_LEASE_ALIVE, true);
            memcpy(&other, before, sizeof other);
            other.runs[number].holder = other.lease;
            pb_protocol_lease_read(&other.runs[number].protocol, PB_LEASE_DEAD, true);
            visit(self, &other);
        }
        break;
    case PB_STEP_WATCH:
        pb_protocol_watched(protocol);
        break;
    case PB_STEP_SURVEY:
        survey(&after, run);
        break;
    case PB_STEP_ANNOUNCE:
        pb_protocol_announced(protocol);
        break;
    case PB_STEP_COPY:
        if (run->copy_step == 0) {
            run->listed = after.version;
            run->copy_step = 1;
        } else {
            choose(&after, run);
        }
        break;
    case PB_STEP_RELEASE: /* it is another's by now */
        pb_protocol_released(protocol);
        break;
    default:
        return;
    }
    visit(self, &after);
}

static void run_step(explorer *self, const model *before, int number)
{
    if (before->runs[number].dead ||
        pb_protocol_next(&before->runs[number].protocol) == PB_STEP_END)
        return;
    model after;
    memcpy(&after, before, sizeof after);
    run_state *run = &after.runs[number];
    run->dead = 1; /* killed, here */
    visit(self, &after);
    run->dead = 0;
    write_request request = next_write(self, &after, run);
    if (request.kind == WRITE_NONE) {
        read_step(self, before, number);
        return;
    }
    if (request.kind == WRITE_OBJECT && after.version != request.version) {
        /* Reading is conditional: the source has changed, and the run fails. */
        pb_protocol_stop(&run->protocol, PB_RUN_FAILED);
        visit(self, &after);
        return;
    }
    model sent;
    memcpy(&sent, &after, sizeof sent);
    if (keep_for_later(&sent, &request)) {
        visit(self, &sent); /* no answer comes: it sends it again */
        sent.runs[number].dead = 1;
        visit(self, &sent); /* or is killed */
    }
    bool done = apply(&after, &request);
    record_answer(&after, run, &request, done);
    visit(self, &after);
}

static void explore_from(explorer *self, const model *before)
{
    model after;
    for (int i = 0; i < RUNS; i++)
        run_step(self, before, i);
    for (int i = 0; i < LATE; i++) {
        if (before->late[i].kind == WRITE_NONE)
            continue;
        memcpy(&after, before, sizeof after);
        memset(&after.late[i], 0, sizeof after.late[i]);
        visit(self, &after); /* lost */
        apply(&after, &before->late[i]);
        visit(self, &after);
    }
    if (before->version < VERSIONS) {
        memcpy(&after, before, sizeof after);
        after.version++;
        visit(self, &after);
    }
    for (int i = 0; i < before->made; i++) {
        static const write_request note = {.kind = WRITE_NOTE};
        write_request request = note;
        request.attempt = (uint8_t)i;
        memcpy(&after, before, sizeof after);
        if (apply(&after, &request))
            visit(self, &after);
    }
}

static void explore(explorer *self)
{
    model first;
    memset(&first, 0, sizeof first);
    first.version = 1;
    first.lease = NOBODY;
    /* A snapshot is there: the base. */
    first.attempts[0] = (attempt_state){
        .made = 1, .started = 1, .commit = 1, .committed = {0, 1}, .part = {0, 1}, .object = 1};
    first.made = 1;
    for (int i = 0; i < RUNS; i++) {
        first.runs[i].attempt = first.runs[i].holder = first.runs[i].base = NOBODY;
        first.runs[i].protocol.waits = true;
    }
    visit(self, &first);
    while (self->depth && !self->violation) {
        model next;
        memcpy(&next, &self->stack[--self->depth], sizeof next);
        explore_from(self, &next);
    }
    free(self->stack);
    free(self->table);
}

static void no_interleaving_harms_a_snapshot(void **state)
{
    (void)state;
    explorer self = {0};
    explore(&self);
    printf("%zu states, %llu new snapshots in them, %llu of these with a donor's copy\n",
           self.count, (unsigned long long)self.committed_worlds,
           (unsigned long long)self.donated_worlds);
    if (self.violation)
        fail_msg("%s", self.violation);
    assert_true(self.committed_worlds > 1000 && self.donated_worlds > 1000);
}

/* The explorer has eyes: the design of old, in which a takeover goes on under the dead run's id,
 * does harm. */
static void a_shared_id_is_seen_to_do_harm(void **state)
{
    (void)state;
    explorer self = {.shares_ids = true};
    explore(&self);
    assert_non_null(self.violation);
}

/* ---- the parts ---- */

static void a_lease_that_does_not_change_is_dead_after_a_minute(void **state)
{
    (void)state;
    pb_lease_watch watch = {0};
    uint8_t one[32] = {1}, other[32] = {2};
    assert_false(pb_lease_is_dead(&watch, one, 1000));
    assert_false(pb_lease_is_dead(&watch, one, 1000 + PB_LEASE_DEAD_MS - 1));
    assert_false(pb_lease_is_dead(&watch, other, 1000 + PB_LEASE_DEAD_MS));
    assert_false(pb_lease_is_dead(&watch, one, 2000 + PB_LEASE_DEAD_MS));
    assert_true(pb_lease_is_dead(&watch, one, 2000 + 2 * PB_LEASE_DEAD_MS));
}

static void who_does_not_wait_is_busy_at_once(void **state)
{
    (void)state;
    pb_protocol protocol = {0};
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_READ_LEASE);
    pb_protocol_lease_read(&protocol, PB_LEASE_ALIVE, true);
    assert_int_equal(protocol.outcome, PB_RUN_BUSY);
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_END);
}

static void who_lost_the_lease_sends_nothing_more(void **state)
{
    (void)state;
    pb_protocol protocol = {.waits = true};
    pb_protocol_lease_read(&protocol, PB_LEASE_ABSENT, false);
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_TAKE_LEASE);
    pb_protocol_lease_taken(&protocol);
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_CONFIRM_LEASE);
    pb_protocol_lease_read(&protocol, PB_LEASE_MINE, true);
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_SURVEY);
    pb_protocol_stop(&protocol, PB_RUN_LOST);
    assert_int_equal(pb_protocol_next(&protocol), PB_STEP_END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_interleaving_harms_a_snapshot),
        cmocka_unit_test(a_shared_id_is_seen_to_do_harm),
        cmocka_unit_test(a_lease_that_does_not_change_is_dead_after_a_minute),
        cmocka_unit_test(who_does_not_wait_is_busy_at_once),
        cmocka_unit_test(who_lost_the_lease_sends_nothing_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
