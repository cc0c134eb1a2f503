/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include "tests/test.h"

// Which rows of a board are held out hangs on these: they never change.
TEST(digest_is_the_same_for_ever)
{
    assert_true(fl_digest(0, "", 0) == UINT64_C(0xf52a15e9a9b5e89b));
    assert_true(fl_digest(0, "fedge", 5) == UINT64_C(0x3dbf14c56bacd892));
    assert_true(fl_digest(1, "fedge", 5) == UINT64_C(0x4113abba0ca06fbb));
}

// 4096 short inputs: any six bits of theirs are spread evenly.
TEST(digest_spreads_short_inputs)
{
    for (unsigned shift = 0; shift <= 58; shift += 29) {
        uint32_t counts[64] = {0};
        for (uint32_t i = 0; i < 4096; i++)
            counts[fl_digest(7, &i, sizeof i) >> shift & 63]++;
        for (size_t i = 0; i < 64; i++)
            assert_in_range(counts[i], 30, 110);
    }
}

RUN_TESTS(cmocka_unit_test(digest_is_the_same_for_ever),
          cmocka_unit_test(digest_spreads_short_inputs))
