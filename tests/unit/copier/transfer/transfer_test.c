/* Transfers between stores in memory that are scripted: into one whose parts come in order and that
 * knows CRC32Cs, as Google Cloud Storage does. */
#include "copier/transfer/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/codec.h"
#include "copier/store/driver.h"
#include "copier/store/etag.h"
#include <stdio.h>
#include <stdlib.h>

enum { PART = 1024, SIZE = 3 * PART + 100, PARTS = 4, WRITES_MAX = 64 };

typedef struct written {
    pb_store_operation operation;
    unsigned part_number;
    uint64_t offset;
    size_t bytes;
    bool last, has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES]; /* of the whole object, as it was sent */
} written;

/* A store with one object. */
typedef struct memory {
    pb_store store;
    pb_store_config config;
    uv_idle_t soon;
    pb_store_request *queue[8];
    unsigned queued;
    uint8_t bytes[SIZE]; /* the source's */
    bool tells_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES];
    char etag[PB_ETAG_TEXT_MAX];
    /* The script: readings of this part (from 1) that have another byte; writes of this part that
     * lose the upload; what is stored has another byte. */
    unsigned flip_part, flips, lose_part, losses;
    bool spoils;
    /* The destination's. */
    written writes[WRITES_MAX];
    unsigned write_count, uploads, aborts, deletes;
    bool out_of_turn;
    uint8_t upload[SIZE];
    size_t upload_bytes;
    bool made; /* of `upload` */
} memory;

typedef struct fixture {
    uv_loop_t loop;
    memory source, destination;
    pb_counters counters;
    pb_mover *mover;
    pb_transfer transfer;
    unsigned done;
} fixture;

static memory *memory_of(pb_store *store)
{
    return store->state;
}

static void crc32c_of(const uint8_t *bytes, size_t size, uint8_t *ret_crc32c)
{
    pb_crc32c(bytes, size, ret_crc32c);
}

static void tell_object(const memory *self, pb_store_request *request, const uint8_t *bytes,
                        size_t size)
{
    crc32c_of(bytes, size, request->crc32c);
    request->has_crc32c = self->tells_crc32c;
    if (self->spoils && request->operation != PB_STORE_GET)
        request->crc32c[0] ^= 1;
    snprintf(request->etag, sizeof request->etag, "%s", self->etag);
    request->size = size;
}

static void get(memory *self, pb_store_request *request)
{
    uint8_t copy[SIZE];
    pb_error error = {0};
    size_t length = request->length ? request->length : SIZE - request->offset;
    memcpy(copy, self->bytes, SIZE);
    unsigned part = (unsigned)(request->offset / PART) + 1;
    if (self->flips && part == self->flip_part) {
        self->flips--;
        copy[request->offset] ^= 1;
    }
    request->restarted(request);
    assert_int_equal(request->received(request, copy + request->offset, length, &error), 0);
    tell_object(self, request, self->bytes, SIZE);
    if (self->crc32c[0])
        memcpy(request->crc32c, self->crc32c, sizeof request->crc32c);
}

static void note(memory *self, const pb_store_request *request)
{
    assert_true(self->write_count < WRITES_MAX);
    written *one = &self->writes[self->write_count++];
    *one = (written){.operation = request->operation,
                     .part_number = request->part_number,
                     .offset = request->part_offset,
                     .bytes = request->body.size,
                     .last = request->part_last,
                     .has_crc32c = request->object_crc32c != NULL};
    if (request->object_crc32c)
        memcpy(one->crc32c, request->object_crc32c, sizeof one->crc32c);
}

static void put_part(memory *self, pb_store_request *request)
{
    note(self, request);
    if (self->losses && request->part_number == self->lose_part) {
        self->losses--;
        pb_error_set(&request->error, PB_ERROR_SERVER, "the session is gone");
        snprintf(request->error.code, sizeof request->error.code, PB_CODE_UPLOAD_LOST);
        return;
    }
    self->out_of_turn |= self->made || request->part_offset != self->upload_bytes;
    memcpy(self->upload + self->upload_bytes, request->body.data, request->body.size);
    self->upload_bytes += request->body.size;
    if (!request->part_last)
        return;
    self->made = true;
    tell_object(self, request, self->upload, self->upload_bytes);
}

static void answer(memory *self, pb_store_request *request)
{
    switch (request->operation) {
    case PB_STORE_GET:
        get(self, request);
        break;
    case PB_STORE_HEAD:
        tell_object(self, request, self->bytes, SIZE);
        break;
    case PB_STORE_PUT:
        note(self, request);
        memcpy(self->upload, request->body.data, request->body.size);
        self->upload_bytes = request->body.size;
        self->made = true;
        tell_object(self, request, self->upload, self->upload_bytes);
        break;
    case PB_STORE_MULTIPART_CREATE:
        self->uploads++;
        self->upload_bytes = 0;
        self->made = false;
        request->upload_id_new = PB_SLICE_LITERAL("upload");
        break;
    case PB_STORE_MULTIPART_PUT:
        put_part(self, request);
        break;
    case PB_STORE_MULTIPART_ABORT:
        self->aborts++;
        self->made = false;
        break;
    case PB_STORE_DELETE:
        self->deletes++;
        self->made = false;
        break;
    default:
        fail_msg("operation %d", request->operation);
    }
}

static void on_soon(uv_idle_t *idle)
{
    memory *self = idle->data;
    pb_store_request *request = self->queue[0];
    memmove(self->queue, self->queue + 1, --self->queued * sizeof *self->queue);
    if (!self->queued)
        uv_idle_stop(idle);
    answer(self, request);
    request->done(request);
}

static void submit(pb_store *store, pb_store_request *request)
{
    memory *self = memory_of(store);
    /* One part after the other. */
    for (unsigned i = 0; i < self->queued; i++)
        self->out_of_turn |= self->queue[i]->operation == PB_STORE_MULTIPART_PUT &&
                             request->operation == PB_STORE_MULTIPART_PUT;
    assert_true(self->queued < sizeof self->queue / sizeof *self->queue);
    self->queue[self->queued++] = request;
    uv_idle_start(&self->soon, on_soon);
}

static const pb_store_driver driver = {.scheme = "memory", .submit = submit};

static void open_memory(memory *self, uv_loop_t *loop, bool in_order)
{
    self->config = (pb_store_config){.driver = &driver};
    self->store = (pb_store){.config = &self->config, .loop = loop, .state = self};
    self->store.capabilities = (pb_store_capabilities){.multipart = true,
                                                       .part_bytes_min = 1,
                                                       .part_bytes_max = SIZE,
                                                       .part_bytes_step = PART,
                                                       .parts_max = 100,
                                                       .put_bytes_max = SIZE,
                                                       .copy_bytes_max = SIZE,
                                                       .etag_is_md5 = true,
                                                       .keeps_headers = true,
                                                       .parts_in_order = in_order,
                                                       .has_crc32c = true};
    self->tells_crc32c = true;
    uv_idle_init(loop, &self->soon);
    self->soon.data = self;
}

static int set_up(void **state)
{
    fixture *f = pb_allocate_zeroed(1, sizeof *f);
    uint8_t md5[PB_MD5_BYTES], crc32c[PB_CRC32C_BYTES];
    uv_loop_init(&f->loop);
    open_memory(&f->source, &f->loop, false);
    open_memory(&f->destination, &f->loop, true);
    for (size_t i = 0; i < SIZE; i++)
        f->source.bytes[i] = (uint8_t)(i * 7 + i / PART);
    crc32c_of(f->source.bytes, SIZE, crc32c);
    snprintf(f->source.etag, sizeof f->source.etag, PB_ETAG_CRC32C);
    pb_hex_encode(crc32c, sizeof crc32c, f->source.etag + strlen(PB_ETAG_CRC32C));
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    pb_hash_update(hash, f->source.bytes, SIZE);
    pb_hash_finish(hash, md5);
    pb_hash_free(hash);
    pb_hex_encode(md5, sizeof md5, f->destination.etag);
    pb_mover_options options = pb_mover_options_default();
    options.part_bytes = PART;
    options.relay_single_max = options.relay_buffer_max = PART;
    f->mover = pb_mover_new(&f->loop, &options, &f->counters);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    pb_mover_close(f->mover);
    uv_close((uv_handle_t *)&f->source.soon, NULL);
    uv_close((uv_handle_t *)&f->destination.soon, NULL);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f->transfer.error);
    free(f);
    return 0;
}

static void on_done(pb_transfer *transfer)
{
    fixture *f = transfer->context;
    f->done++;
}

static void relay(fixture *f)
{
    f->transfer = (pb_transfer){.kind = PB_TRANSFER_RELAY,
                                .source = &f->source.store,
                                .destination = &f->destination.store,
                                .source_key = PB_SLICE_LITERAL("from"),
                                .destination_key = PB_SLICE_LITERAL("to"),
                                .name = PB_SLICE_LITERAL("from"),
                                .size = SIZE,
                                .etag = pb_slice_of(f->source.etag),
                                .must_match = true,
                                .digest_kind = PB_HASH_SHA256,
                                .done = on_done,
                                .context = f};
    pb_mover_start(f->mover, &f->transfer);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->done, 1);
    assert_int_equal(pb_mover_budget(f->mover)->out_bytes, 0);
}

static void check_made(fixture *f)
{
    const memory *to = &f->destination;
    if (f->transfer.error)
        fail_msg("%s", f->transfer.error->message);
    assert_true(to->made);
    assert_false(to->out_of_turn);
    assert_int_equal(to->upload_bytes, SIZE);
    assert_memory_equal(to->upload, f->source.bytes, SIZE);
    assert_true(f->transfer.has_digest);
    assert_int_equal(f->transfer.proof & PB_MOVED_CHECKSUM, PB_MOVED_CHECKSUM);
}

/* The parts from `first` on; the last makes the object, and no COMPLETE follows. */
static void check_writes(const fixture *f, unsigned first)
{
    const memory *to = &f->destination;
    uint8_t crc32c[PB_CRC32C_BYTES];
    crc32c_of(f->source.bytes, SIZE, crc32c);
    assert_int_equal(to->write_count, first + PARTS);
    for (unsigned i = 0; i < PARTS; i++) {
        const written *one = &to->writes[first + i];
        assert_int_equal(one->operation, PB_STORE_MULTIPART_PUT);
        assert_int_equal(one->part_number, i + 1);
        assert_int_equal(one->offset, i * PART);
        assert_int_equal(one->bytes, i + 1 < PARTS ? PART : 100);
        /* The last part makes the object: the digest of all goes with it. */
        assert_int_equal(one->last, i + 1 == PARTS);
        assert_int_equal(one->has_crc32c, i + 1 == PARTS);
    }
    assert_memory_equal(to->writes[first + PARTS - 1].crc32c, crc32c, sizeof crc32c);
}

static bool sent_the_last_part(const memory *to)
{
    for (unsigned i = 0; i < to->write_count; i++)
        if (to->writes[i].last)
            return true;
    return false;
}

/* ---- tests ---- */

static void parts_come_in_order(void **state)
{
    fixture *f = *state;
    relay(f);
    check_made(f);
    check_writes(f, 0);
    assert_int_equal(f->destination.uploads, 1);
    assert_int_equal(f->destination.aborts + f->destination.deletes, 0);
    assert_int_equal(f->transfer.part_bytes, PART);
}

static void bytes_that_changed_are_read_again_before_the_last_part(void **state)
{
    fixture *f = *state;
    f->source.flip_part = 2;
    f->source.flips = 1;
    relay(f);
    check_made(f);
    /* The first upload had all parts but the last, and made no object. */
    check_writes(f, PARTS - 1);
    assert_false(f->destination.writes[PARTS - 2].last);
    assert_int_equal(f->destination.uploads, 2);
    assert_int_equal(f->destination.aborts, 1);
    assert_int_equal(f->destination.deletes, 0);
}

static void bytes_that_stay_other_never_make_an_object(void **state)
{
    fixture *f = *state;
    f->source.flip_part = PARTS; /* the last one's */
    f->source.flips = 2;
    relay(f);
    assert_non_null(f->transfer.error);
    assert_int_equal(f->transfer.error->kind, PB_ERROR_DAMAGED);
    assert_string_equal(f->transfer.error->code, "mismatch");
    assert_false(sent_the_last_part(&f->destination));
    assert_false(f->destination.made);
    assert_int_equal(f->destination.uploads, 2);
    assert_int_equal(f->destination.aborts, 2);
}

static void what_the_source_says_of_itself_counts(void **state)
{
    fixture *f = *state;
    memcpy(f->source.crc32c, "\x01\x02\x03\x04", 4); /* of no bytes that come */
    relay(f);
    assert_non_null(f->transfer.error);
    assert_int_equal(f->transfer.error->kind, PB_ERROR_DAMAGED);
    assert_false(sent_the_last_part(&f->destination));
}

static void what_is_stored_is_compared(void **state)
{
    fixture *f = *state;
    f->destination.spoils = true;
    relay(f);
    assert_non_null(f->transfer.error);
    assert_int_equal(f->transfer.error->kind, PB_ERROR_DAMAGED);
    /* It was made, and does not stay. */
    assert_true(sent_the_last_part(&f->destination));
    assert_int_equal(f->destination.aborts + f->destination.deletes, 2);
    assert_int_equal(f->destination.deletes, 1);
    assert_false(f->destination.made);
}

static void a_lost_upload_is_begun_anew(void **state)
{
    fixture *f = *state;
    for (unsigned part = 1; part <= PARTS; part++) {
        f->destination.lose_part = part;
        f->destination.losses = 1;
        f->destination.write_count = f->destination.uploads = f->destination.aborts = 0;
        f->done = 0;
        relay(f);
        check_made(f);
        check_writes(f, part);
        assert_int_equal(f->destination.uploads, 2);
        assert_int_equal(f->destination.aborts, 1);
    }
}

static void an_upload_that_is_lost_again_is_an_error(void **state)
{
    fixture *f = *state;
    f->destination.lose_part = 3;
    f->destination.losses = 2;
    relay(f);
    assert_non_null(f->transfer.error);
    assert_int_equal(f->transfer.error->kind, PB_ERROR_SERVER); /* no object is missing */
    assert_int_equal(f->destination.uploads, 2);
    assert_int_equal(f->destination.aborts, 2);
    assert_false(f->destination.made);
}

static void a_lost_upload_spares_the_second_reading(void **state)
{
    fixture *f = *state;
    f->destination.lose_part = 2;
    f->destination.losses = 1;
    f->source.flip_part = 3;
    f->source.flips = 1;
    relay(f);
    check_made(f);
    assert_int_equal(f->destination.uploads, 3);
}

static void small_ones_are_compared_too(void **state)
{
    fixture *f = *state;
    pb_mover_options options = pb_mover_options_default();
    pb_mover_close(f->mover);
    f->mover = pb_mover_new(&f->loop, &options, &f->counters);
    f->source.flip_part = 1;
    f->source.flips = 1;
    relay(f);
    check_made(f);
    assert_int_equal(f->destination.write_count, 1); /* what was read wrongly was not sent */
    f->source.flips = 2;
    f->done = f->destination.write_count = 0;
    relay(f);
    assert_non_null(f->transfer.error);
    assert_int_equal(f->transfer.error->kind, PB_ERROR_DAMAGED);
    assert_int_equal(f->destination.write_count, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(parts_come_in_order),
        TEST(bytes_that_changed_are_read_again_before_the_last_part),
        TEST(bytes_that_stay_other_never_make_an_object),
        TEST(what_the_source_says_of_itself_counts),
        TEST(what_is_stored_is_compared),
        TEST(a_lost_upload_is_begun_anew),
        TEST(an_upload_that_is_lost_again_is_an_error),
        TEST(a_lost_upload_spares_the_second_reading),
        TEST(small_ones_are_compared_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
