#include "copier/store/s3/s3_call.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/failure.h"
#include "copier/store/etag.h"
#include "copier/store/s3/errors.h"
#include <stdio.h>
#include <stdlib.h>

enum { KEPT_BYTES = 64 * 1024 }; /* of a request's body, from one to the next */

static s3_store *store_of(const pb_call *call)
{
    return call->caller->store->state;
}

static const char *method(const pb_call *call)
{
    return pb_s3_method(call->asked);
}

static void asked_anew(pb_call *call)
{
    pb_s3_request_restart(&((s3_call *)call)->built);
}

/* ---- an attempt goes out ---- */

/* Of a copy both ends count: S3 reads the source in the requester's name. */
static bool pays(const pb_call *call)
{
    const pb_store *source = call->asked->source;
    return call->caller->store->config->location.requester_pays ||
           (source && source->config->location.requester_pays);
}

static int prepare(pb_call *call, pb_http_attempt *attempt, pb_error *error)
{
    s3_call *self = (s3_call *)call;
    s3_store *s3 = store_of(call);
    const pb_store_request *asked = call->asked;
    pb_s3_answer_restart(&self->answer);
    self->endpoint = self->redirected ? &self->redirects[self->moves - 1] : s3_endpoint_of(s3);

    pb_s3_login_renew(&s3->login);
    self->login_number = s3->login.number;
    pb_s3_request_frame frame = {
        .endpoint = self->endpoint,
        .signer = s3->login.signer,
        .session_token = pb_slice_of(s3->login.value.session_token),
        .unsigned_payload = call->caller->store->config->options.unsigned_payload,
        .requester_pays = pays(call),
        .content_md5 = atomic_load_explicit(&call->caller->store->config->wants_content_md5,
                                            memory_order_relaxed),
        .no_gzip = self->no_gzip,
        .now_ms = pb_clock_utc_ms(),
    };
    if (asked->source) {
        const s3_store *source = asked->source->state;
        frame.source_path = pb_slice_of(s3_endpoint_of(source)->full_path);
    }
    attempt->ca_bundle = s3->settings->ca_bundle;
    return pb_s3_request_build(&self->built, asked, &frame, attempt, error);
}

/* ---- the answer comes in ---- */

static void received_header(pb_call *call, pb_slice name, pb_slice value)
{
    pb_buffer *object_headers = call->asked->object_headers_read;
    if (!pb_s3_answer_header(&((s3_call *)call)->answer, name, value) && object_headers &&
        pb_s3_is_object_header(name))
        pb_answer_keep_object_header(&call->answer, name, value, object_headers);
}

/* How many bytes a GET is meant to bring; 0 where that is not known. */
static uint64_t bytes_meant(const pb_call *call)
{
    return call->asked->length ? call->asked->length : call->asked->size_hint;
}

/* A server on the way, or the store itself, may compress what it sends to those who take gzip: then
 * its length is not the stored one, and is not announced. */
static bool may_be_compressed(const s3_call *self)
{
    return self->answer.gzip && !self->call.answer.has_length && !self->no_gzip;
}

static int begin_object(pb_call *call, pb_error *error)
{
    (void)error;
    if (may_be_compressed((s3_call *)call) && bytes_meant(call))
        call->bytes_given_max = bytes_meant(call); /* judged at its end: see judge_get */
    return 0;
}

static pb_slice etag_received(const pb_call *call)
{
    const s3_call *self = (const s3_call *)call;
    bool is_known = !self->answer.etag_refused && !may_be_compressed(self);
    return pb_slice_of(is_known ? self->answer.etag : "");
}

/* ---- what it means ---- */

static pb_error_class fill_error(s3_call *self, const pb_s3_document *document)
{
    pb_buffer what = {0};
    pb_call_describe(&self->call, &what);
    pb_error_answer failure = {
        .what = what.data,
        .status = self->call.http.status,
        .code = document->code,
        .message = document->message,
        .request_id = document->request_id,
        .store_now_ms = self->call.answer.date_ms,
        .our_now_ms = pb_clock_utc_ms(),
    };
    if (!failure.request_id.size)
        failure.request_id = pb_slice_of(self->answer.request_id);
    if (pb_s3_login_is_in(&store_of(&self->call)->login, failure.message))
        failure.message = PB_SLICE_LITERAL("(not shown: it holds a secret)");
    pb_error_class class = pb_s3_classify(self->call.http.status, document->code);
    if (self->call.caller->store->config->location.anonymous)
        pb_s3_suggest_login(self->call.http.status, &class);
    else if (!pays(&self->call))
        pb_s3_suggest_paying(&class);
    bool has_crc32c = self->call.asked->body_crc32c || self->call.asked->parts_have_crc32c ||
                      self->call.asked->part_crc32cs;
    if (has_crc32c && class.kind == PB_ERROR_FAILED && !class.hint[0])
        class.hint = "the store may not take CRC32C checksums: use --checksum sha256";
    pb_error_answer_fill(&self->call.http.error, &failure, class);
    pb_buffer_free(&what);
    self->call.described = true;
    return class;
}

void s3_endpoint_changed(s3_store *s3)
{
    s3->caller.paced = pb_http_endpoint_at(s3->caller.store->http, s3_endpoint_of(s3)->base_url);
}

bool s3_adopt_region(s3_store *s3, const char *region)
{
    if (s3->endpoint_count > S3_ADOPTIONS_MAX)
        return false;
    pb_s3_endpoint_make(&s3->caller.store->config->location, region,
                        &s3->endpoints[s3->endpoint_count]);
    s3->endpoint_count++;
    s3_endpoint_changed(s3);
    return true;
}

static pb_slice region_named(const s3_call *self, const pb_s3_document *document)
{
    pb_slice region = pb_slice_of(self->answer.region);
    if (!region.size)
        region = document->region;
    if (!region.size)
        region = pb_s3_region_of_host(document->endpoint);
    return pb_s3_region_valid(region) ? region : (pb_slice){NULL, 0};
}

/* The bucket is in `region`, which is not the one this attempt was signed for. */
static pb_http_verdict move_to_region(s3_call *self, pb_slice region)
{
    s3_store *s3 = store_of(&self->call);
    const pb_location *location = &s3->caller.store->config->location;
    char name[65];
    memcpy(name, region.data, region.size);
    name[region.size] = '\0';
    if (location->region) {
        pb_error_set(&self->call.http.error, PB_ERROR_USAGE, "bucket %s is in %s, not %s",
                     location->bucket, name, self->endpoint->region);
        pb_error_hint(&self->call.http.error, "region=%s", name);
        return PB_HTTP_DONE;
    }
    if (self->moves == S3_MOVES_MAX)
        return PB_HTTP_DONE;
    /* Of many requests in flight the first to learn it changes the store; the others follow. */
    if (strcmp(s3_endpoint_of(s3)->region, name) != 0 && !s3_adopt_region(s3, name))
        return PB_HTTP_DONE;
    self->moves++;
    self->redirected = false;
    return PB_HTTP_AGAIN;
}

static pb_http_verdict move_to_endpoint(s3_call *self, const pb_s3_document *document)
{
    const pb_location *location = &self->call.caller->store->config->location;
    pb_slice to = pb_slice_of(self->answer.location);
    if (!to.size)
        to = document->endpoint;
    if (self->call.http.status != 307 || self->moves == S3_MOVES_MAX ||
        !pb_s3_endpoint_redirect(self->endpoint, location, to, &self->redirects[self->moves]))
        return PB_HTTP_DONE;
    self->moves++;
    self->redirected = true;
    return PB_HTTP_AGAIN;
}

static pb_http_verdict judge_failure(s3_call *self, const pb_s3_document *document)
{
    int status = self->call.http.status;
    pb_error_class class = fill_error(self, document);
    bool puts = self->call.asked->operation == PB_STORE_PUT ||
                self->call.asked->operation == PB_STORE_MULTIPART_PUT;
    s3_store *s3 = store_of(&self->call);
    if (puts && !self->built.md5_made &&
        pb_s3_wants_md5(status, document->code, document->message)) {
        atomic_store_explicit(&s3->caller.store->config->wants_content_md5, true,
                              memory_order_relaxed);
        return PB_HTTP_AGAIN;
    }
    if (pb_s3_login_has_ended(&s3->login, self->login_number, status, document->code,
                              pb_clock_utc_ms()))
        return PB_HTTP_RETRY;
    if (pb_s3_says_elsewhere(status, document->code)) {
        pb_slice region = region_named(self, document);
        if (region.size && !pb_slice_equal(region, pb_slice_of(self->endpoint->region)))
            return move_to_region(self, region);
        return move_to_endpoint(self, document);
    }
    return pb_failure_passes(class.kind) ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

static pb_http_verdict judge_check(s3_call *self)
{
    s3_store *s3 = store_of(&self->call);
    pb_store_config *config = s3->caller.store->config;
    const char *region = self->answer.region;
    self->call.results->store_now_ms = self->call.answer.date_ms;
    if (!config->location.region && pb_s3_region_valid(pb_slice_of(region)) &&
        strcmp(region, s3_endpoint_of(s3)->region) != 0)
        s3_adopt_region(s3, region);
    /* Stores opened from now on begin with what was learned. */
    free(s3->settings->region);
    s3->settings->region = pb_duplicate(pb_slice_of(s3_endpoint_of(s3)->region));
    return PB_HTTP_DONE;
}

/* Fills the ETag and what else the headers say of the object. */
static pb_http_verdict judge_object(s3_call *self)
{
    const pb_s3_answer *answer = &self->answer;
    const pb_answer *common = &self->call.answer;
    pb_store_request *results = self->call.results;
    if (answer->etag_refused)
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED,
                                       "an ETag that is too long or not text");
    if (common->object_headers_refused)
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED,
                                       "object headers of more than 16 KiB");
    memcpy(results->etag, answer->etag, sizeof results->etag);
    results->etag_opaque = answer->etag_opaque;
    results->mtime_ms = common->mtime_ms;
    results->store_now_ms = common->date_ms;
    if (answer->has_tags && self->call.asked->object_headers_read) /* on its way elsewhere */
        atomic_store_explicit(&self->call.caller->store->config->has_tags, true,
                              memory_order_relaxed);
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_get(s3_call *self)
{
    uint64_t meant = bytes_meant(&self->call);
    if (may_be_compressed(self) && meant && self->call.bytes_received != meant) {
        self->no_gzip = true;
        return PB_HTTP_AGAIN;
    }
    return judge_object(self);
}

static pb_http_verdict judge_head(s3_call *self)
{
    if (may_be_compressed(self)) {
        self->no_gzip = true;
        return PB_HTTP_AGAIN;
    }
    if (!self->call.answer.has_length)
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "no Content-Length");
    self->call.results->size = self->call.answer.length;
    /* https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html: a part's answer is 206
     * with its range. Others take no notice of the question. */
    if (self->call.asked->part_number && self->call.http.status == 206) {
        if (!self->call.answer.has_range)
            return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED,
                                           "a part without its range");
        self->call.results->size = self->call.answer.range_total;
        self->call.results->part_bytes =
            self->call.answer.range_last - self->call.answer.range_first + 1;
    }
    return judge_object(self);
}

/* A signature covers the body's SHA-256, so that the store compares them before it takes it
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html). A CRC32C that it
 * does not know it ignores: what it has compared it names in the answer
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html). */
static void take_checks(s3_call *self)
{
    const pb_store_request *asked = self->call.asked;
    pb_store_request *results = self->call.results;
    results->body_checked = asked->body_sha256 && store_of(&self->call)->login.signer;
    results->has_crc32c = self->answer.has_crc32c && asked->body_crc32c;
    memcpy(results->crc32c, self->answer.crc32c, sizeof results->crc32c);
}

/* A store that names ETags, and now does not, has not answered: something before it has. */
static pb_http_verdict judge_put(s3_call *self)
{
    pb_http_verdict verdict = judge_object(self);
    take_checks(self);
    pb_store_etags etags =
        atomic_load_explicit(&self->call.caller->store->config->etags, memory_order_relaxed);
    bool names_them = etags == PB_ETAGS_MD5 || etags == PB_ETAGS_OPAQUE;
    if (names_them && self->call.http.error.kind == PB_ERROR_NONE && !self->call.results->etag[0])
        return pb_call_breaks_protocol(&self->call, PB_ERROR_SERVER,
                                       "the answer names no ETag, though the store does");
    return verdict;
}

static pb_http_verdict judge_part(s3_call *self)
{
    pb_http_verdict verdict = judge_object(self);
    take_checks(self);
    if (self->call.http.error.kind == PB_ERROR_NONE && !self->call.results->etag[0])
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "a part without an ETag");
    return verdict;
}

static pb_s3_list_asked list_asked(const s3_call *self)
{
    return (pb_s3_list_asked){
        .store_prefix = self->endpoint->prefix,
        .prefix = self->call.asked->list.prefix,
    };
}

static pb_http_verdict judge_list(s3_call *self)
{
    pb_s3_list_asked list = list_asked(self);
    pb_slice body = pb_buffer_slice(&self->call.answer.body);
    pb_s3_document document;
    if (!pb_s3_parse_list(store_of(&self->call)->parser, body, &list, &self->call.results->page,
                          &self->call.http.error))
        return pb_call_has_read(&self->call);
    if (self->call.http.error.kind == PB_ERROR_SERVER)
        return pb_call_cannot_read(&self->call);
    if (!pb_s3_parse_document(store_of(&self->call)->parser, body, &document, NULL) &&
        pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        return judge_failure(self, &document);
    return pb_call_cannot_read(&self->call);
}

static pb_http_verdict judge_find(s3_call *self)
{
    pb_s3_list_asked list = list_asked(self);
    if (pb_s3_parse_upload(store_of(&self->call)->parser, pb_buffer_slice(&self->call.answer.body),
                           &list, &self->call.results->page, &self->call.http.error))
        return pb_call_cannot_read(&self->call);
    return PB_HTTP_DONE;
}

/* Some keys of many were not deleted. */
static pb_http_verdict judge_failed_keys(s3_call *self, const pb_s3_document *document)
{
    pb_error_class class = fill_error(self, document);
    pb_error_context(&self->call.http.error, "%zu of %zu keys not deleted, the first of them %.*s",
                     document->failed_keys, self->call.asked->key_count,
                     PB_SLICE_FORMAT(document->key));
    return pb_failure_passes(class.kind) ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

/* Answers whose body says how it went, whatever the status. */
static pb_http_verdict judge_document(s3_call *self, const char *result)
{
    pb_s3_document document;
    pb_slice etag;
    if (pb_s3_parse_document(store_of(&self->call)->parser,
                             pb_buffer_slice(&self->call.answer.body), &document,
                             &self->call.http.error))
        return pb_call_cannot_read(&self->call);
    if (pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        return judge_failure(self, &document);
    if (!pb_s3_root_is(document.root, result))
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "an answer to something else");
    if (document.failed_keys)
        return judge_failed_keys(self, &document);
    if (!pb_s3_etag_read(document.etag, &etag))
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED,
                                       "an ETag that is too long or not text");
    char *results_etag = self->call.results->etag;
    if (etag.size)
        memcpy(results_etag, etag.data, etag.size);
    results_etag[etag.size] = '\0';
    self->call.results->etag_opaque = self->answer.etag_opaque;
    if (self->call.asked->operation == PB_STORE_MULTIPART_COPY && !etag.size)
        return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "a part without an ETag");
    if (self->call.asked->operation == PB_STORE_MULTIPART_CREATE) {
        if (!document.upload_id.size)
            return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "no UploadId");
        pb_buffer_clear(&self->upload_id);
        pb_buffer_append_slice(&self->upload_id, document.upload_id);
        self->call.results->upload_id_new = pb_buffer_slice(&self->upload_id);
    }
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_success(s3_call *self)
{
    switch (self->call.asked->operation) {
    case PB_STORE_CHECK:
        return judge_check(self);
    case PB_STORE_LIST:
        return judge_list(self);
    case PB_STORE_HEAD:
        return judge_head(self);
    case PB_STORE_GET:
        return judge_get(self);
    case PB_STORE_PUT:
        return judge_put(self);
    case PB_STORE_COPY:
        return judge_document(self, "CopyObject");
    case PB_STORE_DELETE:
        return self->call.asked->key_count == 1 ? PB_HTTP_DONE : judge_document(self, "Delete");
    case PB_STORE_MULTIPART_CREATE:
        return judge_document(self, "InitiateMultipartUpload");
    case PB_STORE_MULTIPART_PUT:
        return judge_part(self);
    case PB_STORE_MULTIPART_COPY:
        return judge_document(self, "CopyPart");
    case PB_STORE_MULTIPART_COMPLETE:
        return judge_document(self, "CompleteMultipartUpload");
    case PB_STORE_MULTIPART_ABORT:
        return PB_HTTP_DONE;
    case PB_STORE_MULTIPART_FIND:
        return judge_find(self);
    }
    return pb_call_breaks_protocol(&self->call, PB_ERROR_FAILED, "an unknown operation");
}

/* True for answers of failure that mean success. */
static bool is_good_enough(s3_call *self, const pb_s3_document *document)
{
    const pb_store_request *asked = self->call.asked;
    switch (self->call.http.status) {
    case 416: /* no range fits an empty object */
        return asked->operation == PB_STORE_GET && asked->offset == 0 && asked->length > 0;
    case 404:
        if (asked->operation == PB_STORE_MULTIPART_ABORT)
            return pb_slice_equal(document->code, PB_SLICE_LITERAL("NoSuchUpload"));
        return asked->operation == PB_STORE_DELETE && asked->key_count == 1 &&
               pb_slice_equal(document->code, PB_SLICE_LITERAL("NoSuchKey"));
    default:
        return false;
    }
}

static pb_http_verdict judge(pb_call *call)
{
    int status = call->http.status;
    if (status >= 200 && status <= 299)
        return judge_success((s3_call *)call);
    pb_s3_document document = {0};
    bool explained = call->answer.body.size &&
                     !pb_s3_parse_document(store_of(call)->parser,
                                           pb_buffer_slice(&call->answer.body), &document, NULL);
    if (!explained || !pb_slice_equal(document.root, PB_SLICE_LITERAL("Error")))
        document = (pb_s3_document){0};
    if (is_good_enough((s3_call *)call, &document))
        return PB_HTTP_DONE;
    return judge_failure((s3_call *)call, &document);
}

/* ---- steps ---- */

/* The ETag that a store makes of parts whose ETags are MD5s: the MD5 of those, and their number. */
static bool multipart_etag(const pb_store_request *request, char ret_etag[PB_ETAG_TEXT_MAX])
{
    pb_hash *hash = pb_hash_new(PB_HASH_MD5);
    uint8_t digest[PB_MD5_BYTES];
    bool fits = request->part_count > 0;
    for (unsigned i = 0; i < request->part_count && fits; i++) {
        fits = pb_hex_decode(pb_slice_of(request->part_etags[i]), digest, sizeof digest);
        pb_hash_update(hash, digest, sizeof digest);
    }
    pb_hash_finish(hash, digest);
    pb_hash_free(hash);
    pb_hex_encode(digest, sizeof digest, ret_etag);
    snprintf(ret_etag + 2 * PB_MD5_BYTES, PB_ETAG_TEXT_MAX - 2 * PB_MD5_BYTES, "-%u",
             request->part_count);
    return fits;
}

static bool is_completed(const pb_call *call)
{
    char etag[PB_ETAG_TEXT_MAX];
    return multipart_etag(call->request, etag) && strcmp(etag, call->extra.etag) == 0;
}

/* The first PUT that is answered shows whether ETags are MD5s; one that is encrypted with KMS or
 * the customer's key shows nothing, as its answer says so itself. True where it takes a look at
 * what was written: a plain ETag of another MD5 may be that of other bytes as well. */
static bool begin_read_back(pb_call *call)
{
    const pb_store_request *request = call->request;
    _Atomic pb_store_etags *etags = &call->caller->store->config->etags;
    if (request->operation != PB_STORE_PUT || call->http.error.kind || request->etag_opaque ||
        atomic_load_explicit(etags, memory_order_relaxed) != PB_ETAGS_UNKNOWN)
        return false;
    switch (pb_etag_of_bytes(pb_slice_of(request->etag), request->body)) {
    case 1:
        atomic_store(etags, PB_ETAGS_MD5);
        return false;
    case 0:
        pb_call_begin_compare(call, S3_STEP_READ_BACK);
        return true;
    default: /* its form alone tells */
        atomic_store(etags, request->etag[0] ? PB_ETAGS_OPAQUE : PB_ETAGS_UNKEPT);
        return false;
    }
}

/* The PUT has succeeded, whatever the look says. Where other bytes are there, the ETag was right to
 * differ; where it is not allowed, the ETag counts. */
static void after_read_back(pb_call *call)
{
    pb_error *error = &call->http.error;
    _Atomic pb_store_etags *etags = &call->caller->store->config->etags;
    pb_store_etags found = PB_ETAGS_UNKNOWN;
    if (!error->kind && call->compared_bytes == call->request->body.size)
        found =
            strcmp(call->extra.etag, call->request->etag) == 0 ? PB_ETAGS_OPAQUE : PB_ETAGS_UNKEPT;
    else if (pb_failure_is_refusal(error->kind))
        found = PB_ETAGS_MD5;
    if (found)
        atomic_store(etags, found);
    error->kind = PB_ERROR_NONE;
}

static bool next_step(pb_call *call)
{
    pb_store_request *request = call->request;
    const pb_error *error = &call->http.error;
    switch (call->step) {
    case PB_STEP_ASKED:
        if (begin_read_back(call))
            return true;
        if (request->operation == PB_STORE_MULTIPART_COMPLETE && error->kind == PB_ERROR_NONE &&
            !request->etag[0]) {
            /* Ceph RGW 16 completes an upload without naming the ETag. */
            pb_call_begin_step(call, S3_STEP_LEARN_ETAG, PB_STORE_HEAD, request->key);
            return true;
        }
        if (request->operation == PB_STORE_CHECK && error->status / 100 == 4 &&
            !pb_failure_passes(error->kind)) {
            /* HEAD can't say why; and rights may cover the prefix only. */
            pb_call_begin_step(call, S3_STEP_LOOK_INSIDE, PB_STORE_LIST, (pb_slice){NULL, 0});
            call->extra.list.keys_max = 1;
            call->extra.list.prefix = request->list.prefix;
            return true;
        }
        return false;
    case S3_STEP_LEARN_ETAG:
        memcpy(request->etag, call->extra.etag, sizeof call->extra.etag);
        return false;
    case S3_STEP_READ_BACK:
        after_read_back(call);
        return false;
    case S3_STEP_LOOK_INSIDE:
        pb_page_release(call->extra.page);
        request->store_now_ms = call->answer.date_ms;
        return false;
    default:
        return false;
    }
}

/* ---- the dialect ---- */

static const char *base_url(const pb_call *call)
{
    const s3_call *self = (const s3_call *)call;
    return (self->endpoint ? self->endpoint : s3_endpoint_of(store_of(call)))->base_url;
}

static void released(pb_call *call)
{
    s3_call *self = (s3_call *)call;
    for (unsigned i = 0; i < S3_MOVES_MAX; i++)
        pb_s3_endpoint_free(&self->redirects[i]);
    if (self->built.body.capacity > KEPT_BYTES)
        pb_buffer_free(&self->built.body);
    self->endpoint = NULL;
    self->moves = 0;
    self->redirected = self->no_gzip = false;
}

static void free_call(pb_call *call)
{
    s3_call *self = (s3_call *)call;
    pb_s3_request_free(&self->built);
    pb_buffer_free(&self->upload_id);
}

const pb_call_dialect s3_call_dialect = {
    .call_bytes = sizeof(s3_call),
    .method = method,
    .asked_anew = asked_anew,
    .prepare = prepare,
    .received_header = received_header,
    .begin_object = begin_object,
    .etag_received = etag_received,
    .deletes_with_others = pb_s3_key_fits_xml,
    .judge = judge,
    .next_step = next_step,
    .is_completed = is_completed,
    .base_url = base_url,
    .released = released,
    .free = free_call,
};
