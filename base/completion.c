/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/manual.h"
#include "base/option.h"

// "fedge_client": what a function of a shell may be called.
static void put_name(FILE *out, const char *name)
{
    for (; *name; name++) {
        fputc(*name == '-' ? '_' : *name, out);
    }
}

static void put_command_names(FILE *out, const fl_program *program)
{
    const char *blank = "";
    for (size_t i = 0; i < program->command_count; i++) {
        if (!program->commands[i].name) continue;
        fprintf(out, "%s%s", blank, program->commands[i].name);
        blank = " ";
    }
}

typedef void options_put(FILE *out, const fl_option *table, size_t count);

// A branch for each command that has options of its own, and one for the rest.
static void put_branches(FILE *out, const fl_program *program,
                         options_put *put_options)
{
    for (size_t i = 0; i < program->command_count; i++) {
        const fl_command *command = &program->commands[i];
        if (!command->usage) continue;
        fprintf(out, "    %s)\n", command->name);
        put_options(out, command->options, command->option_count);
        fputs("        ;;\n", out);
    }
    fputs("    *)\n", out);
    put_options(out, program->options, program->option_count);
    fputs("        ;;\n    esac\n", out);
}

/* ---- bash ---- */

static void put_bash_option(void *self, const fl_option *option)
{
    fprintf(self, " --%s", option->key);
}

static void put_bash_options(FILE *out, const fl_option *table, size_t count)
{
    static const fl_option_visitor visitor = {NULL, put_bash_option};
    fputs("        options=\"", out);
    fl_option_visit(table, count, &visitor, out);
    fputs("\"\n", out);
}

void fl_manual_bash(FILE *out, const fl_program *program)
{
    fprintf(out, "# Completion of %s for bash, made by %s --help=bash.\n_",
            program->name, program->name);
    put_name(out, program->name);
    fputs("()\n{\n    local word=${COMP_WORDS[COMP_CWORD]} options\n"
          "    case ${COMP_WORDS[1]} in\n",
          out);
    put_branches(out, program, put_bash_options);
    fputs("    COMPREPLY=()\n"
          "    if [[ $word == -* ]]; then\n"
          "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- "
          "\"$word\")\n",
          out);
    if (program->commands[0].name) {
        fputs("    elif [[ $COMP_CWORD -eq 1 ]]; then\n"
              "        mapfile -t COMPREPLY < <(compgen -W \"",
              out);
        put_command_names(out, program);
        fputs("\" -- \"$word\")\n", out);
    }
    // Without an answer of ours bash offers files.
    fputs("    fi\n}\ncomplete -o default -F _", out);
    put_name(out, program->name);
    fprintf(out, " %s\n", program->name);
}

/* ---- zsh ---- */

// Within '...[HELP]': what ends the one or the other is left out or escaped.
static void put_zsh_text(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\'') {
            fputs("'\\''", out);
        } else {
            if (strchr("[]:\\", *text)) fputc('\\', out);
            fputc(*text, out);
        }
    }
}

static void put_zsh_option(void *self, const fl_option *option)
{
    FILE *out = self;
    fprintf(out, " \\\n            '--%s[", option->key);
    put_zsh_text(out, option->help);
    fputc(']', out);
    if (option->argument) {
        fputc(':', out);
        put_zsh_text(out, option->argument);
        fputs(option->kind == FL_OPTION_TEXT ? ":_files" : ": ", out);
    }
    fputc('\'', out);
}

static void put_zsh_options(FILE *out, const fl_option *table, size_t count)
{
    static const fl_option_visitor visitor = {NULL, put_zsh_option};
    fputs("        _arguments", out);
    fl_option_visit(table, count, &visitor, out);
    fputs(" \\\n            '*:FILE:_files'\n", out);
}

void fl_manual_zsh(FILE *out, const fl_program *program)
{
    fprintf(out, "#compdef %s\n# Made by %s --help=zsh.\n", program->name,
            program->name);
    if (program->commands[0].name) {
        fputs("if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then\n"
              "    compadd ",
              out);
        put_command_names(out, program);
        fputs("\nelse\n    local command=$words[2]\n"
              "    [[ $command == -* ]] || { shift words; (( CURRENT-- )) }\n",
              out);
    } else {
        fputs("if true; then\n    local command=\n", out);
    }
    fputs("    case $command in\n", out);
    put_branches(out, program, put_zsh_options);
    fputs("fi\n", out);
}
