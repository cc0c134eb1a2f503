/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "data/loader.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROWS = 40, FEATURES = 3, IDX_CAP = 256 };

// Row i holds the bytes 3i, 3i + 1, 3i + 2 and the label i mod 4.
static void put_rows(data_files *files, char spec[4 * DATA_PATH_CAP])
{
    uint8_t bytes[IDX_CAP], values[ROWS * FEATURES], labels[ROWS];
    for (size_t i = 0; i < ROWS * FEATURES; i++)
        values[i] = (uint8_t)i;
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = i % 4;
    const uint32_t sizes[] = {ROWS, FEATURES};
    data_files_put(files, "i", bytes,
                   data_files_idx(bytes, sizes, 2, values, sizeof values));
    data_files_put(files, "l", bytes,
                   data_files_idx(bytes, sizes, 1, labels, sizeof labels));
    data_files_spec(spec, files, "idx", "i", "l");
}

static fl_dataset *open_rows(fl_data_part part, uint64_t seed)
{
    char spec[4 * DATA_PATH_CAP];
    data_files files;
    data_files_init(&files);
    put_rows(&files, spec);
    const fl_data_options options = {.spec = spec, .seed = seed};
    fl_dataset *dataset = NULL;
    assert_ok(fl_dataset_open(&dataset, part, &options, NULL));
    data_files_fini(&files);
    return dataset;
}

// Which row of the file this one is: its first byte is three times that.
static uint32_t origin(const fl_dataset *dataset, uint32_t row)
{
    float x[FEATURES];
    fl_dataset_read(x, dataset, &row, 1);
    return (uint32_t)lrintf(x[0] * 255.0F) / FEATURES;
}

TEST(dataset_holds_out_a_tenth_that_the_seed_picks)
{
    fl_dataset *train = open_rows(FL_DATA_TRAIN, 1);
    fl_dataset *test = open_rows(FL_DATA_TEST, 1);
    fl_dataset *other = open_rows(FL_DATA_TEST, 2);
    assert_int_equal(fl_dataset_row_count(train), 36);
    assert_int_equal(fl_dataset_row_count(test), 4);
    bool seen[ROWS] = {false}, differs = false;
    for (uint32_t i = 0; i < 36; i++)
        seen[origin(train, i)] = true;
    for (uint32_t i = 0; i < 4; i++) {
        assert_false(seen[origin(test, i)]);
        differs = differs || origin(test, i) != origin(other, i);
    }
    assert_true(differs);
    assert_int_equal(fl_dataset_class_count(test), 4);
    fl_dataset_free(train);
    fl_dataset_free(test);
    fl_dataset_free(other);
}

TEST(dataset_keeps_the_rows_asked_for_in_that_order)
{
    const uint32_t orders[][3] = {{2, 7, 30}, {30, 2, 7}};
    for (size_t i = 0; i < 2; i++) {
        fl_dataset *dataset = open_rows(FL_DATA_TRAIN, 1);
        uint32_t origins[3];
        for (size_t j = 0; j < 3; j++)
            origins[j] = origin(dataset, orders[i][j]);
        assert_ok(fl_dataset_keep(dataset, orders[i], 3));
        assert_int_equal(fl_dataset_row_count(dataset), 3);
        for (uint32_t j = 0; j < 3; j++) {
            assert_int_equal(origin(dataset, j), origins[j]);
            assert_int_equal(fl_dataset_labels(dataset)[j], origins[j] % 4);
        }
        assert_int_equal(fl_dataset_bytes(dataset),
                         3 * (FEATURES + sizeof(uint32_t)));
        fl_dataset_free(dataset);
    }
}

TEST(dataset_is_unchanged_when_a_row_to_keep_does_not_exist)
{
    fl_dataset *dataset = open_rows(FL_DATA_TRAIN, 1);
    assert_err(fl_dataset_keep(dataset, (uint32_t[]){0, 36}, 2), FL_ERR_RANGE);
    assert_err(fl_dataset_keep(dataset, NULL, 0), FL_ERR_RANGE);
    assert_int_equal(fl_dataset_row_count(dataset), 36);
    fl_dataset_free(dataset);
}

static size_t resident_bytes(void)
{
    size_t all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &all, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static fl_dataset *in_memory(uint32_t rows, uint32_t features)
{
    fl_dataset *dataset = calloc(1, sizeof *dataset);
    assert_non_null(dataset);
    dataset->shape = (fl_shape){1, 1, features};
    dataset->type = FL_NUMBER_U8;
    dataset->row_count = rows;
    dataset->values = malloc((size_t)rows * features);
    dataset->labels = calloc(rows, sizeof *dataset->labels);
    dataset->groups = calloc(rows, sizeof *dataset->groups);
    assert_true(dataset->values && dataset->labels && dataset->groups);
    memset(dataset->values, 1, (size_t)rows * features);
    return dataset;
}

TEST(dataset_gives_memory_back_when_it_keeps_less)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip();  // their allocators hold on to freed memory on purpose
#endif
    if (getenv("EMULATED")) skip();  // qemu keeps what brk gives back
    enum { MANY = 20000, WIDE = 1000, MEGABYTE = 1 << 20 };
    for (int ascending = 0; ascending < 2; ascending++) {
        fl_dataset *dataset = in_memory(MANY, WIDE);
        const size_t before = resident_bytes();
        const uint32_t rows[] = {ascending ? 1 : 9, 5};
        assert_ok(fl_dataset_keep(dataset, rows, 2));
        assert_true(resident_bytes() + 19 * MEGABYTE < before);
        fl_dataset_free(dataset);
    }
}

TEST(dataset_measures_moments_of_every_channel)
{
    // two pixels of three channels each: 0 and 255, constant, 51 and 102
    const uint8_t values[] = {0, 7, 51, 255, 7, 102};
    fl_dataset *dataset = in_memory(2, 3);
    memcpy(dataset->values, values, sizeof values);
    float mean[3], deviation[3];
    fl_dataset_moments(mean, deviation, dataset);
    assert_float_equal(mean[0], 0.5, 1e-6F);
    assert_float_equal(deviation[0], 0.5, 1e-6F);
    assert_float_equal(mean[1], 7.0F / 255.0F, 1e-6F);
    assert_true(deviation[1] == 1.0F);
    assert_float_equal(mean[2], 0.3, 1e-6F);
    assert_float_equal(deviation[2], 0.1, 1e-6F);
    fl_dataset_free(dataset);
}

TEST(dataset_measures_moments_of_many_channels_too)
{
    enum { CHANNELS = 150, MANY = 30 };
    fl_dataset *dataset = in_memory(MANY, CHANNELS);
    uint8_t *values = dataset->values;
    for (size_t i = 0; i < (size_t)MANY * CHANNELS; i++)
        values[i] = (uint8_t)(i % CHANNELS + (i / CHANNELS) % 2 * 10);
    float mean[CHANNELS], deviation[CHANNELS];
    fl_dataset_moments(mean, deviation, dataset);
    for (size_t c = 0; c < CHANNELS; c++) {
        assert_float_equal(mean[c] * 255.0F, (float)c + 5.0F, 1e-3F);
        assert_float_equal(deviation[c] * 255.0F, 5.0F, 1e-3F);
    }
    fl_dataset_free(dataset);
}

TEST(dataset_keeps_a_tiny_deviation_beside_a_large_mean)
{
    fl_dataset *dataset = in_memory(1, 4 * sizeof(float));
    const float values[] = {60000.0F, 60000.25F, 60000.0F, 60000.25F};
    dataset->type = FL_NUMBER_F32;
    dataset->shape = (fl_shape){2, 2, 1};
    memcpy(dataset->values, values, sizeof values);
    float mean, deviation;
    fl_dataset_moments(&mean, &deviation, dataset);
    assert_float_equal(mean, 60000.125, 1e-2F);
    assert_float_equal(deviation, 0.125, 1e-6F);
    fl_dataset_free(dataset);
}

TEST(dataset_reads_every_kind_of_number)
{
    fl_dataset *dataset = in_memory(1, 2 * sizeof(float));
    dataset->shape.channels = 2;
    const uint32_t row = 0;
    float x[2];
    dataset->type = FL_NUMBER_I8;
    memcpy(dataset->values, (int8_t[]){-128, 127}, 2);
    fl_dataset_read(x, dataset, &row, 1);
    assert_true(x[0] == -128.0F && x[1] == 127.0F);
    dataset->type = FL_NUMBER_U16;
    memcpy(dataset->values, (uint16_t[]){0, 65535}, 4);
    fl_dataset_read(x, dataset, &row, 1);
    assert_true(x[0] == 0.0F && x[1] == 65535.0F);
    dataset->type = FL_NUMBER_I16;
    memcpy(dataset->values, (int16_t[]){-32768, 5}, 4);
    fl_dataset_read(x, dataset, &row, 1);
    assert_true(x[0] == -32768.0F && x[1] == 5.0F);
    dataset->type = FL_NUMBER_F32;
    memcpy(dataset->values, (float[]){0.5F, -1e30F}, 8);
    fl_dataset_read(x, dataset, &row, 1);
    assert_true(x[0] == 0.5F && x[1] == -1e30F);
    fl_dataset_free(dataset);
}

static void assert_refused(fl_data_part part, const fl_data_options *options,
                           fl_err expected, const char *word)
{
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, part, options, &why), expected);
    assert_null(dataset);
    assert_reason_names(why, word);
}

TEST(dataset_refuses_a_spec_that_names_nothing_and_shows_the_forms)
{
    data_files files;
    data_files_init(&files);
    fl_data_options options = {.spec = NULL};
    assert_refused(FL_DATA_TRAIN, &options, FL_ERR_RANGE, "idx:DIR");
    options.spec = "";
    assert_refused(FL_DATA_TRAIN, &options, FL_ERR_RANGE, "idx:DIR");
    options.spec = "/nowhere/at all";
    assert_refused(FL_DATA_TRAIN, &options, FL_ERR_NOT_FOUND, "/nowhere/at");
    options.spec = "parquet:x";
    assert_refused(FL_DATA_TRAIN, &options, FL_ERR_NOT_FOUND, "parquet:x");
    options.spec = data_files_put_text(&files, "x.parquet", "");
    assert_refused(FL_DATA_TRAIN, &options, FL_ERR_RANGE, "x.parquet");
    data_files_fini(&files);
}

TEST(dataset_refuses_to_test_with_the_only_row)
{
    data_files files;
    data_files_init(&files);
    const uint32_t sizes[] = {1, 2};
    uint8_t bytes[IDX_CAP];
    char spec[4 * DATA_PATH_CAP];
    data_files_put(&files, "i", bytes,
                   data_files_idx(bytes, sizes, 2, (uint8_t[]){1, 2}, 2));
    data_files_put(&files, "l", bytes,
                   data_files_idx(bytes, sizes, 1, (uint8_t[]){1}, 1));
    data_files_spec(spec, &files, "idx", "i", "l");
    const fl_data_options options = {.spec = spec};
    assert_refused(FL_DATA_TEST, &options, FL_ERR_FORMAT, "single row");
    fl_dataset *dataset = NULL;
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, NULL));
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(dataset_refuses_parts_of_different_shapes)
{
    data_files files;
    data_files_init(&files);
    char spec[4 * DATA_PATH_CAP], other[4 * DATA_PATH_CAP];
    put_rows(&files, spec);
    const uint32_t sizes[] = {1, 2};
    uint8_t bytes[IDX_CAP];
    data_files_put(&files, "i2", bytes,
                   data_files_idx(bytes, sizes, 2, (uint8_t[]){1, 2}, 2));
    data_files_put(&files, "l2", bytes,
                   data_files_idx(bytes, sizes, 1, (uint8_t[]){1}, 1));
    data_files_spec(other, &files, "idx", "i2", "l2");
    const fl_data_options options = {.spec = spec, .test_spec = other};
    assert_refused(FL_DATA_TEST, &options, FL_ERR_FORMAT, "1x1x2 and 1x1x3");
    data_files_fini(&files);
}

TEST(dataset_opens_fashion_mnist)
{
    const fl_data_options options = {.spec = "fashion-mnist"};
    fl_dataset *dataset = NULL;
    fl_reason why;
    const fl_err err = fl_dataset_open(&dataset, FL_DATA_TEST, &options, &why);
    if (err == FL_ERR_NOT_FOUND) {
        assert_reason_names(why, "apt-get install dataset-fashion-mnist");
        skip();
    }
    assert_ok(err);
    assert_int_equal(fl_dataset_row_count(dataset), 10000);
    assert_int_equal(fl_dataset_class_count(dataset), 10);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "T-shirt/top");
    assert_string_equal(fl_dataset_class_name(dataset, 9), "Ankle boot");
    assert_null(fl_dataset_class_name(dataset, 10));
    float mean, deviation;
    fl_dataset_moments(&mean, &deviation, dataset);
    assert_float_equal(mean, 0.2868, 1e-3F);
    assert_float_equal(deviation, 0.3524, 1e-3F);
    fl_dataset_free(dataset);
}

TEST(dataset_says_how_to_install_fashion_mnist)
{
    fl_dataset dataset = {0};
    const fl_source source = {.part = FL_DATA_TRAIN};
    fl_reason why;
    assert_err(fl_fashion_load_folder(&dataset, "/nowhere", &source, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "apt-get install dataset-fashion-mnist");
}

/* ---- some of the rows ---- */

static void assert_same(const fl_dataset *a, const fl_dataset *b)
{
    const uint32_t count = fl_dataset_row_count(a);
    const size_t size = fl_shape_size(fl_dataset_shape(a));
    assert_int_equal(count, fl_dataset_row_count(b));
    assert_int_equal(size, fl_shape_size(fl_dataset_shape(b)));
    assert_memory_equal(fl_dataset_labels(a), fl_dataset_labels(b),
                        count * sizeof(uint32_t));
    for (uint32_t row = 0; row < count; row++) {
        float x[16], y[16];
        assert_in_range(size, 1, 16);
        fl_dataset_read(x, a, &row, 1);
        fl_dataset_read(y, b, &row, 1);
        assert_memory_equal(x, y, size * sizeof *x);
    }
    assert_int_equal(fl_dataset_bytes(a), fl_dataset_bytes(b));
}

// Rows that are loaded alone are those that are left of all.
static void assert_fills(const char *spec)
{
    const uint32_t orders[][3] = {{0, 2, 5}, {5, 0, 2}};
    const fl_data_options options = {.spec = spec, .seed = 3};
    for (size_t i = 0; i < 2; i++) {
        fl_dataset *whole = NULL, *some = NULL;
        assert_ok(fl_dataset_open(&whole, FL_DATA_TRAIN, &options, NULL));
        assert_ok(
            fl_dataset_open_outline(&some, FL_DATA_TRAIN, &options, NULL));
        assert_null(some->values);
        assert_int_equal(fl_dataset_row_count(some),
                         fl_dataset_row_count(whole));
        assert_ok(fl_dataset_keep(whole, orders[i], 3));
        assert_ok(fl_dataset_keep(some, orders[i], 3));
        assert_ok(fl_dataset_fill(some, FL_DATA_TRAIN, &options, NULL));
        assert_same(some, whole);
        fl_dataset_free(whole);
        fl_dataset_free(some);
    }
}

static void put_csv(data_files *files, uint32_t rows)
{
    char text[1000];
    int len = sprintf(text, "a,who,b,label\n");
    for (uint32_t i = 0; i < rows; i++)
        len += sprintf(text + len, "%u,w%u,%u.5,%s\n", i, i % 2, 7 * i,
                       i % 3 ? "x" : "y");
    data_files_put_text(files, "t.csv", text);
}

TEST(dataset_fills_an_outline_with_the_rows_that_are_left_of_it)
{
    char spec[4 * DATA_PATH_CAP], name[32];
    data_files files;
    data_files_init(&files);
    put_rows(&files, spec);
    assert_fills(spec);
    put_csv(&files, 12);
    data_files_spec(spec, &files, "csv", "t.csv", NULL);
    // A column of text is no number: the group.
    fl_dataset *dataset = NULL;
    const fl_data_options options = {.spec = spec, .group_column = "who"};
    assert_ok(fl_dataset_open_outline(&dataset, FL_DATA_TRAIN, &options, NULL));
    assert_ok(fl_dataset_fill(dataset, FL_DATA_TRAIN, &options, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), 11);
    assert_non_null(fl_dataset_groups(dataset));
    fl_dataset_free(dataset);
    data_files_put_text(&files, "n.csv",
                        "a,label\n1,x\n2,y\n3,x\n4,y\n5,x\n6,y\n7,x\n");
    data_files_spec(spec, &files, "csv", "n.csv", NULL);
    assert_fills(spec);
    for (uint8_t i = 0; i < 8; i++) {
        const uint8_t pixels[4] = {i, 1, 2, 3};
        snprintf(name, sizeof name, "drop/%c/%u.png", i % 2 ? 'a' : 'b', i);
        data_files_put_png(&files, name, pixels, 2, 2, 1, 8);
    }
    data_files_spec(spec, &files, "images", "drop", NULL);
    assert_fills(spec);
    data_files_fini(&files);
}

TEST(dataset_does_not_fill_an_outline_from_files_that_have_changed)
{
    char spec[4 * DATA_PATH_CAP];
    data_files files;
    fl_dataset *dataset = NULL;
    fl_reason why;
    data_files_init(&files);
    data_files_spec(spec, &files, "csv", "t.csv", NULL);
    const fl_data_options options = {.spec = spec, .group_column = "who"};
    put_csv(&files, 12);
    assert_ok(fl_dataset_open_outline(&dataset, FL_DATA_TRAIN, &options, NULL));
    put_csv(&files, 13);
    assert_err(fl_dataset_fill(dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_STATE);
    assert_reason_names(why, "has changed while it was read");
    put_csv(&files, 12);
    assert_ok(fl_dataset_fill(dataset, FL_DATA_TRAIN, &options, &why));
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

RUN_TESTS(
    cmocka_unit_test(dataset_holds_out_a_tenth_that_the_seed_picks),
    cmocka_unit_test(dataset_keeps_the_rows_asked_for_in_that_order),
    cmocka_unit_test(dataset_is_unchanged_when_a_row_to_keep_does_not_exist),
    cmocka_unit_test(dataset_gives_memory_back_when_it_keeps_less),
    cmocka_unit_test(dataset_measures_moments_of_every_channel),
    cmocka_unit_test(dataset_measures_moments_of_many_channels_too),
    cmocka_unit_test(dataset_keeps_a_tiny_deviation_beside_a_large_mean),
    cmocka_unit_test(dataset_reads_every_kind_of_number),
    cmocka_unit_test(
        dataset_refuses_a_spec_that_names_nothing_and_shows_the_forms),
    cmocka_unit_test(dataset_refuses_to_test_with_the_only_row),
    cmocka_unit_test(dataset_refuses_parts_of_different_shapes),
    cmocka_unit_test(dataset_opens_fashion_mnist),
    cmocka_unit_test(dataset_says_how_to_install_fashion_mnist),
    cmocka_unit_test(
        dataset_fills_an_outline_with_the_rows_that_are_left_of_it),
    cmocka_unit_test(
        dataset_does_not_fill_an_outline_from_files_that_have_changed))
