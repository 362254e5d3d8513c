#include "copier/transfer/upload.h"

#include "tests/unit/copier/store/file/bucket_fixture.h"

enum { PART = 8 * 1024 * 1024, PIECE = 1000 * 1000 };

typedef struct fixture {
    test_bucket bucket;
    pb_upload *upload;
    bool in_call;
    unsigned done, drained;
    pb_error error;
    uint64_t bytes;
    uint8_t sha256[PB_SHA256_BYTES];
    char *content; /* what is written, up to three parts and a bit */
} fixture;

static int set_up(void **state)
{
    fixture *f = pb_allocate_zeroed(1, sizeof *f);
    bucket_open(&f->bucket);
    f->content = pb_allocate(4 * (size_t)PART);
    for (size_t i = 0; i < 4 * (size_t)PART; i++)
        f->content[i] = (char)(i * 7 + i / PART * 3 + i / 65536);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    bucket_close(&f->bucket);
    free(f->content);
    free(f);
    return 0;
}

static void on_drained(void *context)
{
    fixture *f = context;
    assert_false(f->in_call);
    f->drained++;
}

static void on_done(void *context, const pb_upload *upload, const pb_error *error)
{
    fixture *f = context;
    assert_false(f->in_call);
    f->done++;
    f->error = *error;
    f->bytes = pb_upload_bytes(upload);
    pb_upload_sha256(upload, f->sha256);
    f->upload = NULL;
}

static void start(fixture *f, const char *key)
{
    char *text = pb_duplicate(pb_slice_of(key)); /* not kept */
    const pb_upload_options options = {
        .loop = &f->bucket.loop,
        .store = f->bucket.store,
        .key = pb_slice_of(text),
        .drained = on_drained,
        .done = on_done,
        .context = f,
    };
    f->done = f->drained = 0;
    f->upload = pb_upload_start(&options);
    free(text);
}

static void write_piece(fixture *f, const char *data, size_t size)
{
    char *copy = pb_allocate(size);
    memcpy(copy, data, size);
    f->in_call = true;
    pb_upload_write(f->upload, copy, size);
    f->in_call = false;
    free(copy);
}

static void end(fixture *f)
{
    f->in_call = true;
    pb_upload_end(f->upload);
    f->in_call = false;
}

static void give_up(fixture *f)
{
    pb_error why;
    pb_error_set(&why, PB_ERROR_CANCELLED, "enough");
    f->in_call = true;
    pb_upload_abort(f->upload, &why);
    f->in_call = false;
}

static void finish(fixture *f)
{
    uv_run(&f->bucket.loop, UV_RUN_DEFAULT);
    assert_int_equal(f->done, 1);
}

static void assert_given_up(fixture *f)
{
    assert_int_equal(f->error.kind, PB_ERROR_CANCELLED);
    assert_string_equal(f->error.message, "enough");
}

/* Waits as its callers do while it is full. */
static void write_held_up(fixture *f, size_t size)
{
    for (size_t at = 0; at < size; at += PIECE) {
        write_piece(f, f->content + at, size - at < PIECE ? size - at : PIECE);
        if (!pb_upload_is_full(f->upload))
            continue;
        unsigned drained = f->drained;
        while (f->drained == drained)
            uv_run(&f->bucket.loop, UV_RUN_ONCE);
        assert_false(pb_upload_is_full(f->upload));
    }
}

static void assert_stored(fixture *f, const char *key, size_t size)
{
    uint8_t sha256[PB_SHA256_BYTES];
    pb_buffer read = {0};
    pb_error error = {0};
    assert_int_equal(f->error.kind, PB_ERROR_NONE);
    assert_int_equal(f->bytes, size);
    pb_sha256(f->content, size, sha256);
    assert_memory_equal(f->sha256, sha256, sizeof sha256);
    if (pb_store_read(f->bucket.store, pb_slice_of(key), size, &read, &error))
        fail_msg("%s", error.message);
    assert_true(pb_slice_equal(pb_buffer_slice(&read), (pb_slice){f->content, size}));
    pb_buffer_free(&read);
}

/* ---- tests ---- */

static void up_to_a_part_is_one_put(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {0, 1, PIECE, PART - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        start(f, "small");
        if (sizes[i])
            write_piece(f, f->content, sizes[i]);
        end(f);
        finish(f);
        assert_stored(f, "small", sizes[i]);
        assert_int_equal(count_names(f->bucket.directory), 1);
    }
}

static void more_are_parts(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {PART, PART + 1, 2 * PART, 3 * PART + PIECE};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        start(f, "large");
        write_held_up(f, sizes[i]);
        end(f);
        finish(f);
        assert_stored(f, "large", sizes[i]);
        assert_int_equal(count_names(f->bucket.directory), 1); /* no upload is left */
    }
}

static void one_write_may_hold_several_parts(void **state)
{
    fixture *f = *state;
    start(f, "large");
    write_piece(f, f->content, 3 * PART + 5);
    assert_true(pb_upload_is_full(f->upload));
    end(f);
    finish(f);
    assert_stored(f, "large", 3 * PART + 5);
}

static void bytes_come_late(void **state)
{
    fixture *f = *state;
    start(f, "late");
    for (size_t at = 0; at < 2 * PART + PIECE; at += PIECE / 2) {
        size_t left = 2 * PART + PIECE - at;
        write_piece(f, f->content + at, left < PIECE / 2 ? left : PIECE / 2);
        while (uv_run(&f->bucket.loop, UV_RUN_NOWAIT))
            ; /* nothing is under way */
    }
    assert_int_equal(f->done, 0);
    end(f);
    finish(f);
    assert_stored(f, "late", 2 * PART + PIECE);
}

static void given_up_it_leaves_nothing(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {0, PIECE, PART + 1, 2 * PART + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (unsigned turns = 0; turns < 6; turns++) {
            start(f, "none");
            if (sizes[i])
                write_piece(f, f->content, sizes[i]);
            for (unsigned j = 0; j < turns; j++)
                uv_run(&f->bucket.loop, UV_RUN_NOWAIT);
            assert_int_equal(f->done, 0);
            give_up(f);
            give_up(f);
            assert_false(pb_upload_is_full(f->upload));
            write_piece(f, f->content, PIECE); /* its writer does not know yet */
            end(f);
            finish(f);
            assert_given_up(f);
            assert_int_equal(count_names(f->bucket.directory), 0);
        }
    }
}

/* The first reason is told, at whatever step it comes; begun parts do not stay. */
static void given_up_at_its_end(void **state)
{
    fixture *f = *state;
    for (unsigned turns = 0; turns < 40; turns++) {
        start(f, "none");
        write_piece(f, f->content, PART + 1);
        end(f);
        for (unsigned i = 0; i < turns && !f->done; i++)
            uv_run(&f->bucket.loop, UV_RUN_ONCE);
        if (f->done)
            break;
        give_up(f);
        finish(f);
        if (f->error.kind) { /* else it was stored already */
            assert_given_up(f);
            assert_true(count_names(f->bucket.directory) <= 1);
        }
        assert_true(count_names(f->bucket.directory) == is_there(&f->bucket, "none"));
        if (is_there(&f->bucket, "none"))
            assert_int_equal(remove(below(&f->bucket, "none")), 0);
    }
    assert_int_equal(f->done, 1);
    uv_run(&f->bucket.loop, UV_RUN_DEFAULT);
}

/* The object's folder is a link, which is not followed. */
static void a_store_that_fails_is_told(void **state)
{
    fixture *f = *state;
    static const size_t sizes[] = {0, 1, PART + 1, 3 * PART};
    assert_int_equal(symlink(".", below(&f->bucket, "link")), 0);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        start(f, "link/object");
        if (sizes[i])
            write_piece(f, f->content, sizes[i]);
        end(f);
        finish(f);
        assert_int_not_equal(f->error.kind, PB_ERROR_NONE);
        assert_string_not_equal(f->error.message, "");
        assert_int_equal(count_names(f->bucket.directory), 1); /* no upload is left */
    }
}

/* Whoever waits for room hears of it, too. */
static void a_part_that_fails_is_told(void **state)
{
    fixture *f = *state;
    char command[512];
    start(f, "lost");
    write_held_up(f, PART + 1);
    snprintf(command, sizeof command, "rm -rf '%s' && mkdir '%s'", f->bucket.directory,
             f->bucket.directory);
    assert_int_equal(system(command), 0);
    unsigned drained = f->drained;
    write_piece(f, f->content, 3 * PART);
    assert_true(pb_upload_is_full(f->upload));
    finish(f);
    assert_int_equal(f->drained, drained + 1);
    assert_int_not_equal(f->error.kind, PB_ERROR_NONE);
    assert_int_equal(count_names(f->bucket.directory), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(up_to_a_part_is_one_put),          TEST(more_are_parts),
        TEST(one_write_may_hold_several_parts), TEST(bytes_come_late),
        TEST(given_up_it_leaves_nothing),       TEST(given_up_at_its_end),
        TEST(a_store_that_fails_is_told),       TEST(a_part_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
