/* SPDX-License-Identifier: Apache-2.0 */
#include "base/program.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"

int fl_program_exit(fl_err err)
{
    switch ((int)err) {
    case FL_OK: return FL_EXIT_OK;
    case FL_ERR_AUTH: return FL_EXIT_REFUSED;
    case FL_ERR_RANGE:
    case FL_ERR_FORMAT:
    case FL_ERR_LIMIT:
    case FL_ERR_NOT_FOUND:
    case FL_ERR_UNSUPPORTED: return FL_EXIT_CONFIG;
    default: return FL_EXIT_FAILED;
    }
}

static const fl_command *find_command(const fl_program *program,
                                      const char *name, fl_reason *why)
{
    for (size_t i = 0; i < program->command_count; i++) {
        const fl_command *command = &program->commands[i];
        if (!command->name || (name && strcmp(command->name, name) == 0)) {
            return command;
        }
    }
    if (name) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "%s is not a command; see --help", name);
    } else {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "name a command, such as %s; see --help",
                             program->commands[0].name);
    }
    return NULL;
}

static int run(const fl_program *program, const fl_command *command,
               fl_reason *why)
{
    fl_log_level level;
    if (command->word && !*command->word) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "%s needs a %s; see %s %s --help", command->name,
                             command->operand, program->name, command->name);
        return FL_EXIT_USAGE;
    }
    if (fl_log_level_parse(&level, *program->log_level)) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "--log-level %s: not error, warn, info or debug",
                             *program->log_level);
        return FL_EXIT_USAGE;
    }
    fl_log_start(level, NULL, NULL);
    return command->run(program->settings, why);
}

// "-" alone is a word: standard input where a file is named.
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != 0;
}

// What stands in front of the options: a command, and what it works on.
static int take_words(const fl_command **command, const fl_program *program,
                      int argc, char *const *argv, fl_reason *why)
{
    const bool has_name =
        program->commands[0].name && argc > 1 && argv[1][0] != '-';
    const int skip = has_name ? 1 : 0;
    *command = find_command(program, has_name ? argv[1] : NULL, why);
    if (!*command || !(*command)->word) return skip;
    const int word_max = (*command)->words ? argc : 1;
    int count = 0;
    while (count < word_max && skip + 1 + count < argc &&
           !is_option(argv[skip + 1 + count])) {
        count++;
    }
    if (count > 0) *(*command)->word = argv[skip + 1];
    if ((*command)->words) {
        *(*command)->words = argv + skip + 1;
        *(*command)->word_count = (size_t)count;
    }
    return skip + count;
}

// Before the options are read: it takes the defaults.
static fl_err prepare_reload(const fl_program *program, int argc,
                             char *const *argv)
{
    const fl_reload_options options = {.table = program->options,
                                       .count = program->option_count,
                                       .config_path = program->config_path,
                                       .argc = argc,
                                       .argv = argv,
                                       .log_level = program->log_level};
    return program->reload ? fl_reload_new(program->reload, &options) : FL_OK;
}

int fl_program_main(const fl_program *program, int argc, char *const *argv)
{
    fl_options *options = NULL;
    fl_asked asked;
    fl_reason why = {""}, no_command = {""};
    int code = FL_EXIT_OK;
    const fl_command *command;
    const int skip = take_words(&command, program, argc, argv, &no_command);
    const bool is_own = command && command->usage;
    const char *usage = is_own ? command->usage : program->usage;
    const fl_option *table = is_own ? command->options : program->options;
    const size_t count = is_own ? command->option_count : program->option_count;
    if (prepare_reload(program, argc - skip, argv + skip)) {
        fprintf(stderr, "%s: out of memory\n", program->name);
        return FL_EXIT_FAILED;
    }
    const fl_err err =
        fl_options_read(&options, &asked, table, count, program->config_path,
                        argc - skip, argv + skip, &why);
    if (!err && asked == FL_ASKED_HELP) {
        fputs(usage, stdout);
        fl_options_help(stdout, table, count);
    } else if (!err && asked == FL_ASKED_VERSION) {
        printf("%s %s\n", program->name, FL_VERSION);
    } else if (!command) {
        why = no_command;
        code = FL_EXIT_USAGE;
    } else if (err) {
        code = err == FL_ERR_FORMAT ? FL_EXIT_CONFIG : FL_EXIT_USAGE;
    } else {
        code = run(program, command, &why);
    }
    if (code != FL_EXIT_OK && why.text[0]) {
        fprintf(stderr, "%s%s: %s\n", fl_log_priority(FL_LOG_ERROR),
                program->name, why.text);
    }
    if (program->reload) fl_reload_free(*program->reload);
    fl_options_free(options);
    return code;
}
