/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/updates.h"
#include "tests/test.h"

enum { COUNT = FL_UPDATES_COUNT, FEW = 600 };

static fl_codec plain_codec(uint32_t bits, size_t count)
{
    fl_codec codec = fl_updates_codec(FL_CODEC_QSGD);
    codec.bits = bits;
    codec.param_count = count;
    fl_layout_init_plain(&codec.layout, count);
    return codec;
}

static double largest(const float *x, size_t count)
{
    double most = 0.0;
    for (size_t i = 0; i < count; i++) {
        most = fmax(most, fabs((double)x[i]));
    }
    return most;
}

TEST(qsgd_is_within_a_step_of_its_bucket)
{
    for (uint32_t bits = 2; bits <= 8; bits++) {
        const fl_codec codec = plain_codec(bits, FEW);
        const int levels = (1 << (bits - 1)) - 1;
        float update[FEW], mean[FEW];
        fl_updates_draw(update, FEW, bits);
        fl_updates_pass(mean, &codec, update, 0);
        for (size_t first = 0; first < FEW; first += 512) {
            const size_t len = FEW - first < 512 ? FEW - first : 512;
            // rounded up to 8 bits of precision
            const double step =
                largest(update + first, len) * (1 + 0x1p-7) / levels;
            for (size_t i = first; i < first + len; i++) {
                const double off = (double)mean[i] - (double)update[i];
                assert_true(fabs(off) < step);
            }
        }
    }
}

// The mean over many clients of one update is that update.
TEST(qsgd_is_exact_on_average)
{
    enum { CLIENTS = 4000, VALUES = 64 };
    for (uint32_t bits = 2; bits <= 4; bits += 2) {
        fl_codec codec = plain_codec(bits, VALUES);
        codec.client_cap = CLIENTS;
        float update[VALUES], mean[VALUES];
        double sums[VALUES] = {0};
        fl_updates_draw(update, VALUES, 3);
        for (uint32_t place = 0; place < CLIENTS; place++) {
            fl_updates_pass(mean, &codec, update, place);
            for (size_t i = 0; i < VALUES; i++) {
                sums[i] += (double)mean[i];
            }
        }
        // One rounding deviates by half a step at most.
        const double step = largest(update, VALUES) / ((1 << (bits - 1)) - 1);
        const double deviation = step / 2 / sqrt(CLIENTS);
        double squares = 0.0;
        for (size_t i = 0; i < VALUES; i++) {
            const double off = sums[i] / CLIENTS - (double)update[i];
            assert_true(fabs(off) < 5 * deviation);
            squares += off * off;
        }
        assert_true(squares < 2 * VALUES * deviation * deviation);
    }
}

TEST(qsgd_of_zeros_is_small_and_zeros)
{
    const fl_codec codec = plain_codec(4, 100000);
    const fl_update_metrics metrics = {1, 0, 0.0};
    float *update = calloc(100000, sizeof *update);
    assert_non_null(update);
    const fl_updates_coded coded =
        fl_updates_encode(&codec, update, &metrics, 0);
    assert_true(coded.len < 3 + 2 * 196 + 1 + 100);
    free(coded.bytes);
    free(update);
}

TEST(qsgd_takes_fewer_bits_than_it_rounds_to)
{
    const fl_codec codec = fl_updates_codec(FL_CODEC_QSGD);
    const fl_update_metrics metrics = {1, 0, 0.0};
    float update[COUNT];
    fl_updates_draw(update, COUNT, 0);
    const fl_updates_coded coded =
        fl_updates_encode(&codec, update, &metrics, 0);
    assert_true(coded.len < COUNT * 3 / 8);
    free(coded.bytes);
}

// Sizes of all kinds, each as likely: a coder cannot help.
static void draw_hard(float *update, size_t count, uint32_t bits)
{
    const int levels = (1 << (bits - 1)) - 1;
    fl_random random;
    fl_random_init(&random, 4, FL_RANDOM_TEST, bits);
    for (size_t i = 0; i < count; i++) {
        const int size =
            (int)fl_random_below(&random, 2 * (uint32_t)levels + 1) - levels;
        update[i] = (float)size / (float)levels;
    }
    update[0] = 1.0F;
    if (count > 512) update[512] = 1.0F;
}

TEST(qsgd_never_takes_more_bits_than_it_rounds_to)
{
    const fl_update_metrics metrics = {1, 0, 0.0};
    for (uint32_t bits = 2; bits <= 8; bits++) {
        const fl_codec codec = plain_codec(bits, FEW);
        float update[FEW], mean[FEW];
        draw_hard(update, FEW, bits);
        const fl_updates_coded coded =
            fl_updates_encode(&codec, update, &metrics, 0);
        assert_true(coded.len <= 3 + 2 * 2 + 1 + (FEW * bits + 7) / 8);
        free(coded.bytes);
        fl_updates_pass(mean, &codec, update, 0);
        for (size_t i = 0; i < FEW; i++) {
            assert_float_equal(mean[i], update[i], 1e-6);
        }
    }
}

/* ---- refusals ---- */

enum { TINY = 4 };

static void assert_refused(uint32_t bits, const uint8_t *bytes, size_t len,
                           const char *word)
{
    uint64_t sums[3 + TINY] = {0};
    const uint64_t zeros[3 + TINY] = {0};
    const fl_codec codec = plain_codec(bits, TINY);
    fl_reason why = {""};
    assert_err(fl_updates_add(sums, &codec, bytes, len, &why), FL_ERR_FORMAT);
    assert_reason_names(why, word);
    assert_memory_equal(sums, zeros, sizeof sums);
}

// weight 10, correct 3, loss 0; then the norm, the kind, four values
#define HEAD 10, 3, 0
#define REFUSED(bits, word, ...)                               \
    assert_refused(bits, (const uint8_t[]){HEAD, __VA_ARGS__}, \
                   sizeof((const uint8_t[]){HEAD, __VA_ARGS__}), word)

TEST(qsgd_refuses_what_no_encoder_writes)
{
    uint64_t sums[3 + TINY] = {0};
    const fl_codec codec = plain_codec(4, TINY);
    const uint8_t sound[] = {HEAD, 0x00, 0x3f, 0, 0x7e, 0x07};
    assert_ok(fl_updates_add(sums, &codec, sound, sizeof sound, NULL));

    REFUSED(4, "unknown kind", 0x00);
    REFUSED(4, "unknown kind", 0x00, 0x3f, 2, 0x7e, 0x07);
    REFUSED(4, "length", 0x00, 0x3f, 0, 0x7e);
    REFUSED(4, "length", 0x00, 0x3f, 0, 0x7e, 0x07, 0x00);
    REFUSED(4, "length", 0x00, 0x3f, 0, 0x7e, 0x0f);        // 15 of 0 to 14
    REFUSED(2, "length", 0x00, 0x3f, 0, 0xff);              // 3 of 0 to 2
    REFUSED(3, "length", 0x00, 0x3f, 0, 0x00, 0x10);        // padding
    REFUSED(4, "largest size", 0x80, 0x7f, 0, 0x7e, 0x07);  // infinity
    REFUSED(4, "largest size", 0x00, 0xbf, 0, 0x7e, 0x07);  // negative
    REFUSED(4, "too early", 0x00, 0x3f, 1);
    REFUSED(4, "too early", 0x00, 0x3f, 1, 0x7e, 0x07, 0x12, 0x34, 0x56);
}

RUN_TESTS(cmocka_unit_test(qsgd_is_within_a_step_of_its_bucket),
          cmocka_unit_test(qsgd_is_exact_on_average),
          cmocka_unit_test(qsgd_of_zeros_is_small_and_zeros),
          cmocka_unit_test(qsgd_takes_fewer_bits_than_it_rounds_to),
          cmocka_unit_test(qsgd_never_takes_more_bits_than_it_rounds_to),
          cmocka_unit_test(qsgd_refuses_what_no_encoder_writes))
