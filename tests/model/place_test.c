/* SPDX-License-Identifier: Apache-2.0 */
#include "model/place.h"

#include <stdbool.h>

#include "base/random.h"
#include "tests/test.h"

enum { COUNT = 60 };

static bool collide(const fl_block *a, const fl_block *b)
{
    return a->used.first <= b->used.last && b->used.first <= a->used.last &&
           a->at < b->at + b->floats && b->at < a->at + a->floats;
}

TEST(place_keeps_blocks_apart_that_live_at_the_same_time)
{
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 0);
    for (unsigned round = 0; round < 50; round++) {
        fl_block blocks[COUNT];
        size_t sum = 0, floats;
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i].floats = fl_random_below(&random, 100);
            fl_span *used = &blocks[i].used;
            used->first = fl_random_below(&random, 40);
            used->last = used->first + fl_random_below(&random, 9);
        }
        assert_ok(fl_place_blocks(blocks, COUNT, &floats));
        for (size_t i = 0; i < COUNT; i++) {
            assert_int_equal(blocks[i].at % 16, 0);
            assert_true(blocks[i].at + blocks[i].floats <= floats);
            sum += blocks[i].floats;
            for (size_t k = 0; k < i; k++)
                assert_false(collide(&blocks[i], &blocks[k]));
        }
        assert_true(floats < sum / 2);
    }
}

TEST(place_shares_memory_between_blocks_of_different_times)
{
    fl_block blocks[] = {{.floats = 64, .used = {0, 1}},
                         {.floats = 64, .used = {1, 2}},
                         {.floats = 64, .used = {2, 3}}};
    size_t floats;
    assert_ok(fl_place_blocks(blocks, 3, &floats));
    assert_int_equal(floats, 128);
}

TEST(place_takes_no_blocks_and_empty_ones)
{
    fl_block empty = {.floats = 0};
    size_t floats = 1;
    assert_ok(fl_place_blocks(NULL, 0, &floats));
    assert_int_equal(floats, 0);
    assert_ok(fl_place_blocks(&empty, 1, &floats));
    assert_int_equal(floats, 0);
}

TEST(place_refuses_sizes_that_overflow)
{
    size_t floats;
    fl_block huge[] = {{.floats = SIZE_MAX / 8}, {.floats = SIZE_MAX / 8}};
    assert_err(fl_place_blocks(huge, 2, &floats), FL_ERR_LIMIT);
    fl_block most = {.floats = SIZE_MAX - 3};
    assert_err(fl_place_blocks(&most, 1, &floats), FL_ERR_LIMIT);
}

TEST(place_says_whose_block_is_the_largest)
{
    fl_reason why = {""};
    fl_node nodes[] = {{.name = "small"}, {.op = FL_OP_CONV, .name = "large"}};
    const fl_graph graph = {.nodes = nodes, .node_count = 2};
    const fl_block blocks[] = {{.floats = 16}, {.floats = 48, .node = 1}};
    assert_err(fl_place_refuse(blocks, 2, 36, &graph, 7, &why), FL_ERR_MEMORY);
    assert_reason_names(why, "batch of 7");
    assert_reason_names(why, "up to 400 bytes, 192 of them");
    assert_reason_names(why, "\"large\" (Conv)");
}

RUN_TESTS(
    cmocka_unit_test(place_keeps_blocks_apart_that_live_at_the_same_time),
    cmocka_unit_test(place_shares_memory_between_blocks_of_different_times),
    cmocka_unit_test(place_takes_no_blocks_and_empty_ones),
    cmocka_unit_test(place_refuses_sizes_that_overflow),
    cmocka_unit_test(place_says_whose_block_is_the_largest))
