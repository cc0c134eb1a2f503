/* SPDX-License-Identifier: Apache-2.0 */
#include "data/resize.h"

#include "tests/support/data_files.h"
#include "tests/test.h"

enum { SIDE_MAX = 9 };

static fl_reason why;

static fl_resize *to(fl_shape from, const char *text)
{
    fl_resize *resize = NULL;
    assert_ok(fl_resize_new(&resize, from, text, &why));
    return resize;
}

static void assert_read(fl_shape from, const char *text, const float *kept,
                        const float *expected)
{
    float x[SIDE_MAX * SIDE_MAX];
    fl_resize *resize = to(from, text);
    const size_t size = fl_shape_size(fl_resize_to(resize));
    fl_resize_read(x, resize, kept, 0, FL_NUMBER_F32);
    for (size_t i = 0; i < size; i++)
        assert_float_equal((double)x[i], (double)expected[i], 0.0);
    fl_resize_free(resize);
}

// torch.nn.functional.interpolate(x, size, mode="bilinear") says the same.
TEST(resize_puts_centres_on_centres)
{
    const float pair[] = {0.0F, 8.0F};
    const float twice[] = {0.0F, 2.0F, 6.0F, 8.0F};
    assert_read((fl_shape){1, 2, 1}, "1x4", pair, twice);
    assert_read((fl_shape){2, 1, 1}, "4x1", pair, twice);
    const float four[] = {0.0F, 2.0F, 4.0F, 10.0F};
    assert_read((fl_shape){1, 4, 1}, "1x2", four, (const float[]){1.0F, 7.0F});
    assert_read((fl_shape){2, 2, 1}, "1x1", four, (const float[]){4.0F});
}

TEST(resize_interpolates_both_ways)
{
    const float square[] = {0.0F, 4.0F, 8.0F, 12.0F};
    const float expected[] = {0.0F, 2.0F, 4.0F,  4.0F, 6.0F,
                              8.0F, 8.0F, 10.0F, 12.0F};
    assert_read((fl_shape){2, 2, 1}, "3x3", square, expected);
}

TEST(resize_to_the_same_size_changes_no_bit)
{
    const float kept[] = {0.1F, 0.7F, -3.3F, 1e-7F, 5.5F, 2.0F};
    assert_read((fl_shape){2, 3, 1}, "2x3", kept, kept);
}

// More channels than are read at once, none of which touches another.
TEST(resize_keeps_channels_apart)
{
    enum { CHANNELS = 37 };
    float kept[4 * CHANNELS], x[9 * CHANNELS];
    for (size_t i = 0; i < 4 * CHANNELS; i++)
        kept[i] = (float)(i % CHANNELS);
    fl_resize *resize = to((fl_shape){2, 2, CHANNELS}, "3x3");
    fl_resize_read(x, resize, kept, 0, FL_NUMBER_F32);
    for (size_t i = 0; i < 9 * CHANNELS; i++)
        assert_float_equal((double)x[i], (double)(i % CHANNELS), 0.0);
    fl_resize_free(resize);
}

static void assert_refused(fl_shape from, const char *text, fl_err expected,
                           const char *word)
{
    fl_resize *resize = NULL;
    assert_err(fl_resize_new(&resize, from, text, &why), expected);
    assert_reason_names(why, text);
    assert_reason_names(why, word);
    assert_null(resize);
}

TEST(resize_refuses_what_is_no_size)
{
    static const char *const texts[] = {"",     "32",      "32x",     "x32",
                                        "0x32", "32x0",    "32x32x1", "3 x4",
                                        "-1x4", "99999x4", "32X32"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_refused((fl_shape){28, 28, 1}, texts[i], FL_ERR_RANGE,
                       "HEIGHTxWIDTH");
}

TEST(resize_refuses_tables_and_too_many_values)
{
    assert_refused((fl_shape){1, 1, 9}, "4x4", FL_ERR_RANGE, "table");
    assert_refused((fl_shape){28, 28, 3}, "2048x2048", FL_ERR_LIMIT, "values");
    fl_resize_free(to((fl_shape){28, 28, 1}, "2048x2048"));
}

/* ---- in a dataset ---- */

enum { ROWS = 6, IDX_CAP = 128 };

// Row i is a 2x2 picture of 40 i, 40 i + 4, 40 i + 8, 40 i + 12.
static fl_err open_pictures(fl_dataset **dataset, data_files *files,
                            const char *resize)
{
    char spec[4 * DATA_PATH_CAP];
    uint8_t bytes[IDX_CAP], values[ROWS * 4], labels[ROWS] = {0, 1};
    for (size_t i = 0; i < ROWS * 4; i++)
        values[i] = (uint8_t)(i / 4 * 40 + i % 4 * 4);
    const uint32_t sizes[] = {ROWS, 2, 2};
    data_files_put(files, "i", bytes,
                   data_files_idx(bytes, sizes, 3, values, sizeof values));
    data_files_put(files, "l", bytes,
                   data_files_idx(bytes, sizes, 1, labels, sizeof labels));
    data_files_spec(spec, files, "idx", "i", "l");
    const fl_data_options options = {
        .spec = spec, .test_spec = spec, .resize = resize};
    return fl_dataset_open(dataset, FL_DATA_TRAIN, &options, &why);
}

TEST(resize_of_a_dataset_costs_no_memory_and_survives_keeping)
{
    data_files files;
    data_files_init(&files);
    fl_dataset *plain = NULL, *resized = NULL;
    float mean[2], deviation[2], x[2 * 9];
    assert_ok(open_pictures(&plain, &files, NULL));
    assert_ok(open_pictures(&resized, &files, "3x3"));
    assert_int_equal(fl_dataset_shape(resized).height, 3);
    assert_int_equal(fl_dataset_shape(resized).width, 3);
    assert_int_equal(fl_dataset_bytes(resized), fl_dataset_bytes(plain));
    fl_dataset_moments(&mean[0], &deviation[0], plain);
    fl_dataset_moments(&mean[1], &deviation[1], resized);
    assert_memory_equal(&mean[0], &mean[1], sizeof *mean);
    assert_memory_equal(&deviation[0], &deviation[1], sizeof *mean);

    const uint32_t rows[] = {4, 1};
    assert_ok(fl_dataset_keep(resized, rows, 2));
    fl_dataset_read(x, resized, (const uint32_t[]){0, 1}, 2);
    for (size_t row = 0; row < 2; row++) {
        for (size_t i = 0; i < 9; i++) {
            const double byte = 40.0 * rows[row] + 2.0 * (double)(i % 3) +
                                4.0 * (double)(i / 3);
            const double expected = byte / 255.0;
            assert_float_equal((double)x[row * 9 + i], expected, 1e-6);
        }
    }
    fl_dataset_free(plain);
    fl_dataset_free(resized);
    data_files_fini(&files);
}

TEST(resize_of_a_dataset_is_refused_with_its_reason)
{
    data_files files;
    data_files_init(&files);
    fl_dataset *dataset = NULL;
    assert_err(open_pictures(&dataset, &files, "large"), FL_ERR_RANGE);
    assert_reason_names(why, "large");
    const fl_data_options table = {
        .spec = data_files_put_text(&files, "t.csv", "x,y\n1,0\n2,1\n"),
        .resize = "4x4"};
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &table, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "table");
    assert_null(dataset);
    data_files_fini(&files);
}

RUN_TESTS(
    cmocka_unit_test(resize_puts_centres_on_centres),
    cmocka_unit_test(resize_interpolates_both_ways),
    cmocka_unit_test(resize_to_the_same_size_changes_no_bit),
    cmocka_unit_test(resize_keeps_channels_apart),
    cmocka_unit_test(resize_refuses_what_is_no_size),
    cmocka_unit_test(resize_refuses_tables_and_too_many_values),
    cmocka_unit_test(resize_of_a_dataset_costs_no_memory_and_survives_keeping),
    cmocka_unit_test(resize_of_a_dataset_is_refused_with_its_reason))
