/*
 * The global model as files for people and runtimes: float32, and where there
 * is one, its INT8 form beside it.
 *
 *   --out model.onnx  -->  model.onnx, model-int8.onnx (QDQ)
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_EXPORT_H
#define FL_AGGREGATOR_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/*
 * The INT8 form of `model` with these ranges, as fl_ranges_encode writes them,
 * as a QDQ ONNX file; the caller frees *bytes. Errors of fl_ranges_quantize.
 */
FL_CHECK fl_err fl_export_int8(uint8_t **bytes, size_t *len,
                               const uint8_t *model, size_t model_len,
                               const uint8_t *ranges, size_t ranges_len,
                               fl_reason *why);

/*
 * Whether a model may be written to `path` beside this state folder: errors of
 * fl_file_check; FL_ERR_RANGE: it could be one of the folder's own files.
 */
FL_CHECK fl_err fl_export_check(const char *path, const char *folder,
                                fl_reason *why);

/*
 * Writes the ONNX file `model` to `path`, and with ranges (not NULL) the INT8
 * form beside it, of which *int8_len (unless NULL) is the length; 0: none.
 */
FL_CHECK fl_err fl_export_write(const char *path, const uint8_t *model,
                                size_t model_len, const uint8_t *ranges,
                                size_t ranges_len, size_t *int8_len,
                                fl_reason *why);

/*
 * The same with the last round of a state folder, running or not. Errors of
 * fl_export_check, fl_store_open and fl_store_last_round.
 */
FL_CHECK fl_err fl_export_state(const char *folder, const char *path,
                                fl_reason *why);

#endif
