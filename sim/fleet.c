/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/fleet.h"

#include <math.h>

static const double BYTES_PER_MBIT = 1e6 / 8.0;
static const double AWAY_MEAN_MS = 60e3;

static double log_normal(fl_random *random, double median, double spread)
{
    return median * exp(spread * fl_random_normal(random));
}

void fl_board_init(fl_board *board, const fl_fleet_options *options,
                   uint32_t client)
{
    fl_random link, compute;
    fl_random_init(&link, options->seed, FL_RANDOM_LINK, client);
    fl_random_init(&compute, options->seed, FL_RANDOM_COMPUTE, client);
    const double spread = options->link_spread;
    *board = (fl_board){
        .dropout = options->dropout,
        .present_s = options->period_s * options->availability,
        .absent_s = options->period_s * (1.0 - options->availability),
    };
    // One draw an expression: the order of draws is part of the result.
    board->link.up_bytes_per_s =
        log_normal(&link, options->up_mbit * BYTES_PER_MBIT, spread);
    board->link.down_bytes_per_s =
        log_normal(&link, options->down_mbit * BYTES_PER_MBIT, spread);
    board->link.latency_ms = log_normal(&link, options->latency_ms, spread);
    board->link.loss = options->loss;
    board->samples_per_s =
        log_normal(&compute, options->samples_per_s, options->speed_spread);
    fl_random_init(&board->presence, options->seed, FL_RANDOM_AVAILABILITY,
                   client);
    fl_random_init(&board->accidents, options->seed, FL_RANDOM_DROPOUT, client);
}

bool fl_board_is_present_first(fl_board *board)
{
    const double share =
        board->present_s / (board->present_s + board->absent_s);
    return board->absent_s <= 0.0 || fl_random_double(&board->presence) < share;
}

int64_t fl_board_next_change_ms(fl_board *board, bool is_present)
{
    if (board->absent_s <= 0.0) return INT64_MAX;
    const double mean_s = is_present ? board->present_s : board->absent_s;
    return 1 +
           (int64_t)(1e3 * mean_s * fl_random_exponential(&board->presence));
}

int64_t fl_board_work_ms(const fl_board *board, const fl_plan *plan,
                         uint64_t row_count)
{
    const bool is_survey = plan->work != FL_WORK_TRAIN;
    const bool is_capped =
        is_survey && plan->row_cap > 0 && plan->row_cap < row_count;
    const double samples = is_survey
                               ? (double)(is_capped ? plan->row_cap : row_count)
                               : (double)row_count * plan->local_epochs;
    return 1 + (int64_t)(1e3 * samples / board->samples_per_s);
}

bool fl_board_vanishes(fl_board *board, int64_t training_ms, int64_t *after_ms,
                       int64_t *away_ms)
{
    if (board->dropout <= 0.0) return false;
    // All three are drawn each time: the stream's position is the training's.
    const double fate = fl_random_double(&board->accidents);
    const double when = fl_random_double(&board->accidents);
    const double away = fl_random_exponential(&board->accidents);
    *after_ms = (int64_t)(when * (double)training_ms);
    *away_ms = 1 + (int64_t)(away * AWAY_MEAN_MS);
    return fate < board->dropout;
}

bool fl_board_vanishes_in_session(fl_board *board, fl_step *step,
                                  int64_t *away_ms)
{
    static const fl_step steps[] = {FL_STEP_ADVERTISE, FL_STEP_SHARES,
                                    FL_STEP_MASKED, FL_STEP_CONFIRM,
                                    FL_STEP_UNMASK};
    const int64_t step_count = sizeof steps / sizeof *steps;
    int64_t i = 0;
    const bool does = fl_board_vanishes(board, step_count, &i, away_ms);
    *step = steps[i];
    return does;
}
