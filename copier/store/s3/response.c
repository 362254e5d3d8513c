#include "copier/store/s3/response.h"

#include "base/byte_word.h"
#include "base/clock.h"
#include "base/codec.h"
#include "copier/store/s3/list_reader.h"
#include "copier/store/store.h"
#include <libxml/parser.h>
#include <stdlib.h>

/* Names from hostile answers gather in the parser's dictionary: past this it is made anew. */
enum { DICTIONARY_BYTES_MAX = 256 * 1024 };
enum { PARSE_OPTIONS = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING };

/* What the element at depth 2 is, which the names below it depend on. */
typedef enum group {
    GROUP_NONE,
    GROUP_CONTENTS,
    GROUP_PREFIXES,
    GROUP_FAILED_KEY,
    GROUP_UPLOAD,
} group;

enum {
    SPAN_ROOT,
    SPAN_CODE,
    SPAN_MESSAGE,
    SPAN_KEY,
    SPAN_REQUEST_ID,
    SPAN_REGION,
    SPAN_ENDPOINT,
    SPAN_ETAG,
    SPAN_UPLOAD_ID,
    SPAN_TRUNCATED,
    SPAN_TOKEN,
    SPAN_ENCODING,
    SPAN_SIZE,
    SPAN_MODIFIED,
    SPAN_PREFIX,
    SPAN_FAILED_KEY,
    SPAN_FAILED_CODE,
    SPAN_FAILED_MESSAGE,
    SPAN_COUNT
};

struct pb_s3_parser {
    bool repaired; /* the list was only XML after repair() */
    xmlParserCtxtPtr context;
    xmlSAXHandler sax;
    const char *problem; /* why the answer is refused though it is XML; static */

    bool list; /* a ListBucketResult is read, else a small answer */
    unsigned depth;
    group group;
    pb_s3_span *capturing;        /* the element whose text is taken; NULL outside of one */
    pb_s3_span spans[SPAN_COUNT]; /* in found.text */
    size_t failed_keys;
    pb_s3_found_list found; /* a small answer uses its text only */
    bool only_libxml;
};

static void refuse(pb_s3_parser *parser, const char *problem)
{
    if (!parser->problem)
        parser->problem = problem;
    xmlStopParser(parser->context);
}

static pb_slice text_of(const pb_s3_parser *parser, const pb_s3_span *at)
{
    return at->size ? (pb_slice){parser->found.text.data + at->start, at->size}
                    : (pb_slice){NULL, 0};
}

/* ---- SAX: the shape of the document ---- */

typedef struct named_span {
    const char *name;
    int span;
} named_span;

static const named_span document_names[] = {
    {"Code", SPAN_CODE},          {"Message", SPAN_MESSAGE},       {"RequestId", SPAN_REQUEST_ID},
    {"Region", SPAN_REGION},      {"Endpoint", SPAN_ENDPOINT},     {"ETag", SPAN_ETAG},
    {"UploadId", SPAN_UPLOAD_ID}, {"EncodingType", SPAN_ENCODING}, {NULL, 0},
};
static const named_span upload_names[] = {
    {"Key", SPAN_KEY}, {"UploadId", SPAN_UPLOAD_ID}, {NULL, 0}};
static const named_span failed_key_names[] = {{"Key", SPAN_FAILED_KEY},
                                              {"Code", SPAN_FAILED_CODE},
                                              {"Message", SPAN_FAILED_MESSAGE},
                                              {NULL, 0}};
static const named_span list_names[] = {{"IsTruncated", SPAN_TRUNCATED},
                                        {"NextContinuationToken", SPAN_TOKEN},
                                        {"EncodingType", SPAN_ENCODING},
                                        {NULL, 0}};
/* By how often they come. */
static const named_span contents_names[] = {{"Key", SPAN_KEY},
                                            {"LastModified", SPAN_MODIFIED},
                                            {"ETag", SPAN_ETAG},
                                            {"Size", SPAN_SIZE},
                                            {NULL, 0}};
static const named_span prefixes_names[] = {{"Prefix", SPAN_PREFIX}, {NULL, 0}};

static const named_span *names_below(const pb_s3_parser *parser)
{
    if (parser->depth == 2)
        return parser->list ? list_names : document_names;
    if (parser->depth != 3)
        return NULL;
    switch (parser->group) {
    case GROUP_CONTENTS:
        return contents_names;
    case GROUP_PREFIXES:
        return prefixes_names;
    case GROUP_FAILED_KEY:
        return failed_key_names;
    case GROUP_UPLOAD:
        return upload_names;
    default:
        return NULL;
    }
}

static void start_root(pb_s3_parser *parser, const char *name)
{
    parser->spans[SPAN_ROOT] = (pb_s3_span){parser->found.text.size, strlen(name), true};
    pb_buffer_append_text(&parser->found.text, name);
    if (parser->list && strcmp(name, "ListBucketResult") != 0)
        refuse(parser, "not a ListBucketResult");
}

static void start_group(pb_s3_parser *parser, const char *name)
{
    pb_s3_span *spans = parser->spans;
    parser->group = GROUP_NONE;
    if (parser->list && strcmp(name, "Contents") == 0) {
        parser->group = GROUP_CONTENTS;
        spans[SPAN_KEY].seen = spans[SPAN_ETAG].seen = false;
        spans[SPAN_SIZE].seen = spans[SPAN_MODIFIED].seen = false;
    } else if (parser->list && strcmp(name, "CommonPrefixes") == 0) {
        parser->group = GROUP_PREFIXES;
        spans[SPAN_PREFIX].seen = false;
    } else if (!parser->list && strcmp(name, "Error") == 0) {
        parser->group = GROUP_FAILED_KEY;
        memset(&spans[SPAN_FAILED_KEY], 0, 3 * sizeof *spans);
    } else if (!parser->list && strcmp(name, "Upload") == 0) {
        parser->group = GROUP_UPLOAD; /* of several the first one counts */
    }
}

static void on_start(void *context, const xmlChar *xml_name, const xmlChar **attributes)
{
    pb_s3_parser *parser = context;
    const char *name = (const char *)xml_name;
    (void)attributes;
    parser->depth++;
    if (parser->capturing) {
        refuse(parser, "an element inside a text");
        return;
    }
    if (parser->depth == 1) {
        start_root(parser, name);
        return;
    }
    if (parser->depth == 2)
        start_group(parser, name);
    const named_span *names = names_below(parser);
    for (; names && names->name; names++) {
        if (strcmp(names->name, name) != 0)
            continue;
        pb_s3_span *found = &parser->spans[names->span];
        if (!found->seen) {
            *found = (pb_s3_span){parser->found.text.size, 0, true};
            parser->capturing = found;
        } else if (parser->list) {
            refuse(parser, "an element twice");
        }
        return;
    }
}

static void on_text(void *context, const xmlChar *text, int size)
{
    pb_s3_parser *parser = context;
    if (parser->capturing && size > 0) {
        pb_buffer_append(&parser->found.text, text, (size_t)size);
        parser->capturing->size += (size_t)size;
    }
}

static void end_contents(pb_s3_parser *parser)
{
    const pb_s3_span *spans = parser->spans;
    pb_s3_found_entry *entry = pb_s3_found_list_add(&parser->found);
    *entry = (pb_s3_found_entry){.key = spans[SPAN_KEY]};
    if (spans[SPAN_ETAG].seen)
        entry->etag = spans[SPAN_ETAG];
    if (!spans[SPAN_KEY].seen || !spans[SPAN_KEY].size)
        refuse(parser, "an entry without Key");
    else if (!spans[SPAN_SIZE].seen ||
             !pb_parse_unsigned(text_of(parser, &spans[SPAN_SIZE]), &entry->size))
        refuse(parser, "an entry without a Size that is a number");
    else if (!spans[SPAN_MODIFIED].seen ||
             !pb_time_parse_rfc3339(text_of(parser, &spans[SPAN_MODIFIED]), &entry->mtime_ms))
        refuse(parser, "an entry without a LastModified that is a time");
}

/* Keeps the first failure and counts them all. */
static void end_failed_key(pb_s3_parser *parser)
{
    pb_s3_span *spans = parser->spans;
    if (pb_slice_equal(text_of(parser, &spans[SPAN_FAILED_CODE]), PB_SLICE_LITERAL("NoSuchKey")))
        return;
    if (parser->failed_keys++)
        return;
    spans[SPAN_KEY] = spans[SPAN_FAILED_KEY];
    spans[SPAN_CODE] = spans[SPAN_FAILED_CODE];
    spans[SPAN_MESSAGE] = spans[SPAN_FAILED_MESSAGE];
}

static void end_prefixes(pb_s3_parser *parser)
{
    if (!parser->spans[SPAN_PREFIX].seen) {
        refuse(parser, "CommonPrefixes without Prefix");
        return;
    }
    *pb_s3_found_list_add_prefix(&parser->found) = parser->spans[SPAN_PREFIX];
}

static void on_end(void *context, const xmlChar *name)
{
    pb_s3_parser *parser = context;
    (void)name;
    parser->capturing = NULL;
    if (parser->depth == 2) {
        if (parser->group == GROUP_CONTENTS)
            end_contents(parser);
        else if (parser->group == GROUP_PREFIXES)
            end_prefixes(parser);
        else if (parser->group == GROUP_FAILED_KEY)
            end_failed_key(parser);
        parser->group = GROUP_NONE;
    }
    parser->depth--;
}

static void on_doctype(void *context, const xmlChar *name, const xmlChar *external_id,
                       const xmlChar *system_id)
{
    (void)name;
    (void)external_id;
    (void)system_id;
    refuse(context, "a document type declaration");
}

/* Predefined entities (&amp;) never come here; there are no others. */
static xmlEntityPtr on_entity(void *context, const xmlChar *name)
{
    (void)context;
    (void)name;
    return NULL;
}

/* ---- running it ---- */

pb_s3_parser *pb_s3_parser_new(void)
{
    pb_s3_parser *parser = pb_allocate_zeroed(1, sizeof *parser);
    xmlInitParser();
    /* The plain SAX callbacks: no namespace is looked at, which is half of the time. */
    parser->sax = (xmlSAXHandler){
        .internalSubset = on_doctype,
        .getEntity = on_entity,
        .startElement = on_start,
        .endElement = on_end,
        .characters = on_text,
        .ignorableWhitespace = on_text,
        .initialized = 1,
    };
    return parser;
}

static void free_context(pb_s3_parser *parser)
{
    if (parser->context)
        xmlFreeParserCtxt(parser->context);
    parser->context = NULL;
}

void pb_s3_parser_free(pb_s3_parser *parser)
{
    if (!parser)
        return;
    free_context(parser);
    pb_s3_found_list_free(&parser->found);
    free(parser);
}

/* Stores that take long over an answer send blanks to keep the connection; not all of them remember
 * that nothing may stand before the XML declaration. */
static pb_slice without_leading_blanks(pb_slice body)
{
    while (body.size && strchr(" \t\r\n", body.data[0]) && body.data[0])
        body = pb_slice_from(body, 1);
    return body;
}

static int parse(pb_s3_parser *parser, pb_slice body, bool list, pb_error *error)
{
    body = without_leading_blanks(body);
    if (!body.size)
        return pb_error_set(error, PB_ERROR_SERVER, "an empty answer where XML was expected");
    if (body.size > PB_S3_BODY_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_FAILED, "an answer of more than %d bytes",
                            (int)PB_S3_BODY_BYTES_MAX);
    /* libxml2 would take a NUL after the root for the end. */
    if (memchr(body.data, '\0', body.size))
        return pb_error_set(error, PB_ERROR_SERVER, "an answer that is not XML (it holds a NUL)");
    if (!parser->context) {
        parser->context = xmlNewParserCtxt();
        if (!parser->context)
            abort();
        *parser->context->sax = parser->sax;
        parser->context->userData = parser;
    }
    parser->problem = NULL;
    parser->list = list;
    parser->depth = 0;
    parser->group = GROUP_NONE;
    parser->capturing = NULL;
    parser->failed_keys = 0;
    memset(parser->spans, 0, sizeof parser->spans);
    pb_s3_found_list_clear(&parser->found);

    xmlDocPtr document =
        xmlCtxtReadMemory(parser->context, body.data, (int)body.size, NULL, NULL, PARSE_OPTIONS);
    bool well_formed = parser->context->wellFormed;
    int line = parser->context->lastError.line;
    if (document)
        xmlFreeDoc(document);
    if (xmlDictGetUsage(parser->context->dict) > DICTIONARY_BYTES_MAX)
        free_context(parser);
    if (parser->problem)
        return pb_error_set(error, PB_ERROR_FAILED, "an answer that breaks the protocol: %s",
                            parser->problem);
    if (!well_formed)
        return pb_error_set(error, PB_ERROR_SERVER,
                            "an answer that is not XML or breaks off (line %d)", line);
    parser->found.truncated = parser->spans[SPAN_TRUNCATED];
    parser->found.token = parser->spans[SPAN_TOKEN];
    parser->found.encoding = parser->spans[SPAN_ENCODING];
    return 0;
}

int pb_s3_parse_document(pb_s3_parser *parser, pb_slice body, pb_s3_document *ret_document,
                         pb_error *error)
{
    if (parse(parser, body, false, error))
        return -1;
    const pb_s3_span *spans = parser->spans;
    *ret_document = (pb_s3_document){
        .root = text_of(parser, &spans[SPAN_ROOT]),
        .code = text_of(parser, &spans[SPAN_CODE]),
        .message = text_of(parser, &spans[SPAN_MESSAGE]),
        .key = text_of(parser, &spans[SPAN_KEY]),
        .request_id = text_of(parser, &spans[SPAN_REQUEST_ID]),
        .region = text_of(parser, &spans[SPAN_REGION]),
        .endpoint = text_of(parser, &spans[SPAN_ENDPOINT]),
        .etag = text_of(parser, &spans[SPAN_ETAG]),
        .upload_id = text_of(parser, &spans[SPAN_UPLOAD_ID]),
        .failed_keys = parser->failed_keys,
    };
    return 0;
}

bool pb_s3_etag_read(pb_slice text, pb_slice *ret_etag)
{
    *ret_etag = (pb_slice){NULL, 0};
    if (pb_slice_starts_with(text, PB_SLICE_LITERAL("W/")))
        return true;
    if (text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"')
        text = (pb_slice){text.data + 1, text.size - 2};
    if (text.size >= PB_ETAG_TEXT_MAX)
        return false;
    uint64_t refused = 0;
    for (size_t at = 0; at < text.size;) {
        uint64_t word = pb_word_next(text.data, text.size, &at, '0');
        refused |= pb_word_mark_below(word, ' ' + 1) | pb_word_mark_equal(word, '"') |
                   pb_word_mark_equal(word, 0x7f) | (word & PB_WORD_MARKS);
    }
    if (refused)
        return false;
    if (text.size)
        *ret_etag = text;
    return true;
}

/* ---- a list: from what was found to a page ---- */

/* Where the page's texts go: one block, large enough for all of them. */
typedef struct page_texts {
    char *next;
    bool url_encoded;
} page_texts;

/* Copies `raw` decoded. False on a broken escape. */
static bool copy_decoded(page_texts *texts, pb_slice raw, pb_slice *ret_text)
{
    char *out = texts->next;
    if (!raw.size) {
        *ret_text = (pb_slice){out, 0};
        return true;
    }
    if (!texts->url_encoded ||
        (!memchr(raw.data, '%', raw.size) && !memchr(raw.data, '+', raw.size))) {
        memcpy(out, raw.data, raw.size);
        texts->next += raw.size;
        *ret_text = (pb_slice){out, raw.size};
        return true;
    }
    for (size_t i = 0; i < raw.size; i++) {
        char c = raw.data[i];
        if (c == '%') {
            if (raw.size - i < 3 || !pb_hex_decode((pb_slice){raw.data + i + 1, 2}, &c, 1))
                return false;
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        *texts->next++ = c;
    }
    *ret_text = (pb_slice){out, (size_t)(texts->next - out)};
    return true;
}

/* Decodes a key or prefix, holds it to what was asked and takes the store's prefix off. Returns
 * what is wrong, or NULL. */
static const char *read_name(page_texts *texts, pb_slice raw, const pb_s3_list_asked *asked,
                             pb_slice *ret_name)
{
    pb_slice name;
    if (!copy_decoded(texts, raw, &name))
        return "a key with a broken % escape";
    if (name.size > PB_S3_KEY_BYTES_MAX)
        return "a key of more than 1,024 bytes";
    if (!pb_utf8_valid(name))
        return "a key that is not UTF-8";
    if (!pb_slice_starts_with(name, asked->store_prefix))
        return "a key outside the prefix that was asked for";
    name = pb_slice_from(name, asked->store_prefix.size);
    if (!pb_slice_starts_with(name, asked->prefix))
        return "a key outside the prefix that was asked for";
    *ret_name = name;
    return NULL;
}

static const char *fill_entries(const pb_s3_parser *parser, const pb_s3_list_asked *asked,
                                page_texts *texts, pb_page *page)
{
    for (size_t i = 0; i < parser->found.entry_count; i++) {
        const pb_s3_found_entry *raw = &parser->found.entries[i];
        pb_entry *entry = &page->entries[page->count];
        *entry = (pb_entry){.size = raw->size, .mtime_ms = raw->mtime_ms};
        const char *problem = read_name(texts, text_of(parser, &raw->key), asked, &entry->key);
        if (problem)
            return problem;
        if (!entry->key.size) {
            page->has_own |= raw->size > 0;
            continue;
        }
        pb_slice etag;
        if (!pb_s3_etag_read(text_of(parser, &raw->etag), &etag))
            return "an ETag that is too long or not text";
        if (etag.size) {
            entry->etag = (pb_slice){texts->next, etag.size};
            memcpy(texts->next, etag.data, etag.size);
            texts->next += etag.size;
        }
        page->count++;
    }
    return NULL;
}

static const char *fill_prefixes(const pb_s3_parser *parser, const pb_s3_list_asked *asked,
                                 page_texts *texts, pb_page *page)
{
    for (size_t i = 0; i < parser->found.prefix_count; i++) {
        pb_slice prefix;
        const char *problem =
            read_name(texts, text_of(parser, &parser->found.prefixes[i]), asked, &prefix);
        if (problem)
            return problem;
        pb_page_add_prefix(page, prefix);
    }
    return NULL;
}

static const char *fill_page(const pb_s3_parser *parser, const pb_s3_list_asked *asked,
                             pb_page *page)
{
    const pb_s3_found_list *found = &parser->found;
    pb_slice truncated = text_of(parser, &found->truncated);
    pb_slice encoding = text_of(parser, &found->encoding);
    pb_slice token = text_of(parser, &found->token);
    page->more = pb_slice_equal(truncated, PB_SLICE_LITERAL("true"));
    if (!page->more && !pb_slice_equal(truncated, PB_SLICE_LITERAL("false")))
        return "IsTruncated is neither true nor false";
    page_texts texts = {.url_encoded = pb_slice_equal(encoding, PB_SLICE_LITERAL("url"))};
    if (encoding.size && !texts.url_encoded)
        return "an EncodingType that is not url";
    if (parser->repaired && !texts.url_encoded)
        return "characters that XML has not, in keys that are not encoded";

    size_t bytes = 0;
    for (size_t i = 0; i < found->entry_count; i++)
        bytes += found->entries[i].key.size + found->entries[i].etag.size;
    for (size_t i = 0; i < found->prefix_count; i++)
        bytes += found->prefixes[i].size;
    texts.next = pb_arena_allocate(&page->arena, bytes ? bytes : 1);
    page->capacity = found->entry_count;
    if (page->capacity)
        page->entries = pb_allocate(page->capacity * sizeof *page->entries);
    const char *problem = fill_entries(parser, asked, &texts, page);
    if (!problem)
        problem = fill_prefixes(parser, asked, &texts, page);
    if (problem)
        return problem;
    /* What had to be repaired is no token any more: the last key continues the listing. */
    if (page->more && token.size && !parser->repaired)
        page->token = pb_arena_copy(&page->arena, token);
    if (page->more && !page->token.size && !page->count)
        return "there is more, but nothing to go on from";
    return NULL;
}

static bool is_xml_character(unsigned long code)
{
    return code >= 0x20 ? code != 0xFFFE && code != 0xFFFF
                        : code == '\t' || code == '\n' || code == '\r';
}

/* Length of what stands at the front that XML has not: a control character, U+FFFE or U+FFFF, as it
 * is or as a reference ("&#x01;"). 0 where something else does, NUL too, which no key can hold. */
static size_t no_character_length(pb_slice text)
{
    const unsigned char *c = (const unsigned char *)text.data;
    if (*c < 0x20)
        return !is_xml_character(*c);
    if (text.size >= 3 && c[0] == 0xEF && c[1] == 0xBF && c[2] >= 0xBE)
        return 3;
    if (text.size < 4 || memcmp(text.data, "&#", 2) != 0)
        return 0;
    char number[12] = "";
    const char *end = memchr(text.data, ';', text.size < 12 ? text.size : 12);
    if (!end)
        return 0;
    memcpy(number, text.data + 2, (size_t)(end - text.data) - 2);
    char *stop;
    unsigned long code =
        number[0] == 'x' ? strtoul(number + 1, &stop, 16) : strtoul(number, &stop, 10);
    return *stop || !code || is_xml_character(code) ? 0 : (size_t)(end - text.data) + 1;
}

/* Ceph RGW encodes keys but not the key that it echoes as StartAfter and gives as token: characters
 * which XML has not may stand there. Writes '?' over them; false where there are none. */
static bool repair(pb_slice body, pb_buffer *ret_repaired)
{
    bool any = false;
    pb_buffer_append_slice(ret_repaired, body);
    for (size_t i = 0; i < body.size; i++) {
        size_t length = no_character_length(pb_slice_from(body, i));
        if (length) {
            memset(ret_repaired->data + i, '?', length);
            i += length - 1;
            any = true;
        }
    }
    return any;
}

static int parse_repaired(pb_s3_parser *parser, pb_slice body, pb_error *error)
{
    pb_buffer text = {0};
    parser->repaired = repair(body, &text);
    int failed = parser->repaired ? parse(parser, pb_buffer_slice(&text), true, error) : -1;
    pb_buffer_free(&text);
    return failed;
}

void pb_s3_parser_use_only_libxml(pb_s3_parser *parser, bool only)
{
    parser->only_libxml = only;
}

/* False where it is for libxml2. */
static bool read_usual_list(pb_s3_parser *parser, pb_slice body)
{
    return !parser->only_libxml && body.size <= PB_S3_BODY_BYTES_MAX &&
           pb_s3_list_read(without_leading_blanks(body), &parser->found);
}

bool pb_s3_root_is(pb_slice root, const char *result)
{
    pb_slice stem = pb_slice_of(result);
    if (!pb_slice_starts_with(root, stem))
        return false;
    pb_slice form = pb_slice_from(root, stem.size);
    return pb_slice_is(form, "Result") || pb_slice_is(form, "Response");
}

/* Gives the page out, or frees it where there is a problem. */
static int give_page(pb_page *page, const char *problem, pb_page **ret_page, pb_error *error)
{
    if (problem) {
        pb_page_release(page);
        return pb_error_set(error, PB_ERROR_FAILED, "an answer that breaks the protocol: %s",
                            problem);
    }
    *ret_page = page;
    return 0;
}

int pb_s3_parse_list(pb_s3_parser *parser, pb_slice body, const pb_s3_list_asked *asked,
                     pb_page **ret_page, pb_error *error)
{
    pb_error wrong = {0};
    parser->repaired = false;
    if (!read_usual_list(parser, body) && parse(parser, body, true, &wrong) &&
        (wrong.kind != PB_ERROR_SERVER || parse_repaired(parser, body, &wrong))) {
        if (error)
            *error = wrong;
        return -1;
    }
    pb_page *page = pb_page_new();
    return give_page(page, fill_page(parser, asked, page), ret_page, error);
}

int pb_s3_parse_upload(pb_s3_parser *parser, pb_slice body, const pb_s3_list_asked *asked,
                       pb_page **ret_page, pb_error *error)
{
    if (parse(parser, body, false, error))
        return -1;
    const pb_s3_span *spans = parser->spans;
    pb_slice key = text_of(parser, &spans[SPAN_KEY]), id = text_of(parser, &spans[SPAN_UPLOAD_ID]);
    pb_slice encoding = text_of(parser, &spans[SPAN_ENCODING]);
    page_texts texts = {.url_encoded = pb_slice_equal(encoding, PB_SLICE_LITERAL("url"))};
    const char *problem = NULL;
    pb_page *page = pb_page_new();
    if (!pb_s3_root_is(text_of(parser, &spans[SPAN_ROOT]), "ListMultipartUploads")) {
        problem = "an answer to something else";
    } else if (key.size && id.size) {
        texts.next = pb_arena_allocate(&page->arena, key.size);
        pb_entry *entry = pb_page_add(page);
        problem = read_name(&texts, key, asked, &entry->key);
        entry->version = pb_arena_copy(&page->arena, id);
    }
    return give_page(page, problem, ret_page, error);
}
