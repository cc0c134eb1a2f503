/*
 * Options of a program: one table drives the command line, the environment,
 * the INI file and --help.
 *
 * Precedence: flag, environment (FEDGE_SECTION_KEY), FILE.d/NAME.conf in the
 * order of their names, FILE, default. A key `local-epochs` of section `train`
 * is `--local-epochs 3`, `FEDGE_TRAIN_LOCAL_EPOCHS=3`, or
 *
 *   [train]
 *   local-epochs = 3
 *
 * An unknown key or a bad value is refused with file, line and the nearest
 * known key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_OPTIONS_H
#define FL_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"

typedef enum {
    FL_OPTION_FLAG,    // bool: --json; in files true or false
    FL_OPTION_COUNT,   // uint64_t within [min, max]
    FL_OPTION_NUMBER,  // double within [min, max]
    FL_OPTION_TEXT,    // const char *; lives as long as the fl_options
} fl_option_kind;

// A row of a table begins with what every option has.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding)
typedef struct {
    const char *section;  // of the INI file, and a heading of --help;
                          // NULL: command line only
    const char *key;      // without dashes: "local-epochs"
    fl_option_kind kind;
    void *value;           // the variable to set; holds the default before; a
                           // NUMBER below min: nothing that help could name
    double min, max;       // COUNT and NUMBER
    const char *argument;  // shown in --help: "N", "FILE"; NULL for FLAG
    const char *help;      // one sentence without a full stop
    bool is_live;          // a reload changes it (base/reload.h); --help marks
                           // it with a star
} fl_option;

#define FL_OPTION_LIVE true  // ends a row of a table: is_live

typedef struct fl_options fl_options;  // owns the texts

/*
 * Sets the table's variables. `config_path`: the INI file, or NULL; a missing
 * default file is fine, one named by `--config` is not. argv[1..argc) are the
 * flags (GNU long options, `--key value` or `--key=value`). Words that are
 * not options: FL_ERR_RANGE. `--help`, `--help=man` and the like, and
 * `--version` set *asked instead of failing; the defaults still hold then.
 * FL_ERR_RANGE: usage (the command line). FL_ERR_FORMAT: configuration (a
 * file or the environment). *why is the sentence to print. The caller owns
 * *options, also after an error: fl_options_free.
 */
typedef enum {
    FL_ASKED_NOTHING,
    FL_ASKED_VERSION,
    FL_ASKED_HELP,
    FL_ASKED_MANUAL,  // --help=man
    FL_ASKED_BASH,    // --help=bash, completion
    FL_ASKED_ZSH,
    FL_ASKED_CONFIG,  // --help=conf
} fl_asked;

FL_CHECK fl_err fl_options_read(fl_options **options, fl_asked *asked,
                                const fl_option *table, size_t count,
                                const char *config_path, int argc,
                                char *const *argv, fl_reason *why);

/* Accepts NULL. */
void fl_options_free(fl_options *options);

/*
 * Prints the options under their section's headings with arguments, defaults
 * and help, wrapped to 80 columns.
 */
void fl_options_help(FILE *out, const fl_option *table, size_t count);

/*
 * Prints a configuration file that changes nothing: each key of each section
 * with help and default, commented out. Lines that begin with "#" and no blank
 * become settings without it.
 */
void fl_options_config(FILE *out, const fl_option *table, size_t count);

/* Exit codes of every program. */
enum {
    FL_EXIT_OK = 0,
    FL_EXIT_FAILED = 1,
    FL_EXIT_USAGE = 2,
    FL_EXIT_NOT_RUNNING = 3,
    FL_EXIT_TEMPORARY = 75,
    FL_EXIT_REFUSED = 77,
    FL_EXIT_CONFIG = 78,
};

#endif
