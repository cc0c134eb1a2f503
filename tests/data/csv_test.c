/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

// Opens all rows of a table; label and group column may be NULL.
static fl_err open_text(fl_dataset **dataset, const char *text,
                        const char *label, const char *group, fl_reason *why)
{
    data_files files;
    data_files_init(&files);
    const char *path = data_files_put_text(&files, "t.csv", text);
    const fl_data_options options = {.spec = path,
                                     .test_spec = path,
                                     .label_column = label,
                                     .group_column = group};
    const fl_err err = fl_dataset_open(dataset, FL_DATA_TRAIN, &options, why);
    data_files_fini(&files);
    return err;
}

static fl_dataset *open_good(const char *text, const char *label,
                             const char *group)
{
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    const fl_err err = open_text(&dataset, text, label, group, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return dataset;
}

static void assert_refused(const char *text, fl_err expected, const char *word)
{
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    assert_err(open_text(&dataset, text, NULL, NULL, &why), expected);
    assert_null(dataset);
    assert_reason_names(why, word);
}

TEST(csv_takes_the_column_called_label_and_leaves_the_rest_as_numbers)
{
    fl_dataset *dataset =
        open_good("a,label,b\n1,3,-2.5\n1e3,0,.5\n", NULL, NULL);
    assert_int_equal(fl_dataset_row_count(dataset), 2);
    assert_int_equal(fl_dataset_class_count(dataset), 4);
    assert_null(fl_dataset_class_name(dataset, 3));
    assert_int_equal(fl_dataset_labels(dataset)[0], 3);
    const fl_shape shape = fl_dataset_shape(dataset);
    assert_true(shape.height == 1 && shape.width == 1 && shape.channels == 2);
    float x[4];
    fl_dataset_read(x, dataset, (uint32_t[]){0, 1}, 2);
    assert_true(x[0] == 1.0F && x[1] == -2.5F);
    assert_true(x[2] == 1000.0F && x[3] == 0.5F);
    fl_dataset_free(dataset);
}

TEST(csv_takes_the_last_column_when_none_is_called_label)
{
    fl_dataset *dataset = open_good("a,b,c\n1,2,4\n1,2,0\n", NULL, NULL);
    assert_int_equal(fl_dataset_labels(dataset)[0], 4);
    fl_dataset_free(dataset);
}

TEST(csv_numbers_text_labels_in_sorted_order)
{
    fl_dataset *dataset =
        open_good("x,kind\n1,dog\n2,ant\n3,dog\n4,-1\n", "kind", NULL);
    assert_int_equal(fl_dataset_class_count(dataset), 3);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "-1");
    assert_string_equal(fl_dataset_class_name(dataset, 1), "ant");
    assert_string_equal(fl_dataset_class_name(dataset, 2), "dog");
    assert_null(fl_dataset_class_name(dataset, 3));
    const uint32_t expected[] = {2, 1, 2, 0};
    assert_memory_equal(fl_dataset_labels(dataset), expected, sizeof expected);
    fl_dataset_free(dataset);
}

TEST(csv_takes_numbers_too_large_for_classes_as_names)
{
    fl_dataset *dataset = open_good("x,y\n1,65536\n2,7\n", NULL, NULL);
    assert_int_equal(fl_dataset_class_count(dataset), 2);
    assert_string_equal(fl_dataset_class_name(dataset, 0), "65536");
    fl_dataset_free(dataset);
    dataset = open_good("x,y\n1,65535\n2,007\n", NULL, NULL);
    assert_int_equal(fl_dataset_class_count(dataset), 65536);
    assert_int_equal(fl_dataset_labels(dataset)[1], 7);
    fl_dataset_free(dataset);
}

TEST(csv_numbers_groups_in_sorted_order)
{
    fl_dataset *dataset =
        open_good("who,x,y\nzoe,1,0\nann,2,1\nzoe,3,1\n", NULL, "who");
    const uint32_t expected[] = {1, 0, 1};
    assert_memory_equal(fl_dataset_groups(dataset), expected, sizeof expected);
    assert_int_equal(fl_dataset_shape(dataset).channels, 1);
    fl_dataset_free(dataset);
}

TEST(csv_understands_quotes_crlf_blank_lines_and_a_byte_order_mark)
{
    fl_dataset *dataset = open_good("\xEF\xBB\xBF\"a,b\",label\r\n\r\n"
                                    "\"1\",\"say \"\"hi\"\"\nyou\"\r\n"
                                    "2,b",
                                    NULL, NULL);
    assert_int_equal(fl_dataset_row_count(dataset), 2);
    assert_string_equal(fl_dataset_class_name(dataset, 1), "say \"hi\"\nyou");
    fl_dataset_free(dataset);
}

TEST(csv_reads_many_rows)
{
    enum { MANY = 3000, LINE_CAP = 32 };
    char *text = malloc((size_t)MANY * LINE_CAP);
    assert_non_null(text);
    int len = sprintf(text, "a,b,label\n");
    for (int i = 0; i < MANY; i++)
        len += sprintf(text + len, "%d,%d.5,%d\n", i, i, i % 7);
    fl_dataset *dataset = open_good(text, NULL, NULL);
    assert_int_equal(fl_dataset_row_count(dataset), MANY);
    float x[2];
    fl_dataset_read(x, dataset, (uint32_t[]){MANY - 1}, 1);
    assert_true(x[0] == MANY - 1 && x[1] == (float)MANY - 0.5F);
    assert_int_equal(fl_dataset_bytes(dataset), MANY * 3 * sizeof(float));
    fl_dataset_free(dataset);
    free(text);
}

TEST(csv_names_file_line_column_and_value_of_what_is_no_number)
{
    const char *const wrong[] = {"nan", "inf", "-inf",  "1e99", "0x10",
                                 "1,2", "one", "1.2.3", "--1",  "1 2"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char text[64], shown[64];
        snprintf(text, sizeof text, "a,wide one,y\n1,2,0\n3,\"%s\",1\n",
                 wrong[i]);
        snprintf(shown, sizeof shown,
                 "t.csv: line 3, column 'wide one': value '%s'", wrong[i]);
        assert_refused(text, FL_ERR_FORMAT, shown);
    }
    assert_refused("a,y\n,1\n", FL_ERR_FORMAT, "line 2, column 'a': value ''");
}

TEST(csv_refuses_an_empty_label_or_group)
{
    assert_refused("a,y\n1,\n", FL_ERR_FORMAT, "column 'y': value '' is empty");
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(open_text(&dataset, "a,g,y\n1,,2\n", NULL, "g", &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "column 'g': value '' is empty");
}

TEST(csv_refuses_rows_of_another_width)
{
    assert_refused("a,b,y\n1,2,3\n\n1,2\n", FL_ERR_FORMAT,
                   "line 4: 2 values, but line 1 names 3");
    assert_refused("a,b,y\n1,2,3,4\n", FL_ERR_FORMAT, "line 2: 4 values");
}

TEST(csv_refuses_a_file_without_rows_or_header)
{
    assert_refused("", FL_ERR_FORMAT, "no header line");
    assert_refused("a,b\n", FL_ERR_FORMAT, "has no rows");
    assert_refused("1,2\n3,4\n", FL_ERR_FORMAT, "holds only numbers");
    assert_refused("a;b;c\n1;2;3\n", FL_ERR_FORMAT, "commas");
    assert_refused(",a,b\n0,1,2\n", FL_ERR_FORMAT, "index=False");
    assert_refused("a,b,a\n0,1,2\n", FL_ERR_FORMAT, "two columns");
}

TEST(csv_refuses_quotes_out_of_place)
{
    assert_refused("a,b\n1,2\n\"1\"x,2\n", FL_ERR_FORMAT, "line 3: a quote");
    assert_refused("a,b\n1,\"2\n3,4\n", FL_ERR_FORMAT, "a quote");
}

TEST(csv_refuses_a_value_without_end)
{
    enum { LONG = 3 << 20 };
    char *text = malloc(LONG + 1);
    assert_non_null(text);
    memset(text, 'x', LONG);
    memcpy(text, "a,b\n1,\"", 7);
    text[LONG] = '\0';
    assert_refused(text, FL_ERR_LIMIT, "line 2: a value of more than 1048576");
    free(text);
}

TEST(csv_refuses_columns_that_do_not_exist_and_lists_those_that_do)
{
    fl_dataset *dataset = NULL;
    fl_reason why;
    const char *text = "a,g,y\n1,2,3\n";
    assert_err(open_text(&dataset, text, "z", NULL, &why), FL_ERR_RANGE);
    assert_reason_names(why, "no column 'z'; line 1 names a, g, y");
    assert_err(open_text(&dataset, text, NULL, "z", &why), FL_ERR_RANGE);
    assert_reason_names(why, "no column 'z'");
    assert_err(open_text(&dataset, text, "g", "g", &why), FL_ERR_RANGE);
    assert_reason_names(why, "both");
    assert_err(open_text(&dataset, "g,y\n1,2\n", NULL, "g", &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "no column of numbers");
}

TEST(csv_refuses_zero_bytes)
{
    data_files files;
    data_files_init(&files);
    const char bytes[] = "a,y\n1,k\0x\n";
    const fl_data_options options = {
        .spec = data_files_put(&files, "t.csv", bytes, sizeof bytes - 1)};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "zero byte");
    data_files_fini(&files);
}

// Opens TRAIN and TEST of two texts.
static void open_two(fl_dataset *parts[2], const char *train, const char *test)
{
    data_files files;
    char train_path[DATA_PATH_CAP];
    data_files_init(&files);
    snprintf(train_path, sizeof train_path, "%s",
             data_files_put_text(&files, "train.csv", train));
    const fl_data_options options = {
        .spec = train_path,
        .test_spec = data_files_put_text(&files, "test.csv", test)};
    assert_ok(fl_dataset_open(&parts[0], FL_DATA_TRAIN, &options, NULL));
    assert_ok(fl_dataset_open(&parts[1], FL_DATA_TEST, &options, NULL));
    data_files_fini(&files);
}

TEST(csv_numbers_classes_alike_in_training_and_test_files)
{
    fl_dataset *parts[2];
    open_two(parts, "x,y\n1,dog\n2,ant\n", "x,y\n1,dog\n2,cow\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fl_dataset_class_count(parts[i]), 3);
        assert_string_equal(fl_dataset_class_name(parts[i], 1), "cow");
        assert_int_equal(fl_dataset_labels(parts[i])[0], 2);
        fl_dataset_free(parts[i]);
    }
    // one name among the test labels makes names of all
    open_two(parts, "x,y\n1,10\n2,9\n", "x,y\n1,9\n2,none\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fl_dataset_class_count(parts[i]), 3);
        assert_string_equal(fl_dataset_class_name(parts[i], 0), "10");
        fl_dataset_free(parts[i]);
    }
    open_two(parts, "x,y\n1,1\n", "x,y\n1,9\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fl_dataset_class_count(parts[i]), 10);
        fl_dataset_free(parts[i]);
    }
}

TEST(csv_refuses_training_and_test_files_of_other_columns)
{
    data_files files;
    char train_path[DATA_PATH_CAP];
    data_files_init(&files);
    snprintf(train_path, sizeof train_path, "%s",
             data_files_put_text(&files, "train.csv", "a,b,y\n1,2,0\n"));
    const fl_data_options options = {
        .spec = train_path,
        .test_spec = data_files_put_text(&files, "t.csv", "b,a,y\n1,2,0\n")};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "feature column 1: 'a' and 'b'");
    data_files_fini(&files);
}

TEST(csv_refuses_numbers_on_one_side_and_names_on_the_other)
{
    data_files files;
    char train_path[DATA_PATH_CAP], spec[4 * DATA_PATH_CAP];
    data_files_init(&files);
    snprintf(train_path, sizeof train_path, "%s",
             data_files_put_text(&files, "train.csv", "a,y\n1,cat\n"));
    const uint8_t values[] = {0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 1, 9};
    const uint8_t labels[] = {0, 0, 8, 1, 0, 0, 0, 1, 0};
    data_files_put(&files, "i", values, sizeof values);
    data_files_put(&files, "l", labels, sizeof labels);
    data_files_spec(spec, &files, "idx", "i", "l");
    const fl_data_options options = {.spec = train_path, .test_spec = spec};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "numbers");
    data_files_fini(&files);
}

RUN_TESTS(
    cmocka_unit_test(
        csv_takes_the_column_called_label_and_leaves_the_rest_as_numbers),
    cmocka_unit_test(csv_takes_the_last_column_when_none_is_called_label),
    cmocka_unit_test(csv_numbers_text_labels_in_sorted_order),
    cmocka_unit_test(csv_takes_numbers_too_large_for_classes_as_names),
    cmocka_unit_test(csv_numbers_groups_in_sorted_order),
    cmocka_unit_test(
        csv_understands_quotes_crlf_blank_lines_and_a_byte_order_mark),
    cmocka_unit_test(csv_reads_many_rows),
    cmocka_unit_test(csv_names_file_line_column_and_value_of_what_is_no_number),
    cmocka_unit_test(csv_refuses_an_empty_label_or_group),
    cmocka_unit_test(csv_refuses_rows_of_another_width),
    cmocka_unit_test(csv_refuses_a_file_without_rows_or_header),
    cmocka_unit_test(csv_refuses_quotes_out_of_place),
    cmocka_unit_test(csv_refuses_a_value_without_end),
    cmocka_unit_test(
        csv_refuses_columns_that_do_not_exist_and_lists_those_that_do),
    cmocka_unit_test(csv_refuses_zero_bytes),
    cmocka_unit_test(csv_numbers_classes_alike_in_training_and_test_files),
    cmocka_unit_test(csv_refuses_training_and_test_files_of_other_columns),
    cmocka_unit_test(csv_refuses_numbers_on_one_side_and_names_on_the_other))
