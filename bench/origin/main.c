/* bench/origin/main.c - options, start and end of the in-memory S3 server. */
#include "base/codec.h"
#include "base/failure.h"
#include "bench/origin/fill.h"
#include "bench/origin/origin.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

static const char help_text[] =
    "origin - an in-memory S3 and Google Cloud Storage server for tests and benchmarks\n"
    "\n"
    "Listens on 127.0.0.1 only, one loop on one thread. Once ready it prints one line on standard\n"
    "output: \"origin: listening on http://127.0.0.1:PORT\". SIGTERM and SIGINT end it with exit "
    "0.\n"
    "\n"
    "Listening\n"
    "  --port N               port; 0, the default, takes any free one\n"
    "  --port-file FILE       write the port there once ready\n"
    "  --tls-cert FILE        certificate chain (PEM); with --tls-key: HTTPS\n"
    "  --tls-key FILE         its key (PEM)\n"
    "  --virtual-host DOMAIN  also take BUCKET.DOMAIN as the Host of a bucket\n"
    "  --log FILE             one line a request: method, target, status, bytes sent (a request\n"
    "                         whose connection was reset has status 0)\n"
    "\n"
    "Content\n"
    "  --bucket NAME          create a bucket at start; repeatable\n"
    "  --fill BUCKET:COUNT:SIZE:PATTERN\n"
    "                         create objects at start; repeatable. Their bytes are made again "
    "from\n"
    "                         the object's number whenever they are read: memory stays small.\n"
    "                         PATTERN chunk: chunk/<BLAKE2b-256 of the bytes>.<16 hex>\n"
    "                                 flat: 0000000000, 0000000001, ...\n"
    "                                 tree: branch-00000/folder-00/file-000, ...\n"
    "  --capacity BYTES       writes beyond it get 403 QuotaExceeded (sizes as in 10G)\n"
    "\n"
    "Behaviour\n"
    "  --latency-ms N         every answer of S3 is held back so long\n"
    "  --rate N               requests a second a key prefix (bucket and key up to the last '/');\n"
    "                         over it 503 SlowDown\n"
    "  --retry-after S        Retry-After header of those\n"
    "  --access-key K --secret-key S\n"
    "                         check Signature Version 4 (Authorization header)\n"
    "  --region R             region that must be signed for (us-east-1)\n"
    "  --clock-offset-s N     shift the server's idea of the time, also in Date\n"
    "  --deny-write           403 AccessDenied for everything that changes something\n"
    "  --deny BUCKET/PREFIX   403 AccessDenied for such keys; repeatable\n"
    "  --redirect-bucket NAME=REGION\n"
    "                         301 PermanentRedirect unless signed for REGION; repeatable\n"
    "  --no-checksums         refuse x-amz-checksum-* (501)\n"
    "  --no-create-only       take no notice of If-None-Match and If-Match on writes, as old "
    "stores\n"
    "  --ceph-copy-etag       CopyObject keeps a multipart ETag (-N), as Ceph does; else the copy\n"
    "                         has the MD5 of its bytes, as on AWS\n"
    "  --path-keys            keys are paths, as behind a gateway to a directory: \"//\" and "
    "\".\"\n"
    "                         collapse, \"..\" goes up, out of the bucket as well, a leading "
    "slash\n"
    "                         is dropped; a segment over 255 bytes is refused\n"
    "  --fold-case            keys that differ in the case of letters (of ASCII) alone are one,\n"
    "                         listed as it was written first; slow with many objects\n"
    "  --page-size N          most keys on a page of a listing (1000)\n"
    "  --directory-order[=filter]\n"
    "                         list as a walk of directories does: a/b before a-c. With filter,\n"
    "                         start-after only leaves out keys up to it; otherwise it is a place\n"
    "                         in that order\n"
    "  --part-size-min BYTES  smallest part of a multipart upload but the last (5M)\n"
    "  --faults FILE          fault plan, see below\n"
    "\n"
    "Own calls, never signed, not counted, never delayed\n"
    "  GET /?origin-statistics  JSON: requests by operation and when the first of each came,\n"
    "                           bytes, faults, objects and their bytes by bucket, ...\n"
    "  PUT /?origin-statistics  reset these counts\n"
    "  PUT /?origin-faults      the body replaces the fault plan; an empty one ends all faults\n"
    "  PUT /?origin-keys        the body replaces the keys that are accepted beside --access-key:\n"
    "                           lines ACCESS_KEY SECRET_KEY [TOKEN [UNTIL_MS]] (TOKEN - for none)\n"
    "\n";

/* Apart, as ISO C promises no longer strings. */
static const char gcs_help_text[] =
    "Google Cloud Storage\n"
    "  Paths that begin with /storage/v1/, /upload/storage/v1/, /download/storage/v1/ and\n"
    "  /batch/storage/v1 are the JSON API, over the same buckets. It refuses what Google's "
    "refuses:\n"
    "  unknown parameters, fields and members, chunks that are no multiple of 256 KiB, conditions\n"
    "  that do not hold. --deny, --deny-write, --rate, --latency-ms, --capacity, --page-size, the\n"
    "  log and the fault plan hold for it as well.\n"
    "  --gcs-token TOKEN      only requests with such a bearer token are served; repeatable. PUT\n"
    "                         /?origin-gcs-tokens replaces them by lines \"TOKEN [SECONDS]\", "
    "each\n"
    "                         valid for so long\n"
    "  --gcs-rewrite-bytes N  one call of objects.rewrite moves so much (sizes as in 1M) and "
    "answers\n"
    "                         a rewriteToken; all, by default\n"
    "  --gcs-location L       location of the buckets (US)\n"
    "  --gcs-requester-pays BUCKET\n"
    "                         refuse requests to it without userProject; repeatable\n"
    "\n";

static const char fault_help_text[] =
    "Fault plan: lines \"seed N\" and \"fault KIND [probability=P] [operation=NAME] "
    "[key=SUBSTRING]\n"
    "[times=N] [after=N] [delay=MS]\"; '#' starts a comment. Operations are S3's (GetObject,\n"
    "ListObjectsV2, CopyObject, ...) or the JSON API's (objects.list, objects.get,\n"
    "objects.download, objects.insert, uploads.start, uploads.chunk, uploads.status,\n"
    "uploads.cancel, objects.rewrite, objects.compose, objects.patch, objects.delete, batch,\n"
    "buckets.get, buckets.insert), the key's substring is percent-decoded, after=N lets N "
    "matching\n"
    "requests pass, times=N ends after N faults. The first rule that fits and whose dice (of the "
    "seed)\n"
    "fall so is used. KIND:\n"
    "  error403     403 AccessDenied, nothing done\n"
    "  error500     500 InternalError, nothing done\n"
    "  error503     503 SlowDown, nothing done\n"
    "  error200     200 with an <Error> body, nothing done: CopyObject, UploadPartCopy and\n"
    "               CompleteMultipartUpload\n"
    "  reset        connection reset, nothing done\n"
    "  reset-after  done, then the connection is reset without an answer\n"
    "  truncated    whole Content-Length, half of the body, connection closed\n"
    "  flipped      one bit of a GetObject body; of PutObject and UploadPart: one bit of what is\n"
    "               stored, while the ETag is that of what was sent\n"
    "  garbled      one bit of what PutObject or UploadPart brought is another\n"
    "  stall        no answer (of GetObject: half of it) until the client goes\n"
    "  lost         answered 200, nothing stored\n"
    "  slow         answered delay=MS later (1000)\n"
    "flipped, garbled and lost hold for objects.insert and uploads.chunk as for PutObject, "
    "flipped\n"
    "for objects.download as for GetObject, lost for objects.rewrite and objects.compose as well;\n"
    "error403, error500 and error503 are Google's there. Of the JSON API alone:\n"
    "  error401     401 authError, nothing done\n"
    "  error429     429 rateLimitExceeded, nothing done\n"
    "  partial      of uploads.chunk: half of it is kept, in multiples of 256 KiB\n"
    "  gone         of uploads.chunk and uploads.status: 410, and the session is lost\n";

typedef struct settings {
    pb_origin_options origin;
    pb_origin_server_options server;
    const char *port_file;
    const char *log_file;
    const char *faults_file;
    size_t bucket_count;
    const char *buckets[PB_ORIGIN_NAMES_MAX];
    size_t fill_count;
    const char *fills[PB_ORIGIN_NAMES_MAX];
} settings;

typedef struct program {
    settings settings;
    uv_loop_t loop;
    uv_signal_t interrupts[2];
    uv_prepare_t before_waiting;
    pb_origin *origin;
    pb_origin_server *server;
    FILE *log;
} program;

enum {
    OPTION_HELP = 256,
    OPTION_PORT,
    OPTION_PORT_FILE,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_VIRTUAL_HOST,
    OPTION_LOG,
    OPTION_BUCKET,
    OPTION_FILL,
    OPTION_CAPACITY,
    OPTION_LATENCY,
    OPTION_RATE,
    OPTION_RETRY_AFTER,
    OPTION_ACCESS_KEY,
    OPTION_SECRET_KEY,
    OPTION_REGION,
    OPTION_CLOCK_OFFSET,
    OPTION_DENY_WRITE,
    OPTION_DENY,
    OPTION_REDIRECT_BUCKET,
    OPTION_NO_CHECKSUMS,
    OPTION_NO_CREATE_ONLY,
    OPTION_CEPH_COPY_ETAG,
    OPTION_PATH_KEYS,
    OPTION_FOLD_CASE,
    OPTION_PAGE_SIZE,
    OPTION_DIRECTORY_ORDER,
    OPTION_PART_SIZE_MIN,
    OPTION_FAULTS,
    OPTION_GCS_TOKEN,
    OPTION_GCS_REWRITE_BYTES,
    OPTION_GCS_LOCATION,
    OPTION_GCS_REQUESTER_PAYS,
};

static const struct option long_options[] = {
    {"help", no_argument, NULL, OPTION_HELP},
    {"port", required_argument, NULL, OPTION_PORT},
    {"port-file", required_argument, NULL, OPTION_PORT_FILE},
    {"tls-cert", required_argument, NULL, OPTION_TLS_CERT},
    {"tls-key", required_argument, NULL, OPTION_TLS_KEY},
    {"virtual-host", required_argument, NULL, OPTION_VIRTUAL_HOST},
    {"log", required_argument, NULL, OPTION_LOG},
    {"bucket", required_argument, NULL, OPTION_BUCKET},
    {"fill", required_argument, NULL, OPTION_FILL},
    {"capacity", required_argument, NULL, OPTION_CAPACITY},
    {"latency-ms", required_argument, NULL, OPTION_LATENCY},
    {"rate", required_argument, NULL, OPTION_RATE},
    {"retry-after", required_argument, NULL, OPTION_RETRY_AFTER},
    {"access-key", required_argument, NULL, OPTION_ACCESS_KEY},
    {"secret-key", required_argument, NULL, OPTION_SECRET_KEY},
    {"region", required_argument, NULL, OPTION_REGION},
    {"clock-offset-s", required_argument, NULL, OPTION_CLOCK_OFFSET},
    {"deny-write", no_argument, NULL, OPTION_DENY_WRITE},
    {"deny", required_argument, NULL, OPTION_DENY},
    {"redirect-bucket", required_argument, NULL, OPTION_REDIRECT_BUCKET},
    {"no-checksums", no_argument, NULL, OPTION_NO_CHECKSUMS},
    {"no-create-only", no_argument, NULL, OPTION_NO_CREATE_ONLY},
    {"ceph-copy-etag", no_argument, NULL, OPTION_CEPH_COPY_ETAG},
    {"path-keys", no_argument, NULL, OPTION_PATH_KEYS},
    {"fold-case", no_argument, NULL, OPTION_FOLD_CASE},
    {"page-size", required_argument, NULL, OPTION_PAGE_SIZE},
    {"directory-order", optional_argument, NULL, OPTION_DIRECTORY_ORDER},
    {"part-size-min", required_argument, NULL, OPTION_PART_SIZE_MIN},
    {"faults", required_argument, NULL, OPTION_FAULTS},
    {"gcs-token", required_argument, NULL, OPTION_GCS_TOKEN},
    {"gcs-rewrite-bytes", required_argument, NULL, OPTION_GCS_REWRITE_BYTES},
    {"gcs-location", required_argument, NULL, OPTION_GCS_LOCATION},
    {"gcs-requester-pays", required_argument, NULL, OPTION_GCS_REQUESTER_PAYS},
    {NULL, 0, NULL, 0},
};

static int wrong_value(const char *value, pb_error *error)
{
    return pb_error_set(error, PB_ERROR_USAGE, "\"%s\" is no good value here; see --help", value);
}

static int take_number(const char *value, uint64_t most, uint64_t *ret_number, pb_error *error)
{
    if (!pb_parse_unsigned(pb_slice_of(value), ret_number) || *ret_number > most) {
        return wrong_value(value, error);
    }
    return 0;
}

static int take_size(const char *value, uint64_t *ret_bytes, pb_error *error)
{
    return pb_parse_size(pb_slice_of(value), ret_bytes) ? 0 : wrong_value(value, error);
}

static int take_name(const char *value, const char **names, size_t *count, pb_error *error)
{
    if (*count == PB_ORIGIN_NAMES_MAX) {
        return pb_error_set(error, PB_ERROR_USAGE, "given too often");
    }
    names[(*count)++] = value;
    return 0;
}

static int take_option(settings *ret_settings, int option, const char *value, pb_error *error)
{
    pb_origin_options *origin = &ret_settings->origin;
    uint64_t number = 0;
    int result = 0;
    switch (option) {
    case OPTION_PORT:
        result = take_number(value, UINT16_MAX, &number, error);
        ret_settings->server.port = (uint16_t)number;
        break;
    case OPTION_PORT_FILE:
        ret_settings->port_file = value;
        break;
    case OPTION_TLS_CERT:
        ret_settings->server.tls_certificate_file = value;
        break;
    case OPTION_TLS_KEY:
        ret_settings->server.tls_key_file = value;
        origin->is_https = true;
        break;
    case OPTION_VIRTUAL_HOST:
        origin->virtual_host = value;
        break;
    case OPTION_LOG:
        ret_settings->log_file = value;
        break;
    case OPTION_BUCKET:
        return take_name(value, ret_settings->buckets, &ret_settings->bucket_count, error);
    case OPTION_FILL:
        return take_name(value, ret_settings->fills, &ret_settings->fill_count, error);
    case OPTION_CAPACITY:
        return take_size(value, &origin->capacity_bytes, error);
    case OPTION_LATENCY:
        return take_number(value, 3600000, &origin->latency_ms, error);
    case OPTION_RATE:
        return take_number(value, 1000000000, &origin->rate_per_s, error);
    case OPTION_RETRY_AFTER:
        return take_number(value, 86400, &origin->retry_after_s, error);
    case OPTION_ACCESS_KEY:
        origin->access_key = value;
        break;
    case OPTION_SECRET_KEY:
        origin->secret_key = value;
        break;
    case OPTION_REGION:
        origin->region = value;
        break;
    case OPTION_CLOCK_OFFSET:
        result = take_number(value[0] == '-' ? value + 1 : value, 1000000000, &number, error);
        origin->clock_offset_ms = (int64_t)number * (value[0] == '-' ? -1000 : 1000);
        ret_settings->server.clock_offset_ms = origin->clock_offset_ms;
        break;
    case OPTION_DENY_WRITE:
        origin->deny_write = true;
        break;
    case OPTION_DENY:
        return take_name(value, origin->deny, &origin->deny_count, error);
    case OPTION_REDIRECT_BUCKET:
        return strchr(value, '=')
                   ? take_name(value, origin->redirect, &origin->redirect_count, error)
                   : wrong_value(value, error);
    case OPTION_NO_CHECKSUMS:
        origin->no_checksums = true;
        break;
    case OPTION_NO_CREATE_ONLY:
        origin->no_create_only = true;
        break;
    case OPTION_CEPH_COPY_ETAG:
        origin->ceph_copy_etag = true;
        break;
    case OPTION_PATH_KEYS:
        origin->path_keys = true;
        break;
    case OPTION_FOLD_CASE:
        origin->fold_case = true;
        break;
    case OPTION_PAGE_SIZE:
        return take_number(value, PB_ORIGIN_PAGE_MAX, &origin->page_keys_max, error);
    case OPTION_DIRECTORY_ORDER:
        origin->order = PB_ORIGIN_ORDER_FOLDERS;
        origin->filters_after = value != NULL;
        return value && strcmp(value, "filter") != 0 ? wrong_value(value, error) : 0;
    case OPTION_PART_SIZE_MIN:
        return take_size(value, &origin->part_bytes_min, error);
    case OPTION_FAULTS:
        ret_settings->faults_file = value;
        break;
    case OPTION_GCS_TOKEN:
        return take_name(value, origin->gcs_tokens, &origin->gcs_token_count, error);
    case OPTION_GCS_REWRITE_BYTES:
        return take_size(value, &origin->gcs_rewrite_bytes, error);
    case OPTION_GCS_LOCATION:
        origin->gcs_location = value;
        break;
    case OPTION_GCS_REQUESTER_PAYS:
        return take_name(value, origin->gcs_requester_pays, &origin->gcs_requester_pays_count,
                         error);
    default:
        return pb_error_set(error, PB_ERROR_USAGE, "no such option; see --help");
    }
    return result;
}

/* 0: go on, 1: help was asked for, -1: wrong. */
static int read_settings(int count, char **arguments, settings *ret_settings, pb_error *error)
{
    *ret_settings = (settings){
        .origin = {.region = "us-east-1",
                   .part_bytes_min = PB_ORIGIN_PART_BYTES_MIN,
                   .gcs_location = "US"},
    };
    for (;;) {
        int option = getopt_long(count, arguments, "", long_options, NULL);
        if (option == -1) {
            break;
        }
        if (option == OPTION_HELP) {
            return 1;
        }
        if (take_option(ret_settings, option, optarg, error) != 0) {
            return pb_error_context(error, "%s", arguments[optind - 1]);
        }
    }
    if (optind < count) {
        return pb_error_set(error, PB_ERROR_USAGE, "\"%s\" is no option; see --help",
                            arguments[optind]);
    }
    if (!ret_settings->origin.access_key != !ret_settings->origin.secret_key) {
        return pb_error_set(error, PB_ERROR_USAGE, "--access-key and --secret-key go together");
    }
    if (!ret_settings->server.tls_certificate_file != !ret_settings->server.tls_key_file) {
        return pb_error_set(error, PB_ERROR_USAGE, "--tls-cert and --tls-key go together");
    }
    return 0;
}

static int read_faults(pb_origin *origin, const char *path, pb_error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        return pb_error_errno(error, errno, "%s", path);
    }
    pb_buffer text = {0};
    char part[4096];
    size_t got;
    while ((got = fread(part, 1, sizeof(part), file)) > 0) {
        pb_buffer_append(&text, part, got);
    }
    fclose(file);
    int result = pb_origin_fault_plan_parse(pb_buffer_slice(&text), &origin->faults, error);
    pb_buffer_free(&text);
    return result;
}

static int fill_origin(program *self, pb_error *error)
{
    const settings *wanted = &self->settings;
    for (size_t i = 0; i < wanted->bucket_count; i++) {
        pb_slice name = pb_slice_of(wanted->buckets[i]);
        if (!pb_origin_find_bucket(self->origin, name)) {
            pb_origin_add_bucket(self->origin, name);
        }
    }
    for (size_t i = 0; i < wanted->fill_count; i++) {
        if (pb_origin_fill(self->origin, pb_slice_of(wanted->fills[i]), error) != 0) {
            return -1;
        }
    }
    return wanted->faults_file ? read_faults(self->origin, wanted->faults_file, error) : 0;
}

/* The log is complete whenever the server waits, at one write a batch of requests. */
static void on_before_waiting(uv_prepare_t *handle)
{
    program *self = handle->data;
    fflush(self->log);
}

static void on_interrupt(uv_signal_t *handle, int signal)
{
    program *self = handle->data;
    (void)signal;
    for (int i = 0; i < 2; i++) {
        if (!uv_is_closing((uv_handle_t *)&self->interrupts[i])) {
            uv_close((uv_handle_t *)&self->interrupts[i], NULL);
        }
    }
    if (self->log) {
        uv_close((uv_handle_t *)&self->before_waiting, NULL);
    }
    pb_origin_server_stop(self->server);
}

static int announce(const program *self, pb_error *error)
{
    unsigned port = pb_origin_server_port(self->server);
    if (self->settings.port_file) {
        /* Renamed into place: whoever waits for the file never reads half of it. */
        pb_buffer partial = {0};
        pb_buffer_append_format(&partial, "%s.partial", self->settings.port_file);
        FILE *file = fopen(partial.data, "w");
        bool written = file && fprintf(file, "%u\n", port) > 0;
        written = file && fclose(file) == 0 && written &&
                  rename(partial.data, self->settings.port_file) == 0;
        pb_buffer_free(&partial);
        if (!written) {
            return pb_error_errno(error, errno, "%s", self->settings.port_file);
        }
    }
    printf("origin: listening on %s://127.0.0.1:%u\n",
           self->settings.server.tls_key_file ? "https" : "http", port);
    fflush(stdout);
    return 0;
}

static int serve(program *self, pb_error *error)
{
    static const int signals[2] = {SIGTERM, SIGINT};
    self->origin = pb_origin_new(&self->settings.origin);
    if (self->settings.log_file) {
        self->log = fopen(self->settings.log_file, "a");
        if (!self->log) {
            return pb_error_errno(error, errno, "%s", self->settings.log_file);
        }
        self->origin->log = self->log;
    }
    if (fill_origin(self, error) != 0 ||
        pb_origin_server_start(&self->loop, &self->settings.server,
                               pb_origin_service_of(self->origin), &self->server, error) != 0) {
        return -1;
    }
    self->origin->server = self->server;
    for (int i = 0; i < 2; i++) {
        uv_signal_init(&self->loop, &self->interrupts[i]);
        self->interrupts[i].data = self;
        uv_signal_start(&self->interrupts[i], on_interrupt, signals[i]);
    }
    if (self->log) {
        uv_prepare_init(&self->loop, &self->before_waiting);
        self->before_waiting.data = self;
        uv_prepare_start(&self->before_waiting, on_before_waiting);
    }
    int result = announce(self, error);
    if (result != 0) {
        on_interrupt(&self->interrupts[0], 0);
    }
    uv_run(&self->loop, UV_RUN_DEFAULT);
    return result;
}

/* Benchmarks open thousands of connections; the usual soft limit is 1024. */
static void allow_many_connections(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int count, char **arguments)
{
    program self = {0};
    pb_error error = {0};
    int result = read_settings(count, arguments, &self.settings, &error);
    if (result > 0) {
        fputs(help_text, stdout);
        fputs(gcs_help_text, stdout);
        fputs(fault_help_text, stdout);
        return 0;
    }
    if (result == 0) {
        signal(SIGPIPE, SIG_IGN);
        allow_many_connections();
        uv_loop_init(&self.loop);
        result = serve(&self, &error);
        pb_origin_server_free(self.server);
        pb_origin_free(self.origin);
        if (self.log) {
            fclose(self.log);
        }
        uv_loop_close(&self.loop);
    }
    if (result != 0) {
        fprintf(stderr, "origin: %s\n", error.message);
        return pb_failure_exit_code(error.kind);
    }
    return 0;
}
