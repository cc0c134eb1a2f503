/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "data/dirichlet.h"
#include "data/pools.h"

struct fl_partition {
    uint32_t client_count;
    uint32_t *starts;  // (client_count + 1): where in rows a client's begin
    uint32_t *rows;
};

void fl_partition_free(fl_partition *partition)
{
    if (!partition) return;
    free(partition->starts);
    free(partition->rows);
    free(partition);
}

uint32_t fl_partition_client_count(const fl_partition *partition)
{
    return partition->client_count;
}

const uint32_t *fl_partition_rows(const fl_partition *partition,
                                  uint32_t client, uint32_t *row_count)
{
    assert(client < partition->client_count);
    const uint32_t start = partition->starts[client];
    *row_count = partition->starts[client + 1] - start;
    return partition->rows + start;
}

/* ---- iid ---- */

static fl_err shuffled_rows(uint32_t **rows, uint32_t row_count, uint64_t seed)
{
    uint32_t *shuffled = malloc(row_count * sizeof *shuffled);
    if (!shuffled) return FL_ERR_MEMORY;
    for (uint32_t i = 0; i < row_count; i++) {
        shuffled[i] = i;
    }
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_PARTITION, FL_POOLS_STREAM);
    fl_random_shuffle(&random, shuffled, row_count);
    *rows = shuffled;
    return FL_OK;
}

static fl_err deal_iid(fl_partition *partition, const fl_dataset *dataset,
                       const fl_partition_options *options)
{
    uint32_t *rows = NULL;
    FL_TRY(shuffled_rows(&rows, fl_dataset_row_count(dataset), options->seed));
    memcpy(partition->rows, rows,
           partition->starts[partition->client_count] * sizeof *rows);
    free(rows);
    return FL_OK;
}

/* ---- shards ---- */

// rows[0..count), which are shuffled, in the order of their labels.
static fl_err sort_by_label(uint32_t *rows, uint32_t count,
                            const fl_dataset *dataset)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    fl_pools pools = {0};
    fl_err err = FL_ERR_MEMORY;
    uint32_t *keys = malloc(count * sizeof *keys);
    if (!keys) goto out;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = labels[rows[i]];
    }
    err = fl_pools_init(&pools, keys, count, fl_dataset_class_count(dataset));
    if (err) goto out;
    for (uint32_t i = 0; i < count; i++) {
        keys[i] = rows[pools.rows[i]];
    }
    memcpy(rows, keys, count * sizeof *rows);

out:
    free(keys);
    fl_pools_fini(&pools);
    return err;
}

static void take_shards(fl_partition *partition, const uint32_t *sorted,
                        uint32_t *shards, const fl_partition_options *options)
{
    const uint32_t per_client = options->shards;
    const uint32_t shard_len = partition->starts[1] / per_client;
    uint32_t left = partition->client_count * per_client;
    uint32_t *to = partition->rows;
    for (uint32_t client = 0; client < partition->client_count; client++) {
        fl_random random;
        fl_random_init(&random, options->seed, FL_RANDOM_PARTITION, client);
        for (uint32_t i = 0; i < per_client; i++, to += shard_len) {
            const uint32_t at = fl_random_below(&random, left);
            memcpy(to, sorted + (size_t)shards[at] * shard_len,
                   shard_len * sizeof *to);
            shards[at] = shards[--left];
        }
    }
}

static fl_err deal_shards(fl_partition *partition, const fl_dataset *dataset,
                          const fl_partition_options *options)
{
    const uint32_t dealt = partition->starts[partition->client_count];
    const uint32_t shard_count = partition->client_count * options->shards;
    uint32_t *sorted = NULL;
    uint32_t *shards = malloc(shard_count * sizeof *shards);
    fl_err err = FL_ERR_MEMORY;
    if (!shards) goto out;
    err = shuffled_rows(&sorted, fl_dataset_row_count(dataset), options->seed);
    if (!err) err = sort_by_label(sorted, dealt, dataset);
    if (err) goto out;
    for (uint32_t i = 0; i < shard_count; i++) {
        shards[i] = i;
    }
    take_shards(partition, sorted, shards, options);

out:
    free(shards);
    free(sorted);
    return err;
}

/* ---- column ---- */

static uint32_t highest(const uint32_t *numbers, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (found < numbers[i]) found = numbers[i];
    }
    return found;
}

// Leaves the pools that have rows, in their order.
static void drop_empty_pools(fl_pools *pools)
{
    uint32_t kept = 0;
    for (uint32_t p = 0; p < pools->pool_count; p++) {
        if (pools->left[p] == 0) continue;
        pools->starts[kept] = pools->starts[p];
        pools->left[kept++] = pools->left[p];
    }
    pools->pool_count = kept;
}

static fl_err check_groups(const fl_pools *pools,
                           const fl_partition_options *options, fl_reason *why)
{
    if (options->client_count > pools->pool_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%" PRIu32 " clients by column, but the column "
                             "names %" PRIu32 " groups; say column:%" PRIu32,
                             options->client_count, pools->pool_count,
                             pools->pool_count);
    }
    const uint32_t client_count =
        options->client_count ? options->client_count : pools->pool_count;
    for (uint32_t p = 0; p < client_count; p++) {
        if (pools->left[p] >= options->sample_count) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%" PRIu32 " rows a client by column, but client "
                             "%" PRIu32 "'s group has %" PRIu32
                             "; ask for fewer, or for 0: all of them",
                             options->sample_count, p, pools->left[p]);
    }
    return FL_OK;
}

static fl_err allocate(fl_partition *partition, uint32_t client_count,
                       uint32_t row_count)
{
    assert(row_count > 0);
    partition->client_count = client_count;
    partition->starts =
        calloc((size_t)client_count + 1, sizeof *partition->starts);
    partition->rows = calloc(row_count, sizeof *partition->rows);
    return partition->starts && partition->rows ? FL_OK : FL_ERR_MEMORY;
}

static fl_err deal_groups(fl_partition *partition, fl_pools *pools,
                          const fl_partition_options *options, fl_reason *why)
{
    drop_empty_pools(pools);
    FL_TRY(check_groups(pools, options, why));
    fl_pools_shuffle(pools, options->seed);
    const uint32_t client_count =
        options->client_count ? options->client_count : pools->pool_count;
    uint32_t row_count = 0;
    for (uint32_t p = 0; p < client_count; p++) {
        row_count +=
            options->sample_count ? options->sample_count : pools->left[p];
    }
    FL_TRY(allocate(partition, client_count, row_count));
    uint32_t *to = partition->rows;
    for (uint32_t p = 0; p < client_count; p++) {
        uint32_t wanted =
            options->sample_count ? options->sample_count : pools->left[p];
        for (; wanted > 0; wanted--) {
            *to++ = fl_pools_take(pools, p);
        }
        partition->starts[p + 1] = (uint32_t)(to - partition->rows);
    }
    return FL_OK;
}

static fl_err deal_column(fl_partition *partition, const fl_dataset *dataset,
                          const fl_partition_options *options, fl_reason *why)
{
    const uint32_t *groups = fl_dataset_groups(dataset);
    const uint32_t row_count = fl_dataset_row_count(dataset);
    if (!groups) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the partition 'column' needs data with a group "
                             "column: a CSV file, and the column's name");
    }
    fl_pools pools = {0};
    fl_err err = fl_pools_init(&pools, groups, row_count,
                               highest(groups, row_count) + 1);
    if (!err) err = deal_groups(partition, &pools, options, why);
    fl_pools_fini(&pools);
    return err;
}

/* ---- equal sizes: all but column ---- */

static fl_err check_options(const fl_partition_options *options, fl_reason *why)
{
    if (options->client_count < 1) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a partition needs at least 1 client");
    }
    if (options->kind == FL_PARTITION_DIRICHLET &&
        !(isfinite(options->alpha) && options->alpha > 0.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "dirichlet:%g: alpha must be above 0",
                             options->alpha);
    }
    if (options->kind == FL_PARTITION_SHARDS && options->shards < 1) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "shards:0: every client needs a shard");
    }
    return FL_OK;
}

static fl_err client_rows(uint32_t *per_client, uint32_t row_count,
                          const fl_partition_options *options, fl_reason *why)
{
    const uint32_t client_count = options->client_count;
    const uint32_t shards =
        options->kind == FL_PARTITION_SHARDS ? options->shards : 1;
    uint32_t wanted = options->sample_count;
    if (wanted == 0) {
        // Whole shards only.
        wanted = row_count / client_count;
        wanted -= wanted % shards;
        if (wanted == 0) wanted = shards;
    }
    if ((uint64_t)wanted * client_count > row_count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%" PRIu32 " clients with %" PRIu32 " rows each "
                             "need %" PRIu64 " rows, the data has %" PRIu32,
                             client_count, wanted,
                             (uint64_t)wanted * client_count, row_count);
    }
    if (wanted % shards != 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%" PRIu32 " rows a client cannot be cut into "
                             "%" PRIu32 " equal shards; ask for a multiple",
                             wanted, shards);
    }
    *per_client = wanted;
    return FL_OK;
}

static fl_err deal_equally(fl_partition *partition, const fl_dataset *dataset,
                           const fl_partition_options *options, fl_reason *why)
{
    uint32_t per_client = 0;
    FL_TRY(check_options(options, why));
    FL_TRY(
        client_rows(&per_client, fl_dataset_row_count(dataset), options, why));
    FL_TRY(allocate(partition, options->client_count,
                    options->client_count * per_client));
    for (uint32_t client = 0; client <= options->client_count; client++) {
        partition->starts[client] = client * per_client;
    }
    switch (options->kind) {
    case FL_PARTITION_IID: return deal_iid(partition, dataset, options);
    case FL_PARTITION_DIRICHLET:
        return fl_dirichlet_deal(partition->rows, dataset, per_client, options);
    case FL_PARTITION_SHARDS: return deal_shards(partition, dataset, options);
    case FL_PARTITION_COLUMN: break;
    }
    return FL_ERR_RANGE;
}

fl_err fl_partition_new(fl_partition **partition, const fl_dataset *dataset,
                        const fl_partition_options *options, fl_reason *why)
{
    fl_partition *dealt = calloc(1, sizeof *dealt);
    fl_err err = FL_ERR_MEMORY;
    if (dealt && options->kind == FL_PARTITION_COLUMN) {
        err = deal_column(dealt, dataset, options, why);
    } else if (dealt) {
        err = deal_equally(dealt, dataset, options, why);
    }
    if (err == FL_ERR_MEMORY) fl_reason_set(why, err, "out of memory");
    if (err) {
        fl_partition_free(dealt);
        return err;
    }
    *partition = dealt;
    return FL_OK;
}
