/*
 * Every set of INT8 kernels against the definition, bit for bit, and that no
 * kernel writes where it must not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "model/int8/qkernels.h"

#include <math.h>
#include <stdlib.h>

#include "base/random.h"
#include "tests/test.h"

enum {
    SEED = 11,
    INPUT_BYTES = 1 << 16,
    OUTPUT_BYTES = 1 << 14,
    WEIGHT_CAP = 1 << 16,
    COLUMNS_MAX = 80,
    SEGMENTS_MAX = 32,
};

static const uint32_t COUNTS[] = {1,  2,  3,  4,  5,  7,  8,  14, 15,
                                  16, 17, 28, 31, 33, 63, 64, 65};
enum { COUNT_OF_COUNTS = sizeof COUNTS / sizeof *COUNTS };

// What a test works on; all of it is random, and outputs start as `before`.
typedef struct {
    fl_random random;
    uint8_t x[INPUT_BYTES + FL_Q_SLACK];
    int8_t weights[WEIGHT_CAP];
    int32_t biases[COLUMNS_MAX];
    float factors[COLUMNS_MAX];
    uint8_t got[OUTPUT_BYTES], expected[OUTPUT_BYTES];
    uint8_t *packed;
} bench;

static bench *bench_new(void)
{
    bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    fl_random_init(&b->random, SEED, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < sizeof b->x; i++)
        b->x[i] = (uint8_t)fl_random_below(&b->random, 256);
    for (size_t i = 0; i < WEIGHT_CAP; i++)
        b->weights[i] = (int8_t)((int)fl_random_below(&b->random, 255) - 127);
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        b->biases[i] = (int32_t)fl_random_below(&b->random, 20001) - 10000;
        b->factors[i] = 0.001F + 0.01F * fl_random_float(&b->random);
    }
    return b;
}

static void bench_free(bench *b)
{
    free(b->packed);
    free(b);
}

static void start(bench *b)
{
    for (size_t i = 0; i < OUTPUT_BYTES; i++)
        b->got[i] = b->expected[i] = (uint8_t)(i * 7);
}

static void compare(const bench *b, const char *set, const char *kernel,
                    const char *what)
{
    for (size_t i = 0; i < OUTPUT_BYTES; i++) {
        if (b->got[i] == b->expected[i]) continue;
        print_error("%s of %s (%s): byte %zu is %u, not %u\n", kernel, set,
                    what, i, b->got[i], b->expected[i]);
        fail();
    }
}

static void pack(bench *b, size_t bytes,
                 void (*pack_them)(uint8_t *, const fl_qweights *),
                 const fl_qweights *weights)
{
    free(b->packed);
    b->packed = aligned_alloc(64, (bytes + 63) / 64 * 64);
    assert_non_null(b->packed);
    pack_them(b->packed, weights);
}

/* ---- the definitions ---- */

static uint8_t exact_byte(float r, float low, float high, uint8_t zero_point)
{
    if (!(r > low)) r = low;
    if (!(r < high)) r = high;
    return (uint8_t)((int)nearbyintf(r) + zero_point);
}

static void exact_result(const fl_qresult *out, size_t row, size_t column,
                         int32_t sum, float factor)
{
    const size_t at = row * out->y_step + column;
    const float r = (float)sum * factor;
    if (out->y) {
        out->y[at] = exact_byte(r, out->low, out->high, out->zero_point);
    } else {
        out->logits[at] = fminf(fmaxf(r, out->low), out->high);
    }
}

static void exact_product(const fl_qproduct *p, const fl_qweights *w)
{
    const size_t depth = (size_t)p->segment_count * p->segment_len;
    for (uint32_t r = 0; r < p->rows; r++) {
        for (uint32_t c = 0; c < p->columns; c++) {
            int32_t sum = w->biases[c];
            for (uint32_t k = 0; k < depth; k++) {
                const uint8_t a =
                    p->a[r * p->a_step + p->segments[k / p->segment_len] +
                         k % p->segment_len];
                sum += (a - w->zero_point) * w->weights[c * depth + k];
            }
            exact_result(&p->out, r, c, sum, w->factors[c]);
        }
    }
}

static const uint8_t *tap_of(const fl_qwindows *in, uint32_t pixel,
                             uint32_t tap)
{
    return in->x + pixel * in->x_step + tap / in->kernel_w * in->row_step +
           tap % in->kernel_w * in->column_step;
}

static void exact_depthwise(const fl_qdepthwise *d, const fl_qweights *w)
{
    const uint32_t taps = d->in.kernel_h * d->in.kernel_w;
    for (uint32_t p = 0; p < d->in.pixels; p++) {
        for (uint32_t c = 0; c < d->in.channels; c++) {
            int32_t sum = w->biases[c];
            for (uint32_t t = 0; t < taps; t++)
                sum += (tap_of(&d->in, p, t)[c] - w->zero_point) *
                       w->weights[c * taps + t];
            exact_result(&d->out, p, c, sum, w->factors[c]);
        }
    }
}

/* ---- products ---- */

static fl_qresult bytes_result(uint8_t *y, size_t y_step, uint8_t zero_point)
{
    return (fl_qresult){
        .y = y,
        .y_step = y_step,
        .zero_point = zero_point,
        .low = (float)-zero_point,
        .high = 200.0F - zero_point,
    };
}

static void check_product(bench *b, const fl_qkernels *set, uint32_t rows,
                          uint32_t columns, uint32_t segment_count,
                          uint32_t segment_len, bool is_float)
{
    uint32_t segments[SEGMENTS_MAX];
    for (uint32_t s = 0; s < segment_count; s++)
        segments[s] = s * (segment_len + 3 * s + 1);
    const fl_qweights w = {
        .weights = b->weights,
        .biases = b->biases,
        .factors = b->factors,
        .columns = columns,
        .segment_count = segment_count,
        .segment_len = segment_len,
        .zero_point = (uint8_t)fl_random_below(&b->random, 256),
    };
    pack(b, set->product_bytes(&w), set->pack_product, &w);
    fl_qproduct p = {
        .a = b->x + 5,
        .a_step = segment_len + 2,
        .segments = segments,
        .segment_count = segment_count,
        .segment_len = segment_len,
        .rows = rows,
        .columns = columns,
        .packed = b->packed,
    };
    fl_qresult got = bytes_result(b->got + 3, columns + 1, 100);
    fl_qresult expected = bytes_result(b->expected + 3, columns + 1, 100);
    if (is_float) {
        got.y = expected.y = NULL;
        got.logits = (float *)(void *)b->got;
        expected.logits = (float *)(void *)b->expected;
    }
    start(b);
    p.out = got;
    set->product(&p);
    p.out = expected;
    exact_product(&p, &w);
    char what[80];
    snprintf(what, sizeof what, "%u rows, %u columns, %u segments of %u", rows,
             columns, segment_count, segment_len);
    compare(b, set->name, "product", what);
}

TEST(qkernels_multiply_any_size_alike)
{
    bench *b = bench_new();
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (uint32_t i = 0; i < COUNT_OF_COUNTS; i++) {
            for (uint32_t j = 0; j < COUNT_OF_COUNTS; j++) {
                check_product(b, set, COUNTS[i], COUNTS[j], 1, 33, false);
                check_product(b, set, COUNTS[(i + j) % 9], COUNTS[i],
                              COUNTS[j % 5], COUNTS[j], (i + j) % 3 == 0);
            }
        }
        check_product(b, set, 1, 10, 1, 800, true);
        check_product(b, set, 14, 33, 5, 5, true);
    }
    bench_free(b);
}

static void check_depthwise(bench *b, const fl_qkernels *set, uint32_t channels,
                            uint32_t kernel_h, uint32_t kernel_w,
                            uint32_t stride, uint32_t dilation, uint32_t pixels)
{
    const fl_qweights w = {
        .weights = b->weights,
        .biases = b->biases,
        .factors = b->factors,
        .columns = channels,
        .segment_count = kernel_h,
        .segment_len = kernel_w,
        .zero_point = (uint8_t)fl_random_below(&b->random, 256),
    };
    pack(b, set->depthwise_bytes(&w), set->pack_depthwise, &w);
    fl_qdepthwise d = {
        .in =
            {
                .x = b->x + 1,
                .x_step = (size_t)stride * channels,
                .row_step = (size_t)channels * 40 + 3,
                .column_step = (size_t)dilation * channels,
                .kernel_h = kernel_h,
                .kernel_w = kernel_w,
                .pixels = pixels,
                .channels = channels,
            },
        .packed = b->packed,
        .out = bytes_result(b->got + 3, channels + 1, 30),
    };
    start(b);
    set->depthwise(&d);
    d.out.y = b->expected + 3;
    exact_depthwise(&d, &w);
    char what[80];
    snprintf(what, sizeof what, "%u channels, %ux%u, stride %u, dilation %u",
             channels, kernel_h, kernel_w, stride, dilation);
    compare(b, set->name, "depthwise", what);
}

TEST(qkernels_filter_each_channel_alike)
{
    bench *b = bench_new();
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (uint32_t i = 0; i < COUNT_OF_COUNTS; i++) {
            for (uint32_t pixels = 1; pixels <= 9; pixels++) {
                check_depthwise(b, set, COUNTS[i], 3, 3, 1, 1, pixels);
                check_depthwise(b, set, COUNTS[i], 3, 3, 2, 1, pixels);
            }
            check_depthwise(b, set, COUNTS[i], 3, 3, 1, 2, 5);
            check_depthwise(b, set, COUNTS[i], 5, 5, 1, 1, 6);
            check_depthwise(b, set, COUNTS[i], 1, 1, 1, 1, 3);
            check_depthwise(b, set, COUNTS[i], 2, 4, 3, 1, 3);
            check_depthwise(b, set, COUNTS[i], 7, 3, 1, 1, 4);
        }
    }
    bench_free(b);
}

// The largest products of either sign: nothing on the way may be too narrow.
TEST(qkernels_multiply_extremes_alike)
{
    bench *b = bench_new();
    for (unsigned signs = 0; signs < 4; signs++) {
        memset(b->x, signs & 1 ? 255 : 0, sizeof b->x);
        memset(b->weights, signs & 2 ? 127 : -127, sizeof b->weights);
        const fl_qkernels *set;
        for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
            check_product(b, set, 9, 17, 3, 37, true);
            check_depthwise(b, set, 17, 3, 3, 1, 1, 5);
        }
    }
    bench_free(b);
}

/* ---- pools ---- */

static void exact_pool(const fl_qpool *p, bool is_average)
{
    const uint32_t taps = p->in.kernel_h * p->in.kernel_w;
    for (uint32_t i = 0; i < p->in.pixels; i++) {
        for (uint32_t c = 0; c < p->in.channels; c++) {
            uint8_t best = 0;
            int32_t sum = 0;
            for (uint32_t t = 0; t < taps; t++) {
                const uint8_t x = tap_of(&p->in, i, t)[c];
                if (x > best) best = x;
                sum += x - p->zero_point;
            }
            const float mean = (float)sum * p->share;
            p->y[i * p->y_step + c] =
                is_average
                    ? exact_byte(mean, (float)-p->zero_point,
                                 (float)(255 - p->zero_point), p->zero_point)
                    : best;
        }
    }
}

static void check_pools(bench *b, const fl_qkernels *set, uint32_t channels,
                        uint32_t kernel_h, uint32_t kernel_w, uint32_t stride)
{
    fl_qpool p = {
        .in =
            {
                .x = b->x + 1,
                .x_step = (size_t)stride * channels,
                .row_step = (size_t)channels * 30 + 3,
                .column_step = channels,
                .kernel_h = kernel_h,
                .kernel_w = kernel_w,
                .pixels = 5,
                .channels = channels,
            },
        .y_step = channels + 2,
        .zero_point = (uint8_t)fl_random_below(&b->random, 256),
        .share = 1.0F / (float)(kernel_h * kernel_w + stride),
    };
    for (int is_average = 0; is_average < 2; is_average++) {
        start(b);
        p.y = b->got + 1;
        (is_average ? set->average : set->maxpool)(&p);
        p.y = b->expected + 1;
        exact_pool(&p, is_average);
        compare(b, set->name, is_average ? "average" : "maxpool", "windows");
    }
}

TEST(qkernels_pool_windows_alike)
{
    bench *b = bench_new();
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (uint32_t i = 0; i < COUNT_OF_COUNTS; i++) {
            check_pools(b, set, COUNTS[i], 2, 2, 2);
            check_pools(b, set, COUNTS[i], 3, 3, 2);
            check_pools(b, set, COUNTS[i], 1, 3, 1);
            check_pools(b, set, COUNTS[i], 7, 7, 1);
        }
    }
    bench_free(b);
}

/* ---- element by element ---- */

static void exact_pair(const fl_qpair *p, bool is_sum)
{
    for (size_t i = 0; i < p->count; i++) {
        const int32_t a = p->a[i] - p->a_zero, b = p->b[i] - p->b_zero;
        const float r = is_sum ? (float)a * p->a_factor + (float)b * p->b_factor
                               : (float)(a * b) * p->a_factor;
        p->y[i] = exact_byte(r, p->low, p->high, p->zero_point);
    }
}

TEST(qkernels_add_and_multiply_pairs_alike)
{
    bench *b = bench_new();
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (size_t count = 1; count < 200; count++) {
            fl_qpair p = {
                .a = b->x + count,
                .b = b->x + 1000,
                .count = count,
                .a_zero = (uint8_t)fl_random_below(&b->random, 256),
                .b_zero = (uint8_t)fl_random_below(&b->random, 256),
                .zero_point = 17,
                .a_factor = 0.3F,
                .b_factor = 0.7F * fl_random_float(&b->random),
                .low = -17.0F,
                .high = 238.0F,
            };
            for (int is_sum = 0; is_sum < 2; is_sum++) {
                p.a_factor = is_sum ? 0.5F : 0.004F;
                start(b);
                p.y = b->got + 1;
                (is_sum ? set->add : set->mul)(&p);
                p.y = b->expected + 1;
                exact_pair(&p, is_sum);
                compare(b, set->name, is_sum ? "add" : "mul", "pairs");
            }
        }
    }
    bench_free(b);
}

TEST(qkernels_look_bytes_up_alike)
{
    bench *b = bench_new();
    uint8_t table[256];
    for (unsigned i = 0; i < 256; i++)
        table[i] = (uint8_t)fl_random_below(&b->random, 256);
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (size_t count = 1; count < 300; count++) {
            start(b);
            set->lookup(b->got, b->x + 1, table, count);
            for (size_t i = 0; i < count; i++)
                b->expected[i] = table[b->x[1 + i]];
            compare(b, set->name, "lookup", "bytes");
        }
    }
    bench_free(b);
}

enum { FLOATS = 101 };

static void exact_quantize(const fl_qinput *in)
{
    for (size_t i = 0; i < in->count; i++) {
        float r = in->x[i];
        for (uint32_t k = 0; k < in->change_count; k++) {
            const float operand = in->changes[k].operand[i];
            r = in->changes[k].divides ? r / operand : r - operand;
        }
        in->y[i] = exact_byte(r / in->scale, (float)-in->zero_point,
                              (float)(255 - in->zero_point), in->zero_point);
    }
}

TEST(qkernels_quantize_alike_also_what_is_not_finite)
{
    bench *b = bench_new();
    float x[FLOATS], mean[FLOATS], deviation[FLOATS];
    for (size_t i = 0; i < FLOATS; i++) {
        x[i] = 4.0F * fl_random_float(&b->random) - 2.0F;
        mean[i] = fl_random_float(&b->random);
        deviation[i] = 0.5F + fl_random_float(&b->random);
    }
    x[3] = NAN;
    x[40] = -NAN;
    x[41] = INFINITY;
    x[42] = -INFINITY;
    x[43] = 1e38F;
    x[100] = NAN;
    const fl_qchange changes[] = {{mean, false}, {deviation, true}};
    const fl_qkernels *set;
    for (unsigned k = 0; (set = fl_qkernels_at(k)); k++) {
        for (size_t count = 1; count <= FLOATS; count++) {
            fl_qinput in = {
                .x = x + FLOATS - count,
                .count = count,
                .changes = changes,
                .change_count = (uint32_t)count % 3,
                .scale = 0.017F,
                .zero_point = 120,
            };
            start(b);
            in.y = b->got;
            set->quantize(&in);
            in.y = b->expected;
            exact_quantize(&in);
            compare(b, set->name, "quantize", "floats");
        }
    }
    bench_free(b);
}

RUN_TESTS(cmocka_unit_test(qkernels_multiply_any_size_alike),
          cmocka_unit_test(qkernels_filter_each_channel_alike),
          cmocka_unit_test(qkernels_multiply_extremes_alike),
          cmocka_unit_test(qkernels_pool_windows_alike),
          cmocka_unit_test(qkernels_add_and_multiply_pairs_alike),
          cmocka_unit_test(qkernels_look_bytes_up_alike),
          cmocka_unit_test(qkernels_quantize_alike_also_what_is_not_finite))
