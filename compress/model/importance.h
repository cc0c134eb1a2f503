/*
 * How much a model would lose without a channel or a weight, measured on data.
 *
 *   fisher     mean over examples of slope^2: the diagonal of the empirical
 *              Fisher information of the channel's mask (Theis et al. 2018,
 *              equation 9; Liu et al. 2021)
 *   taylor     |mean over examples of slope|: the first-order change of the
 *              loss (Molchanov et al. 2019)
 *   magnitude  norm of the weights that make the channel; needs no data
 *
 * with slope the derivative of an example's loss by the mask, as
 * fl_channels_slopes has it. Examples are taken one at a time, in the order of
 * `rows`: the same arguments give the same bits.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_IMPORTANCE_H
#define FL_COMPRESS_IMPORTANCE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

typedef enum {
    FL_IMPORTANCE_FISHER,
    FL_IMPORTANCE_TAYLOR,
    FL_IMPORTANCE_MAGNITUDE,
} fl_importance_kind;

/* Rows of a dataset, borrowed. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;
    size_t row_count;
    const atomic_bool *stop;  // set by anyone: leave soon; or NULL
} fl_importance_data;

/*
 * scores[0..fl_channels_count) of the model's channels, 0 or more each;
 * *metrics, if not NULL: of the rows (MAGNITUDE: zeros). FL_ERR_RANGE: no
 * rows, or as of fl_trainer_gradient. FL_ERR_CANCELLED: *stop was set.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_importance_channels(double *scores, fl_metrics *metrics,
                                       const fl_model *model,
                                       const fl_channels *channels,
                                       fl_importance_kind kind,
                                       const fl_importance_data *data,
                                       fl_reason *why);

/*
 * The diagonal Fisher information of every parameter: the mean over examples
 * of its squared gradient; 0 for statistics. `fisher` has a double a
 * parameter. Optimal brain damage (LeCun et al. 1990, equation 5) scores a
 * weight w by fisher * w^2 / 2. Errors as above.
 */
FL_CHECK fl_err fl_importance_weights(double *fisher, fl_metrics *metrics,
                                      const fl_model *model,
                                      const fl_importance_data *data,
                                      fl_reason *why);

#endif
