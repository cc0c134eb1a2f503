/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/simulated.h"

#include <stdlib.h>

#include "tests/support/data_files.h"
#include "tests/test.h"

/* ---- the table ---- */

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
        double x[SIMULATED_COLUMNS];
        uint32_t label = 0;
        for (int c = 0; c < SIMULATED_COLUMNS; c++)
            x[c] = i < bad_rows ? 3e38 : fl_random_double(&random);
        for (uint32_t c = 1; c < SIMULATED_CLASSES; c++)
            if (x[c] > x[label]) label = c;
        if (i < bad_rows) label = i % SIMULATED_CLASSES;
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

/* ---- a run ---- */

static fl_err on_round(void *self, const fl_round_record *round,
                       const uint32_t *cohort, size_t cohort_len,
                       int64_t virtual_ms, fl_reason *why)
{
    simulated *w = self;
    assert_true(w->round_count < SIMULATED_ROUNDS_CAP);
    assert_in_range(cohort_len, 1, SIMULATED_COHORT_CAP);
    assert_true(virtual_ms >= w->now_ms);
    w->now_ms = virtual_ms;
    memcpy(w->cohorts[w->round_count], cohort, cohort_len * sizeof *cohort);
    w->cohort_lens[w->round_count] = cohort_len;
    w->rounds[w->round_count++] = *round;
    if (round->round == w->stop_after) atomic_store(&w->stop, true);
    if (w->round_err) return fl_reason_set(why, w->round_err, "a full disk");
    return FL_OK;
}

void simulated_init(simulated *w, uint32_t client_count, uint32_t row_count,
                    uint32_t bad_rows)
{
    data_files files;
    char spec[4 * DATA_PATH_CAP], test_spec[4 * DATA_PATH_CAP];
    *w = (simulated){
        .options = {.federation = {.round_count = 3,
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
                                   .codec = FL_CODEC_SKETCH,
                                   .density = 0.25,
                                   .density_small = 1,
                                   .release = 0.25,
                                   .grid = 0.125,
                                   .lr_decay = 1,
                                   .value_clip = 4,
                                   .weight_max = 1000,
                                   .min_survivors = 2,
                                   .phase_ms = 10000,
                                   .farewell_ms = 60000},
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

void simulated_fini(simulated *w)
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

fl_model *simulated_model(uint32_t columns)
{
    fl_model *model;
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, columns},
                                               .class_count = SIMULATED_CLASSES,
                                               .seed = 1},
                           NULL));
    return model;
}

void simulated_run(simulated *w)
{
    fl_simulation *simulation;
    fl_log_start(FL_LOG_DEBUG, drop_line, NULL);
    w->round_count = 0;
    w->now_ms = 0;
    w->why.text[0] = 0;
    atomic_store(&w->stop, false);
    free(w->model);
    assert_ok(fl_simulation_new(&simulation, &w->options,
                                simulated_model(SIMULATED_COLUMNS), &w->why));
    w->err = fl_simulation_run(simulation, &w->why);
    const uint8_t *bytes = fl_simulation_model(simulation, &w->model_len);
    w->model = malloc(w->model_len);
    assert_non_null(w->model);
    memcpy(w->model, bytes, w->model_len);
    assert_true(fl_simulation_now_ms(simulation) >= w->now_ms);
    w->now_ms = fl_simulation_now_ms(simulation);
    fl_simulation_free(simulation);
}

/* ---- what came out ---- */

static bool is_same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

void simulated_assert_same(const simulated *a, const simulated *b)
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
