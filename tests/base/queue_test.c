/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <pthread.h>

#include "base/clock.h"
#include "tests/test.h"

enum { PRODUCERS = 3, ITEMS = 2000 };

static int numbers[8];

TEST(queue_gives_items_in_order)
{
    fl_queue *queue;
    void *item;
    assert_ok(fl_queue_new(&queue, 3));
    for (int i = 0; i < 8; i++) {  // more than once around the ring
        assert_ok(fl_queue_push(queue, &numbers[i]));
        if (i == 0) continue;
        assert_ok(fl_queue_pop(queue, &item, 0));
        assert_ptr_equal(item, &numbers[i - 1]);
    }
    fl_queue_free(queue);
}

TEST(queue_refuses_an_item_when_full)
{
    fl_queue *queue;
    void *item;
    assert_ok(fl_queue_new(&queue, 1));
    assert_ok(fl_queue_push(queue, &numbers[0]));
    assert_err(fl_queue_push(queue, &numbers[1]), FL_ERR_LIMIT);
    assert_ok(fl_queue_pop(queue, &item, -1));
    assert_ptr_equal(item, &numbers[0]);
    assert_ok(fl_queue_push(queue, &numbers[1]));
    fl_queue_free(queue);
}

TEST(queue_refuses_a_size_that_memory_cannot_hold)
{
    fl_queue *queue;
    assert_err(fl_queue_new(&queue, SIZE_MAX / 2), FL_ERR_LIMIT);
    assert_err(fl_queue_new(&queue, SIZE_MAX / 16), FL_ERR_MEMORY);
}

TEST(queue_gives_up_when_nothing_comes)
{
    fl_queue *queue;
    void *item;
    assert_ok(fl_queue_new(&queue, 1));
    assert_err(fl_queue_pop(queue, &item, 0), FL_ERR_TIMEOUT);
    const int64_t before = fl_clock_monotonic_us();
    assert_err(fl_queue_pop(queue, &item, 20), FL_ERR_TIMEOUT);
    assert_true(fl_clock_monotonic_us() - before >= 20000);
    fl_queue_free(queue);
}

static void *wait_for_ever(void *queue)
{
    void *item = NULL;
    return fl_queue_pop(queue, &item, INT64_MAX) ? NULL : item;
}

TEST(queue_wakes_who_waits_for_ever)
{
    fl_queue *queue;
    pthread_t waiter;
    void *item;
    assert_ok(fl_queue_new(&queue, 1));
    pthread_create(&waiter, NULL, wait_for_ever, queue);
    assert_ok(fl_queue_push(queue, &numbers[1]));
    pthread_join(waiter, &item);
    assert_ptr_equal(item, &numbers[1]);
    fl_queue_free(queue);
    fl_queue_free(NULL);
}

static void *produce(void *queue)
{
    static int item = 7;
    for (int i = 0; i < ITEMS; i++) {
        while (fl_queue_push(queue, &item) == FL_ERR_LIMIT)
            sched_yield();
    }
    return NULL;
}

TEST(queue_loses_nothing_between_threads)
{
    fl_queue *queue;
    pthread_t producers[PRODUCERS];
    assert_ok(fl_queue_new(&queue, 16));
    for (int i = 0; i < PRODUCERS; i++)
        pthread_create(&producers[i], NULL, produce, queue);
    for (int i = 0; i < PRODUCERS * ITEMS; i++) {
        void *item = NULL;
        assert_ok(fl_queue_pop(queue, &item, 10000));
        assert_int_equal(*(int *)item, 7);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producers[i], NULL);
    void *item;
    assert_err(fl_queue_pop(queue, &item, 0), FL_ERR_TIMEOUT);
    fl_queue_free(queue);
}

RUN_TESTS(cmocka_unit_test(queue_gives_items_in_order),
          cmocka_unit_test(queue_refuses_an_item_when_full),
          cmocka_unit_test(queue_refuses_a_size_that_memory_cannot_hold),
          cmocka_unit_test(queue_gives_up_when_nothing_comes),
          cmocka_unit_test(queue_wakes_who_waits_for_ever),
          cmocka_unit_test(queue_loses_nothing_between_threads))
