#include "copier/store/sequence.h"

/* Stores that look at many keys to find one may answer some empty pages; and a store that is not
 * sure of itself may give a page twice. */
enum { EMPTY_MAX = 10 * 1000, REPEATED_MAX = 16 };

static void remember(pb_page_watch *watch, const pb_page *page, pb_slice first_key)
{
    pb_buffer_clear(&watch->token);
    pb_buffer_append_slice(&watch->token, page->token);
    pb_buffer_clear(&watch->first_key);
    pb_buffer_append_slice(&watch->first_key, first_key);
    watch->repeated = 0;
    watch->remembered = watch->pages * 2;
}

const char *pb_page_watch_see(pb_page_watch *watch, const pb_page *page)
{
    if (!page->more)
        return NULL;
    pb_slice first_key = page->count          ? page->entries[0].key
                         : page->prefix_count ? page->prefixes[0]
                                              : (pb_slice){NULL, 0};
    watch->empty = first_key.size ? 0 : watch->empty + 1;
    if (watch->empty > EMPTY_MAX)
        return "10,000 empty pages one after another";
    if (watch->pages && pb_slice_equal(first_key, pb_buffer_slice(&watch->first_key))) {
        bool same_token =
            page->token.size && pb_slice_equal(page->token, pb_buffer_slice(&watch->token));
        watch->repeated += first_key.size > 0;
        if (same_token || watch->repeated > REPEATED_MAX)
            return "pages that lead to themselves";
    }
    if (++watch->pages >= watch->remembered)
        remember(watch, page, first_key);
    return NULL;
}

void pb_page_watch_free(pb_page_watch *watch)
{
    pb_buffer_free(&watch->token);
    pb_buffer_free(&watch->first_key);
    *watch = (pb_page_watch){0};
}

static int refuse(const pb_store *store, const char *problem, pb_error *error)
{
    pb_error_set(error, PB_ERROR_FAILED, "%s: its listing has %s", pb_store_name(store), problem);
    return pb_error_hint(error,
                         "the store does not list as S3's ListObjectsV2 does: nothing can be "
                         "relied on there");
}

int pb_sequence_list(pb_store *store, pb_slice prefix, pb_slice after, char delimiter,
                     int (*each)(void *context, const pb_page *page, pb_error *error),
                     void *context, pb_error *error)
{
    pb_buffer token = {0};
    pb_page_watch watch = {0};
    int failed = 0;
    bool more = true;
    while (more && !failed) {
        pb_store_request request = {.operation = PB_STORE_LIST};
        request.list.prefix = prefix;
        request.list.delimiter = delimiter;
        request.list.after = after;
        request.list.token = pb_buffer_slice(&token);
        failed = pb_store_call(store, &request, error);
        if (failed)
            break;
        pb_page *page = request.page;
        const char *problem = pb_page_watch_see(&watch, page);
        more = page->more;
        if (!problem && more && !page->token.size)
            problem = "a page that says there is more, but not how to go on";
        pb_buffer_clear(&token);
        pb_buffer_append_slice(&token, page->token);
        failed = problem ? refuse(store, problem, error) : each(context, page, error);
        pb_page_release(page);
    }
    failed = failed < 0 ? failed : 0;
    pb_buffer_free(&token);
    pb_page_watch_free(&watch);
    return failed;
}
