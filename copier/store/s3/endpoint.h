/* copier/store/s3/endpoint.h - where requests for one bucket go: base URL, host, path. Pure, any
 * thread.
 *
 * AWS is addressed by region ("https://BUCKET.s3.REGION.amazonaws.com"), any other store by the
 * endpoint of its URL. The bucket stands in the host where the store is AWS and the bucket's name
 * fits a DNS label (TLS certificates cover one level), else in the path; s3ForcePathStyle=
 * overrules both. Behind an endpoint with a path it stands in the path, after that one, which a
 * copy source lacks. FIPS and dual stack are other hosts of AWS ("s3-fips.dualstack.REGION").
 * Source:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html
 */
#ifndef PB_COPIER_STORE_S3_ENDPOINT_H
#define PB_COPIER_STORE_S3_ENDPOINT_H

#include "copier/store/location.h"

#define PB_S3_REGION_DEFAULT "us-east-1"

typedef struct pb_s3_endpoint {
    char *region;
    char *base_url;   /* "https://host[:port]" */
    const char *host; /* "host[:port]", in base_url: what the Host header says */
    bool https;
    bool path_style;
    pb_slice prefix;       /* the location's, not encoded; borrowed from it */
    char *path;            /* "[/endpoint's path]/bucket/prefix/", percent-encoded */
    const char *full_path; /* "/bucket/prefix/", in path: what a copy source begins with */
    pb_slice key_path;     /* what the path of a key begins with; in path */
    pb_slice list_path;    /* the path of the bucket: "/bucket" or "/"; in path */
} pb_s3_endpoint;

/* Fills *ret_endpoint for an S3 location, which must outlive it; free with pb_s3_endpoint_free
 * (zeroed ones allowed). `region` satisfies pb_s3_region_valid. */
void pb_s3_endpoint_make(const pb_location *location, const char *region,
                         pb_s3_endpoint *ret_endpoint);
void pb_s3_endpoint_free(pb_s3_endpoint *endpoint);

/* The endpoint that a redirect names: `to` is a Location header's URL or an <Endpoint> element's
 * host. False, and nothing written, where it names no host, the same host, or plain HTTP while
 * `from` is https. Every byte of `to` is distrusted. */
bool pb_s3_endpoint_redirect(const pb_s3_endpoint *from, const pb_location *location, pb_slice to,
                             pb_s3_endpoint *ret_endpoint);

/* True for NULL and for the hosts of AWS. */
bool pb_s3_endpoint_is_aws(const char *endpoint);

/* True for text that can stand in a host name and in a signature's scope: letters, digits, '-',
 * '_', at most 64. */
bool pb_s3_region_valid(pb_slice region);
/* The region in a host of AWS ("bucket.s3-eu-west-1.amazonaws.com", "s3.eu-west-1.amazonaws.com");
 * empty where it names none. */
pb_slice pb_s3_region_of_host(pb_slice host);

#endif
