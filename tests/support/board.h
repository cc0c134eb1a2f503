/*
 * What a client has on its board, for tests of its work: pictures, a model
 * that has learnt a little, and the ranges of its INT8 form.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_BOARD_H
#define FL_TESTS_SUPPORT_BOARD_H

#include "client/client.h"
#include "compress/compress.h"

enum { BOARD_ROWS = 60, BOARD_SIDE = 8, BOARD_CLASSES = 3 };

typedef struct {
    fl_dataset *dataset;
    uint32_t rows[BOARD_ROWS];
    fl_model *model;
    uint8_t *bytes;  // of the model
    size_t len;
    fl_range *ranges;
    size_t range_count;
    uint8_t *range_bytes;
    size_t range_len;
    fl_plan plan;  // of training; a test changes it
    fl_result result;
    fl_reason why;
} fl_board_kit;

void fl_board_kit_init(fl_board_kit *kit);
void fl_board_kit_fini(fl_board_kit *kit);

/* Encodes model and ranges again, after a change of them. */
void fl_board_kit_encode(fl_board_kit *kit);

/* All of it; `ranges` too when with_ranges. */
fl_local_data fl_board_kit_data(const fl_board_kit *kit, bool with_ranges);

/* A survey in the clear, of so many counts; ranges when with_ranges. */
void fl_board_kit_survey(fl_board_kit *kit, fl_work work, size_t count,
                         bool with_ranges);

#endif
