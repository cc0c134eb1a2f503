/*
 * Quantisation as several commands do it: their options, and the rows of the
 * training part that are looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_CALIBRATION_H
#define FL_COMPRESS_CALIBRATION_H

#include "compress/tool.h"

enum { FL_CALIBRATION_OPTIONS = 4 };  // that fl_calibration_list adds

typedef struct {
    fl_int8_options options;
    fl_qdq_profile profile;
} fl_calibration;

/* Appends the options of quantisation. */
size_t fl_calibration_list(fl_option *table, size_t count, fl_tool *tool);

/* Reads them. FL_ERR_RANGE: one is none of its words: wrong usage. */
FL_CHECK fl_err fl_calibration_init(fl_calibration *calibration,
                                    const fl_tool *tool, fl_reason *why);

/* A sample of the training part, `--rows` or all; the caller frees *rows. */
FL_CHECK fl_err fl_calibration_rows(uint32_t **rows, size_t *count,
                                    const fl_tool *tool,
                                    const fl_dataset *train, fl_reason *why);

#endif
