/*
 * What training and surveys have in common.
 *
 * Private to client/. Pure functions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_LOCAL_H
#define FL_CLIENT_LOCAL_H

#include "client/client.h"
#include "compress/compress.h"

/* The codec that the plan asks for. */
void fl_local_codec(fl_codec *codec, const fl_plan *plan);

/*
 * The rows that the plan is about: those held out to MEASURE, the others for
 * all other work. The caller frees *rows. FL_ERR_RANGE: none is left.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_local_rows(uint32_t **rows, uint32_t *row_count,
                              const fl_plan *plan, const fl_local_data *data,
                              fl_reason *why);

/* Puts the metrics into the result. */
void fl_local_report(fl_result *result, const fl_metrics *metrics);

#endif
