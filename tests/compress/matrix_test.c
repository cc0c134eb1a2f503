/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/matrix.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/test.h"

enum { ROWS = 128, COLUMNS = 512, CAP = 1 << 20 };

static int32_t numbers[ROWS * COLUMNS];
static uint8_t bytes[CAP];

typedef struct {
    unsigned role;
    size_t rows, columns;
} shape;

static void code_all(fl_coder *coder, const shape *shapes, size_t shape_count,
                     const int32_t *from, int32_t *to)
{
    fl_matrix *matrix = NULL;
    assert_ok(fl_matrix_new(&matrix, COLUMNS));
    for (size_t k = 0; k < shape_count; k++) {
        const size_t count = shapes[k].rows * shapes[k].columns;
        fl_matrix_start(matrix, shapes[k].role, shapes[k].columns);
        for (size_t i = 0; i < count; i++) {
            *to++ = fl_matrix_code(matrix, coder, from ? *from++ : 0);
        }
    }
    fl_matrix_free(matrix);
}

// What `numbers` take; fails the test unless they come back.
static size_t cost(const shape *shapes, size_t shape_count)
{
    static int32_t back[ROWS * COLUMNS];
    size_t count = 0;
    for (size_t k = 0; k < shape_count; k++) {
        count += shapes[k].rows * shapes[k].columns;
    }
    fl_coder coder = fl_coder_encode(bytes, CAP);
    code_all(&coder, shapes, shape_count, numbers, back);
    assert_ok(fl_coder_finish(&coder));
    const size_t len = coder.len;
    fl_coder decoder = fl_coder_decode(bytes, len);
    code_all(&decoder, shapes, shape_count, NULL, back);
    assert_ok(fl_coder_finish(&decoder));
    assert_memory_equal(back, numbers, count * sizeof *back);
    return len;
}

// Rows and columns of very different weight, each place on its own.
static void draw(double share, double spread)
{
    static double rows[ROWS], columns[COLUMNS];
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, (uint64_t)(share * 1000.0));
    for (int i = 0; i < ROWS; i++) {
        rows[i] = exp(spread * fl_random_normal(&random));
    }
    for (int i = 0; i < COLUMNS; i++) {
        columns[i] = exp(spread * fl_random_normal(&random));
    }
    const double mean = exp(spread * spread);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const double chance =
            share * rows[i / COLUMNS] * columns[i % COLUMNS] / mean;
        numbers[i] = 0;
        if (fl_random_double(&random) >= chance) continue;
        numbers[i] = fl_random_below(&random, 8) == 0 ? 2 : 1;
        if (fl_random_below(&random, 2)) numbers[i] = -numbers[i];
    }
}

// Bytes that a coder without memory needs: flags, signs, sizes.
static double memoryless(void)
{
    double counts[3] = {0.0};
    const double all = ROWS * COLUMNS;
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        counts[abs(numbers[i])]++;
    }
    double bits = counts[1] + counts[2];  // signs
    for (int i = 0; i < 3; i++) {
        if (counts[i] > 0.0) bits -= counts[i] * log2(counts[i] / all);
    }
    return bits / 8.0;
}

// Where there is one in a hundred, there is little to learn rows from.
TEST(matrix_says_clustered_numbers_in_less_than_their_entropy)
{
    static const shape whole = {0, ROWS, COLUMNS};
    static const struct {
        double share, bar;
    } cases[] = {{0.01, 1.03}, {0.05, 0.96}, {0.2, 0.96}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        draw(cases[i].share, 0.7);
        const double len = (double)cost(&whole, 1), bound = memoryless();
        if (len > cases[i].bar * bound) {
            fail_msg("share %g: %g bytes, not below %g of %g", cases[i].share,
                     len, cases[i].bar, bound);
        }
    }
}

TEST(matrix_loses_little_where_nothing_clusters)
{
    static const shape whole = {0, ROWS, COLUMNS};
    draw(0.05, 0.0);
    const double len = (double)cost(&whole, 1), bound = memoryless();
    if (len > 1.02 * bound) fail_msg("%g bytes, not %g", len, bound);
}

TEST(matrix_of_zeros_is_small)
{
    static const shape whole = {0, ROWS, COLUMNS};
    memset(numbers, 0, sizeof numbers);
    assert_in_range(cost(&whole, 1), 4, 24);
}

TEST(matrix_gives_back_tensors_of_every_shape_and_role)
{
    static const shape shapes[] = {{0, 1, 1},   {1, 1, 1},   {2, 1, 7},
                                   {3, 1, 512}, {0, 64, 1},  {0, 8, 30},
                                   {3, 16, 32}, {0, 64, 512}};
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, 77);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const unsigned bits = fl_random_below(&random, 24);
        numbers[i] = (int32_t)(fl_random_u32(&random) >> (8 + bits));
        if (fl_random_below(&random, 2)) numbers[i] = -numbers[i];
    }
    numbers[0] = (1 << 24) - 1;
    numbers[1] = -numbers[0];
    (void)cost(shapes, sizeof shapes / sizeof *shapes);
}

// Every number otherwise than all before: no bound of bytes holds without it.
TEST(matrix_needs_no_more_than_8_bytes_a_number)
{
    static const shape whole = {0, ROWS, COLUMNS};
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        const int32_t large = (1 << 24) - 1 - (i * 7919 & 0x7fffff);
        numbers[i] = i % 3 == 0 ? 0 : i % 2 == 0 ? large : -large;
    }
    assert_in_range(cost(&whole, 1), 0, 8 * ROWS * COLUMNS);
}

RUN_TESTS(
    cmocka_unit_test(matrix_says_clustered_numbers_in_less_than_their_entropy),
    cmocka_unit_test(matrix_loses_little_where_nothing_clusters),
    cmocka_unit_test(matrix_of_zeros_is_small),
    cmocka_unit_test(matrix_gives_back_tensors_of_every_shape_and_role),
    cmocka_unit_test(matrix_needs_no_more_than_8_bytes_a_number))
