/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdbool.h>

#include "base/random.h"
#include "compress/update/hadamard.h"
#include "tests/test.h"

enum { SEED = 11 };

static void draw(float *values, size_t count, uint64_t id)
{
    fl_random random;
    fl_random_init(&random, SEED, FL_RANDOM_TEST, id);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)fl_random_normal(&random);
}

// As hadamard.h has it, a stage at a time.
static void by_definition(float *x, size_t size)
{
    for (size_t h = 1; h < size; h *= 2) {
        for (size_t i = 0; i < size; i++) {
            if (i & h) continue;
            const float a = x[i], b = x[i + h];
            x[i] = a + b;
            x[i + h] = a - b;
        }
    }
    for (size_t i = 0; i < size; i++)
        x[i] *= (float)(1.0 / sqrt((double)size));
}

TEST(hadamard_is_the_documented_one_on_every_cpu)
{
    static float block[FL_HADAMARD_MAX], expected[FL_HADAMARD_MAX];
    const fl_hadamard *kernel;
    for (unsigned k = 0; (kernel = fl_hadamard_at(k)); k++) {
        for (size_t size = 1; size <= FL_HADAMARD_MAX; size *= 2) {
            draw(block, size, size);
            draw(expected, size, size);
            by_definition(expected, size);
            kernel->transform(block, size);
            assert_memory_equal(block, expected, size * sizeof *block);
        }
    }
}

// Entry (i, j) of the matrix is -1 to the number of bits that i and j share.
TEST(hadamard_is_the_matrix_of_that_name)
{
    enum { SIZE = 64 };
    for (size_t j = 0; j < SIZE; j++) {
        float block[SIZE] = {0};
        block[j] = 8.0F;
        fl_hadamard_at(0)->transform(block, SIZE);
        for (size_t i = 0; i < SIZE; i++) {
            const bool is_odd = __builtin_popcountll(i & j) % 2;
            assert_true(block[i] == (is_odd ? -1.0F : 1.0F));
        }
    }
}

TEST(hadamard_undoes_itself)
{
    static float block[FL_HADAMARD_MAX], before[FL_HADAMARD_MAX];
    const fl_hadamard *kernel;
    for (unsigned k = 0; (kernel = fl_hadamard_at(k)); k++) {
        for (size_t size = 1; size <= FL_HADAMARD_MAX; size *= 2) {
            draw(block, size, 1);
            draw(before, size, 1);
            kernel->transform(block, size);
            kernel->transform(block, size);
            for (size_t i = 0; i < size; i++) {
                const float distance = fabsf(block[i] - before[i]);
                if (!(distance <= 1e-5F)) {
                    fail_msg("%s, %zu: place %zu is %g off", kernel->name, size,
                             i, (double)distance);
                }
            }
        }
    }
}

TEST(hadamard_flips_where_a_bit_is_set)
{
    static float block[FL_HADAMARD_MAX], before[FL_HADAMARD_MAX];
    uint32_t signs[FL_HADAMARD_SIGN_WORDS];
    fl_random random;
    fl_random_init(&random, SEED, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < FL_HADAMARD_SIGN_WORDS; i++)
        signs[i] = fl_random_u32(&random);
    const fl_hadamard *kernel;
    for (unsigned k = 0; (kernel = fl_hadamard_at(k)); k++) {
        for (size_t size = 1; size <= FL_HADAMARD_MAX; size *= 2) {
            draw(block, size, 2);
            draw(before, size, 2);
            kernel->flip(block, size, signs);
            for (size_t i = 0; i < size; i++) {
                const bool is_set = signs[i / 32] >> i % 32 & 1;
                assert_true(block[i] == (is_set ? -before[i] : before[i]));
            }
        }
    }
}

RUN_TESTS(cmocka_unit_test(hadamard_is_the_documented_one_on_every_cpu),
          cmocka_unit_test(hadamard_is_the_matrix_of_that_name),
          cmocka_unit_test(hadamard_undoes_itself),
          cmocka_unit_test(hadamard_flips_where_a_bit_is_set))
