/*
 * What every program's main does: read options, answer --help and --version,
 * start the log, run the command that was named.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_PROGRAM_H
#define FL_BASE_PROGRAM_H

#include <stddef.h>

#include "base/options.h"
#include "base/reason.h"
#include "base/reload.h"

/*
 * Does the command's work with the settings that the options have filled.
 * Returns an exit code; *why, when not empty, is printed behind the program's
 * name unless the code is FL_EXIT_OK.
 */
typedef int fl_command_run(const void *settings, fl_reason *why);

typedef struct {
    const char *name;  // "run"; NULL: the program has no commands
    fl_command_run *run;
    const char *usage;         // of its own, with options of its own; NULL:
    const fl_option *options;  // the program's
    size_t option_count;
    const char *operand;  // what the word behind the command is: "MODEL";
    const char **word;    // where it goes; NULL: there is none
    // Where all words up to the first option go, which are argv's; NULL: one
    // word is all.
    char *const **words;
    size_t *word_count;
} fl_command;

typedef struct {
    const char *name;         // "fedge-client"
    const char *config_path;  // INI file; NULL: none
    const char *usage;        // stands before the options in --help
                              // (`COMMAND --help`: the command's)
    const fl_option *options;
    size_t option_count;
    const fl_command *commands;
    size_t command_count;
    const char *const *log_level;  // an option's variable
    const void *settings;
    fl_reload **reload;  // where a command finds how to read the options
                         // again; NULL: none does
} fl_program;

/*
 * What a program that ends with this error exits with: FL_EXIT_CONFIG when
 * options, model or data are wrong, so that starting again will not help.
 */
int fl_program_exit(fl_err err);

/* Returns the exit code. */
int fl_program_main(const fl_program *program, int argc, char *const *argv);

#endif
