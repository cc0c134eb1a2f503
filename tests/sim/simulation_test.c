/*
 * Whole federations in virtual time: the same bits whatever the machine, and
 * no trouble of one client is the federation's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "sim/simulation.h"

#include <math.h>
#include <stdlib.h>

#include "tests/support/data_files.h"
#include "tests/test.h"

enum { COLUMNS = 4, CLASSES = 3, ROUNDS_CAP = 16, COHORT_CAP = 64 };

/* ---- a small world ---- */

// Rows that can be learnt: the label is where the largest of three values is.
// The first `bad_rows` belong to group "bad" and are too large for floats.
static char *make_table(uint32_t row_count, uint32_t bad_rows, uint32_t groups)
{
    const size_t cap = 100 * ((size_t)row_count + 1);
    char *text = malloc(cap);
    assert_non_null(text);
    size_t len = (size_t)snprintf(text, cap, "a,b,c,d,group,label\n");
    for (uint32_t i = 0; i < row_count; i++) {
        fl_random random;
        fl_random_init(&random, 9, FL_RANDOM_TEST, i);
        double x[COLUMNS];
        uint32_t label = 0;
        for (int c = 0; c < COLUMNS; c++)
            x[c] = i < bad_rows ? 3e38 : fl_random_double(&random);
        for (uint32_t c = 1; c < CLASSES; c++)
            if (x[c] > x[label]) label = c;
        if (i < bad_rows) label = i % CLASSES;
        len += (size_t)snprintf(text + len, cap - len, "%g,%g,%g,%g,", x[0],
                                x[1], x[2], x[3]);
        if (i < bad_rows)
            len += (size_t)snprintf(text + len, cap - len, "bad");
        else
            len += (size_t)snprintf(text + len, cap - len, "g%u", i % groups);
        len += (size_t)snprintf(text + len, cap - len, ",%u\n", label);
    }
    return text;
}

typedef struct {
    fl_dataset *train, *test;
    fl_partition *partition;
    fl_simulation_options options;
    atomic_bool stop;
    uint32_t stop_after;  // this round; 0: never
    fl_err round_err;     // what on_round says to the first one
    // What came out.
    fl_err err;
    fl_reason why;
    fl_round_record rounds[ROUNDS_CAP];
    uint32_t cohorts[ROUNDS_CAP][COHORT_CAP];
    size_t cohort_lens[ROUNDS_CAP];
    size_t round_count;
    uint8_t *model;
    size_t model_len;
    int64_t now_ms;
} world;

static fl_err on_round(void *self, const fl_round_record *round,
                       const uint32_t *cohort, size_t cohort_len,
                       int64_t virtual_ms, fl_reason *why)
{
    world *w = self;
    assert_true(w->round_count < ROUNDS_CAP);
    assert_in_range(cohort_len, 1, COHORT_CAP);
    assert_true(virtual_ms >= w->now_ms);
    w->now_ms = virtual_ms;
    memcpy(w->cohorts[w->round_count], cohort, cohort_len * sizeof *cohort);
    w->cohort_lens[w->round_count] = cohort_len;
    w->rounds[w->round_count++] = *round;
    if (round->round == w->stop_after) atomic_store(&w->stop, true);
    if (w->round_err) return fl_reason_set(why, w->round_err, "a full disk");
    return FL_OK;
}

static void world_init(world *w, uint32_t client_count, uint32_t row_count,
                       uint32_t bad_rows)
{
    data_files files;
    char spec[4 * DATA_PATH_CAP], test_spec[4 * DATA_PATH_CAP];
    *w =
        (world){.options = {.federation = {.round_count = 3,
                                           .cohort = 5,
                                           .quorum = 3,
                                           .deadline_ms = 60000,
                                           .gather_ms = 1000,
                                           .evaluate_every = 1,
                                           .training = {.local_epochs = 1,
                                                        .batch = 8,
                                                        .lr = 0.1F},
                                           .seed = 1,
                                           .client_cap = client_count + 1,
                                           .upload_bytes_cap = 1 << 26,
                                           .aggregation = FL_AGGREGATION_SECURE,
                                           .value_bits = 14,
                                           .value_clip = 4,
                                           .weight_max = 1000,
                                           .min_survivors = 2,
                                           .phase_ms = 10000},
                            .fleet = {.seed = 1,
                                      .up_mbit = 10,
                                      .down_mbit = 50,
                                      .latency_ms = 20,
                                      .samples_per_s = 50,
                                      .availability = 1,
                                      .period_s = 100},
                            .thread_count = 2}};
    assert_ok(fl_secure_start());
    data_files_init(&files);
    char *text = make_table(row_count, bad_rows, client_count);
    data_files_put_text(&files, "train.csv", text);
    free(text);
    text = make_table(60, 0, 2);
    data_files_put_text(&files, "test.csv", text);
    free(text);
    data_files_spec(spec, &files, "csv", "train.csv", NULL);
    data_files_spec(test_spec, &files, "csv", "test.csv", NULL);
    const fl_data_options data = {
        .spec = spec, .test_spec = test_spec, .group_column = "group"};
    assert_ok(fl_dataset_open(&w->train, FL_DATA_TRAIN, &data, NULL));
    assert_ok(fl_dataset_open(&w->test, FL_DATA_TEST, &data, NULL));
    data_files_fini(&files);
    const fl_partition_options dealt = {
        .kind = bad_rows ? FL_PARTITION_COLUMN : FL_PARTITION_IID,
        .client_count = bad_rows ? 0 : client_count,
        .seed = 1};
    assert_ok(fl_partition_new(&w->partition, w->train, &dealt, NULL));
    w->options.train = w->train;
    w->options.test = w->test;
    w->options.partition = w->partition;
    w->options.stop = &w->stop;
    w->options.on_round = on_round;
    w->options.on_round_self = w;
}

static void world_fini(world *w)
{
    free(w->model);
    fl_partition_free(w->partition);
    fl_dataset_free(w->train);
    fl_dataset_free(w->test);
}

static void drop_line(void *self, fl_log_level level, const char *line)
{
    (void)self, (void)level, (void)line;
}

static fl_model *new_model(uint32_t columns)
{
    fl_model *model;
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, columns},
                                               .class_count = CLASSES,
                                               .seed = 1},
                           NULL));
    return model;
}

static void run(world *w)
{
    fl_simulation *simulation;
    fl_log_start(FL_LOG_DEBUG, drop_line, NULL);
    w->round_count = 0;
    w->now_ms = 0;
    w->why.text[0] = 0;
    atomic_store(&w->stop, false);
    free(w->model);
    assert_ok(fl_simulation_new(&simulation, &w->options, new_model(COLUMNS),
                                &w->why));
    w->err = fl_simulation_run(simulation, &w->why);
    const uint8_t *bytes = fl_simulation_model(simulation, &w->model_len);
    w->model = malloc(w->model_len);
    assert_non_null(w->model);
    memcpy(w->model, bytes, w->model_len);
    assert_true(fl_simulation_now_ms(simulation) >= w->now_ms);
    w->now_ms = fl_simulation_now_ms(simulation);
    fl_simulation_free(simulation);
}

// Everything that can go wrong on an edge goes wrong here.
static void make_it_hard(world *w)
{
    w->options.federation.over_select = 0.4;
    w->options.federation.round_count = 4;
    w->options.fleet.dropout = 0.25;
    w->options.fleet.loss = 0.05;
    w->options.fleet.link_spread = 0.7;
    w->options.fleet.speed_spread = 1.2;
    w->options.fleet.availability = 0.7;
    w->options.fleet.period_s = 30;
    w->options.federation.deadline_ms = 20000;
}

static bool is_same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void assert_same_runs(const world *a, const world *b)
{
    assert_int_equal(a->round_count, b->round_count);
    assert_int_equal(a->now_ms, b->now_ms);
    assert_int_equal(a->model_len, b->model_len);
    assert_memory_equal(a->model, b->model, a->model_len);
    for (size_t i = 0; i < a->round_count; i++) {
        const fl_round_record *x = &a->rounds[i], *y = &b->rounds[i];
        assert_int_equal(x->round, y->round);
        assert_int_equal(x->attempt, y->attempt);
        assert_int_equal(x->selected_count, y->selected_count);
        assert_int_equal(x->update_count, y->update_count);
        assert_int_equal(x->sample_count, y->sample_count);
        assert_int_equal(x->bytes_up, y->bytes_up);
        assert_int_equal(x->bytes_down, y->bytes_down);
        assert_int_equal(x->took_ms, y->took_ms);
        assert_true(is_same(x->loss, y->loss));
        assert_true(is_same(x->accuracy, y->accuracy));
        assert_true(is_same(x->client_loss, y->client_loss));
        assert_true(is_same(x->client_accuracy, y->client_accuracy));
        assert_int_equal(a->cohort_lens[i], b->cohort_lens[i]);
        assert_memory_equal(a->cohorts[i], b->cohorts[i],
                            a->cohort_lens[i] * sizeof a->cohorts[i][0]);
    }
}

/* ---- tests ---- */

TEST(simulation_learns)
{
    world w;
    world_init(&w, 10, 600, 0);
    w.options.federation.round_count = 15;
    w.options.federation.training.local_epochs = 3;
    run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 15);
    assert_true(w.rounds[14].accuracy > 0.8);
    assert_true(w.rounds[14].loss < w.rounds[0].loss);
    world_fini(&w);
}

TEST(simulation_gives_the_same_bits_whatever_the_number_of_threads)
{
    const unsigned counts[] = {0, 1, 2, 4};
    for (int is_hard = 0; is_hard < 2; is_hard++) {
        world runs[4];
        for (int i = 0; i < 4; i++) {
            world_init(&runs[i], 40, 800, 0);
            if (is_hard) make_it_hard(&runs[i]);
            runs[i].options.thread_count = counts[i];
            run(&runs[i]);
            assert_ok(runs[i].err);
            assert_same_runs(&runs[0], &runs[i]);
        }
        for (int i = 0; i < 4; i++)
            world_fini(&runs[i]);
    }
}

TEST(simulation_with_another_seed_is_another_one)
{
    world a, b;
    world_init(&a, 20, 400, 0);
    world_init(&b, 20, 400, 0);
    b.options.federation.seed = b.options.fleet.seed = 2;
    run(&a);
    run(&b);
    assert_int_equal(a.model_len, b.model_len);
    assert_memory_not_equal(a.model, b.model, a.model_len);
    world_fini(&a);
    world_fini(&b);
}

TEST(simulation_goes_on_without_a_client_that_can_never_train)
{
    world w;
    world_init(&w, 4, 200, 20);
    w.options.federation.cohort = 5;  // all, the bad one too
    w.options.federation.quorum = 4;
    w.options.federation.evaluate_every = 1;
    const uint32_t count = fl_partition_client_count(w.partition);
    uint32_t bad = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row_count;
        if (fl_partition_rows(w.partition, i, &row_count)[0] < 20) bad = i;
    }
    assert_int_equal(count, 5);
    assert_true(bad < count);
    run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 3);
    for (size_t i = 0; i < w.round_count; i++) {
        assert_int_equal(w.rounds[i].selected_count, 5);
        assert_int_equal(w.cohort_lens[i], 4);
        for (size_t k = 0; k < 4; k++)
            assert_int_not_equal(w.cohorts[i][k], bad);
    }
    world_fini(&w);
}

TEST(simulation_repeats_rounds_that_missed_their_quorum)
{
    world w;
    world_init(&w, 8, 160, 0);
    w.options.federation.cohort = 6;
    w.options.federation.quorum = 6;
    w.options.federation.deadline_ms = 10000;
    w.options.fleet.dropout = 0.2;
    run(&w);
    assert_ok(w.err);
    uint32_t attempts = 0;
    for (size_t i = 0; i < w.round_count; i++) {
        assert_int_equal(w.rounds[i].round, i + 1);
        assert_int_equal(w.rounds[i].update_count, 6);
        attempts += w.rounds[i].attempt;
    }
    assert_int_equal(w.round_count, 3);
    assert_true(attempts > 3);
    world_fini(&w);
}

TEST(simulation_stops_after_the_round_in_which_it_is_told_to)
{
    world w, whole;
    world_init(&w, 10, 200, 0);
    world_init(&whole, 10, 200, 0);
    w.stop_after = 2;
    run(&w);
    assert_err(w.err, FL_ERR_CANCELLED);
    assert_true(w.why.text[0] != 0);
    assert_int_equal(w.round_count, 2);
    // What is finished stands: the model of two rounds.
    whole.options.federation.round_count = 2;
    run(&whole);
    assert_ok(whole.err);
    assert_int_equal(w.model_len, whole.model_len);
    assert_memory_equal(w.model, whole.model, w.model_len);
    world_fini(&w);
    world_fini(&whole);
}

TEST(simulation_ends_when_a_round_cannot_be_reported)
{
    world w;
    world_init(&w, 10, 200, 0);
    w.round_err = FL_ERR_SYSTEM;
    run(&w);
    assert_err(w.err, FL_ERR_SYSTEM);
    assert_reason_names(w.why, "a full disk");
    assert_int_equal(w.round_count, 1);
    world_fini(&w);
}

TEST(simulation_counts_every_byte_of_its_rounds)
{
    world w;
    world_init(&w, 20, 400, 0);
    run(&w);
    const uint64_t params = 4 * (uint64_t)(COLUMNS * 128 + 128 + 128 * 64 + 64 +
                                           64 * CLASSES + CLASSES);
    for (size_t i = 0; i < w.round_count; i++) {
        const fl_round_record *round = &w.rounds[i];
        assert_int_equal(round->update_count, w.cohort_lens[i]);
        assert_int_equal(round->sample_count, 20 * round->update_count);
        // Each update once, three values to a word, and not much besides; the
        // model to each asked.
        const uint64_t up = round->update_count * params * 2 / 3;
        assert_in_range(round->bytes_up, up, up + up / 5);
        const uint64_t down = round->selected_count * w.model_len;
        assert_in_range(round->bytes_down, down, down + down / 5);
        assert_true(round->took_ms > 0);
    }
    world_fini(&w);
}

TEST(simulation_of_a_thousand_clients_is_quick)
{
    world w;
    world_init(&w, 1000, 3000, 0);
    w.options.federation.cohort = 10;
    run(&w);
    assert_ok(w.err);
    assert_int_equal(w.round_count, 3);
    world_fini(&w);
}

TEST(simulation_refuses_a_model_made_for_other_data)
{
    world w;
    fl_simulation *simulation = NULL;
    fl_reason why = {""};
    world_init(&w, 10, 200, 0);
    assert_err(fl_simulation_new(&simulation, &w.options,
                                 new_model(COLUMNS + 1), &why),
               FL_ERR_RANGE);
    assert_null(simulation);
    assert_true(why.text[0] != 0);
    w.options.federation.quorum = 0;
    assert_err(
        fl_simulation_new(&simulation, &w.options, new_model(COLUMNS), &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "quorum");
    w.options.federation.quorum = 1;
    w.options.federation.upload_bytes_cap = 20000;  // an update has 24,256
    assert_err(
        fl_simulation_new(&simulation, &w.options, new_model(COLUMNS), &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "24256");
    world_fini(&w);
}

TEST(simulation_refuses_a_quorum_that_its_clients_cannot_make)
{
    world w;
    fl_simulation *simulation = NULL;
    fl_reason why = {""};
    world_init(&w, 4, 200, 0);
    w.options.federation.quorum = 5;
    assert_err(
        fl_simulation_new(&simulation, &w.options, new_model(COLUMNS), &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "quorum of 5");
    world_fini(&w);
}

TEST(simulation_gives_up_a_round_that_misses_its_quorum_again_and_again)
{
    world w;
    world_init(&w, 10, 200, 0);
    w.options.fleet.samples_per_s = 0.1;  // takes longer than the deadline
    run(&w);
    assert_err(w.err, FL_ERR_STATE);
    assert_reason_names(w.why, "deadline");
    assert_int_equal(w.round_count, 0);
    world_fini(&w);
}

RUN_TESTS(
    cmocka_unit_test(simulation_learns),
    cmocka_unit_test(
        simulation_gives_the_same_bits_whatever_the_number_of_threads),
    cmocka_unit_test(simulation_with_another_seed_is_another_one),
    cmocka_unit_test(simulation_goes_on_without_a_client_that_can_never_train),
    cmocka_unit_test(simulation_repeats_rounds_that_missed_their_quorum),
    cmocka_unit_test(simulation_stops_after_the_round_in_which_it_is_told_to),
    cmocka_unit_test(simulation_ends_when_a_round_cannot_be_reported),
    cmocka_unit_test(simulation_counts_every_byte_of_its_rounds),
    cmocka_unit_test(simulation_of_a_thousand_clients_is_quick),
    cmocka_unit_test(simulation_refuses_a_model_made_for_other_data),
    cmocka_unit_test(simulation_refuses_a_quorum_that_its_clients_cannot_make),
    cmocka_unit_test(
        simulation_gives_up_a_round_that_misses_its_quorum_again_and_again))
