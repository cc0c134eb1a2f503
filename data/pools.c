/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pools.h"

#include <assert.h>
#include <stdlib.h>

#include "base/random.h"

void fl_pools_fini(fl_pools *pools)
{
    free(pools->starts);
    free(pools->left);
    free(pools->rows);
}

fl_err fl_pools_init(fl_pools *pools, const uint32_t *keys, uint32_t row_count,
                     uint32_t pool_count)
{
    pools->pool_count = pool_count;
    pools->starts = calloc((size_t)pool_count + 1, sizeof *pools->starts);
    pools->left = calloc(pool_count, sizeof *pools->left);
    pools->rows = calloc(row_count, sizeof *pools->rows);
    if (!pools->starts || !pools->left || !pools->rows) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < row_count; i++) {
        pools->starts[keys[i] + 1]++;
    }
    for (uint32_t p = 0; p < pool_count; p++) {
        pools->starts[p + 1] += pools->starts[p];
    }
    for (uint32_t i = 0; i < row_count; i++) {
        const uint32_t p = keys[i];
        pools->rows[pools->starts[p] + pools->left[p]++] = i;
    }
    return FL_OK;
}

void fl_pools_shuffle(fl_pools *pools, uint64_t seed)
{
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_PARTITION, FL_POOLS_STREAM);
    for (uint32_t p = 0; p < pools->pool_count; p++) {
        fl_random_shuffle(&random, pools->rows + pools->starts[p],
                          pools->left[p]);
    }
}

uint32_t fl_pools_take(fl_pools *pools, uint32_t pool)
{
    assert(pools->left[pool] > 0);
    return pools->rows[pools->starts[pool] + --pools->left[pool]];
}
