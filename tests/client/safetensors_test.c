/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/safetensors.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "tests/test.h"

static fl_safetensors file;
static fl_reason why;

static fl_err decode(const char *header, size_t data_len)
{
    static uint8_t bytes[4096];
    const size_t header_len = strlen(header);
    fl_safetensors_fini(&file);
    assert_true(8 + header_len + data_len <= sizeof bytes);
    fl_bytes_put_u32(bytes, (uint32_t)header_len);
    fl_bytes_put_u32(bytes + 4, 0);
    memcpy(bytes + 8, header, header_len);
    return fl_safetensors_decode(&file, bytes, 8 + header_len + data_len, &why);
}

TEST(safetensors_are_read_back_as_they_were_written)
{
    fl_safetensor tensors[] = {
        {.name = "labels",
         .type = FL_SAFETENSORS_I64,
         .dims = {3},
         .dim_count = 1},
        {.name = "a\"b\\c",
         .type = FL_SAFETENSORS_F32,
         .dims = {2, 1, 5},
         .dim_count = 3},
        {.name = "scalar", .type = FL_SAFETENSORS_BF16},
        {.name = "none",
         .type = FL_SAFETENSORS_U8,
         .dims = {0, 7},
         .dim_count = 2},
    };
    uint8_t *bytes = NULL;
    size_t len;
    assert_ok(fl_safetensors_encode(&bytes, &len, tensors, 4, &why));
    assert_int_equal(len % 8, 0);
    const size_t data_len = 24 + 40 + 2;
    bytes = realloc(bytes, len + data_len);
    assert_non_null(bytes);
    memset(bytes + len, 7, data_len);
    assert_ok(fl_safetensors_decode(&file, bytes, len + data_len, &why));
    assert_int_equal(file.count, 4);
    for (size_t i = 0; i < 4; i++) {
        const fl_safetensor *found =
            fl_safetensors_find(&file, tensors[i].name);
        assert_non_null(found);
        assert_memory_equal(found, &tensors[i], sizeof *found);
    }
    assert_null(fl_safetensors_find(&file, "other"));
    assert_ptr_equal(file.data, bytes + len);
    fl_safetensors_fini(&file);
    free(bytes);
}

TEST(safetensors_with_metadata_and_blanks_are_read)
{
    assert_ok(decode("{\"__metadata__\":{\"format\":\"pt\"},\"w\":{\"dtype\":"
                     "\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}   ",
                     4));
    assert_int_equal(file.count, 1);
    assert_int_equal(file.tensors[0].len, 4);
    assert_ok(decode("{}", 0));
    assert_int_equal(file.count, 0);
    fl_safetensors_fini(&file);
}

TEST(safetensors_of_any_order_are_sorted_by_place)
{
    assert_ok(decode("{\"b\":{\"dtype\":\"U8\",\"shape\":[2],"
                     "\"data_offsets\":[3,5]},\"a\":{\"dtype\":\"U8\","
                     "\"shape\":[3],\"data_offsets\":[0,3]}}",
                     5));
    assert_string_equal(file.tensors[0].name, "a");
    fl_safetensors_fini(&file);
}

#define ONE(text) "{\"w\":{" text "}}"
#define TYPE      "\"dtype\":\"F32\","

TEST(safetensors_that_are_broken_are_refused)
{
    static const struct {
        const char *header;
        size_t data_len;
        fl_err err;
        const char *word;
    } cases[] = {
        {"", 0, FL_ERR_FORMAT, "not a JSON object"},
        {"[]", 0, FL_ERR_FORMAT, "not a JSON object"},
        {"{\"w\":1}", 0, FL_ERR_FORMAT, "no dtype"},
        {ONE("\"dtype\":4"), 0, FL_ERR_FORMAT, "no dtype"},
        {ONE("\"dtype\":\"F31\""), 0, FL_ERR_UNSUPPORTED, "dtype F31"},
        {ONE(TYPE "\"shape\":4"), 4, FL_ERR_FORMAT, "no shape"},
        {ONE(TYPE "\"shape\":[-1]"), 4, FL_ERR_FORMAT, "no shape"},
        {ONE(TYPE "\"shape\":[1.5]"), 4, FL_ERR_FORMAT, "no shape"},
        {ONE(TYPE "\"shape\":[1,1,1,1,1,1,1,1,1]"), 4, FL_ERR_FORMAT,
         "no shape"},
        {ONE(TYPE "\"shape\":[1]"), 4, FL_ERR_FORMAT, "data_offsets"},
        {ONE(TYPE "\"shape\":[1],\"data_offsets\":[0]"), 4, FL_ERR_FORMAT,
         "data_offsets"},
        {ONE(TYPE "\"shape\":[1],\"data_offsets\":[4,0]"), 4, FL_ERR_FORMAT,
         "data_offsets"},
        {ONE(TYPE "\"shape\":[2],\"data_offsets\":[0,8]"), 4, FL_ERR_FORMAT,
         "ends at byte 8"},
        {ONE(TYPE "\"shape\":[2],\"data_offsets\":[0,4]"), 4, FL_ERR_FORMAT,
         "do not take"},
        {ONE(TYPE "\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]"),
         0, FL_ERR_FORMAT, "do not take"},
        {ONE(TYPE "\"shape\":[1],\"data_offsets\":[4,8]"), 8, FL_ERR_FORMAT,
         "begins at byte 4"},
        {ONE(TYPE "\"shape\":[1],\"data_offsets\":[0,4]"), 5, FL_ERR_FORMAT,
         "end at byte 4"},
        {"{\"a\":{" TYPE "\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{" TYPE
         "\"shape\":[1],\"data_offsets\":[0,4]}}",
         4, FL_ERR_FORMAT, "begins at byte 0"},
        {"{\"a\":{" TYPE "\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{" TYPE
         "\"shape\":[1],\"data_offsets\":[4,8]}}",
         8, FL_ERR_FORMAT, "not a JSON object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_err(decode(cases[i].header, cases[i].data_len), cases[i].err);
        assert_reason_names(why, cases[i].word);
        assert_null(file.tensors);
    }
}

TEST(safetensors_that_are_cut_or_too_long_are_refused)
{
    uint8_t bytes[16] = {0};
    assert_err(fl_safetensors_decode(&file, bytes, 7, &why), FL_ERR_FORMAT);
    bytes[0] = 9;
    assert_err(fl_safetensors_decode(&file, bytes, 16, &why), FL_ERR_FORMAT);
    assert_reason_names(why, "the header has 9 bytes, the file 16");
    memset(bytes, 0xff, 8);
    assert_err(fl_safetensors_decode(&file, bytes, 16, &why), FL_ERR_LIMIT);
    char name[FL_SAFETENSORS_NAME_CAP + 32];
    snprintf(name, sizeof name, "{\"%0*d\":{}}", FL_SAFETENSORS_NAME_CAP, 1);
    assert_err(decode(name, 0), FL_ERR_LIMIT);
}

TEST(safetensors_beyond_the_maxima_are_not_written)
{
    enum { COUNT = 20000 };
    uint8_t *bytes = NULL;
    size_t len;
    fl_safetensor *tensors = calloc(COUNT, sizeof *tensors);
    assert_non_null(tensors);
    for (size_t i = 0; i < COUNT; i++)
        snprintf(tensors[i].name, sizeof tensors[i].name, "%090zu", i);
    assert_err(fl_safetensors_encode(&bytes, &len, tensors, COUNT, &why),
               FL_ERR_LIMIT);
    tensors[0] = (fl_safetensor){
        .type = FL_SAFETENSORS_F64, .dims = {UINT64_MAX / 4}, .dim_count = 1};
    assert_err(fl_safetensors_encode(&bytes, &len, tensors, 1, &why),
               FL_ERR_LIMIT);
    free(tensors);
}

RUN_TESTS(cmocka_unit_test(safetensors_are_read_back_as_they_were_written),
          cmocka_unit_test(safetensors_with_metadata_and_blanks_are_read),
          cmocka_unit_test(safetensors_of_any_order_are_sorted_by_place),
          cmocka_unit_test(safetensors_that_are_broken_are_refused),
          cmocka_unit_test(safetensors_that_are_cut_or_too_long_are_refused),
          cmocka_unit_test(safetensors_beyond_the_maxima_are_not_written))
