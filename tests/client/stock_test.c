/*
 * The rows of a client: a slice of a dataset, or its own while they grow.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "client/feed/stock.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "client/rows.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { HOLDOUT = 5, TEXT_CAP = 8000, NUMBERS = 200 };

static data_files files;
static char folder[DATA_PATH_CAP], table[DATA_PATH_CAP];
static fl_service_options options;
static fl_stock stock;
static fl_skips skips;
static fl_reason why;

static int set_up(void **state)
{
    (void)state;
    fl_log_start(FL_LOG_ERROR, NULL, NULL);
    data_files_init(&files);
    strcpy(folder, data_files_put_folder(&files, "state"));
    assert_true(snprintf(table, sizeof table, "%.200s/t.csv", files.root) > 0);
    options = (fl_service_options){
        .state = folder, .own_data = table, .rules = fl_rules_defaults()};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_stock_fini(&stock);
    fl_skips_fini(&skips);
    data_files_fini(&files);
    return 0;
}

// A row a number, from the last to the first: new ones come in front.
static void put_numbers(uint32_t first, uint32_t last, const char *label)
{
    char text[TEXT_CAP];
    int len = sprintf(text, "a,label\n");
    for (uint32_t i = last + 1; i-- > first;)
        len += sprintf(text + len, "%u,%s%u\n", i, label, i % 2);
    data_files_put_text(&files, "t.csv", text);
}

static fl_err load(void)
{
    fl_stock_fini(&stock);
    fl_skips_fini(&skips);
    return fl_stock_load_own(&stock, &options, 99, &skips, NULL, &why);
}

static uint32_t number_of(const fl_stock *s, uint32_t row)
{
    float x;
    fl_dataset_read(&x, s->dataset, &row, 1);
    return (uint32_t)x;
}

// Which numbers are on the side asked for.
static uint32_t find_side(bool found[NUMBERS], bool wants_held_out)
{
    uint32_t rows[NUMBERS];
    const fl_own_rows own = {stock.rows, stock.places, stock.row_count};
    memset(found, 0, NUMBERS * sizeof *found);
    const uint32_t count = fl_rows_split(rows, &own, HOLDOUT, wants_held_out);
    for (uint32_t i = 0; i < count; i++)
        found[number_of(&stock, rows[i])] = true;
    return count;
}

// The guard measures on rows that nothing was ever trained on, and no two sums
// differ by a row that has changed sides: rows come in front of others, there
// are too few to hold out at first, and the program starts anew each time.
TEST(stock_holds_the_same_rows_out_while_it_grows)
{
    bool trained_ever[NUMBERS] = {false}, out_before[NUMBERS] = {false};
    bool trained[NUMBERS], out[NUMBERS];
    uint32_t out_count = 0;
    for (uint32_t count = 3; count < NUMBERS; count += 1 + count / 3) {
        put_numbers(0, count - 1, "");
        assert_ok(load());
        assert_int_equal(stock.row_count, count);
        const uint32_t train_count = find_side(trained, false);
        out_count = find_side(out, true);
        for (uint32_t i = 0; i < count; i++) {
            trained_ever[i] = trained_ever[i] || trained[i];
            if (out_count < count) {  // else all are measured
                assert_true(out[i] != trained[i]);
                assert_false(out[i] && trained_ever[i]);
                if (out_before[i]) assert_true(out[i]);
            }
        }
        if (out_count < count) {
            assert_int_equal(train_count + out_count, count);
            memcpy(out_before, out, sizeof out);
        }
    }
    assert_in_range(out_count, 15, 60);
}

TEST(stock_waits_with_fewer_than_four_new_rows)
{
    uint32_t waiting = 9;
    fl_stock before = {.dataset = NULL};
    put_numbers(10, 19, "");
    assert_ok(load());
    assert_ok(fl_stock_hold_back(&stock, &waiting, &before));
    assert_int_equal(waiting, 0);
    before = stock;
    stock = (fl_stock){.dataset = NULL};
    for (uint32_t new_count = 0; new_count <= 5; new_count++) {
        put_numbers(10 - new_count, 19, "");
        assert_ok(load());
        assert_ok(fl_stock_hold_back(&stock, &waiting, &before));
        const bool waits = new_count > 0 && new_count < FL_STOCK_NEW_MIN;
        assert_int_equal(waiting, waits ? new_count : 0);
        assert_int_equal(stock.row_count, waits ? 10 : 10 + new_count);
        for (uint32_t i = 0; waits && i < 10; i++) {
            assert_int_equal(number_of(&stock, i), number_of(&before, i));
            assert_true(stock.places[i] == before.places[i]);
            assert_int_equal(stock.rows[i], i);
        }
    }
    fl_stock_fini(&before);
}

TEST(stock_lets_go_of_rows_at_once)
{
    uint32_t waiting = 9;
    put_numbers(10, 19, "");
    assert_ok(load());
    fl_stock before = stock;
    stock = (fl_stock){.dataset = NULL};
    put_numbers(11, 20, "");  // one is gone, and one is new
    assert_ok(load());
    assert_ok(fl_stock_hold_back(&stock, &waiting, &before));
    assert_int_equal(waiting, 1);
    assert_int_equal(stock.row_count, 9);
    put_numbers(30, 31, "");  // nothing is as it was
    assert_ok(load());
    assert_ok(fl_stock_hold_back(&stock, &waiting, &before));
    assert_int_equal(waiting, 2);
    assert_int_equal(stock.row_count, 0);
    assert_null(stock.dataset);
    assert_int_equal(fl_stock_bytes(&stock), 0);
    fl_stock_fini(&before);
}

// A second row with the same values is a new one.
TEST(stock_counts_equal_rows_one_by_one)
{
    uint32_t waiting = 9;
    data_files_put_text(&files, "t.csv", "a,label\n1,0\n1,0\n2,1\n");
    assert_ok(load());
    fl_stock before = stock;
    stock = (fl_stock){.dataset = NULL};
    data_files_put_text(&files, "t.csv", "a,label\n1,0\n1,0\n2,1\n1,0\n");
    assert_ok(load());
    assert_ok(fl_stock_hold_back(&stock, &waiting, &before));
    assert_int_equal(waiting, 1);
    assert_int_equal(stock.row_count, 3);
    fl_stock_fini(&before);
}

TEST(stock_of_half_the_memory_at_most)
{
    char text[TEXT_CAP];
    int len = sprintf(text, "label");
    for (int i = 0; i < 800; i++)
        len += sprintf(text + len, ",c%d", i);
    sprintf(text + len, "\n");
    FILE *file = fopen(data_files_put_text(&files, "t.csv", text), "a");
    assert_non_null(file);
    for (int row = 0; row < 400; row++) {
        fprintf(file, "%d", row % 2);
        for (int i = 0; i < 800; i++)
            fprintf(file, ",%d", i == 0 ? row : 0);
        fprintf(file, "\n");
    }
    fclose(file);
    options.rules.memory = 1;  // MB; a row takes 3,216 bytes
    assert_ok(load());
    assert_int_equal(stock.record_count, 400);
    assert_in_range(stock.row_count, 78, 155);
    assert_in_range(fl_stock_bytes(&stock), 1, 500000);
    options.rules.memory = 0;
    options.data.sample_count = 30;
    assert_ok(load());
    assert_in_range(stock.row_count, 8, 30);
}

/* ---- classes ---- */

static fl_model *make_model(uint32_t columns, uint32_t classes)
{
    fl_model *model = NULL;
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, columns},
                                               .class_count = classes},
                           NULL));
    return model;
}

static void assert_fits(uint32_t columns, uint32_t classes, fl_err err,
                        const char *word)
{
    fl_model *model = make_model(columns, classes);
    why.text[0] = '\0';
    assert_err(fl_stock_check(&stock, model, &why), err);
    assert_reason_names(why, word);
    fl_model_free(model);
}

TEST(stock_says_which_model_cannot_learn_from_it)
{
    assert_fits(1, 2, FL_ERR_RANGE, "there is no data now");
    put_numbers(0, 9, "");
    assert_ok(load());
    assert_fits(1, 2, FL_OK, "");
    assert_fits(1, 7, FL_OK, "");  // a number is the same class everywhere
    assert_fits(4, 2, FL_ERR_RANGE, "rows are 1x1x1");
    data_files_put_text(&files, "t.csv", "a,label\n1,0\n2,2\n");
    assert_ok(load());
    assert_fits(1, 2, FL_ERR_RANGE, "label 2 here, but the model has 2");
    put_numbers(0, 9, "name");
    assert_ok(load());
    assert_fits(1, 2, FL_OK, "");
    assert_fits(1, 3, FL_ERR_RANGE,
                "2 classes here (name0, ...), the model "
                "has 3; name all of them");
}

TEST(stock_numbers_classes_as_the_option_or_the_state_folder_say)
{
    put_numbers(0, 9, "name");
    assert_ok(load());
    assert_int_equal(fl_dataset_class_count(stock.dataset), 2);
    data_files_put_text(&files, "state/classes", "a\nname1\nname0\n");
    assert_ok(load());
    assert_int_equal(fl_dataset_class_count(stock.dataset), 3);
    assert_int_equal(fl_dataset_labels(stock.dataset)[0], 1);  // name1
    options.classes = "name1,name0";
    assert_ok(load());
    assert_int_equal(fl_dataset_class_count(stock.dataset), 2);
    assert_int_equal(fl_dataset_labels(stock.dataset)[0], 0);
    options.classes = "elephant";
    assert_err(load(), FL_ERR_NOT_FOUND);
}

/* ---- a share ---- */

TEST(stock_of_a_slice_are_the_rows_of_the_partition)
{
    fl_dataset *whole = NULL;
    fl_partition *partition = NULL;
    uint32_t count, found = 0;
    put_numbers(0, 49, "");
    options.own_data = NULL;
    options.data.dataset = table;
    options.data.partition = "dirichlet:0.5:4";
    options.slice = 2;
    const fl_data_options data = fl_data_settings_options(&options.data, 0);
    assert_ok(fl_dataset_open(&whole, FL_DATA_TRAIN, &data, &why));
    assert_ok(
        fl_data_settings_deal(&partition, &options.data, whole, 4, 0, &why));
    assert_ok(fl_stock_load_shared(&stock, &options, &why));
    const uint32_t *rows = fl_partition_rows(partition, 2, &count);
    assert_int_equal(stock.row_count, count);
    assert_null(stock.places);
    for (uint32_t i = 0; i < count; i++) {
        float x;
        fl_dataset_read(&x, whole, &rows[i], 1);
        found += number_of(&stock, i) == (uint32_t)x;
    }
    assert_int_equal(found, count);
    fl_partition_free(partition);
    fl_dataset_free(whole);
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(
    WITH_FILES(stock_holds_the_same_rows_out_while_it_grows),
    WITH_FILES(stock_waits_with_fewer_than_four_new_rows),
    WITH_FILES(stock_lets_go_of_rows_at_once),
    WITH_FILES(stock_counts_equal_rows_one_by_one),
    WITH_FILES(stock_of_half_the_memory_at_most),
    WITH_FILES(stock_says_which_model_cannot_learn_from_it),
    WITH_FILES(stock_numbers_classes_as_the_option_or_the_state_folder_say),
    WITH_FILES(stock_of_a_slice_are_the_rows_of_the_partition))
