/* copier/store/location.h - the URL that names a bucket: parsing and comparing. Pure, any thread.
 *
 *   s3://BUCKET[/PREFIX][?endpoint=[http[s]://]HOST[:PORT][/PATH]&region=R&profile=P
 *                         &disableSSL=true&s3ForcePathStyle=true|false&requestPayer=true
 *                         &opaqueETags=true&anonymous=true&awssdk=v1|v2]
 *   gs://BUCKET[/PREFIX][?endpoint=[http[s]://]HOST[:PORT]&anonymous=true&userProject=PROJECT]
 *   file:///ABSOLUTE/DIRECTORY     file://RELATIVE/DIRECTORY
 *
 * These are the forms of Pachyderm's STORAGE_URL (gocloud.dev/blob), so that it can be pasted. A
 * path names a folder: PREFIX always ends in '/' once parsed. Unknown query parameters are refused
 * (gocloud does so too), and so is anything that looks like a secret in a URL (user:password@);
 * messages never repeat it.
 *
 * Paths and values are percent-decoded ('%' itself is %25, '?' %3F, '#' %23) and must be UTF-8; a
 * PREFIX has at most 512 bytes and is not normalised. A directory loses "//" and "."; ".." is
 * refused, and symbolic links are not looked at. disableSSL= needs an endpoint=. An endpoint's PATH
 * (of a gateway that serves more than S3) stands before the bucket in every request's path. awssdk=
 * is checked and means nothing here. */
#ifndef PB_COPIER_STORE_LOCATION_H
#define PB_COPIER_STORE_LOCATION_H

#include "base/bytes.h"
#include "base/error.h"

typedef enum pb_store_kind { PB_STORE_S3, PB_STORE_GCS, PB_STORE_FILE } pb_store_kind;

typedef struct pb_location {
    pb_store_kind kind;
    char *text;         /* as given */
    char *bucket;       /* The bucket. File: the absolute directory, no trailing slash */
    char *prefix;       /* "" or "a/b/"; always "" for file */
    char *endpoint;     /* "https://host:port[/path]", no trailing slash; NULL for AWS, by region */
    char *region;       /* NULL where not said */
    char *profile;      /* NULL where not said */
    char *user_project; /* Google: who pays for the requests; NULL for the bucket's owner */
    int path_style;     /* 1, 0, or -1 where not said */
    bool requester_pays; /* whoever asks agrees to pay: x-amz-request-payer */
    bool anonymous;      /* requests without a login are wanted */
    bool opaque_etags;   /* S3: its ETags are no MD5s, whatever they look like */
    /* Of AWS's hosts: from environment and profile, by pb_store_locate; never said in the URL. */
    bool fips, dual_stack;
} pb_location;

/* Parses; fails with USAGE and a hint. *ret_location is filled on success only; free with
 * pb_location_free (zeroed ones allowed). */
int pb_location_parse(const char *text, pb_location *ret_location, pb_error *error);
void pb_location_free(pb_location *location);

/* "[http[s]://]HOST[:PORT][/PATH][/]" into "scheme://host[:port][/path]" (the caller frees): what
 * endpoint= takes. https where no scheme is said, http if `plain`. Fails with USAGE. */
int pb_location_endpoint_parse(const char *value, bool plain, char **ret_endpoint, pb_error *error);
/* A copy; free with pb_location_free. */
void pb_location_copy(const pb_location *location, pb_location *ret_copy);

/* The same place in a canonical text that names it in manifests ("s3://host:port/bucket/prefix/",
 * "file:///dir/"), without profile, region and options. The slashes of an endpoint's path are
 * written as %2F. NUL-terminated, the caller frees. */
char *pb_location_identity(const pb_location *location);

/* True where the keys of one could be keys of the other: the same place, or one inside the other.
 */
bool pb_location_overlaps(const pb_location *a, const pb_location *b);
/* True where they would overlap if their endpoints were one: buckets of one name, prefixes one
 * inside the other, and hosts that are spelled in two ways. Only the stores can say. */
bool pb_location_may_overlap(const pb_location *a, const pb_location *b);

#endif
