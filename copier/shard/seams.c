#include "copier/shard/seams.h"

#include <pthread.h>
#include <stdlib.h>

enum { SLOTS = 256 };

typedef struct seam {
    struct seam *next;
    char *at, *last;
    pb_sight_kind left, right;
    char *left_key, *right_key;
} seam;

struct pb_seams {
    pthread_mutex_t lock;
    seam *slots[SLOTS];
    size_t apart; /* both sides saw something, and not the same */
};

pb_seams *pb_seams_new(void)
{
    pb_seams *seams = pb_allocate_zeroed(1, sizeof *seams);
    pthread_mutex_init(&seams->lock, NULL);
    return seams;
}

static void seam_free(seam *gone)
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
            seam *gone = seams->slots[i];
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
static seam **find(pb_seams *seams, pb_slice at)
{
    seam **place = &seams->slots[slot_of(at)];
    while (*place && !pb_slice_equal(pb_slice_of((*place)->at), at))
        place = &(*place)->next;
    if (!*place) {
        *place = pb_allocate_zeroed(1, sizeof **place);
        (*place)->at = pb_duplicate(at);
    }
    return place;
}

static bool fits(const seam *of)
{
    if (of->left == PB_SIGHT_EXACT)
        return true;
    return of->left == of->right && of->left != PB_SIGHT_UNKNOWN &&
           pb_slice_equal(pb_slice_of(of->left_key), pb_slice_of(of->right_key));
}

/* Drops a seam that fits; counts one that does not. Under the lock. */
static bool settle(pb_seams *seams, seam **place)
{
    seam *of = *place;
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
    seam **place = find(seams, at);
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
    seam **place = find(seams, at);
    (*place)->right = sight.kind;
    (*place)->right_key = pb_duplicate(sight.key);
    bool few = settle(seams, place);
    pthread_mutex_unlock(&seams->lock);
    return few;
}

static bool is_open(const seam *of)
{
    return of->left != PB_SIGHT_NONE && of->left != PB_SIGHT_EXACT;
}

bool pb_seams_are_open(pb_seams *seams)
{
    bool found = false;
    pthread_mutex_lock(&seams->lock);
    for (size_t i = 0; i < SLOTS; i++)
        for (const seam *of = seams->slots[i]; of; of = of->next)
            found |= is_open(of);
    pthread_mutex_unlock(&seams->lock);
    return found;
}

bool pb_seams_take(pb_seams *seams, pb_buffer *ret_at, pb_buffer *ret_last)
{
    bool found = false;
    pthread_mutex_lock(&seams->lock);
    for (size_t i = 0; i < SLOTS && !found; i++)
        while (seams->slots[i] && !found) {
            seam *of = seams->slots[i];
            found = is_open(of);
            if (found) {
                pb_buffer_clear(ret_at);
                pb_buffer_append_text(ret_at, of->at);
                pb_buffer_clear(ret_last);
                pb_buffer_append_text(ret_last, of->last);
            }
            seams->slots[i] = of->next;
            seam_free(of);
        }
    pthread_mutex_unlock(&seams->lock);
    return found;
}
