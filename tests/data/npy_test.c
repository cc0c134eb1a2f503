/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { FILE_CAP = 512 };

// The bytes of a .npy file, with the header's text as given.
static size_t npy_bytes(uint8_t dst[FILE_CAP], unsigned major, const char *text,
                        const void *numbers, size_t len)
{
    const size_t text_len = strlen(text), prefix_len = major == 1 ? 10 : 12;
    memcpy(dst, "\x93NUMPY", 6);
    dst[6] = (uint8_t)major;
    dst[7] = 0;
    memset(dst + 8, 0, 4);
    dst[8] = (uint8_t)text_len;
    dst[9] = (uint8_t)(text_len >> 8);
    memcpy(dst + prefix_len, text, text_len);
    memcpy(dst + prefix_len + text_len, numbers, len);
    return prefix_len + text_len + len;
}

static void put_npy(data_files *files, const char *name, const char *descr,
                    const char *shape, const void *numbers, size_t len)
{
    char text[128];
    uint8_t bytes[FILE_CAP];
    snprintf(text, sizeof text,
             "{'descr': '%s', 'fortran_order': False, 'shape': %s, }    \n",
             descr, shape);
    data_files_put(files, name, bytes, npy_bytes(bytes, 1, text, numbers, len));
}

static void put_labels(data_files *files)
{
    const uint8_t labels[16] = {1, 0, 0, 0, 0, 0, 0, 0, 2};
    put_npy(files, "y.npy", "<i8", "(2,)", labels, sizeof labels);
}

static fl_err open_pair(fl_dataset **dataset, const data_files *files,
                        fl_reason *why)
{
    char spec[4 * DATA_PATH_CAP];
    data_files_spec(spec, files, "npy", "x.npy", "y.npy");
    const fl_data_options options = {.spec = spec, .test_spec = spec};
    return fl_dataset_open(dataset, FL_DATA_TRAIN, &options, why);
}

static void assert_refused(const data_files *files, fl_err expected,
                           const char *word)
{
    fl_dataset *dataset = NULL;
    fl_reason why = {""};
    assert_err(open_pair(&dataset, files, &why), expected);
    assert_null(dataset);
    assert_reason_names(why, word);
}

// Two rows of one number each, in every type.
TEST(npy_reads_every_dtype)
{
    static const struct {
        const char *descr;
        uint8_t bytes[16];
        size_t len;
        float first, second;
    } cases[] = {
        {"|u1", {255, 51}, 2, 1.0F, 51.0F * (1.0F / 255.0F)},
        {"|i1", {0xff, 2}, 2, -1.0F, 2.0F},
        {"<i1", {0x80, 2}, 2, -128.0F, 2.0F},
        {"<i2", {0xfe, 0xff, 1, 2}, 4, -2.0F, 513.0F},
        {"<u2", {0xfe, 0xff, 1, 2}, 4, 65534.0F, 513.0F},
        {"<i4", {0xfd, 0xff, 0xff, 0xff, 0, 0, 1}, 8, -3.0F, 65536.0F},
        {"<i8",
         {0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 5},
         16,
         -4.0F,
         5.0F},
        {"<f4", {0, 0, 0x20, 0xc0, 0, 0, 0x80, 0x3f}, 8, -2.5F, 1.0F},
        {"<f8",
         {0, 0, 0, 0, 0, 0, 0x04, 0xc0, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f},
         16,
         -2.5F,
         1.0F},
    };
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_npy(&files, "x.npy", cases[i].descr, "(2, 1)", cases[i].bytes,
                cases[i].len);
        fl_dataset *dataset = NULL;
        float x[2];
        assert_ok(open_pair(&dataset, &files, NULL));
        fl_dataset_read(x, dataset, (uint32_t[]){0, 1}, 2);
        assert_true(x[0] == cases[i].first && x[1] == cases[i].second);
        assert_int_equal(fl_dataset_labels(dataset)[1], 2);
        fl_dataset_free(dataset);
    }
    data_files_fini(&files);
}

TEST(npy_gives_rows_the_shape_of_the_array)
{
    static const struct {
        const char *text;
        fl_shape shape;
    } cases[] = {{"(2, 6)", {1, 1, 6}},
                 {"(2, 3, 2)", {3, 2, 1}},
                 {"(2,1,2,3)", {1, 2, 3}},
                 {"( 2 , 1 , 2 , 3 , )", {1, 2, 3}}};
    const uint8_t numbers[12] = {0};
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_npy(&files, "x.npy", "|u1", cases[i].text, numbers, sizeof numbers);
        fl_dataset *dataset = NULL;
        assert_ok(open_pair(&dataset, &files, NULL));
        const fl_shape shape = fl_dataset_shape(dataset);
        assert_memory_equal(&shape, &cases[i].shape, sizeof shape);
        fl_dataset_free(dataset);
    }
    data_files_fini(&files);
}

TEST(npy_reads_versions_2_and_3_and_any_order_of_entries)
{
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (unsigned major = 2; major <= 3; major++) {
        uint8_t bytes[FILE_CAP];
        const size_t len = npy_bytes(
            bytes, major,
            "{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"|u1\"}", "ab",
            2);
        data_files_put(&files, "x.npy", bytes, len);
        fl_dataset *dataset = NULL;
        assert_ok(open_pair(&dataset, &files, NULL));
        fl_dataset_free(dataset);
    }
    data_files_fini(&files);
}

TEST(npy_refuses_what_it_cannot_read_and_says_what_to_save)
{
    static const struct {
        const char *descr, *shape, *word;
    } cases[] = {
        {">f4", "(2, 1)", "a.astype('<f4')"},
        {"|b1", "(2, 1)", "dtype '|b1'"},
        {"|O", "(2, 1)", "dtype '|O'"},
        {"<f2", "(2, 1)", "dtype '<f2'"},
        {"|u1", "(2, 1, 1, 1, 1)", "more than 4 dimensions"},
        {"|u1", "()", "single number"},
        {"|u1", "(2,)", "one dimension"},
        {"|u1", "(0, 1)", "has no rows"},
        {"|u1", "(2, 0)", "is 0"},
        {"|u1", "(3, 1)", "announces 3 rows, 3 bytes"},
        {"|u1", "(1, 1)", "goes on"},
        {"|u1", "(2 1)", "expected , or )"},
        {"|u1", "(-2, 1)", "expected a size"},
        {"|u1", "2", "expected ("},
        {"0123456789abcdef", "(2, 1)", "short string"},
    };
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_npy(&files, "x.npy", cases[i].descr, cases[i].shape, "ab", 2);
        assert_refused(&files, FL_ERR_FORMAT, cases[i].word);
    }
    put_npy(&files, "x.npy", "|u1", "(99999999999999999999999, 1)", "ab", 2);
    assert_refused(&files, FL_ERR_LIMIT, "rows, at most");
    put_npy(&files, "x.npy", "<f8", "(2, 4194305)", "ab", 2);
    assert_refused(&files, FL_ERR_LIMIT, "values in a row");
    data_files_fini(&files);
}

TEST(npy_refuses_headers_that_are_no_such_dictionary)
{
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 1)}",
         "numpy.ascontiguousarray(a)"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}",
         "named fields"},
        {"{'descr': '|u1', 'shape': (2, 1)}", "descr, fortran_order and shape"},
        {"{'descr': '|u1', 'fortran_order': None, 'shape': (2, 1)}",
         "expected False"},
        {"{'descr': '|u1', 'colour': 1}", "expected descr"},
        {"{'descr' '|u1'}", "expected :"},
        {"{'descr': '|u1' 'shape': (2, 1)}", "expected , or }"},
        {"{'descr': |u1}", "a string"},
        {"", "expected {"},
        {"{", "a string"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (2, 1)} x",
         "nothing more"},
    };
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[FILE_CAP];
        data_files_put(&files, "x.npy", bytes,
                       npy_bytes(bytes, 1, cases[i].text, "ab", 2));
        assert_refused(&files, FL_ERR_FORMAT, cases[i].word);
    }
    data_files_fini(&files);
}

TEST(npy_refuses_what_does_not_begin_like_npy)
{
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    uint8_t bytes[FILE_CAP];
    const size_t len = npy_bytes(bytes, 1, "{}", "", 0);
    bytes[6] = 4;
    data_files_put(&files, "x.npy", bytes, len);
    assert_refused(&files, FL_ERR_FORMAT, "version 4.0");
    bytes[6] = 1;
    bytes[9] = 0x80;
    data_files_put(&files, "x.npy", bytes, len);
    assert_refused(&files, FL_ERR_FORMAT, "a header of 32770 bytes");
    data_files_put_text(&files, "x.npy", "PK\3\4 an archive");
    assert_refused(&files, FL_ERR_FORMAT, "npz");
    data_files_put_text(&files, "x.npy", "\x93NUM");
    assert_refused(&files, FL_ERR_FORMAT, "ends at byte 4");
    data_files_put(&files, "x.npy", bytes,
                   npy_bytes(bytes, 1, "{'descr'", "\0\0", 2) - 2);
    bytes[8] += 2;
    data_files_put(&files, "x.npy", bytes, 20);
    assert_refused(&files, FL_ERR_FORMAT, "zero bytes");
    data_files_fini(&files);
}

TEST(npy_refuses_nan_infinity_and_what_float_cannot_hold)
{
    static const uint8_t wrong[][8] = {
        {0, 0, 0, 0, 0, 0, 0xf8, 0x7f},  // NaN
        {0, 0, 0, 0, 0, 0, 0xf0, 0xff},  // -infinity
        {0, 0, 0, 0, 0, 0, 0x00, 0x7f},  // 5e303
    };
    data_files files;
    data_files_init(&files);
    put_labels(&files);
    for (size_t i = 0; i < 3; i++) {
        uint8_t numbers[32] = {0};
        memcpy(numbers + 24, wrong[i], 8);
        put_npy(&files, "x.npy", "<f8", "(2, 2)", numbers, sizeof numbers);
        assert_refused(&files, FL_ERR_FORMAT, "row 1, value 1");
    }
    data_files_fini(&files);
}

TEST(npy_refuses_labels_that_are_no_integers)
{
    data_files files;
    data_files_init(&files);
    const uint8_t numbers[8] = {0};
    put_npy(&files, "x.npy", "|u1", "(2, 1)", "ab", 2);
    put_npy(&files, "y.npy", "<f4", "(2,)", numbers, 8);
    assert_refused(&files, FL_ERR_FORMAT, "integers");
    data_files_fini(&files);
}

TEST(npy_needs_two_files)
{
    const fl_data_options options = {.spec = "npy:x.npy"};
    fl_dataset *dataset = NULL;
    fl_reason why;
    assert_err(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why),
               FL_ERR_RANGE);
    assert_reason_names(why, "npy:VALUES,LABELS");
}

RUN_TESTS(
    cmocka_unit_test(npy_reads_every_dtype),
    cmocka_unit_test(npy_gives_rows_the_shape_of_the_array),
    cmocka_unit_test(npy_reads_versions_2_and_3_and_any_order_of_entries),
    cmocka_unit_test(npy_refuses_what_it_cannot_read_and_says_what_to_save),
    cmocka_unit_test(npy_refuses_headers_that_are_no_such_dictionary),
    cmocka_unit_test(npy_refuses_what_does_not_begin_like_npy),
    cmocka_unit_test(npy_refuses_nan_infinity_and_what_float_cannot_hold),
    cmocka_unit_test(npy_refuses_labels_that_are_no_integers),
    cmocka_unit_test(npy_needs_two_files))
