/* SPDX-License-Identifier: Apache-2.0 */
#include "client/feed/stock.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "client/state/state.h"

void fl_stock_fini(fl_stock *stock)
{
    fl_dataset_free(stock->dataset);
    free(stock->rows);
    free(stock->places);
    *stock = (fl_stock){.dataset = NULL};
}

size_t fl_stock_bytes(const fl_stock *stock)
{
    const size_t notes =
        sizeof *stock->rows + (stock->places ? sizeof *stock->places : 0);
    return stock->dataset
               ? fl_dataset_bytes(stock->dataset) + stock->row_count * notes
               : 0;
}

static fl_err number_rows(fl_stock *stock, fl_reason *why)
{
    stock->row_count = fl_dataset_row_count(stock->dataset);
    stock->record_count = fl_dataset_record_count(stock->dataset);
    stock->rows = calloc(stock->row_count, sizeof *stock->rows);
    if (!stock->rows) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u rows",
                             stock->row_count);
    }
    for (uint32_t i = 0; i < stock->row_count; i++) {
        stock->rows[i] = i;
    }
    return FL_OK;
}

/* ---- a share of a dataset ---- */

static fl_err say_no_slice(const fl_service_options *options,
                           uint32_t part_count, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--slice %" PRIu64
                         ": the partition has %u parts, numbered from 0",
                         options->slice, part_count);
}

static fl_err keep_slice(fl_dataset *outline, const fl_service_options *options,
                         fl_reason *why)
{
    fl_partition *partition = NULL;
    uint32_t count;
    fl_err err = FL_OK;
    FL_TRY(fl_data_settings_deal(&partition, &options->data, outline,
                                 (uint32_t)options->clients, options->seed,
                                 why));
    const uint32_t part_count = fl_partition_client_count(partition);
    if (options->slice >= part_count) {
        err = say_no_slice(options, part_count, why);
    } else {
        const uint32_t *rows =
            fl_partition_rows(partition, (uint32_t)options->slice, &count);
        err = fl_dataset_keep(outline, rows, count);
        if (err) {
            (void)!fl_reason_set(why, err, "--slice %" PRIu64 " has no rows",
                                 options->slice);
        }
    }
    fl_partition_free(partition);
    return err;
}

static fl_err open_shared(fl_dataset **dataset,
                          const fl_service_options *options, fl_reason *why)
{
    const fl_data_options data =
        fl_data_settings_options(&options->data, options->seed);
    if (!options->data.partition) {
        return fl_dataset_open(dataset, FL_DATA_TRAIN, &data, why);
    }
    FL_TRY(fl_dataset_open_outline(dataset, FL_DATA_TRAIN, &data, why));
    FL_TRY(keep_slice(*dataset, options, why));
    return fl_dataset_fill(*dataset, FL_DATA_TRAIN, &data, why);
}

fl_err fl_stock_load_shared(fl_stock *stock, const fl_service_options *options,
                            fl_reason *why)
{
    *stock = (fl_stock){.dataset = NULL};
    fl_err err = open_shared(&stock->dataset, options, why);
    if (!err) err = number_rows(stock, why);
    if (!err && stock->row_count > FL_PROTO_SAMPLES_MAX) {
        err = fl_reason_set(why, FL_ERR_LIMIT,
                            "%u rows; one client may have %d: use --samples",
                            stock->row_count, FL_PROTO_SAMPLES_MAX);
    }
    if (err) fl_stock_fini(stock);
    return err;
}

/* ---- the device's own ---- */

static uint32_t row_cap(const fl_service_options *options)
{
    const uint64_t wanted = options->data.sample_count;
    return wanted > 0 && wanted < FL_PROTO_SAMPLES_MAX ? (uint32_t)wanted
                                                       : FL_PROTO_SAMPLES_MAX;
}

static fl_err open_own(fl_dataset **dataset, const fl_service_options *options,
                       fl_skips *skips, const atomic_bool *stop, fl_reason *why)
{
    char *pinned = NULL;
    const fl_data_skip skip = {.tell = fl_skips_tell, .self = skips};
    fl_data_options data =
        fl_data_settings_options(&options->data, options->seed);
    data.spec = options->own_data;
    data.test_spec = NULL;
    data.skip = &skip;
    fl_own_options own = {.classes = options->classes,
                          .separator = ',',
                          .row_cap = row_cap(options),
                          .byte_cap = options->rules.memory * 1000000 / 2,
                          .stop = stop};
    if (!own.classes && !fl_state_classes_read(&pinned, options->state, NULL)) {
        own.classes = pinned;
        own.separator = '\n';
    }
    const fl_err err = fl_dataset_open_own(dataset, &data, &own, why);
    free(pinned);
    return err;
}

static fl_err place_rows(fl_stock *stock, uint64_t key, fl_reason *why)
{
    FL_TRY(number_rows(stock, why));
    stock->places = calloc(stock->row_count, sizeof *stock->places);
    if (!stock->places) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %u rows",
                             stock->row_count);
    }
    fl_dataset_digest_rows(stock->places, stock->dataset, key);
    return FL_OK;
}

fl_err fl_stock_load_own(fl_stock *stock, const fl_service_options *options,
                         uint64_t key, fl_skips *skips, const atomic_bool *stop,
                         fl_reason *why)
{
    *stock = (fl_stock){.dataset = NULL};
    fl_err err = open_own(&stock->dataset, options, skips, stop, why);
    if (!err) err = place_rows(stock, key, why);
    if (err) fl_stock_fini(stock);
    return err;
}

/* ---- few new rows ---- */

typedef struct {
    uint64_t place;
    uint32_t row;
} placed;

static int compare_placed(const void *a, const void *b)
{
    const placed *x = a, *y = b;
    if (x->place != y->place) return x->place < y->place ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static placed *sort_places(const fl_stock *stock)
{
    placed *all = malloc((stock->row_count + (size_t)1) * sizeof *all);
    if (!all) return NULL;
    for (uint32_t i = 0; i < stock->row_count; i++) {
        all[i] = (placed){stock->places[i], i};
    }
    qsort(all, stock->row_count, sizeof *all, compare_placed);
    return all;
}

// Puts the rows that were there before in front of `now`, and counts them.
static uint32_t find_old(placed *now, uint32_t now_count, const placed *before,
                         uint32_t before_count)
{
    uint32_t count = 0, at = 0;
    for (uint32_t i = 0; i < now_count; i++) {
        while (at < before_count && before[at].place < now[i].place) {
            at++;
        }
        if (at == before_count || before[at].place != now[i].place) continue;
        now[count++] = now[i];
        at++;
    }
    return count;
}

static int compare_rows(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

// Rows [0, count) of `kept` are all that stays.
static fl_err keep_rows(fl_stock *stock, const placed *kept, uint32_t count)
{
    if (count == 0) {
        fl_stock_fini(stock);
        return FL_OK;
    }
    uint32_t *rows = stock->rows;  // they are numbered anew at the end
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = kept[i].row;
    }
    qsort(rows, count, sizeof *rows, compare_rows);
    FL_TRY(fl_dataset_keep(stock->dataset, rows, count));
    for (uint32_t i = 0; i < count; i++) {
        stock->places[i] = stock->places[rows[i]];
        rows[i] = i;
    }
    stock->row_count = count;
    return FL_OK;
}

fl_err fl_stock_hold_back(fl_stock *stock, uint32_t *waiting_count,
                          const fl_stock *before)
{
    *waiting_count = 0;
    if (before->row_count == 0) return FL_OK;
    placed *now = sort_places(stock), *then = sort_places(before);
    fl_err err = FL_ERR_MEMORY;
    if (now && then) {
        const uint32_t old_count =
            find_old(now, stock->row_count, then, before->row_count);
        const uint32_t new_count = stock->row_count - old_count;
        err = FL_OK;
        if (new_count > 0 && new_count < FL_STOCK_NEW_MIN) {
            *waiting_count = new_count;
            err = keep_rows(stock, now, old_count);
        }
    }
    free(now);
    free(then);
    return err;
}

/* ---- with a model ---- */

static fl_err check_shape(fl_shape is, fl_shape takes, fl_reason *why)
{
    if (is.height == takes.height && is.width == takes.width &&
        is.channels == takes.channels) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_RANGE,
                         "rows are %ux%ux%u (height, width, channels), the "
                         "model takes %ux%ux%u; --resize %ux%u reads pictures "
                         "at that size",
                         is.height, is.width, is.channels, takes.height,
                         takes.width, takes.channels, takes.height,
                         takes.width);
}

fl_err fl_stock_check(const fl_stock *stock, const fl_model *model,
                      fl_reason *why)
{
    const fl_dataset *dataset = stock->dataset;
    if (!dataset) {
        return fl_reason_set(why, FL_ERR_RANGE, "there is no data now");
    }
    const uint32_t classes = fl_dataset_class_count(dataset);
    const uint32_t outputs = fl_model_class_count(model);
    const char *first = fl_dataset_class_name(dataset, 0);
    FL_TRY(check_shape(fl_dataset_shape(dataset), fl_model_input(model), why));
    // Names are numbered here: with one more or less they mean others.
    if (first && classes != outputs) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%u classes here (%s, ...), the model has %u; "
                             "name all of them in their order: --classes "
                             "A,B,...; or give pictures a folder for each "
                             "class, if need be an empty one",
                             classes, first, outputs);
    }
    if (!first && classes > outputs) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "label %u here, but the model has %u classes, "
                             "numbered from 0",
                             classes - 1, outputs);
    }
    return FL_OK;
}
