/*
 * A command line of the owner's as words, without a shell.
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_ARGV_H
#define FL_CLIENT_TRAINER_ARGV_H

#include "base/err.h"
#include "base/reason.h"

enum { FL_ARGV_WORDS_MAX = 64 };

typedef struct {
    char *text;  // all words, each with a byte 0 behind it; owned
    char *words[FL_ARGV_WORDS_MAX + 1];  // NULL behind the last
} fl_argv;

/*
 * Splits at blanks; "double quotes" hold what has some. fl_argv_fini frees
 * it. FL_ERR_RANGE: no words or too many, a quote that does not end, or the
 * first one is not the whole path of a program. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_argv_split(fl_argv *argv, const char *line, fl_reason *why);

/* Accepts one that is all zeros. */
void fl_argv_fini(fl_argv *argv);

#endif
