#include "cluster/boundary/restore_policy.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* ---- dumps and captures ---- */

static int refuse_kind(const pb_artifact *artifact, pb_error *error)
{
    bool all = artifact->kind == PB_ARTIFACT_DUMP_ALL;
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is a dump of %s, and --dump %s was asked for: snapshot.json alone does not "
                 "choose what psql gets",
                 artifact->path, all ? "a whole server by pg_dumpall" : "one database by pg_dump",
                 all ? "databases" : "all");
    return pb_error_hint(error, "say --dump %s if that is how the backup was made, or --dump none",
                         all ? "all" : "databases");
}

static int refuse_plaintext(const pb_artifact *artifact, pb_error *error)
{
    pb_error_set(error, PB_ERROR_USAGE,
                 "%s is not encrypted, though --identity is given: whoever can write to the "
                 "repository can have put it there",
                 artifact->path);
    return pb_error_hint(error, "say --plaintext if the backup was made with --plaintext, and you "
                                "trust all who write to the repository");
}

static int check_artifact(const pb_restore_policy *policy, const pb_artifact *artifact,
                          pb_error *error)
{
    if (artifact->kind == PB_ARTIFACT_OBJECTS) {
        if (!policy->takes_objects)
            return 0;
    } else {
        if (!policy->takes_databases && !policy->takes_server)
            return 0;
        if (!(artifact->kind == PB_ARTIFACT_DUMP_ALL ? policy->takes_server
                                                     : policy->takes_databases))
            return refuse_kind(artifact, error);
    }
    if (policy->has_identity && !artifact->encrypted && !policy->plaintext)
        return refuse_plaintext(artifact, error);
    return 0;
}

int pb_policy_check_record(const pb_restore_policy *policy, const pb_cluster_record *record,
                           pb_error *error)
{
    for (size_t i = 0; i < record->artifact_count; i++)
        if (check_artifact(policy, &record->artifacts[i], error))
            return -1;
    return 0;
}

/* ---- backslash commands ---- */

static bool take(pb_slice *text, const char *start)
{
    pb_slice wanted = pb_slice_of(start);
    if (!pb_slice_starts_with(*text, wanted))
        return false;
    text->data += wanted.size;
    text->size -= wanted.size;
    return true;
}

/* What pg_dumpall writes without quotes in a connection string. */
static bool is_plain(pb_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!isalnum((unsigned char)text.data[i]) && text.data[i] != '_' && text.data[i] != '.')
            return false;
    return text.size > 0;
}

/* dbname=NAME or dbname='NAME' to the end: another member might name another server. `"` is
 * doubled, as all stands in such quotes. */
static bool is_database_alone(pb_slice text)
{
    if (!take(&text, "dbname="))
        return false;
    if (is_plain(text))
        return true;
    if (text.size < 3 || text.data[0] != '\'' || text.data[text.size - 1] != '\'')
        return false;
    for (size_t i = 1; i < text.size - 1; i++) {
        char c = text.data[i];
        if (c == '\'')
            return false;
        if (c == '\\' || c == '"') {
            char next = text.data[++i];
            if (i == text.size - 1 || (c == '"' ? next != '"' : next != '\\' && next != '\''))
                return false;
        }
    }
    return true;
}

static bool is_connect(pb_slice text)
{
    bool reuses = take(&text, "-reuse-previous=on ");
    bool quoted = text.size > 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    pb_slice inner = quoted ? (pb_slice){text.data + 1, text.size - 2} : text;
    return reuses ? quoted && is_database_alone(inner) : is_plain(inner);
}

pb_meta_command pb_policy_meta_command(pb_slice line)
{
    for (size_t i = 0; i < line.size; i++)
        if (iscntrl((unsigned char)line.data[i]))
            return PB_META_REFUSED;
    if (take(&line, "\\connect "))
        return is_connect(line) ? PB_META_CONNECT : PB_META_REFUSED;
    if (!take(&line, "\\restrict ") && !take(&line, "\\unrestrict "))
        return PB_META_REFUSED;
    return is_plain(line) ? PB_META_RESTRICT : PB_META_REFUSED;
}

/* ---- statements ---- */

static void skip_blanks(pb_slice *text)
{
    while (text->size && isspace((unsigned char)text->data[0])) {
        text->data++;
        text->size--;
    }
}

static bool is_name_part(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (c & 0x80);
}

static bool take_sign(pb_slice *text, char sign)
{
    skip_blanks(text);
    if (!text->size || text->data[0] != sign)
        return false;
    text->data++;
    text->size--;
    return true;
}

/* A name, or a "name" with each quote in it doubled. */
static bool take_name(pb_slice *text)
{
    size_t size = 0;
    if (!take_sign(text, '"')) {
        while (size < text->size && is_name_part(text->data[size]))
            size++;
        text->data += size;
        text->size -= size;
        return size > 0;
    }
    while (text->size) {
        const char *end = memchr(text->data, '"', text->size);
        if (!end)
            return false;
        size_t taken = (size_t)(end - text->data) + 1;
        text->data += taken;
        text->size -= taken;
        if (!text->size || text->data[0] != '"')
            return true;
        text->data++;
        text->size--;
    }
    return false;
}

static bool take_word(pb_slice *text, const char *word)
{
    size_t size = strlen(word);
    skip_blanks(text);
    if (text->size < size || strncasecmp(text->data, word, size) != 0 ||
        (text->size > size && is_name_part(text->data[size])))
        return false;
    text->data += size;
    text->size -= size;
    return true;
}

static bool takes_rows(pb_slice text)
{
    if (!take_name(&text) || (take_sign(&text, '.') && !take_name(&text)))
        return false;
    if (take_sign(&text, '(')) {
        do
            if (!take_name(&text))
                return false;
        while (take_sign(&text, ','));
        if (!take_sign(&text, ')'))
            return false;
    }
    if (!take_word(&text, "FROM") || !take_word(&text, "stdin"))
        return false;
    skip_blanks(&text);
    return !text.size;
}

pb_statement pb_policy_statement(pb_slice text)
{
    if (!take_word(&text, "COPY"))
        return PB_STATEMENT_OTHER;
    return takes_rows(text) ? PB_STATEMENT_ROWS : PB_STATEMENT_REFUSED;
}
