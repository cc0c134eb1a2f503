/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "compress/update/layout.h"
#include "model/graph.h"
#include "tests/support/nets.h"
#include "tests/test.h"

static uint32_t run_of(uint32_t count, fl_group group)
{
    return count * FL_LAYOUT_GROUPS + (uint32_t)group;
}

static fl_layout layout_of(const char *model_name, bool has_frozen_norms)
{
    fl_model *model = NULL;
    fl_layout layout;
    const fl_model_options options = {
        .name = model_name, .input = {28, 28, 1}, .class_count = 10};
    assert_ok(fl_model_new(&model, &options, NULL));
    fl_layout_init(&layout, model, has_frozen_norms);
    size_t count = 0;
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SKIPPED; group++)
        count += fl_layout_count(&layout, group);
    assert_int_equal(count, fl_model_param_count(model));
    fl_model_free(model);
    return layout;
}

/* ---- of models ---- */

TEST(layout_has_large_matrices_and_small_tensors)
{
    // lenet: conv 5x5x16, conv 5x5x16x32, fc 512x128, fc 128x10; each a bias
    const uint32_t expected[] = {
        run_of(400 + 16, FL_GROUP_SMALL),
        run_of(12800, FL_GROUP_LARGE),
        run_of(32, FL_GROUP_SMALL),
        run_of(65536, FL_GROUP_LARGE),
        run_of(128 + 1280 + 10, FL_GROUP_SMALL),
    };
    const fl_layout layout = layout_of("lenet", false);
    assert_int_equal(layout.run_count, 5);
    assert_memory_equal(layout.runs, expected, sizeof expected);
}

TEST(layout_has_statistics_exact_unless_they_are_frozen)
{
    const fl_layout layout = layout_of("resnet8", false);
    const fl_layout frozen = layout_of("resnet8", true);
    const size_t statistics = fl_layout_count(&layout, FL_GROUP_EXACT);
    assert_true(statistics > 100);
    assert_int_equal(fl_layout_count(&layout, FL_GROUP_SKIPPED), 0);
    assert_int_equal(fl_layout_count(&frozen, FL_GROUP_SKIPPED), statistics);
    assert_int_equal(fl_layout_count(&frozen, FL_GROUP_EXACT), 0);
    assert_int_equal(fl_layout_count(&frozen, FL_GROUP_SMALL),
                     fl_layout_count(&layout, FL_GROUP_SMALL));
}

TEST(layout_puts_what_does_not_fit_into_a_small_run)
{
    enum { NORMS = 300 };  // each SMALL, then EXACT
    fl_model model = {.graph = net_over(1, 1, 3)};
    for (int i = 0; i < NORMS; i++)
        net_add_plain(&model.graph, FL_OP_BATCHNORM);
    fl_layout layout;
    fl_layout_init(&layout, &model, false);
    // The last run but one is SMALL, and takes in what would follow.
    enum { LAST = FL_LAYOUT_RUNS_MAX - 2 };
    assert_int_equal(layout.run_count, LAST + 1);
    for (uint32_t i = 0; i < LAST; i++) {
        const fl_group group = i % 2 ? FL_GROUP_EXACT : FL_GROUP_SMALL;
        assert_int_equal(layout.runs[i], run_of(6, group));
    }
    assert_int_equal(layout.runs[LAST],
                     run_of(NORMS * 12 - LAST * 6, FL_GROUP_SMALL));
    fl_graph_fini(&model.graph);
}

TEST(layout_may_be_one_group_of_all)
{
    fl_layout layout;
    fl_layout_init_plain(&layout, 1000);
    assert_int_equal(layout.run_count, 1);
    assert_int_equal(fl_layout_count(&layout, FL_GROUP_LARGE), 1000);
    assert_int_equal(fl_layout_count(&layout, FL_GROUP_SMALL), 0);
}

/* ---- walks ---- */

static const fl_layout MIXED = {5,
                                {3 * 4 + FL_GROUP_SMALL, 2 * 4 + FL_GROUP_LARGE,
                                 4 * 4 + FL_GROUP_SMALL, 1 * 4 + FL_GROUP_EXACT,
                                 2 * 4 + FL_GROUP_LARGE}};

TEST(layout_walk_goes_over_one_group_in_pieces)
{
    fl_layout_walk walk = fl_layout_walk_over(&MIXED, FL_GROUP_SMALL);
    size_t first;
    assert_int_equal(fl_layout_walk_next(&walk, &first, 100), 3);
    assert_int_equal(first, 0);
    assert_int_equal(fl_layout_walk_next(&walk, &first, 3), 3);
    assert_int_equal(first, 5);
    assert_int_equal(fl_layout_walk_next(&walk, &first, 3), 1);
    assert_int_equal(first, 8);
    assert_int_equal(fl_layout_walk_next(&walk, &first, 3), 0);
    assert_int_equal(fl_layout_walk_next(&walk, &first, 3), 0);
    walk = fl_layout_walk_over(&MIXED, FL_GROUP_SKIPPED);
    assert_int_equal(fl_layout_walk_next(&walk, &first, 3), 0);
}

TEST(layout_gathers_and_scatters_a_group)
{
    const float all[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
    float some[4], back[12] = {0};
    fl_layout_walk from = fl_layout_walk_over(&MIXED, FL_GROUP_LARGE);
    fl_layout_walk to = from;
    assert_int_equal(fl_layout_gather(&from, some, all, 3), 3);
    assert_memory_equal(some, ((float[]){3, 4, 10}), 3 * sizeof *some);
    assert_int_equal(fl_layout_scatter(&to, back, some, 3), 3);
    assert_int_equal(fl_layout_gather(&from, some, all, 3), 1);
    assert_int_equal(fl_layout_scatter(&to, back, some, 3), 1);
    assert_int_equal(fl_layout_gather(&from, some, all, 3), 0);
    const float expected[] = {0, 0, 0, 3, 4, 0, 0, 0, 0, 0, 10, 11};
    assert_memory_equal(back, expected, sizeof back);
}

RUN_TESTS(cmocka_unit_test(layout_has_large_matrices_and_small_tensors),
          cmocka_unit_test(layout_has_statistics_exact_unless_they_are_frozen),
          cmocka_unit_test(layout_puts_what_does_not_fit_into_a_small_run),
          cmocka_unit_test(layout_may_be_one_group_of_all),
          cmocka_unit_test(layout_walk_goes_over_one_group_in_pieces),
          cmocka_unit_test(layout_gathers_and_scatters_a_group))
