/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "data/data.h"
#include "data/picture.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { SIDE = 4, PIXELS = SIDE * SIDE, FILE_CAP = 4096 };

static const uint8_t BLACK[PIXELS * 8] = {0};

static uint8_t colour[PIXELS * 3];

static void fill_colour(void)
{
    for (size_t i = 0; i < sizeof colour; i++)
        colour[i] = (uint8_t)(i * 5);
}

static fl_err open_folder(fl_dataset **dataset, const data_files *files,
                          fl_data_part part, fl_reason *why)
{
    const fl_data_options options = {.spec = files->root};
    return fl_dataset_open(dataset, part, &options, why);
}

static void assert_refused(const data_files *files, fl_err expected,
                           const char *word)
{
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    assert_err(open_folder(&dataset, files, FL_DATA_TRAIN, &why), expected);
    assert_null(dataset);
    assert_reason_names(why, word);
}

// Two classes of two grey pictures.
static void put_good(data_files *files)
{
    data_files_put_png(files, "cat/1.png", BLACK, SIDE, SIDE, 1, 8);
    data_files_put_png(files, "cat/2.PNG", BLACK, SIDE, SIDE, 1, 8);
    data_files_put_jpeg(files, "dog/1.jpg", BLACK, SIDE, SIDE, 1);
    data_files_put_jpeg(files, "dog/2.jpeg", BLACK, SIDE, SIDE, 1);
}

TEST(images_takes_class_folders_in_sorted_order)
{
    data_files files;
    data_files_init(&files);
    put_good(&files);
    data_files_put_folder(&files, "bee");  // a class, though empty
    data_files_put_folder(&files, ".git");
    data_files_put_text(&files, "readme.txt", "not a class");
    data_files_put_text(&files, "cat/notes.txt", "not a picture");
    data_files_put_text(&files, "cat/.hidden.png", "not a picture");
    fl_dataset *dataset = NULL;
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    assert_int_equal(fl_dataset_row_count(dataset), 3);  // one is held out
    assert_int_equal(fl_dataset_class_count(dataset), 3);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "bee");
    assert_string_equal(fl_dataset_class_name(dataset, 2), "dog");
    const fl_shape shape = fl_dataset_shape(dataset);
    assert_true(shape.height == SIDE && shape.channels == 1);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(images_takes_training_and_test_folders_apart)
{
    data_files files;
    data_files_init(&files);
    data_files_put_png(&files, "train/cat/1.png", BLACK, SIDE, SIDE, 1, 8);
    data_files_put_png(&files, "train/dog/1.png", BLACK, SIDE, SIDE, 1, 8);
    data_files_put_png(&files, "test/ant/1.png", BLACK, SIDE, SIDE, 1, 8);
    data_files_put_png(&files, "test/dog/1.png", BLACK, SIDE, SIDE, 1, 8);
    fl_dataset *dataset = NULL;
    for (int part = FL_DATA_TRAIN; part <= FL_DATA_TEST; part++) {
        assert_ok(open_folder(&dataset, &files, (fl_data_part)part, NULL));
        assert_int_equal(fl_dataset_row_count(dataset), 2);
        assert_int_equal(fl_dataset_class_count(dataset), 3);
        assert_string_equal(fl_dataset_class_name(dataset, 2), "dog");
        assert_int_equal(fl_dataset_labels(dataset)[1], 2);
        assert_int_equal(fl_dataset_labels(dataset)[0],
                         part == FL_DATA_TRAIN ? 1 : 0);
        fl_dataset_free(dataset);
    }
    data_files_fini(&files);
}

TEST(images_decodes_png_to_the_very_bytes)
{
    data_files files;
    data_files_init(&files);
    fill_colour();
    data_files_put_png(&files, "a/1.png", colour, SIDE, SIDE, 3, 8);
    fl_dataset *dataset = NULL;
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    float x[PIXELS * 3];
    fl_dataset_read(x, dataset, (uint32_t[]){0}, 1);
    for (size_t i = 0; i < sizeof colour; i++)
        assert_int_equal(lrintf(x[i] * 255.0F), colour[i]);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(images_leaves_out_transparency_and_halves_16_bits)
{
    static const uint8_t grey_alpha[2] = {77, 1};
    static const uint8_t rgba[4] = {7, 8, 9, 1};
    static const uint8_t grey_16[2] = {0x80, 0x80};
    data_files files;
    data_files_init(&files);
    fl_dataset *dataset = NULL;
    float x[3];
    data_files_put_png(&files, "a/1.png", grey_alpha, 1, 1, 2, 8);
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    fl_dataset_read(x, dataset, (uint32_t[]){0}, 1);
    assert_int_equal(fl_dataset_shape(dataset).channels, 1);
    assert_int_equal(lrintf(x[0] * 255.0F), 77);
    fl_dataset_free(dataset);

    data_files_put_png(&files, "a/1.png", rgba, 1, 1, 4, 8);
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    fl_dataset_read(x, dataset, (uint32_t[]){0}, 1);
    assert_int_equal(fl_dataset_shape(dataset).channels, 3);
    assert_int_equal(lrintf(x[2] * 255.0F), 9);
    fl_dataset_free(dataset);

    data_files_put_png(&files, "a/1.png", grey_16, 1, 1, 1, 16);
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    fl_dataset_read(x, dataset, (uint32_t[]){0}, 1);
    assert_int_equal(lrintf(x[0] * 255.0F), 0x80);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(images_decodes_jpeg_closely)
{
    data_files files;
    data_files_init(&files);
    uint8_t red[PIXELS * 3];
    for (size_t i = 0; i < sizeof red; i++)
        red[i] = i % 3 == 0 ? 200 : 20;
    data_files_put_jpeg(&files, "a/1.jpg", red, SIDE, SIDE, 3);
    fl_dataset *dataset = NULL;
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    float x[PIXELS * 3];
    fl_dataset_read(x, dataset, (uint32_t[]){0}, 1);
    assert_float_equal(x[0] * 255.0F, 200.0F, 3.0F);
    assert_float_equal(x[PIXELS * 3 - 1] * 255.0F, 20.0F, 3.0F);
    fl_dataset_free(dataset);
    data_files_fini(&files);
}

TEST(images_goes_by_content_not_by_ending)
{
    data_files files;
    data_files_init(&files);
    put_good(&files);
    data_files_put_png(&files, "dog/3.jpg", BLACK, SIDE, SIDE, 1, 8);
    fl_dataset *dataset = NULL;
    assert_ok(open_folder(&dataset, &files, FL_DATA_TRAIN, NULL));
    fl_dataset_free(dataset);
    data_files_put_text(&files, "dog/4.jpg", "GIF89a");
    assert_refused(&files, FL_ERR_FORMAT, "dog/4.jpg: is neither PNG nor JPEG");
    data_files_fini(&files);
}

TEST(images_names_the_picture_that_is_unlike_the_first)
{
    data_files files;
    data_files_init(&files);
    put_good(&files);
    data_files_put_png(&files, "dog/3.png", BLACK, SIDE, SIDE + 1, 1, 8);
    assert_refused(&files, FL_ERR_FORMAT,
                   "dog/3.png: is 4x5 with 1 channels, the first picture is "
                   "4x4 with 1");
    data_files_put_jpeg(&files, "dog/3.png", colour, SIDE, SIDE, 3);
    assert_refused(&files, FL_ERR_FORMAT, "dog/3.png: is 4x4 with 3");
    data_files_fini(&files);
}

static size_t read_back(uint8_t bytes[FILE_CAP], const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t len = fread(bytes, 1, FILE_CAP, file);
    fclose(file);
    return len;
}

TEST(images_names_the_damaged_picture)
{
    data_files files;
    data_files_init(&files);
    fill_colour();
    uint8_t bytes[FILE_CAP];
    size_t len = read_back(
        bytes, data_files_put_png(&files, "a/1.png", colour, SIDE, SIDE, 3, 8));
    for (size_t cut = 9; cut < len; cut++) {
        data_files_put(&files, "a/1.png", bytes, cut);
        assert_refused(&files, FL_ERR_FORMAT, "a/1.png: damaged PNG");
    }
    bytes[len - 20] ^= 1;  // the data's checksum
    data_files_put(&files, "a/1.png", bytes, len);
    assert_refused(&files, FL_ERR_FORMAT, "a/1.png: damaged PNG");

    len = read_back(
        bytes, data_files_put_jpeg(&files, "a/1.png", colour, SIDE, SIDE, 3));
    for (size_t cut = 4; cut < len - 4; cut++) {
        data_files_put(&files, "a/1.png", bytes, cut);
        assert_refused(&files, FL_ERR_FORMAT, "a/1.png: damaged JPEG");
    }
    data_files_put(&files, "a/1.png", bytes, 0);
    assert_refused(&files, FL_ERR_FORMAT, "a/1.png: is neither");
    data_files_fini(&files);
}

TEST(images_refuses_four_colours)
{
    data_files files;
    data_files_init(&files);
    data_files_put_jpeg(&files, "a/1.jpg", BLACK, SIDE, SIDE, 4);
    assert_refused(&files, FL_ERR_FORMAT, "convert it to RGB");
    data_files_fini(&files);
}

TEST(images_refuses_sizes_beyond_the_maximum_before_decoding)
{
    data_files files;
    data_files_init(&files);
    uint8_t bytes[FILE_CAP];
    const size_t len = read_back(
        bytes, data_files_put_jpeg(&files, "a/1.jpg", colour, SIDE, SIDE, 3));
    // the frame header: FFC0, length, precision, height, width
    for (size_t i = 0; i + 9 < len; i++) {
        if (bytes[i] != 0xff || bytes[i + 1] != 0xc0) continue;
        memset(bytes + i + 5, 0xf0, 4);
        break;
    }
    data_files_put(&files, "a/1.jpg", bytes, len);
    assert_refused(&files, FL_ERR_LIMIT, "is 61680x61680 pixels large");
    data_files_fini(&files);
}

TEST(images_refuses_sizes_whose_product_overflows)
{
    fl_shape wanted = {0};
    const fl_shape huge = {1u << 31, 1u << 31, 4};
    assert_err(fl_picture_check(&wanted, true, huge, NULL), FL_ERR_LIMIT);
}

TEST(images_refuses_a_folder_without_pictures)
{
    data_files files;
    data_files_init(&files);
    assert_refused(&files, FL_ERR_FORMAT, "CLASS/NAME.png");
    data_files_put_folder(&files, "cat");
    assert_refused(&files, FL_ERR_FORMAT, "has no rows");
    data_files_put_png(&files, "1.png", BLACK, SIDE, SIDE, 1, 8);
    assert_refused(&files, FL_ERR_FORMAT, "has no rows");
    data_files_fini(&files);
}

TEST(images_says_which_folder_is_missing)
{
    fl_data_options options = {.spec = "images:/nowhere/at all"};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_NOT_FOUND);
    assert_reason_names(why, "/nowhere/at all");
    options.spec = "images:/dev/null";
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_RANGE);
}

RUN_TESTS(
    cmocka_unit_test(images_takes_class_folders_in_sorted_order),
    cmocka_unit_test(images_takes_training_and_test_folders_apart),
    cmocka_unit_test(images_decodes_png_to_the_very_bytes),
    cmocka_unit_test(images_leaves_out_transparency_and_halves_16_bits),
    cmocka_unit_test(images_decodes_jpeg_closely),
    cmocka_unit_test(images_goes_by_content_not_by_ending),
    cmocka_unit_test(images_names_the_picture_that_is_unlike_the_first),
    cmocka_unit_test(images_names_the_damaged_picture),
    cmocka_unit_test(images_refuses_four_colours),
    cmocka_unit_test(images_refuses_sizes_beyond_the_maximum_before_decoding),
    cmocka_unit_test(images_refuses_sizes_whose_product_overflows),
    cmocka_unit_test(images_refuses_a_folder_without_pictures),
    cmocka_unit_test(images_says_which_folder_is_missing))
