/*
 * Private to base/: how a text becomes an option's value, and how an option is
 * shown.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_BASE_OPTION_H
#define FL_BASE_OPTION_H

#include "base/options.h"

#define FL_OPTION_RANGE_CAP    80
#define FL_OPTION_LIMITS_CAP   200
#define FL_OPTION_VARIABLE_CAP 160

/*
 * What every program has: config, help, version. Their value is NULL. A table
 * may have an option "config" of its own, to learn which file it was; it names
 * the file all the same.
 */
enum { FL_OPTION_COMMON_COUNT = 3 };
extern const fl_option FL_OPTION_COMMON[FL_OPTION_COMMON_COUNT];

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

/*
 * "1 to 100, default 3", "default on, --private=false"; empty when there is
 * nothing to say.
 */
void fl_option_limits_text(char dst[FL_OPTION_LIMITS_CAP],
                           const fl_option *option);

/*
 * The default as a file would say it: "3", "true"; empty when there is none
 * that could be said.
 */
void fl_option_default_text(char dst[FL_OPTION_LIMITS_CAP],
                            const fl_option *option);

/* FEDGE_TRAIN_LOCAL_EPOCHS; only for an option with a section. */
void fl_option_variable_name(char dst[FL_OPTION_VARIABLE_CAP],
                             const fl_option *option);

typedef struct {
    // "[train]", "On the command line only", "In every program"; NULL: not told
    void (*section)(void *self, const char *title);
    void (*option)(void *self, const fl_option *option);
} fl_option_visitor;

/* Each section with its options, in the order of the table; then the common. */
void fl_option_visit(const fl_option *table, size_t count,
                     const fl_option_visitor *visitor, void *self);

/* The first one that a file or the environment may set, or NULL. */
const fl_option *fl_option_first_set(const fl_option *table, size_t count);

#endif
