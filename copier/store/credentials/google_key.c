#include "copier/store/credentials/google_key.h"

#include "base/codec.h"
#include "base/json.h"
#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

enum { LIFETIME_S_DEFAULT = 3600, LIFETIME_S_MIN = 600, LIFETIME_S_MAX = 43200 };

static const char default_token_url[] = "https://oauth2.googleapis.com/token";
static const char default_exchange_url[] = "https://sts.googleapis.com/v1/token";
static const char generate_action[] = ":generateAccessToken";

void pb_google_key_free(pb_google_key *key)
{
    if (!key)
        return;
    free(key->token_url);
    free(key->client_email);
    free(key->private_key_id);
    pb_rsa_key_free(key->private_key);
    free(key->client_id);
    pb_text_wipe(key->client_secret);
    pb_text_wipe(key->refresh_token);
    free(key->audience);
    free(key->subject_token_type);
    free(key->workforce_project);
    free(key->subject.file);
    pb_text_wipe(key->subject.url);
    for (size_t i = 0; i < PB_GOOGLE_SUBJECT_HEADERS_MAX; i++)
        pb_text_wipe(key->subject.headers[i]);
    free(key->subject.token_field);
    pb_google_key_free(key->source);
    free(key->impersonation_url);
    for (size_t i = 0; i < PB_GOOGLE_DELEGATES_MAX; i++)
        free(key->delegates[i]);
    free(key);
}

bool pb_google_key_is_secret(const pb_google_key *key)
{
    switch (key->kind) {
    case PB_GOOGLE_SERVICE_ACCOUNT:
    case PB_GOOGLE_AUTHORIZED_USER:
        return true;
    case PB_GOOGLE_EXTERNAL_ACCOUNT:
        return key->client_secret || key->subject.headers[0];
    case PB_GOOGLE_IMPERSONATED:
        return pb_google_key_is_secret(key->source);
    }
    return true;
}

/* ---- URLs ---- */

static bool is_near(const char *host, pb_google_url_rule rule)
{
    struct in_addr four;
    struct in6_addr six;
    if (strcasecmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1) {
        uint32_t address = ntohl(four.s_addr);
        return address >> 24 == 127 ||
               (rule == PB_GOOGLE_URL_SUBJECT && address >> 16 == (169 << 8 | 254));
    }
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* host, host:port, [host]:port. Copies the host. */
static bool read_authority(pb_slice authority, char *ret_host, size_t host_bytes_max)
{
    const char *start = authority.data, *end = start + authority.size;
    const char *host_end = NULL, *rest;
    if (start < end && *start == '[') {
        start++;
        host_end = memchr(start, ']', (size_t)(end - start));
        rest = host_end ? host_end + 1 : end;
    } else {
        host_end = memchr(start, ':', (size_t)(end - start));
        host_end = host_end ? host_end : end;
        rest = host_end;
    }
    size_t size = host_end ? (size_t)(host_end - start) : 0;
    if (!size || size >= host_bytes_max)
        return false;
    memcpy(ret_host, start, size);
    ret_host[size] = '\0';
    if (strspn(ret_host, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:") !=
        size)
        return false;
    uint64_t port;
    return rest == end ||
           (*rest == ':' &&
            pb_parse_unsigned((pb_slice){rest + 1, (size_t)(end - rest - 1)}, &port) && port > 0 &&
            port <= 65535);
}

bool pb_google_url_is_allowed(const char *url, pb_google_url_rule rule)
{
    char host[256];
    for (const char *c = url; *c; c++)
        if (*c <= ' ' || *c > '~' || *c == '\\' || *c == '#')
            return false;
    bool plain = strncmp(url, "http://", 7) == 0;
    if (!plain && strncmp(url, "https://", 8) != 0)
        return false;
    const char *start = url + (plain ? 7 : 8);
    /* '@' is none of a host's characters: no user:password@. */
    if (!read_authority((pb_slice){start, strcspn(start, "/?")}, host, sizeof host))
        return false;
    return !plain || is_near(host, rule);
}

/* ---- members ---- */

typedef struct reader {
    const json_t *object;
    const char *what;
    pb_error *error;
} reader;

/* pb_json says DAMAGED of what is stored in a repository; a key file is the user's. */
static int as_usage(const reader *from, int failed)
{
    if (failed)
        from->error->kind = PB_ERROR_USAGE;
    return failed;
}

static int refuse(const reader *from, const char *name, const char *why)
{
    return pb_error_set(from->error, PB_ERROR_USAGE, "%s: \"%s\" %s", from->what, name, why);
}

/* NULL where the member is missing or null: other writers leave empty ones so. */
static json_t *member_of(const json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

/* Leaves *ret_text as it is where the member is missing. */
static int take_text_if(const reader *from, const char *name, char **ret_text)
{
    const char *text = NULL;
    if (pb_json_string_if(from->object, name, from->what, &text, from->error))
        return as_usage(from, -1);
    if (text && !*text)
        return refuse(from, name, "is empty");
    if (text)
        *ret_text = pb_duplicate(pb_slice_of(text));
    return 0;
}

static int take_text(const reader *from, const char *name, char **ret_text)
{
    if (take_text_if(from, name, ret_text))
        return -1;
    return *ret_text ? 0 : refuse(from, name, "is missing");
}

static int check_url(const reader *from, const char *name, const char *url, pb_google_url_rule rule)
{
    if (!url || pb_google_url_is_allowed(url, rule))
        return 0;
    return refuse(from, name, "is not a URL of https (http: to this machine only)");
}

static int take_token_url(const reader *from, const char *name, const char *otherwise,
                          char **ret_url)
{
    if (take_text_if(from, name, ret_url))
        return -1;
    if (!*ret_url)
        *ret_url = pb_duplicate(pb_slice_of(otherwise));
    return check_url(from, name, *ret_url, PB_GOOGLE_URL_ENDPOINT);
}

/* Only googleapis.com issues the tokens that these files are exchanged for. */
static int check_universe(const reader *from)
{
    const char *universe = NULL;
    if (pb_json_string_if(from->object, "universe_domain", from->what, &universe, from->error))
        return as_usage(from, -1);
    if (universe && strcmp(universe, "googleapis.com") != 0)
        return refuse(from, "universe_domain", "is not googleapis.com: no other one is supported");
    return 0;
}

/* ---- kinds ---- */

static int read_service_account(const reader *from, pb_google_key *key)
{
    const char *pem = NULL;
    if (take_text(from, "client_email", &key->client_email) ||
        take_text_if(from, "private_key_id", &key->private_key_id) ||
        take_token_url(from, "token_uri", default_token_url, &key->token_url))
        return -1;
    if (as_usage(from, pb_json_string(from->object, "private_key", from->what, &pem, from->error)))
        return -1;
    if (pb_rsa_key_parse(pb_slice_of(pem), &key->private_key, from->error))
        return pb_error_context(from->error, "%s: \"private_key\"", from->what);
    return 0;
}

static int read_authorized_user(const reader *from, pb_google_key *key)
{
    return take_text(from, "client_id", &key->client_id) ||
                   take_text(from, "client_secret", &key->client_secret) ||
                   take_text(from, "refresh_token", &key->refresh_token) ||
                   take_token_url(from, "token_uri", default_token_url, &key->token_url)
               ? -1
               : 0;
}

static int read_impersonation_url(const reader *from, pb_google_key *key)
{
    static const char name[] = "service_account_impersonation_url";
    if (take_text_if(from, name, &key->impersonation_url) ||
        check_url(from, name, key->impersonation_url, PB_GOOGLE_URL_ENDPOINT))
        return -1;
    if (key->impersonation_url &&
        !pb_slice_ends_with(pb_slice_of(key->impersonation_url), pb_slice_of(generate_action)))
        return refuse(from, name, "does not end in :generateAccessToken");
    return 0;
}

static int read_format(const reader *source, pb_google_subject *subject)
{
    const json_t *format = member_of(source->object, "format");
    const reader from = {format, source->what, source->error};
    const char *type = "text";
    if (!format)
        return 0;
    if (!json_is_object(format))
        return refuse(source, "format", "is not an object");
    if (as_usage(&from, pb_json_string_if(format, "type", from.what, &type, from.error)))
        return -1;
    if (strcmp(type, "json") == 0)
        return take_text(&from, "subject_token_field_name", &subject->token_field);
    return strcmp(type, "text") == 0 ? 0 : refuse(&from, "type", "is neither text nor json");
}

static bool is_header(const char *name, const char *value)
{
    if (!*name || strspn(name, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                               "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(name))
        return false;
    for (; *value; value++)
        if (*value < ' ' || *value > '~')
            return false;
    return true;
}

static int read_headers(const reader *source, pb_google_subject *subject)
{
    json_t *headers = member_of(source->object, "headers"), *value;
    const char *name;
    size_t count = 0;
    if (!headers)
        return 0;
    if (!json_is_object(headers) || json_object_size(headers) > PB_GOOGLE_SUBJECT_HEADERS_MAX)
        return refuse(source, "headers", "is not an object of at most 8 headers");
    json_object_foreach(headers, name, value)
    {
        if (!json_is_string(value) || !is_header(name, json_string_value(value)))
            return refuse(source, "headers", "holds what is no header");
        pb_buffer header = {0};
        pb_buffer_reserve(&header, strlen(name) + json_string_length(value) + 2);
        pb_buffer_append_format(&header, "%s: %s", name, json_string_value(value));
        subject->headers[count++] = header.data;
    }
    return 0;
}

/* What other libraries would run, or sign as AWS does. */
static int refuse_unsupported_source(const reader *source)
{
    static const struct {
        const char *name, *what;
    } unsupported[] = {
        {"environment_id", "tokens of AWS"},
        {"executable", "an executable"},
        {"certificate", "an X.509 certificate"},
    };
    for (size_t i = 0; i < sizeof unsupported / sizeof *unsupported; i++)
        if (member_of(source->object, unsupported[i].name)) {
            pb_error_set(source->error, PB_ERROR_USAGE,
                         "%s: \"credential_source\" is %s (\"%s\"), which is not supported",
                         source->what, unsupported[i].what, unsupported[i].name);
            return pb_error_hint(source->error, "use a configuration whose source is a file or a "
                                                "URL, or a service account key");
        }
    return 0;
}

static int read_subject(const reader *from, pb_google_subject *subject)
{
    const json_t *object = member_of(from->object, "credential_source");
    const reader source = {object, from->what, from->error};
    if (!json_is_object(object))
        return refuse(from, "credential_source", object ? "is not an object" : "is missing");
    if (refuse_unsupported_source(&source) || take_text_if(&source, "file", &subject->file) ||
        take_text_if(&source, "url", &subject->url) ||
        check_url(&source, "url", subject->url, PB_GOOGLE_URL_SUBJECT) ||
        read_headers(&source, subject) || read_format(&source, subject))
        return -1;
    if (!subject->file == !subject->url)
        return refuse(from, "credential_source", "has to name either a file or a URL");
    return 0;
}

static int read_lifetime(const reader *from, pb_google_key *key)
{
    const json_t *options = member_of(from->object, "service_account_impersonation");
    uint64_t lifetime_s = LIFETIME_S_DEFAULT;
    if (options && !json_is_object(options))
        return refuse(from, "service_account_impersonation", "is not an object");
    if (member_of(options, "token_lifetime_seconds") &&
        as_usage(from, pb_json_unsigned(options, "token_lifetime_seconds", from->what, &lifetime_s,
                                        from->error)))
        return -1;
    if (lifetime_s < LIFETIME_S_MIN || lifetime_s > LIFETIME_S_MAX)
        return refuse(from, "token_lifetime_seconds", "is not one of 600 to 43200 seconds");
    key->lifetime_s = (uint32_t)lifetime_s;
    return 0;
}

static int read_external_account(const reader *from, pb_google_key *key)
{
    if (take_text(from, "audience", &key->audience) ||
        take_text(from, "subject_token_type", &key->subject_token_type) ||
        take_token_url(from, "token_url", default_exchange_url, &key->token_url) ||
        take_text_if(from, "client_id", &key->client_id) ||
        take_text_if(from, "client_secret", &key->client_secret) ||
        take_text_if(from, "workforce_pool_user_project", &key->workforce_project) ||
        read_subject(from, &key->subject) || read_impersonation_url(from, key) ||
        read_lifetime(from, key))
        return -1;
    if (!key->client_id != !key->client_secret)
        return refuse(from, "client_id", "and \"client_secret\" only go together");
    return 0;
}

static int read_delegates(const reader *from, pb_google_key *key)
{
    json_t *delegates = member_of(from->object, "delegates"), *value;
    size_t i;
    if (!delegates)
        return 0;
    if (!json_is_array(delegates) || json_array_size(delegates) > PB_GOOGLE_DELEGATES_MAX)
        return refuse(from, "delegates", "is not an array of at most 16 accounts");
    json_array_foreach(delegates, i, value)
    {
        if (!json_is_string(value) || !json_string_length(value))
            return refuse(from, "delegates", "holds what is no account");
        key->delegates[i] = pb_duplicate(pb_slice_of(json_string_value(value)));
    }
    return 0;
}

static int read_key(const reader *from, bool is_source, pb_google_key *key);

static int read_impersonated(const reader *from, pb_google_key *key)
{
    const json_t *source = member_of(from->object, "source_credentials");
    const reader inner = {source, from->what, from->error};
    if (read_impersonation_url(from, key) || read_delegates(from, key))
        return -1;
    if (!key->impersonation_url)
        return refuse(from, "service_account_impersonation_url", "is missing");
    if (!json_is_object(source))
        return refuse(from, "source_credentials", source ? "is not an object" : "is missing");
    key->lifetime_s = LIFETIME_S_DEFAULT;
    key->source = pb_allocate_zeroed(1, sizeof *key->source);
    if (read_key(&inner, true, key->source))
        return pb_error_context(from->error, "\"source_credentials\"");
    return 0;
}

static int refuse_type(const reader *from, const char *type)
{
    if (!type &&
        (json_object_get(from->object, "installed") || json_object_get(from->object, "web"))) {
        pb_error_set(from->error, PB_ERROR_USAGE, "%s: the secret of an OAuth client, not a login",
                     from->what);
        return pb_error_hint(from->error, "gcloud auth application-default login makes one of it");
    }
    if (!type)
        return refuse(from, "type", "is missing: this is no credential file of Google");
    pb_error_set(from->error, PB_ERROR_USAGE, "%s: a login of type \"%.48s\" is not supported",
                 from->what, type);
    return pb_error_hint(from->error, "types are service_account, authorized_user, "
                                      "external_account and impersonated_service_account");
}

static int read_key(const reader *from, bool is_source, pb_google_key *key)
{
    static const struct {
        const char *type;
        int (*read)(const reader *from, pb_google_key *key);
        pb_google_key_kind kind;
    } kinds[] = {
        {"service_account", read_service_account, PB_GOOGLE_SERVICE_ACCOUNT},
        {"authorized_user", read_authorized_user, PB_GOOGLE_AUTHORIZED_USER},
        {"external_account", read_external_account, PB_GOOGLE_EXTERNAL_ACCOUNT},
        {"impersonated_service_account", read_impersonated, PB_GOOGLE_IMPERSONATED},
    };
    const char *type = NULL;
    if (as_usage(from, pb_json_string_if(from->object, "type", from->what, &type, from->error)))
        return -1;
    for (size_t i = 0; type && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(type, kinds[i].type) != 0)
            continue;
        if (is_source && kinds[i].kind == PB_GOOGLE_IMPERSONATED)
            return refuse(from, "type", "is impersonation within impersonation: use delegates");
        key->kind = kinds[i].kind;
        return check_universe(from) ? -1 : kinds[i].read(from, key);
    }
    return refuse_type(from, type);
}

int pb_google_key_parse(pb_slice text, const char *what, pb_google_key **ret_key, pb_error *error)
{
    pb_error ignored;
    json_t *object;
    error = error ? error : &ignored;
    if (text.size > PB_GOOGLE_KEY_BYTES_MAX)
        return pb_error_set(error, PB_ERROR_USAGE, "%s: more than %d KiB", what,
                            PB_GOOGLE_KEY_BYTES_MAX / 1024);
    const reader from = {NULL, what, error};
    if (as_usage(&from, pb_json_parse_secret(text, what, &object, error)))
        return -1;
    const reader whole = {object, what, error};
    pb_google_key *key = pb_allocate_zeroed(1, sizeof *key);
    int failed = read_key(&whole, false, key);
    pb_json_wipe(object);
    if (failed)
        pb_google_key_free(key);
    else
        *ret_key = key;
    return failed;
}

/* ---- messages ---- */

/* The account in ".../serviceAccounts/ACCOUNT:generateAccessToken". */
static pb_slice target_of(const char *url)
{
    size_t size = strlen(url) - (sizeof generate_action - 1);
    size_t start = size;
    while (start && url[start - 1] != '/')
        start--;
    return (pb_slice){url + start, size - start};
}

char *pb_google_key_describe(const pb_google_key *key)
{
    pb_buffer text = {0};
    char *source = NULL;
    switch (key->kind) {
    case PB_GOOGLE_SERVICE_ACCOUNT:
        pb_buffer_append_format(&text, "service account %s", key->client_email);
        break;
    case PB_GOOGLE_AUTHORIZED_USER:
        pb_buffer_append_format(&text, "user of the client %s", key->client_id);
        break;
    case PB_GOOGLE_EXTERNAL_ACCOUNT:
        pb_buffer_append_format(&text, "external account of %s", key->audience);
        break;
    case PB_GOOGLE_IMPERSONATED:
        source = pb_google_key_describe(key->source);
        pb_buffer_append_text(&text, source);
        free(source);
        break;
    }
    if (key->impersonation_url)
        pb_buffer_append_format(&text, " as service account %.*s",
                                PB_SLICE_FORMAT(target_of(key->impersonation_url)));
    pb_text_make_line(text.data);
    return text.data;
}
