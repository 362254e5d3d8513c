#include "copier/shard/seams.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 256 };

typedef struct open_seam {
    struct open_seam *next;
    char *at, *last;
    pb_sight_kind left, right;
    char *left_key, *right_key;
} open_seam;

struct pb_seams {
    pthread_mutex_t lock;
    open_seam *slots[SLOTS];
    size_t apart; /* both sides saw something, and not the same */
};

pb_seams *pb_seams_new(void)
{
    pb_seams *seams = pb_allocate_zeroed(1, sizeof *seams);
    pthread_mutex_init(&seams->lock, NULL);
    return seams;
}

static void seam_free(open_seam *gone)
{
    free(gone->at);
    free(gone->last);
    free(gone->left_key);
    free(gone->right_key);
    free(gone);
}

void pb_seams_free(pb_seams *seams)
{
    if (!seams)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        while (seams->slots[i]) {
            open_seam *gone = seams->slots[i];
            seams->slots[i] = gone->next;
            seam_free(gone);
        }
    pthread_mutex_destroy(&seams->lock);
    free(seams);
}

/* FNV-1a. */
static size_t slot_of(pb_slice key)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ (unsigned char)key.data[i]) * 16777619u;
    return hash % SLOTS;
}

/* Where the seam at a key hangs; made where it is not there. */
static open_seam **find(pb_seams *seams, pb_slice at)
{
    open_seam **place = &seams->slots[slot_of(at)];
    while (*place && !pb_slice_equal(pb_slice_of((*place)->at), at))
        place = &(*place)->next;
    if (!*place) {
        *place = pb_allocate_zeroed(1, sizeof **place);
        (*place)->at = pb_duplicate(at);
    }
    return place;
}

static bool fits(const open_seam *of)
{
    if (of->left == PB_SIGHT_EXACT)
        return true;
    return of->left == of->right && of->left != PB_SIGHT_UNKNOWN &&
           pb_slice_equal(pb_slice_of(of->left_key), pb_slice_of(of->right_key));
}

/* Drops a seam that fits; counts one that does not. Under the lock. */
static bool settle(pb_seams *seams, open_seam **place)
{
    open_seam *of = *place;
    if (!of->left || !of->right)
        return true;
    if (fits(of)) {
        *place = of->next;
        seam_free(of);
    } else if (of->left != PB_SIGHT_UNKNOWN && of->right != PB_SIGHT_UNKNOWN) {
        seams->apart++;
    }
    return seams->apart <= PB_SEAMS_APART_MAX;
}

bool pb_seams_left(pb_seams *seams, pb_slice at, pb_slice last, pb_sight sight)
{
    pthread_mutex_lock(&seams->lock);
    open_seam **place = find(seams, at);
    (*place)->last = pb_duplicate(last);
    (*place)->left = sight.kind;
    (*place)->left_key = pb_duplicate(sight.key);
    bool few = settle(seams, place);
    pthread_mutex_unlock(&seams->lock);
    return few;
}

bool pb_seams_right(pb_seams *seams, pb_slice at, pb_sight sight)
{
    pthread_mutex_lock(&seams->lock);
    open_seam **place = find(seams, at);
    (*place)->right = sight.kind;
    (*place)->right_key = pb_duplicate(sight.key);
    bool few = settle(seams, place);
    pthread_mutex_unlock(&seams->lock);
    return few;
}

static bool is_open(const open_seam *of)
{
    return of->left != PB_SIGHT_NONE && of->left != PB_SIGHT_EXACT;
}

bool pb_seams_are_open(pb_seams *seams)
{
    bool found = false;
    pthread_mutex_lock(&seams->lock);
    for (size_t i = 0; i < SLOTS; i++)
        for (const open_seam *of = seams->slots[i]; of; of = of->next)
            found |= is_open(of);
    pthread_mutex_unlock(&seams->lock);
    return found;
}

static void set_text(pb_buffer *buffer, const char *text)
{
    pb_buffer_clear(buffer);
    pb_buffer_append_text(buffer, text ? text : "");
}

void pb_seam_free(pb_seam *seam)
{
    pb_buffer_free(&seam->at);
    pb_buffer_free(&seam->last);
    for (int side = 0; side < 2; side++)
        pb_buffer_free(&seam->seen[side]);
}

bool pb_seams_take(pb_seams *seams, pb_seam *ret_seam)
{
    bool found = false;
    pthread_mutex_lock(&seams->lock);
    for (size_t i = 0; i < SLOTS && !found; i++)
        while (seams->slots[i] && !found) {
            open_seam *of = seams->slots[i];
            found = is_open(of);
            if (found) {
                set_text(&ret_seam->at, of->at);
                set_text(&ret_seam->last, of->last);
                set_text(&ret_seam->seen[0], of->left_key);
                set_text(&ret_seam->seen[1], of->right_key);
            }
            seams->slots[i] = of->next;
            seam_free(of);
        }
    pthread_mutex_unlock(&seams->lock);
    return found;
}
