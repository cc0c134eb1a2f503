/*
 * Surveys: what a client answers about a model without training it. Each
 * answer is a list of counts, which are summed over clients, and the metrics of
 * the rows that were looked at.
 *
 *   MEASURE     1 count: with ranges, how many rows the float32 model has
 *               right, while the metrics are those of the INT8 form; else 0,
 *               and the metrics are those of the model
 *   IMPORTANCE  one a channel: its share of the Fisher information
 *   RANGES      FL_INT8_BINS a range: how its values spread over the bins
 *
 * Shares become counts of at most fl_tally_max, in proportion to the rows that
 * were looked at: no client has a larger say than its rows.
 *
 * Private to client/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_SURVEY_H
#define FL_CLIENT_SURVEY_H

#include "client/client.h"

/* fl_local_work for any work but TRAIN. */
FL_CHECK fl_err fl_survey_run(fl_result *result, const fl_plan *plan,
                              const fl_local_data *data, fl_reason *why);

#endif
