/*
 * How fast the forms of a model are on this machine: as it was first, with
 * fewer channels, and in INT8. One example at a time, one thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_FORMS_H
#define FL_SIM_FORMS_H

#include <stddef.h>
#include <stdint.h>

#include "aggregator/aggregator.h"
#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/*
 * Fills *forms. `model` is an ONNX file, `ranges` what its INT8 form is made
 * with; NULL: it has none. Errors of fl_export_int8 and fl_runner_new.
 */
FL_CHECK fl_err fl_forms_measure(fl_totals_forms *forms, const fl_model *dense,
                                 const uint8_t *model, size_t model_len,
                                 const uint8_t *ranges, size_t ranges_len,
                                 fl_reason *why);

#endif
