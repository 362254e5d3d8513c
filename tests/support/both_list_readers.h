/* tests/support/both_list_readers.h - one answer through the list reader and through libxml2. */
#ifndef PB_TESTS_SUPPORT_BOTH_LIST_READERS_H
#define PB_TESTS_SUPPORT_BOTH_LIST_READERS_H

#include "copier/store/s3/response.h"

static inline bool same_entry(const pb_entry *a, const pb_entry *b)
{
    return pb_slice_equal(a->key, b->key) && a->size == b->size && a->mtime_ms == b->mtime_ms &&
           pb_slice_equal(a->etag, b->etag) && !a->record && !b->record;
}

/* NULL where the pages are the same, else what differs. */
static inline const char *pages_differ(const pb_page *a, const pb_page *b)
{
    if (a->count != b->count || a->prefix_count != b->prefix_count)
        return "counts";
    if (a->more != b->more)
        return "more";
    if (!pb_slice_equal(a->token, b->token))
        return "token";
    for (size_t i = 0; i < a->count; i++)
        if (!same_entry(&a->entries[i], &b->entries[i]))
            return "an entry";
    for (size_t i = 0; i < a->prefix_count; i++)
        if (!pb_slice_equal(a->prefixes[i], b->prefixes[i]))
            return "a prefix";
    return NULL;
}

/* Parses `body` both ways: the page or error of the usual way, as pb_s3_parse_list() has it.
 * `ret_difference` is NULL where the other way led to the same. */
static inline int parse_list_both_ways(pb_s3_parser *parser, pb_slice body,
                                       const pb_s3_list_asked *asked, pb_page **ret_page,
                                       pb_error *error, const char **ret_difference)
{
    pb_page *page = NULL;
    pb_page *other_page = NULL;
    pb_error wrong = {0};
    pb_error other_wrong = {0};
    pb_s3_parser_use_only_libxml(parser, true);
    int other_failed = pb_s3_parse_list(parser, body, asked, &other_page, &other_wrong);
    pb_s3_parser_use_only_libxml(parser, false);
    int failed = pb_s3_parse_list(parser, body, asked, &page, &wrong);
    if (failed != other_failed)
        *ret_difference = failed ? "one is refused" : "one is taken";
    else if (failed)
        *ret_difference =
            wrong.kind != other_wrong.kind || strcmp(wrong.message, other_wrong.message)
                ? "the errors"
                : NULL;
    else
        *ret_difference = pages_differ(page, other_page);
    pb_page_release(other_page);
    *ret_page = page;
    if (error)
        *error = wrong;
    return failed;
}

#endif
