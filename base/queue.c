/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/bytes.h"

// About three years: what is longer is for ever, and nothing overflows.
static const int64_t WAIT_MAX_MS = 100000000000;

struct fl_queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;   // an item came
    size_t first, len, cap;  // a ring over items[]
    void *items[];
};

static fl_err init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes)) return FL_ERR_MEMORY;
    // Setting the wall clock must not stretch a wait.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const int failed = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return failed ? FL_ERR_MEMORY : FL_OK;
}

fl_err fl_queue_new(fl_queue **queue, size_t cap)
{
    assert(cap >= 1);
    size_t bytes;
    FL_TRY(fl_size_mul(&bytes, cap, sizeof(void *)));
    FL_TRY(fl_size_add(&bytes, bytes, sizeof(fl_queue)));
    fl_queue *made = calloc(1, bytes);
    if (!made) return FL_ERR_MEMORY;
    made->cap = cap;

    fl_err err = init_condition(&made->filled);
    if (err) goto no_condition;
    if (pthread_mutex_init(&made->mutex, NULL)) {
        err = FL_ERR_MEMORY;
        goto no_mutex;
    }
    *queue = made;
    return FL_OK;

no_mutex:
    pthread_cond_destroy(&made->filled);
no_condition:
    free(made);
    return err;
}

void fl_queue_free(fl_queue *queue)
{
    if (!queue) return;
    pthread_mutex_destroy(&queue->mutex);
    pthread_cond_destroy(&queue->filled);
    free(queue);
}

fl_err fl_queue_push(fl_queue *queue, void *item)
{
    fl_err err = FL_OK;
    pthread_mutex_lock(&queue->mutex);
    if (queue->len == queue->cap) {
        err = FL_ERR_LIMIT;
    } else {
        queue->items[(queue->first + queue->len) % queue->cap] = item;
        queue->len++;
        pthread_cond_signal(&queue->filled);
    }
    pthread_mutex_unlock(&queue->mutex);
    return err;
}

static struct timespec time_after(int64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(wait_ms / 1000);
    at.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (at.tv_nsec >= 1000000000) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000;
    }
    return at;
}

// With the mutex held: until there is an item or no time left.
static void wait_for_item(fl_queue *queue, int64_t wait_ms)
{
    if (wait_ms < 0 || wait_ms > WAIT_MAX_MS) {
        while (queue->len == 0) {
            pthread_cond_wait(&queue->filled, &queue->mutex);
        }
        return;
    }
    if (wait_ms == 0) return;
    const struct timespec deadline = time_after(wait_ms);
    int waited = 0;
    while (queue->len == 0 && waited != ETIMEDOUT) {
        waited =
            pthread_cond_timedwait(&queue->filled, &queue->mutex, &deadline);
    }
}

fl_err fl_queue_pop(fl_queue *queue, void **item, int64_t wait_ms)
{
    fl_err err = FL_OK;
    pthread_mutex_lock(&queue->mutex);
    wait_for_item(queue, wait_ms);
    if (queue->len > 0) {
        *item = queue->items[queue->first];
        queue->first = (queue->first + 1) % queue->cap;
        queue->len--;
        // An empty one begins anew, to touch no more memory than it needs.
        if (queue->len == 0) queue->first = 0;
    } else {
        err = FL_ERR_TIMEOUT;
    }
    pthread_mutex_unlock(&queue->mutex);
    return err;
}
