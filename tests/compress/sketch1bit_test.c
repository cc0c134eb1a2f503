/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "tests/support/updates.h"
#include "tests/test.h"

static fl_codec plain_codec(size_t count, float density)
{
    fl_codec codec = fl_updates_codec(FL_CODEC_SKETCH1BIT);
    codec.param_count = count;
    codec.density = density;
    codec.client_cap = FL_CODEC_CLIENTS_MAX;
    fl_layout_init_plain(&codec.layout, count);
    return codec;
}

// LeNet's 78,336 LARGE and 1,866 SMALL coordinates.
TEST(sketch1bit_of_lenet_takes_less_than_700_bytes)
{
    enum { LARGE = 78336, SMALL = 1866, COUNT = LARGE + SMALL };
    fl_codec codec = fl_updates_codec(FL_CODEC_SKETCH1BIT);
    const fl_update_metrics metrics = {600, 500, 700.0};
    float *update = malloc(COUNT * sizeof *update);
    assert_non_null(update);
    codec.param_count = COUNT;
    codec.layout =
        (fl_layout){3,
                    {1376 * 4 + FL_GROUP_SMALL, LARGE * 4 + FL_GROUP_LARGE,
                     (SMALL - 1376) * 4 + FL_GROUP_SMALL}};
    fl_updates_draw(update, COUNT, 0);
    const fl_updates_coded coded =
        fl_updates_encode(&codec, update, &metrics, 3);
    print_message("%zu bytes\n", coded.len);
    assert_true(coded.len < 700);
    free(coded.bytes);
    free(update);
}

// Squared distance of the mean of `clients` to the update, as a share of the
// update's square; *along: what of the update is in that mean.
static double distance(const fl_codec *codec, uint32_t clients, double *along)
{
    const size_t count = codec->param_count;
    float *update = calloc(count, sizeof *update);
    float *mean = malloc(count * sizeof *mean);
    double *sums = calloc(count, sizeof *sums);
    double off = 0.0, whole = 0.0, dot = 0.0;
    assert_non_null(update);
    assert_non_null(mean);
    assert_non_null(sums);
    fl_updates_draw(update, count, 1);
    for (uint32_t place = 0; place < clients; place++) {
        fl_updates_pass(mean, codec, update, place);
        for (size_t i = 0; i < count; i++) {
            sums[i] += (double)mean[i];
        }
    }
    for (size_t i = 0; i < count; i++) {
        const double x = (double)update[i], y = sums[i] / clients;
        off += (y - x) * (y - x);
        whole += x * x;
        dot += x * y;
    }
    *along = dot / whole;
    free(update);
    free(mean);
    free(sums);
    return off / whole;
}

// One client's estimate has a variance of about N / k * pi / 2 - 1 times the
// update's square; the mean of n has an n-th of that.
TEST(sketch1bit_is_exact_on_average)
{
    enum { CLIENTS = 400 };
    static const struct {
        size_t count;
        float density;
    } cases[] = {{8192, 0.25F}, {5000, 0.05F}, {900, 0.1F}, {512, 1.0F}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const fl_codec codec = plain_codec(cases[i].count, cases[i].density);
        double along;
        const double off = distance(&codec, CLIENTS, &along);
        const double expected =
            (1.5708 / (double)cases[i].density - 1.0) / CLIENTS;
        print_message("%zu at %g: error %.4f, expected %.4f; along %.4f\n",
                      cases[i].count, (double)cases[i].density, off, expected,
                      along);
        assert_true(off < 1.35 * expected);
        assert_true(fabs(along - 1.0) < 0.02);
    }
}

TEST(sketch1bit_clients_differ_by_place_and_seed)
{
    fl_codec codec = plain_codec(512, 0.5F);
    float update[512], first[512], other[512];
    fl_updates_draw(update, 512, 0);
    fl_updates_pass(first, &codec, update, 0);
    fl_updates_pass(other, &codec, update, 1);
    assert_memory_not_equal(first, other, sizeof first);
    codec.seed++;
    fl_updates_pass(other, &codec, update, 0);
    assert_memory_not_equal(first, other, sizeof first);
}

TEST(sketch1bit_of_zeros_is_zeros)
{
    const fl_codec codec = plain_codec(5000, 0.05F);
    float update[5000] = {0}, mean[5000];
    fl_updates_pass(mean, &codec, update, 2);
    assert_memory_equal(mean, update, sizeof mean);
}

// A client may say the largest scale, of 16 values for 2^20: alone it would be
// 2^16 in each coordinate of a block.
TEST(sketch1bit_limits_what_a_tiny_density_makes)
{
    enum { COUNT = 1 << 20, SCALE_AT = 7 };  // behind 10, 3, 12.5; place
    const fl_codec codec = plain_codec(COUNT, 1e-9F);
    const fl_update_metrics metrics = {10, 3, 12.5};
    fl_update_metrics back;
    fl_update_spread spread;
    float *update = calloc(COUNT, sizeof *update), most = 0.0F;
    uint64_t *sums = calloc(fl_codec_sums(&codec), sizeof *sums);
    assert_non_null(update);
    assert_non_null(sums);
    const fl_updates_coded coded =
        fl_updates_encode(&codec, update, &metrics, 0);
    coded.bytes[SCALE_AT] = 0xb4;  // 90
    coded.bytes[SCALE_AT + 1] = 0x42;
    assert_ok(fl_updates_add(sums, &codec, coded.bytes, coded.len, NULL));
    assert_ok(
        fl_codec_decode(update, &back, &spread, &codec, sums, 1, NULL, NULL));
    for (size_t i = 0; i < COUNT; i++) {
        most = fmaxf(most, fabsf(update[i]));
    }
    assert_true(most == 0x1p14F);
    free(coded.bytes);
    free(sums);
    free(update);
}

/* ---- refusals ---- */

enum { TINY = 16 };

static void assert_refused(const uint8_t *bytes, size_t len, const char *word)
{
    uint64_t sums[3 + TINY] = {0};
    const uint64_t zeros[3 + TINY] = {0};
    fl_codec codec = plain_codec(TINY, 1.0F);
    codec.client_cap = 5;
    fl_reason why = {""};
    assert_err(fl_updates_add(sums, &codec, bytes, len, &why), FL_ERR_FORMAT);
    assert_reason_names(why, word);
    assert_memory_equal(sums, zeros, sizeof sums);
}

// weight 10, correct 3, loss 0; then place, scale and 16 signs
#define HEAD 10, 3, 0
#define REFUSED(word, ...)                               \
    assert_refused((const uint8_t[]){HEAD, __VA_ARGS__}, \
                   sizeof((const uint8_t[]){HEAD, __VA_ARGS__}), word)

TEST(sketch1bit_refuses_what_no_encoder_writes)
{
    uint64_t sums[3 + TINY] = {0};
    const fl_codec codec = plain_codec(TINY, 1.0F);
    const uint8_t sound[] = {HEAD, 4, 0x00, 0x3f, 0x12, 0x34};
    assert_ok(fl_updates_add(sums, &codec, sound, sizeof sound, NULL));

    REFUSED("place 5 of 5", 5, 0x00, 0x3f, 0x12, 0x34);
    REFUSED("length", 4, 0x00, 0x3f, 0x12);
    REFUSED("length", 4, 0x00, 0x3f, 0x12, 0x34, 0x00);
    REFUSED("block 0", 4, 0x80, 0x7f, 0x12, 0x34);  // infinity
    REFUSED("block 0", 4, 0xc0, 0x7f, 0x12, 0x34);  // NaN
    REFUSED("block 0", 4, 0x00, 0xbf, 0x12, 0x34);  // negative
    REFUSED("block 0", 4, 0xc0, 0x42, 0x12, 0x34);  // 96, with a clip of 1
}

RUN_TESTS(cmocka_unit_test(sketch1bit_of_lenet_takes_less_than_700_bytes),
          cmocka_unit_test(sketch1bit_is_exact_on_average),
          cmocka_unit_test(sketch1bit_clients_differ_by_place_and_seed),
          cmocka_unit_test(sketch1bit_of_zeros_is_zeros),
          cmocka_unit_test(sketch1bit_limits_what_a_tiny_density_makes),
          cmocka_unit_test(sketch1bit_refuses_what_no_encoder_writes))
