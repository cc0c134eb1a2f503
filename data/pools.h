/*
 * The rows of each class, or of each group, to be taken one by one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_DATA_POOLS_H
#define FL_DATA_POOLS_H

#include <stdint.h>

#include "base/err.h"

// The stream that shuffles what all clients draw from; no client has this id.
#define FL_POOLS_STREAM UINT64_MAX

typedef struct {
    uint32_t pool_count;
    uint32_t *starts;  // (pool_count + 1)
    uint32_t *left;    // (pool_count): rows not taken yet, the first ones
    uint32_t *rows;    // (row_count): pool after pool
} fl_pools;

/*
 * Sorts rows 0 to row_count - 1 by keys[row], each below pool_count; stable.
 * FL_ERR_MEMORY: fl_pools_fini is due all the same.
 */
FL_CHECK fl_err fl_pools_init(fl_pools *pools, const uint32_t *keys,
                              uint32_t row_count, uint32_t pool_count);

/* Accepts one that is all zero. */
void fl_pools_fini(fl_pools *pools);

/* Puts every pool into random order; before anything is taken. */
void fl_pools_shuffle(fl_pools *pools, uint64_t seed);

/* A row of the pool, which must have one left (asserted). */
uint32_t fl_pools_take(fl_pools *pools, uint32_t pool);

#endif
