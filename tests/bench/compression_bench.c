/*
 * What updates as words cost, on one core: CPU time, medians of many calls, of
 * 1,000,000 parameters, a tenth of them SMALL. MB and GB are of float32.
 *
 *   sketch_encode_mb_s, sketch_decode_mb_s
 *                     SKETCH, 5 % of LARGE and 25 % of SMALL, 12 a word
 *   dense_encode_mb_s, dense_decode_mb_s
 *                     DENSE, 5 a word
 *   words_add_gb_s    a client's bytes added to a sum of words, neither of
 *                     which fits the cache; in bytes of the client
 *   sketch_bytes      of an update
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "compress/compress.h"
#include "secure/addend.h"
#include "tests/support/measure.h"

enum {
    PARAMS = 1000000,
    SMALL = PARAMS / 10,
    WORDS = 1 << 22,
    CALLS = 25,
};

// Everything that is measured works on these.
static float update[PARAMS], mean[PARAMS];
static uint64_t words[WORDS], sums[WORDS];

typedef struct {
    fl_codec codec;
    float *scratch;
} bench;

/* The median, in microseconds of CPU, of some calls after one more. */
static double median_us(void (*call)(const void *self), const void *self)
{
    double took_us[CALLS];
    call(self);
    for (size_t i = 0; i < CALLS; i++) {
        const int64_t start_us = fl_clock_cpu_us();
        call(self);
        took_us[i] = (double)(fl_clock_cpu_us() - start_us);
    }
    return measure_median(took_us, CALLS);
}

static void encode(const void *self)
{
    const bench *b = self;
    fl_random rounding;
    fl_random_init(&rounding, 1, FL_RANDOM_ROUNDING, 0);
    if (fl_update_encode(words, &b->codec, update,
                         &(fl_update_metrics){100, 50, 10.0}, 0, &rounding,
                         b->scratch, NULL)) {
        abort();
    }
}

static void decode(const void *self)
{
    const bench *b = self;
    fl_update_metrics metrics;
    fl_update_spread spread;
    if (fl_update_decode(mean, &metrics, &spread, &b->codec, words, 1,
                         b->scratch, NULL)) {
        abort();
    }
}

static void add(const void *self)
{
    (void)self;
    fl_addend_add(sums, (const uint8_t *)words, WORDS);
}

static fl_err bench_codec(const char *name, const fl_codec *codec)
{
    FL_TRY(fl_codec_check(codec, NULL));
    const bench b = {
        .codec = *codec,
        .scratch = malloc(fl_update_scratch(codec) * sizeof *b.scratch),
    };
    if (!b.scratch) return FL_ERR_MEMORY;
    const double megabytes = (double)sizeof update * 1e-6;
    printf("%s_encode_mb_s %.0f MB/s\n", name,
           megabytes / (median_us(encode, &b) * 1e-6));
    printf("%s_decode_mb_s %.0f MB/s\n", name,
           megabytes / (median_us(decode, &b) * 1e-6));
    printf("%s_bytes %zu B\n", name, fl_codec_bound(codec));
    free(b.scratch);
    return FL_OK;
}

int main(void)
{
    fl_random random;
    fl_random_init(&random, 1, FL_RANDOM_TEST, 0);
    for (size_t i = 0; i < PARAMS; i++)
        update[i] = (float)(0.01 * fl_random_normal(&random));
    fl_codec codec = {
        .kind = FL_CODEC_SKETCH,
        .param_count = PARAMS,
        .bits = 8,
        .density = 0.05F,
        .density_small = 0.25F,
        .clip = 1.0F,
        .weight_max = 100,
        .client_cap = 10,
        .seed = 1,
        .per_word = 12,
        .value_max = 1 << 30,
        .step_large = 0.01F,
        .step_small = 0.01F,
        .layout = {2,
                   {(PARAMS - SMALL) * FL_LAYOUT_GROUPS + FL_GROUP_LARGE,
                    SMALL * FL_LAYOUT_GROUPS + FL_GROUP_SMALL}},
    };
    fl_err err = bench_codec("sketch", &codec);
    codec.kind = FL_CODEC_DENSE;
    codec.per_word = 5;
    if (!err) err = bench_codec("dense", &codec);
    if (err) {
        fprintf(stderr, "compression_bench: %s\n", fl_err_text(err));
        return EXIT_FAILURE;
    }
    for (size_t i = 0; i < WORDS; i++)
        words[i] = i;  // memory of its own, not the one page of zeros
    printf("words_add_gb_s %.2f GB/s\n",
           (double)sizeof words * 1e-3 / median_us(add, NULL));
    return EXIT_SUCCESS;
}
