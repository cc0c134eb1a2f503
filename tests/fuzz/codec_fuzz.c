/* Any numbers as a codec are refused with a reason or can be used; any words
 * as a sum are refused with a reason or decode to numbers.
 *
 *   kind | per_word | runs (of a tally: counts) | client_cap, value_max (u32) |
 * 5 floats | runs * (count, group: a byte) | words
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compress/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { PARAMS_MAX = 1024 };

static float take_float(fl_reader *in)
{
    const uint32_t bits = fl_reader_u32(in);
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static void take_layout(fl_codec *codec, fl_reader *in)
{
    for (uint32_t i = 0; i < codec->layout.run_count; i++) {
        // A byte has the group in its lowest bits, as a run has.
        const uint32_t run = fl_reader_u8(in);
        if (i < FL_LAYOUT_RUNS_MAX) codec->layout.runs[i] = run;
        codec->param_count += run / FL_LAYOUT_GROUPS;
    }
}

static fl_codec take_codec(fl_reader *in)
{
    fl_codec codec = {.weight_max = 1000, .seed = 3, .bits = 4};
    codec.kind = (fl_codec_kind)fl_reader_u8(in);
    codec.per_word = fl_reader_u8(in);
    codec.layout.run_count = fl_reader_u8(in);
    codec.client_cap = fl_reader_u32(in);
    codec.value_max = fl_reader_u32(in);
    codec.clip = take_float(in);
    codec.density = take_float(in);
    codec.density_small = take_float(in);
    codec.step_large = take_float(in);
    codec.step_small = take_float(in);
    if (codec.kind == FL_CODEC_TALLY) {
        codec.param_count = codec.layout.run_count;
        codec.layout.run_count = 0;
    }
    take_layout(&codec, in);
    return codec;
}

// The bytes again and again; metrics that one client may have.
static uint64_t *make_sums(size_t count, fl_reader *in)
{
    uint64_t *sums = malloc(count * sizeof *sums);
    if (!sums) abort();
    for (size_t i = 0; i < count; i++)
        sums[i] = in->left >= 8 ? fl_reader_u64(in) : i * 0x9E3779B97F4A7C15;
    if (sums[0] % 2) sums[0] = 900, sums[1] = 30, sums[2] = 7;
    return sums;
}

static void decode(const fl_codec *codec, fl_reader *in)
{
    float mean[PARAMS_MAX];
    float *scratch = malloc(fl_update_scratch(codec) * sizeof *scratch);
    uint64_t *sums = make_sums(fl_update_words(codec), in);
    if (!scratch) abort();
    fl_update_metrics metrics;
    fl_update_spread spread;
    fl_reason why = {""};
    if (fl_update_decode(mean, &metrics, &spread, codec, sums, 1, scratch,
                         &why)) {
        if (!why.text[0]) abort();
    } else {
        for (size_t i = 0; i < codec->param_count; i++) {
            if (!isfinite(mean[i])) abort();
        }
    }
    free(sums);
    free(scratch);
}

// The bytes that are left, as an update.
static void encode(const fl_codec *codec, fl_reader *in)
{
    float update[PARAMS_MAX];
    for (size_t i = 0; i < codec->param_count; i++)
        update[i] = (float)fl_reader_u8(in) - 128.0F;
    uint64_t *words = malloc(fl_update_words(codec) * sizeof *words);
    float *scratch = malloc(fl_update_scratch(codec) * sizeof *scratch);
    if (!words || !scratch) abort();
    fl_random rounding;
    fl_random_init(&rounding, 1, FL_RANDOM_ROUNDING, 0);
    if (fl_update_encode(words, codec, update,
                         &(fl_update_metrics){40, 20, 10.0},
                         codec->client_cap - 1, &rounding, scratch, NULL)) {
        abort();
    }
    free(words);
    free(scratch);
}

// A sum that is taken is one of counts that can be sent, and back.
static void tally(const fl_codec *codec, fl_reader *in)
{
    uint64_t counts[PARAMS_MAX];
    uint32_t again[PARAMS_MAX];
    uint64_t *sums = make_sums(fl_update_words(codec), in);
    fl_update_metrics metrics;
    fl_reason why = {""};
    if (fl_tally_decode(counts, &metrics, codec, sums, 1, &why)) {
        if (!why.text[0]) abort();
    } else {
        uint64_t *words = malloc(fl_update_words(codec) * sizeof *words);
        if (!words) abort();
        for (size_t i = 0; i < codec->param_count; i++)
            again[i] = (uint32_t)counts[i];
        if (fl_tally_encode(words, codec, again, &metrics, NULL)) abort();
        if (memcmp(words, sums, fl_update_words(codec) * sizeof *words))
            abort();
        free(words);
    }
    free(sums);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_reader in = fl_reader_over(data, len);
    const fl_codec codec = take_codec(&in);
    fl_reason why = {""};
    if (fl_codec_check(&codec, &why)) {
        if (!why.text[0]) abort();
        return 0;
    }
    const fl_codec_stages stages = fl_codec_get_stages(&codec);
    if (stages.raw != codec.param_count * 4) abort();
    if (!fl_codec_is_summable(codec.kind) || codec.param_count > PARAMS_MAX)
        return 0;
    if (codec.kind == FL_CODEC_TALLY) {
        tally(&codec, &in);
        return 0;
    }
    decode(&codec, &in);
    encode(&codec, &in);
    return 0;
}
