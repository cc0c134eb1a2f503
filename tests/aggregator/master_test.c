/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/master.h"

#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "aggregator/store.h"
#include "base/bytes.h"
#include "base/random.h"
#include "tests/support/scratch.h"
#include "tests/support/vector.h"
#include "tests/test.h"

#define STEP    (1.0 / 16)
#define RELEASE 0.05

static fl_reason why;

static fl_model *make_model(const char *name, fl_shape input)
{
    fl_model *model = NULL;
    assert_ok(fl_model_new(
        &model,
        &(fl_model_options){
            .name = name, .input = input, .class_count = 10, .seed = 1},
        &why));
    return model;
}

// Some ten thousand parameters, without statistics.
static fl_model *small_model(void)
{
    return make_model("mlp", (fl_shape){4, 4, 1});
}

static fl_model *model_with_statistics(void)
{
    return make_model("resnet8", (fl_shape){32, 32, 3});
}

static float *copy_params(fl_model *model)
{
    const size_t bytes = fl_model_param_count(model) * sizeof(float);
    float *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, fl_model_params(model), bytes);
    return copy;
}

static void assert_same_floats(const float *a, const float *b, size_t count)
{
    assert_memory_equal(a, b, count * sizeof *a);
}

static fl_master *start(fl_model *model, double step)
{
    fl_master *master = NULL;
    assert_ok(fl_master_new(&master, model, step, RELEASE, &why));
    return master;
}

static size_t release(const fl_master *master, const fl_model *model,
                      float *published)
{
    float *scratch = malloc(fl_model_param_count(model) * sizeof *scratch + 1);
    assert_non_null(scratch);
    const size_t moved = fl_master_release(master, published, scratch);
    free(scratch);
    return moved;
}

// What the clients of a round have learnt; the same whenever it is asked.
static float *make_mean(size_t count, uint32_t round)
{
    fl_random random;
    fl_random_init(&random, 5, FL_RANDOM_TEST, round);
    float *mean = malloc(count * sizeof *mean);
    assert_non_null(mean);
    for (size_t i = 0; i < count; i++)
        mean[i] = 0.05F * (fl_random_float(&random) - 0.5F);
    return mean;
}

static void add_round(fl_master *master, const fl_model *model, uint32_t round)
{
    float *mean = make_mean(fl_model_param_count(model), round);
    fl_master_add(master, model, mean);
    free(mean);
}

typedef struct {
    uint8_t *at;
    size_t len;
} bytes;

static bytes encode(const fl_master *master, uint32_t round)
{
    bytes made = {.len = fl_master_bytes(master)};
    made.at = malloc(made.len);
    assert_non_null(made.at);
    assert_ok(fl_master_encode(master, round, made.at, made.len));
    return made;
}

static bytes encode_model(const fl_model *model)
{
    bytes made = {.len = fl_model_bytes(model)};
    made.at = malloc(made.len);
    assert_non_null(made.at);
    assert_ok(fl_model_encode(model, made.at, made.len));
    return made;
}

/* ---- how it begins ---- */

TEST(master_starts_as_the_model_moved_onto_its_grid)
{
    fl_model *model = small_model();
    const size_t count = fl_model_param_count(model);
    float *before = copy_params(model), *snapped = copy_params(model);
    fl_master *master = start(model, STEP);
    assert_non_null(fl_master_grid(master));
    fl_grid_snap(fl_master_grid(master), snapped);
    assert_same_floats(fl_model_params(model), snapped, count);
    assert_same_floats(fl_master_params(master), snapped, count);
    assert_memory_not_equal(before, snapped, count * sizeof *before);
    const fl_master_scale scale = fl_master_get_scale(master);
    assert_int_equal(scale.clients, 0);
    assert_true(scale.rms[0] == 0 && scale.rms[1] == 0);
    assert_int_equal(release(master, model, fl_model_params(model)), 0);
    free(before);
    free(snapped);
    fl_master_free(master);
    fl_master_free(NULL);
    fl_model_free(model);
}

TEST(master_without_a_step_is_what_is_published)
{
    fl_model *model = small_model();
    const size_t count = fl_model_param_count(model);
    float *before = copy_params(model), *params = fl_model_params(model);
    fl_master *master = start(model, 0);
    assert_null(fl_master_grid(master));
    assert_same_floats(params, before, count);
    assert_same_floats(fl_master_params(master), before, count);

    float *mean = calloc(count, sizeof *mean);
    assert_non_null(mean);
    mean[3] = 0.25F;
    mean[count - 1] = 1e-3F;
    fl_master_add(master, model, mean);
    assert_int_equal(release(master, model, params), 2);
    assert_float_equal(params[3], before[3] + 0.25F, 0);
    assert_same_floats(params, fl_master_params(master), count);
    assert_int_equal(release(master, model, params), 0);
    free(mean);
    free(before);
    fl_master_free(master);
    fl_model_free(model);
}

TEST(master_refuses_shares_and_steps_that_make_no_sense)
{
    static const double steps[] = {-0.1, 1.5, (double)NAN, (double)INFINITY};
    static const double shares[] = {0, -0.1, 1.01, (double)NAN};
    fl_model *model = small_model();
    float *before = copy_params(model);
    fl_master *master = NULL;
    for (size_t i = 0; i < 4; i++) {
        assert_err(fl_master_new(&master, model, steps[i], RELEASE, &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "grid");
        assert_err(fl_master_new(&master, model, STEP, shares[i], &why),
                   FL_ERR_RANGE);
        assert_reason_names(why, "release");
    }
    assert_null(master);
    assert_same_floats(fl_model_params(model), before,
                       fl_model_param_count(model));
    free(before);
    fl_model_free(model);
}

/* ---- rounds ---- */

TEST(master_moves_the_share_that_is_furthest_away_and_keeps_the_rest)
{
    fl_model *model = small_model();
    const size_t count = fl_model_param_count(model);
    const size_t share = (size_t)lround(RELEASE * (double)count);
    fl_master *master = start(model, STEP);
    float *params = fl_model_params(model), *before = copy_params(model);
    add_round(master, model, 1);
    assert_int_equal(release(master, model, params), share);

    // Who stayed is not further away than who has moved was.
    float most = 0, least = INFINITY;
    for (size_t i = 0; i < count; i++) {
        const float away = fabsf(fl_master_params(master)[i] - before[i]);
        if (params[i] == before[i]) most = fmaxf(most, away);
        if (params[i] != before[i]) least = fminf(least, away);
    }
    assert_true(least >= most && most > 0);

    // Nothing is lost: without further updates all arrive in the end.
    size_t rounds = 1;
    while (release(master, model, params) > 0)
        rounds++;
    assert_true(rounds > 2 && rounds <= 20);
    float *snapped = malloc(count * sizeof *snapped);
    assert_non_null(snapped);
    memcpy(snapped, fl_master_params(master), count * sizeof *snapped);
    fl_grid_snap(fl_master_grid(master), snapped);
    assert_same_floats(params, snapped, count);
    free(snapped);
    free(before);
    fl_master_free(master);
    fl_model_free(model);
}

TEST(master_moves_one_coordinate_at_least)
{
    fl_model *model = small_model();
    fl_master *master = NULL;
    assert_ok(fl_master_new(&master, model, STEP, 1e-9, &why));
    add_round(master, model, 1);
    assert_int_equal(release(master, model, fl_model_params(model)), 1);
    fl_master_free(master);
    fl_model_free(model);
}

static double share_of_statistics(const fl_model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role == FL_TENSOR_STATISTIC) count += tensor.count;
    }
    return (double)count / (double)fl_model_param_count(model);
}

TEST(master_adds_statistics_as_what_can_be_averaged)
{
    fl_model *model = model_with_statistics();
    const size_t count = fl_model_param_count(model);
    assert_true(share_of_statistics(model) > 0);
    fl_master *master = start(model, STEP);
    float *expected = copy_params(model), *mean = make_mean(count, 1);
    fl_model_variances_to_squares(model, expected);
    for (size_t i = 0; i < count; i++)
        expected[i] += mean[i];
    fl_model_squares_to_variances(model, expected);
    fl_master_add(master, model, mean);
    assert_same_floats(fl_master_params(master), expected, count);
    free(mean);
    free(expected);
    fl_master_free(master);
    fl_model_free(model);
}

TEST(master_moves_all_statistics_beside_the_share)
{
    fl_model *model = model_with_statistics();
    const size_t count = fl_model_param_count(model);
    fl_master *master = start(model, STEP);
    float *params = fl_model_params(model), *snapped = copy_params(model);
    add_round(master, model, 1);
    assert_int_equal(release(master, model, params),
                     lround(RELEASE * (double)count));
    memcpy(snapped, fl_master_params(master), count * sizeof *snapped);
    fl_grid_snap(fl_master_grid(master), snapped);
    for (size_t i = 0; i < fl_model_tensor_count(model); i++) {
        const fl_tensor_info tensor = fl_model_tensor(model, i);
        if (tensor.role != FL_TENSOR_STATISTIC) continue;
        assert_same_floats(params + tensor.offset, snapped + tensor.offset,
                           tensor.count);
    }
    free(snapped);
    fl_master_free(master);
    fl_model_free(model);
}

TEST(master_keeps_what_the_last_sum_has_told)
{
    fl_model *model = small_model();
    fl_master *master = start(model, STEP);
    fl_master_set_scale(master,
                        &(fl_master_scale){.rms = {0.5, 2}, .clients = 9});
    fl_master_scale scale = fl_master_get_scale(master);
    assert_true(scale.rms[0] == 0.5 && scale.rms[1] == 2);
    assert_int_equal(scale.clients, 9);
    fl_master_set_scale(
        master, &(fl_master_scale){.rms = {(double)NAN, -1}, .clients = 9});
    scale = fl_master_get_scale(master);
    assert_true(scale.rms[0] == 0 && scale.rms[1] == 0);
    fl_master_set_scale(
        master, &(fl_master_scale){.rms = {(double)INFINITY, 1}, .clients = 9});
    scale = fl_master_get_scale(master);
    assert_true(scale.rms[0] == 0 && scale.rms[1] == 1);
    fl_master_free(master);
    fl_model_free(model);
}

/* ---- bytes ---- */

enum {  // where they are
    AT_VERSION = 12,
    AT_ROUND = 16,
    AT_CLIENTS = 20,
    AT_STEP_COUNT = 24,
    AT_PARAM_COUNT = 28,
    AT_RMS = 36,
    AT_STEPS = 52,
};

// A master after a round, and what it was saved as.
typedef struct {
    fl_model *model;
    fl_master *master;
    bytes saved;
} world;

static world open_world(double step)
{
    world w = {.model = small_model()};
    w.master = start(w.model, step);
    add_round(w.master, w.model, 1);
    (void)release(w.master, w.model, fl_model_params(w.model));
    fl_master_set_scale(
        w.master, &(fl_master_scale){.rms = {0.125, 0.25}, .clients = 10});
    w.saved = encode(w.master, 7);
    return w;
}

static void close_world(world *w)
{
    free(w->saved.at);
    fl_master_free(w->master);
    fl_model_free(w->model);
}

static void assert_comes_back(double step)
{
    world w = open_world(step);
    const size_t count = fl_model_param_count(w.model);
    fl_master *found = NULL;
    assert_ok(fl_master_decode(&found, w.model, 7, RELEASE, w.saved.at,
                               w.saved.len, &why));
    const bytes again = encode(found, 7);
    assert_int_equal(again.len, w.saved.len);
    assert_memory_equal(again.at, w.saved.at, again.len);
    const fl_master_scale scale = fl_master_get_scale(found);
    assert_int_equal(scale.clients, 10);
    assert_true(scale.rms[0] == 0.125 && scale.rms[1] == 0.25);

    // The next round is the same, too.
    float *published = copy_params(w.model);
    add_round(w.master, w.model, 2);
    add_round(found, w.model, 2);
    assert_int_equal(release(w.master, w.model, fl_model_params(w.model)),
                     release(found, w.model, published));
    assert_same_floats(fl_model_params(w.model), published, count);
    free(published);
    free(again.at);
    fl_master_free(found);
    close_world(&w);
}

TEST(master_comes_back_from_its_bytes_as_it_was)
{
    assert_comes_back(STEP);
}

TEST(master_without_a_grid_comes_back_from_its_bytes)
{
    assert_comes_back(0);
}

TEST(master_has_the_bytes_that_are_written_down)
{
    enum { STEPS = 6, PARAMS = 11082 };
    world w = open_world(STEP);
    size_t head_len = 0, step_count;
    uint8_t *head = fl_vector_read(&head_len, "docs/format.md", "master");
    const float *steps = fl_grid_steps(fl_master_grid(w.master), &step_count);
    assert_non_null(head);
    assert_int_equal(head_len, AT_STEPS);
    assert_int_equal(step_count, STEPS);
    assert_int_equal(fl_model_param_count(w.model), PARAMS);
    assert_int_equal(w.saved.len, AT_STEPS + (STEPS + PARAMS) * 4);
    assert_memory_equal(w.saved.at, head, head_len);
    for (size_t i = 0; i < STEPS + PARAMS; i++) {
        const float expected =
            i < STEPS ? steps[i] : fl_master_params(w.master)[i - STEPS];
        uint32_t bits;
        memcpy(&bits, &expected, sizeof bits);
        assert_int_equal(fl_bytes_get_u32(w.saved.at + AT_STEPS + 4 * i), bits);
    }
    free(head);
    close_world(&w);
}

TEST(master_refuses_to_be_written_where_it_does_not_fit)
{
    world w = open_world(STEP);
    assert_err(fl_master_encode(w.master, 7, w.saved.at, w.saved.len - 1),
               FL_ERR_SPACE);
    assert_err(fl_master_encode(w.master, 7, w.saved.at, 0), FL_ERR_SPACE);
    close_world(&w);
}

static void refuse(const world *w, fl_err err, const char *word)
{
    fl_master *found = NULL;
    assert_err(fl_master_decode(&found, w->model, 7, RELEASE, w->saved.at,
                                w->saved.len, &why),
               err);
    assert_reason_names(why, word);
    assert_null(found);
}

// With these four bytes in the place of those.
static void refuse_with(world *w, size_t at, uint32_t value, fl_err err,
                        const char *word)
{
    const uint32_t before = fl_bytes_get_u32(w->saved.at + at);
    fl_bytes_put_u32(w->saved.at + at, value);
    refuse(w, err, word);
    fl_bytes_put_u32(w->saved.at + at, before);
}

TEST(master_refuses_bytes_that_are_cut_or_too_many)
{
    world w = open_world(STEP);
    const size_t len = w.saved.len;
    for (w.saved.len = 0; w.saved.len < 200; w.saved.len++)
        refuse(&w, FL_ERR_FORMAT, "backup");
    for (w.saved.len = len - 9; w.saved.len < len; w.saved.len++)
        refuse(&w, FL_ERR_FORMAT, "not as long");
    w.saved.at = realloc(w.saved.at, len + 1);
    assert_non_null(w.saved.at);
    w.saved.at[len] = 0;
    w.saved.len = len + 1;
    refuse(&w, FL_ERR_FORMAT, "not as long");
    close_world(&w);
}

TEST(master_refuses_a_head_that_is_wrong)
{
    world w = open_world(STEP);
    refuse_with(&w, 0, 0, FL_ERR_FORMAT, "begin");
    refuse_with(&w, 8, 0, FL_ERR_FORMAT, "begin");
    refuse_with(&w, AT_VERSION, 0, FL_ERR_UNSUPPORTED, "version 0");
    refuse_with(&w, AT_VERSION, 2, FL_ERR_UNSUPPORTED, "version 2");
    refuse_with(&w, AT_ROUND, 8, FL_ERR_FORMAT, "round 8");
    refuse_with(&w, AT_STEP_COUNT, 5, FL_ERR_FORMAT, "5 steps");
    refuse_with(&w, AT_STEP_COUNT, UINT32_MAX, FL_ERR_FORMAT, "steps");
    refuse_with(&w, AT_STEP_COUNT, 0, FL_ERR_FORMAT, "not as long");
    refuse_with(&w, AT_PARAM_COUNT, 7, FL_ERR_FORMAT, "7 parameters");
    refuse_with(&w, AT_PARAM_COUNT + 4, 1, FL_ERR_FORMAT, "parameters");
    close_world(&w);
}

TEST(master_refuses_numbers_that_are_none)
{
    static const uint32_t nan = 0x7fc00000, infinite = 0xff800000;
    world w = open_world(STEP);
    const size_t params = AT_STEPS + 6 * 4;
    refuse_with(&w, AT_RMS + 4, 0x7ff00000, FL_ERR_FORMAT, "spread");
    refuse_with(&w, AT_RMS + 4, 0xbff00000, FL_ERR_FORMAT, "spread");
    refuse_with(&w, AT_RMS + 12, 0x7ff80000, FL_ERR_FORMAT, "spread");
    refuse_with(&w, AT_STEPS, nan, FL_ERR_FORMAT, "steps");
    refuse_with(&w, AT_STEPS + 5 * 4, 0, FL_ERR_FORMAT, "steps");
    refuse_with(&w, params, nan, FL_ERR_FORMAT, "NaN");
    refuse_with(&w, w.saved.len - 4, infinite, FL_ERR_FORMAT, "infinite");
    close_world(&w);
}

TEST(master_refuses_another_model_and_share)
{
    world w = open_world(STEP);
    fl_model *other = make_model("mlp", (fl_shape){4, 5, 1});
    fl_master *found = NULL;
    assert_err(fl_master_decode(&found, other, 7, RELEASE, w.saved.at,
                                w.saved.len, &why),
               FL_ERR_FORMAT);
    assert_reason_names(why, "parameters");
    assert_err(
        fl_master_decode(&found, w.model, 7, 0, w.saved.at, w.saved.len, &why),
        FL_ERR_RANGE);
    assert_reason_names(why, "release");
    assert_null(found);
    fl_model_free(other);
    close_world(&w);
}

// Whatever one byte becomes: refused, or read and written as it is.
TEST(master_has_one_encoding)
{
    world w = open_world(STEP);
    fl_random random;
    fl_random_init(&random, 9, FL_RANDOM_TEST, 0);
    for (unsigned i = 0; i < 600; i++) {
        const size_t at = i < AT_STEPS + 48
                              ? i
                              : fl_random_below(&random, (uint32_t)w.saved.len);
        const uint8_t flip = (uint8_t)(1U << fl_random_below(&random, 8));
        fl_master *found = NULL;
        w.saved.at[at] ^= flip;
        if (!fl_master_decode(&found, w.model, 7, RELEASE, w.saved.at,
                              w.saved.len, &why)) {
            const bytes again = encode(found, 7);
            assert_memory_equal(again.at, w.saved.at, again.len);
            free(again.at);
            fl_master_free(found);
        }
        w.saved.at[at] ^= flip;
    }
    close_world(&w);
}

/* ---- crashes ---- */

static char folder[FL_SCRATCH_CAP];

static void save(fl_store *store, const fl_master *master,
                 const fl_model *model, uint32_t round)
{
    const bytes onnx = encode_model(model), blob = encode(master, round);
    fl_round_record record = {.round = round, .accuracy = (double)NAN};
    const fl_err err = fl_store_finish_round(store, &record, onnx.at, onnx.len,
                                             blob.at, blob.len, &why);
    free(onnx.at);
    free(blob.at);
    if (err) _exit(2);
}

static void advance(fl_master *master, fl_model *model, uint32_t round)
{
    add_round(master, model, round);
    (void)release(master, model, fl_model_params(model));
}

// What the store holds, as it is read at a start. False: nothing yet.
static bool load(fl_store *store, fl_master **master, fl_model **model,
                 uint32_t *round)
{
    bytes onnx = {NULL, 0}, blob = {NULL, 0};
    fl_round_record record;
    const fl_err err = fl_store_last_round(store, &record, &onnx.at, &onnx.len,
                                           &blob.at, &blob.len, &why);
    if (err == FL_ERR_NOT_FOUND) return false;
    assert_ok(err);
    assert_ok(fl_model_decode(model, onnx.at, onnx.len, &why));
    assert_ok(fl_master_decode(master, *model, record.round, RELEASE, blob.at,
                               blob.len, &why));
    *round = record.round;
    free(onnx.at);
    free(blob.at);
    return true;
}

// An aggregator's life: goes on from what is saved; tells of each round.
static void live(void *self, int report)
{
    (void)self;
    fl_store *store = NULL;
    fl_master *master = NULL;
    fl_model *model = NULL;
    uint32_t round = 0;
    if (fl_store_open(&store, folder, false, &why)) _exit(1);
    if (!load(store, &master, &model, &round)) {
        model = small_model();
        master = start(model, STEP);
        save(store, master, model, 0);
    }
    for (;;) {
        round++;
        advance(master, model, round);
        save(store, master, model, round);
        if (write(report, &round, sizeof round) != sizeof round) _exit(3);
    }
}

static void assert_same_state(const fl_master *a, const fl_model *a_model,
                              const fl_master *b, const fl_model *b_model)
{
    const bytes a_blob = encode(a, 0), b_blob = encode(b, 0);
    const bytes a_onnx = encode_model(a_model), b_onnx = encode_model(b_model);
    assert_int_equal(a_blob.len, b_blob.len);
    assert_memory_equal(a_blob.at, b_blob.at, a_blob.len);
    assert_int_equal(a_onnx.len, b_onnx.len);
    assert_memory_equal(a_onnx.at, b_onnx.at, a_onnx.len);
    free(a_blob.at);
    free(b_blob.at);
    free(a_onnx.at);
    free(b_onnx.at);
}

// Beside one who is killed again and again, one who never is: no update is
// missing in the master or in it twice, and what is published is of that round.
TEST(master_survives_kills_with_every_update_in_it_once)
{
    assert_ok(fl_secure_start());
    assert_true(fl_scratch_make(folder));
    fl_model *steady_model = small_model();
    fl_master *steady = start(steady_model, STEP);
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 0);
    uint32_t done = 0;
    unsigned reported = 0;
    for (unsigned i = 0; i < 40 || done <= 10; i++) {
        assert_true(i < 1000);
        const unsigned after_us =
            5000 + fl_random_below(&random, 40000 + i * 500);
        assert_true(fl_scratch_kill(live, NULL, after_us, &reported));
        fl_store *store = NULL;
        fl_master *master = NULL;
        fl_model *model = NULL;
        uint32_t round = 0;
        assert_ok(fl_store_open(&store, folder, false, &why));
        if (load(store, &master, &model, &round)) {
            assert_true(round >= reported && round <= reported + 1);
            while (done < round)
                advance(steady, steady_model, ++done);
            assert_same_state(master, model, steady, steady_model);
        }
        reported = round;
        fl_master_free(master);
        fl_model_free(model);
        fl_store_close(store);
    }
    fl_master_free(steady);
    fl_model_free(steady_model);
    fl_scratch_remove(folder);
}

/* ---- fewer channels ---- */

static void check_shrunk(double step)
{
    fl_model *model = model_with_statistics(), *smaller = NULL;
    fl_master *master = start(model, step), *shrunk = NULL;
    fl_channels *channels = NULL;
    uint32_t *from = NULL;
    assert_ok(fl_channels_new(&channels, model, &why));
    const size_t count = fl_channels_count(channels);
    bool *keep = calloc(count, sizeof *keep);
    assert_non_null(keep);
    for (size_t c = 0; c < count; c++)
        keep[c] = c % 2 == 0;
    // The master is elsewhere than what is published.
    float *params = fl_master_params(master);
    for (size_t i = 0; i < fl_model_param_count(model); i++)
        params[i] += (float)(i % 7) * 1e-3F;
    assert_ok(fl_model_shrink(&smaller, &from, model, channels, keep, &why));
    assert_ok(fl_master_shrink(&shrunk, master, smaller, from, &why));
    for (size_t i = 0; i < fl_model_param_count(smaller); i++)
        assert_true(fl_master_params(shrunk)[i] == params[from[i]]);
    if (step > 0) {
        size_t before_count, after_count;
        const float *before =
            fl_grid_steps(fl_master_grid(master), &before_count);
        const float *after =
            fl_grid_steps(fl_master_grid(shrunk), &after_count);
        assert_int_equal(after_count, before_count);
        assert_same_floats(after, before, after_count);
    } else {
        assert_null(fl_master_grid(shrunk));
    }
    assert_int_equal(fl_master_get_scale(shrunk).clients, 0);
    fl_master_free(shrunk);
    fl_master_free(master);
    fl_model_free(smaller);
    fl_model_free(model);
    fl_channels_free(channels);
    free(keep);
    free(from);
}

TEST(master_follows_a_model_that_loses_channels)
{
    check_shrunk(STEP);
    check_shrunk(0);
}

TEST(master_says_where_it_ends)
{
    fl_model *model = small_model();
    fl_master *master = start(model, STEP);
    const size_t len = fl_master_bytes(master);
    uint8_t *blob = calloc(len + 9, 1);
    assert_non_null(blob);
    assert_ok(fl_master_encode(master, 3, blob, len));
    assert_int_equal(fl_master_len(blob, len + 9), len);
    assert_int_equal(fl_master_len(blob, len), len);
    assert_int_equal(fl_master_len(blob, len - 1), len - 1);  // it is cut
    assert_int_equal(fl_master_len(blob, 5), 5);
    blob[0] ^= 1;
    assert_int_equal(fl_master_len(blob, len + 9), len + 9);
    free(blob);
    fl_master_free(master);
    fl_model_free(model);
}

RUN_TESTS(cmocka_unit_test(master_follows_a_model_that_loses_channels),
          cmocka_unit_test(master_says_where_it_ends),
          cmocka_unit_test(master_starts_as_the_model_moved_onto_its_grid),
          cmocka_unit_test(master_without_a_step_is_what_is_published),
          cmocka_unit_test(master_refuses_shares_and_steps_that_make_no_sense),
          cmocka_unit_test(
              master_moves_the_share_that_is_furthest_away_and_keeps_the_rest),
          cmocka_unit_test(master_moves_one_coordinate_at_least),
          cmocka_unit_test(master_adds_statistics_as_what_can_be_averaged),
          cmocka_unit_test(master_moves_all_statistics_beside_the_share),
          cmocka_unit_test(master_keeps_what_the_last_sum_has_told),
          cmocka_unit_test(master_comes_back_from_its_bytes_as_it_was),
          cmocka_unit_test(master_without_a_grid_comes_back_from_its_bytes),
          cmocka_unit_test(master_has_the_bytes_that_are_written_down),
          cmocka_unit_test(master_refuses_to_be_written_where_it_does_not_fit),
          cmocka_unit_test(master_refuses_bytes_that_are_cut_or_too_many),
          cmocka_unit_test(master_refuses_a_head_that_is_wrong),
          cmocka_unit_test(master_refuses_numbers_that_are_none),
          cmocka_unit_test(master_refuses_another_model_and_share),
          cmocka_unit_test(master_has_one_encoding),
          cmocka_unit_test(master_survives_kills_with_every_update_in_it_once))
