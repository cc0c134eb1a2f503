/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>

#include <jansson.h>

#include "tests/test.h"

// Takes the object.
static void assert_json(fl_json *object, const char *expected)
{
    char *text = NULL;
    assert_ok(fl_json_text(&text, object));
    assert_string_equal(text, expected);
    free(text);
    fl_json_free(object);
}

TEST(json_keeps_the_order_of_keys)
{
    fl_json *object = fl_json_new();
    fl_json_text_set(object, "z", "last letter");
    fl_json_count_set(object, "a", 12);
    fl_json_number_set(object, "m", -7.5);
    fl_json_bool_set(object, "yes", true);
    fl_json_text_set(object, "none", NULL);
    assert_json(object, "{\"z\":\"last letter\",\"a\":12,\"m\":-7.5,"
                        "\"yes\":true,\"none\":null}");
}

TEST(json_is_an_empty_object_at_first)
{
    assert_json(fl_json_new(), "{}");
}

TEST(json_writes_short_numbers)
{
    fl_json *object = fl_json_new();
    fl_json_number_set(object, "a", 0.1);
    fl_json_number_set(object, "b", 3);
    fl_json_number_set(object, "c", -1e-9);
    assert_json(object, "{\"a\":0.1,\"b\":3.0,\"c\":-1e-9}");
}

TEST(json_writes_null_for_what_is_no_number)
{
    fl_json *object = fl_json_new();
    fl_json_number_set(object, "nan", (double)NAN);
    fl_json_number_set(object, "inf", -(double)INFINITY);
    fl_json_text_set(object, "text", NULL);
    assert_json(object, "{\"nan\":null,\"inf\":null,\"text\":null}");
}

TEST(json_writes_large_counts)
{
    fl_json *object = fl_json_new();
    fl_json_count_set(object, "exact", INT64_MAX);
    fl_json_count_set(object, "rounded", UINT64_C(1) << 63);
    assert_json(object, "{\"exact\":9223372036854775807,"
                        "\"rounded\":9.22337203685478e18}");
}

TEST(json_stays_on_one_line)
{
    fl_json *object = fl_json_new();
    fl_json_text_set(object, "a", "x\n\"\\\t\x01");
    assert_json(object, "{\"a\":\"x\\n\\\"\\\\\\t\\u0001\"}");
}

TEST(json_replaces_what_is_not_utf8)
{
    fl_json *object = fl_json_new();
    fl_json_text_set(object, "good",
                     "K\xc3\xbc"
                     "che");
    fl_json_text_set(object, "bad",
                     "K\xfc"
                     "che");
    assert_json(object, "{\"good\":\"K\xc3\xbc"
                        "che\",\"bad\":\"K?che\"}");
}

TEST(json_replaces_a_value_set_again)
{
    fl_json *object = fl_json_new();
    fl_json_count_set(object, "a", 1);
    fl_json_count_set(object, "b", 2);
    fl_json_text_set(object, "a", "new");
    assert_json(object, "{\"a\":\"new\",\"b\":2}");
}

TEST(json_makes_arrays_of_numbers)
{
    fl_json *object = fl_json_new();
    for (uint64_t i = 3; i < 6; i++)
        fl_json_count_add(object, "cohort", i);
    fl_json_count_add(NULL, "cohort", 7);
    assert_json(object, "{\"cohort\":[3,4,5]}");
}

TEST(json_adds_counts_of_any_size_to_an_array)
{
    fl_json *object = fl_json_new();
    fl_json_count_add(object, "bytes", INT64_MAX);
    fl_json_count_add(object, "bytes", UINT64_C(1) << 63);
    fl_json_count_add(object, "rows", 0);
    assert_json(object, "{\"bytes\":[9223372036854775807,"
                        "9.22337203685478e18],\"rows\":[0]}");
}

static fl_json *read_json(const char *text)
{
    fl_json *object = NULL;
    assert_ok(fl_json_read(&object, text));
    return object;
}

TEST(json_reads_what_it_wrote)
{
    const char *const texts[] = {
        "{}",
        "{\"z\":\"\\n\\\"K\xc3\xbc\",\"a\":9223372036854775807,"
        "\"n\":null,\"t\":true,\"x\":0.1,\"list\":[1,{\"in\":-7}]}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_json(read_json(texts[i]), texts[i]);
}

TEST(json_changes_what_it_read)
{
    fl_json *object = read_json(" {\"a\": 1, \"b\": 2}\n");
    fl_json_text_set(object, "a", "new");
    fl_json_bool_set(object, "c", false);
    assert_json(object, "{\"a\":\"new\",\"b\":2,\"c\":false}");
}

TEST(json_refuses_what_is_not_one_object)
{
    const char *const damaged[] = {
        "",
        "{",
        "{\"a\":1",
        "{\"a\":1}}",
        "{\"a\":1,}",
        "[]",
        "12",
        "\"text\"",
        "null",
        "{\"a\":NaN}",
        "{} {}",
        "{'a':1}",
        "{\"\xff\":1}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1e999}",
    };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        fl_json *object = NULL;
        assert_err(fl_json_read(&object, damaged[i]), FL_ERR_FORMAT);
        assert_null(object);
    }
}

TEST(json_refuses_nesting_without_end)
{
    enum { DEEP = 100000 };
    static char text[5 * DEEP + 1];
    for (size_t i = 0; i < DEEP; i++)
        memcpy(text + 5 * i, "{\"a\":", 5);
    fl_json *object = NULL;
    assert_err(fl_json_read(&object, text), FL_ERR_FORMAT);
}

TEST(json_prints_a_line_a_key_for_a_person)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    fl_json *object =
        read_json("{\"activity\":\"not running\",\"round\":12,\"on\":false,"
                  "\"loss\":null,\"rows\":[1,2]}");
    fl_json_print(out, object);
    fl_json_free(object);
    fclose(out);
    assert_string_equal(text, "activity         not running\n"
                              "round            12\n"
                              "on               false\n"
                              "loss             null\n"
                              "rows             [1,2]\n");
    free(text);
}

TEST(json_accepts_null_and_reports_it_at_the_end)
{
    char *text = NULL;
    fl_json_free(NULL);
    fl_json_count_set(NULL, "a", 1);
    fl_json_count_add(NULL, "a", 1);
    assert_err(fl_json_text(&text, NULL), FL_ERR_MEMORY);
}

static int allocations_left;

static void *allocate_a_few(size_t len)
{
    return allocations_left-- > 0 ? malloc(len) : NULL;
}

static fl_err build_with(int allocations)
{
    char *text = NULL;
    allocations_left = allocations;
    fl_json *object = fl_json_new();
    fl_json_text_set(object, "text", "some\xff text");
    fl_json_count_add(object, "items", 7);
    fl_json_number_set(object, "number", 1.5);
    const fl_err err = fl_json_text(&text, object);
    free(text);
    fl_json_free(object);
    return err;
}

TEST(json_puts_an_object_into_another)
{
    char *text = NULL;
    fl_json *outer = fl_json_new(), *inner = fl_json_new();
    fl_json_count_set(inner, "a", 1);
    fl_json_object_set(outer, "in", inner);
    assert_ok(fl_json_text(&text, outer));
    assert_string_equal(text, "{\"in\":{\"a\":1}}");
    free(text);
    fl_json_object_set(outer, "missing", NULL);  // its memory was out
    assert_err(fl_json_text(&text, outer), FL_ERR_MEMORY);
    fl_json_free(outer);
}

TEST(json_remembers_that_memory_was_out)
{
    json_set_alloc_funcs(allocate_a_few, free);
    int needed = 0;
    while (needed < 1000 && build_with(needed) == FL_ERR_MEMORY)
        needed++;
    json_set_alloc_funcs(malloc, free);
    assert_in_range(needed, 5, 999);
}

TEST(json_gives_back_what_is_in_it)
{
    fl_json *object = NULL;
    const char *text = "unchanged";
    uint64_t count = 7, counts[3];
    size_t length = 9;
    double number = 7;
    static const char LINE[] =
        "{\"t\":\"x\",\"c\":12,\"n\":0.5,\"minus\":-1,\"a\":[1,2],"
        "\"bad\":[1,\"x\"],\"none\":[],\"long\":[1,2,3,4]}";
    assert_ok(fl_json_decode(&object, LINE, sizeof LINE - 1));
    assert_true(fl_json_text_get(&text, object, "t"));
    assert_string_equal(text, "x");
    assert_false(fl_json_text_get(&text, object, "c"));
    assert_false(fl_json_text_get(&text, object, "missing"));
    assert_true(fl_json_count_get(&count, object, "c"));
    assert_int_equal(count, 12);
    assert_false(fl_json_count_get(&count, object, "n"));
    assert_false(fl_json_count_get(&count, object, "minus"));
    assert_int_equal(count, 12);
    assert_true(fl_json_number_get(&number, object, "n"));
    assert_true(number >= 0.5 && number <= 0.5);
    assert_true(fl_json_number_get(&number, object, "c"));
    assert_false(fl_json_number_get(&number, object, "t"));
    assert_true(fl_json_counts_get(counts, &length, 3, object, "a"));
    assert_int_equal(length, 2);
    assert_int_equal(counts[1], 2);
    assert_true(fl_json_counts_get(counts, &length, 3, object, "none"));
    assert_int_equal(length, 0);
    assert_false(fl_json_counts_get(counts, &length, 3, object, "bad"));
    assert_false(fl_json_counts_get(counts, &length, 3, object, "long"));
    assert_false(fl_json_counts_get(counts, &length, 3, object, "t"));
    fl_json_free(object);
    // All of the bytes, also behind a byte 0.
    assert_err(fl_json_decode(&object, "{}\0x", 4), FL_ERR_FORMAT);
    assert_err(fl_json_decode(&object, "", 0), FL_ERR_FORMAT);
}

static fl_err take_item(void *self, const char *key, const fl_json *item)
{
    unsigned *seen = self;
    uint64_t count = 0;
    (*seen)++;
    if (strcmp(key, "stop") == 0) return FL_ERR_STATE;
    assert_int_equal(item != NULL, strcmp(key, "object") == 0);
    if (item) assert_true(fl_json_count_get(&count, item, "c"));
    return FL_OK;
}

TEST(json_goes_through_its_keys)
{
    fl_json *object = NULL;
    unsigned seen = 0;
    assert_ok(fl_json_read(&object, "{\"a\":1,\"object\":{\"c\":3}}"));
    assert_ok(fl_json_each(object, take_item, &seen));
    assert_int_equal(seen, 2);
    fl_json_free(object);
    assert_ok(fl_json_read(&object, "{\"stop\":1,\"a\":2}"));
    seen = 0;
    assert_err(fl_json_each(object, take_item, &seen), FL_ERR_STATE);
    assert_int_equal(seen, 1);
    fl_json_free(object);
}

TEST(json_has_arrays_of_counts)
{
    char *text = NULL;
    fl_json *object = fl_json_new();
    fl_json_counts_set(object, "none", NULL, 0);
    fl_json_counts_set(object, "two", (uint64_t[]){3, 4}, 2);
    assert_ok(fl_json_text(&text, object));
    assert_string_equal(text, "{\"none\":[],\"two\":[3,4]}");
    free(text);
    fl_json_free(object);
}

RUN_TESTS(cmocka_unit_test(json_keeps_the_order_of_keys),
          cmocka_unit_test(json_is_an_empty_object_at_first),
          cmocka_unit_test(json_writes_short_numbers),
          cmocka_unit_test(json_writes_null_for_what_is_no_number),
          cmocka_unit_test(json_writes_large_counts),
          cmocka_unit_test(json_stays_on_one_line),
          cmocka_unit_test(json_replaces_what_is_not_utf8),
          cmocka_unit_test(json_replaces_a_value_set_again),
          cmocka_unit_test(json_makes_arrays_of_numbers),
          cmocka_unit_test(json_adds_counts_of_any_size_to_an_array),
          cmocka_unit_test(json_reads_what_it_wrote),
          cmocka_unit_test(json_changes_what_it_read),
          cmocka_unit_test(json_refuses_what_is_not_one_object),
          cmocka_unit_test(json_refuses_nesting_without_end),
          cmocka_unit_test(json_prints_a_line_a_key_for_a_person),
          cmocka_unit_test(json_accepts_null_and_reports_it_at_the_end),
          cmocka_unit_test(json_puts_an_object_into_another),
          cmocka_unit_test(json_remembers_that_memory_was_out),
          cmocka_unit_test(json_gives_back_what_is_in_it),
          cmocka_unit_test(json_goes_through_its_keys),
          cmocka_unit_test(json_has_arrays_of_counts))
