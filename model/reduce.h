/*
 * Making a network smaller: fewer channels, fewer bits, fewer ranks. Part of
 * model/model.h, which includes this by way of model/infer.h. What to remove is
 * decided elsewhere (compress/model/); here it is done.
 *
 *   fl_model --fl_channels_new--> which channels stand and fall together
 *            --fl_model_shrink--> the same network without some of them
 *            --fl_model_factorize--> large layers as products of thin ones
 *            --fl_qat_prepare--> one that trains as it will run in INT8
 *            --fl_int8_observe--> what ranges its values take
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_REDUCE_H
#define FL_MODEL_REDUCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "data/data.h"
#include "model/infer.h"
#include "model/model.h"

/* ---- coupled channels ---- */

/*
 * A group is a set of layers whose channels are coupled (Fang et al. 2023,
 * "DepGraph"): a residual sum, the depthwise convolution behind a convolution,
 * the parts of a concatenation. Its channel c is a row of weights in some
 * layers, a column in others, a number in every norm between; with all of them
 * gone, nothing is left that speaks of c.
 *
 * Channels of one model are numbered through, group after group; so are they
 * in scores and in keep masks. Groups follow the order of the layers that make
 * them, so that a model and what fl_model_shrink makes of it have the same
 * groups in the same order, as long as two channels of each are kept: with one
 * left, a depthwise convolution is none any more. The input's channels and the
 * outputs are in no group, nor is what a graph could not do without and stay
 * regular. A group of one channel is possible, and stays as it is.
 */
typedef struct fl_channels fl_channels;

typedef struct {
    const char *name;    // of the first layer that makes them; lives as long
                         // as the fl_channels
    uint32_t first;      // number of its first channel
    uint32_t count;      // of its channels
    size_t param_count;  // parameters that one of them takes, in all layers
    uint64_t mac_count;  // multiplications that one of them costs, an example
} fl_channel_group;

/*
 * Finds the groups. The model is borrowed for the call. The caller owns
 * *channels: fl_channels_free. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_channels_new(fl_channels **channels, const fl_model *model,
                                fl_reason *why);

/* Accepts NULL. */
void fl_channels_free(fl_channels *channels);

/* Channels of all groups; 0: nothing can be removed. */
size_t fl_channels_count(const fl_channels *channels);

uint32_t fl_channels_group_count(const fl_channels *channels);
fl_channel_group fl_channels_group(const fl_channels *channels, uint32_t i);

/* What a model costs. */
typedef struct {
    size_t param_count;
    uint64_t mac_count;  // multiplications by a weight, an example
} fl_model_cost;

/* With kept[i] channels left in group i, at least one in each. */
fl_model_cost fl_channels_cost(const fl_channels *channels,
                               const uint32_t *kept);

/*
 * How fast the loss changes when channel c is scaled, d loss / d m_c at
 * m_c = 1 with m_c a factor on what each layer of the group makes in channel
 * c (Liu et al. 2021, "Group Fisher Pruning", equation 8): the sum of
 * parameter times gradient over the last affine map of each of these layers.
 * `grads` are of the loss by `params`; slopes[0..fl_channels_count).
 */
void fl_channels_slopes(const fl_channels *channels, double *slopes,
                        const float *params, const float *grads);

/* L2 norm of the weights that make each channel (Li et al. 2017 use L1). */
void fl_channels_norms(const fl_channels *channels, double *norms,
                       const float *params);

/*
 * The model without the channels where keep[c] is false; it computes what the
 * whole one does with these channels set to zero (the weights and biases that
 * make them, and those of their norms), to the last bit of float32. Only a
 * GROUPNORM of fewer than 64 channels adds up in an order that depends on how
 * many it has.
 * `channels` are the model's. *from, if not NULL, says for each parameter of
 * *smaller which one of the model's it is (the caller frees it): residuals,
 * masters and moments follow with it. The caller owns *smaller: fl_model_free.
 * FL_ERR_RANGE: a group keeps none (*why names it). FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_model_shrink(fl_model **smaller, uint32_t **from,
                                const fl_model *model,
                                const fl_channels *channels, const bool *keep,
                                fl_reason *why);

/*
 * A keep mask from lists as people and files write them: for group i the
 * numbers (from 0, within the group) of the channels to keep,
 * lists[at[i]..at[i + 1]), at[0] = 0. FL_ERR_RANGE: a list is empty, not
 * rising, names a channel twice or one that the group does not have (*why
 * names the group).
 */
FL_CHECK fl_err fl_channels_keep(bool *keep, const fl_channels *channels,
                                 const uint32_t *lists, const size_t *at,
                                 fl_reason *why);

/* ---- gradients ---- */

/*
 * The gradient of the mean loss (as options->loss of training, without a
 * teacher) over rows[0..row_count), norms by their running statistics;
 * `grads` has a float a parameter, 0 for statistics. *metrics: of these rows.
 * FL_ERR_RANGE: no rows, or more than batch_cap; a dataset that does not fit,
 * or a loss that is no number. FL_ERR_STATE: the trainer has no gradients.
 */
FL_CHECK fl_err fl_trainer_gradient(fl_trainer *trainer, float *grads,
                                    fl_metrics *metrics, const fl_loss *loss,
                                    const float *params,
                                    const fl_dataset *dataset,
                                    const uint32_t *rows, size_t row_count,
                                    fl_reason *why);

/* ---- ranges of values ---- */

/*
 * Values that share a quantisation have one range. They are numbered in the
 * order of the graph; models of the same shape have the same ones.
 * FL_ERR_UNSUPPORTED: an operator has no integer form. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_int8_range_count(size_t *count, const fl_model *model,
                                    fl_reason *why);

/*
 * A histogram whose bins are the same for everyone, so that sums over clients
 * are histograms too: a quarter of an octave each, of either sign, from 2^-16
 * up to 2^16. Bin 0 is what is nearer to 0; bins 1 to 128 are positive, rising;
 * 129 to 256 negative, falling away from 0.
 */
enum { FL_INT8_BINS = 257 };

/*
 * shares (range_count, FL_INT8_BINS): which share of the numbers of each range
 * fell into which bin, while the model ran over rows[0..row_count); 1 a range
 * in all. Errors of fl_int8_quantize.
 */
FL_CHECK fl_err fl_int8_observe(double *shares, const fl_model *model,
                                const fl_dataset *dataset, const uint32_t *rows,
                                size_t row_count, fl_reason *why);

/*
 * Ranges from such histograms, in any unit: `percentile` (50 to 100) of what
 * is not in bin 0 is inside, as with FL_CALIBRATE_PERCENTILE; edges are those
 * of bins. A histogram of zeros gives the range of nothing but 0.
 */
void fl_int8_ranges_from(fl_range *ranges, const double *histograms,
                         size_t range_count, double percentile);

/*
 * As fl_int8_quantize, with ranges that are known. The same model and ranges
 * give the same bytes on every machine. FL_ERR_RANGE: range_count is not the
 * model's, or low <= 0 <= high does not hold, or one is no number.
 */
FL_CHECK fl_err fl_int8_quantize_ranges(fl_int8_model **quantized,
                                        const fl_model *model,
                                        const fl_range *ranges,
                                        size_t range_count, bool is_symmetric,
                                        fl_reason *why);

/* ---- quantisation-aware training ---- */

/*
 * A model that trains as it will run in INT8 (Jacob et al. 2018, section 3):
 * folded, so that batch norms are frozen; every weight is rounded to the 255
 * levels of its output channel before it is used, every value to the 256 of
 * its range; gradients pass through the rounding where nothing was cut off
 * (the straight-through estimator of Bengio et al. 2013). It has the ranges of
 * `ranges` (fl_int8_observe and fl_int8_ranges_from, or those of a calibration:
 * fl_int8_calibrate). Trainers take it as any model; ONNX does not know it. The
 * caller owns *prepared: fl_model_free. FL_ERR_UNSUPPORTED, FL_ERR_RANGE,
 * FL_ERR_MEMORY: as of fl_int8_quantize_ranges.
 */
FL_CHECK fl_err fl_qat_prepare(fl_model **prepared, const fl_model *model,
                               const fl_range *ranges, size_t range_count,
                               bool is_symmetric, fl_reason *why);

/*
 * What it has become, quantised: computes exactly what the prepared one does
 * in its own arithmetic, but for the last bits of float32 sums.
 * FL_ERR_STATE: fl_qat_prepare has not made this model.
 */
FL_CHECK fl_err fl_qat_finish(fl_int8_model **quantized,
                              const fl_model *prepared, fl_reason *why);

/*
 * The ranges that fl_int8_quantize would use: ranges[0..range_count), with
 * all layers in 8 bits, whatever the options say of single ones.
 * Errors of fl_int8_quantize.
 */
FL_CHECK fl_err fl_int8_calibrate(fl_range *ranges, size_t range_count,
                                  const fl_model *model,
                                  const fl_dataset *dataset,
                                  const uint32_t *rows, size_t row_count,
                                  const fl_int8_options *options,
                                  fl_reason *why);

/* ---- low rank ---- */

typedef struct {
    const char *layers;  // names or patterns with * and ?, separated by
                         // commas; NULL: all that get smaller by it
    double energy;       // share of the squared singular values that is kept,
                         // above 0 to 1; 0: by budget
    double budget;       // share of these layers' weights that may be left,
                         // above 0, below 1; 0: by energy
} fl_factorize_options;

/*
 * A model in which DENSE and CONV layers are products of two thinner ones by
 * singular value decomposition (Denton et al. 2014 for convolutions as
 * matrices (O, kernel_h * kernel_w * I)): r outputs first, then 1x1 from these
 * to O. A layer is replaced only where that takes fewer weights, unless it is
 * named and energy is 1. Names: NAME.u and NAME.v. The caller owns *factored:
 * fl_model_free. FL_ERR_NOT_FOUND: a name fits no CONV or DENSE. FL_ERR_RANGE:
 * an option, or no layer would get smaller. FL_ERR_UNSUPPORTED: a named layer
 * has groups. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_model_factorize(fl_model **factored, const fl_model *model,
                                   const fl_factorize_options *options,
                                   fl_reason *why);

#endif
