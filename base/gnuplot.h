/*
 * Pictures as SVG, drawn by the program gnuplot from a script.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_GNUPLOT_H
#define FL_BASE_GNUPLOT_H

#include <stdio.h>

#include "base/err.h"
#include "base/reason.h"

/* FL_ERR_NOT_FOUND: gnuplot is not installed; *why says how. */
FL_CHECK fl_err fl_gnuplot_check(const char *option, fl_reason *why);

/* An empty script, in a temporary file. FL_ERR_SYSTEM: *why names `path`. */
FL_CHECK fl_err fl_gnuplot_begin(FILE **script, const char *path,
                                 fl_reason *why);

/* Prints `text` in quotes, so that nothing in it is a command. */
void fl_gnuplot_print_text(FILE *script, const char *text);

/* Prints how all pictures look, and their title. */
void fl_gnuplot_print_head(FILE *script, const char *title);

/*
 * Draws it into the file `path`; closes the script. FL_ERR_SYSTEM: the file
 * could not be written, or gnuplot not be run.
 */
FL_CHECK fl_err fl_gnuplot_finish(FILE *script, const char *path,
                                  fl_reason *why);

#endif
