/* copier/store/file/file_tree.h - opening, making and removing what lies below a bucket's
 * directory.
 *
 * No symbolic link below the root is ever followed: openat2(2) sees to it in one step, and where
 * the kernel has none, each component is opened by itself. Everything here blocks: for the thread
 * pool. A pb_file_tree may be used by all threads at once. */
#ifndef PB_COPIER_STORE_FILE_FILE_TREE_H
#define PB_COPIER_STORE_FILE_FILE_TREE_H

#include "base/bytes.h"
#include "base/error.h"
#include <sys/stat.h>
#include <uv.h>

typedef struct pb_file_tree {
    char *root;       /* absolute, without trailing slash: "" is "/" */
    bool has_openat2; /* may be cleared for tests */
    bool is_source;   /* its files are compared with what was copied of them: pb_file_changed_ms */
    /* Written while a file gives way to a directory of its name, read while names are published,
     * removed or listed: in between, a key has no plain name. Other processes see at worst a
     * create-only write of that very key win at that very moment. */
    uv_rwlock_t giving_way;
} pb_file_tree;

/* `root` as in pb_location.bucket; copied. Nothing is opened. */
void pb_file_tree_init(pb_file_tree *tree, const char *root);
void pb_file_tree_free(pb_file_tree *tree);

/* Opens the root, which may itself be a symbolic link; with `make`, creates it and what lies above.
 * Returns a descriptor, or -1: NOT_FOUND (with a hint) where it is missing. */
int pb_file_tree_root(const pb_file_tree *tree, bool make, pb_error *error);

/* Opens a relative path below a directory; "" is the directory itself. Returns a descriptor, or -1
 * with errno: ELOOP for any symbolic link in it. */
int pb_file_tree_open(const pb_file_tree *tree, int directory, const char *path, int flags);

/* Counts attempts, from *attempts = 0, at what other threads may undo as we do it. True at once at
 * first, then after waits that grow (half a second in all), false with EBUSY in errno when it is
 * enough. */
bool pb_file_attempt(unsigned *attempts);

/* An error in words for a path below the root: "open /srv/backup/a: Permission denied". */
int pb_file_tree_error(const pb_file_tree *tree, pb_error *error, int errnum, const char *what,
                       const char *path);

/* Where the file of a key stands, and where it stands aside. */
typedef struct pb_file_place {
    pb_buffer path;       /* below the root; the plain one */
    int directory;        /* holds `name` */
    const char *name;     /* the last name of path */
    pb_buffer aside_path; /* below `directory` */
    int aside_directory;  /* holds `aside_name`; -1 until pb_file_place_find_aside */
    const char *aside_name;
} pb_file_place;

/* Opens the directory of a key's place. With `make`, creates what is missing (durably), and a file
 * that stands where a directory must be goes aside. Without, a missing directory is NOT_FOUND. On
 * success, to be closed. */
int pb_file_place_open(pb_file_tree *tree, pb_slice key, bool make, pb_file_place *ret_place,
                       pb_error *error);
/* Opens aside_directory: `directory` itself, but for names so long that %leaf starts a new one;
 * with `make`, creates it. 0, or -1 with errno, ENOENT where it is missing. */
int pb_file_place_find_aside(const pb_file_tree *tree, pb_file_place *place, bool make);
/* Removes aside_directory where it is one of its own and empty. Quiet. */
void pb_file_place_prune_aside(const pb_file_place *place);
void pb_file_place_forget_aside(pb_file_place *place); /* to be found again */
void pb_file_place_close(pb_file_place *place);

/* Makes names in a directory durable. 0, or -1 with errno. Any kind of directory descriptor. */
int pb_file_directory_sync(int directory);

/* Removes the directory `path` below the root, then those above it, as long as they are empty.
 * Quiet: an empty directory is no key. */
void pb_file_tree_prune(const pb_file_tree *tree, int root, pb_slice path);

#endif
