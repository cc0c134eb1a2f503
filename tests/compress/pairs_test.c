/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/pairs.h"

#include <stdlib.h>

#include "tests/support/data_files.h"
#include "tests/support/world.h"
#include "tests/test.h"

enum { PAIRS = 4000 };

static fl_reason why;

static fl_dataset *labelled(const char *labels)
{
    char text[200] = "x,label\n";
    for (size_t i = 0; labels[i]; i++) {
        char row[32];
        snprintf(row, sizeof row, "%zu,%c\n", i, labels[i]);
        strcat(text, row);
    }
    data_files files;
    data_files_init(&files);
    const char *path = data_files_put_text(&files, "t.csv", text);
    const fl_data_options options = {.spec = path, .test_spec = path};
    fl_dataset *dataset = NULL;
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why));
    data_files_fini(&files);
    return dataset;
}

/* ---- drawing ---- */

TEST(pairs_are_half_of_one_class_and_half_of_two)
{
    fl_dataset *dataset = labelled("0120120330");
    const uint32_t *labels = fl_dataset_labels(dataset);
    fl_pair pairs[PAIRS];
    bool met[10][10] = {{false}};
    assert_ok(fl_pairs_draw(pairs, PAIRS, dataset, 1, FL_DATA_TEST, &why));
    for (size_t i = 0; i < PAIRS; i++) {
        const fl_pair p = pairs[i];
        assert_true(p.a < 10 && p.b < 10 && p.a != p.b);
        assert_int_equal(p.is_same, i % 2 == 0);
        assert_int_equal(labels[p.a] == labels[p.b], p.is_same);
        met[p.a][p.b] = true;
    }
    // Every row meets every other one, some time.
    for (size_t a = 0; a < 10; a++) {
        for (size_t b = 0; b < 10; b++)
            assert_int_equal(met[a][b], a != b);
    }
    fl_dataset_free(dataset);
}

TEST(pairs_follow_from_the_seed_and_the_part)
{
    fl_dataset *dataset = labelled("0011223344");
    fl_pair pairs[4][PAIRS];
    assert_ok(fl_pairs_draw(pairs[0], PAIRS, dataset, 1, FL_DATA_TEST, &why));
    assert_ok(fl_pairs_draw(pairs[1], PAIRS, dataset, 1, FL_DATA_TEST, &why));
    assert_ok(fl_pairs_draw(pairs[2], PAIRS, dataset, 2, FL_DATA_TEST, &why));
    assert_ok(fl_pairs_draw(pairs[3], PAIRS, dataset, 1, FL_DATA_TRAIN, &why));
    size_t same[4] = {0};
    for (size_t i = 0; i < PAIRS; i++) {
        for (size_t k = 0; k < 4; k++)
            same[k] += pairs[0][i].a == pairs[k][i].a &&
                       pairs[0][i].b == pairs[k][i].b;
    }
    assert_int_equal(same[1], PAIRS);
    assert_true(same[2] < PAIRS / 2 && same[3] < PAIRS / 2);
    fl_dataset_free(dataset);
}

TEST(pairs_pass_over_classes_of_a_single_row)
{
    fl_dataset *dataset = labelled("00012");
    fl_pair pairs[PAIRS];
    assert_ok(fl_pairs_draw(pairs, PAIRS, dataset, 1, FL_DATA_TEST, &why));
    for (size_t i = 0; i < PAIRS; i += 2)
        assert_true(pairs[i].a < 3 && pairs[i].b < 3);
    fl_dataset_free(dataset);
}

TEST(pairs_refuse_labels_that_make_none)
{
    static const char *const labels[] = {"1111", "0123"};
    for (size_t i = 0; i < 2; i++) {
        fl_dataset *dataset = labelled(labels[i]);
        fl_pair pairs[2];
        assert_err(fl_pairs_draw(pairs, 2, dataset, 1, FL_DATA_TEST, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "two classes");
        fl_dataset_free(dataset);
    }
}

/* ---- the threshold ---- */

static fl_verification threshold_of(const char *same, const double *distances)
{
    fl_pair pairs[16];
    fl_verification found = {0};
    const size_t count = strlen(same);
    for (size_t i = 0; i < count; i++)
        pairs[i] = (fl_pair){.is_same = same[i] == 's'};
    assert_ok(fl_pairs_threshold(&found, distances, pairs, count, &why));
    return found;
}

TEST(pairs_threshold_parts_what_can_be_parted)
{
    const fl_verification found =
        threshold_of("dssd", (const double[]){3.0, 1.0, 2.0, 4.0});
    assert_float_equal(found.threshold, 2.5, 1e-9);
    assert_float_equal(found.train_accuracy, 1.0, 1e-9);
}

TEST(pairs_threshold_is_right_most_often)
{
    // Sorted: s 1, d 2, s 3, s 4, d 5: behind 4 four of five are right.
    const fl_verification found =
        threshold_of("sdssd", (const double[]){1.0, 2.0, 3.0, 4.0, 5.0});
    assert_float_equal(found.threshold, 4.5, 1e-9);
    assert_float_equal(found.train_accuracy, 0.8, 1e-6);
}

TEST(pairs_threshold_does_not_part_equal_distances)
{
    // Between two 2s there is nothing: all of them, or none.
    const fl_verification found =
        threshold_of("ssddd", (const double[]){2.0, 2.0, 2.0, 2.0, 2.0});
    assert_float_equal(found.train_accuracy, 0.6, 1e-6);
    assert_true(found.threshold < 2.0);
    const fl_verification other =
        threshold_of("sssd", (const double[]){2.0, 2.0, 2.0, 2.0});
    assert_float_equal(other.train_accuracy, 0.75, 1e-6);
    assert_true(other.threshold >= 2.0);
}

/* ---- measuring ---- */

TEST(pairs_verify_embeddings_of_a_model)
{
    world w = world_open("siamese");
    fl_runner *runner = NULL;
    fl_verification once = {0}, again = {0};
    assert_ok(fl_runner_new(&runner, w.model, 1, &why));
    assert_ok(
        fl_pairs_verify(&once, runner, w.dataset, w.dataset, 200, 5, &why));
    assert_ok(
        fl_pairs_verify(&again, runner, w.dataset, w.dataset, 200, 5, &why));
    assert_int_equal(once.count, 200);
    assert_true(once.accuracy >= 0.4 && once.accuracy <= 1.0);
    assert_true(once.train_accuracy >= 0.5);
    assert_memory_equal(&once, &again, sizeof once);
    fl_runner_free(runner);
    world_close(&w);
}

TEST(pairs_refuse_counts_and_rows_that_do_not_fit)
{
    world w = world_open("siamese");
    fl_dataset *small = world_dataset(9);
    fl_runner *runner = NULL;
    fl_verification result;
    static const size_t counts[] = {0, 1, FL_PAIRS_MAX + 1};
    assert_ok(fl_runner_new(&runner, w.model, 1, &why));
    for (size_t i = 0; i < 3; i++) {
        assert_err(fl_pairs_verify(&result, runner, w.dataset, w.dataset,
                                   counts[i], 5, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "pairs");
    }
    assert_err(fl_pairs_verify(&result, runner, small, w.dataset, 8, 5, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "9x9x1");
    float *params = fl_model_params(w.model);
    for (size_t i = 0; i < w.param_count; i++)
        params[i] = 1e30F;
    fl_runner_free(runner);
    assert_ok(fl_runner_new(&runner, w.model, 1, &why));
    assert_err(
        fl_pairs_verify(&result, runner, w.dataset, w.dataset, 8, 5, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "NaN");
    fl_runner_free(runner);
    fl_dataset_free(small);
    world_close(&w);
}

RUN_TESTS(cmocka_unit_test(pairs_are_half_of_one_class_and_half_of_two),
          cmocka_unit_test(pairs_follow_from_the_seed_and_the_part),
          cmocka_unit_test(pairs_pass_over_classes_of_a_single_row),
          cmocka_unit_test(pairs_refuse_labels_that_make_none),
          cmocka_unit_test(pairs_threshold_parts_what_can_be_parted),
          cmocka_unit_test(pairs_threshold_is_right_most_often),
          cmocka_unit_test(pairs_threshold_does_not_part_equal_distances),
          cmocka_unit_test(pairs_verify_embeddings_of_a_model),
          cmocka_unit_test(pairs_refuse_counts_and_rows_that_do_not_fit))
