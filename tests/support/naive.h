/*
 * The oracle of the engine's tests: a graph computed in double precision by
 * loops that follow the definitions and nothing else. Batch norms normalise
 * by the batch, or by the running statistics when `uses_stats`.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_NAIVE_H
#define FL_TESTS_SUPPORT_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "model/graph.h"

/* Names the random numbers of a batch. */
enum { NAIVE_DRAW = 7 };

/* logits (count, classes) of x (count, H, W, C). */
void naive_forward(double *logits, const fl_graph *graph, const double *params,
                   const double *x, uint32_t count, bool uses_stats);

/*
 * grads: central differences of the mean softmax cross-entropy of the logits,
 * one for each weight and bias; statistics are left alone.
 */
void naive_gradient(double *grads, const fl_graph *graph, double *params,
                    const double *x, const uint32_t *labels, uint32_t count,
                    bool uses_stats);

#endif
