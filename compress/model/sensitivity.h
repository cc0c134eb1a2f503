/*
 * Which layers of a model suffer from few bits, and which of them should
 * therefore keep more (mixed precision; as in Dong et al. 2019, "HAWQ", but
 * with the loss measured instead of a bound on it).
 *
 *   fl_sensitivity_measure   one convolution or dense layer at a time in 8,
 *                            then 4 bits, all others in float32
 *   fl_sensitivity_choose    from all layers in few bits, step by step: the
 *                            layer whose next precision takes away most loss
 *                            a byte, as long as bytes are left
 *
 * What layers lose alone is taken to add up. That is not so, but it ranks
 * them; measure the mix that comes out before it is used.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_SENSITIVITY_H
#define FL_COMPRESS_SENSITIVITY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

/* Of one layer; the losses are means over the rows, less float32's. */
typedef struct {
    const char *name;  // lives as long as the sensitivity
    size_t weight_count;
    double int8_loss, nibble_loss;
    uint64_t int8_correct, nibble_correct;
} fl_sensitivity_layer;

typedef struct {
    fl_metrics floats;             // all layers in float32
    fl_sensitivity_layer *layers;  // most int8_loss first, then by name
    uint32_t layer_count;
    fl_model *folded;  // what the names are of
} fl_sensitivity;

/* Borrowed; rows exist, and the dataset fits the model. */
typedef struct {
    const fl_dataset *dataset;
    const uint32_t *rows;  // to measure on; the first ones also calibrate
    size_t row_count;
    const fl_int8_options *options;  // without lists of layers
    const atomic_bool *stop;         // set by anyone: leave soon; or NULL
    /* After layer i of `count`, in the order of the graph; or NULL. */
    void (*on_layer)(void *self, uint32_t i, uint32_t count);
    void *on_layer_self;
} fl_sensitivity_data;

/*
 * The caller owns *made: fl_sensitivity_fini. FL_ERR_CANCELLED: *stop was set.
 * FL_ERR_RANGE, FL_ERR_UNSUPPORTED, FL_ERR_MEMORY: as of fl_int8_quantize and
 * fl_runner_evaluate. After an error there is nothing to free.
 */
FL_CHECK fl_err fl_sensitivity_measure(fl_sensitivity *made,
                                       const fl_model *model,
                                       const fl_sensitivity_data *data,
                                       fl_reason *why);

/* Accepts a zeroed struct. */
void fl_sensitivity_fini(fl_sensitivity *made);

/* What is allowed; a limit of 0 is none, but one of them must be set. */
typedef struct {
    fl_precision base;      // of all layers to begin with: INT8 or NIBBLE
    double max_bytes_more;  // share of the base's weights that may be added
    double max_loss;        // stop when what the layers lose adds up to less
} fl_sensitivity_limits;

/* What every layer gets, as lists for fl_int8_options. */
typedef struct {
    char *half_layers, *nibble_layers;  // NULL: none; the caller frees them
    size_t base_bytes, mixed_bytes;     // of weights
    double loss;                        // what is left, added up
} fl_sensitivity_mix;

/* FL_ERR_RANGE: the limits. FL_ERR_MEMORY. */
FL_CHECK fl_err fl_sensitivity_choose(fl_sensitivity_mix *mix,
                                      const fl_sensitivity *made,
                                      const fl_sensitivity_limits *limits,
                                      fl_reason *why);

void fl_sensitivity_mix_fini(fl_sensitivity_mix *mix);

#endif
