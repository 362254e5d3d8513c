/* snapshot/bucket_overlap.h - are two buckets one? Of every provider that Pachyderm's STORAGE_URL
 * can name, also of those that pbcopy cannot open. Pure, any thread. For this room. */
#ifndef PB_SNAPSHOT_BUCKET_OVERLAP_H
#define PB_SNAPSHOT_BUCKET_OVERLAP_H

typedef enum pb_bucket_relation {
    PB_BUCKETS_APART,
    PB_BUCKETS_OVERLAP, /* the same, or one inside the other, as far as can be told */
    PB_BUCKETS_UNKNOWN, /* of one name behind two endpoints, or a URL that cannot be read */
} pb_bucket_relation;

/* The canonical text of a bucket, as pb_location_identity gives it and snapshots keep it: "gs://"
 * and the S3 endpoint of Google's store are the same. NULL where the URL cannot be read; else the
 * caller frees it. It holds no secret. */
char *pb_bucket_identity(const char *url);
/* Of two such texts; either may be NULL. */
pb_bucket_relation pb_buckets_compare(const char *identity, const char *other);

#endif
