/* SPDX-License-Identifier: Apache-2.0 */
#include "data/dirichlet.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/random.h"
#include "data/pools.h"

/*
 * The label mix of one client over the pools with rows left.
 *
 * `tree` is a heap of partial sums: leaf i is the weight of pool i, every
 * inner node the sum of its two children, so a draw and a pool running dry
 * take log2(pools) steps, and removing a weight leaves no rounding behind.
 *
 * Weights come from logarithms, relative to the greatest one left: with a
 * small alpha the gamma variates themselves would all underflow to zero.
 */
typedef struct {
    double *logs;  // (pool_count): logarithms of the gamma variates
    double *tree;  // (2 * leaf_count), the root at 1
    size_t leaf_count;
} label_mix;

static void mix_fini(label_mix *mix)
{
    free(mix->logs);
    free(mix->tree);
}

static fl_err mix_init(label_mix *mix, uint32_t pool_count)
{
    mix->leaf_count = 1;
    while (mix->leaf_count < pool_count) {
        mix->leaf_count *= 2;
    }
    mix->logs = calloc(pool_count, sizeof *mix->logs);
    mix->tree = calloc(2 * mix->leaf_count, sizeof *mix->tree);
    return mix->logs && mix->tree ? FL_OK : FL_ERR_MEMORY;
}

static void mix_weigh(label_mix *mix, const fl_pools *pools)
{
    double greatest = -HUGE_VAL;
    for (uint32_t p = 0; p < pools->pool_count; p++) {
        if (pools->left[p] > 0) greatest = fmax(greatest, mix->logs[p]);
    }
    double *leaves = mix->tree + mix->leaf_count;
    for (uint32_t p = 0; p < pools->pool_count; p++) {
        leaves[p] = pools->left[p] > 0 ? exp(mix->logs[p] - greatest) : 0.0;
    }
    for (size_t i = mix->leaf_count - 1; i >= 1; i--) {
        mix->tree[i] = mix->tree[2 * i] + mix->tree[2 * i + 1];
    }
}

// Dir(alpha) is gamma variates over their sum; G(a) = G(a + 1) * U^(1/a).
static void mix_draw(label_mix *mix, fl_random *random, double alpha,
                     const fl_pools *pools)
{
    for (uint32_t p = 0; p < pools->pool_count; p++) {
        mix->logs[p] = log(fl_random_gamma(random, alpha + 1.0)) -
                       fl_random_exponential(random) / alpha;
    }
    mix_weigh(mix, pools);
}

// A pool with a weight above zero, so one with rows left.
static uint32_t mix_pick(const label_mix *mix, fl_random *random)
{
    double at = fl_random_double(random) * mix->tree[1];
    size_t i = 1;
    while (i < mix->leaf_count) {
        const double left = mix->tree[2 * i], right = mix->tree[2 * i + 1];
        const bool go_right = right > 0.0 && (at >= left || left <= 0.0);
        if (go_right) at -= left;
        i = 2 * i + go_right;
    }
    return (uint32_t)(i - mix->leaf_count);
}

static void mix_drop(label_mix *mix, uint32_t pool)
{
    size_t i = mix->leaf_count + pool;
    mix->tree[i] = 0.0;
    for (i /= 2; i >= 1; i /= 2) {
        mix->tree[i] = mix->tree[2 * i] + mix->tree[2 * i + 1];
    }
}

static void take_mixed(uint32_t *rows, uint32_t count, fl_pools *pools,
                       label_mix *mix, fl_random *random)
{
    for (uint32_t i = 0; i < count; i++) {
        // What is left is so rare in this mix that it rounded to nothing.
        if (mix->tree[1] <= 0.0) mix_weigh(mix, pools);
        const uint32_t pool = mix_pick(mix, random);
        rows[i] = fl_pools_take(pools, pool);
        if (pools->left[pool] == 0) mix_drop(mix, pool);
    }
}

fl_err fl_dirichlet_deal(uint32_t *rows, const fl_dataset *dataset,
                         uint32_t per_client,
                         const fl_partition_options *options)
{
    const uint32_t class_count = fl_dataset_class_count(dataset);
    fl_pools pools = {0};
    label_mix mix = {0};
    fl_err err = fl_pools_init(&pools, fl_dataset_labels(dataset),
                               fl_dataset_row_count(dataset), class_count);
    if (!err) err = mix_init(&mix, class_count);
    if (err) goto out;

    fl_pools_shuffle(&pools, options->seed);
    for (uint32_t client = 0; client < options->client_count; client++) {
        fl_random random;
        fl_random_init(&random, options->seed, FL_RANDOM_PARTITION, client);
        mix_draw(&mix, &random, options->alpha, &pools);
        take_mixed(rows + (size_t)client * per_client, per_client, &pools, &mix,
                   &random);
    }

out:
    mix_fini(&mix);
    fl_pools_fini(&pools);
    return err;
}
