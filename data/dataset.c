/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/loader.h"

void fl_dataset_free(fl_dataset *dataset)
{
    if (!dataset) return;
    free(dataset->values);
    free(dataset->labels);
    free(dataset->groups);
    free(dataset->origins);
    fl_resize_free(dataset->resize);
    fl_names_fini(&dataset->class_names);
    fl_names_fini(&dataset->columns);
    fl_names_fini(&dataset->row_names);
    free(dataset);
}

uint32_t fl_dataset_row_count(const fl_dataset *dataset)
{
    return dataset->row_count;
}

fl_shape fl_dataset_shape(const fl_dataset *dataset)
{
    return dataset->shape;
}

uint32_t fl_dataset_class_count(const fl_dataset *dataset)
{
    return dataset->class_count;
}

const uint32_t *fl_dataset_labels(const fl_dataset *dataset)
{
    return dataset->labels;
}

const uint32_t *fl_dataset_groups(const fl_dataset *dataset)
{
    return dataset->groups;
}

const char *fl_dataset_class_name(const fl_dataset *dataset, uint32_t label)
{
    return fl_names_get(&dataset->class_names, label);
}

const char *fl_dataset_row_name(const fl_dataset *dataset, uint32_t row)
{
    return fl_names_get(&dataset->row_names, row);
}

static fl_shape kept_shape(const fl_dataset *dataset)
{
    return dataset->resize ? fl_resize_from(dataset->resize) : dataset->shape;
}

static size_t row_len(const fl_dataset *dataset)
{
    return fl_shape_size(kept_shape(dataset)) * fl_number_len(dataset->type);
}

size_t fl_dataset_bytes(const fl_dataset *dataset)
{
    const size_t numbers = dataset->groups ? 2 : 1;
    return dataset->row_count *
               (row_len(dataset) + numbers * sizeof *dataset->labels) +
           fl_names_bytes(&dataset->class_names);
}

/* ---- keeping some rows ---- */

static bool is_ascending(const uint32_t *rows, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (rows[i - 1] >= rows[i]) return false;
    }
    return true;
}

// dst and src may be the same block when the rows ascend.
static void gather(void *dst, const void *src, const uint32_t *rows,
                   size_t count, size_t item_len)
{
    for (size_t i = 0; i < count; i++) {
        memmove((char *)dst + i * item_len,
                (const char *)src + rows[i] * item_len, item_len);
    }
}

// Shrinking cannot lose anything: without a new block the old one stays.
static void keep_in_place(void **items, size_t item_len, const uint32_t *rows,
                          size_t count)
{
    gather(*items, *items, rows, count, item_len);
    void *less = realloc(*items, count * item_len);
    if (less) *items = less;
}

// An outline has no values, most datasets have neither groups nor origins.
enum { BLOCKS = 4 };

typedef struct {
    void *items;
    size_t item_len;
} block;

static void list_blocks(block blocks[BLOCKS], const fl_dataset *dataset)
{
    blocks[0] = (block){dataset->values, row_len(dataset)};
    blocks[1] = (block){dataset->labels, sizeof *dataset->labels};
    blocks[2] = (block){dataset->groups, sizeof *dataset->groups};
    blocks[3] = (block){dataset->origins, sizeof *dataset->origins};
}

static void take_blocks(fl_dataset *dataset, const block blocks[BLOCKS])
{
    dataset->values = blocks[0].items;
    dataset->labels = blocks[1].items;
    dataset->groups = blocks[2].items;
    dataset->origins = blocks[3].items;
}

static fl_err copy_blocks(block blocks[BLOCKS], const uint32_t *rows,
                          size_t count)
{
    void *copies[BLOCKS] = {NULL};
    bool is_complete = true;
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!blocks[i].items) continue;
        copies[i] = malloc(count * blocks[i].item_len);
        is_complete = is_complete && copies[i];
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        if (!is_complete) {
            free(copies[i]);
        } else if (blocks[i].items) {
            gather(copies[i], blocks[i].items, rows, count, blocks[i].item_len);
            free(blocks[i].items);
            blocks[i].items = copies[i];
        }
    }
    return is_complete ? FL_OK : FL_ERR_MEMORY;
}

fl_err fl_dataset_keep(fl_dataset *dataset, const uint32_t *rows, size_t count)
{
    if (count == 0 || count > dataset->row_count) return FL_ERR_RANGE;
    for (size_t i = 0; i < count; i++) {
        if (rows[i] >= dataset->row_count) return FL_ERR_RANGE;
    }
    block blocks[BLOCKS];
    list_blocks(blocks, dataset);
    // In place where that is possible: a board may not have room for a copy.
    if (!is_ascending(rows, count)) {
        FL_TRY(copy_blocks(blocks, rows, count));
    } else {
        for (size_t i = 0; i < BLOCKS; i++) {
            if (!blocks[i].items) continue;
            keep_in_place(&blocks[i].items, blocks[i].item_len, rows, count);
        }
    }
    take_blocks(dataset, blocks);
    dataset->row_count = (uint32_t)count;
    // The allocator keeps what was freed for later; a board needs it now.
    fl_memory_trim();
    return FL_OK;
}

/* ---- reading ---- */

void fl_dataset_read(float *x, const fl_dataset *dataset, const uint32_t *rows,
                     size_t count)
{
    const size_t size = fl_shape_size(dataset->shape);
    const size_t kept_size = fl_shape_size(kept_shape(dataset));
    for (size_t i = 0; i < count; i++, x += size) {
        assert(rows[i] < dataset->row_count);
        const size_t first = rows[i] * kept_size;
        if (dataset->resize) {
            fl_resize_read(x, dataset->resize, dataset->values, first,
                           dataset->type);
        } else {
            fl_number_read(x, dataset->values, first, size, dataset->type);
        }
    }
}

/* ---- moments ---- */

enum { CHANNELS_AT_ONCE = 64, VALUES_AT_ONCE = 1024 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * sums[c] = sum over all pixels of (value - centers[c])^power, power 1 or 2,
 * for `count` channels from `first` on.
 */
static void sum_channels(double *sums, const double *centers, int power,
                         const fl_dataset *dataset, size_t first, size_t count)
{
    const fl_shape shape = kept_shape(dataset);
    const size_t pixels =
        (size_t)shape.height * shape.width * dataset->row_count;
    const size_t step = count == shape.channels ? VALUES_AT_ONCE / count : 1;
    float x[VALUES_AT_ONCE];  // (n, count)
    for (size_t c = 0; c < count; c++) {
        sums[c] = 0.0;
    }
    for (size_t p = 0; p < pixels; p += step) {
        const size_t n = smaller(step, pixels - p);
        fl_number_read(x, dataset->values, p * shape.channels + first,
                       n * count, dataset->type);
        for (size_t i = 0; i < n * count; i += count) {
            for (size_t c = 0; c < count; c++) {
                const double d = (double)x[i + c] - centers[c];
                sums[c] += power == 2 ? d * d : d;
            }
        }
    }
}

void fl_dataset_moments(float *mean, float *deviation,
                        const fl_dataset *dataset)
{
    const fl_shape shape = kept_shape(dataset);
    const double n = (double)shape.height * shape.width * dataset->row_count;
    for (size_t at = 0; at < shape.channels; at += CHANNELS_AT_ONCE) {
        const size_t count = smaller(shape.channels - at, CHANNELS_AT_ONCE);
        double centers[CHANNELS_AT_ONCE] = {0}, sums[CHANNELS_AT_ONCE];
        sum_channels(sums, centers, 1, dataset, at, count);
        for (size_t c = 0; c < count; c++) {
            centers[c] = sums[c] / n;
            mean[at + c] = (float)centers[c];
        }
        // A second pass: the difference of two large sums would lose digits.
        sum_channels(sums, centers, 2, dataset, at, count);
        for (size_t c = 0; c < count; c++) {
            const float root = (float)sqrt(sums[c] / n);
            deviation[at + c] = root > 0.0F ? root : 1.0F;
        }
    }
}
