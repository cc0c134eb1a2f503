/*
 * Which values a DROPOUT keeps. Each example of a batch has a random stream
 * of its own, so it does not matter which lane it is in.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_MODEL_OPS_DROPOUT_H
#define FL_MODEL_OPS_DROPOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"

/* The stream of an example, a number in the batch, at a node of the graph. */
void fl_dropout_init(fl_random *random, uint64_t draw, uint32_t node_number,
                     uint32_t example);

/* Whether the next value is kept; it is not with probability `ratio`. */
bool fl_dropout_keeps(fl_random *random, float ratio);

#endif
