/*
 * quantize --mode mixed: tries every layer in few bits, picks those that are
 * worth more, and says what came of it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_MIX_H
#define FL_COMPRESS_MIX_H

#include "compress/model/sensitivity.h"
#include "compress/tool.h"

typedef struct {
    const fl_tool *tool;
    fl_int8_options options;  // fl_mix_find adds the lists of layers
    const fl_dataset *dataset;
    const uint32_t *rows;
    size_t row_count;
    fl_sensitivity layers;
    fl_sensitivity_mix chosen;
    fl_metrics base;  // all layers in the same few bits
    size_t base_len;  // bytes of their file
} fl_mix;

/* Everything but `tool` and `options` is zeroed before. Data is borrowed
 * until fl_mix_report. FL_ERR_RANGE: --base-bits. Errors of
 * fl_sensitivity_measure. */
FL_CHECK fl_err fl_mix_find(fl_mix *mix, const fl_model *model,
                            const fl_dataset *dataset, const uint32_t *rows,
                            size_t row_count, fl_reason *why);

/* Measures what was made of it, and prints a table or JSON. */
FL_CHECK fl_err fl_mix_report(const fl_mix *mix, const fl_int8_model *quantized,
                              fl_qdq_profile profile, fl_reason *why);

void fl_mix_fini(fl_mix *mix);

#endif
