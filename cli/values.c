#include "cli/values.h"

#include "base/codec.h"
#include "manifest/snapshot_id.h"
#include <inttypes.h>

void *pb_options_member(pb_options *options, size_t offset)
{
    return (char *)options + offset;
}

void pb_options_init(pb_options *ret_options)
{
    *ret_options = (pb_options){0};
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++) {
        void *member = pb_options_member(ret_options, options[i].offset);
        if (options[i].standard)
            *(uint64_t *)member = options[i].standard;
        else if (options[i].standard_text)
            *(const char **)member = options[i].standard_text;
    }
}

void pb_options_free(pb_options *options)
{
    pb_arena_free(&options->arena);
    *options = (pb_options){0};
}

static int take_number(const pb_option_entry *option, const char *where, const char *value,
                       uint64_t *ret_number, pb_error *error)
{
    uint64_t number = 0;
    if (!pb_parse_unsigned(pb_slice_of(value), &number) || number < option->least ||
        number > option->most)
        return pb_error_set(error, PB_ERROR_USAGE,
                            "%s: \"%s\" is not a whole number from %" PRIu64 " to %" PRIu64, where,
                            value, option->least, option->most);
    *ret_number = number;
    return 0;
}

static int take_grace(const pb_option_entry *option, const char *where, const char *value,
                      uint64_t *ret_seconds, pb_error *error)
{
    uint64_t seconds;
    if (!pb_parse_unsigned(pb_slice_of(value), &seconds) || seconds)
        return take_number(option, where, value, ret_seconds, error);
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s: 0 leaves a pod no time to write what it holds, and Kubernetes does not even "
                 "wait until it has ended",
                 where);
    return pb_error_hint(error, "give at least 1, or leave it out: then pods have the time that "
                                "their own specs give them");
}

static int take_size(const pb_option_entry *option, const char *where, const char *value,
                     uint64_t *ret_bytes, pb_error *error)
{
    uint64_t bytes = 0;
    if (!pb_parse_size(pb_slice_of(value), &bytes)) {
        pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is not a size", where, value);
        return pb_error_hint(error, "write bytes, or a number with K, M, G or T, as 512M");
    }
    if (bytes < option->least) {
        bool mebi = option->least >> 20 > 0;
        return pb_error_set(error, PB_ERROR_USAGE,
                            "%s: %s is too little: give at least %" PRIu64 "%c", where, value,
                            option->least >> (mebi ? 20 : 10), mebi ? 'M' : 'K');
    }
    if (bytes > option->most)
        return pb_error_set(error, PB_ERROR_USAGE, "%s: %s is too much: give at most %" PRIu64 "G",
                            where, value, option->most >> 30);
    *ret_bytes = bytes;
    return 0;
}

static int take_duration(const pb_option_entry *option, const char *where, const char *value,
                         uint64_t *ret_seconds, pb_error *error)
{
    uint64_t seconds = 0;
    if (pb_parse_duration(pb_slice_of(value), &seconds) && seconds >= option->least &&
        seconds <= option->most) {
        *ret_seconds = seconds;
        return 0;
    }
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s: \"%s\" is not a duration from %" PRIu64 " s to %" PRIu64 " d", where, value,
                 option->least, option->most / (24 * 60 * 60));
    return pb_error_hint(error, "write seconds, or a number with s, m, h or d, as 30m");
}

static int take_checksum(const char *where, const char *value, pb_hash_kind *ret_checksum,
                         pb_error *error)
{
    bool sha256 = strcmp(value, "sha256") == 0;
    if (!sha256 && strcmp(value, "crc32c") != 0)
        return pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is not sha256 or crc32c", where,
                            value);
    *ret_checksum = sha256 ? PB_HASH_SHA256 : PB_HASH_CRC32C;
    return 0;
}

static bool is_choice(const pb_option_entry *option, const char *value)
{
    size_t size = strlen(value);
    for (const char *word = option->value; *word;) {
        size_t word_size = strcspn(word, "|");
        if (word_size == size && memcmp(word, value, size) == 0)
            return true;
        word += word_size + (word[word_size] == '|');
    }
    return false;
}

static int refuse_choice(const pb_option_entry *option, const char *where, const char *value,
                         pb_error *error)
{
    pb_buffer words = {0};
    pb_option_append_choices(option, &words);
    pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is not %s", where, value, words.data);
    pb_buffer_free(&words);
    return -1;
}

/* Grows where the count is a power of two: a file may hold thousands of items. */
static void add_to_list(pb_arena *arena, pb_text_list *list, const char *value)
{
    if ((list->count & (list->count - 1)) == 0) {
        size_t capacity = list->count ? 2 * list->count : 1;
        const char **items = pb_arena_allocate(arena, capacity * sizeof *items);
        if (list->count)
            memcpy(items, list->items, list->count * sizeof *items);
        list->items = items;
    }
    list->items[list->count++] = value;
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool pb_namespace_valid(pb_slice name)
{
    if (name.size < 1 || name.size > 63)
        return false;
    for (size_t i = 0; i < name.size; i++) {
        bool is_end = i == 0 || i == name.size - 1;
        if (!is_letter_or_digit(name.data[i]) && (is_end || name.data[i] != '-'))
            return false;
    }
    return true;
}

int pb_options_take(pb_options *options, const pb_option_entry *option, const char *where,
                    const char *value, pb_error *error)
{
    void *member = pb_options_member(options, option->offset);
    switch (option->kind) {
    case PB_OPTION_FLAG:
        *(bool *)member = true;
        return 0;
    case PB_OPTION_COUNTED:
        *(uint64_t *)member += 1;
        return 0;
    case PB_OPTION_NUMBER:
        return take_number(option, where, value, member, error);
    case PB_OPTION_GRACE:
        return take_grace(option, where, value, member, error);
    case PB_OPTION_SIZE:
        return take_size(option, where, value, member, error);
    case PB_OPTION_DURATION:
        return take_duration(option, where, value, member, error);
    case PB_OPTION_CHECKSUM:
        return take_checksum(where, value, member, error);
    case PB_OPTION_CHOICE:
        if (!is_choice(option, value))
            return refuse_choice(option, where, value, error);
        break;
    case PB_OPTION_SNAPSHOT:
        if (!pb_snapshot_id_valid(pb_slice_of(value))) {
            pb_error_set(error, PB_ERROR_USAGE, "%s: \"%s\" is not a snapshot's id", where, value);
            return pb_error_hint(error, "`pbcopy snapshots REPOSITORY` lists them");
        }
        break;
    case PB_OPTION_NAMESPACE:
        if (!pb_namespace_valid(pb_slice_of(value)))
            return pb_error_set(error, PB_ERROR_USAGE,
                                "%s: \"%s\" is not a namespace's name: lower-case letters, digits "
                                "and dashes, 63 at most",
                                where, value);
        break;
    case PB_OPTION_TEXT:
    case PB_OPTION_LIST:
        if (!value[0])
            return pb_error_set(error, PB_ERROR_USAGE, "%s: the value is empty: name a %s", where,
                                option->value);
        if (option->kind == PB_OPTION_LIST) {
            add_to_list(&options->arena, member, value);
            return 0;
        }
        break;
    case PB_OPTION_PREFIX:
        break;
    }
    *(const char **)member = value;
    return 0;
}

static bool is_on(pb_options *options, const pb_option_entry *option)
{
    const void *member = pb_options_member(options, option->offset);
    if (option->kind == PB_OPTION_LIST)
        return ((const pb_text_list *)member)->count > 0;
    return option->kind == PB_OPTION_COUNTED ? *(const uint64_t *)member > 0
                                             : *(const bool *)member;
}

static void put_out(pb_options *options, const pb_option_entry *option)
{
    void *member = pb_options_member(options, option->offset);
    if (option->kind == PB_OPTION_LIST)
        *(pb_text_list *)member = (pb_text_list){0};
    else if (option->kind == PB_OPTION_COUNTED)
        *(uint64_t *)member = 0;
    else
        *(bool *)member = false;
}

int pb_options_settle(pb_options *options, const bool *before, const char *file, pb_error *error)
{
    static const char *const pairs[][3] = {
        {"quiet", "verbose", "contradict each other: choose one"},
        {"records", "json", "both print to standard output: choose one (records are JSON already)"},
        {"plaintext", "recipient", "contradict each other: choose one"},
    };
    size_t count;
    const pb_option_entry *entries = pb_option_entries(&count);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const pb_option_entry *a = pb_option_entry_named(pb_slice_of(pairs[i][0]));
        const pb_option_entry *b = pb_option_entry_named(pb_slice_of(pairs[i][1]));
        if (!is_on(options, a) || !is_on(options, b))
            continue;
        if (before[a - entries] || before[b - entries])
            put_out(options, before[a - entries] ? b : a);
        else if (file)
            return pb_error_set(error, PB_ERROR_USAGE, "%s: %s and %s %s", file, a->name, b->name,
                                pairs[i][2]);
        else
            return pb_error_set(error, PB_ERROR_USAGE, "options --%s and --%s %s", a->name, b->name,
                                pairs[i][2]);
    }
    return 0;
}
