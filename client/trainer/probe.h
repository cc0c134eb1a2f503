/*
 * What parameters are worth on a client's rows, by our own engine, whoever has
 * trained them: on some hundred rows, so that it costs little.
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_TRAINER_PROBE_H
#define FL_CLIENT_TRAINER_PROBE_H

#include "client/client.h"

enum { FL_PROBE_ROWS_MAX = 512 };  // spread evenly over the job's

/*
 * FL_ERR_RANGE: model and data do not fit, or a loss is NaN or infinite.
 * FL_ERR_LIMIT: more memory than the job's data allows. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_probe_measure(fl_metrics *metrics, const float *params,
                                 const fl_local_job *job, fl_reason *why);

#endif
