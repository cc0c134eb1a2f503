/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/pairs.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"

static fl_err say_no_memory(fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_MEMORY, "no memory for the pairs");
}

/* ---- drawing ---- */

// Rows class after class: those of c are rows[at[c]..at[c + 1]).
typedef struct {
    uint32_t class_count, row_count;
    uint32_t *rows, *at;
} class_rows;

static fl_err sort_rows(class_rows *sorted, const fl_dataset *dataset,
                        fl_reason *why)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    *sorted = (class_rows){.class_count = fl_dataset_class_count(dataset),
                           .row_count = fl_dataset_row_count(dataset)};
    sorted->rows = malloc(sorted->row_count * sizeof *sorted->rows);
    sorted->at = calloc(sorted->class_count + 2, sizeof *sorted->at);
    if (!sorted->rows || !sorted->at) return say_no_memory(why);
    // Counted two further on, so that filling leaves each where it begins.
    for (uint32_t i = 0; i < sorted->row_count; i++) {
        sorted->at[labels[i] + 2]++;
    }
    for (uint32_t c = 2; c <= sorted->class_count; c++) {
        sorted->at[c] += sorted->at[c - 1];
    }
    for (uint32_t i = 0; i < sorted->row_count; i++) {
        sorted->rows[sorted->at[labels[i] + 1]++] = i;
    }
    return FL_OK;
}

static uint32_t size_of(const class_rows *sorted, uint32_t label)
{
    return sorted->at[label + 1] - sorted->at[label];
}

static fl_err check_classes(const class_rows *sorted, fl_reason *why)
{
    uint32_t classes = 0, most = 0;
    for (uint32_t c = 0; c < sorted->class_count; c++) {
        const uint32_t size = size_of(sorted, c);
        if (size > 0) classes++;
        if (size > most) most = size;
    }
    if (classes >= 2 && most >= 2) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "pairs need rows of two classes and two rows of one; "
                         "there are %u classes of at most %u rows",
                         classes, most);
}

// A row whose class has another one.
static fl_pair draw_same(const class_rows *sorted, const uint32_t *labels,
                         fl_random *random)
{
    for (;;) {
        const uint32_t a = fl_random_below(random, sorted->row_count);
        const uint32_t first = sorted->at[labels[a]];
        const uint32_t size = size_of(sorted, labels[a]);
        if (size < 2) continue;
        // One of the others: the last stands in for the row itself.
        const uint32_t other = fl_random_below(random, size - 1);
        uint32_t b = sorted->rows[first + other];
        if (b == a) b = sorted->rows[first + size - 1];
        return (fl_pair){a, b, true};
    }
}

static fl_pair draw_different(const class_rows *sorted, const uint32_t *labels,
                              fl_random *random)
{
    const uint32_t a = fl_random_below(random, sorted->row_count);
    const uint32_t first = sorted->at[labels[a]];
    const uint32_t size = size_of(sorted, labels[a]);
    uint32_t other = fl_random_below(random, sorted->row_count - size);
    if (other >= first) other += size;  // past the row's own class
    return (fl_pair){a, sorted->rows[other], false};
}

fl_err fl_pairs_draw(fl_pair *pairs, size_t count, const fl_dataset *dataset,
                     uint64_t seed, fl_data_part part, fl_reason *why)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    class_rows sorted;
    fl_random random;
    fl_random_init(&random, seed, FL_RANDOM_PAIRS, part);
    fl_err err = sort_rows(&sorted, dataset, why);
    if (!err) err = check_classes(&sorted, why);
    for (size_t i = 0; i < count && !err; i++) {
        pairs[i] = i % 2 == 0 ? draw_same(&sorted, labels, &random)
                              : draw_different(&sorted, labels, &random);
    }
    free(sorted.rows);
    free(sorted.at);
    return err;
}

/* ---- the threshold ---- */

typedef struct {
    double distance;
    bool is_same;
} verdict;

static int compare(const void *a, const void *b)
{
    const verdict *x = a, *y = b;
    return (x->distance > y->distance) - (x->distance < y->distance);
}

// Where the i nearest pairs are called the same: between the i-th and the next.
static double threshold_behind(const verdict *sorted, size_t i, size_t count)
{
    if (i == 0) return 0.5 * sorted[0].distance;
    if (i == count) return sorted[count - 1].distance;
    return 0.5 * (sorted[i - 1].distance + sorted[i].distance);
}

static void find_threshold(fl_verification *result, const verdict *sorted,
                           size_t count)
{
    size_t right = 0, most = 0, best = 0;
    for (size_t i = 0; i < count; i++) {
        right += !sorted[i].is_same;  // when nothing is the same
    }
    most = right;
    for (size_t i = 1; i <= count; i++) {
        right = sorted[i - 1].is_same ? right + 1 : right - 1;
        const bool is_tied =
            i < count && sorted[i].distance <= sorted[i - 1].distance;
        if (is_tied || right <= most) continue;
        most = right;
        best = i;
    }
    result->threshold = threshold_behind(sorted, best, count);
    result->train_accuracy = (double)most / (double)count;
}

fl_err fl_pairs_threshold(fl_verification *result, const double *distances,
                          const fl_pair *pairs, size_t count, fl_reason *why)
{
    verdict *sorted = malloc(count * sizeof *sorted);
    if (!sorted) return say_no_memory(why);
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (verdict){distances[i], pairs[i].is_same};
    }
    qsort(sorted, count, sizeof *sorted, compare);
    find_threshold(result, sorted, count);
    free(sorted);
    return FL_OK;
}

/* ---- measuring ---- */

typedef struct {
    fl_runner *runner;
    size_t count;
    fl_pair *pairs;     // (count)
    double *distances;  // (count)
    float *x, *points;  // of a pair
    fl_reason *why;
} verification;

static double distance(const float *points, uint32_t width)
{
    double sum = 0.0;
    for (uint32_t k = 0; k < width; k++) {
        const double way = (double)points[k] - (double)points[width + k];
        sum += way * way;
    }
    return sqrt(sum);
}

static fl_err measure(verification *v, const fl_dataset *dataset)
{
    const fl_shape shape = fl_runner_input(v->runner);
    const size_t size = fl_shape_size(shape);
    const fl_shape rows = fl_dataset_shape(dataset);
    if (shape.height != rows.height || shape.width != rows.width ||
        shape.channels != rows.channels) {
        return fl_reason_set(v->why, FL_ERR_RANGE,
                             "the dataset's rows are %ux%ux%u, the model's "
                             "input is %ux%ux%u",
                             rows.height, rows.width, rows.channels,
                             shape.height, shape.width, shape.channels);
    }
    const uint32_t width = fl_runner_class_count(v->runner);
    for (size_t i = 0; i < v->count; i++) {
        fl_dataset_read(v->x, dataset, &v->pairs[i].a, 1);
        fl_dataset_read(v->x + size, dataset, &v->pairs[i].b, 1);
        FL_TRY(fl_runner_run(v->runner, v->points, v->x, 1));
        FL_TRY(fl_runner_run(v->runner, v->points + width, v->x + size, 1));
        v->distances[i] = distance(v->points, width);
        if (isfinite(v->distances[i])) continue;
        return fl_reason_set(v->why, FL_ERR_RANGE,
                             "an embedding is NaN or infinite: the model's "
                             "parameters are broken");
    }
    return FL_OK;
}

static fl_err draw_and_measure(verification *v, const fl_dataset *dataset,
                               uint64_t seed, fl_data_part part)
{
    FL_TRY(fl_pairs_draw(v->pairs, v->count, dataset, seed, part, v->why));
    return measure(v, dataset);
}

static double share_right(const verification *v, double threshold)
{
    size_t right = 0;
    for (size_t i = 0; i < v->count; i++) {
        right += (v->distances[i] <= threshold) == v->pairs[i].is_same;
    }
    return (double)right / (double)v->count;
}

static fl_err verify(fl_verification *result, verification *v,
                     const fl_dataset *train, const fl_dataset *test,
                     uint64_t seed)
{
    FL_TRY(draw_and_measure(v, train, seed, FL_DATA_TRAIN));
    FL_TRY(
        fl_pairs_threshold(result, v->distances, v->pairs, v->count, v->why));
    FL_TRY(draw_and_measure(v, test, seed, FL_DATA_TEST));
    result->accuracy = share_right(v, result->threshold);
    result->count = v->count;
    return FL_OK;
}

fl_err fl_pairs_verify(fl_verification *result, fl_runner *runner,
                       const fl_dataset *train, const fl_dataset *test,
                       size_t count, uint64_t seed, fl_reason *why)
{
    if (count < 2 || count > FL_PAIRS_MAX) {
        return fl_reason_set(why, FL_ERR_RANGE, "%zu pairs, it must be 2 to %d",
                             count, FL_PAIRS_MAX);
    }
    const size_t size = fl_shape_size(fl_runner_input(runner));
    const size_t width = fl_runner_class_count(runner);
    verification v = {
        .runner = runner,
        .count = count,
        .pairs = malloc(count * sizeof *v.pairs),
        .distances = calloc(count, sizeof *v.distances),
        .x = malloc(2 * size * sizeof *v.x),
        .points = malloc(2 * width * sizeof *v.points),
        .why = why,
    };
    const bool is_whole = v.pairs && v.distances && v.x && v.points;
    const fl_err err =
        is_whole ? verify(result, &v, train, test, seed) : say_no_memory(why);
    free(v.pairs);
    free(v.distances);
    free(v.x);
    free(v.points);
    return err;
}
