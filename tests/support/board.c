/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/board.h"

#include <stdlib.h>

#include "tests/support/nets.h"
#include "tests/support/tables.h"
#include "tests/test.h"

static void learn(fl_board_kit *kit)
{
    fl_trainer *trainer;
    fl_metrics metrics;
    fl_random order;
    const fl_train_options options = {.epochs = 4, .batch = 6, .lr = 0.05F};
    assert_ok(fl_trainer_new(
        &trainer, kit->model,
        &(fl_trainer_options){.batch_cap = 6, .with_gradients = true}, NULL));
    fl_random_init(&order, 1, FL_RANDOM_SHUFFLE, 0);
    assert_ok(fl_trainer_run(trainer, fl_model_params(kit->model), &metrics,
                             kit->dataset, kit->rows, BOARD_ROWS, &options,
                             &order, NULL));
    fl_trainer_free(trainer);
}

static void observe(fl_board_kit *kit)
{
    assert_ok(fl_int8_range_count(&kit->range_count, kit->model, NULL));
    kit->ranges = calloc(kit->range_count, sizeof *kit->ranges);
    double *shares = calloc(kit->range_count * FL_INT8_BINS, sizeof *shares);
    assert_non_null(kit->ranges);
    assert_non_null(shares);
    assert_ok(fl_int8_observe(shares, kit->model, kit->dataset, kit->rows,
                              BOARD_ROWS, NULL));
    fl_int8_ranges_from(kit->ranges, shares, kit->range_count, 99.99);
    free(shares);
}

void fl_board_kit_encode(fl_board_kit *kit)
{
    free(kit->bytes);
    free(kit->range_bytes);
    kit->len = fl_model_bytes(kit->model);
    kit->bytes = malloc(kit->len);
    kit->range_len = fl_ranges_bytes(kit->range_count);
    kit->range_bytes = malloc(kit->range_len);
    assert_non_null(kit->bytes);
    assert_non_null(kit->range_bytes);
    assert_ok(fl_model_encode(kit->model, kit->bytes, kit->len));
    assert_ok(fl_ranges_encode(kit->range_bytes, kit->range_len, kit->ranges,
                               kit->range_count));
}

void fl_board_kit_init(fl_board_kit *kit)
{
    *kit = (fl_board_kit){.plan = {.round = 1,
                                   .local_epochs = 1,
                                   .batch = 6,
                                   .lr = 0.05F,
                                   .seed = 7,
                                   .number = 1,
                                   .client_cap = 8,
                                   .client_min = 2,
                                   .weight_max = 1000,
                                   .value_clip = 1.0F}};
    kit->dataset = table_of_pictures(BOARD_ROWS, BOARD_SIDE, BOARD_CLASSES);
    for (uint32_t i = 0; i < BOARD_ROWS; i++)
        kit->rows[i] = i;
    assert_ok(
        fl_model_new(&kit->model,
                     &(fl_model_options){.name = "resnet8",
                                         .input = {BOARD_SIDE, BOARD_SIDE, 1},
                                         .class_count = BOARD_CLASSES,
                                         .seed = 3},
                     NULL));
    learn(kit);
    observe(kit);
    fl_board_kit_encode(kit);
    kit->plan.param_count = fl_model_param_count(kit->model);
}

void fl_board_kit_fini(fl_board_kit *kit)
{
    fl_result_fini(&kit->result);
    fl_model_free(kit->model);
    free(kit->bytes);
    free(kit->ranges);
    free(kit->range_bytes);
    fl_dataset_free(kit->dataset);
}

fl_local_data fl_board_kit_data(const fl_board_kit *kit, bool with_ranges)
{
    return (fl_local_data){.model = kit->bytes,
                           .model_len = kit->len,
                           .ranges = with_ranges ? kit->range_bytes : NULL,
                           .ranges_len = with_ranges ? kit->range_len : 0,
                           .dataset = kit->dataset,
                           .rows = kit->rows,
                           .row_count = BOARD_ROWS,
                           .client = 5};
}

void fl_board_kit_survey(fl_board_kit *kit, fl_work work, size_t count,
                         bool with_ranges)
{
    kit->plan.work = work;
    kit->plan.codec = FL_CODEC_TALLY;
    kit->plan.param_count = count;
    kit->plan.run_count = 0;
    memset(kit->plan.ranges, with_ranges ? 1 : 0, sizeof kit->plan.ranges);
}
