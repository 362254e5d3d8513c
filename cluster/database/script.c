#include "cluster/database/script.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    /* A longer one is no COPY: that of 1600 columns, each with a name of 63 characters that all
     * need two, has less. */
    STATEMENT_BYTES_MAX = 256 * 1024,
    LINE_BYTES_MAX = 64 * 1024, /* kept of a comment or a meta-command */
    ROW_BYTES_MAX = 4096,       /* of chunk_objects */
    NAME_BYTES_MAX = 128,
    CHUNK_ID_BYTES_MAX = 256,
    COLUMNS_MAX = 64,
};

#define EXPECTED                                                                                   \
    "expected to find table storage.chunk_objects with columns chunk_id, gen, uploaded, "          \
    "tombstone"

typedef enum place {
    SQL,
    STRING,        /* '...' */
    ESCAPE_STRING, /* E'...' */
    ESCAPED,       /* behind a backslash in it */
    IDENTIFIER,    /* "..." */
    DOLLAR_TAG,    /* $tag, not at its second $ yet */
    DOLLAR,        /* $tag$ ... */
    DASH,          /* a first - */
    LINE_COMMENT,
    SLASH,
    BLOCK_COMMENT,
    META,     /* \connect ... */
    COPY_END, /* behind COPY ... FROM stdin; up to the end of its line */
    ROWS,     /* of COPY, at the start of a line */
    ROW,      /* in one that is of no interest */
} place;

struct pb_database_script {
    pb_database_script_options options;
    place place;
    pb_buffer statement; /* without comments */
    pb_buffer line;      /* a comment, a meta-command, a row, a dollar tag: what is being read */
    char tag[NAME_BYTES_MAX];
    size_t tag_matched; /* characters of the closing $tag$ so far */
    unsigned comment_depth;
    char before;  /* the character before, in SQL and block comments */
    char before2; /* the one before that, in SQL */
    bool escapes; /* the last string, or the one that is being read, is E'...' */
    bool is_chunks, found_chunks, complete, elsewhere;
    bool backslashes_escape; /* in '...': standard_conforming_strings is off */
    int columns[4];          /* places of chunk_id, gen, uploaded, tombstone */
};

enum { CHUNK_ID, GEN, UPLOADED, TOMBSTONE };

pb_database_script *pb_database_script_new(const pb_database_script_options *options)
{
    pb_database_script *script = pb_allocate_zeroed(1, sizeof *script);
    script->options = *options;
    script->elsewhere = options->database != NULL;
    return script;
}

void pb_database_script_free(pb_database_script *script)
{
    if (!script)
        return;
    pb_buffer_free(&script->statement);
    pb_buffer_free(&script->line);
    free(script);
}

/* ---- COPY ---- */

typedef struct cursor {
    const char *at;
} cursor;

static void skip_blanks(cursor *text)
{
    while (isspace((unsigned char)*text->at))
        text->at++;
}

static bool take_word(cursor *text, const char *word)
{
    skip_blanks(text);
    size_t size = strlen(word);
    if (strncasecmp(text->at, word, size) != 0 || isalnum((unsigned char)text->at[size]) ||
        text->at[size] == '_')
        return false;
    text->at += size;
    return true;
}

static bool take_sign(cursor *text, char sign)
{
    skip_blanks(text);
    if (*text->at != sign)
        return false;
    text->at++;
    return true;
}

static bool is_name_part(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

/* A name, or a "name" with each quote in it doubled. */
static bool take_name(cursor *text, char *ret_name)
{
    skip_blanks(text);
    size_t size = 0;
    bool quoted = *text->at == '"';
    if (quoted)
        text->at++;
    while (*text->at && size < NAME_BYTES_MAX - 1) {
        char c = *text->at;
        if (quoted && c == '"' && *++text->at != '"')
            break;
        if (!quoted && !is_name_part(c))
            break;
        ret_name[size++] = c;
        text->at++;
    }
    ret_name[size] = 0;
    return size && (!quoted || text->at[-1] == '"');
}

/* Is the statement COPY name.table (columns) FROM stdin? */
static bool parse_copy(const char *statement, char *schema, char *table, cursor *ret_columns)
{
    cursor text = {statement};
    if (!take_word(&text, "COPY") || !take_name(&text, schema) || !take_sign(&text, '.') ||
        !take_name(&text, table))
        return false;
    *ret_columns = text;
    const char *from = text.at;
    size_t size = strlen(from);
    /* Names with blanks and the like may stand between: its end is what tells. */
    static const char ending[] = "FROM stdin";
    return size >= sizeof ending - 1 && strcasecmp(from + size - (sizeof ending - 1), ending) == 0;
}

static int parse_columns(pb_database_script *script, cursor text, pb_error *error)
{
    static const char *const wanted[] = {"chunk_id", "gen", "uploaded", "tombstone"};
    char name[NAME_BYTES_MAX];
    for (int i = 0; i < 4; i++)
        script->columns[i] = -1;
    bool more = take_sign(&text, '(');
    for (int number = 0; more && number < COLUMNS_MAX; number++) {
        if (!take_name(&text, name))
            break;
        for (int i = 0; i < 4; i++)
            if (strcmp(name, wanted[i]) == 0)
                script->columns[i] = number;
        more = take_sign(&text, ',');
    }
    for (int i = 0; i < 4; i++)
        if (script->columns[i] < 0)
            return pb_error_set(error, PB_ERROR_FAILED, "%s: there is no column %s", EXPECTED,
                                wanted[i]);
    return 0;
}

/* pg_dump says at the start what the server had it set to. */
static void note_setting(pb_database_script *script)
{
    static const char start[] = "SET standard_conforming_strings = ";
    pb_slice statement = pb_buffer_slice(&script->statement);
    if (pb_slice_starts_with(statement, PB_SLICE_LITERAL(start)))
        script->backslashes_escape = strcmp(statement.data + sizeof start - 1, "off") == 0;
}

static int end_statement(pb_database_script *script, pb_error *error)
{
    char schema[NAME_BYTES_MAX], table[NAME_BYTES_MAX];
    cursor columns = {NULL};
    bool is_copy = script->statement.size && script->statement.size < STATEMENT_BYTES_MAX &&
                   parse_copy(script->statement.data, schema, table, &columns);
    script->complete = false; /* more came */
    note_setting(script);
    pb_buffer_clear(&script->statement);
    script->place = SQL;
    if (!is_copy)
        return 0;
    script->place = COPY_END;
    script->is_chunks = script->options.chunk && !script->elsewhere &&
                        strcmp(schema, "storage") == 0 && strcmp(table, "chunk_objects") == 0;
    if (!script->is_chunks)
        return 0;
    script->found_chunks = true;
    return parse_columns(script, columns, error);
}

/* ---- rows ---- */

/* bytea in COPY's text form: \\x and hex digits. */
static bool hex_of(pb_slice field, pb_slice *ret_hex)
{
    if (field.size < 5 || memcmp(field.data, "\\\\x", 3) != 0 || field.size % 2 == 0 ||
        field.size > 3 + 2 * CHUNK_ID_BYTES_MAX)
        return false;
    *ret_hex = pb_slice_from(field, 3);
    for (size_t i = 0; i < ret_hex->size; i++)
        if (!memchr("0123456789abcdef", ret_hex->data[i], 16))
            return false;
    return true;
}

/* A bigint as COPY has it: a minus and digits. */
static bool number_of(pb_slice field, unsigned long long *ret_number)
{
    char text[24];
    size_t minus = field.size && field.data[0] == '-';
    if (field.size == minus || field.size >= sizeof text)
        return false;
    for (size_t i = minus; i < field.size; i++)
        if (!isdigit((unsigned char)field.data[i]))
            return false;
    memcpy(text, field.data, field.size);
    text[field.size] = 0;
    errno = 0;
    *ret_number = (unsigned long long)strtoll(text, NULL, 10);
    return errno == 0;
}

static bool is_boolean(pb_slice field)
{
    return pb_slice_equal(field, PB_SLICE_LITERAL("t")) ||
           pb_slice_equal(field, PB_SLICE_LITERAL("f")) ||
           pb_slice_equal(field, PB_SLICE_LITERAL("\\N"));
}

static int refuse_row(pb_error *error)
{
    return pb_error_set(error, PB_ERROR_DAMAGED,
                        "a row of storage.chunk_objects is not of its form: chunk_id in hex, gen a "
                        "number, uploaded and tombstone t or f");
}

static int take_chunk_row(pb_database_script *script, pb_error *error)
{
    pb_slice fields[4] = {{NULL, 0}}, hex;
    const char *at = script->line.data, *end = at + script->line.size;
    for (int number = 0; at && at <= end; number++) {
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        pb_slice field = {at, (size_t)((tab ? tab : end) - at)};
        for (int i = 0; i < 4; i++)
            if (script->columns[i] == number)
                fields[i] = field;
        at = tab ? tab + 1 : NULL;
    }
    for (int i = 0; i < 4; i++)
        if (!fields[i].data)
            return pb_error_set(error, PB_ERROR_DAMAGED,
                                "a row of storage.chunk_objects has too few columns");
    if (!is_boolean(fields[UPLOADED]) || !is_boolean(fields[TOMBSTONE]))
        return refuse_row(error);
    bool uploaded = pb_slice_equal(fields[UPLOADED], PB_SLICE_LITERAL("t"));
    bool tombstone = !pb_slice_equal(fields[TOMBSTONE], PB_SLICE_LITERAL("f"));
    /* NOT NULL is NULL, and so not true. */
    if (!uploaded || tombstone)
        return 0;
    unsigned long long gen;
    if (!hex_of(fields[CHUNK_ID], &hex) || !number_of(fields[GEN], &gen))
        return refuse_row(error);
    char key[2 * CHUNK_ID_BYTES_MAX + 64];
    int size = snprintf(key, sizeof key, "chunk/%.*s.%016llx", PB_SLICE_FORMAT(hex), gen);
    script->options.chunk(script->options.context, (pb_slice){key, (size_t)size});
    return 0;
}

/* Takes bytes of the current line up to its end; those it keeps go into script->line where
 * `bytes_max` allows. Returns behind the newline, or the end; *ret_ended says which. */
static const char *take_line(pb_buffer *line, const char *at, const char *end, size_t bytes_max,
                             bool *ret_ended)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *stop = newline ? newline : end;
    size_t size = (size_t)(stop - at), room = bytes_max > line->size ? bytes_max - line->size : 0;
    pb_buffer_append(line, at, size < room ? size : room);
    *ret_ended = newline != NULL;
    return newline ? newline + 1 : end;
}

/* ---- lines that are not SQL ---- */

static void end_comment(pb_database_script *script)
{
    static const char *const last_lines[] = {" PostgreSQL database dump complete",
                                             " PostgreSQL database cluster dump complete"};
    const char *last = last_lines[script->options.database ? 1 : 0];
    if (pb_slice_equal(pb_buffer_slice(&script->line), pb_slice_of(last)))
        script->complete = true;
}

/* NAME, or "NAME" with each quote in it doubled. */
static void take_word_of_meta(const char *text, pb_buffer *ret_word)
{
    bool quoted = *text == '"';
    for (text += quoted; *text && (quoted || *text != ' '); text++) {
        if (quoted && *text == '"' && *++text != '"')
            break;
        pb_buffer_append_char(ret_word, *text);
    }
}

/* 'NAME' of a connection string, in place: a backslash escapes what follows. */
static void unquote_value(pb_buffer *value)
{
    size_t size = 0;
    for (size_t i = 1; i < value->size && value->data[i] != '\''; i++) {
        i += value->data[i] == '\\' && i + 1 < value->size;
        value->data[size++] = value->data[i];
    }
    value->size = size;
}

/* \connect NAME, or \connect -reuse-previous=on "dbname='NAME'". */
static void end_meta(pb_database_script *script)
{
    static const char connect[] = "\\connect ", reuse[] = "-reuse-previous=on ";
    static const char dbname[] = "dbname=";
    const char *text = script->line.data;
    if (strncmp(text, connect, sizeof connect - 1) != 0)
        return;
    script->complete = false; /* more comes */
    if (!script->options.database)
        return;
    text += sizeof connect - 1;
    bool is_connection_string = strncmp(text, reuse, sizeof reuse - 1) == 0;
    pb_buffer word = {0}, name = {0};
    take_word_of_meta(is_connection_string ? text + sizeof reuse - 1 : text, &word);
    pb_slice found = pb_buffer_slice(&word);
    if (is_connection_string && pb_slice_starts_with(found, PB_SLICE_LITERAL(dbname))) {
        pb_buffer_append_text(&name, word.data + sizeof dbname - 1);
        if (name.data[0] == '\'')
            unquote_value(&name);
        found = pb_buffer_slice(&name);
    }
    script->elsewhere = !pb_slice_equal(found, pb_slice_of(script->options.database));
    pb_buffer_free(&word);
    pb_buffer_free(&name);
}

/* ---- SQL ---- */

static void keep(pb_database_script *script, char c)
{
    pb_buffer *statement = &script->statement;
    if (statement->size >= STATEMENT_BYTES_MAX || (!statement->size && isspace((unsigned char)c)))
        return;
    pb_buffer_append_char(statement, c);
}

/* A character of SQL outside of strings and comments. */
static int take_sql(pb_database_script *script, char c, pb_error *error)
{
    char before = script->before, before2 = script->before2;
    script->before2 = before;
    script->before = c;
    switch (c) {
    case ';':
        return end_statement(script, error);
    case '\'':
        /* The E is no end of a name, and a string goes on behind ''. */
        script->escapes = before == '\''
                              ? script->escapes
                              : script->backslashes_escape ||
                                    ((before == 'E' || before == 'e') && !is_name_part(before2));
        script->place = script->escapes ? ESCAPE_STRING : STRING;
        break;
    case '"':
        script->place = IDENTIFIER;
        break;
    case '-':
        script->place = DASH;
        return 0;
    case '/':
        script->place = SLASH;
        return 0;
    case '$':
        if (is_name_part(before))
            break;
        script->place = DOLLAR_TAG;
        pb_buffer_clear(&script->line);
        return 0;
    case '\\':
        if (script->statement.size)
            break;
        script->place = META;
        pb_buffer_clear(&script->line);
        pb_buffer_append_char(&script->line, c);
        return 0;
    default:
        break;
    }
    keep(script, c);
    return 0;
}

static int take_dollar_tag(pb_database_script *script, char c, pb_error *error)
{
    pb_buffer *tag = &script->line;
    if (c == '$') {
        snprintf(script->tag, sizeof script->tag, "%s", tag->data ? tag->data : "");
        script->tag_matched = 0;
        script->place = DOLLAR;
    } else if (is_name_part(c) && tag->size < NAME_BYTES_MAX - 2 &&
               (tag->size || !isdigit((unsigned char)c))) {
        pb_buffer_append_char(tag, c);
    } else { /* a parameter, $1 */
        script->place = SQL;
        return take_sql(script, c, error);
    }
    return 0;
}

/* The end is $tag$; `matched` counts its characters. */
static void take_dollar(pb_database_script *script, char c)
{
    size_t size = strlen(script->tag);
    size_t matched = script->tag_matched;
    char expected = matched == 0 || matched == size + 1 ? '$' : script->tag[matched - 1];
    if (c == expected)
        script->tag_matched++;
    else
        script->tag_matched = c == '$';
    if (script->tag_matched == size + 2)
        script->place = SQL;
}

static void take_block_comment(pb_database_script *script, char c)
{
    if (script->before == '/' && c == '*') {
        script->comment_depth++;
        c = 0;
    } else if (script->before == '*' && c == '/') {
        if (!--script->comment_depth)
            script->place = SQL;
        c = 0;
    }
    script->before = c;
}

static int take_character(pb_database_script *script, char c, pb_error *error)
{
    switch (script->place) {
    case SQL:
        return take_sql(script, c, error);
    case STRING: /* '' ends one and begins the next, which is the same here */
        if (c == '\'')
            script->place = SQL;
        break;
    case ESCAPE_STRING:
        script->place = c == '\\' ? ESCAPED : c == '\'' ? SQL : ESCAPE_STRING;
        break;
    case ESCAPED:
        script->place = ESCAPE_STRING;
        break;
    case IDENTIFIER:
        keep(script, c);
        if (c == '"')
            script->place = SQL;
        break;
    case DOLLAR_TAG:
        return take_dollar_tag(script, c, error);
    case DOLLAR:
        take_dollar(script, c);
        break;
    case DASH:
        script->place = c == '-' ? LINE_COMMENT : SQL;
        pb_buffer_clear(&script->line);
        if (c != '-') {
            keep(script, '-');
            return take_sql(script, c, error);
        }
        break;
    case SLASH:
        script->place = c == '*' ? BLOCK_COMMENT : SQL;
        script->comment_depth = 1;
        script->before = 0;
        if (c != '*') {
            keep(script, '/');
            return take_sql(script, c, error);
        }
        break;
    case BLOCK_COMMENT:
        take_block_comment(script, c);
        break;
    case LINE_COMMENT:
    case META:
    case COPY_END:
    case ROWS:
    case ROW:
        break;
    }
    return 0;
}

/* Bytes of a place that goes by lines: behind what was taken. */
static const char *take_lines(pb_database_script *script, const char *at, const char *end,
                              int *failed, pb_error *error)
{
    bool ended;
    pb_buffer *line = &script->line;
    switch (script->place) {
    case LINE_COMMENT:
    case META:
        at = take_line(line, at, end, LINE_BYTES_MAX, &ended);
        if (ended && script->place == META)
            end_meta(script);
        else if (ended)
            end_comment(script);
        if (ended)
            script->place = SQL;
        break;
    case COPY_END:
        at = take_line(line, at, end, 0, &ended);
        if (ended)
            script->place = ROWS;
        pb_buffer_clear(line);
        break;
    case ROWS: /* the first two characters tell whether it is the last */
        at = take_line(line, at, end, ROW_BYTES_MAX, &ended);
        if (ended && pb_slice_equal(pb_buffer_slice(line), PB_SLICE_LITERAL("\\.")))
            script->place = SQL;
        else if (ended && script->is_chunks)
            *failed = line->size >= ROW_BYTES_MAX
                          ? pb_error_set(error, PB_ERROR_DAMAGED,
                                         "a row of storage.chunk_objects is too long")
                          : take_chunk_row(script, error);
        if (ended)
            pb_buffer_clear(line);
        else if (!script->is_chunks && line->size > 2)
            script->place = ROW;
        break;
    case ROW: /* of any length: nothing of it is kept */
        at = take_line(line, at, end, 0, &ended);
        if (ended) {
            script->place = ROWS;
            pb_buffer_clear(line);
        }
        break;
    default:
        break;
    }
    return at;
}

int pb_database_script_feed(pb_database_script *script, const void *data, size_t size,
                            pb_error *error)
{
    const char *at = data, *end = at + size;
    int failed = 0;
    while (at < end && !failed) {
        bool by_lines = script->place == LINE_COMMENT || script->place >= META;
        if (by_lines)
            at = take_lines(script, at, end, &failed, error);
        else
            failed = take_character(script, *at++, error);
    }
    return failed;
}

int pb_database_script_end(const pb_database_script *script, pb_error *error)
{
    if (script->place != SQL || script->statement.size || !script->complete)
        return pb_error_set(error, PB_ERROR_DAMAGED,
                            "the dump is cut: its last line, \"PostgreSQL database%s dump "
                            "complete\", did not come",
                            script->options.database ? " cluster" : "");
    if (script->options.chunk && !script->found_chunks)
        return pb_error_set(error, PB_ERROR_FAILED, "%s", EXPECTED);
    return 0;
}
