/*
 * All that codecs for the clear have in common (docs/format.md, "Clear
 * codecs"): metrics, EXACT coordinates, limits, residuals and sums.
 *
 *   an update:  weight, correct, loss | EXACT coordinates | what the coder made
 *   a sum:      weight, correct, loss | an int64 for each coordinate
 *
 * The functions are those of codec.h, for a codec that is not summable.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_CLEAR_H
#define FL_COMPRESS_CLEAR_H

#include "compress/update/codec_table.h"

size_t fl_clear_bound(const fl_codec *codec, const fl_codec_row *row);
size_t fl_clear_scratch(const fl_codec *codec, const fl_codec_row *row);
size_t fl_clear_sums(const fl_codec *codec);

FL_CHECK fl_err fl_clear_encode(fl_writer *out, const fl_codec *codec,
                                const fl_codec_row *row, float *update,
                                const fl_update_metrics *metrics,
                                uint32_t place, fl_random *rounding,
                                float *scratch, fl_reason *why);

FL_CHECK fl_err fl_clear_add(uint64_t *sums, const fl_codec *codec,
                             const fl_codec_row *row, fl_reader *in,
                             float *scratch, fl_reason *why);

FL_CHECK fl_err fl_clear_decode(float *mean, fl_update_metrics *metrics,
                                const fl_codec *codec, const fl_codec_row *row,
                                const uint64_t *sums, uint32_t client_count,
                                fl_reason *why);

#endif
