/*
 * Which of a client's rows a plan is about. Every so-manyth is held out, the
 * same ones in every round: on these nothing is trained, so that they can tell
 * what a model is worth.
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_ROWS_H
#define FL_CLIENT_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

enum { FL_ROWS_HELD_OUT_MIN = 4 };  // fewer would say too much about each

/* A client's rows; all borrowed. */
typedef struct {
    const uint32_t *rows;
    // A number of each that is its own for life, whatever rows come and go.
    // NULL: there are always the same rows, and they are numbered from 0.
    const uint64_t *places;
    uint32_t count;
} fl_own_rows;

/*
 * Copies, in their order, the rows that are held out, or those that are not;
 * `rows` has room for all. Returns how many these are. A row is held out when
 * its number % holdout is holdout - 1. With a holdout of 0 none is, and all
 * of them are copied either way.
 *
 * Where fewer than FL_ROWS_HELD_OUT_MIN would be held out, all of them are
 * copied for who wants those. So they are for who does not, unless rows have
 * places: more may come, and a row that will be held out then must never
 * have been trained on.
 */
uint32_t fl_rows_split(uint32_t *rows, const fl_own_rows *own, uint32_t holdout,
                       bool wants_held_out);

/*
 * Leaves at most `cap` of rows[0..count), drawn at random, in their order;
 * returns how many. 0: all stay.
 */
uint32_t fl_rows_sample(uint32_t *rows, uint32_t count, uint32_t cap,
                        fl_random *random);

/*
 * The most of `count` rows that a survey looks at: three quarters, rounded up,
 * so that it never sees all of four or more.
 */
uint32_t fl_rows_survey_cap(uint32_t count);

#endif
