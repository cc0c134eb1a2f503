/*
 * Private to options.c and config.c: how a text becomes an option's value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_OPTION_H
#define FL_BASE_OPTION_H

#include "base/options.h"

#define FL_OPTION_RANGE_CAP 80

struct fl_options {
    const fl_option *table;
    size_t count;
    char **texts;  // texts[i]: what TEXT option i points to, or NULL
};

// Who says so, for the reason, and which error a bad value makes.
typedef struct {
    const char *where;  // "--rounds", "client.conf:12: rounds"
    fl_err err;
    fl_reason *why;
} fl_option_origin;

/* origin->err: the text is no such value; the variable keeps its old one. */
FL_CHECK fl_err fl_option_set(fl_options *options, const fl_option *option,
                              const char *text, const fl_option_origin *origin);

/* "1 to 1000", "at least 1"; for COUNT and NUMBER. */
void fl_option_range_text(char dst[FL_OPTION_RANGE_CAP],
                          const fl_option *option);

#endif
