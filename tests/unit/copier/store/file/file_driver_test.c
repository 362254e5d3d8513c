#include "tests/unit/copier/store/file/bucket_fixture.h"

#include "base/clock.h"
#include "base/random.h"
#include "copier/store/file/file_object.h"
#include <sys/mount.h>
#include <sys/resource.h>

static void check_tells_whether_the_root_is_there(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    pb_store_request request = {.operation = PB_STORE_CHECK};
    assert_int_equal(pb_store_call(bucket.store, &request, NULL), 0);
    assert_true(llabs((long long)(request.store_now_ms - pb_clock_utc_ms())) < 10000);
    assert_int_equal(rmdir(bucket.directory), 0);
    assert_int_equal(pb_store_call(bucket.store, &request, NULL), -1);
    assert_int_equal(request.error.kind, PB_ERROR_NOT_FOUND);
    assert_non_null(strstr(request.error.message, bucket.directory));
    assert_true(request.error.hint[0] != '\0');
    pb_store_request probe;
    assert_int_equal(head(&bucket, "a", &probe), PB_ERROR_NOT_FOUND);
    assert_int_equal(delete_key(&bucket, "a"), PB_ERROR_NONE);
    bucket_close(&bucket);
}

static void a_location_that_is_a_file_is_refused(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    write_file(&bucket, "file", "x");
    char url[256];
    snprintf(url, sizeof(url), "file://%s/file", bucket.directory);
    pb_location location = {0};
    pb_error error = {0};
    assert_int_equal(pb_location_parse(url, &location, &error), 0);
    pb_store_config *config = NULL;
    const pb_store_resolve_options options = {.role = "source"};
    assert_int_equal(pb_store_resolve(&location, &options, &config, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    pb_location_free(&location);
    bucket_close(&bucket);
}

static void a_put_makes_the_root_and_all_above(void **unused)
{
    (void)unused;
    test_bucket outer;
    bucket_open(&outer);
    test_bucket bucket;
    bucket_open_at(&bucket, below(&outer, "new/and/deep"));
    put_text(&bucket, "a/b", "hello");
    assert_body(&bucket, "a/b", "hello");
    bucket_close(&bucket);
    bucket_close(&outer);
}

static void what_was_put_is_read(void **unused)
{
    (void)unused;
    static const char *const keys[] = {"chunk/ab12", "a",  "a/b",  "a/",
                                       "//",         "..", "100%", "\xff\x01"};
    test_bucket bucket;
    bucket_open(&bucket);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        pb_store_request request = {
            .operation = PB_STORE_PUT, .key = pb_slice_of(keys[i]), .body = pb_slice_of(keys[i])};
        assert_int_equal(pb_store_call(bucket.store, &request, NULL), 0);
        pb_store_request probe;
        assert_int_equal(head(&bucket, keys[i], &probe), PB_ERROR_NONE);
        assert_string_equal(probe.etag, request.etag);
        assert_int_equal(probe.size, strlen(keys[i]));
        assert_true(llabs((long long)(probe.mtime_ms - pb_clock_utc_ms())) < 10000);
        assert_body(&bucket, keys[i], keys[i]);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        assert_body(&bucket, keys[i], keys[i]);
    assert_true(is_there(&bucket, "chunk/ab12"));
    assert_true(is_there(&bucket, "a%leaf"));
    put(&bucket, PB_SLICE_LITERAL("empty"), (pb_slice){NULL, 0});
    assert_body(&bucket, "empty", "");
    pb_store_request probe;
    assert_int_equal(head(&bucket, "none", &probe), PB_ERROR_NOT_FOUND);
    assert_non_null(strstr(probe.error.message, below(&bucket, "none")));
    assert_int_equal(head(&bucket, "chunk", &probe), PB_ERROR_NOT_FOUND);
    assert_int_equal(head(&bucket, "empty/below", &probe), PB_ERROR_NOT_FOUND);
    char too_long[1026];
    memset(too_long, 'x', 1025);
    too_long[1025] = '\0';
    assert_int_equal(head(&bucket, too_long, &probe), PB_ERROR_NOT_FOUND);
    pb_error error = {0};
    assert_int_equal(
        pb_store_write(bucket.store, pb_slice_of(too_long), pb_slice_of("x"), false, &error), -1);
    assert_int_equal(error.kind, PB_ERROR_USAGE);
    bucket_close(&bucket);
}

static void an_overwritten_object_has_another_etag(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    pb_store_request before;
    pb_store_request after;
    put_text(&bucket, "a", "one");
    assert_int_equal(head(&bucket, "a", &before), PB_ERROR_NONE);
    put_text(&bucket, "a", "two");
    assert_int_equal(head(&bucket, "a", &after), PB_ERROR_NONE);
    assert_string_not_equal(before.etag, after.etag);
    assert_body(&bucket, "a", "two");
    /* The same object, standing aside. */
    put_text(&bucket, "a/b", "x");
    assert_int_equal(head(&bucket, "a", &before), PB_ERROR_NONE);
    assert_string_equal(before.etag, after.etag);
    put_text(&bucket, "a", "three");
    assert_body(&bucket, "a", "three");
    assert_false(is_there(&bucket, "a/b%leaf"));
    /* It stays aside when the directory goes, and only one of it is left. */
    assert_int_equal(delete_key(&bucket, "a/b"), PB_ERROR_NONE);
    put_text(&bucket, "a", "four");
    assert_body(&bucket, "a", "four");
    assert_int_equal(count_names(bucket.directory), 1);
    assert_int_equal(delete_key(&bucket, "a"), PB_ERROR_NONE);
    assert_int_equal(count_names(bucket.directory), 0);
    bucket_close(&bucket);
}

/* --- GET --- */

typedef struct reading {
    pb_store_request request; /* first, so that callbacks find the rest */
    pb_buffer body;
    size_t chunks;
    size_t stop_after; /* chunks; 0: never */
    const char *touch; /* a file to append to when the first chunk is there */
} reading;

static int take(pb_store_request *request, const void *data, size_t size, pb_error *error)
{
    reading *read = (reading *)request;
    assert_in_range(size, 1, 1 << 20);
    pb_buffer_append(&read->body, data, size);
    if (++read->chunks == read->stop_after)
        return pb_error_set(error, PB_ERROR_CANCELLED, "enough");
    if (read->touch && read->chunks == 1) {
        FILE *file = fopen(read->touch, "a");
        assert_non_null(file);
        fputs("more", file);
        fclose(file);
    }
    return 0;
}

static pb_error_kind get(test_bucket *bucket, reading *read)
{
    pb_buffer_clear(&read->body);
    read->chunks = 0;
    read->request.operation = PB_STORE_GET;
    read->request.received = take;
    pb_store_call(bucket->store, &read->request, NULL);
    return read->request.error.kind;
}

static void ranges_come_in_chunks(void **unused)
{
    (void)unused;
    enum { BYTES = 5 * (1 << 20) + 12345 };
    test_bucket bucket;
    bucket_open(&bucket);
    pb_random random = {.state = 3};
    char *bytes = malloc(BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < BYTES; i++)
        bytes[i] = (char)pb_random_next(&random);
    put(&bucket, PB_SLICE_LITERAL("big"), (pb_slice){bytes, BYTES});
    static const struct {
        uint64_t offset;
        uint64_t length;
    } ranges[] = {
        {0, 0},         {0, 1},           {0, BYTES}, {1, 1 << 20},      {1 << 20, 2 << 20},
        {BYTES - 1, 1}, {BYTES - 1, 100}, {12345, 0}, {7, (1 << 20) + 1}};
    reading read = {.request = {.key = PB_SLICE_LITERAL("big")}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        read.request.offset = ranges[i].offset;
        read.request.length = ranges[i].length;
        assert_int_equal(get(&bucket, &read), PB_ERROR_NONE);
        assert_int_equal(read.request.size, BYTES);
        size_t length = BYTES - ranges[i].offset;
        if (ranges[i].length && ranges[i].length < length)
            length = ranges[i].length;
        assert_int_equal(read.body.size, length);
        assert_memory_equal(read.body.data, bytes + ranges[i].offset, length);
        assert_int_equal(read.chunks, (length + (1 << 20) - 1) >> 20);
    }
    read.request.offset = BYTES;
    read.request.length = 0;
    assert_int_equal(get(&bucket, &read), PB_ERROR_FAILED);
    read.request.offset = 0;
    read.stop_after = 2;
    assert_int_equal(get(&bucket, &read), PB_ERROR_CANCELLED);
    assert_int_equal(read.chunks, 2);
    read.stop_after = 0;
    char etag[PB_ETAG_TEXT_MAX];
    memcpy(etag, read.request.etag, sizeof(etag));
    read.request.if_match = pb_slice_of(etag);
    assert_int_equal(get(&bucket, &read), PB_ERROR_NONE);
    read.request.if_match = PB_SLICE_LITERAL("other");
    assert_int_equal(get(&bucket, &read), PB_ERROR_EXISTS);
    assert_int_equal(read.chunks, 0);
    /* Somebody else writes into the file while it is read. */
    read.request.if_match = (pb_slice){NULL, 0};
    read.touch = below(&bucket, "big");
    assert_int_equal(get(&bucket, &read), PB_ERROR_EXISTS);
    pb_buffer_free(&read.body);
    free(bytes);
    bucket_close(&bucket);
}

static void what_is_no_file_is_not_read(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    put_text(&bucket, "in/a", "x");
    assert_int_equal(symlink("/etc/passwd", below(&bucket, "link")), 0);
    assert_int_equal(symlink("/etc", below(&bucket, "etc")), 0);
    assert_int_equal(symlink("in", below(&bucket, "inside")), 0);
    assert_int_equal(mkfifo(below(&bucket, "fifo"), 0666), 0);
    pb_file_tree tree;
    pb_file_tree_init(&tree, bucket.directory);
    assert_true(tree.has_openat2);
    const char *const keys[] = {"link", "etc/passwd", "inside/a", "fifo"};
    for (int turn = 0; turn < 2; turn++) {
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            struct stat status;
            for (int flags = 0; flags < 2; flags++) {
                pb_error error = {0};
                assert_int_equal(pb_file_object_open(&tree, pb_slice_of(keys[i]),
                                                     flags ? O_PATH : O_RDONLY, (pb_slice){0},
                                                     &status, &error),
                                 -1);
                assert_int_equal(error.kind, PB_ERROR_FAILED);
                assert_non_null(strstr(error.message, i == 3 ? "not a regular" : "symbolic link"));
            }
            pb_error error = {0};
            pb_slice key = pb_slice_of(keys[i]);
            assert_int_equal(pb_file_object_delete(&tree, &key, 1, &error), -1);
            assert_int_equal(error.kind, PB_ERROR_FAILED);
            if (i == 1 || i == 2) {
                assert_int_equal(pb_file_object_put(&tree, key, key, false, &status, &error), -1);
                assert_int_equal(error.kind, PB_ERROR_FAILED);
            }
        }
        pb_error error = {0};
        struct stat status;
        int file = pb_file_object_open(&tree, PB_SLICE_LITERAL("in/a"), O_RDONLY, (pb_slice){0},
                                       &status, &error);
        assert_true(file >= 0);
        close(file);
        assert_int_equal(pb_file_object_put(&tree, PB_SLICE_LITERAL("new/in/deep"), (pb_slice){0},
                                            false, &status, &error),
                         0);
        assert_int_equal(pb_file_object_put(&tree, PB_SLICE_LITERAL("new/in"), (pb_slice){0}, true,
                                            &status, &error),
                         0);
        const pb_slice made[] = {PB_SLICE_LITERAL("new/in/deep"), PB_SLICE_LITERAL("new/in")};
        assert_int_equal(pb_file_object_delete(&tree, made, 2, &error), 0);
        assert_false(is_there(&bucket, "new"));
        tree.has_openat2 = false; /* and once more as on an old kernel */
    }
    pb_file_tree_free(&tree);
    assert_int_equal(access("/etc/passwd", F_OK), 0);
    bucket_close(&bucket);
}

/* --- PUT --- */

static void create_only_creates_once(void **unused)
{
    (void)unused;
    static const char *const keys[] = {"new", "d/new", "dir", "aside"};
    enum { RIVALS = 200 };
    test_bucket bucket;
    bucket_open(&bucket);
    put_text(&bucket, "dir/below", "x");
    char text[RIVALS][8];
    for (size_t key = 0; key < sizeof(keys) / sizeof(keys[0]); key++) {
        pb_store_request requests[2 * RIVALS];
        memset(requests, 0, sizeof(requests));
        size_t count = 0;
        for (size_t i = 0; i < RIVALS; i++) {
            snprintf(text[i], sizeof(text[i]), "%zu", i);
            requests[count++] = (pb_store_request){.operation = PB_STORE_PUT,
                                                   .key = pb_slice_of(keys[key]),
                                                   .body = pb_slice_of(text[i]),
                                                   .create_only = true};
            /* A directory of that name, made and removed in their midst. */
            if (key == 3)
                requests[count++] = (pb_store_request){.operation = PB_STORE_PUT,
                                                       .key = PB_SLICE_LITERAL("aside/below"),
                                                       .body = pb_slice_of("y")};
        }
        run_batch(&bucket, requests, count);
        size_t winners = 0;
        const char *won = NULL;
        for (size_t i = 0; i < count; i++) {
            if (!requests[i].create_only) {
                assert_int_equal(requests[i].error.kind, PB_ERROR_NONE);
            } else if (requests[i].error.kind == PB_ERROR_NONE) {
                winners++;
                won = requests[i].body.data;
            } else if (requests[i].error.kind != PB_ERROR_EXISTS) {
                fail_msg("%s", requests[i].error.message);
            }
        }
        assert_int_equal(winners, 1);
        assert_body(&bucket, keys[key], won);
    }
    /* new, d, dir, dir%leaf, aside, aside%leaf: no temporary file is left. */
    assert_int_equal(count_names(bucket.directory), 6);
    bucket_close(&bucket);
}

/* Keys that are in each other's way, written and removed at once: no request fails, and what is
 * left is what was written last. */
static void keys_in_each_others_way_do_not_disturb_each_other(void **unused)
{
    (void)unused;
    enum { ROUNDS = 60, LISTS = 8 };
    char long_name[254];
    memset(long_name, 'n', 253);
    long_name[253] = '\0';
    char long_below[260];
    snprintf(long_below, sizeof(long_below), "%s/b", long_name);
    const char *const keys[] = {"a",       "a/b", "a/b/c", "a/b/c/d", "a/",      "a//",
                                "a/b/c/e", "z/y", "z/x",   "z",       long_name, long_below};
    enum { KEYS = sizeof(keys) / sizeof(keys[0]) };
    test_bucket bucket;
    bucket_open(&bucket);
    pb_random random = {.state = 11};
    bool there[KEYS] = {false};
    for (int round = 0; round < ROUNDS; round++) {
        pb_store_request requests[KEYS + LISTS];
        pb_slice slices[KEYS];
        char body[KEYS][32];
        memset(requests, 0, sizeof(requests));
        for (size_t i = 0; i < KEYS; i++) {
            slices[i] = pb_slice_of(keys[i]);
            snprintf(body[i], sizeof(body[i]), "%d of %zu", round, i);
            there[i] = pb_random_below(&random, 2);
            if (there[i])
                requests[i] = (pb_store_request){
                    .operation = PB_STORE_PUT, .key = slices[i], .body = pb_slice_of(body[i])};
            else
                requests[i] = (pb_store_request){
                    .operation = PB_STORE_DELETE, .keys = &slices[i], .key_count = 1};
        }
        for (size_t i = 0; i < LISTS; i++)
            requests[KEYS + i].operation = PB_STORE_LIST;
        run_batch(&bucket, requests, KEYS + LISTS);
        for (size_t i = 0; i < KEYS + LISTS; i++) {
            if (requests[i].error.kind)
                fail_msg("round %d: %s", round, requests[i].error.message);
            pb_page_release(requests[i].page);
        }
        size_t expected = 0;
        for (size_t i = 0; i < KEYS; i++) {
            pb_store_request probe;
            assert_int_equal(head(&bucket, keys[i], &probe),
                             there[i] ? PB_ERROR_NONE : PB_ERROR_NOT_FOUND);
            if (there[i])
                assert_body(&bucket, keys[i], body[i]);
            expected += there[i];
        }
        pb_store_request list = {.operation = PB_STORE_LIST};
        assert_int_equal(pb_store_call(bucket.store, &list, NULL), 0);
        assert_int_equal(list.page->count, expected);
        pb_page_release(list.page);
    }
    pb_slice slices[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        slices[i] = pb_slice_of(keys[i]);
    pb_store_request all = {.operation = PB_STORE_DELETE, .keys = slices, .key_count = KEYS};
    assert_int_equal(pb_store_call(bucket.store, &all, NULL), 0);
    assert_int_equal(count_names(bucket.directory), 0);
    bucket_close(&bucket);
}

/* A reader of a key that is overwritten all the while sees one whole object or another. */
static void a_put_is_seen_whole_or_not_at_all(void **unused)
{
    (void)unused;
    enum { WRITES = 64, BYTES = 300000 };
    test_bucket bucket;
    bucket_open(&bucket);
    char *bodies[WRITES];
    reading reads[WRITES];
    pb_store_request writes[WRITES];
    memset(reads, 0, sizeof(reads));
    memset(writes, 0, sizeof(writes));
    size_t left = 2 * WRITES;
    for (size_t i = 0; i < WRITES; i++) {
        bodies[i] = malloc(BYTES);
        assert_non_null(bodies[i]);
        memset(bodies[i], (int)('A' + i % 26), BYTES);
    }
    put(&bucket, PB_SLICE_LITERAL("k"), (pb_slice){bodies[0], BYTES});
    for (size_t i = 0; i < WRITES; i++) {
        writes[i] = (pb_store_request){.operation = PB_STORE_PUT,
                                       .key = PB_SLICE_LITERAL("k"),
                                       .body = {bodies[i], BYTES - i},
                                       .done = note_batch_done,
                                       .context = &left};
        reads[i].request = (pb_store_request){.operation = PB_STORE_GET,
                                              .key = PB_SLICE_LITERAL("k"),
                                              .received = take,
                                              .done = note_batch_done,
                                              .context = &left};
        pb_store_submit(bucket.store, &writes[i]);
        pb_store_submit(bucket.store, &reads[i].request);
    }
    while (left)
        uv_run(&bucket.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < WRITES; i++) {
        assert_int_equal(writes[i].error.kind, PB_ERROR_NONE);
        assert_int_equal(reads[i].request.error.kind, PB_ERROR_NONE);
        size_t which = BYTES - reads[i].body.size;
        assert_in_range(which, 0, WRITES - 1);
        assert_memory_equal(reads[i].body.data, bodies[which], reads[i].body.size);
        pb_buffer_free(&reads[i].body);
    }
    for (size_t i = 0; i < WRITES; i++)
        free(bodies[i]);
    assert_int_equal(count_names(bucket.directory), 1);
    bucket_close(&bucket);
}

static void a_full_disk_leaves_nothing(void **unused)
{
    (void)unused;
    char directory[128];
    make_directory_for_test(directory);
    if (mount("tmpfs", directory, "tmpfs", 0, "size=1m")) {
        print_message("SKIP: no tmpfs can be mounted: %s\n", strerror(errno));
        rmdir(directory);
        skip();
    }
    test_bucket bucket;
    bucket_open_at(&bucket, directory);
    char *body = calloc(1, 2 << 20);
    assert_non_null(body);
    put_text(&bucket, "kept", "kept");
    pb_error error = {0};
    assert_int_equal(pb_store_write(bucket.store, PB_SLICE_LITERAL("kept"),
                                    (pb_slice){body, 2 << 20}, false, &error),
                     -1);
    assert_int_equal(error.kind, PB_ERROR_NO_SPACE);
    assert_non_null(strstr(error.message, below(&bucket, "kept")));
    assert_int_equal(count_names(directory), 1);
    assert_body(&bucket, "kept", "kept");
    /* A copy and a joined upload likewise. */
    put(&bucket, PB_SLICE_LITERAL("half"), (pb_slice){body, 600 << 10});
    pb_store_request copy = {.operation = PB_STORE_COPY,
                             .key = PB_SLICE_LITERAL("other"),
                             .source = bucket.store,
                             .source_key = PB_SLICE_LITERAL("half")};
    assert_int_equal(pb_store_call(bucket.store, &copy, NULL), -1);
    assert_int_equal(copy.error.kind, PB_ERROR_NO_SPACE);
    assert_int_equal(count_names(directory), 2);
    free(body);
    bucket_close(&bucket);
    assert_int_equal(umount(directory), 0);
    rmdir(directory);
}

static void rights_that_lack_are_refused(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    bool is_root = geteuid() == 0; /* whom nothing is refused */
    if (is_root && (chown(bucket.directory, 65534, (gid_t)-1) || seteuid(65534))) {
        print_message("SKIP: cannot be another user\n");
        bucket_close(&bucket);
        skip();
    }
    put_text(&bucket, "closed/a", "x");
    assert_int_equal(chmod(below(&bucket, "closed"), 0), 0);
    pb_store_request probe;
    assert_int_equal(head(&bucket, "closed/a", &probe), PB_ERROR_FORBIDDEN);
    assert_non_null(strstr(probe.error.message, below(&bucket, "closed/a: Permission denied")));
    pb_store_request list = {.operation = PB_STORE_LIST};
    assert_int_equal(pb_store_call(bucket.store, &list, NULL), -1);
    assert_int_equal(list.error.kind, PB_ERROR_FORBIDDEN);
    if (is_root)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod(below(&bucket, "closed"), 0700), 0);
    bucket_close(&bucket);
}

/* --- COPY --- */

static void a_copy_is_the_object(void **unused)
{
    (void)unused;
    test_bucket source;
    test_bucket destination;
    bucket_open(&source);
    bucket_open(&destination);
    assert_true(pb_store_copies_from(destination.store, source.store));
    put_text(&source, "a/b", "hello");
    pb_store_request probe;
    assert_int_equal(head(&source, "a/b", &probe), PB_ERROR_NONE);
    pb_store_request copy = {.operation = PB_STORE_COPY,
                             .key = PB_SLICE_LITERAL("c/d"),
                             .source = source.store,
                             .source_key = PB_SLICE_LITERAL("a/b"),
                             .if_match = pb_slice_of(probe.etag)};
    assert_int_equal(pb_store_call(destination.store, &copy, NULL), 0);
    assert_body(&destination, "c/d", "hello");
    pb_store_request copied;
    assert_int_equal(head(&destination, "c/d", &copied), PB_ERROR_NONE);
    assert_string_equal(copied.etag, copy.etag);
    put_text(&source, "a/b", "other");
    assert_int_equal(pb_store_call(destination.store, &copy, NULL), -1);
    assert_int_equal(copy.error.kind, PB_ERROR_EXISTS);
    assert_body(&destination, "c/d", "hello");
    copy.if_match = (pb_slice){NULL, 0};
    assert_int_equal(pb_store_call(destination.store, &copy, NULL), 0);
    assert_body(&destination, "c/d", "other");
    copy.source_key = PB_SLICE_LITERAL("none");
    assert_int_equal(pb_store_call(destination.store, &copy, NULL), -1);
    assert_int_equal(copy.error.kind, PB_ERROR_NOT_FOUND);
    put(&source, PB_SLICE_LITERAL("none"), (pb_slice){NULL, 0});
    assert_int_equal(pb_store_call(destination.store, &copy, NULL), 0);
    assert_body(&destination, "c/d", "");
    bucket_close(&source);
    bucket_close(&destination);
}

/* --- multipart --- */

typedef struct creation {
    pb_store_request request;
    char id[64];
    bool done;
} creation;

static void note_id(pb_store_request *request)
{
    creation *created = (creation *)request;
    assert_int_equal(request->error.kind, PB_ERROR_NONE);
    snprintf(created->id, sizeof(created->id), "%.*s", PB_SLICE_FORMAT(request->upload_id_new));
    created->done = true;
}

static void create_upload(test_bucket *bucket, const char *key, creation *ret)
{
    *ret = (creation){.request = {.operation = PB_STORE_MULTIPART_CREATE,
                                  .key = pb_slice_of(key),
                                  .done = note_id}};
    pb_store_submit(bucket->store, &ret->request);
    assert_false(ret->done);
    while (!ret->done)
        uv_run(&bucket->loop, UV_RUN_ONCE);
}

enum { PARTS_MAX = 8, PART_BYTES = 100000 };

/* Writes an object in parts of these sizes, all at once in this order, half of them as copies. */
static void assert_upload(const size_t *sizes, const unsigned *order, unsigned count,
                          bool from_other)
{
    test_bucket bucket;
    test_bucket other;
    bucket_open(&bucket);
    size_t total = 0;
    for (unsigned i = 0; i < count; i++)
        total += sizes[i];
    pb_random random = {.state = total};
    char *bytes = malloc(total + 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < total; i++)
        bytes[i] = (char)pb_random_next(&random);
    put(&bucket, PB_SLICE_LITERAL("source"), (pb_slice){bytes, total});
    creation created;
    create_upload(&bucket, "d/object", &created);
    bucket_open_at(&other, bucket.directory);
    pb_store_request requests[PARTS_MAX];
    memset(requests, 0, sizeof(requests));
    for (unsigned i = 0; i < count; i++) {
        unsigned number = order[i];
        size_t offset = 0;
        for (unsigned before = 1; before < number; before++)
            offset += sizes[before - 1];
        requests[i] = (pb_store_request){.operation = PB_STORE_MULTIPART_PUT,
                                         .key = PB_SLICE_LITERAL("d/object"),
                                         .upload_id = pb_slice_of(created.id),
                                         .part_number = number,
                                         .body = {bytes + offset, sizes[number - 1]}};
        if (number % 2 == 0 && sizes[number - 1]) {
            requests[i].operation = PB_STORE_MULTIPART_COPY;
            requests[i].body = (pb_slice){NULL, 0};
            requests[i].source = bucket.store;
            requests[i].source_key = PB_SLICE_LITERAL("source");
            requests[i].offset = offset;
            requests[i].length = sizes[number - 1];
        }
    }
    run_batch(from_other ? &other : &bucket, requests, count);
    char etags[PARTS_MAX][PB_ETAG_TEXT_MAX];
    for (unsigned i = 0; i < count; i++) {
        if (requests[i].error.kind)
            fail_msg("%s", requests[i].error.message);
        memcpy(etags[order[i] - 1], requests[i].etag, PB_ETAG_TEXT_MAX);
    }
    pb_store_request probe;
    assert_int_equal(head(&bucket, "d/object", &probe), PB_ERROR_NOT_FOUND);
    pb_store_request complete = {.operation = PB_STORE_MULTIPART_COMPLETE,
                                 .key = PB_SLICE_LITERAL("d/object"),
                                 .upload_id = pb_slice_of(created.id),
                                 .part_etags = (const char(*)[PB_ETAG_TEXT_MAX])etags,
                                 .part_count = count};
    if (pb_store_call(bucket.store, &complete, NULL))
        fail_msg("%s", complete.error.message);
    reading read = {.request = {.key = PB_SLICE_LITERAL("d/object")}};
    assert_int_equal(get(&bucket, &read), PB_ERROR_NONE);
    assert_string_equal(read.request.etag, complete.etag);
    assert_int_equal(read.body.size, total);
    if (total)
        assert_memory_equal(read.body.data, bytes, total);
    pb_buffer_free(&read.body);
    assert_int_equal(count_names(bucket.directory), 2); /* source and d: no upload is left */
    free(bytes);
    pb_store_close(other.store);
    assert_int_equal(uv_loop_close(&other.loop), 0);
    pb_store_config_free(other.config);
    bucket_close(&bucket);
}

static void parts_become_the_object(void **unused)
{
    (void)unused;
    const unsigned forwards[] = {1, 2, 3, 4, 5};
    const unsigned backwards[] = {5, 4, 3, 2, 1};
    const size_t regular[] = {PART_BYTES, PART_BYTES, PART_BYTES, PART_BYTES, 17};
    const size_t full[] = {PART_BYTES, PART_BYTES, PART_BYTES, PART_BYTES, PART_BYTES};
    const size_t odd[] = {PART_BYTES, 5, PART_BYTES + 1, 1, 3 * PART_BYTES};
    const size_t empty[] = {0, 0, 0, 0, 0};
    const size_t *const layouts[] = {regular, full, odd, empty};
    for (size_t i = 0; i < 4; i++) {
        assert_upload(layouts[i], forwards, 5, false);
        assert_upload(layouts[i], backwards, 5, false);
        assert_upload(layouts[i], forwards, 5, true);
        assert_upload(layouts[i], forwards, 1, false);
    }
}

static void an_upload_is_aborted_without_a_trace(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    creation created;
    create_upload(&bucket, "a", &created);
    pb_store_request part = {.operation = PB_STORE_MULTIPART_PUT,
                             .key = PB_SLICE_LITERAL("a"),
                             .upload_id = pb_slice_of(created.id),
                             .part_number = 1,
                             .body = PB_SLICE_LITERAL("x")};
    assert_int_equal(pb_store_call(bucket.store, &part, NULL), 0);
    assert_int_equal(count_names(bucket.directory), 1);
    pb_store_request abort = {.operation = PB_STORE_MULTIPART_ABORT,
                              .key = PB_SLICE_LITERAL("a"),
                              .upload_id = pb_slice_of(created.id)};
    for (int turn = 0; turn < 2; turn++) /* twice is no error */
        assert_int_equal(pb_store_call(bucket.store, &abort, NULL), 0);
    assert_int_equal(count_names(bucket.directory), 0);
    assert_int_equal(pb_store_call(bucket.store, &part, NULL), -1);
    assert_int_equal(part.error.kind, PB_ERROR_NOT_FOUND);
    const char *const strange[] = {"", "../x", "0123456789abcdef0123456789abcde/"};
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        part.upload_id = pb_slice_of(strange[i]);
        assert_int_equal(pb_store_call(bucket.store, &part, NULL), -1);
        assert_int_equal(part.error.kind, PB_ERROR_NOT_FOUND);
    }
    bucket_close(&bucket);
}

static void completing_without_a_part_fails_and_keeps_the_upload(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    creation created;
    create_upload(&bucket, "a", &created);
    pb_store_request part = {.operation = PB_STORE_MULTIPART_PUT,
                             .key = PB_SLICE_LITERAL("a"),
                             .upload_id = pb_slice_of(created.id),
                             .part_number = 1,
                             .body = PB_SLICE_LITERAL("0123456789")};
    assert_int_equal(pb_store_call(bucket.store, &part, NULL), 0);
    char etags[2][PB_ETAG_TEXT_MAX];
    memcpy(etags[0], part.etag, sizeof(etags[0]));
    memcpy(etags[1], part.etag, sizeof(etags[1])); /* never written */
    pb_store_request complete = {.operation = PB_STORE_MULTIPART_COMPLETE,
                                 .key = PB_SLICE_LITERAL("a"),
                                 .upload_id = pb_slice_of(created.id),
                                 .part_etags = (const char(*)[PB_ETAG_TEXT_MAX])etags,
                                 .part_count = 2};
    assert_int_equal(pb_store_call(bucket.store, &complete, NULL), -1);
    assert_int_equal(complete.error.kind, PB_ERROR_FAILED);
    strcpy(etags[1], "rubbish");
    assert_int_equal(pb_store_call(bucket.store, &complete, NULL), -1);
    complete.part_count = 0;
    assert_int_equal(pb_store_call(bucket.store, &complete, NULL), -1);
    complete.part_count = 1;
    assert_int_equal(pb_store_call(bucket.store, &complete, NULL), 0);
    assert_body(&bucket, "a", "0123456789");
    assert_int_equal(count_names(bucket.directory), 1);
    bucket_close(&bucket);
}

/* --- DELETE --- */

static void deleting_clears_empty_directories_and_no_others(void **unused)
{
    (void)unused;
    test_bucket bucket;
    bucket_open(&bucket);
    put_text(&bucket, "a/b/c/d", "x");
    put_text(&bucket, "a/b/e", "x");
    put_text(&bucket, "f", "x");
    assert_int_equal(delete_key(&bucket, "none"), PB_ERROR_NONE);
    assert_int_equal(delete_key(&bucket, "none/below"), PB_ERROR_NONE);
    assert_int_equal(delete_key(&bucket, "f/below"), PB_ERROR_NONE);
    assert_int_equal(delete_key(&bucket, "a/b"), PB_ERROR_NONE); /* a directory is no key */
    assert_int_equal(delete_key(&bucket, "a/b/c/d"), PB_ERROR_NONE);
    assert_false(is_there(&bucket, "a/b/c"));
    assert_true(is_there(&bucket, "a/b/e"));
    assert_int_equal(delete_key(&bucket, "a/b/e"), PB_ERROR_NONE);
    assert_false(is_there(&bucket, "a"));
    assert_int_equal(delete_key(&bucket, "f"), PB_ERROR_NONE);
    assert_int_equal(count_names(bucket.directory), 0); /* the root itself stays */
    bucket_close(&bucket);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_tells_whether_the_root_is_there),
        cmocka_unit_test(a_location_that_is_a_file_is_refused),
        cmocka_unit_test(a_put_makes_the_root_and_all_above),
        cmocka_unit_test(what_was_put_is_read),
        cmocka_unit_test(an_overwritten_object_has_another_etag),
        cmocka_unit_test(ranges_come_in_chunks),
        cmocka_unit_test(what_is_no_file_is_not_read),
        cmocka_unit_test(create_only_creates_once),
        cmocka_unit_test(keys_in_each_others_way_do_not_disturb_each_other),
        cmocka_unit_test(a_put_is_seen_whole_or_not_at_all),
        cmocka_unit_test(a_full_disk_leaves_nothing),
        cmocka_unit_test(rights_that_lack_are_refused),
        cmocka_unit_test(a_copy_is_the_object),
        cmocka_unit_test(parts_become_the_object),
        cmocka_unit_test(an_upload_is_aborted_without_a_trace),
        cmocka_unit_test(completing_without_a_part_fails_and_keeps_the_upload),
        cmocka_unit_test(deleting_clears_empty_directories_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
