/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROWS = 3, SIDE = 2, PIXELS = SIDE * SIDE, IMAGES_CAP = 64 };

static const uint8_t PIXEL[ROWS * PIXELS] = {0, 51, 102, 255, 1,  2,
                                             3, 4,  10,  20,  30, 40};
static const uint8_t LABEL[ROWS] = {7, 0, 2};

static size_t images_bytes(uint8_t dst[IMAGES_CAP], uint32_t rows)
{
    const uint32_t sizes[] = {rows, SIDE, SIDE};
    return data_files_idx(dst, sizes, 3, PIXEL, sizeof PIXEL);
}

static size_t labels_bytes(uint8_t dst[IMAGES_CAP], uint32_t rows)
{
    return data_files_idx(dst, &rows, 1, LABEL, sizeof LABEL);
}

// A pair "i" and "l" that is as it should be.
static void put_pair(data_files *files)
{
    uint8_t bytes[IMAGES_CAP];
    data_files_put(files, "i", bytes, images_bytes(bytes, ROWS));
    data_files_put(files, "l", bytes, labels_bytes(bytes, ROWS));
}

static fl_err open_pair(fl_dataset **dataset, const data_files *files,
                        fl_reason *why)
{
    char spec[4 * DATA_PATH_CAP];
    data_files_spec(spec, files, "idx", "i", "l");
    // All rows: the same files serve as test part.
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    return fl_dataset_open(dataset, FL_DATA_TRAIN, &options, why);
}

static void assert_refused(const data_files *files, fl_err expected,
                           const char *word)
{
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(open_pair(&dataset, files, &why), expected);
    assert_null(dataset);
    assert_reason_names(why, word);
}

TEST(idx_reads_pictures_and_labels)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    fl_dataset *dataset = NULL;
    assert_ok(open_pair(&dataset, &files, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), ROWS);
    assert_int_equal(fl_dataset_class_count(dataset), 8);
    assert_null(fl_dataset_class_name(dataset, 0));
    assert_null(fl_dataset_groups(dataset));
    const fl_shape shape = fl_dataset_shape(dataset);
    assert_int_equal(shape.height, SIDE);
    assert_int_equal(shape.width, SIDE);
    assert_int_equal(shape.channels, 1);
    assert_int_equal(fl_dataset_labels(dataset)[0], 7);
    assert_int_equal(fl_dataset_labels(dataset)[2], 2);
    float x[2 * PIXELS];
    fl_dataset_read(x, dataset, (uint32_t[]){2, 0}, 2);
    assert_true(x[0] == 10.0F * (1.0F / 255.0F));
    assert_true(x[PIXELS + 1] == 51.0F * (1.0F / 255.0F));
    assert_true(x[PIXELS + 3] == 1.0F);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(idx_reads_gzipped_files_too)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put_gz(&files, "i", bytes, images_bytes(bytes, ROWS));
    fl_dataset *dataset = NULL;
    assert_ok(open_pair(&dataset, &files, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), ROWS);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(idx_reads_big_endian_numbers_of_other_types)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    // 3 rows of one 16-bit number: -2, 258, 1
    const uint8_t bytes[] = {0, 0, 0x0B, 2,    0,    0, 0, 3, 0,
                             0, 0, 1,    0xff, 0xfe, 1, 2, 0, 1};
    data_files_put(&files, "i", bytes, sizeof bytes);
    fl_dataset *dataset = NULL;
    assert_ok(open_pair(&dataset, &files, NULL));
    float x[ROWS];
    fl_dataset_read(x, dataset, (uint32_t[]){0, 1, 2}, ROWS);
    assert_true(x[0] == -2.0F && x[1] == 258.0F && x[2] == 1.0F);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(idx_refuses_a_header_that_announces_more_than_the_file_holds)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put(&files, "i", bytes, images_bytes(bytes, ROWS + 1));
    assert_refused(&files, FL_ERR_FORMAT, "announces 4 rows, 16 bytes");
    // 3 TB; were it allocated, the sanitiser would say so
    images_bytes(bytes, FL_DATA_ROWS_MAX);
    bytes[10] = bytes[14] = 2;
    data_files_put(&files, "i", bytes, 28);
    assert_refused(&files, FL_ERR_FORMAT, "announces 16777216 rows");
    data_files_fini(&files);
}

TEST(idx_refuses_a_gzipped_header_that_no_packing_could_fulfil)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    const size_t len = images_bytes(bytes, FL_DATA_ROWS_MAX);
    data_files_put_gz(&files, "i", bytes, len);
    assert_refused(&files, FL_ERR_FORMAT, "announces 16777216 rows");
    images_bytes(bytes, ROWS + 1);
    data_files_put_gz(&files, "i", bytes, len);
    assert_refused(&files, FL_ERR_FORMAT, "ends at byte 28, 4 bytes too early");
    data_files_fini(&files);
}

TEST(idx_refuses_bytes_behind_the_last_row)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put(&files, "i", bytes, images_bytes(bytes, ROWS) + 1);
    assert_refused(&files, FL_ERR_FORMAT, "/i: the data ends at byte 28");
    data_files_fini(&files);
}

TEST(idx_refuses_a_cut_or_damaged_gzip_file)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    enum { NOISE = 5000 };
    uint8_t noise[NOISE], bytes[NOISE + 32], packed[2 * NOISE];
    for (size_t i = 0; i < NOISE; i++)
        noise[i] = (uint8_t)(i * i * 2654435761u >> 13);
    const uint32_t sizes[] = {ROWS, NOISE / ROWS};
    const size_t len =
        data_files_idx(bytes, sizes, 2, noise, (size_t)ROWS * sizes[1]);
    const char *path = data_files_put_gz(&files, "i", bytes, len);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t packed_len = fread(packed, 1, sizeof packed, file);
    fclose(file);
    data_files_put(&files, "i", packed, packed_len - 1000);
    assert_refused(&files, FL_ERR_FORMAT, "cut short");
    packed[packed_len - 6] ^= 1;  // within the checksum
    data_files_put(&files, "i", packed, packed_len);
    assert_refused(&files, FL_ERR_FORMAT, "damaged");
    data_files_fini(&files);
}

TEST(idx_refuses_what_does_not_begin_like_idx)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    const uint8_t wrong[][4] = {
        {1, 0, 8, 1}, {0, 1, 8, 1}, {0, 0, 7, 1}, {0, 0, 8, 0}, {0, 0, 8, 5}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        data_files_put(&files, "i", wrong[i], sizeof wrong[i]);
        assert_refused(&files, FL_ERR_FORMAT, "byte 0");
    }
    data_files_put(&files, "i", wrong[0], 0);
    assert_refused(&files, FL_ERR_FORMAT, "ends at byte 0");
    data_files_fini(&files);
}

TEST(idx_refuses_other_counts_of_labels_than_of_pictures)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put(&files, "l", bytes, labels_bytes(bytes, ROWS - 1) - 1);
    assert_refused(&files, FL_ERR_FORMAT, "holds 2 labels");
    data_files_fini(&files);
}

TEST(idx_refuses_a_file_of_pictures_as_labels_and_the_reverse)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put(&files, "l", bytes, images_bytes(bytes, ROWS));
    assert_refused(&files, FL_ERR_FORMAT, "holds 4 numbers a row");
    data_files_put(&files, "i", bytes, labels_bytes(bytes, ROWS));
    assert_refused(&files, FL_ERR_FORMAT, "one dimension");
    data_files_fini(&files);
}

TEST(idx_refuses_sizes_beyond_the_maxima_and_empty_ones)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[IMAGES_CAP];
    const uint32_t sizes[][3] = {{FL_DATA_ROWS_MAX + 1, 2, 2},
                                 {3, FL_DATA_VALUES_MAX + 1, 1},
                                 {3, FL_DATA_VALUES_MAX, 2},
                                 {3, UINT32_MAX, UINT32_MAX}};
    for (size_t i = 0; i < 4; i++) {
        const size_t len = data_files_idx(bytes, sizes[i], 3, PIXEL, 1);
        data_files_put(&files, "i", bytes, len);
        assert_refused(&files, FL_ERR_LIMIT, "/i: announces");
    }
    data_files_put(&files, "i", bytes, images_bytes(bytes, 0));
    assert_refused(&files, FL_ERR_FORMAT, "has no rows");
    const uint32_t flat[] = {3, 0, 2};
    data_files_put(&files, "i", bytes,
                   data_files_idx(bytes, flat, 3, PIXEL, 0));
    assert_refused(&files, FL_ERR_FORMAT, "is 0");
    data_files_fini(&files);
}

TEST(idx_refuses_labels_that_are_no_classes)
{
    data_files files;
    data_files_init(&files);
    put_pair(&files);
    uint8_t bytes[] = {0, 0, 0x0C, 1, 0, 0, 0, 3, 0, 0,
                       0, 1, 0,    1, 0, 0, 0, 0, 0, 0};
    data_files_put(&files, "l", bytes, sizeof bytes);
    assert_refused(&files, FL_ERR_LIMIT, "row 1: label 65536");
    bytes[12] = 0xff;
    data_files_put(&files, "l", bytes, sizeof bytes);
    assert_refused(&files, FL_ERR_FORMAT, "negative");
    bytes[2] = 0x0D;
    data_files_put(&files, "l", bytes, sizeof bytes);
    assert_refused(&files, FL_ERR_FORMAT, "integers");
    data_files_fini(&files);
}

TEST(idx_says_which_file_is_missing)
{
    data_files files;
    data_files_init(&files);
    assert_refused(&files, FL_ERR_NOT_FOUND, "/i: No such file");
    put_pair(&files);
    char spec[4 * DATA_PATH_CAP];
    data_files_spec(spec, &files, "idx", "i", "");
    const fl_data_options options = {.spec = spec};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "is not a file");
    data_files_fini(&files);
}

TEST(idx_says_so_when_a_file_cannot_be_read)
{
    // a regular file whose first page nobody may read
    const fl_data_options options = {.spec = "idx:/proc/self/mem,labels"};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_SYSTEM);
    assert_reason_names(why, "/proc/self/mem");
}

TEST(idx_takes_both_parts_from_a_folder)
{
    data_files files;
    data_files_init(&files);
    uint8_t bytes[IMAGES_CAP];
    data_files_put(&files, "train-images-idx3-ubyte", bytes,
                   images_bytes(bytes, ROWS));
    data_files_put(&files, "train-labels-idx1-ubyte", bytes,
                   labels_bytes(bytes, ROWS));
    data_files_put_gz(&files, "t10k-images-idx3-ubyte.gz", bytes,
                      images_bytes(bytes, 1) - PIXELS * (ROWS - 1));
    const fl_data_options alone = {.spec = files.root};
    fl_dataset *dataset = NULL;
    // half a test part is none: a row is held out
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &alone, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), ROWS - 1);
    fl_dataset_free(dataset);

    const uint32_t one = 1;
    data_files_put_gz(&files, "t10k-labels-idx1-ubyte.gz", bytes,
                      data_files_idx(bytes, &one, 1, (uint8_t[]){1}, 1));
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &alone, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), ROWS);
    fl_dataset_free(dataset);
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TEST, &alone, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), 1);
    assert_int_equal(fl_dataset_labels(dataset)[0], 1);
    // class 7 is only in the training part, and counts in both
    assert_int_equal(fl_dataset_class_count(dataset), 8);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(idx_refuses_a_folder_without_the_files)
{
    data_files files;
    data_files_init(&files);
    char spec[4 * DATA_PATH_CAP];
    data_files_spec(spec, &files, "idx", "", NULL);
    const fl_data_options options = {.spec = spec};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "train-images-idx3-ubyte");
    data_files_fini(&files);
}

RUN_TESTS(
    cmocka_unit_test(idx_reads_pictures_and_labels),
    cmocka_unit_test(idx_reads_gzipped_files_too),
    cmocka_unit_test(idx_reads_big_endian_numbers_of_other_types),
    cmocka_unit_test(
        idx_refuses_a_header_that_announces_more_than_the_file_holds),
    cmocka_unit_test(idx_refuses_a_gzipped_header_that_no_packing_could_fulfil),
    cmocka_unit_test(idx_refuses_bytes_behind_the_last_row),
    cmocka_unit_test(idx_refuses_a_cut_or_damaged_gzip_file),
    cmocka_unit_test(idx_refuses_what_does_not_begin_like_idx),
    cmocka_unit_test(idx_refuses_other_counts_of_labels_than_of_pictures),
    cmocka_unit_test(idx_refuses_a_file_of_pictures_as_labels_and_the_reverse),
    cmocka_unit_test(idx_refuses_sizes_beyond_the_maxima_and_empty_ones),
    cmocka_unit_test(idx_refuses_labels_that_are_no_classes),
    cmocka_unit_test(idx_says_which_file_is_missing),
    cmocka_unit_test(idx_says_so_when_a_file_cannot_be_read),
    cmocka_unit_test(idx_takes_both_parts_from_a_folder),
    cmocka_unit_test(idx_refuses_a_folder_without_the_files))
