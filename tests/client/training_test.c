/* SPDX-License-Identifier: Apache-2.0 */
#include "client/training.h"

#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "tests/support/board.h"
#include "tests/test.h"

enum { STEPS = 12 };

typedef struct {
    fl_board_kit kit;
    fl_gate gate;
    fl_pool *pool;
    fl_training training;
    atomic_bool is_done;
} bench;

static void job_done(fl_job *job)
{
    bench *b = job->owner;
    atomic_store(&b->is_done, true);
}

static void bench_init(bench *b)
{
    memset(b, 0, sizeof *b);
    fl_board_kit_init(&b->kit);
    b->training.result = (fl_result){0};  // not every test begins one
    assert_ok(fl_gate_init(&b->gate));
    assert_ok(fl_pool_new(&b->pool, 1));
    b->kit.plan.batch = BOARD_ROWS;
    b->kit.plan.local_epochs = STEPS;
}

static void begin(bench *b)
{
    const fl_local_data data = fl_board_kit_data(&b->kit, true);
    const fl_client_effect effect = {.plan = &b->kit.plan};
    fl_training_begin(&b->training, &b->gate, &effect, &data);
    b->training.job.owner = b;
    b->training.job.done = job_done;
    atomic_store(&b->is_done, false);
    fl_pool_submit(b->pool, &b->training.job);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void await_end(bench *b)
{
    while (!atomic_load(&b->is_done))
        nap();
}

static void bench_fini(bench *b)
{
    fl_pool_free(b->pool);
    fl_result_fini(&b->training.result);
    fl_gate_fini(&b->gate);
    fl_board_kit_fini(&b->kit);
}

static void assert_same(const fl_result *a, const fl_result *b)
{
    assert_int_equal(a->update_len, b->update_len);
    assert_memory_equal(a->update, b->update, a->update_len);
    assert_int_equal(a->sample_count, b->sample_count);
    assert_int_equal(a->correct_count, b->correct_count);
    assert_int_equal(a->loss_sum_micro, b->loss_sum_micro);
}

static fl_result train_at_once(bench *b)
{
    fl_result result;
    const fl_local_data data = fl_board_kit_data(&b->kit, true);
    assert_ok(fl_local_work(&result, &b->kit.plan, &data, NULL));
    return result;
}

TEST(training_that_pauses_gives_the_same_bits)
{
    bench b;
    bench_init(&b);
    fl_result expected = train_at_once(&b);
    for (int pauses = 0; pauses < 5; pauses++) {
        fl_gate_set(&b.gate, true);  // before it has begun, too
        begin(&b);
        for (int i = 0; i < pauses; i++) {
            fl_training_pause(&b.training);
            fl_gate_set(&b.gate, true);
            nap();
            const long long step = atomic_load(&b.training.step);
            nap();
            // It comes to the end of its step, and no further.
            assert_true(atomic_load(&b.training.step) <= step + 1);
            fl_gate_set(&b.gate, false);
            nap();
        }
        fl_gate_set(&b.gate, false);
        await_end(&b);
        assert_ok(b.training.err);
        assert_int_equal(atomic_load(&b.training.step), STEPS);
        assert_int_equal(atomic_load(&b.training.step_count), STEPS);
        assert_same(&b.training.result, &expected);
        fl_result_fini(&b.training.result);
    }
    fl_result_fini(&expected);
    bench_fini(&b);
}

TEST(training_waits_at_a_closed_gate_and_can_be_stopped_there)
{
    bench b;
    bench_init(&b);
    fl_gate_set(&b.gate, true);
    begin(&b);
    nap();
    assert_false(atomic_load(&b.is_done));
    assert_int_equal(atomic_load(&b.training.step), 0);
    fl_training_stop(&b.training);
    await_end(&b);
    assert_err(b.training.err, FL_ERR_CANCELLED);
    assert_null(b.training.result.update);

    begin(&b);  // and in the middle
    fl_gate_set(&b.gate, false);
    while (atomic_load(&b.training.step) == 0)
        nap();
    fl_gate_set(&b.gate, true);
    fl_training_pause(&b.training);
    nap();
    fl_training_stop(&b.training);
    await_end(&b);
    assert_err(b.training.err, FL_ERR_CANCELLED);
    bench_fini(&b);
}

// It keeps nothing, and so gives the same as one that was not interrupted.
TEST(training_that_is_a_survey_begins_anew_after_a_pause)
{
    bench b;
    bench_init(&b);
    fl_board_kit_survey(&b.kit, FL_WORK_MEASURE, 1, true);
    fl_result expected = train_at_once(&b);
    for (int i = 0; i < 20; i++) {
        begin(&b);
        fl_gate_set(&b.gate, true);
        fl_training_pause(&b.training);
        if (i % 2) nap();
        fl_gate_set(&b.gate, false);
        await_end(&b);
        assert_ok(b.training.err);
        assert_same(&b.training.result, &expected);
        fl_result_fini(&b.training.result);
    }
    fl_result_fini(&expected);
    bench_fini(&b);
}

TEST(training_knows_how_long_it_may_be_paused)
{
    static fl_training t;
    t.begun_ms = 1000;
    // Nothing done yet: a quarter for the work, a tenth for what follows.
    assert_int_equal(fl_training_latest(&t, 101000), 101000 - 35000);
    atomic_store(&t.step, 10);
    atomic_store(&t.step_count, 50);
    atomic_store(&t.worked_ms, 5000);
    assert_int_equal(fl_training_latest(&t, 101000), 101000 - 10000 - 20000);
    atomic_store(&t.step, 50);
    assert_int_equal(fl_training_latest(&t, 101000), 101000 - 10000);
    assert_true(fl_training_latest(&t, INT64_MAX) > INT64_MAX / 2);
}

// The loop that sees it sends no sign of life any more.
TEST(training_is_stuck_when_it_does_not_heed_a_stop)
{
    static fl_training t;
    const int64_t now_ms = fl_clock_monotonic_ms();
    fl_gate gate;
    assert_ok(fl_gate_init(&gate));
    t.gate = &gate;
    assert_false(fl_training_is_stuck(&t, INT64_MAX));  // however long it takes
    fl_training_stop(&t);
    assert_false(fl_training_is_stuck(&t, now_ms + 9 * 60 * 1000));
    assert_true(fl_training_is_stuck(&t, now_ms + 11 * 60 * 1000));
    fl_training_stop(&t);  // asked again, it has no more time
    assert_true(fl_training_is_stuck(&t, now_ms + 11 * 60 * 1000));
    fl_gate_fini(&gate);
}

/* ---- memory ---- */

// So few MB that nothing fits; then what the least of all ways takes; then all.
TEST(training_fits_its_memory_and_gives_the_same_bits)
{
    bench b;
    bench_init(&b);
    b.kit.plan.local_epochs = 1;
    fl_local_data data = fl_board_kit_data(&b.kit, false);
    fl_result expected = train_at_once(&b), result;
    fl_reason why;
    assert_int_equal(expected.footprint.thread_count, 1);
    assert_false(expected.footprint.recomputes);
    const size_t whole = expected.footprint.bytes;
    size_t least = 0;
    bool has_recomputed = false;
    for (size_t cap = whole; cap > 0 && least == 0; cap -= whole / 64) {
        data.memory_cap = cap;
        const fl_err err = fl_local_work(&result, &b.kit.plan, &data, &why);
        if (err == FL_ERR_LIMIT) {
            least = cap;
            break;
        }
        assert_ok(err);
        assert_true(result.footprint.bytes <= cap);
        has_recomputed |= result.footprint.recomputes;
        assert_same(&result, &expected);
        fl_result_fini(&result);
    }
    assert_true(least > 0);
    assert_true(has_recomputed);
    assert_reason_names(why, "MB are for the model alone");
    assert_reason_names(why, "MB are allowed");
    data.memory_cap = 1;
    assert_err(fl_local_work(&result, &b.kit.plan, &data, &why), FL_ERR_LIMIT);
    fl_result_fini(&expected);
    bench_fini(&b);
}

RUN_TESTS(
    cmocka_unit_test(training_that_pauses_gives_the_same_bits),
    cmocka_unit_test(training_waits_at_a_closed_gate_and_can_be_stopped_there),
    cmocka_unit_test(training_that_is_a_survey_begins_anew_after_a_pause),
    cmocka_unit_test(training_knows_how_long_it_may_be_paused),
    cmocka_unit_test(training_is_stuck_when_it_does_not_heed_a_stop),
    cmocka_unit_test(training_fits_its_memory_and_gives_the_same_bits))
