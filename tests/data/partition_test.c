/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "data/loader.h"
#include "tests/test.h"

enum { ROWS = 6000, CLASSES = 10, CLIENTS = 20, PER_CLIENT = ROWS / CLIENTS };

// Partitions look at labels and groups only: no values needed.
static fl_dataset *labelled(uint32_t rows, uint32_t classes, uint32_t groups)
{
    fl_dataset *dataset = calloc(1, sizeof *dataset);
    assert_non_null(dataset);
    dataset->shape = (fl_shape){1, 1, 1};
    dataset->row_count = rows;
    dataset->class_count = classes;
    dataset->labels = calloc(rows, sizeof *dataset->labels);
    dataset->groups = groups ? calloc(rows, sizeof *dataset->groups) : NULL;
    assert_non_null(dataset->labels);
    for (uint32_t i = 0; i < rows; i++) {
        dataset->labels[i] = i * 7 % classes;
        if (groups) dataset->groups[i] = i * i % groups;
    }
    return dataset;
}

static void assert_dealt_once(const fl_partition *partition, uint32_t rows,
                              uint32_t per_client)
{
    uint8_t *seen = calloc(rows, 1);
    assert_non_null(seen);
    const uint32_t clients = fl_partition_client_count(partition);
    for (uint32_t client = 0; client < clients; client++) {
        uint32_t count = 0;
        const uint32_t *dealt = fl_partition_rows(partition, client, &count);
        assert_int_equal(count, per_client);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(dealt[i] < rows);
            assert_int_equal(seen[dealt[i]]++, 0);
        }
    }
    free(seen);
}

static bool are_equal(const fl_partition *a, const fl_partition *b)
{
    const uint32_t clients = fl_partition_client_count(a);
    for (uint32_t client = 0; client < clients; client++) {
        uint32_t a_count = 0, b_count = 0;
        const uint32_t *a_rows = fl_partition_rows(a, client, &a_count);
        const uint32_t *b_rows = fl_partition_rows(b, client, &b_count);
        if (a_count != b_count) return false;
        if (memcmp(a_rows, b_rows, a_count * sizeof *a_rows) != 0) return false;
    }
    return true;
}

// Distinct labels that a client holds, on average.
static double mean_label_count(const fl_partition *partition,
                               const fl_dataset *dataset)
{
    const uint32_t *labels = fl_dataset_labels(dataset);
    const uint32_t clients = fl_partition_client_count(partition);
    uint32_t sum = 0;
    for (uint32_t client = 0; client < clients; client++) {
        bool seen[CLASSES] = {false};
        uint32_t count = 0;
        const uint32_t *rows = fl_partition_rows(partition, client, &count);
        for (uint32_t i = 0; i < count; i++) {
            if (!seen[labels[rows[i]]]) sum++;
            seen[labels[rows[i]]] = true;
        }
    }
    return (double)sum / clients;
}

static fl_partition *deal(const fl_dataset *dataset,
                          const fl_partition_options *options)
{
    fl_partition *partition = NULL;
    fl_reason why = {""};
    const fl_err err = fl_partition_new(&partition, dataset, options, &why);
    if (err) print_error("%s\n", why.text);
    assert_ok(err);
    return partition;
}

TEST(partition_deals_no_row_twice_and_depends_on_the_seed_alone)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    const fl_partition_kind kinds[] = {FL_PARTITION_IID, FL_PARTITION_DIRICHLET,
                                       FL_PARTITION_SHARDS};
    for (size_t i = 0; i < 3; i++) {
        fl_partition_options options = {.kind = kinds[i],
                                        .alpha = 0.3,
                                        .shards = 2,
                                        .client_count = CLIENTS,
                                        .seed = 1};
        fl_partition *first = deal(dataset, &options);
        fl_partition *again = deal(dataset, &options);
        options.seed = 2;
        fl_partition *other = deal(dataset, &options);
        assert_dealt_once(first, ROWS, PER_CLIENT);
        assert_dealt_once(other, ROWS, PER_CLIENT);
        assert_true(are_equal(first, again));
        assert_false(are_equal(first, other));
        fl_partition_free(first);
        fl_partition_free(again);
        fl_partition_free(other);
    }
    fl_dataset_free(dataset);
}

TEST(partition_gives_each_client_the_sample_count_asked_for)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    for (int kind = FL_PARTITION_IID; kind <= FL_PARTITION_SHARDS; kind++) {
        const fl_partition_options options = {.kind = (fl_partition_kind)kind,
                                              .alpha = 0.3,
                                              .shards = 2,
                                              .client_count = 7,
                                              .sample_count = 10};
        fl_partition *partition = deal(dataset, &options);
        assert_dealt_once(partition, ROWS, 10);
        fl_partition_free(partition);
    }
    fl_dataset_free(dataset);
}

TEST(partition_by_iid_gives_every_client_every_label)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    const fl_partition_options options = {.kind = FL_PARTITION_IID,
                                          .client_count = CLIENTS};
    fl_partition *partition = deal(dataset, &options);
    assert_true(mean_label_count(partition, dataset) == CLASSES);
    fl_partition_free(partition);
    fl_dataset_free(dataset);
}

TEST(partition_by_dirichlet_concentrates_labels_as_alpha_falls)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    const double alphas[] = {1e-9, 0.1, 1.0, 1e6};
    double labels[4];
    for (size_t i = 0; i < 4; i++) {
        const fl_partition_options options = {.kind = FL_PARTITION_DIRICHLET,
                                              .alpha = alphas[i],
                                              .client_count = CLIENTS,
                                              .sample_count = 30};
        fl_partition *partition = deal(dataset, &options);
        labels[i] = mean_label_count(partition, dataset);
        fl_partition_free(partition);
    }
    assert_true(labels[0] == 1.0);  // pools are far from dry
    assert_true(labels[0] < labels[1] && labels[1] < labels[2]);
    assert_true(labels[2] < labels[3]);
    fl_dataset_free(dataset);
}

/*
 * With Dir(alpha) over K classes, the share of class k in a client has the
 * variance (1/K)(1 - 1/K) / (K alpha + 1); rows drawn from it add the
 * multinomial's p(1 - p) / n. Pools are large enough not to interfere.
 */
TEST(partition_by_dirichlet_has_the_variance_of_the_distribution)
{
    enum { MANY = 400, EACH = 100 };
    fl_dataset *dataset = labelled(1000000, CLASSES, 0);
    const double alpha = 0.5, p = 1.0 / CLASSES;
    const fl_partition_options options = {.kind = FL_PARTITION_DIRICHLET,
                                          .alpha = alpha,
                                          .client_count = MANY,
                                          .sample_count = EACH,
                                          .seed = 3};
    fl_partition *partition = deal(dataset, &options);
    double squares = 0.0;
    for (uint32_t client = 0; client < MANY; client++) {
        double counts[CLASSES] = {0};
        uint32_t count = 0;
        const uint32_t *rows = fl_partition_rows(partition, client, &count);
        for (uint32_t i = 0; i < count; i++)
            counts[fl_dataset_labels(dataset)[rows[i]]] += 1.0;
        for (size_t k = 0; k < CLASSES; k++)
            squares += pow(counts[k] / EACH - p, 2);
    }
    const double mixing = p * (1 - p) / (CLASSES * alpha + 1);
    const double drawing = (p * (1 - p) - mixing) / EACH;
    const double expected = mixing + drawing;
    assert_true(fabs(squares / (MANY * CLASSES) / expected - 1.0) < 0.1);
    fl_partition_free(partition);
    fl_dataset_free(dataset);
}

TEST(partition_by_dirichlet_deals_everything_when_each_class_is_one_row)
{
    enum { SINGLES = 3000 };
    fl_dataset *dataset = labelled(SINGLES, SINGLES, 0);
    const fl_partition_options options = {
        .kind = FL_PARTITION_DIRICHLET, .alpha = 1e-3, .client_count = 3};
    fl_partition *partition = deal(dataset, &options);
    assert_dealt_once(partition, SINGLES, SINGLES / 3);
    fl_partition_free(partition);
    fl_dataset_free(dataset);
}

TEST(partition_by_shards_gives_a_client_few_labels)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    const fl_partition_options options = {
        .kind = FL_PARTITION_SHARDS, .shards = 2, .client_count = CLIENTS};
    fl_partition *partition = deal(dataset, &options);
    // 600 rows a label, shards of 150: none of them spans two labels
    const double labels = mean_label_count(partition, dataset);
    assert_true(labels > 1.0 && labels <= 2.0);
    fl_partition_free(partition);
    fl_dataset_free(dataset);
}

TEST(partition_by_column_makes_a_client_of_each_group)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 7);
    // i * i mod 7 is 0, 1, 2 or 4: groups 3, 5 and 6 are empty
    fl_partition_options options = {.kind = FL_PARTITION_COLUMN};
    fl_partition *partition = deal(dataset, &options);
    assert_int_equal(fl_partition_client_count(partition), 4);
    uint32_t count = 0, sum = 0;
    for (uint32_t client = 0; client < 4; client++) {
        const uint32_t *rows = fl_partition_rows(partition, client, &count);
        const uint32_t group = (uint32_t[]){0, 1, 2, 4}[client];
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(fl_dataset_groups(dataset)[rows[i]], group);
        sum += count;
    }
    assert_int_equal(sum, ROWS);
    fl_partition_free(partition);

    options.client_count = 2;
    options.sample_count = 5;
    partition = deal(dataset, &options);
    assert_int_equal(fl_partition_client_count(partition), 2);
    assert_dealt_once(partition, ROWS, 5);
    fl_partition_free(partition);
    fl_dataset_free(dataset);
}

static void assert_refused(const fl_dataset *dataset,
                           fl_partition_options options, const char *word)
{
    fl_partition *partition = NULL;
    fl_reason why;
    assert_err(fl_partition_new(&partition, dataset, &options, &why),
               FL_ERR_RANGE);
    assert_null(partition);
    assert_reason_names(why, word);
}

TEST(partition_refuses_more_rows_than_there_are)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 7);
    assert_refused(dataset, (fl_partition_options){.client_count = ROWS + 1},
                   "the data has 6000");
    assert_refused(dataset,
                   (fl_partition_options){.client_count = UINT32_MAX,
                                          .sample_count = UINT32_MAX},
                   "the data has 6000");
    assert_refused(dataset,
                   (fl_partition_options){.kind = FL_PARTITION_SHARDS,
                                          .shards = 2,
                                          .client_count = ROWS},
                   "the data has 6000");
    assert_refused(
        dataset,
        (fl_partition_options){.kind = FL_PARTITION_COLUMN, .client_count = 5},
        "names 4 groups");
    assert_refused(dataset,
                   (fl_partition_options){.kind = FL_PARTITION_COLUMN,
                                          .sample_count = ROWS},
                   "client 0's group has");
    fl_dataset_free(dataset);
}

TEST(partition_refuses_options_outside_their_range)
{
    fl_dataset *dataset = labelled(ROWS, CLASSES, 0);
    assert_refused(dataset, (fl_partition_options){.client_count = 0},
                   "at least 1 client");
    const double alphas[] = {0.0, -1.0, (double)NAN, (double)INFINITY};
    for (size_t i = 0; i < 4; i++) {
        assert_refused(dataset,
                       (fl_partition_options){.kind = FL_PARTITION_DIRICHLET,
                                              .alpha = alphas[i],
                                              .client_count = 2},
                       "alpha");
    }
    assert_refused(
        dataset,
        (fl_partition_options){.kind = FL_PARTITION_SHARDS, .client_count = 2},
        "shards:0");
    assert_refused(dataset,
                   (fl_partition_options){.kind = FL_PARTITION_SHARDS,
                                          .shards = 3,
                                          .client_count = 2,
                                          .sample_count = 10},
                   "multiple");
    assert_refused(dataset, (fl_partition_options){.kind = FL_PARTITION_COLUMN},
                   "group column");
    fl_dataset_free(dataset);
}

RUN_TESTS(
    cmocka_unit_test(
        partition_deals_no_row_twice_and_depends_on_the_seed_alone),
    cmocka_unit_test(partition_gives_each_client_the_sample_count_asked_for),
    cmocka_unit_test(partition_by_iid_gives_every_client_every_label),
    cmocka_unit_test(partition_by_dirichlet_concentrates_labels_as_alpha_falls),
    cmocka_unit_test(
        partition_by_dirichlet_has_the_variance_of_the_distribution),
    cmocka_unit_test(
        partition_by_dirichlet_deals_everything_when_each_class_is_one_row),
    cmocka_unit_test(partition_by_shards_gives_a_client_few_labels),
    cmocka_unit_test(partition_by_column_makes_a_client_of_each_group),
    cmocka_unit_test(partition_refuses_more_rows_than_there_are),
    cmocka_unit_test(partition_refuses_options_outside_their_range))
