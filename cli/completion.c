#include "cli/completion.h"

#include "cli/commands.h"

/* Names of the table are of letters and dashes: none needs quoting in bash. */

static bool is_file(const pb_option_entry *option)
{
    return option->value && strcmp(option->value, "FILE") == 0;
}

/* The words that a value may be, with blanks between them; "" where it may be anything. */
static void append_value_words(pb_buffer *buffer, const pb_option_entry *option)
{
    if (option->kind == PB_OPTION_CHECKSUM) {
        pb_buffer_append_text(buffer, "sha256 crc32c");
    } else if (option->kind == PB_OPTION_CHOICE) {
        for (const char *at = option->value; *at; at++)
            pb_buffer_append_char(buffer, *at == '|' ? ' ' : *at);
    }
}

static void append_commands(pb_buffer *buffer)
{
    size_t count;
    const pb_command_entry *commands = pb_command_entries(&count);
    for (size_t i = 0; i < count; i++)
        pb_buffer_append_format(buffer, "%s%s", i ? " " : "", commands[i].name);
}

/* Which options each command has. */
static void append_options(pb_buffer *buffer)
{
    size_t command_count, option_count;
    const pb_command_entry *commands = pb_command_entries(&command_count);
    const pb_option_entry *options = pb_option_entries(&option_count);
    for (size_t i = 0; i < command_count; i++) {
        pb_buffer_append_format(buffer, "        %s) words=\"", commands[i].name);
        bool first = true;
        for (size_t j = 0; j < option_count; j++)
            if (options[j].commands & 1u << commands[i].command) {
                pb_buffer_append_format(buffer, "%s--%s", first ? "" : " ", options[j].name);
                first = false;
            }
        pb_buffer_append_text(buffer, "\" ;;\n");
    }
}

/* What may follow an option that takes a value. */
static void append_values(pb_buffer *buffer)
{
    size_t count;
    const pb_option_entry *options = pb_option_entries(&count);
    for (size_t i = 0; i < count; i++) {
        if (!options[i].value)
            continue;
        pb_buffer_append_format(buffer, "        --%s) ", options[i].name);
        if (is_file(&options[i])) {
            pb_buffer_append_text(buffer, "files=yes");
        } else {
            pb_buffer_append_text(buffer, "words=\"");
            append_value_words(buffer, &options[i]);
            pb_buffer_append_char(buffer, '"');
        }
        pb_buffer_append_text(buffer, " ;;\n");
    }
}

void pb_completion_append_bash(pb_buffer *buffer)
{
    pb_buffer_append_text(
        buffer,
        "# bash completion for pbcopy " PB_VERSION ", made by `pbcopy help completion-bash`.\n"
        "_pbcopy() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
        "    local command= words= files= is_value=yes i\n"
        "    # --name=value comes as three words.\n"
        "    if [[ $word == = ]]; then\n"
        "        word=\n"
        "    elif [[ $before == = ]] && ((COMP_CWORD > 1)); then\n"
        "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
        "    fi\n"
        "    local commands=\"");
    append_commands(buffer);
    pb_buffer_append_text(buffer, "\"\n"
                                  "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                                  "        [[ \" $commands \" == *\" ${COMP_WORDS[i]} \"* ]] || "
                                  "continue\n"
                                  "        command=${COMP_WORDS[i]}\n"
                                  "        break\n"
                                  "    done\n"
                                  "    case $before in\n");
    append_values(buffer);
    pb_buffer_append_text(buffer, "        *) is_value= ;;\n"
                                  "    esac\n"
                                  "    if [[ -z $is_value && -z $command ]]; then\n"
                                  "        words=$commands\n"
                                  "        [[ $word != -* ]] || words='--help --version'\n"
                                  "    elif [[ -z $is_value && $word == -* ]]; then\n"
                                  "        case $command in\n");
    append_options(buffer);
    pb_buffer_append_text(buffer, "        esac\n"
                                  "    elif [[ -z $is_value && $command == help ]]; then\n"
                                  "        words=\"$commands man completion-bash\"\n"
                                  "    fi\n"
                                  "    COMPREPLY=()\n"
                                  "    if [[ -n $files ]]; then\n"
                                  "        compopt -o filenames 2>/dev/null\n"
                                  "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
                                  "    elif [[ -n $words ]]; then\n"
                                  "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- "
                                  "\"$word\")\n"
                                  "    fi\n"
                                  "}\n"
                                  "complete -F _pbcopy pbcopy\n");
}
