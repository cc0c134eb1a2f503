/*
 * Which rows a guard takes: those that a training which leaves the same share
 * has never seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/pruning.h"

#include <stdlib.h>

#include "tests/support/tables.h"
#include "tests/test.h"

enum { SIDE = 4, CLASSES = 2, ROWS = 95 };

// The rows that a command with this seed and share learns from, by number.
static uint32_t learned_rows(bool *is_learned, uint32_t **rows,
                             const fl_dataset *dataset, uint64_t seed,
                             double share)
{
    const fl_tool tool = {.seed = seed};
    fl_tune_options tune = {.row_count = ROWS};
    memset(is_learned, false, ROWS);
    assert_ok(fl_pruning_rows(rows, dataset, &tool, NULL));
    const uint32_t held = fl_pruning_hold_out(&tune, *rows, share);
    assert_int_equal(tune.row_count, ROWS - held);
    for (size_t i = 0; i < tune.row_count; i++) {
        assert_false(is_learned[tune.rows[i]]);
        is_learned[tune.rows[i]] = true;
    }
    return held;
}

TEST(pruning_holds_out_the_rows_that_training_leaves)
{
    fl_dataset *dataset = table_of_pictures(ROWS, SIDE, CLASSES);
    bool is_learned[ROWS], is_learned_too[ROWS];
    uint32_t *rows, *guard;
    const uint32_t held = learned_rows(is_learned, &rows, dataset, 7, 0.1);
    assert_int_equal(held, 10);
    assert_int_equal(learned_rows(is_learned_too, &guard, dataset, 7, 0.1),
                     held);
    for (uint32_t i = 0; i < ROWS; i++) {
        assert_int_equal(is_learned[guard[i]], i >= held);
        assert_int_equal(is_learned_too[rows[i]], i >= held);
    }
    free(guard);
    // Another seed, other rows.
    (void)learned_rows(is_learned_too, &guard, dataset, 8, 0.1);
    assert_memory_not_equal(is_learned, is_learned_too, sizeof is_learned);
    free(guard);
    free(rows);
    fl_dataset_free(dataset);
}

TEST(pruning_holds_out_nothing_when_nothing_is_asked)
{
    fl_dataset *dataset = table_of_pictures(ROWS, SIDE, CLASSES);
    bool is_learned[ROWS];
    uint32_t *rows;
    assert_int_equal(learned_rows(is_learned, &rows, dataset, 7, 0.0), 0);
    free(rows);
    fl_dataset_free(dataset);
}

RUN_TESTS(cmocka_unit_test(pruning_holds_out_the_rows_that_training_leaves),
          cmocka_unit_test(pruning_holds_out_nothing_when_nothing_is_asked))
