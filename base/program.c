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

static int run(const fl_program *program, const char *name, fl_reason *why)
{
    fl_log_level level;
    const fl_command *command = find_command(program, name, why);
    if (!command) return FL_EXIT_USAGE;
    if (fl_log_level_parse(&level, *program->log_level)) {
        (void)!fl_reason_set(why, FL_ERR_RANGE,
                             "--log-level %s: not error, warn, info or debug",
                             *program->log_level);
        return FL_EXIT_USAGE;
    }
    fl_log_start(level, NULL, NULL);
    return command->run(program->settings, why);
}

int fl_program_main(const fl_program *program, int argc, char *const *argv)
{
    fl_options *options = NULL;
    fl_asked asked;
    fl_reason why = {""};
    int code = FL_EXIT_OK;
    const bool has_name =
        program->commands[0].name && argc > 1 && argv[1][0] != '-';
    const int skip = has_name ? 1 : 0;
    const fl_err err = fl_options_read(
        &options, &asked, program->options, program->option_count,
        program->config_path, argc - skip, argv + skip, &why);
    if (err) {
        code = err == FL_ERR_FORMAT ? FL_EXIT_CONFIG : FL_EXIT_USAGE;
    } else if (asked == FL_ASKED_HELP) {
        fputs(program->usage, stdout);
        fl_options_help(stdout, program->options, program->option_count);
    } else if (asked == FL_ASKED_VERSION) {
        printf("%s %s\n", program->name, FL_VERSION);
    } else {
        code = run(program, has_name ? argv[1] : NULL, &why);
    }
    if (code != FL_EXIT_OK && why.text[0]) {
        fprintf(stderr, "%s: %s\n", program->name, why.text);
    }
    fl_options_free(options);
    return code;
}
