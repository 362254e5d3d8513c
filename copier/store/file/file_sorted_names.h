/* copier/store/file/file_sorted_names.h - the names in one directory, sorted in the order of keys.
 *
 * What a listing holds of a directory: names only. Directories of many names are kept in a small
 * cache and shared, so that a hundred shards of one flat directory do not read it a hundred times;
 * a kept one is used only while the directory's times prove it unchanged. Blocks: for the thread
 * pool. */
#ifndef PB_COPIER_STORE_FILE_FILE_SORTED_NAMES_H
#define PB_COPIER_STORE_FILE_FILE_SORTED_NAMES_H

#include "copier/store/file/file_tree.h"

typedef enum pb_file_name_kind {
    PB_FILE_NAME_FILE,
    PB_FILE_NAME_DIRECTORY,
    PB_FILE_NAME_FOREIGN, /* no key: a link, a device, or a name that this driver does not write */
} pb_file_name_kind;

typedef struct pb_file_name {
    uint64_t offset; /* of its text in `texts` */
    uint16_t size;
    uint8_t kind;
    bool plain; /* the text, less a directory's slash, is the name on disk */
} pb_file_name;

typedef struct pb_file_names {
    unsigned references;
    /* What follows the directory's own key, NUL-terminated; a directory's ends in '/', which is how
     * it sorts. A foreign one is followed by its path below the directory, NUL-terminated too. */
    pb_buffer texts;
    pb_file_name *list; /* sorted, each text once */
    size_t count;
    size_t capacity;
    bool whole;         /* all of it from this one directory */
    struct stat status; /* of the directory when it was read */
} pb_file_names;

typedef struct pb_file_names_cache pb_file_names_cache;
pb_file_names_cache *pb_file_names_cache_new(void); /* any threads */
void pb_file_names_cache_free(pb_file_names_cache *cache);

/* Reads the names of an open directory (its offset moves), `path` below the root. To be released.
 */
int pb_file_names_read(pb_file_tree *tree, pb_file_names_cache *cache, int directory,
                       const char *path, pb_file_names **ret_names, pb_error *error);
void pb_file_names_release(pb_file_names_cache *cache, pb_file_names *names);

static inline pb_slice pb_file_names_text(const pb_file_names *names, const pb_file_name *name)
{
    return (pb_slice){names->texts.data + name->offset, name->size};
}

/* True where some key may begin with the directory `path` below the root: a file, however deep.
 * Reads no further than it must. -1 on error. */
int pb_file_names_any(const pb_file_tree *tree, int root, const char *path, pb_error *error);

#endif
