/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/random.h"
#include "tests/test.h"

enum { KEYS = 512 };

TEST(map_behaves_like_an_array_under_random_use)
{
    fl_map map;
    fl_random random;
    uint32_t expected[KEYS] = {0};  // 0: not in the map
    fl_map_init(&map, KEYS);
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (uint32_t step = 1; step < 40000; step++) {
        const uint32_t key = fl_random_below(&random, KEYS);
        if (fl_random_below(&random, 2)) {
            assert_ok(fl_map_set(&map, key, step));
            expected[key] = step;
        } else {
            fl_map_remove(&map, key);
            expected[key] = 0;
        }
        const uint32_t asked = fl_random_below(&random, KEYS);
        uint32_t value = 0;
        assert_int_equal(fl_map_get(&map, asked, &value), expected[asked] != 0);
        assert_int_equal(value, expected[asked]);
    }
    fl_map_fini(&map);
}

TEST(map_refuses_more_keys_than_its_maximum)
{
    fl_map map;
    fl_map_init(&map, 2);
    assert_ok(fl_map_set(&map, 10, 1));
    assert_ok(fl_map_set(&map, 20, 2));
    assert_err(fl_map_set(&map, 30, 3), FL_ERR_LIMIT);
    assert_ok(fl_map_set(&map, 20, 4));  // replacing is not adding
    fl_map_fini(&map);
}

RUN_TESTS(cmocka_unit_test(map_behaves_like_an_array_under_random_use),
          cmocka_unit_test(map_refuses_more_keys_than_its_maximum))
