/*
 * What secure aggregation costs, on one core and without a network. Times are
 * CPU time, medians of many calls.
 *
 *   mask_KERNEL_gb_s, libsodium_stream_gb_s
 *                     the stream of one key, added to a client's vector by each
 *                     kernel that FEDGE_CPU allows; libsodium only writes it
 *   mask_kN_ms        a client's vector masked with N partners: N + 1 streams
 *   value_bytes       of 4-bit values (-7 to 7) of 100 clients whose sums
 * cannot wrap, in a client's vector keys_ms           a client among 100: fresh
 * keys, the others' signatures checked, shares dealt and sealed; median of the
 * clients control_kb        what a client among 100 sends and receives but its
 *                     vector, with 64 bytes a message for the frame; the most
 *   unmask_ms         the aggregator takes the masks of 100 clients away, 10 of
 *                     whom vanished after SHARES, on one thread; measured once
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "compress/compress.h"
#include "secure/mask/chacha.h"
#include "secure/secure.h"
#include "tests/support/measure.h"
#include "tests/support/parties.h"

enum {
    VALUES = 1000000,
    WORDS = VALUES / 4,  // of 16-bit fields
    PARTNERS_MAX = 100,
};

// Everything that is measured works on these.
static uint64_t words[WORDS];
static uint8_t keys[PARTNERS_MAX + 1][FL_MASK_KEY_BYTES];

/* The median, in microseconds of CPU, of `count` calls after one more. */
static double median_us(void (*call)(const void *self), const void *self,
                        size_t count)
{
    enum { COUNT_MAX = 200 };
    double took_us[COUNT_MAX];
    if (count > COUNT_MAX) abort();
    call(self);
    for (size_t i = 0; i < count; i++) {
        const int64_t start_us = fl_clock_cpu_us();
        call(self);
        took_us[i] = (double)(fl_clock_cpu_us() - start_us);
    }
    return measure_median(took_us, count);
}

static double gb_per_s(double bytes, double us)
{
    return bytes / us * 1e-3;
}

/* ---- the stream ---- */

enum { GROUP_WORDS = FL_CHACHA_BLOCK_WORDS * FL_CHACHA_LANES_MAX };

static const size_t stream_words = WORDS - WORDS % GROUP_WORDS;

static void add_stream(const void *self)
{
    const fl_chacha *chacha = self;
    const size_t group_words = (size_t)FL_CHACHA_BLOCK_WORDS * chacha->lanes;
    chacha->add(words, stream_words / group_words, 0, keys[0]);
}

static void write_libsodium_stream(const void *self)
{
    static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
    (void)self;
    crypto_stream_chacha20((uint8_t *)words, stream_words * sizeof *words,
                           nonce, keys[0]);
}

static void bench_stream(void)
{
    enum { CALLS = 100 };
    const double bytes = (double)(stream_words * sizeof *words);
    const fl_chacha *chacha;
    for (unsigned i = 0; (chacha = fl_chacha_at(i)); i++) {
        printf("mask_%s_gb_s %.3f GB/s\n", chacha->name,
               gb_per_s(bytes, median_us(add_stream, chacha, CALLS)));
    }
    printf("libsodium_stream_gb_s %.3f GB/s\n",
           gb_per_s(bytes, median_us(write_libsodium_stream, NULL, CALLS)));
}

/* ---- a client's masks ---- */

// Its self mask, then those it shares with partners, half of them subtracted.
static void mask_vector(const void *self)
{
    const unsigned partners = *(const unsigned *)self;
    for (unsigned i = 0; i <= partners; i++)
        fl_mask_add(words, WORDS, keys[i], i % 2 == 1);
}

static void bench_masks(unsigned partners)
{
    enum { CALLS = 25 };
    printf("mask_k%u_ms %.2f ms\n", partners,
           median_us(mask_vector, &partners, CALLS) * 1e-3);
}

enum { CLIENTS = 100 };

/* ---- a whole session ---- */

static double keys_ms(const fl_parties *parties)
{
    double took_ms[CLIENTS];
    for (uint32_t i = 0; i < CLIENTS; i++) {
        const int64_t *took_ns = parties->guests[i].took_ns;
        took_ms[i] =
            (double)(took_ns[FL_STEP_INVITE] + took_ns[FL_STEP_ROSTER]) * 1e-6;
    }
    return measure_median(took_ms, CLIENTS);
}

static double control_kb(const fl_parties *parties)
{
    enum { FRAME_BYTES = 64 };
    size_t most = 0;
    for (uint32_t i = 0; i < CLIENTS; i++) {
        const fl_guest *guest = &parties->guests[i];
        const size_t bytes = guest->down_bytes + guest->up_bytes +
                             (size_t)guest->message_count * FRAME_BYTES;
        if (bytes > most) most = bytes;
    }
    return (double)most * 1e-3;
}

static fl_err bench_control(void)
{
    fl_parties *parties = fl_parties_new(CLIENTS);
    fl_parties_open(parties, &(fl_parties_options){.word_count = 250});
    FL_TRY(fl_parties_run(parties));
    printf("keys_ms %.2f ms\n", keys_ms(parties));
    printf("control_kb %.2f KB\n", control_kb(parties));
    fl_parties_free(parties);
    return FL_OK;
}

static fl_err bench_unmask(void)
{
    fl_parties *parties = fl_parties_new(CLIENTS);
    fl_parties_open(parties, &(fl_parties_options){.word_count = WORDS});
    for (uint32_t i = 0; i < CLIENTS; i += 10) {
        parties->guests[i].gone_at = FL_STEP_MASKED;
    }
    if (!fl_parties_run_to(parties, FL_SECAGG_UNMASK)) return FL_ERR_STATE;
    fl_parties_ask_all(parties);
    const int64_t start_us = fl_clock_cpu_us();
    FL_TRY(fl_secagg_unmask(parties->secagg, 1, NULL));
    printf("unmask_ms %.1f ms\n",
           (double)(fl_clock_cpu_us() - start_us) * 1e-3);
    fl_parties_check_sum(parties);
    fl_parties_free(parties);
    return FL_OK;
}

/* ---- values in words ---- */

// As many to a word as leave room for everybody's largest.
static void bench_values(void)
{
    enum { LARGEST = 7 };
    fl_codec codec = {
        .kind = FL_CODEC_DENSE,
        .param_count = VALUES,
        .bits = 4,
        .clip = 1.0F,
        .weight_max = 1,
        .client_cap = CLIENTS,
        .per_word = FL_CODEC_PER_WORD_MAX,
        .value_max = LARGEST,
        .step_large = 1.0F,
        .step_small = 1.0F,
    };
    fl_layout_init_plain(&codec.layout, VALUES);
    while ((fl_codec_radix(codec.per_word) - 1) / 2 < LARGEST * CLIENTS) {
        codec.per_word--;
    }
    printf("value_bytes %.4f B\n",
           (double)(fl_update_words(&codec) * sizeof *words) / VALUES);
}

int main(void)
{
    fl_err err = fl_secure_start();
    if (!err) {
        fl_secret_random(keys, sizeof keys);
        bench_stream();
        bench_masks(20);
        bench_masks(100);
        bench_values();
    }
    if (!err) err = bench_control();
    if (!err) err = bench_unmask();
    if (err) fprintf(stderr, "secure_bench: %s\n", fl_err_text(err));
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
