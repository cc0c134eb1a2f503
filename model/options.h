/*
 * Whether the options of a run make sense by themselves. What depends on the
 * trainer is checked there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPTIONS_H
#define FL_MODEL_OPTIONS_H

#include "model/model.h"

/* FL_ERR_RANGE: *why names the option and its range. */
FL_CHECK fl_err fl_options_check(const fl_train_options *options,
                                 uint32_t batch_cap, fl_reason *why);

/* The same for a loss alone. */
FL_CHECK fl_err fl_options_check_loss(const fl_loss *loss, fl_reason *why);

#endif
