/*
 * How many clients are doing what: counts, never names.
 *
 * A client is in exactly one state. Only those count that have been here since
 * the aggregator started; how many the federation knows is the store's to say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_CENSUS_H
#define FL_AGGREGATOR_CENSUS_H

#include <stdint.h>

#include "aggregator/aggregator.h"

/* X(name, word, what it means), in the order of a round. */
#define FL_CENSUS_LIST(X)                                            \
    X(WAITING, "waiting", "connected, not asked in this round")      \
    X(TRAINING, "training", "asked, at work on its own data")        \
    X(READY, "ready", "has trained, its update is not in the sum")   \
    X(ADDED, "added", "its update is in the sum of this round")      \
    X(DECLINED, "declined", "asked, and would or could not do it")   \
    X(RESTING, "resting", "connected, says that it cannot work now") \
    X(ABSENT, "absent", "was here since the start, is not connected")

typedef enum {
#define FL_CENSUS_ENUM(name, word, meaning) FL_CENSUS_##name,
    FL_CENSUS_LIST(FL_CENSUS_ENUM)
#undef FL_CENSUS_ENUM
        FL_CENSUS_STATES  // how many there are
} fl_census_state;

typedef struct {
    uint32_t count[FL_CENSUS_STATES];
} fl_census;

/* Looks at every client once. */
fl_census fl_census_take(const fl_aggregator *aggregator);

/* "waiting", "training", ... */
const char *fl_census_word(fl_census_state state);

/* "connected, not asked in this round", ... */
const char *fl_census_meaning(fl_census_state state);

#endif
