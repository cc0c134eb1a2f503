/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/bytes.h"

// fl_job.state; a job with a `done` is not touched after it.
enum { JOB_WAITING = 1, JOB_FINISHED = 2 };

struct fl_pool {
    pthread_mutex_t mutex;
    pthread_cond_t submitted;  // a job came, or the pool is closing
    pthread_cond_t finished;   // some job's state became JOB_FINISHED
    fl_job *first, **last;     // jobs that nobody runs yet; *last is the end
    bool is_closing;
    unsigned thread_count;
    pthread_t threads[];
};

static void run_job(fl_pool *pool, fl_job *job)
{
    job->run(job);
    if (job->done) {
        job->done(job);  // may free the job
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    job->state = JOB_FINISHED;
    pthread_cond_broadcast(&pool->finished);
    pthread_mutex_unlock(&pool->mutex);
}

// The next job; NULL when the pool is closing and nothing is left to do.
static fl_job *take_job(fl_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    while (!pool->first && !pool->is_closing) {
        pthread_cond_wait(&pool->submitted, &pool->mutex);
    }
    fl_job *job = pool->first;
    if (job) {
        pool->first = job->next;
        if (!pool->first) pool->last = &pool->first;
    }
    pthread_mutex_unlock(&pool->mutex);
    return job;
}

static void *work(void *self)
{
    fl_pool *pool = self;
    for (fl_job *job = take_job(pool); job; job = take_job(pool)) {
        run_job(pool, job);
    }
    return NULL;
}

static fl_err init_locks(fl_pool *pool)
{
    if (pthread_mutex_init(&pool->mutex, NULL)) return FL_ERR_SYSTEM;
    if (pthread_cond_init(&pool->submitted, NULL)) goto no_submitted;
    if (pthread_cond_init(&pool->finished, NULL)) goto no_finished;
    return FL_OK;

no_finished:
    pthread_cond_destroy(&pool->submitted);
no_submitted:
    pthread_mutex_destroy(&pool->mutex);
    return FL_ERR_SYSTEM;
}

fl_err fl_pool_new(fl_pool **pool, unsigned thread_count)
{
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, thread_count, sizeof(pthread_t)));
    FL_TRY(fl_size_add(&bytes, bytes, sizeof(fl_pool)));
    fl_pool *made = calloc(1, bytes);
    if (!made) return FL_ERR_MEMORY;
    const fl_err err = init_locks(made);
    if (err) {
        free(made);
        return err;
    }
    made->last = &made->first;

    for (unsigned i = 0; i < thread_count; i++) {
        if (pthread_create(&made->threads[i], NULL, work, made)) {
            fl_pool_free(made);
            return FL_ERR_SYSTEM;
        }
        made->thread_count++;
    }
    *pool = made;
    return FL_OK;
}

void fl_pool_free(fl_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    pool->is_closing = true;
    pthread_cond_broadcast(&pool->submitted);
    pthread_mutex_unlock(&pool->mutex);
    for (unsigned i = 0; i < pool->thread_count; i++) {
        pthread_join(pool->threads[i], NULL);
    }

    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->submitted);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

void fl_pool_submit(fl_pool *pool, fl_job *job)
{
    assert(job->run);
    job->next = NULL;
    job->state = JOB_WAITING;
    if (pool->thread_count == 0) {
        run_job(pool, job);
        return;
    }
    pthread_mutex_lock(&pool->mutex);
    *pool->last = job;
    pool->last = &job->next;
    pthread_cond_signal(&pool->submitted);
    pthread_mutex_unlock(&pool->mutex);
}

void fl_pool_wait(fl_pool *pool, fl_job *job)
{
    assert(!job->done);
    pthread_mutex_lock(&pool->mutex);
    while (job->state != JOB_FINISHED) {
        pthread_cond_wait(&pool->finished, &pool->mutex);
    }
    pthread_mutex_unlock(&pool->mutex);
}
