/*
 * The ranges of a model's values as bytes: with them, whoever has the model
 * makes the same INT8 form of it, so that quantising for everybody costs a few
 * hundred bytes (docs/format.md, "Ranges").
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_RANGES_H
#define FL_COMPRESS_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/* Exactly what fl_ranges_encode writes. */
size_t fl_ranges_bytes(size_t range_count);

/* FL_ERR_SPACE: dst_cap is below fl_ranges_bytes. */
FL_CHECK fl_err fl_ranges_encode(uint8_t *dst, size_t dst_cap,
                                 const fl_range *ranges, size_t range_count);

/*
 * Safe on any bytes. FL_ERR_FORMAT: malformed, not range_count ranges, or one
 * without low <= 0 <= high, both finite.
 */
FL_CHECK fl_err fl_ranges_decode(fl_range *ranges, size_t range_count,
                                 const uint8_t *src, size_t src_len,
                                 fl_reason *why);

/*
 * The model's INT8 form with the ranges that these bytes hold; everybody makes
 * the same one. The caller owns *quantized: fl_int8_free. Errors of
 * fl_ranges_decode and fl_int8_quantize_ranges; FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_ranges_quantize(fl_int8_model **quantized,
                                   const fl_model *model, const uint8_t *src,
                                   size_t src_len, fl_reason *why);

#endif
