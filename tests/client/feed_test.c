/* SPDX-License-Identifier: Apache-2.0 */
#include "client/feed/feed.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/data_files.h"
#include "tests/test.h"

enum { TEXT_CAP = 4000, LOG_CAP = 20000 };

static data_files files;
static char folder[DATA_PATH_CAP], table[DATA_PATH_CAP], said[LOG_CAP];
static fl_service_options options;
static fl_feed feed;
static uint8_t *model;
static size_t model_len;
static fl_reason why;

static void sink(void *self, fl_log_level level, const char *line)
{
    (void)self;
    (void)level;
    const size_t len = strlen(said);
    snprintf(said + len, sizeof said - len, "%s\n", line);
}

static void make_model(uint32_t classes)
{
    fl_model *made = NULL;
    assert_ok(fl_model_new(&made,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, 1},
                                               .class_count = classes},
                           NULL));
    free(model);
    model_len = fl_model_bytes(made);
    model = malloc(model_len);
    assert_non_null(model);
    assert_ok(fl_model_encode(made, model, model_len));
    fl_model_free(made);
}

static int set_up(void **state)
{
    (void)state;
    said[0] = '\0';
    fl_log_start(FL_LOG_INFO, sink, NULL);
    data_files_init(&files);
    strcpy(folder, data_files_put_folder(&files, "state"));
    assert_true(snprintf(table, sizeof table, "%.200s/t.csv", files.root) > 0);
    options = (fl_service_options){
        .state = folder, .own_data = table, .rules = fl_rules_defaults()};
    make_model(2);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    fl_feed_close(&feed);
    free(model);
    model = NULL;
    data_files_fini(&files);
    return 0;
}

static void put_rows(uint32_t count, const char *more)
{
    char text[TEXT_CAP];
    int len = sprintf(text, "a,label\n");
    for (uint32_t i = 0; i < count; i++)
        len += sprintf(text + len, "%u,%u\n", i, i % 2);
    snprintf(text + len, sizeof text - (size_t)len, "%s", more);
    data_files_put_text(&files, "t.csv", text);
}

// What the worker and the loop do, one after the other.
static fl_err look(bool has_model, bool is_lent)
{
    fl_feed_begin(&feed, has_model ? model : NULL, model_len);
    feed.job.run(&feed.job);
    return fl_feed_finish(&feed, is_lent, &why);
}

static uint32_t count_said(const char *word)
{
    uint32_t count = 0;
    for (const char *at = said; (at = strstr(at, word)); at++)
        count++;
    return count;
}

TEST(feed_takes_new_rows_whole_and_others_not_again)
{
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_true(fl_feed_grows(&feed));
    const fl_dataset *first = feed.stock.dataset;
    assert_int_equal(feed.stock.row_count, 10);
    assert_ok(look(true, false));
    assert_ptr_equal(feed.stock.dataset, first);
    put_rows(20, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 20);
    fl_local_data data = {.model = NULL};
    fl_feed_lend(&feed, &data);
    assert_int_equal(data.row_count, 20);
    assert_ptr_equal(data.dataset, feed.stock.dataset);
    assert_ptr_equal(data.places, feed.stock.places);
    assert_int_equal(data.memory_cap, 0);
    options.rules.memory = 1;
    fl_feed_lend(&feed, &data);
    assert_int_equal(data.memory_cap, 1000000 - fl_stock_bytes(&feed.stock));
    assert_int_equal(count_said("event=data_loaded"), 2);
}

TEST(feed_leaves_old_rows_to_who_has_them)
{
    fl_local_data data = {.model = NULL};
    float x;
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    fl_feed_lend(&feed, &data);
    put_rows(20, "");
    assert_ok(look(false, true));
    fl_dataset_read(&x, data.dataset, (uint32_t[]){9}, 1);
    assert_true(x == 9.0F);
    assert_int_equal(feed.stock.row_count, 20);
    fl_feed_release(&feed);
    assert_null(feed.retired.dataset);
}

TEST(feed_names_a_bad_line_once)
{
    put_rows(10, "nan,1\n");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_int_equal(feed.skips.count, 1);
    assert_int_equal(count_said("line 12, column 'a'"), 1);
    put_rows(10, "nan,1\n5,5,5\n");
    assert_ok(look(false, false));
    assert_int_equal(feed.skips.count, 2);
    assert_int_equal(count_said("line 12, column 'a'"), 1);
    assert_int_equal(count_said("line 13: 3 values"), 1);
    char first[FL_SKIPS_TEXT_CAP];
    fl_skips_list(first, &feed.skips);
    assert_non_null(strstr(first, "; "));
    assert_ok(look(false, false));
    assert_int_equal(feed.skips.count, 2);  // nobody has looked again
}

TEST(feed_does_not_fill_the_log)
{
    char bad[600] = "";
    for (int i = 0; i < 100; i++)
        strcat(bad, "x,1\n");
    put_rows(5, bad);
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_int_equal(feed.skips.count, 100);
    assert_int_equal(count_said("data_skipped what="), FL_SKIPS_LOGGED);
    assert_int_equal(count_said("data_skipped more=84"), 1);
}

TEST(feed_starts_without_data_and_goes_on_when_there_is_some)
{
    data_files_put_text(&files, "t.csv", "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_null(feed.stock.dataset);
    assert_reason_names(feed.trouble, "has no rows and no header line");
    assert_err(look(true, false), FL_ERR_RANGE);
    assert_reason_names(why, "there is no data now");
    put_rows(1, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 1);
    assert_string_equal(feed.trouble.text, "");
}

TEST(feed_lets_go_of_rows_that_are_gone)
{
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_int_equal(unlink(table), 0);
    for (int i = 0; i < 2; i++) {
        assert_err(look(true, false), FL_ERR_RANGE);
        assert_int_equal(feed.stock.row_count, 0);
        assert_reason_names(feed.trouble, "t.csv");
    }
    assert_int_equal(count_said("event=data_trouble"), 1);
    put_rows(10, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 10);
}

// What cannot be read just now is no reason not to train.
TEST(feed_keeps_old_rows_while_new_ones_make_no_sense)
{
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    data_files_put_text(&files, "t.csv", "1,2\n3,4\n");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 10);
    assert_reason_names(feed.trouble, "holds only numbers");
    put_rows(14, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 14);
    assert_string_equal(feed.trouble.text, "");
}

TEST(feed_waits_for_the_fourth_new_row)
{
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    put_rows(13, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 10);
    assert_int_equal(feed.waiting_count, 3);
    assert_ok(look(true, false));
    assert_int_equal(feed.waiting_count, 3);
    put_rows(14, "");
    assert_ok(look(true, false));
    assert_int_equal(feed.stock.row_count, 14);
    assert_int_equal(feed.waiting_count, 0);
}

TEST(feed_refuses_a_model_that_cannot_learn_from_it)
{
    put_rows(10, "");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    put_rows(20, "7,5\n");
    assert_err(look(true, false), FL_ERR_RANGE);
    assert_reason_names(why, "label 5 here");
    assert_int_equal(feed.stock.row_count, 21);
    assert_ok(look(false, false));
    model[0] ^= 0xff;
    assert_err(look(true, false), FL_ERR_FORMAT);
}

TEST(feed_stops_when_asked_to)
{
    char root[DATA_PATH_CAP];
    const uint8_t pixels[4] = {0};
    data_files_put_png(&files, "drop/0/1.png", pixels, 2, 2, 1, 8);
    strcpy(root, data_files_put_folder(&files, "drop"));
    options.own_data = root;
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    data_files_put_png(&files, "drop/0/2.png", pixels, 2, 2, 1, 8);
    fl_feed_begin(&feed, model, model_len);
    atomic_store(&feed.stop, true);
    feed.job.run(&feed.job);
    assert_err(fl_feed_finish(&feed, false, &why), FL_ERR_CANCELLED);
    assert_int_equal(feed.stock.row_count, 1);
}

TEST(feed_leaves_word_of_the_classes)
{
    char *text = NULL;
    fl_state *kept = NULL;
    assert_int_equal(chmod(folder, 0700), 0);
    assert_ok(fl_state_open(&kept, folder, &why));
    data_files_put_text(&files, "t.csv", "a,label\n1,moss\n2,fern\n");
    assert_ok(fl_feed_open(&feed, &options, 1, &why));
    assert_ok(look(true, false));
    fl_feed_keep_classes(&feed, kept);
    assert_ok(fl_state_classes_read(&text, folder, &why));
    assert_string_equal(text, "fern\nmoss\n");
    free(text);
    fl_state_close(kept);
    // Another one does not change the numbers of these.
    data_files_put_text(&files, "t.csv",
                        "a,label\n1,moss\n2,fern\n3,ash\n4,fern\n");
    assert_ok(look(true, false));
    assert_int_equal(fl_dataset_class_count(feed.stock.dataset), 2);
    assert_int_equal(feed.skips.count, 1);
}

TEST(feed_refuses_options_that_make_no_sense)
{
    options.own_data = "/nowhere/at/all";
    assert_err(fl_feed_open(&feed, &options, 1, &why), FL_ERR_NOT_FOUND);
    assert_reason_names(why, "--data /nowhere/at/all");
    put_rows(10, "");
    options.own_data = table;
    options.data.label_column = "kind";
    assert_err(fl_feed_open(&feed, &options, 1, &why), FL_ERR_RANGE);
    assert_reason_names(why, "no column 'kind'");
    options.data.label_column = NULL;
    options.data.partition = "iid:3";
    assert_err(fl_feed_open(&feed, &options, 1, &why), FL_ERR_RANGE);
    assert_reason_names(why, "--partition");
}

#define WITH_FILES(test) \
    cmocka_unit_test_setup_teardown(test, set_up, tear_down)

RUN_TESTS(WITH_FILES(feed_takes_new_rows_whole_and_others_not_again),
          WITH_FILES(feed_leaves_old_rows_to_who_has_them),
          WITH_FILES(feed_names_a_bad_line_once),
          WITH_FILES(feed_does_not_fill_the_log),
          WITH_FILES(feed_starts_without_data_and_goes_on_when_there_is_some),
          WITH_FILES(feed_lets_go_of_rows_that_are_gone),
          WITH_FILES(feed_keeps_old_rows_while_new_ones_make_no_sense),
          WITH_FILES(feed_waits_for_the_fourth_new_row),
          WITH_FILES(feed_refuses_a_model_that_cannot_learn_from_it),
          WITH_FILES(feed_stops_when_asked_to),
          WITH_FILES(feed_leaves_word_of_the_classes),
          WITH_FILES(feed_refuses_options_that_make_no_sense))
