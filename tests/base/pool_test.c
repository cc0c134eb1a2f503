/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE  // pthread_setattr_default_np
#include "base/pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/queue.h"
#include "tests/test.h"

enum { JOBS = 500, THREADS = 4 };

typedef struct {
    fl_job job;  // first, so that the job is the struct
    int input, output;
    pthread_t ran_on;
    fl_queue *finished;
} square;

static void run_square(fl_job *job)
{
    square *self = (square *)job;
    self->output = self->input * self->input;
    self->ran_on = pthread_self();
}

static void check_squares(unsigned thread_count)
{
    static square squares[JOBS];
    fl_pool *pool;
    assert_ok(fl_pool_new(&pool, thread_count));
    for (int i = 0; i < JOBS; i++) {
        squares[i] = (square){.job.run = run_square, .input = i};
        fl_pool_submit(pool, &squares[i].job);
    }
    for (int i = JOBS - 1; i >= 0; i--) {
        fl_pool_wait(pool, &squares[i].job);
        assert_int_equal(squares[i].output, i * i);
    }
    fl_pool_free(pool);
}

TEST(pool_runs_every_job_on_some_thread)
{
    check_squares(1);
    check_squares(THREADS);
}

TEST(pool_without_threads_runs_jobs_at_once)
{
    check_squares(0);
    fl_pool *pool;
    assert_ok(fl_pool_new(&pool, 0));
    square one = {.job.run = run_square, .input = 3};
    fl_pool_submit(pool, &one.job);
    assert_int_equal(one.output, 9);  // before any wait
    assert_true(pthread_equal(one.ran_on, pthread_self()));
    fl_pool_free(pool);
}

TEST(pool_runs_a_job_again)
{
    fl_pool *pool;
    assert_ok(fl_pool_new(&pool, 2));
    square one = {.job.run = run_square};
    for (int i = 0; i < 100; i++) {
        one.input = i;
        fl_pool_submit(pool, &one.job);
        fl_pool_wait(pool, &one.job);
        assert_int_equal(one.output, i * i);
    }
    fl_pool_free(pool);
}

typedef struct {
    fl_job job;
    int *order, *next;
    int number;
} numbered;

static void note_order(fl_job *job)
{
    const numbered *self = (const numbered *)job;
    self->order[(*self->next)++] = self->number;
}

TEST(pool_starts_jobs_in_the_order_submitted)
{
    fl_pool *pool;
    int order[100], next = 0;
    numbered jobs[100];
    assert_ok(fl_pool_new(&pool, 1));
    for (int i = 0; i < 100; i++) {
        jobs[i] = (numbered){{.run = note_order}, order, &next, i};
        fl_pool_submit(pool, &jobs[i].job);
    }
    fl_pool_free(pool);
    for (int i = 0; i < 100; i++)
        assert_int_equal(order[i], i);
}

static void push_result(fl_job *job)
{
    square *self = (square *)job;
    if (fl_queue_push(self->finished, self)) abort();
}

TEST(pool_calls_done_which_may_give_the_job_away)
{
    for (unsigned thread_count = 0; thread_count <= THREADS; thread_count++) {
        fl_pool *pool;
        fl_queue *finished;
        assert_ok(fl_queue_new(&finished, JOBS));
        assert_ok(fl_pool_new(&pool, thread_count));
        for (int i = 0; i < JOBS; i++) {
            square *job = calloc(1, sizeof *job);
            assert_non_null(job);
            job->job = (fl_job){.run = run_square, .done = push_result};
            job->input = i;
            job->finished = finished;
            fl_pool_submit(pool, &job->job);
        }
        for (int i = 0; i < JOBS; i++) {
            void *item = NULL;
            assert_ok(fl_queue_pop(finished, &item, 10000));
            square *job = item;
            assert_int_equal(job->output, job->input * job->input);
            free(job);
        }
        fl_pool_free(pool);
        fl_queue_free(finished);
    }
}

static atomic_int finished_count;

static void count_job(fl_job *job)
{
    (void)job;
    atomic_fetch_add(&finished_count, 1);
}

TEST(pool_free_finishes_submitted_jobs_first)
{
    fl_job jobs[JOBS];
    fl_pool *pool;
    assert_ok(fl_pool_new(&pool, 2));
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (fl_job){.run = count_job};
        fl_pool_submit(pool, &jobs[i]);
    }
    fl_pool_free(pool);
    assert_int_equal(atomic_load(&finished_count), JOBS);
    fl_pool_free(NULL);
}

TEST(pool_reports_a_thread_that_cannot_start)
{
    fl_pool *pool;
    pthread_attr_t usual, large;
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_getattr_default_np(&large), 0);
    pthread_attr_setstacksize(&large, (size_t)1 << 47);  // no such room
    assert_int_equal(pthread_setattr_default_np(&large), 0);
    const fl_err err = fl_pool_new(&pool, 2);
    pthread_setattr_default_np(&usual);
    pthread_attr_destroy(&large);
    pthread_attr_destroy(&usual);
    assert_err(err, FL_ERR_SYSTEM);
}

RUN_TESTS(cmocka_unit_test(pool_reports_a_thread_that_cannot_start),
          cmocka_unit_test(pool_runs_every_job_on_some_thread),
          cmocka_unit_test(pool_without_threads_runs_jobs_at_once),
          cmocka_unit_test(pool_runs_a_job_again),
          cmocka_unit_test(pool_starts_jobs_in_the_order_submitted),
          cmocka_unit_test(pool_calls_done_which_may_give_the_job_away),
          cmocka_unit_test(pool_free_finishes_submitted_jobs_first))
