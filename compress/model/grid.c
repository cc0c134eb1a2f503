/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct fl_grid {
    size_t tensor_count;
    fl_tensor_info *tensors;
    float *steps;  // (tensor_count)
};

/* ---- life ---- */

void fl_grid_free(fl_grid *grid)
{
    if (!grid) return;
    free(grid->tensors);
    free(grid->steps);
    free(grid);
}

static fl_grid *make_grid(const fl_model *model)
{
    const size_t count = fl_model_tensor_count(model);
    fl_grid *grid = malloc(sizeof *grid);
    if (!grid) return NULL;
    *grid = (fl_grid){
        .tensor_count = count,
        // One too many keeps analysers from seeing malloc(0).
        .tensors = calloc(count + 1, sizeof *grid->tensors),
        .steps = calloc(count + 1, sizeof *grid->steps),
    };
    if (!grid->tensors || !grid->steps) {
        fl_grid_free(grid);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        grid->tensors[i] = fl_model_tensor(model, i);
    }
    return grid;
}

// NaN is not above anything.
static bool step_ok(float step)
{
    return step >= FL_GRID_STEP_MIN && step <= FL_GRID_STEP_MAX;
}

static fl_err check_steps(const fl_grid *grid, fl_reason *why)
{
    for (size_t i = 0; i < grid->tensor_count; i++) {
        if (step_ok(grid->steps[i])) continue;
        return fl_reason_set(why, FL_ERR_RANGE,
                             "tensor %zu: a step of %g is not within 2^-100 "
                             "and 2^100",
                             i, (double)grid->steps[i]);
    }
    return FL_OK;
}

static fl_err hand_out(fl_grid **result, fl_grid *grid, fl_reason *why)
{
    const fl_err err = check_steps(grid, why);
    if (err) {
        fl_grid_free(grid);
    } else {
        *result = grid;
    }
    return err;
}

static double rms_of(const float *values, size_t count)
{
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sqrt(sum / (double)count);
}

static float step_of(const fl_tensor_info *tensor, const float *values,
                     double relative)
{
    if (tensor->role == FL_TENSOR_STATISTIC) return (float)(relative / 1024.0);
    const float plain = (float)(relative / 256.0);
    if (tensor->role != FL_TENSOR_WEIGHT) return plain;
    const float step = (float)(relative * rms_of(values, tensor->count));
    return step < FL_GRID_STEP_MIN ? plain : step;
}

fl_err fl_grid_new(fl_grid **result, const fl_model *model, double relative,
                   fl_reason *why)
{
    if (!(relative > 0.0 && relative <= 1.0)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a grid of %g of the weights' root mean square: "
                             "it must be above 0 and at most 1",
                             relative);
    }
    fl_grid *grid = make_grid(model);
    if (!grid) return fl_reason_set(why, FL_ERR_MEMORY, "no memory for a grid");
    const float *params = fl_model_get_params(model);
    for (size_t i = 0; i < grid->tensor_count; i++) {
        const fl_tensor_info *tensor = &grid->tensors[i];
        grid->steps[i] = step_of(tensor, params + tensor->offset, relative);
    }
    return hand_out(result, grid, why);
}

fl_err fl_grid_restore(fl_grid **result, const fl_model *model,
                       const float *steps, size_t step_count, fl_reason *why)
{
    const size_t count = fl_model_tensor_count(model);
    if (step_count != count) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a grid of %zu steps for a model of %zu tensors",
                             step_count, count);
    }
    fl_grid *grid = make_grid(model);
    if (!grid) return fl_reason_set(why, FL_ERR_MEMORY, "no memory for a grid");
    memcpy(grid->steps, steps, count * sizeof *steps);
    return hand_out(result, grid, why);
}

const float *fl_grid_steps(const fl_grid *grid, size_t *count)
{
    *count = grid->tensor_count;
    return grid->steps;
}

/* ---- onto the grid ---- */

static float nearest(float value, float step)
{
    return fl_grid_value(fl_grid_multiple(value, step), step);
}

static void snap(float *dst, const float *src, size_t count, float step)
{
    for (size_t i = 0; i < count; i++) {
        dst[i] = nearest(src[i], step);
    }
}

void fl_grid_snap(const fl_grid *grid, float *params)
{
    for (size_t i = 0; i < grid->tensor_count; i++) {
        const fl_tensor_info *tensor = &grid->tensors[i];
        float *values = params + tensor->offset;
        snap(values, values, tensor->count, grid->steps[i]);
    }
}

/* ---- release ---- */

// Where to cut: what is further off than `key` moves, and the first `ties` of
// those that are exactly as far.
typedef struct {
    uint32_t key;
    size_t ties;
} cut;

// Distances are not negative, so their bits are in their order.
static uint32_t key_of(float distance)
{
    uint32_t key;
    _Static_assert(sizeof key == sizeof distance, "a float of 32 bits");
    memcpy(&key, &distance, sizeof key);
    return key;
}

// The count-th largest of more than `count` keys, by its bits from the top.
static cut find_cut(const float *distances, size_t param_count, size_t count)
{
    enum { DIGITS = 3, BINS = 1 << 11 };
    static const unsigned shifts[DIGITS] = {21, 10, 0};
    static const uint32_t masks[DIGITS] = {BINS - 1, BINS - 1, BINS / 2 - 1};
    cut found = {0, count};
    uint32_t known = 0;  // bits of found.key
    for (int i = 0; i < DIGITS; i++) {
        uint32_t bins[BINS] = {0};
        for (size_t at = 0; at < param_count; at++) {
            const uint32_t key = key_of(distances[at]);
            if ((key & known) == found.key) bins[key >> shifts[i] & masks[i]]++;
        }
        uint32_t bin = masks[i];
        for (; found.ties > bins[bin]; bin--) {
            found.ties -= bins[bin];
        }
        found.key |= bin << shifts[i];
        known |= masks[i] << shifts[i];
    }
    return found;
}

// How far each coordinate is off, 0 where it would not move. Returns how many
// would.
static size_t measure(float *distances, const float *published,
                      const float *master, size_t count, float step)
{
    size_t movable = 0;
    for (size_t i = 0; i < count; i++) {
        const bool moves = nearest(master[i], step) != published[i];
        distances[i] = moves ? fabsf(master[i] - published[i]) : 0.0F;
        movable += moves;
    }
    return movable;
}

static void move(const fl_grid *grid, float *published, const float *master,
                 const float *distances, cut at)
{
    for (size_t t = 0; t < grid->tensor_count; t++) {
        const fl_tensor_info *tensor = &grid->tensors[t];
        const size_t end = tensor->offset + tensor->count;
        for (size_t i = tensor->offset; i < end; i++) {
            const uint32_t key = key_of(distances[i]);
            if (key < at.key || (key == at.key && at.ties == 0)) continue;
            if (key == at.key) at.ties--;
            published[i] = nearest(master[i], grid->steps[t]);
        }
    }
}

size_t fl_grid_release(const fl_grid *grid, float *published,
                       const float *master, size_t count, float *scratch)
{
    size_t movable = 0, param_count = 0;
    for (size_t i = 0; i < grid->tensor_count; i++) {
        const fl_tensor_info *tensor = &grid->tensors[i];
        const size_t at = tensor->offset;
        const float step = grid->steps[i];
        param_count += tensor->count;
        if (tensor->role == FL_TENSOR_STATISTIC) {
            snap(published + at, master + at, tensor->count, step);
            memset(scratch + at, 0, tensor->count * sizeof *scratch);
            continue;
        }
        movable += measure(scratch + at, published + at, master + at,
                           tensor->count, step);
    }
    if (movable <= count) {
        move(grid, published, master, scratch, (cut){0, 0});
        return movable;
    }
    if (count > 0) {
        move(grid, published, master, scratch,
             find_cut(scratch, param_count, count));
    }
    return count;
}
