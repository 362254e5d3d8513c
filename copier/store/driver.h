/* copier/store/driver.h - what a driver gives to store.c. For drivers only. */
#ifndef PB_COPIER_STORE_DRIVER_H
#define PB_COPIER_STORE_DRIVER_H

#include "copier/store/store.h"
#include <stdatomic.h>

typedef struct pb_store_driver {
    const char *scheme; /* "s3" */
    /* pb_store_locate; NULL: nothing to fill. */
    int (*locate)(pb_location *location, pb_error *error);
    /* Fills config->settings. The location was located. */
    int (*resolve)(pb_store_config *config, const pb_store_keys *keys, pb_error *error);
    void (*settings_free)(void *settings);
    /* Fills store->state and store->capabilities. */
    int (*open)(pb_store *store, pb_error *error);
    void (*close)(pb_store *store);
    bool (*copies_from)(const pb_store *destination, const pb_store *source);
    void (*submit)(pb_store *store, pb_store_request *request);
} pb_store_driver;

/* What a plain ETag of this store is, where the driver takes it for an MD5. */
typedef enum pb_store_etags {
    PB_ETAGS_UNKNOWN, /* taken for MD5s until a PUT has shown it */
    PB_ETAGS_MD5,
    PB_ETAGS_OPAQUE,
    PB_ETAGS_UNKEPT, /* and reading the object showed another one than writing it, which may show
                        none that counts */
} pb_store_etags;

struct pb_store_config {
    const pb_store_driver *driver;
    pb_location location; /* a copy */
    pb_store_resolve_options options;
    char *name;     /* "source s3://bucket/prefix/" */
    void *settings; /* the driver's, read-only once stores are open */
    /* Found out by any loop, or known from before (pb_store_know). */
    atomic_bool refuses_copies, refuses_part_copies, wants_content_md5;
    _Atomic pb_store_etags etags;
    atomic_bool has_own_object, has_tags; /* was seen by any loop */
    atomic_bool speaks;                   /* an answer of it was read: it is a store of this kind */
};

struct pb_store {
    pb_store_config *config;
    uv_loop_t *loop;
    pb_http *http;
    pb_store_capabilities capabilities;
    pb_store_capabilities opaque[2]; /* where ETags are no MD5s: kept, and not kept */
    void *state;                     /* the driver's */
};

extern const pb_store_driver pb_store_s3_driver;
extern const pb_store_driver pb_store_gcs_driver;
extern const pb_store_driver pb_store_file_driver;

#endif
