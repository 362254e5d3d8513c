#include "copier/store/gcs/gcs_call.h"

#include "base/clock.h"
#include "base/failure.h"
#include "copier/store/gcs/errors.h"
#include "copier/store/gcs/list_reader.h"
#include "copier/store/gcs/object_headers.h"
#include "copier/store/gcs/response.h"
#include <inttypes.h>
#include <stdio.h>

enum {
    KEPT_BYTES = 64 * 1024,
    IDLE_RESTS_MAX = 4,      /* requests for one chunk that brought nothing of it to the store */
    IDLE_REWRITES_MAX = 100, /* answers to one copy that say of no further byte */
};

static gcs_call *self_of(pb_call *call)
{
    return (gcs_call *)call;
}

static gcs_store *store_of(const pb_call *call)
{
    return call->caller->store->state;
}

/* ---- an attempt goes out ---- */

static pb_gcs_stage stage_of(const pb_call *call)
{
    const gcs_call *self = (const gcs_call *)call;
    switch (call->asked->operation) {
    case PB_STORE_PUT:
        return pb_gcs_needs_session(call->asked) ? PB_GCS_STAGE_SESSION : PB_GCS_STAGE_ONLY;
    case PB_STORE_COPY:
        return call->step == PB_STEP_ASKED && pb_gcs_needs_source(call->asked) ? PB_GCS_STAGE_SOURCE
                                                                               : PB_GCS_STAGE_ONLY;
    case PB_STORE_MULTIPART_PUT:
        /* A chunk whose answer was lost, or that broke: what came of it is asked first.
         * https://cloud.google.com/storage/docs/performing-resumable-uploads#status-check */
        return pb_call_is_doubtful(call) && !self->position_known ? PB_GCS_STAGE_POSITION
                                                                  : PB_GCS_STAGE_ONLY;
    default:
        return PB_GCS_STAGE_ONLY;
    }
}

static const char *method(const pb_call *call)
{
    return pb_gcs_method(call->asked, stage_of(call));
}

static void asked_anew(pb_call *call)
{
    gcs_call *self = self_of(call);
    self->position_known = self->goes_on = false;
}

/* The login may have another token by now. */
static void take_credential(gcs_store *gcs)
{
    if (gcs->credential_number == pb_provider_number(gcs->settings->login))
        return;
    pb_credential_clear(&gcs->credential);
    pb_provider_take(gcs->settings->login, &gcs->credential, &gcs->credential_number);
}

static int prepare(pb_call *call, pb_http_attempt *attempt, pb_error *error)
{
    gcs_call *self = self_of(call);
    gcs_store *gcs = store_of(call);
    const pb_location *location = &call->caller->store->config->location;
    const pb_store_request *asked = call->asked;
    pb_gcs_answer_restart(&self->answer);
    self->stage = stage_of(call);
    self->position_known = false; /* after this attempt it has to be asked again */
    take_credential(gcs);
    self->credential_number = gcs->credential_number;
    pb_gcs_request_frame frame = {
        .base_url = gcs->settings->base_url,
        .bucket = pb_slice_of(location->bucket),
        .prefix = pb_slice_of(location->prefix),
        .bearer_token = pb_slice_of(gcs->credential.bearer_token),
        .user_project = pb_slice_of(location->user_project),
        .stage = self->stage,
        .rewrite_token = pb_buffer_slice(&self->rewrite_token),
    };
    if (asked->source) {
        const pb_location *source = pb_store_location(asked->source);
        frame.source_bucket = pb_slice_of(source->bucket);
        frame.source_prefix = pb_slice_of(source->prefix);
    }
    if (asked->operation == PB_STORE_PUT) {
        pb_crc32c(asked->body.data, asked->body.size, self->body_crc32c);
        frame.body_crc32c = self->body_crc32c;
    }
    return pb_gcs_request_build(&self->built, asked, &frame, attempt, error);
}

/* ---- the answer comes in ---- */

static void received_header(pb_call *call, pb_slice name, pb_slice value)
{
    pb_gcs_answer_header(&self_of(call)->answer, name, value);
}

static void take_content(const gcs_call *self, pb_store_request *results)
{
    const pb_gcs_answer *answer = &self->answer;
    pb_gcs_content_etag(answer->has_md5 ? answer->md5 : NULL,
                        answer->has_crc32c ? answer->crc32c : NULL, results->etag);
    results->has_crc32c = answer->has_crc32c;
    memcpy(results->crc32c, answer->crc32c, sizeof results->crc32c);
}

static int begin_object(pb_call *call, pb_error *error)
{
    const gcs_call *self = self_of(call);
    const pb_store_request *asked = call->asked;
    take_content(self, call->results);
    if (self->answer.is_decoded)
        return pb_error_set(error, PB_ERROR_FAILED,
                            "the object is stored as gzip, and its bytes came decoded");
    /* Where no version is known, the bytes' hash is the condition. */
    if (!pb_gcs_content_matches(&self->answer, asked->if_match))
        return pb_error_set(error, PB_ERROR_EXISTS, "the object has other bytes: %s, not %.*s",
                            call->results->etag, PB_SLICE_FORMAT(asked->if_match));
    return 0;
}

static pb_slice etag_received(const pb_call *call)
{
    return pb_slice_of(call->results->etag); /* begin_object has filled it */
}

/* ---- what it means ---- */

static bool holds_secret(const gcs_store *gcs, pb_slice text)
{
    const char *token = gcs->credential.bearer_token;
    return token && token[0] && text.size && memmem(text.data, text.size, token, strlen(token));
}

/* The session is gone, or holds bytes that broke on their way, which it cannot drop: another has to
 * begin. https://cloud.google.com/storage/docs/resumable-uploads#errors */
static bool loses_upload(const pb_call *call, pb_error_kind kind)
{
    const pb_store_request *asked = call->asked;
    int status = call->http.status;
    if (asked->operation != PB_STORE_MULTIPART_PUT &&
        asked->operation != PB_STORE_MULTIPART_COMPLETE)
        return false;
    return status == 404 || status == 410 || status == 499 ||
           (status == 400 && kind == PB_ERROR_SERVER);
}

static pb_http_verdict judge_failure(pb_call *call)
{
    gcs_call *self = self_of(call);
    gcs_store *gcs = store_of(call);
    pb_buffer what = {0}, reason = {0}, message = {0};
    pb_call_describe(call, &what);
    pb_gcs_parse_error(pb_buffer_slice(&call->answer.body), &reason, &message);
    pb_error_class class =
        pb_gcs_classify(call->http.status, pb_buffer_slice(&reason), pb_buffer_slice(&message));
    bool is_lost = loses_upload(call, class.kind);
    if (is_lost)
        class = (pb_error_class){PB_ERROR_SERVER, ""};
    pb_error_answer failure = {
        .what = what.data,
        .status = call->http.status,
        .code = pb_buffer_slice(&reason),
        .message = holds_secret(gcs, pb_buffer_slice(&message))
                       ? PB_SLICE_LITERAL("(not shown: it holds a secret)")
                       : pb_buffer_slice(&message),
        .request_id = pb_slice_of(self->answer.request_id),
        .store_now_ms = call->answer.date_ms,
        .our_now_ms = pb_clock_utc_ms(),
    };
    pb_error_answer_fill(&call->http.error, &failure, class);
    call->described = true;
    pb_buffer_free(&what);
    pb_buffer_free(&reason);
    pb_buffer_free(&message);
    if (is_lost)
        snprintf(call->http.error.code, sizeof call->http.error.code, PB_CODE_UPLOAD_LOST);
    if (call->http.status == 401 &&
        pb_provider_has_ended(gcs->settings->login, self->credential_number))
        return PB_HTTP_RETRY;
    return !is_lost && pb_failure_passes(class.kind) ? PB_HTTP_RETRY : PB_HTTP_DONE;
}

static void take_object(pb_call *call, const pb_gcs_object *object)
{
    pb_store_request *results = call->results;
    memcpy(results->etag, object->etag, sizeof results->etag);
    results->has_crc32c = object->has_crc32c;
    memcpy(results->crc32c, object->crc32c, sizeof results->crc32c);
    results->size = object->size;
    results->mtime_ms = object->mtime_ms;
    results->store_now_ms = call->answer.date_ms;
}

static pb_http_verdict judge_resource(pb_call *call, pb_buffer *headers)
{
    pb_gcs_object object = {0};
    if (pb_gcs_parse_object(pb_buffer_slice(&call->answer.body), &object, headers,
                            &call->http.error))
        return pb_call_cannot_read(call);
    take_object(call, &object);
    return pb_call_has_read(call);
}

static pb_http_verdict judge_list(pb_call *call)
{
    const pb_store_request *asked = call->asked;
    pb_gcs_list_asked list = {
        .store_prefix = pb_slice_of(call->caller->store->config->location.prefix),
        .prefix = asked->list.prefix,
        .after = asked->list.after,
        .token = asked->list.token,
    };
    int failed = pb_gcs_parse_list(pb_buffer_slice(&call->answer.body), &list, &call->results->page,
                                   &call->http.error);
    return failed ? pb_call_cannot_read(call) : pb_call_has_read(call);
}

static pb_http_verdict other_bytes(pb_call *call, const char *etag, pb_slice wanted)
{
    pb_error_set(&call->http.error, PB_ERROR_EXISTS, "the object has other bytes: %s, not %.*s",
                 etag, PB_SLICE_FORMAT(wanted));
    return PB_HTTP_DONE;
}

/* The rewrite that follows is of this generation: other bytes never come to the destination. */
static pb_http_verdict judge_source(pb_call *call)
{
    gcs_call *self = self_of(call);
    pb_gcs_object object = {0};
    pb_slice wanted = call->request->if_match;
    self->rewritten = false;
    if (pb_gcs_parse_object(pb_buffer_slice(&call->answer.body), &object, NULL, &call->http.error))
        return pb_call_cannot_read(call);
    if (!pb_gcs_object_may_be(&object, wanted))
        return other_bytes(call, object.etag, wanted);
    self->source_version[0] = '\0';
    if (object.generation)
        snprintf(self->source_version, sizeof self->source_version, "%" PRIu64, object.generation);
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_rewrite(pb_call *call)
{
    gcs_call *self = self_of(call);
    pb_gcs_object object = {0};
    uint64_t bytes;
    pb_buffer_clear(&self->rewrite_token);
    self->rewritten = false;
    if (pb_gcs_parse_rewrite(pb_buffer_slice(&call->answer.body), &self->rewritten, &object, &bytes,
                             &self->rewrite_token, &call->http.error))
        return pb_call_cannot_read(call);
    if (!self->rewritten) {
        self->idle_rewrites = bytes > self->rewritten_bytes ? 0 : self->idle_rewrites + 1;
        self->rewritten_bytes = bytes;
        return self->idle_rewrites <= IDLE_REWRITES_MAX
                   ? PB_HTTP_DONE
                   : pb_call_breaks_protocol(call, PB_ERROR_FAILED,
                                             "the store copies on and on, and gets no further");
    }
    pb_slice wanted = call->request->if_match;
    take_object(call, &object);
    if (!pb_gcs_object_may_be(&object, wanted))
        return other_bytes(call, object.etag, wanted);
    return PB_HTTP_DONE;
}

static pb_http_verdict judge_session(pb_call *call)
{
    gcs_call *self = self_of(call);
    if (!self->answer.session[0])
        return pb_call_breaks_protocol(call, PB_ERROR_FAILED,
                                       self->answer.session_refused
                                           ? "a session whose URL cannot be used"
                                           : "an upload without a session");
    pb_buffer_clear(&self->session);
    pb_buffer_append_text(&self->session, self->answer.session);
    call->results->upload_id_new = pb_buffer_slice(&self->session);
    return PB_HTTP_DONE;
}

/* The store has `position` bytes of the upload. What it lacks is another request, with attempts of
 * its own: half of them are questions. Only where it gets no further, time and again, they go on
 * being counted. */
static pb_http_verdict go_on_from(pb_call *call, uint64_t position)
{
    gcs_call *self = self_of(call);
    const pb_store_request *asked = call->asked;
    uint64_t end = asked->part_offset + asked->body.size;
    if (position < asked->part_offset || position > end) {
        pb_error_set(&call->http.error, PB_ERROR_SERVER,
                     "the upload stands elsewhere than it was left: at %llu bytes",
                     (unsigned long long)position);
        snprintf(call->http.error.code, sizeof call->http.error.code, PB_CODE_UPLOAD_LOST);
        return PB_HTTP_DONE;
    }
    if (position == end && !asked->part_last)
        return PB_HTTP_DONE;
    if (position > asked->part_offset || self->idle_rests < IDLE_RESTS_MAX) {
        self->idle_rests = position > asked->part_offset ? 0 : self->idle_rests + 1;
        self->goes_on = true;
        self->position = position;
        return PB_HTTP_DONE;
    }
    self->position_known = true;
    /* Heard where there is no further attempt. */
    pb_error_set(&call->http.error, PB_ERROR_SERVER, "the upload breaks off again and again");
    return PB_HTTP_AGAIN;
}

/* 308: the upload is not complete. */
static pb_http_verdict judge_incomplete(pb_call *call)
{
    gcs_call *self = self_of(call);
    const pb_store_request *asked = call->asked;
    uint64_t position = self->answer.has_position ? self->answer.position : 0;
    if (asked->operation != PB_STORE_MULTIPART_PUT)
        return pb_call_breaks_protocol(call, PB_ERROR_FAILED, "the upload lacks bytes");
    if (self->stage != PB_GCS_STAGE_POSITION && position == asked->part_offset) {
        self->position_known = true; /* this answer says it */
        return pb_call_breaks_protocol(call, PB_ERROR_SERVER,
                                       "the store took nothing of the chunk");
    }
    return go_on_from(call, position);
}

static pb_http_verdict judge_success(pb_call *call)
{
    gcs_call *self = self_of(call);
    const pb_store_request *asked = call->asked;
    switch (asked->operation) {
    case PB_STORE_CHECK:
        call->results->store_now_ms = call->answer.date_ms;
        return PB_HTTP_DONE;
    case PB_STORE_LIST:
        return judge_list(call);
    case PB_STORE_HEAD:
        return judge_resource(call, asked->object_headers_read);
    case PB_STORE_GET:
        call->results->mtime_ms = call->answer.mtime_ms;
        call->results->store_now_ms = call->answer.date_ms;
        return PB_HTTP_DONE;
    case PB_STORE_PUT:
        return self->stage == PB_GCS_STAGE_SESSION ? judge_session(call)
                                                   : judge_resource(call, NULL);
    case PB_STORE_COPY:
        return self->stage == PB_GCS_STAGE_SOURCE ? judge_source(call) : judge_rewrite(call);
    case PB_STORE_MULTIPART_CREATE:
        return judge_session(call);
    case PB_STORE_MULTIPART_PUT:
        /* Complete: with its last part alone, whose hash the store has checked. */
        return asked->part_last ? judge_resource(call, NULL)
                                : pb_call_breaks_protocol(call, PB_ERROR_FAILED,
                                                          "the upload ended before its last part");
    case PB_STORE_MULTIPART_COMPLETE:
        return judge_resource(call, NULL);
    default:
        return PB_HTTP_DONE;
    }
}

/* A token is refused that has led to its end already, in an answer that was lost; or that is too
 * old. Without it the copy begins anew. */
static bool copies_from_the_start(pb_call *call)
{
    gcs_call *self = self_of(call);
    if (!self->rewrite_token.size || (self->begun_anew && !pb_call_is_doubtful(call)))
        return false;
    self->begun_anew = true;
    self->rewritten_bytes = 0;
    self->idle_rewrites = 0;
    pb_buffer_clear(&self->rewrite_token);
    pb_error_set(&call->http.error, PB_ERROR_SERVER, "the store forgets how far it has copied");
    return true;
}

static pb_http_verdict judge(pb_call *call)
{
    int status = call->http.status;
    const pb_store_request *asked = call->asked;
    if (status >= 200 && status <= 299)
        return judge_success(call);
    if (status == 308)
        return judge_incomplete(call);
    if (status == 416 && asked->operation == PB_STORE_GET && !asked->offset && asked->length)
        return PB_HTTP_DONE; /* no range fits an empty object */
    if (status == 404 && asked->operation == PB_STORE_DELETE)
        return PB_HTTP_DONE;
    if (status == 400 && asked->operation == PB_STORE_COPY && copies_from_the_start(call))
        return PB_HTTP_AGAIN;
    /* 499 answers a session that is given up; gone is as well. */
    if (asked->operation == PB_STORE_MULTIPART_ABORT &&
        (status == 499 || status == 404 || status == 410))
        return PB_HTTP_DONE;
    return judge_failure(call);
}

/* ---- steps ---- */

/* A PUT with metadata whose session is lost has another, once. */
static bool begins_anew(pb_call *call)
{
    gcs_call *self = self_of(call);
    if (call->step != GCS_STEP_CHUNK || self->begun_anew ||
        strcmp(call->http.error.code, PB_CODE_UPLOAD_LOST) != 0 ||
        call->http.error.kind == PB_ERROR_NONE)
        return false;
    self->begun_anew = true;
    call->step = PB_STEP_ASKED;
    call->asked = call->results = call->request;
    call->described = false;
    return true;
}

/* What the store lacks of a chunk. */
static void begin_rest(pb_call *call)
{
    const gcs_call *self = self_of(call);
    pb_store_request chunk = *call->asked;
    uint64_t taken = self->position - chunk.part_offset;
    pb_call_begin_step(call, call->step == GCS_STEP_CHUNK ? GCS_STEP_CHUNK : GCS_STEP_REST,
                       PB_STORE_MULTIPART_PUT, chunk.key);
    call->extra.upload_id = chunk.upload_id;
    call->extra.part_number = chunk.part_number;
    call->extra.part_offset = self->position;
    call->extra.part_last = chunk.part_last;
    call->extra.object_crc32c = chunk.object_crc32c;
    call->extra.body = (pb_slice){chunk.body.data + taken, chunk.body.size - (size_t)taken};
    call->results = call->request;
}

static bool next_step(pb_call *call)
{
    gcs_call *self = self_of(call);
    pb_store_request *request = call->request;
    if (begins_anew(call))
        return true;
    if (call->http.error.kind != PB_ERROR_NONE)
        return false;
    if (self->goes_on) {
        begin_rest(call);
        return true;
    }
    if (request->operation == PB_STORE_COPY && !self->rewritten) {
        pb_call_begin_step(call, GCS_STEP_REWRITE, PB_STORE_COPY, request->key);
        call->extra.source = request->source;
        call->extra.source_key = request->source_key;
        call->extra.if_version =
            pb_gcs_needs_source(request) ? pb_slice_of(self->source_version) : request->if_version;
        call->extra.create_only = request->create_only;
        call->results = request;
        return true;
    }
    if (call->step == GCS_STEP_HEADERS) {
        /* Told apart by their bytes' hash where no version is known. */
        if (request->etag[0] && strcmp(call->extra.etag, request->etag) != 0)
            pb_error_set(&call->http.error, PB_ERROR_EXISTS,
                         "the object was written over while it was read");
        return false;
    }
    /* Media answers of the JSON API do not name the object's own metadata, and have headers that
     * are not the object's (Cache-Control where it has none):
     * https://github.com/googleapis/google-cloud-go/issues/2740 */
    if (request->operation == PB_STORE_GET && request->object_headers_read &&
        call->http.status != 416) {
        pb_call_begin_step(call, GCS_STEP_HEADERS, PB_STORE_HEAD, request->key);
        call->extra.object_headers_read = request->object_headers_read;
        call->extra.if_version = request->if_version;
        return true;
    }
    if (request->operation == PB_STORE_PUT && call->step == PB_STEP_ASKED &&
        self->stage == PB_GCS_STAGE_SESSION) {
        pb_call_begin_step(call, GCS_STEP_CHUNK, PB_STORE_MULTIPART_PUT, request->key);
        call->extra.upload_id = pb_buffer_slice(&self->session);
        call->extra.body = request->body;
        call->extra.part_last = true;
        call->extra.object_crc32c = self->body_crc32c;
        call->results = request;
        return true;
    }
    return false;
}

/* ---- the dialect ---- */

static const char *base_url(const pb_call *call)
{
    return store_of(call)->settings->base_url;
}

static void released(pb_call *call)
{
    gcs_call *self = self_of(call);
    if (self->built.body.capacity > KEPT_BYTES)
        pb_buffer_free(&self->built.body);
    pb_buffer_clear(&self->session);
    pb_buffer_clear(&self->rewrite_token);
    self->begun_anew = false;
    self->rewritten_bytes = 0;
    self->idle_rewrites = self->idle_rests = 0;
}

static void free_call(pb_call *call)
{
    gcs_call *self = self_of(call);
    pb_gcs_request_free(&self->built);
    pb_buffer_free(&self->session);
    pb_buffer_free(&self->rewrite_token);
}

const pb_call_dialect gcs_call_dialect = {
    .call_bytes = sizeof(gcs_call),
    .method = method,
    .asked_anew = asked_anew,
    .prepare = prepare,
    .received_header = received_header,
    .begin_object = begin_object,
    .etag_received = etag_received,
    .judge = judge,
    .next_step = next_step,
    .base_url = base_url,
    .released = released,
    .free = free_call,
};
