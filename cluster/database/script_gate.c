#include "cluster/database/script_gate.h"

#include "cluster/boundary/restore_policy.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

enum {
    /* A longer one is no COPY: that of 1600 columns, each with a name of 63 characters that all
     * need two, has less. */
    STATEMENT_BYTES_MAX = 256 * 1024,
    LINE_BYTES_MAX = 64 * 1024 * 1024, /* of SQL: pg_dump's longest are comments and views */
    END_BYTES = 4,                     /* of the line that ends rows */
    WORDS_KEPT = 4,
    TOLD_BYTES = 32, /* of a refused command */
};

typedef enum place {
    SQL,
    STRING,        /* '...' */
    BITS,          /* B'...', X'...': no '' in it */
    ESCAPE_STRING, /* E'...' */
    IDENTIFIER,    /* "..." */
    DOLLAR,        /* $tag$ ... */
    COMMENT,
    ROWS, /* of COPY */
} place;

struct pb_script_gate {
    pb_script_gate_options options;
    char *restrict_key;
    place place;
    pb_buffer line;      /* that is not whole yet; of rows, its first bytes */
    pb_buffer statement; /* comments are blanks, strings '' */
    pb_buffer tag;       /* $tag$ */
    pb_buffer accepted;  /* of these bytes, to be written at once: lines are short */
    uint64_t line_number;
    unsigned comment_depth;
    /* psql's idea of where a statement ends: not in parentheses, nor in the body of a function. */
    unsigned paren_depth, begin_depth, word_count;
    char words[WORDS_KEPT];
    bool backslashes_escape; /* in '...': standard_conforming_strings is off */
    bool in_row;             /* the row's beginning was passed on */
    bool started, rows_follow;
    bool inner_begins;      /* behind a semicolon that psql does not take for the end */
    unsigned behind_string; /* 1: with nothing but blanks between; 2: and a new line */
};

bool pb_database_can_restrict(const pb_database_version *psql)
{
    static const unsigned since[] = {130022, 140019, 150014, 160010, 170006};
    for (size_t i = 0; i < sizeof since / sizeof *since; i++)
        if (psql->number / 10000 == since[i] / 10000)
            return psql->number >= since[i];
    return psql->number / 10000 > 17;
}

pb_script_gate *pb_script_gate_new(const pb_script_gate_options *options)
{
    pb_script_gate *gate = pb_allocate_zeroed(1, sizeof *gate);
    gate->options = *options;
    gate->options.restrict_key = NULL;
    if (options->restrict_key)
        gate->restrict_key = pb_duplicate(pb_slice_of(options->restrict_key));
    return gate;
}

void pb_script_gate_free(pb_script_gate *gate)
{
    if (!gate)
        return;
    free(gate->restrict_key);
    pb_buffer_free(&gate->line);
    pb_buffer_free(&gate->statement);
    pb_buffer_free(&gate->tag);
    pb_buffer_free(&gate->accepted);
    free(gate);
}

/* ---- output ---- */

static void accept_bytes(pb_script_gate *gate, const void *data, size_t size)
{
    pb_buffer_append(&gate->accepted, data, size);
}

static void write_accepted(pb_script_gate *gate)
{
    if (gate->accepted.size)
        gate->options.write(gate->options.context, gate->accepted.data, gate->accepted.size);
    pb_buffer_clear(&gate->accepted);
}

static void restrict_psql(pb_script_gate *gate, const char *command)
{
    if (gate->restrict_key)
        pb_buffer_append_format(&gate->accepted, "\\%s %s\n", command, gate->restrict_key);
}

static void set_lock_timeout(pb_script_gate *gate)
{
    pb_buffer_append_format(&gate->accepted, "SET lock_timeout = '%s';\n",
                            gate->options.lock_timeout);
}

/* ---- refusals ---- */

static int refuse(const pb_script_gate *gate, const char *what, pb_error *error)
{
    pb_error_set(error, PB_ERROR_DAMAGED,
                 "the dump's script has %s in line %llu, which no pg_dump writes: psql did not get "
                 "it",
                 what, (unsigned long long)gate->line_number);
    return pb_error_hint(error, "whoever can write to the repository can have put it there: find "
                                "out who, and restore an older snapshot");
}

/* Names the command, and nothing of what it is given: that may be a secret. */
static int refuse_command(const pb_script_gate *gate, const char *at, const char *end,
                          pb_error *error)
{
    char name[TOLD_BYTES + 1] = {0};
    size_t size = 0;
    for (at++; at < end && size < TOLD_BYTES && isgraph((unsigned char)*at); at++)
        name[size++] = *at;
    pb_buffer what = {0};
    pb_buffer_append_format(&what, "psql's command \\%s", name);
    int failed = refuse(gate, what.data, error);
    pb_buffer_free(&what);
    return failed;
}

/* ---- SQL, by the rules of psqlscan.l ---- */

static bool starts_name(char c)
{
    return isalpha((unsigned char)c) || c == '_' || (c & 0x80);
}

static bool continues_name(char c)
{
    return starts_name(c) || isdigit((unsigned char)c) || c == '$';
}

static bool is_variable_part(char c)
{
    return starts_name(c) || isdigit((unsigned char)c);
}

static void keep(pb_script_gate *gate, const char *text, size_t size)
{
    pb_buffer *statement = &gate->statement;
    while (!statement->size && size && isspace((unsigned char)*text)) {
        text++;
        size--;
    }
    if (statement->size + size <= STATEMENT_BYTES_MAX)
        pb_buffer_append(statement, text, size);
    else if (statement->size < STATEMENT_BYTES_MAX) /* so that no end of it is taken for all */
        pb_buffer_append_char(statement, ';');
}

static bool is_word(const char *word, size_t size, const char *wanted)
{
    return strlen(wanted) == size && strncasecmp(word, wanted, size) == 0;
}

static bool begins_function(const char *words)
{
    if (words[0] != 'c')
        return false;
    const char *kind = words[1] == 'o' && words[2] == 'r' ? words + 3 : words + 1;
    return *kind == 'f' || *kind == 'p';
}

/* psql's heuristic: in CREATE [OR REPLACE] FUNCTION | PROCEDURE, BEGIN and CASE open what END
 * closes. */
static void count_word(pb_script_gate *gate, const char *word, size_t size)
{
    static const char *const heads[] = {"create", "function", "procedure", "or", "replace"};
    if (!gate->word_count)
        memset(gate->words, 0, sizeof gate->words);
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        if (gate->word_count < WORDS_KEPT && is_word(word, size, heads[i]))
            gate->words[gate->word_count] = heads[i][0];
    gate->word_count++;
    if (gate->paren_depth || !begins_function(gate->words))
        return;
    if (is_word(word, size, "begin") || (gate->begin_depth && is_word(word, size, "case")))
        gate->begin_depth++;
    else if (gate->begin_depth && is_word(word, size, "end"))
        gate->begin_depth--;
}

static int end_statement(pb_script_gate *gate, const char *rest, const char *end, pb_error *error)
{
    static const char setting[] = "SET standard_conforming_strings = ";
    pb_slice statement = pb_buffer_slice(&gate->statement);
    pb_statement kind = pb_policy_statement(statement);
    if (pb_slice_starts_with(statement, PB_SLICE_LITERAL(setting)))
        gate->backslashes_escape =
            pb_slice_ends_with(statement, PB_SLICE_LITERAL("standard_conforming_strings = off"));
    pb_buffer_clear(&gate->statement);
    gate->word_count = 0;
    if (kind == PB_STATEMENT_REFUSED)
        return refuse(gate, "a COPY that is not COPY table (columns) FROM stdin", error);
    gate->rows_follow = kind == PB_STATEMENT_ROWS;
    for (; gate->rows_follow && rest < end; rest++)
        if (*rest != ' ' && *rest != '\t')
            return refuse(gate, "text behind COPY ... FROM stdin;", error);
    return 0;
}

/* A number, to its end. What follows it without a blank is read differently by versions of psql. */
static const char *take_number(const char *at, const char *end)
{
    while (at < end && (isdigit((unsigned char)*at) || *at == '.'))
        at++;
    if (at < end && (*at == 'e' || *at == 'E')) {
        const char *digits = at + 1;
        digits += digits < end && (*digits == '+' || *digits == '-');
        if (digits < end && isdigit((unsigned char)*digits))
            for (at = digits; at < end && isdigit((unsigned char)*at);)
                at++;
    }
    return at < end && starts_name(*at) ? NULL : at;
}

/* $tag$ to its end, NULL where it is none. */
static const char *take_tag(const char *at, const char *end)
{
    const char *name = ++at;
    while (at < end && (starts_name(*at) || (at > name && isdigit((unsigned char)*at))))
        at++;
    return at < end && *at == '$' ? at + 1 : NULL;
}

static bool begins_with(pb_slice statement, const char *word)
{
    size_t size = strlen(word);
    return statement.size >= size && strncasecmp(statement.data, word, size) == 0;
}

/* What an encoding of bytes may hold that are a backslash to psql and half a character to the
 * server is none of these. */
static bool is_plain_encoding(pb_slice name)
{
    static const char *const plain[] = {"UTF8", "SQL_ASCII", "LATIN", "ISO_8859_",    "WIN1",
                                        "WIN8", "KOI8",      "EUC_",  "MULE_INTERNAL"};
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (pb_slice_starts_with(name, pb_slice_of(plain[i])))
            return !memchr(name.data, '\'', name.size);
    return false;
}

/* The lines by which pg_dump changes how strings are read. */
static bool is_setting_of_dump(pb_slice line)
{
    static const char *const lines[] = {"SET standard_conforming_strings = on;",
                                        "SET standard_conforming_strings = off;",
                                        "SELECT pg_catalog.set_config('search_path', '', false);"};
    const pb_slice encoding = PB_SLICE_LITERAL("SET client_encoding = '"),
                   end = PB_SLICE_LITERAL("';");
    if (line.size && line.data[line.size - 1] == '\n')
        line.size--;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        if (pb_slice_equal(line, pb_slice_of(lines[i])))
            return true;
    if (line.size <= encoding.size + end.size || !pb_slice_starts_with(line, encoding) ||
        !pb_slice_ends_with(line, end))
        return false;
    return is_plain_encoding(
        (pb_slice){line.data + encoding.size, line.size - encoding.size - end.size});
}

/* A word that changes how the session reads strings, in another form than the dump's own. */
static bool is_foreign_setting(const pb_script_gate *gate, const char *word, size_t size)
{
    pb_slice statement = pb_buffer_slice(&gate->statement);
    bool names = is_word(word, size, "standard_conforming_strings") ||
                 is_word(word, size, "client_encoding") || is_word(word, size, "names");
    bool sets = names && (begins_with(statement, "set") || begins_with(statement, "reset"));
    bool calls = is_word(word, size, "set_config") && !begins_with(statement, "create") &&
                 !begins_with(statement, "alter");
    return (sets || calls) && !is_setting_of_dump(pb_buffer_slice(&gate->line));
}

/* A word, and the string that it may be the prefix of. */
static const char *take_word(pb_script_gate *gate, const char *at, const char *end, pb_error *error)
{
    const char *start = at;
    while (at < end && continues_name(*at))
        at++;
    size_t size = (size_t)(at - start);
    bool is_inner_copy = gate->inner_begins && is_word(start, size, "copy");
    gate->inner_begins = false;
    if (is_inner_copy || is_foreign_setting(gate, start, size)) {
        refuse(gate,
               is_inner_copy ? "a COPY inside of a statement"
                             : "a setting that changes how strings are read",
               error);
        return NULL;
    }
    keep(gate, start, size);
    char c = (char)tolower((unsigned char)*start);
    if (size == 1 && at < end && *at == '\'' && strchr("ebx", c)) {
        gate->place = c == 'e' ? ESCAPE_STRING : BITS;
        return at + 1;
    }
    if (size == 1 && c == 'u' && end - at >= 2 && at[0] == '&' && at[1] == '\'') {
        gate->place = STRING;
        return at + 2;
    }
    count_word(gate, start, size);
    return at;
}

/* psql puts a variable's value in place of :NAME and reads it: that of DBNAME is a name that the
 * script chose. Its own variables are in capitals. */
static const char *take_colon(pb_script_gate *gate, const char *at, const char *end,
                              pb_error *error)
{
    const char *start = at++;
    if (at < end && (*at == ':' || *at == '=')) {
        at++;
    } else if (at < end && isupper((unsigned char)*at)) {
        refuse(gate, "a variable of psql", error);
        return NULL;
    } else {
        while (at < end && is_variable_part(*at))
            at++;
    }
    keep(gate, start, (size_t)(at - start));
    return at;
}

static const char *take_dollar_sign(pb_script_gate *gate, const char *at, const char *end,
                                    pb_error *error)
{
    const char *behind = take_tag(at, end);
    if (behind) {
        pb_buffer_clear(&gate->tag);
        pb_buffer_append(&gate->tag, at, (size_t)(behind - at));
        keep(gate, "''", 2);
        gate->place = DOLLAR;
        return behind;
    }
    behind = at + 1;
    if (behind < end && isdigit((unsigned char)*behind)) {
        behind = take_number(behind, end);
        if (!behind)
            refuse(gate, "a number with letters behind it", error);
    }
    keep(gate, "$", 1);
    return behind;
}

/* The rest of a line is a comment, but psql sees its end at a carriage return. */
static const char *take_line_comment(pb_script_gate *gate, const char *at, const char *end,
                                     pb_error *error)
{
    if (memchr(at, '\r', (size_t)(end - at))) {
        refuse(gate, "a carriage return in a comment", error);
        return NULL;
    }
    keep(gate, " ", 1);
    return end;
}

/* What stands at `at`: behind it, or NULL where it is refused. */
static const char *take_sql(pb_script_gate *gate, const char *at, const char *end, pb_error *error)
{
    char c = *at, next = at + 1 < end ? at[1] : 0;
    bool continues_string = gate->behind_string == 2;
    bool is_nothing =
        isspace((unsigned char)c) || (c == '-' && next == '-') || (c == '/' && next == '*');
    if (!is_nothing)
        gate->behind_string = 0;
    switch (c) {
    case '\\':
        refuse_command(gate, at, end, error);
        return NULL;
    case '\r':
        refuse(gate, "a carriage return", error);
        return NULL;
    case '\'':
        if (continues_string) { /* the server reads both as one, by the rules of the first */
            refuse(gate, "a string right behind another", error);
            return NULL;
        }
        keep(gate, "''", 2);
        gate->place = gate->backslashes_escape ? ESCAPE_STRING : STRING;
        return at + 1;
    case '"':
        gate->place = IDENTIFIER;
        break;
    case '$':
        return take_dollar_sign(gate, at, end, error);
    case ':':
        return take_colon(gate, at, end, error);
    case '-':
        if (next == '-')
            return take_line_comment(gate, at, end, error);
        break;
    case '/':
        if (next == '*') {
            gate->place = COMMENT;
            gate->comment_depth = 1;
            keep(gate, " ", 1);
            return at + 2;
        }
        break;
    case '(':
        gate->paren_depth++;
        break;
    case ')':
        gate->paren_depth -= gate->paren_depth > 0;
        break;
    case ';':
        if (!gate->paren_depth && !gate->begin_depth)
            return end_statement(gate, at + 1, end, error) ? NULL : at + 1;
        gate->inner_begins = true;
        break;
    default:
        if (starts_name(c))
            return take_word(gate, at, end, error);
        if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)next))) {
            const char *behind = take_number(at, end);
            if (!behind)
                refuse(gate, "a number with letters behind it", error);
            keep(gate, "0", 1);
            return behind;
        }
        break;
    }
    keep(gate, &c, 1);
    return at + 1;
}

static const char *take_comment(pb_script_gate *gate, const char *at, const char *end)
{
    char next = at + 1 < end ? at[1] : 0;
    if (*at == '/' && next == '*') {
        gate->comment_depth++;
        return at + 2;
    }
    if (*at != '*' || next != '/')
        return at + 1;
    if (!--gate->comment_depth)
        gate->place = SQL;
    return at + 2;
}

static const char *take_dollar(pb_script_gate *gate, const char *at, const char *end)
{
    if (*at != '$') {
        const char *sign = memchr(at, '$', (size_t)(end - at));
        return sign ? sign : end;
    }
    const char *behind = take_tag(at, end);
    if (!behind)
        return at + 1;
    if (!pb_slice_equal(pb_buffer_slice(&gate->tag), (pb_slice){at, (size_t)(behind - at)}))
        return behind - 1; /* its last $ may be the first of another */
    gate->place = SQL;
    return behind;
}

/* In '...' or "...": a doubled quote is one of its characters. */
static const char *take_quoted(pb_script_gate *gate, char quote, const char *at, const char *end)
{
    const char *sign = memchr(at, quote, (size_t)(end - at));
    const char *behind = sign ? sign + 1 : end;
    if (behind < end && *behind == quote && gate->place != BITS)
        behind++;
    else if (sign) {
        gate->place = SQL;
        gate->behind_string = quote == '\'';
    }
    return behind;
}

static const char *take_escape_string(pb_script_gate *gate, const char *at, const char *end)
{
    if (*at == '\\')
        return end - at > 1 ? at + 2 : end;
    if (*at == '\'')
        return take_quoted(gate, '\'', at, end);
    return at + 1;
}

static int read_sql(pb_script_gate *gate, const char *at, const char *end, pb_error *error)
{
    while (at && at < end) {
        const char *start = at;
        switch (gate->place) {
        case SQL:
            at = take_sql(gate, at, end, error);
            break;
        case STRING:
        case BITS:
            at = take_quoted(gate, '\'', at, end);
            break;
        case ESCAPE_STRING:
            at = take_escape_string(gate, at, end);
            break;
        case IDENTIFIER:
            at = take_quoted(gate, '"', at, end);
            keep(gate, start, (size_t)(at - start));
            break;
        case DOLLAR:
            at = take_dollar(gate, at, end);
            break;
        case COMMENT:
        case ROWS:
            at = take_comment(gate, at, end);
            break;
        }
    }
    keep(gate, "\n", 1);
    if (gate->behind_string)
        gate->behind_string = 2;
    return at ? 0 : -1;
}

/* ---- lines ---- */

static int take_command(pb_script_gate *gate, pb_slice line, pb_error *error)
{
    pb_meta_command command = pb_policy_meta_command(line);
    if (command == PB_META_REFUSED)
        return refuse_command(gate, line.data, line.data + line.size, error);
    if (command == PB_META_RESTRICT)
        return 0; /* its place has that of ours */
    restrict_psql(gate, "unrestrict");
    accept_bytes(gate, line.data, line.size);
    accept_bytes(gate, "\n", 1);
    restrict_psql(gate, "restrict");
    gate->backslashes_escape = false; /* of the session that ended */
    return 0;
}

/* A whole line of SQL, with its newline if it has one. */
static int take_line(pb_script_gate *gate, pb_error *error)
{
    static const char mark[] = "\xef\xbb\xbf";
    pb_slice line = pb_buffer_slice(&gate->line), text = line;
    bool is_first = !gate->started;
    gate->line_number++;
    gate->started = true;
    if (is_first)
        restrict_psql(gate, "restrict");
    if (is_first && gate->options.lock_timeout)
        set_lock_timeout(gate);
    if (text.size && text.data[text.size - 1] == '\n')
        text.size--;
    if (is_first && pb_slice_starts_with(line, PB_SLICE_LITERAL(mark)))
        return refuse(gate, "a byte order mark", error);
    if (gate->place == SQL && !gate->statement.size && !gate->paren_depth && text.size &&
        text.data[0] == '\\')
        return take_command(gate, text, error);
    /* pg_restore writes it at the beginning. */
    bool is_ours = gate->options.lock_timeout && gate->place == SQL && !gate->statement.size &&
                   pb_slice_equal(text, PB_SLICE_LITERAL("SET lock_timeout = 0;"));
    gate->rows_follow = false;
    if (read_sql(gate, text.data, text.data + text.size, error))
        return -1;
    if (is_ours)
        set_lock_timeout(gate);
    else
        accept_bytes(gate, line.data, line.size);
    if (gate->rows_follow)
        gate->place = ROWS;
    return 0;
}

static bool ends_rows(pb_slice line)
{
    return pb_slice_equal(line, PB_SLICE_LITERAL("\\.\n")) ||
           pb_slice_equal(line, PB_SLICE_LITERAL("\\.\r\n"));
}

/* Rows are passed on as they come: only the beginning of a line tells whether it is the end. */
static const char *take_rows(pb_script_gate *gate, const char *at, const char *end)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    const char *behind = newline ? newline + 1 : end;
    size_t size = (size_t)(behind - at);
    pb_buffer *line = &gate->line;
    if (!gate->in_row && line->size + size <= END_BYTES) {
        pb_buffer_append(line, at, size);
        if (!newline)
            return behind;
        if (ends_rows(pb_buffer_slice(line)))
            gate->place = SQL;
        accept_bytes(gate, line->data, line->size);
    } else {
        accept_bytes(gate, line->data, line->size);
        accept_bytes(gate, at, size);
    }
    pb_buffer_clear(line);
    gate->in_row = !newline;
    gate->line_number += newline != NULL;
    return behind;
}

int pb_script_gate_feed(pb_script_gate *gate, const void *data, size_t size, pb_error *error)
{
    const char *at = data, *end = at + size;
    /* psql takes a line for ended there, and whatever follows for gone. */
    if (size && memchr(data, 0, size)) {
        gate->line_number++;
        return refuse(gate, "a zero byte", error);
    }
    while (at < end) {
        if (gate->place == ROWS) {
            at = take_rows(gate, at, end);
            continue;
        }
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *behind = newline ? newline + 1 : end;
        pb_buffer_append(&gate->line, at, (size_t)(behind - at));
        at = behind;
        if (gate->line.size > LINE_BYTES_MAX) {
            gate->line_number++;
            return refuse(gate, "a line of more than 64 MiB", error);
        }
        if (newline && take_line(gate, error))
            return -1;
        if (newline)
            pb_buffer_clear(&gate->line);
    }
    write_accepted(gate);
    return 0;
}

int pb_script_gate_end(pb_script_gate *gate, pb_error *error)
{
    pb_buffer *line = &gate->line;
    if (gate->place == ROWS)
        accept_bytes(gate, line->data, line->size);
    else if (line->size && take_line(gate, error))
        return -1;
    pb_buffer_clear(line);
    /* psql runs what is left without a semicolon. */
    if (pb_policy_statement(pb_buffer_slice(&gate->statement)) != PB_STATEMENT_OTHER)
        return refuse(gate, "a COPY without an end", error);
    write_accepted(gate);
    return 0;
}
