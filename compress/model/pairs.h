/*
 * Verification: are two pictures of one class? A model of embeddings says yes
 * when the two are nearer than a threshold. The threshold is the one that is
 * right most often on pairs of training rows; what counts is how often it is
 * right on pairs of test rows.
 *
 * Half of the pairs are of one class. They follow from the labels, the seed
 * and their number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_COMPRESS_PAIRS_H
#define FL_COMPRESS_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "model/model.h"

enum { FL_PAIRS_MAX = 1 << 20 };

typedef struct {
    uint32_t a, b;  // rows
    bool is_same;   // of one class
} fl_pair;

/*
 * pairs[0..count): even ones of one class, odd ones of two. `part` names the
 * draw. FL_ERR_RANGE: fewer than two classes with rows, or no class has two.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_pairs_draw(fl_pair *pairs, size_t count,
                              const fl_dataset *dataset, uint64_t seed,
                              fl_data_part part, fl_reason *why);

typedef struct {
    double threshold;       // of the distance
    double train_accuracy;  // of the pairs that it was chosen on
    double accuracy;        // of the test pairs
    size_t count;           // pairs of each part
} fl_verification;

/*
 * The threshold that is right most often, in the middle between the distances
 * around it, and the share of pairs with which it is; the least of equal ones.
 */
FL_CHECK fl_err fl_pairs_threshold(fl_verification *result,
                                   const double *distances,
                                   const fl_pair *pairs, size_t count,
                                   fl_reason *why);

/*
 * Measures a runner on `count` pairs (2 to FL_PAIRS_MAX) of each part.
 * FL_ERR_RANGE: count, or as above, or rows that are not the runner's input.
 * FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_pairs_verify(fl_verification *result, fl_runner *runner,
                                const fl_dataset *train, const fl_dataset *test,
                                size_t count, uint64_t seed, fl_reason *why);

#endif
