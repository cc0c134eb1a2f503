/* SPDX-License-Identifier: Apache-2.0 */
#include "data/settings.h"

#include "data/data.h"
#include "tests/support/data_files.h"
#include "tests/test.h"

enum { ROWS = 12, PEOPLE = 4, SEED = 7 };

static data_files files;
static fl_dataset *dataset;  // ROWS rows of PEOPLE people
static fl_reason why;

static int open_dataset(void **state)
{
    (void)state;
    char text[400] = "x,who,kind\n";
    for (int i = 0; i < ROWS; i++) {
        char row[32];
        snprintf(row, sizeof row, "%d,person%d,%d\n", i, i % PEOPLE, i % 2);
        strcat(text, row);
    }
    data_files_init(&files);
    const fl_data_options options = {
        .spec = data_files_put_text(&files, "people.csv", text),
        .test_spec = files.path,
        .label_column = "kind",
        .group_column = "who",
    };
    why = (fl_reason){""};
    assert_ok(fl_dataset_open(&dataset, FL_DATA_TRAIN, &options, &why));
    return 0;
}

static int close_dataset(void **state)
{
    (void)state;
    fl_dataset_free(dataset);
    data_files_fini(&files);
    return 0;
}

static fl_partition *deal(const char *how, uint64_t samples,
                          uint32_t client_count)
{
    fl_partition *partition = NULL;
    const fl_data_settings settings = {.partition = how,
                                       .sample_count = samples};
    assert_ok(fl_data_settings_deal(&partition, &settings, dataset,
                                    client_count, SEED, &why));
    return partition;
}

static void assert_dealt(const char *how, uint64_t samples,
                         uint32_t client_count, uint32_t expected_clients,
                         uint32_t expected_rows)
{
    uint32_t rows = 0;
    fl_partition *partition = deal(how, samples, client_count);
    assert_int_equal(fl_partition_client_count(partition), expected_clients);
    fl_partition_rows(partition, expected_clients - 1, &rows);
    assert_int_equal(rows, expected_rows);
    fl_partition_free(partition);
}

TEST(settings_deal_to_as_many_clients_as_the_program_has)
{
    assert_dealt("iid", 0, 3, 3, 4);
    assert_dealt("shards:2", 0, 2, 2, 6);
    assert_dealt("dirichlet:0.5", 2, 5, 5, 2);
}

TEST(settings_take_the_number_that_the_text_has_instead)
{
    assert_dealt("iid:6", 0, 3, 6, 2);
    assert_dealt("shards:1:4", 0, 3, 4, 3);
    assert_dealt("dirichlet:0.5:2", 3, 100, 2, 3);
}

TEST(settings_deal_a_column_to_its_groups)
{
    assert_dealt("column", 0, 100, PEOPLE, ROWS / PEOPLE);
    assert_dealt("column:2", 0, 100, 2, ROWS / PEOPLE);
    assert_dealt("column", 1, 100, PEOPLE, 1);
}

TEST(settings_refuse_what_cannot_be_dealt)
{
    fl_partition *partition = NULL;
    fl_data_settings settings = {.partition = "evenly"};
    assert_err(
        fl_data_settings_deal(&partition, &settings, dataset, 3, SEED, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "evenly");
    settings.partition = "column:5";
    assert_err(
        fl_data_settings_deal(&partition, &settings, dataset, 3, SEED, &why),
        FL_ERR_RANGE);
    settings = (fl_data_settings){.partition = "iid", .sample_count = 5};
    assert_err(
        fl_data_settings_deal(&partition, &settings, dataset, 3, SEED, &why),
        FL_ERR_RANGE);
    assert_null(partition);
}

// The client that takes slice 2 must get what nobody else has.
TEST(settings_deal_the_same_with_the_same_seed)
{
    const uint32_t *rows[3];
    fl_partition *partitions[3];
    uint32_t count = 0;
    const fl_data_settings settings = {.partition = "iid"};
    for (uint32_t i = 0; i < 3; i++) {
        assert_ok(fl_data_settings_deal(&partitions[i], &settings, dataset, 2,
                                        SEED + i / 2, &why));
        rows[i] = fl_partition_rows(partitions[i], 0, &count);
    }
    assert_memory_equal(rows[0], rows[1], count * sizeof **rows);
    assert_memory_not_equal(rows[0], rows[2], count * sizeof **rows);
    for (int i = 0; i < 3; i++)
        fl_partition_free(partitions[i]);
}

TEST(settings_hand_every_text_to_the_dataset)
{
    const fl_data_settings settings = {.dataset = "csv:a",
                                       .test = "csv:b",
                                       .label_column = "c",
                                       .group_column = "d",
                                       .resize = "4x4"};
    const fl_data_options options = fl_data_settings_options(&settings, 9);
    assert_string_equal(options.spec, "csv:a");
    assert_string_equal(options.test_spec, "csv:b");
    assert_string_equal(options.label_column, "c");
    assert_string_equal(options.group_column, "d");
    assert_string_equal(options.resize, "4x4");
    assert_int_equal(options.seed, 9);
}

TEST(settings_options_are_bound_to_the_settings)
{
    fl_option table[FL_DATA_SETTINGS_COUNT];
    fl_data_settings read = {.dataset = "fashion-mnist"};
    const size_t count =
        fl_data_settings_list(table, FL_DATA_SETTINGS_COUNT, &read);
    assert_int_equal(count, FL_DATA_SETTINGS_COUNT);
    static char words[][24] = {"test",
                               "--dataset=a",
                               "--test=b",
                               "--label-column=c",
                               "--group-column=d",
                               "--resize=32x16",
                               "--partition=iid:3",
                               "--samples=600"};
    char *argv[9] = {NULL};
    for (size_t i = 0; i < 8; i++)
        argv[i] = words[i];
    fl_options *options = NULL;
    fl_asked asked;
    assert_ok(
        fl_options_read(&options, &asked, table, count, NULL, 8, argv, &why));
    assert_string_equal(read.dataset, "a");
    assert_string_equal(read.test, "b");
    assert_string_equal(read.label_column, "c");
    assert_string_equal(read.group_column, "d");
    assert_string_equal(read.resize, "32x16");
    assert_string_equal(read.partition, "iid:3");
    assert_int_equal(read.sample_count, 600);
    fl_options_free(options);
}

// An aggregator has held-out rows, but deals nothing.
TEST(settings_list_a_dataset_without_a_partition)
{
    fl_option table[FL_DATA_SETTINGS_COUNT] = {{0}};
    fl_data_settings read = {0};
    const size_t count = FL_DATA_SETTINGS_DATASET;
    assert_int_equal(fl_data_settings_list(table, count, &read), count);
    assert_string_equal(table[count - 1].key, "resize");
    assert_null(table[count].key);
}

#define WITH_DATA(test) \
    cmocka_unit_test_setup_teardown(test, open_dataset, close_dataset)

RUN_TESTS(WITH_DATA(settings_deal_to_as_many_clients_as_the_program_has),
          WITH_DATA(settings_take_the_number_that_the_text_has_instead),
          WITH_DATA(settings_deal_a_column_to_its_groups),
          WITH_DATA(settings_refuse_what_cannot_be_dealt),
          WITH_DATA(settings_deal_the_same_with_the_same_seed),
          cmocka_unit_test(settings_hand_every_text_to_the_dataset),
          cmocka_unit_test(settings_options_are_bound_to_the_settings),
          cmocka_unit_test(settings_list_a_dataset_without_a_partition))
