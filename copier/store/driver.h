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

struct pb_store_config {
    const pb_store_driver *driver;
    pb_location location; /* a copy */
    pb_store_resolve_options options;
    char *name;     /* "source s3://bucket/prefix/" */
    void *settings; /* the driver's, read-only once stores are open */
    atomic_bool refuses_copies, refuses_part_copies; /* learned by any loop */
};

struct pb_store {
    pb_store_config *config;
    uv_loop_t *loop;
    pb_http *http;
    pb_store_capabilities capabilities;
    void *state; /* the driver's */
};

extern const pb_store_driver pb_store_s3_driver;
extern const pb_store_driver pb_store_gcs_driver;
extern const pb_store_driver pb_store_file_driver;

#endif
