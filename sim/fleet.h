/*
 * What the simulated boards are like: links, speed, presence, accidents.
 *
 * Each client draws its own from streams that its number names, so a fleet is
 * a function of the seed and a client is the same in a fleet of any size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_FLEET_H
#define FL_SIM_FLEET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "net/net.h"
#include "proto/proto.h"
#include "secure/secure.h"

typedef struct {
    uint64_t seed;
    double up_mbit, down_mbit;  // median rates of a client; 0: no limit
    double link_spread;         // deviation of their logarithms
    double latency_ms;          // median, one way
    double loss;                // of packets
    double samples_per_s;       // median speed of training
    double speed_spread;        // deviation of its logarithm
    double availability;        // share of the time that a client is there
    double period_s;            // mean of one presence and one absence
    double dropout;             // probability that a selected client vanishes
} fl_fleet_options;

/* One board's fixed properties and its streams of chance. */
typedef struct {
    fl_link link;
    double samples_per_s;
    double present_s, absent_s;  // means; absent_s 0: always there
    double dropout;
    fl_random presence, accidents;
} fl_board;

void fl_board_init(fl_board *board, const fl_fleet_options *options,
                   uint32_t client);

/* Whether it is there when the simulation starts. */
bool fl_board_is_present_first(fl_board *board);

/* Milliseconds until it goes or comes; INT64_MAX: never. */
int64_t fl_board_next_change_ms(fl_board *board, bool is_present);

/*
 * Virtual time that the plan's work takes with so many rows: an epoch of
 * training looks at each of them, and so does a survey.
 */
int64_t fl_board_work_ms(const fl_board *board, const fl_plan *plan,
                         uint64_t row_count);

/*
 * Asked once a training: false, or the time from its start at which the
 * client vanishes (while training or uploading) and how long it is away.
 */
bool fl_board_vanishes(fl_board *board, int64_t training_ms, int64_t *after_ms,
                       int64_t *away_ms);

/*
 * The same where a session follows the training: the step of it that the
 * client is gone before it sends.
 */
bool fl_board_vanishes_in_session(fl_board *board, fl_step *step,
                                  int64_t *away_ms);

#endif
