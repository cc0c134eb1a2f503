/*
 * Models to take channels from, masks that do it, and the zeros that stand for
 * what was taken.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_SHRINKING_H
#define FL_TESTS_SUPPORT_SHRINKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph.h"
#include "model/model.h"

/* A model around the net, which it takes, with parameters from the seed. */
fl_model *shrinking_net(fl_graph net, uint64_t seed);

/*
 * A built-in architecture for pictures of side x side x 1 and 10 classes, with
 * norms that are not the identity.
 */
fl_model *shrinking_zoo(const char *name, uint32_t side, uint64_t seed);

fl_channels *shrinking_channels(const fl_model *model);

/* One bool a channel; the caller frees it. At least `least` of each group. */
bool *shrinking_mask(const fl_channels *channels, uint32_t least,
                     uint64_t seed);

/* How many are left in each group; the caller frees it. */
uint32_t *shrinking_kept(const fl_channels *channels, const bool *keep);

/* Fails the test with the reason. */
fl_model *shrinking_shrink(const fl_model *model, uint32_t **from,
                           const bool *keep);

/*
 * Zeroes the weights, biases and norms that make the channels which are not
 * kept, in the model itself.
 */
void shrinking_silence(fl_model *model, const bool *keep);

/* logits of `count` random examples, by the trainer; the caller frees them. */
float *shrinking_logits(const fl_model *model, uint32_t count);

#endif
