/*
 * The options of a program that runs, read again: the same command line and
 * environment, and the files as they are now.
 *
 *   files --> new values --check--> live ones are taken, others named
 *                |                   |
 *                +-- unreadable      +-- make no sense
 *                |                   |
 *                +-------------------+--> all stays as it was
 *
 * The variables of the table change in the call and at no other time, so it
 * belongs to the thread that reads them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_RELOAD_H
#define FL_BASE_RELOAD_H

#include <stdbool.h>

#include "base/options.h"

enum { FL_RELOAD_KEYS_CAP = 400 };

typedef struct fl_reload fl_reload;

typedef struct {
    const fl_option *table;  // borrowed for life; its variables hold defaults
    size_t count;
    const char *config_path;  // as for fl_options_read, and borrowed
    int argc;
    char *const *argv;
    const char *const *log_level;  // an option's variable: it is checked, and
                                   // followed; NULL: there is none
} fl_reload_options;

/*
 * Remembers defaults: call it before fl_options_read. The caller owns *reload:
 * fl_reload_free, no earlier than it needs the variables. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_reload_new(fl_reload **reload,
                              const fl_reload_options *options);

/* Accepts NULL. */
void fl_reload_free(fl_reload *reload);

/* Whether the table's variables make sense together; *why: if not. */
typedef fl_err fl_reload_check(void *self, fl_reason *why);

/* Keys of options with commas, "listen, threads"; "": none. */
typedef struct {
    char changed[FL_RELOAD_KEYS_CAP];  // another value holds now
    char waiting[FL_RELOAD_KEYS_CAP];  // one will, after a restart
} fl_reload_report;

/*
 * Reads the options again. `check` sees all new values first, then those that
 * will hold. After an error everything is as it was. FL_ERR_FORMAT,
 * FL_ERR_RANGE: a file, or what the check says. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_reload_run(fl_reload *reload, fl_reload_report *report,
                              fl_reload_check *check, void *self,
                              fl_reason *why);

/*
 * fl_reload_run and a line in the log about what came of it. False: all is as
 * it was.
 */
bool fl_reload_log(fl_reload *reload, fl_reload_check *check, void *self);

#endif
