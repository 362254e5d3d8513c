/* What a stream lets through, and what a shard makes of streams: over streams made in memory. */
#include "copier/shard/shard.h"
#include "copier/shard/split.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Pages given in advance, delivered from the loop. */
typedef struct page_script {
    uv_idle_t soon;
    pb_stream *stream;
    const char *const *pages; /* keys between '|', a page each; NULL ends */
    bool claims_more;         /* the last page says that there is more */
} page_script;

static void deliver(uv_idle_t *idle)
{
    page_script *script = idle->data;
    uv_idle_stop(idle);
    pb_page *page = pb_page_new();
    const char *text = *script->pages++;
    while (*text) {
        size_t size = strcspn(text, "|");
        pb_entry *entry = pb_page_add(page);
        entry->key = pb_arena_copy(&page->arena, (pb_slice){text, size});
        entry->size = size;
        text += size + (text[size] == '|');
    }
    page->more = *script->pages != NULL || script->claims_more;
    pb_stream_deliver(script->stream, page, NULL);
}

static void fetch(void *state, pb_stream *stream)
{
    page_script *script = state;
    script->stream = stream;
    uv_idle_start(&script->soon, deliver);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_script(void *state, pb_stream *stream)
{
    (void)stream;
    page_script *script = state;
    uv_close((uv_handle_t *)&script->soon, on_closed);
}

static const pb_stream_origin origin = {fetch, NULL, NULL, close_script};

static pb_stream *script_open(uv_loop_t *loop, const char *const *pages, bool claims_more,
                              const char *after, const char *through, void (*wake)(void *),
                              void *context)
{
    page_script *script = calloc(1, sizeof *script);
    script->pages = pages;
    script->claims_more = claims_more;
    uv_idle_init(loop, &script->soon);
    script->soon.data = script;
    return pb_stream_open(&origin, script, "script", pb_slice_of(after), pb_slice_of(through), wake,
                          context);
}

static void nothing(void *context)
{
    (void)context;
}

/* Reads a stream to its end: the keys between spaces, and how it ended. */
static pb_stream_state read_all(const char *const *pages, bool claims_more, const char *after,
                                const char *through, pb_buffer *ret_keys, pb_error *ret_error)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    pb_stream *stream = script_open(&loop, pages, claims_more, after, through, nothing, NULL);
    pb_stream_state state;
    for (;;) {
        const pb_entry *entry;
        pb_page *page;
        state = pb_stream_peek(stream, &entry, &page);
        if (state == PB_STREAM_WAITING) {
            uv_run(&loop, UV_RUN_ONCE);
        } else if (state == PB_STREAM_READY) {
            pb_buffer_append_slice(ret_keys, entry->key);
            pb_buffer_append_char(ret_keys, ' ');
            pb_stream_advance(stream);
        } else {
            break;
        }
    }
    if (state == PB_STREAM_FAILED)
        *ret_error = *pb_stream_error(stream);
    while (pb_stream_is_fetching(stream))
        uv_run(&loop, UV_RUN_ONCE);
    pb_stream_close(stream);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return state;
}

static void test_reads_pages_in_order(void **state)
{
    (void)state;
    const char *pages[] = {"a|b", "c", "d|e|f", NULL};
    pb_buffer keys = {0};
    pb_error error = {0};
    assert_int_equal(read_all(pages, false, NULL, NULL, &keys, &error), PB_STREAM_END);
    assert_string_equal(keys.data, "a b c d e f ");
    pb_buffer_free(&keys);
}

static void test_cuts_at_the_end_of_its_range(void **state)
{
    (void)state;
    const char *pages[] = {"b|c", "d|e|f", "never", NULL};
    pb_buffer keys = {0};
    pb_error error = {0};
    assert_int_equal(read_all(pages, false, "a", "d", &keys, &error), PB_STREAM_END);
    assert_string_equal(keys.data, "b c d ");
    pb_buffer_free(&keys);
}

static void test_is_narrowed_while_it_is_read(void **state)
{
    (void)state;
    const char *const *const cases[] = {
        (const char *const[]){"a|b|c|d", "e|f", "g", NULL},   /* in the page at the front */
        (const char *const[]){"a|b", "c|d|e", "f", NULL},     /* in the one fetched ahead */
        (const char *const[]){"a|b|c", "e|f", NULL},          /* between two */
        (const char *const[]){"a", "b", "c", "d", "e", NULL}, /* in one that is on its way */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uv_loop_t loop;
        uv_loop_init(&loop);
        pb_stream *stream = script_open(&loop, cases[i], false, NULL, NULL, nothing, NULL);
        const pb_entry *entry;
        pb_page *page;
        while (pb_stream_peek(stream, &entry, &page) == PB_STREAM_WAITING)
            uv_run(&loop, UV_RUN_ONCE);
        assert_true(pb_stream_has_more(stream));
        if (i < 2) /* the second page is there as well */
            while (pb_stream_is_fetching(stream))
                uv_run(&loop, UV_RUN_ONCE);
        pb_stream_narrow(stream, PB_SLICE_LITERAL("c"));
        pb_buffer keys = {0};
        for (;;) {
            pb_stream_state at = pb_stream_peek(stream, &entry, &page);
            if (at == PB_STREAM_WAITING) {
                uv_run(&loop, UV_RUN_ONCE);
            } else if (at == PB_STREAM_READY) {
                pb_buffer_append_slice(&keys, entry->key);
                pb_stream_advance(stream);
            } else {
                assert_int_equal(at, PB_STREAM_END);
                break;
            }
        }
        assert_string_equal(keys.data, "abc");
        assert_false(pb_stream_has_more(stream));
        while (pb_stream_is_fetching(stream))
            uv_run(&loop, UV_RUN_ONCE);
        pb_buffer_free(&keys);
        pb_stream_close(stream);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

static void expect_failure(const char *const *pages, bool claims_more, const char *after,
                           const char *says)
{
    pb_buffer keys = {0};
    pb_error error = {0};
    assert_int_equal(read_all(pages, claims_more, after, NULL, &keys, &error), PB_STREAM_FAILED);
    assert_non_null(strstr(error.message, says));
    pb_buffer_free(&keys);
}

static void test_refuses_a_store_that_lists_wrongly(void **state)
{
    (void)state;
    const char *backwards[] = {"b|a", NULL};
    expect_failure(backwards, false, NULL, "not in order");
    const char *twice[] = {"a|a", NULL};
    expect_failure(twice, false, NULL, "not in order");
    const char *twice_over_pages[] = {"a|b", "b|c", NULL};
    expect_failure(twice_over_pages, false, NULL, "not in order");
    const char *before_the_range[] = {"a|b", NULL};
    expect_failure(before_the_range, false, "a", "not in order");
    const char *endless[] = {"", NULL};
    expect_failure(endless, true, NULL, "empty page");
    const char *not_utf8[] = {"a|\xff", NULL};
    expect_failure(not_utf8, false, NULL, "not UTF-8");
}

/* ---- a shard over such streams ---- */

typedef struct merge_log {
    pb_buffer seen; /* "key:which streams " as decided; then emitted keys */
    pb_buffer emitted;
    unsigned put_off; /* emits to be refused once each */
    bool may_split;
    pb_range given[PB_SPLIT_CUTS_MAX]; /* at the first page */
    size_t given_count;
    pb_shard *shard;
    uv_idle_t later;
    bool over;
    pb_error error;
} merge_log;

static int decide(void *context, const pb_entry *const *heads, pb_arena *arena, pb_item *item,
                  pb_error *error)
{
    (void)arena;
    merge_log *merge = context;
    const pb_entry *any = heads[0] ? heads[0] : heads[1];
    pb_buffer_append_slice(&merge->seen, any->key);
    pb_buffer_append_format(&merge->seen, ":%d%d ", heads[0] != NULL, heads[1] != NULL);
    if (pb_slice_equal(any->key, PB_SLICE_LITERAL("poison")))
        return pb_error_set(error, PB_ERROR_FAILED, "poisoned");
    if (heads[0])
        item->entry = heads[0]; /* else it is dropped */
    return 0;
}

static void wake_later(uv_idle_t *idle)
{
    merge_log *merge = idle->data;
    uv_idle_stop(idle);
    pb_shard_wake(merge->shard);
}

static int emit(void *context, pb_item *item, pb_error *error)
{
    (void)error;
    merge_log *merge = context;
    if (merge->put_off) {
        merge->put_off--;
        uv_idle_start(&merge->later, wake_later);
        return 1;
    }
    pb_buffer_append_slice(&merge->emitted, item->entry->key);
    pb_buffer_append_char(&merge->emitted, ' ');
    return 0;
}

static void over(void *context, const pb_error *error)
{
    merge_log *merge = context;
    merge->over = true;
    if (error)
        merge->error = *error;
}

static const pb_shard_work work = {.decide = decide, .emit = emit, .over = over};

static void paged(void *context, pb_shard *shard)
{
    merge_log *merge = context;
    if (merge->may_split && !merge->given_count)
        merge->given_count = pb_shard_split(shard, PB_SPLIT_CUTS_MAX, merge->given);
}

static void host_over(void *context, pb_shard *shard, const pb_error *error)
{
    merge_log *merge = context;
    assert_ptr_equal(shard, merge->shard);
    assert_true(merge->over);
    assert_int_equal(error != NULL, merge->error.kind != PB_ERROR_NONE);
}

static void host_failed(void *context, const pb_error *error)
{
    (void)context;
    (void)error;
}

static const pb_shard_host host = {paged, host_failed, host_over};

static void run_merge(merge_log *merge, const char *const *left, const char *const *right)
{
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_idle_init(&loop, &merge->later);
    merge->later.data = merge;
    merge->shard = pb_shard_new((pb_range){0}, NULL, &host, merge);
    pb_shard_set_work(merge->shard, &work, merge);
    if (merge->may_split)
        pb_shard_allow_split(merge->shard, 1, 0);
    pb_shard_add_stream(merge->shard,
                        script_open(&loop, left, false, NULL, NULL, pb_shard_wake, merge->shard));
    pb_shard_add_stream(merge->shard,
                        script_open(&loop, right, false, NULL, NULL, pb_shard_wake, merge->shard));
    pb_shard_start(merge->shard, &loop);
    while (!merge->over)
        uv_run(&loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&merge->later, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_merges_by_key(void **state)
{
    (void)state;
    const char *left[] = {"a|c", "d|g", NULL};
    const char *right[] = {"b", "c|d|e", "z", NULL};
    merge_log merge = {.put_off = 2};
    run_merge(&merge, left, right);
    assert_int_equal(merge.error.kind, PB_ERROR_NONE);
    assert_string_equal(merge.seen.data, "a:10 b:01 c:11 d:11 e:01 g:10 z:01 ");
    assert_string_equal(merge.emitted.data, "a c d g ");
    pb_buffer_free(&merge.seen);
    pb_buffer_free(&merge.emitted);
}

static void test_ends_with_the_first_error(void **state)
{
    (void)state;
    const char *left[] = {"a", "poison|q", NULL};
    const char *right[] = {"b", NULL};
    merge_log merge = {0};
    run_merge(&merge, left, right);
    assert_int_equal(merge.error.kind, PB_ERROR_FAILED);
    assert_null(strstr(merge.emitted.data ? merge.emitted.data : "", "q"));
    pb_buffer_free(&merge.seen);
    pb_buffer_free(&merge.emitted);

    const char *wrong[] = {"b", "a", NULL};
    merge = (merge_log){0};
    run_merge(&merge, left, wrong);
    assert_non_null(strstr(merge.error.message, "not in order"));
    pb_buffer_free(&merge.seen);
    pb_buffer_free(&merge.emitted);
}

/* What is given away and what is kept are all keys, once each. */
static void test_gives_away_what_is_not_listed(void **state)
{
    (void)state;
    const char *left[] = {"k00|k01|k02", "k03|k10|k40", "k41|z", NULL};
    const char *right[] = {"k01|k09|k55|q", NULL};
    merge_log merge = {.may_split = true};
    run_merge(&merge, left, right);
    assert_int_equal(merge.error.kind, PB_ERROR_NONE);
    assert_true(merge.given_count > 0);
    pb_slice kept = pb_slice_of(merge.given[0].after);
    assert_true(pb_slice_compare(kept, PB_SLICE_LITERAL("k02")) > 0);
    static const char *const keys[] = {"k00", "k01", "k02", "k03", "k09", "k10",
                                       "k40", "k41", "k55", "q",   "z"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        pb_slice key = pb_slice_of(keys[i]);
        unsigned homes = 0;
        for (size_t j = 0; j < merge.given_count; j++)
            homes += pb_range_holds(&merge.given[j], key);
        char decided[8];
        snprintf(decided, sizeof decided, "%s:", keys[i]);
        homes += strstr(merge.seen.data, decided) != NULL;
        assert_int_equal(homes, 1);
    }
    assert_null(merge.given[merge.given_count - 1].through);
    for (size_t j = 1; j < merge.given_count; j++)
        assert_string_equal(merge.given[j].after, merge.given[j - 1].through);
    for (size_t j = 0; j < merge.given_count; j++)
        pb_range_free(&merge.given[j]);
    pb_buffer_free(&merge.seen);
    pb_buffer_free(&merge.emitted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_pages_in_order),
        cmocka_unit_test(test_cuts_at_the_end_of_its_range),
        cmocka_unit_test(test_is_narrowed_while_it_is_read),
        cmocka_unit_test(test_refuses_a_store_that_lists_wrongly),
        cmocka_unit_test(test_merges_by_key),
        cmocka_unit_test(test_ends_with_the_first_error),
        cmocka_unit_test(test_gives_away_what_is_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
