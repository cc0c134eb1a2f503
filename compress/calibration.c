/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/calibration.h"

static const char *const CALIBRATE[] = {"minmax", "percentile", "entropy",
                                        NULL};
static const char *const PROFILES[] = {"plain", "tensorrt", NULL};

size_t fl_calibration_list(fl_option *table, size_t count, fl_tool *tool)
{
    const fl_option own[FL_CALIBRATION_OPTIONS] = {
        {"quantization", "calibrate", FL_OPTION_TEXT, &tool->calibrate, 0, 0,
         "HOW", "ranges of activations: minmax, percentile or entropy"},
        {"quantization", "percentile", FL_OPTION_NUMBER, &tool->percentile, 99,
         100, "X", "share of the values within the range"},
        {"quantization", "rows", FL_OPTION_COUNT, &tool->row_count, 1, 1 << 24,
         "N", "training rows to calibrate with"},
        {"quantization", "profile", FL_OPTION_TEXT, &tool->profile, 0, 0,
         "NAME", "plain, or tensorrt: signed activations, zero point 0"},
    };
    return fl_tool_options(table, count, own, FL_CALIBRATION_OPTIONS);
}

fl_err fl_calibration_init(fl_calibration *calibration, const fl_tool *tool,
                           fl_reason *why)
{
    unsigned calibrate, profile;
    FL_TRY(fl_tool_choice(&calibrate, "calibrate", tool->calibrate, CALIBRATE,
                          why));
    FL_TRY(fl_tool_choice(&profile, "profile", tool->profile, PROFILES, why));
    *calibration = (fl_calibration){
        .options = {.calibrate = (fl_calibrate)calibrate,
                    .percentile = tool->percentile,
                    .is_symmetric = profile == FL_QDQ_TENSORRT},
        .profile = (fl_qdq_profile)profile,
    };
    return FL_OK;
}

fl_err fl_calibration_rows(uint32_t **rows, size_t *count, const fl_tool *tool,
                           const fl_dataset *train, fl_reason *why)
{
    const uint32_t all = fl_dataset_row_count(train);
    *count = tool->row_count < all ? (size_t)tool->row_count : all;
    return fl_tool_draw_rows(rows, train, tool, FL_RANDOM_SHUFFLE, why);
}
