/* copier/store/store.h - the object-store contract. One driver each: s3/, gcs/, file/.
 *
 * A request names an operation; the driver carries it out on the loop and calls `done` exactly
 * once, never inside pb_store_submit. Retries of what may pass live below; an error seen here is
 * final. Keys are relative to the location's prefix, which the driver adds and takes off.
 *
 * A pb_store belongs to one loop and its thread. A pb_store_config is resolved once (URL,
 * credentials, region) and read by all loops. */
#ifndef PB_COPIER_STORE_STORE_H
#define PB_COPIER_STORE_STORE_H

#include "base/error.h"
#include "base/hash.h"
#include "copier/http/http.h"
#include "copier/store/location.h"
#include "copier/store/page.h"

typedef struct pb_store pb_store;
typedef struct pb_store_config pb_store_config;

/* Which end a store is: names it in messages ("source", "repository", "destination") and picks the
 * environment variables PBCOPY_<ROLE>_ACCESS_KEY_ID, _SECRET_ACCESS_KEY, _SESSION_TOKEN that go
 * before the AWS_* ones. */
typedef struct pb_store_resolve_options {
    const char *role;
    bool unsigned_payload; /* send UNSIGNED-PAYLOAD over plain HTTP too */
    /* Keys that are known from elsewhere, and certificates to trust (a PEM file), both read in
     * pb_store_resolve alone; NULL for none. */
    const struct pb_store_keys *keys;
    const char *ca_bundle;
    const pb_log *log; /* logins that could not be renewed; NULL for none; borrowed */
} pb_store_resolve_options;

typedef struct pb_store_keys {
    const char *access_key_id, *secret_access_key;
    const char *session_token;     /* NULL for none */
    const char *google_credential; /* JSON of a credential file, for gs://; NULL for none */
} pb_store_keys;

/* Finds endpoint, login and region for a location (copied); blocks until the login is there.
 * S3, in order: anonymous=true of the URL; profile= of the URL; the role's environment;
 * options->keys; AWS_ACCESS_KEY_ID...; AWS_WEB_IDENTITY_TOKEN_FILE; the profile AWS_PROFILE,
 * AWS_DEFAULT_PROFILE or "default" of AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE (~/.aws/...);
 * AWS_CONTAINER_CREDENTIALS_*; the metadata server, where the store is AWS's or
 * AWS_EC2_METADATA_SERVICE_ENDPOINT is set. Without any: USAGE, but for plain HTTP to a
 * loopback address or a name under .test or .localhost (an emulator, a test server), where requests
 * go unsigned. Logins that end are renewed by a
 * thread of the config's (credentials/provider.h). File: the directory must exist or be creatable
 * (made on first write). Fails with USAGE, and as logins fail (credentials/source.h). Free with
 * pb_store_config_free after all stores. */
int pb_store_resolve(const pb_location *location, const pb_store_resolve_options *options,
                     pb_store_config **ret_config, pb_error *error);
void pb_store_config_free(pb_store_config *config);
const char *pb_store_config_name(const pb_store_config *config); /* as pb_store_name */

/* Fills the endpoint of a location that names none, as the environment and the profile say it
 * (AWS_ENDPOINT_URL_S3...), without any login: so that places can be compared before they are
 * opened. What pb_store_resolve makes of its location. Reads files; fails with USAGE. */
int pb_store_locate(pb_location *location, pb_error *error);

/* Opens on a loop. `http` (borrowed) carries S3's requests and is shared by the loop's stores. */
int pb_store_open(pb_store_config *config, uv_loop_t *loop, pb_http *http, pb_store **ret_store,
                  pb_error *error);
void pb_store_close(pb_store *store); /* no request under way; NULL allowed */

typedef struct pb_store_capabilities {
    bool multipart;           /* MULTIPART_* work */
    uint64_t part_bytes_min;  /* S3: 5 MiB, but for the last part */
    uint64_t part_bytes_max;  /* S3: 5 GiB */
    unsigned parts_max;       /* S3: 10,000 */
    uint64_t put_bytes_max;   /* largest PUT */
    uint64_t copy_bytes_max;  /* largest COPY in one request */
    size_t key_bytes_max;     /* of a relative key: S3 1,024 less the prefix */
    unsigned delete_keys_max; /* in one DELETE */
    bool lists_from_anywhere; /* a listing after any key costs its page alone: worth splitting */
    bool etag_is_md5; /* a plain ETag is the MD5 of the bytes (unless KMS: compare, don't trust) */
    bool part_etags_are_md5; /* likewise of parts: the ETag of the whole is made of them */
    bool etag_is_kept;  /* an object has the ETag that its PUT answered until it is written again */
    bool finds_uploads; /* MULTIPART_FIND works: else they end by themselves */
    bool copies_parts;  /* MULTIPART_COPY works; else one COPY takes any size */
    bool keeps_headers; /* what object_headers says of an object is kept with it */
    /* Parts come one after the other, and the last, which is announced (part_last), makes the
     * object: its answer is COMPLETE's. Where the end is not known in time, COMPLETE makes it. */
    bool parts_in_order;
    uint64_t part_bytes_step; /* parts but the last are multiples of it; 0 for any length */
    /* GET, HEAD and what writes say the object's CRC32C; writes check what they are given. */
    bool has_crc32c;
} pb_store_capabilities;

/* As far as it is known: where a PUT shows that the store's ETags are no MD5s, that holds from then
 * on, for all loops. */
const pb_store_capabilities *pb_store_capabilities_of(const pb_store *store);
/* True where `destination` can COPY from `source` by itself: same endpoint, same login (which may
 * rotate: not its keys are compared, but where they come from). */
bool pb_store_copies_from(const pb_store *destination, const pb_store *source);
/* "source s3://bucket/prefix/" for messages; borrowed from the store. */
const char *pb_store_name(const pb_store *store);
/* As it was resolved: with the endpoint that environment or profile say. */
const pb_location *pb_store_location(const pb_store *store);
const pb_store_config *pb_store_config_of(const pb_store *store);

typedef enum pb_store_operation {
    PB_STORE_CHECK, /* does the bucket exist, may we see it? learns the region */
    PB_STORE_LIST,  /* one page */
    PB_STORE_HEAD,
    PB_STORE_GET, /* a range, or all */
    PB_STORE_PUT,
    PB_STORE_COPY,   /* inside the store, one request */
    PB_STORE_DELETE, /* many keys; a missing one is no error */
    PB_STORE_MULTIPART_CREATE,
    PB_STORE_MULTIPART_PUT,  /* one part from memory */
    PB_STORE_MULTIPART_COPY, /* one part from a range of another object */
    PB_STORE_MULTIPART_COMPLETE,
    PB_STORE_MULTIPART_ABORT,
    PB_STORE_MULTIPART_FIND, /* an upload that was begun, of a key with list.prefix */
} pb_store_operation;

/* Code of an error of MULTIPART_PUT and COMPLETE: the store has lost the upload, or bytes of it;
 * another one may succeed. */
#define PB_CODE_UPLOAD_LOST "upload-lost"

enum { PB_ETAG_TEXT_MAX = 128 }; /* an ETag with its NUL; a longer one is a protocol error */

/* One request; zero it, fill what the operation reads, submit. The memory, and all that is pointed
 * to, is the caller's until done. */
typedef struct pb_store_request {
    pb_store_operation operation;
    void (*done)(struct pb_store_request *request);
    void *context;

    unsigned attempts_max; /* 0: as the client is patient; else it fails after so many */

    bool make; /* CHECK: a directory that does not exist is made; buckets never are */

    pb_slice key; /* all but CHECK, LIST, DELETE */

    struct { /* CHECK: the prefix alone, of keys that are to be seen at least. LIST: keys k with
                prefix, after < k, in order: if the store lists so, which is for the caller to check
              */
        pb_slice prefix;
        pb_slice after;    /* exclusive; empty from the start */
        pb_slice token;    /* of the page before, or empty; goes before `after` */
        char delimiter;    /* '/' groups into page->prefixes; 0 for a flat listing */
        unsigned keys_max; /* 1 to 1,000; 0 for 1,000 */
    } list;

    /* GET: bytes [offset, offset + length); length 0 reads to the end. COPY, MULTIPART_COPY: the
     * range of the source (MULTIPART_COPY only). */
    uint64_t offset;
    uint64_t length;
    uint64_t size_hint;  /* GET of a whole object, COPY: its size where known, 0 where not: what is
                            small gets small buffers, and is tried again soon when nothing comes */
    pb_slice if_match;   /* GET, COPY, MULTIPART_COPY: the (source) object must have this ETag, else
                            EXISTS */
    pb_slice if_version; /* GET, COPY: likewise, the version of a listing's entry; empty for any */
    /* GET: `restarted` forgets what came (a retry begins again at offset); `received` takes bytes,
     * -1 ends the request with *error. Both on the loop. restarted may be NULL. */
    void (*restarted)(struct pb_store_request *request);
    int (*received)(struct pb_store_request *request, const void *data, size_t size,
                    pb_error *error);

    pb_slice body; /* PUT, MULTIPART_PUT */
    /* GET, HEAD: where not NULL, the object's own headers are appended: content-type,
     * cache-control, content-disposition, content-encoding, content-language, expires,
     * x-amz-meta-*; at most 16 KiB. Emptied on restart. */
    pb_buffer *object_headers_read;

    /* Of the body, where one of them is known (32 and 4 bytes): sent so that the store checks it;
     * body_checked and has_crc32c say whether it did. A CRC32C is signed in place of the body. Some
     * stores ignore it, some refuse it (FAILED, with a hint). */
    const uint8_t *body_sha256;
    const uint8_t *body_crc32c;
    bool create_only; /* PUT: EXISTS where the key exists */
    /* PUT, MULTIPART_CREATE: headers that belong to the object ("name: value\n" lines, lower-case
     * names, as GET and HEAD give them). Drivers without such headers drop them. */
    pb_slice object_headers;

    pb_store *source; /* COPY, MULTIPART_COPY: where from; pb_store_copies_from holds */
    pb_slice source_key;

    const pb_slice *keys; /* DELETE: up to delete_keys_max */
    size_t key_count;

    pb_slice upload_id;    /* MULTIPART_*, but CREATE */
    unsigned part_number;  /* 1 to parts_max. HEAD: not 0 also asks how long that part is */
    uint64_t part_offset;  /* MULTIPART_PUT: where the part begins in the object */
    bool part_last;        /* MULTIPART_PUT: the object ends with it */
    uint64_t upload_bytes; /* COMPLETE: of the whole object */
    /* MULTIPART_PUT of the last part, COMPLETE: of the whole object, where known. Stores that have
     * CRC32Cs check it. */
    const uint8_t *object_crc32c;
    bool parts_have_crc32c;                     /* CREATE: all parts will come with body_crc32c */
    const char (*part_etags)[PB_ETAG_TEXT_MAX]; /* COMPLETE: of parts 1 to part_count */
    const uint8_t (*part_crc32cs)[PB_CRC32C_BYTES]; /* COMPLETE: likewise; NULL for none */
    unsigned part_count;

    /* Written before done; strings are valid inside done only, unless said otherwise. */
    pb_error error; /* kind NONE on success */
    pb_page *page; /* LIST: the caller's reference (pb_page_release). MULTIPART_FIND: likewise, with
                      one entry, whose version is the upload's id, or none */
    char etag[PB_ETAG_TEXT_MAX]; /* HEAD, GET, PUT, COPY, MULTIPART_PUT/COPY/COMPLETE; no quotes;
                                    stays */
    bool etag_opaque; /* HEAD, GET, PUT, COPY: the store said that it encrypts with SSE-KMS or
                         SSE-C: the ETag is no MD5 */
    /* PUT, MULTIPART_PUT: the store has compared the body with a digest that came with it. */
    bool body_checked;
    /* HEAD, GET, PUT, COPY, COMPLETE: the store said the object's CRC32C; MULTIPART_PUT: the
     * part's. */
    bool has_crc32c;
    uint8_t crc32c[PB_CRC32C_BYTES];
    uint64_t size;        /* HEAD, GET: of the whole object */
    uint64_t part_bytes;  /* HEAD with part_number: of that part; 0 where the store does not tell */
    int64_t mtime_ms;     /* HEAD, GET */
    int64_t store_now_ms; /* HEAD, CHECK: the store's own clock (Date), 0 where unknown */
    pb_slice upload_id_new; /* MULTIPART_CREATE */

    void *driver; /* the driver's */
} pb_store_request;

void pb_store_submit(pb_store *store, pb_store_request *request);

/* A request for a copy (COPY, MULTIPART_COPY) has failed: true where that is because the store
 * makes none. It is then known to all loops. */
bool pb_store_learn_copy_refused(pb_store *store, const pb_store_request *request);
/* Which copies the store was found to make none of: an answer to COPY stands for parts, too. Any
 * thread. */
bool pb_store_refuses_copy(const pb_store_config *config, pb_store_operation copy);

/* What a store was found out to do that others do not: by a run, from the store's own answers, or
 * by one before it (pbcopy.json). */
typedef struct pb_store_findings {
    bool opaque_etags;   /* a plain ETag is not the MD5 of the bytes: the first PUT showed it, whose
                            bytes were read back and are what was sent */
    bool unkept_etags;   /* and reading shows another one than writing */
    bool refuses_copies; /* COPY answers that there is no such thing */
    bool wants_content_md5; /* no PUT is taken without */
    /* Not known from before: what a run has seen and does not copy, which is said. */
    bool has_own_object; /* bytes under the location's own key, "prefix/" */
    bool has_tags;       /* objects with tags were relayed: these stay behind */
} pb_store_findings;

/* Any thread. */
pb_store_findings pb_store_findings_of(const pb_store_config *config);
/* Begins with what is known; what is false is still to be found out. Any thread, best before the
 * store is used. */
void pb_store_know(pb_store_config *config, const pb_store_findings *findings);
/* What was found of the ETags of one end holds for another that is the same store
 * (pb_store_copies_from). */
void pb_store_share_etags(const pb_store *from, pb_store *to);

/* Submits and runs the loop until it is done: for the main thread's few requests, never inside a
 * callback. Returns 0, or -1 with request->error copied to *error. The page is the caller's;
 * upload_id_new is not valid any more. */
int pb_store_call(pb_store *store, pb_store_request *request, pb_error *error);

/* A GET of a small object into memory. */
typedef struct pb_store_read_request {
    pb_store_request request; /* the first member: the callbacks find the rest by it */
    size_t max_bytes;
    size_t size_before; /* of the buffer, which is appended to */
    pb_buffer *body;
} pb_store_read_request;

/* Fills *ret_read, but for done and context, for pb_store_submit of ret_read->request. The bytes
 * are appended to *body, which the caller keeps until done; more than max_bytes is DAMAGED. */
void pb_store_read_prepare(pb_store_read_request *ret_read, pb_slice key, size_t max_bytes,
                           pb_buffer *body);
/* GETs a whole small object into *ret_body (appended); more than max_bytes is DAMAGED. Like
 * pb_store_call. */
int pb_store_read(pb_store *store, pb_slice key, size_t max_bytes, pb_buffer *ret_body,
                  pb_error *error);
/* PUTs a small object from memory. Like pb_store_call. */
int pb_store_write(pb_store *store, pb_slice key, pb_slice body, bool create_only, pb_error *error);

#endif
