/*
 * Rows without labels: what a model is to classify.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

typedef struct {
    data_files files;
    fl_dataset *dataset;
    fl_reason why;
} world;

static void world_init(world *w)
{
    *w = (world){.dataset = NULL};
    data_files_init(&w->files);
}

static void world_fini(world *w)
{
    fl_dataset_free(w->dataset);
    data_files_fini(&w->files);
}

static fl_err open_with(world *w, const char *spec, const char *label_column)
{
    const fl_data_options options = {.spec = spec,
                                     .label_column = label_column};
    fl_dataset_free(w->dataset);
    w->dataset = NULL;
    w->why.text[0] = 0;
    return fl_dataset_open_inputs(&w->dataset, &options, &w->why);
}

static fl_err open_inputs(world *w, const char *spec)
{
    return open_with(w, spec, NULL);
}

static void assert_row(const world *w, uint32_t row, const float *expected)
{
    float x[16];
    const size_t count = fl_shape_size(fl_dataset_shape(w->dataset));
    assert_in_range(count, 1, 16);
    fl_dataset_read(x, w->dataset, &row, 1);
    assert_memory_equal(x, expected, count * sizeof *x);
    assert_int_equal(fl_dataset_labels(w->dataset)[row], 0);
}

TEST(inputs_are_a_picture_by_itself)
{
    const uint8_t pixels[4] = {0, 255, 255, 0};
    const float expected[4] = {0, 1, 1, 0};
    world w;
    world_init(&w);
    const char *path =
        data_files_put_png(&w.files, "one.png", pixels, 2, 2, 1, 8);
    assert_ok(open_inputs(&w, path));
    assert_int_equal(fl_dataset_row_count(w.dataset), 1);
    assert_row(&w, 0, expected);
    assert_string_equal(fl_dataset_row_name(w.dataset, 0), "one.png");
    assert_null(fl_dataset_row_name(w.dataset, 1));
    world_fini(&w);
}

TEST(inputs_are_the_pictures_of_a_folder_in_the_order_of_their_names)
{
    const uint8_t black[4] = {0}, white[4] = {255, 255, 255, 255};
    const float zeros[4] = {0}, ones[4] = {1, 1, 1, 1};
    world w;
    world_init(&w);
    data_files_put_png(&w.files, "in/b.png", white, 2, 2, 1, 8);
    data_files_put_png(&w.files, "in/a.png", black, 2, 2, 1, 8);
    data_files_put_text(&w.files, "in/notes.txt", "no picture");
    const char *folder = data_files_put_folder(&w.files, "in");
    assert_ok(open_inputs(&w, folder));
    assert_int_equal(fl_dataset_row_count(w.dataset), 2);
    assert_row(&w, 0, zeros);
    assert_row(&w, 1, ones);
    assert_string_equal(fl_dataset_row_name(w.dataset, 1), "b.png");
    world_fini(&w);
}

static void listen(void *self, const char *what)
{
    uint32_t *count = self;
    assert_non_null(strstr(what, "in/b.png: is neither"));
    (*count)++;
}

TEST(inputs_of_a_folder_keep_their_names_when_one_is_passed_over)
{
    const uint8_t white[4] = {255, 255, 255, 255};
    uint32_t told = 0;
    const fl_data_skip skip = {.tell = listen, .self = &told};
    fl_data_options options = {.skip = &skip};
    world w;
    world_init(&w);
    data_files_put_png(&w.files, "in/a.png", white, 2, 2, 1, 8);
    data_files_put_text(&w.files, "in/b.png", "no picture");
    data_files_put_png(&w.files, "in/c.png", white, 2, 2, 1, 8);
    options.spec = data_files_put_folder(&w.files, "in");
    assert_ok(fl_dataset_open_inputs(&w.dataset, &options, &w.why));
    assert_int_equal(told, 1);
    assert_int_equal(fl_dataset_row_count(w.dataset), 2);
    assert_string_equal(fl_dataset_row_name(w.dataset, 0), "a.png");
    assert_string_equal(fl_dataset_row_name(w.dataset, 1), "c.png");
    world_fini(&w);
}

TEST(inputs_are_rows_of_a_table_without_its_label)
{
    const float first[2] = {1, 2}, second[2] = {4, 5};
    world w;
    world_init(&w);
    const char *path =
        data_files_put_text(&w.files, "t.csv", "a,label,b\n1,x,2\n4,,5\n");
    assert_ok(open_inputs(&w, path));
    assert_int_equal(fl_dataset_row_count(w.dataset), 2);
    assert_row(&w, 0, first);
    assert_row(&w, 1, second);
    assert_null(fl_dataset_row_name(w.dataset, 0));
    path = data_files_put_text(&w.files, "u.csv", "a,b\n1,2\n4,5\n");
    assert_ok(open_inputs(&w, path));
    assert_row(&w, 1, second);
    path = data_files_put_text(&w.files, "v.csv", "a,kind,b\n1,x,2\n");
    assert_ok(open_with(&w, path, "kind"));
    assert_row(&w, 0, first);
    assert_err(open_inputs(&w, path), FL_ERR_FORMAT);
    world_fini(&w);
}

TEST(inputs_are_a_table_with_one_column)
{
    const float expected[1] = {4};
    world w;
    world_init(&w);
    const char *path = data_files_put_text(&w.files, "t.csv", "a\n1\n4\n");
    assert_ok(open_inputs(&w, path));
    assert_row(&w, 1, expected);
    world_fini(&w);
}

TEST(inputs_are_values_of_idx_without_labels)
{
    const uint32_t sizes[3] = {2, 1, 2};
    const uint8_t values[4] = {0, 255, 255, 0};
    const float second[2] = {1, 0};
    uint8_t idx[64];
    char spec[4 * DATA_PATH_CAP];
    world w;
    world_init(&w);
    const size_t len = data_files_idx(idx, sizes, 3, values, 4);
    const char *path = data_files_put(&w.files, "x.idx", idx, len);
    assert_ok(open_inputs(&w, path));
    assert_int_equal(fl_dataset_row_count(w.dataset), 2);
    assert_row(&w, 1, second);
    data_files_put(&w.files, "values", idx, len);
    data_files_spec(spec, &w.files, "idx", "values", NULL);
    assert_ok(open_inputs(&w, spec));
    assert_row(&w, 1, second);
    world_fini(&w);
}

TEST(inputs_that_are_not_there_or_none_are_refused)
{
    world w;
    world_init(&w);
    assert_err(open_inputs(&w, "/nowhere/at/all.png"), FL_ERR_NOT_FOUND);
    const char *path = data_files_put_text(&w.files, "x.txt", "words");
    assert_err(open_inputs(&w, path), FL_ERR_RANGE);
    assert_reason_names(w.why, "its ending tells no format");
    path = data_files_put_text(&w.files, "x.png", "no PNG");
    assert_err(open_inputs(&w, path), FL_ERR_FORMAT);
    assert_reason_names(w.why, "x.png");
    path = data_files_put_folder(&w.files, "empty");
    assert_err(open_inputs(&w, path), FL_ERR_FORMAT);
    assert_reason_names(w.why, "holds no .png");
    assert_null(w.dataset);
    world_fini(&w);
}

RUN_TESTS(cmocka_unit_test(inputs_are_a_picture_by_itself),
          cmocka_unit_test(
              inputs_are_the_pictures_of_a_folder_in_the_order_of_their_names),
          cmocka_unit_test(
              inputs_of_a_folder_keep_their_names_when_one_is_passed_over),
          cmocka_unit_test(inputs_are_rows_of_a_table_without_its_label),
          cmocka_unit_test(inputs_are_a_table_with_one_column),
          cmocka_unit_test(inputs_are_values_of_idx_without_labels),
          cmocka_unit_test(inputs_that_are_not_there_or_none_are_refused))
