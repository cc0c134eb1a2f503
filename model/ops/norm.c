/* SPDX-License-Identifier: Apache-2.0 */
#include "model/ops/norm.h"

#include <math.h>
#include <string.h>

// Rows of the kernels that are summed in float before they go into double.
enum { SUM_ROWS = 256 };

// Floats of y that are still in the first-level cache when they are read
// again.
enum { BLOCK = 2048 };

typedef void pass(const fl_norm_rows *rows);

size_t fl_norm_pixels(const fl_task *task)
{
    return (size_t)task->x_shape.height * task->x_shape.width;
}

/* ---- parts ---- */

// Rows that together fill whole vectors, and about four of them.
static uint32_t repeat_of(const fl_kernels *kernels, uint32_t channels,
                          size_t rows)
{
    uint32_t repeat = 1;
    while (repeat < kernels->lanes && repeat * channels % kernels->lanes) {
        repeat *= 2;
    }
    while (repeat * channels < 4 * kernels->lanes) {
        repeat *= 2;
    }
    const bool has_room = repeat * channels <= FL_NORM_CHUNK;
    return has_room && repeat <= rows ? repeat : 1;
}

fl_norm_part fl_norm_part_of(const fl_task *task, uint32_t first, size_t row,
                             size_t rows)
{
    const uint32_t left = task->x_shape.channels - first;
    const bool is_whole = first == 0 && left <= FL_NORM_CHUNK;
    return (fl_norm_part){
        .task = task,
        .row = row,
        .rows = rows,
        .first = first,
        .count = left < FL_NORM_CHUNK ? left : FL_NORM_CHUNK,
        .repeat = is_whole ? repeat_of(task->kernels, left, rows) : 1,
    };
}

static void widen(float *values, const fl_norm_part *part)
{
    for (uint32_t r = 1; r < part->repeat; r++) {
        memcpy(values + (size_t)r * part->count, values,
               part->count * sizeof *values);
    }
}

static void widen_all(fl_norm_coefs *coefs, const fl_norm_part *part)
{
    widen(coefs->mean, part);
    widen(coefs->scale, part);
    widen(coefs->bias, part);
    widen(coefs->slope, part);
    widen(coefs->offset, part);
}

/* ---- passes ---- */

static bool is_in_passes(const fl_node *act)
{
    return !act || act->op == FL_OP_RELU || act->op == FL_OP_RELU6;
}

// What the kernels are told of the rows from part->row + at on.
static fl_norm_rows rows_at(const fl_norm_part *part,
                            const fl_norm_coefs *coefs, size_t at)
{
    const fl_task *task = part->task;
    const uint32_t channels = task->x_shape.channels;
    const size_t skip = (part->row + at) * channels + part->first;
    fl_norm_rows rows = {
        .x = task->x[0] + skip,
        .dy = task->dy ? task->dy + skip : NULL,
        .y = task->y ? task->y + skip : NULL,
        .dx = task->dx[0] ? task->dx[0] + skip : NULL,
        .step = channels,
        .columns = part->count,
        .mean = coefs->mean,
        .scale = coefs->scale,
        .bias = coefs->bias,
        .low = -INFINITY,
        .high = INFINITY,
        .slope = coefs->slope,
        .offset = coefs->offset,
        .add = !task->is_fresh[0],
    };
    if (task->act && is_in_passes(task->act)) {
        const fl_curve curve = fl_act_curve(task->act);
        rows.low = curve.low;
        rows.high = curve.high;
    }
    return rows;
}

// `rows` of the part's rows, part->repeat at once and what is left singly.
static void run(pass *kernel, const fl_norm_part *part, fl_norm_rows work,
                size_t rows)
{
    const size_t whole = rows / part->repeat, left = rows % part->repeat;
    fl_norm_rows wide = work;
    wide.rows = whole;
    wide.columns *= part->repeat;
    wide.step *= part->repeat;
    kernel(&wide);
    if (left == 0) return;

    const size_t done = whole * wide.step;
    work.rows = left;
    work.x += done;
    if (work.dy) work.dy += done;
    if (work.y) work.y += done;
    if (work.dx) work.dx += done;
    kernel(&work);
}

static void run_sums(fl_norm_sums *sums, pass *kernel, const fl_norm_part *part,
                     fl_norm_coefs *coefs)
{
    const size_t block = (size_t)SUM_ROWS * part->repeat;
    const uint32_t columns = part->count * part->repeat;
    widen_all(coefs, part);
    memset(sums, 0, sizeof *sums);
    for (size_t at = 0; at < part->rows; at += block) {
        const size_t left = part->rows - at;
        float sum[FL_NORM_CHUNK] = {0}, product[FL_NORM_CHUNK] = {0};
        fl_norm_rows work = rows_at(part, coefs, at);
        work.sum = sum;
        work.product = product;
        run(kernel, part, work, left < block ? left : block);
        for (uint32_t i = 0; i < columns; i += part->count) {
            for (uint32_t c = 0; c < part->count; c++) {
                sums->sum[c] += (double)sum[i + c];
                sums->product[c] += (double)product[i + c];
            }
        }
    }
}

/* ---- forward ---- */

// About the mean: that of a few rows from all over. Squared distances from it
// lose no digits, however far from 0 the values are.
static void guess_means(float *means, const fl_norm_part *part)
{
    enum { SAMPLES = 8 };
    const fl_task *task = part->task;
    size_t count = part->rows;
    if (count > SAMPLES) count = SAMPLES;
    for (size_t i = 0; i < count; i++) {
        const size_t row = part->row + part->rows * i / count;
        const float *x =
            task->x[0] + row * task->x_shape.channels + part->first;
        for (uint32_t c = 0; c < part->count; c++) {
            means[c] += x[c] / (float)count;
        }
    }
}

void fl_norm_measure(fl_norm_moments *moments, const fl_norm_part *part)
{
    fl_norm_coefs guess = {0};
    fl_norm_sums sums;
    guess_means(guess.mean, part);
    run_sums(&sums, part->task->kernels->norm_moments, part, &guess);
    const double count = (double)part->rows;
    for (uint32_t c = 0; c < part->count; c++) {
        const double shift = part->rows ? sums.sum[c] / count : 0.0;
        const double squares = sums.product[c] - shift * sums.sum[c];
        moments[c] = (fl_norm_moments){
            .count = count,
            .mean = (double)guess.mean[c] + shift,
            .squares = squares < 0.0 ? 0.0 : squares,  // this keeps NaN
        };
    }
}

fl_norm_moments fl_norm_combine(fl_norm_moments a, fl_norm_moments b)
{
    const double count = a.count + b.count, apart = b.mean - a.mean;
    if (!(b.count > 0.0)) return a;
    return (fl_norm_moments){
        .count = count,
        .mean = a.mean + apart * b.count / count,
        .squares =
            a.squares + b.squares + apart * apart * a.count * b.count / count,
    };
}

/* ---- activations that are not part of the passes ---- */

// Rows whose values follow each other, few enough for a block.
static size_t block_rows(const fl_norm_part *part)
{
    const bool is_whole = part->count == part->task->x_shape.channels;
    return is_whole ? BLOCK / part->count : 1;
}

void fl_norm_apply(const fl_norm_part *part, fl_norm_coefs *coefs)
{
    const fl_task *task = part->task;
    const bool is_simple = is_in_passes(task->act);
    const size_t block = is_simple ? part->rows : block_rows(part);
    widen_all(coefs, part);
    for (size_t at = 0; at < part->rows; at += block) {
        const size_t left = part->rows - at;
        const size_t rows = left < block ? left : block;
        const fl_norm_rows work = rows_at(part, coefs, at);
        run(task->kernels->norm_apply, part, work, rows);
        if (!is_simple) fl_act_apply(task, work.y, rows * part->count);
    }
}

void fl_norm_act_grad(const fl_norm_part *part, fl_norm_coefs *coefs)
{
    const fl_task *task = part->task;
    if (is_in_passes(task->act)) return;
    const size_t block = block_rows(part);
    widen_all(coefs, part);
    for (size_t at = 0; at < part->rows; at += block) {
        const size_t left = part->rows - at;
        const size_t rows = left < block ? left : block;
        const size_t skip =
            (part->row + at) * task->x_shape.channels + part->first;
        float z[BLOCK];
        fl_norm_rows work = rows_at(part, coefs, at);
        work.y = z;
        run(task->kernels->norm_apply, part, work, rows);
        fl_act_grad(task, task->dy + skip, z, rows * part->count);
    }
}

/* ---- backward ---- */

void fl_norm_add_up(fl_norm_sums *sums, const fl_norm_part *part,
                    fl_norm_coefs *coefs)
{
    run_sums(sums, part->task->kernels->norm_grad_sums, part, coefs);
}

void fl_norm_grad(const fl_norm_part *part, fl_norm_coefs *coefs)
{
    widen_all(coefs, part);
    run(part->task->kernels->norm_grad, part, rows_at(part, coefs, 0),
        part->rows);
}

/* ---- checks ---- */

fl_err fl_norm_check_epsilon(fl_node *node, float otherwise, fl_reason *why)
{
    if (fpclassify(node->epsilon) == FP_ZERO) node->epsilon = otherwise;
    if (isfinite(node->epsilon) && node->epsilon > 0.0F) return FL_OK;
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "node \"%s\" (%s): epsilon is %g, it must be a "
                         "finite number above 0",
                         node->name, fl_op_name(node->op),
                         (double)node->epsilon);
}
