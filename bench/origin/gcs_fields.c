#include "bench/origin/gcs_fields.h"

/* https://cloud.google.com/storage/docs/json_api/v1/objects#resource */
static const char *const object_members[] = {
    "kind",
    "id",
    "selfLink",
    "mediaLink",
    "name",
    "bucket",
    "generation",
    "metageneration",
    "contentType",
    "storageClass",
    "size",
    "md5Hash",
    "cacheControl",
    "contentDisposition",
    "contentEncoding",
    "contentLanguage",
    "crc32c",
    "componentCount",
    "etag",
    "timeCreated",
    "updated",
    "timeStorageClassUpdated",
    "timeFinalized",
    "metadata",
    /* Known, but nothing here has them. */
    "acl",
    "contexts",
    "customTime",
    "customerEncryption",
    "eventBasedHold",
    "hardDeleteTime",
    "kmsKeyName",
    "owner",
    "restoreToken",
    "retention",
    "retentionExpirationTime",
    "softDeleteTime",
    "temporaryHold",
    "timeDeleted",
};

static const char *const list_members[] = {"kind", "nextPageToken", "prefixes", "items"};

static const char *const rewrite_members[] = {
    "kind", "totalBytesRewritten", "objectSize", "done", "rewriteToken", "resource",
};

/* https://cloud.google.com/storage/docs/json_api/v1/buckets#resource */
static const char *const bucket_members[] = {
    "kind",
    "id",
    "selfLink",
    "name",
    "projectNumber",
    "metageneration",
    "location",
    "locationType",
    "storageClass",
    "etag",
    "timeCreated",
    "updated",
    "billing",
    "acl",
    "autoclass",
    "cors",
    "customPlacementConfig",
    "defaultEventBasedHold",
    "defaultObjectAcl",
    "encryption",
    "generation",
    "hardDeleteTime",
    "hierarchicalNamespace",
    "iamConfiguration",
    "ipFilter",
    "labels",
    "lifecycle",
    "logging",
    "objectRetention",
    "owner",
    "retentionPolicy",
    "rpo",
    "satisfiesPZI",
    "satisfiesPZS",
    "softDeletePolicy",
    "softDeleteTime",
    "versioning",
    "website",
};

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

/* What may be named, and which of it holds an object's resource (-1: nothing does). */
typedef struct scope {
    const char *const *names;
    int count;
    int resource;
} scope;

static const scope scopes[] = {
    [PB_ORIGIN_GCS_SHAPE_OBJECT] = {object_members, COUNT(object_members), -1},
    [PB_ORIGIN_GCS_SHAPE_LIST] = {list_members, COUNT(list_members), PB_ORIGIN_GCS_LIST_ITEMS},
    [PB_ORIGIN_GCS_SHAPE_REWRITE] = {rewrite_members, COUNT(rewrite_members),
                                     PB_ORIGIN_GCS_REWRITE_RESOURCE},
    [PB_ORIGIN_GCS_SHAPE_BUCKET] = {bucket_members, COUNT(bucket_members), -1},
};

static pb_slice take_name(pb_slice *text)
{
    size_t size = 0;
    while (size < text->size && !memchr(",/()", text->data[size], 4)) {
        size++;
    }
    pb_slice name = {text->data, size};
    *text = (pb_slice){text->data + size, text->size - size};
    return name;
}

static bool take_mark(pb_slice *text, char mark)
{
    if (text->size == 0 || text->data[0] != mark) {
        return false;
    }
    *text = (pb_slice){text->data + 1, text->size - 1};
    return true;
}

static int find_name(const scope *within, pb_slice name)
{
    for (int i = 0; i < within->count; i++) {
        if (pb_slice_equal(name, pb_slice_of(within->names[i]))) {
            return i;
        }
    }
    return -1;
}

/* One selection of the object's resource. */
static bool take_object_member(pb_slice *text, uint64_t *set, pb_slice *ret_wrong)
{
    pb_slice name = take_name(text);
    if (pb_slice_equal(name, PB_SLICE_LITERAL("*"))) {
        *set = UINT64_MAX;
        return true;
    }
    int found = find_name(&scopes[PB_ORIGIN_GCS_SHAPE_OBJECT], name);
    if (found < 0 || (text->size > 0 && memchr("/(", text->data[0], 2))) {
        /* Parts of metadata can be asked for at Google's: nobody who does that comes here. */
        *ret_wrong = name;
        return false;
    }
    *set |= (uint64_t)1 << found;
    return true;
}

bool pb_origin_gcs_fields_parse(pb_slice text, pb_origin_gcs_shape shape,
                                pb_origin_gcs_fields *ret_fields, pb_slice *ret_wrong)
{
    const scope *within = &scopes[shape];
    pb_origin_gcs_fields found = {0, 0};
    do {
        if (shape == PB_ORIGIN_GCS_SHAPE_OBJECT) {
            if (!take_object_member(&text, &found.object, ret_wrong)) {
                return false;
            }
            continue;
        }
        pb_slice name = take_name(&text);
        if (pb_slice_equal(name, PB_SLICE_LITERAL("*"))) {
            found = PB_ORIGIN_GCS_ALL_FIELDS;
            continue;
        }
        int member = find_name(within, name);
        *ret_wrong = name;
        if (member < 0) {
            return false;
        }
        found.outer |= (uint64_t)1 << member;
        bool nests = text.size > 0 && (text.data[0] == '/' || text.data[0] == '(');
        if (member != within->resource) {
            if (nests) {
                return false;
            }
        } else if (take_mark(&text, '/')) {
            if (!take_object_member(&text, &found.object, ret_wrong)) {
                return false;
            }
        } else if (take_mark(&text, '(')) {
            do {
                if (!take_object_member(&text, &found.object, ret_wrong)) {
                    return false;
                }
            } while (take_mark(&text, ','));
            if (!take_mark(&text, ')')) {
                *ret_wrong = text;
                return false;
            }
        } else {
            found.object = UINT64_MAX;
        }
    } while (take_mark(&text, ','));
    if (text.size > 0) {
        *ret_wrong = text;
        return false;
    }
    *ret_fields = found;
    return true;
}

const char *pb_origin_gcs_member_name(pb_origin_gcs_member member)
{
    return object_members[member];
}

bool pb_origin_gcs_is_member(pb_slice name)
{
    return find_name(&scopes[PB_ORIGIN_GCS_SHAPE_OBJECT], name) >= 0;
}
