/* copier/store/credentials/aws_profiles.h - the config and credentials files of AWS, as texts.
 * Pure; once filled, any thread may read.
 *
 * Sections [NAME] and [profile NAME], [sso-session NAME], [services NAME]; settings NAME = VALUE,
 * and nested ones ("s3 =", then lines further in). What a file says later goes before what it said
 * earlier, and the credentials file before the config file. Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html */
#ifndef PB_COPIER_STORE_CREDENTIALS_AWS_PROFILES_H
#define PB_COPIER_STORE_CREDENTIALS_AWS_PROFILES_H

#include "copier/store/credentials/source.h"

typedef enum pb_aws_file_kind {
    PB_AWS_FILE_CREDENTIALS, /* sections are [NAME] */
    PB_AWS_FILE_CONFIG,      /* sections are [profile NAME], [default], [sso-session NAME]... */
} pb_aws_file_kind;

typedef enum pb_aws_section_kind {
    PB_AWS_SECTION_PROFILE,
    PB_AWS_SECTION_SSO_SESSION,
    PB_AWS_SECTION_SERVICES,
} pb_aws_section_kind;

typedef struct pb_aws_profiles pb_aws_profiles;
typedef struct pb_aws_section pb_aws_section;

typedef struct pb_aws_setting {
    pb_slice value; /* without blanks round it and without a comment; may be empty */
    const char *file;
    unsigned line;
} pb_aws_setting;

pb_aws_profiles *pb_aws_profiles_new(void);
/* Wipes what was read. NULL allowed. */
void pb_aws_profiles_free(pb_aws_profiles *profiles);

/* Adds a file's bytes (copied); the credentials file comes first. `name` is the file's, for
 * messages. Fails with USAGE where a '[' is not closed. Other mistakes belong to the section that
 * they stand in: pb_aws_profiles_find refuses that one. */
int pb_aws_profiles_add(pb_aws_profiles *profiles, pb_slice text, const char *name,
                        pb_aws_file_kind kind, pb_error *error);

/* *ret_section is NULL where no file has it; else it lives as long as the profiles. Fails with
 * USAGE, naming file and line, where the section holds a line that means nothing. */
int pb_aws_profiles_find(const pb_aws_profiles *profiles, pb_aws_section_kind kind,
                         const char *name, const pb_aws_section **ret_section, pb_error *error);

/* The setting; NULL where the section (NULL allowed) has none of this name. `group` is the setting
 * that it is nested in, NULL for none. */
const pb_aws_setting *pb_aws_section_find(const pb_aws_section *section, const char *group,
                                          const char *name);

/* The value as a text of its own (the caller frees) in *ret_text, which stays where there is no
 * such setting or an empty one. Fails with USAGE where the value holds what is not printable ASCII,
 * or, if `word`, blanks. Messages name the setting and never show the value. */
int pb_aws_section_text(const pb_aws_section *section, const char *group, const char *name,
                        bool word, char **ret_text, pb_error *error);

/* The keys that stand in the section: id and secret out of one file, the token with them.
 * *ret_found tells whether there are any; the caller clears *ret_keys. USAGE for half of a pair. */
int pb_aws_section_keys(const pb_aws_section *section, pb_credential *ret_keys, bool *ret_found,
                        pb_error *error);

/* True for printable ASCII without blanks, not empty, at most 16 KiB: what may go into a header. */
bool pb_aws_is_word(pb_slice text);

#endif
