/* Updates in the clear from whoever: fl_codec_add does not crash, refuses with
 * a sentence and leaves the sums alone, or adds what a sum can hold.
 *
 * An input is a codec (kind, bits, density, layout, and the largest weight),
 * then what a client says.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/compress.h"

enum { HEAD = 6, COUNT_MAX = 1200, SUMS_MAX = 3 + COUNT_MAX };

static const fl_layout LAYOUTS[] = {
    {1, {600 * 4 + FL_GROUP_LARGE}},
    {1, {16 * 4 + FL_GROUP_SMALL}},
    {1, {3 * 4 + FL_GROUP_EXACT}},
    {5,
     {9 * 4 + FL_GROUP_SMALL, 1024 * 4 + FL_GROUP_LARGE, 4 * 4 + FL_GROUP_EXACT,
      5 * 4 + FL_GROUP_SKIPPED, 100 * 4 + FL_GROUP_LARGE}},
};
enum { LAYOUT_COUNT = sizeof LAYOUTS / sizeof *LAYOUTS };

static fl_codec read_codec(const uint8_t *data)
{
    fl_codec codec = {
        .kind = (fl_codec_kind)(FL_CODEC_SKETCH + data[0] % FL_CODEC_TALLY),
        .density = (float)(data[2] + 1) / 256.0F,
        .density_small = (float)(data[3] + 1) / 256.0F,
        .clip = 0.5F,
        .weight_max = data[5] + 1U,
        .client_cap = 8,
        .seed = 7,
        .per_word = 4,
        .value_max = 100,
        .step_large = 0.01F,
        .step_small = 0.01F,
        .layout = LAYOUTS[data[4] % LAYOUT_COUNT],
    };
    if (codec.kind == FL_CODEC_QSGD) codec.bits = 2 + data[1] % 7;
    if (codec.kind == FL_CODEC_DENSE) codec.bits = 2 + data[1] % 19;
    for (fl_group group = FL_GROUP_LARGE; group <= FL_GROUP_SKIPPED; group++) {
        codec.param_count += fl_layout_count(&codec.layout, group);
    }
    if (codec.kind == FL_CODEC_TALLY) codec.layout.run_count = 0;
    return codec;
}

static void check_mean(const fl_codec *codec, const uint64_t *sums,
                       float *scratch)
{
    float mean[COUNT_MAX];
    fl_update_metrics metrics;
    fl_update_spread spread;
    fl_reason why = {""};
    const fl_err err =
        fl_codec_decode(mean, &metrics, &spread, codec, sums, 1, scratch, &why);
    if (err) {
        // Words can hold anything; what is in the clear has been looked at.
        if (!fl_codec_is_summable(codec->kind) || why.text[0] == 0) abort();
        return;
    }
    for (size_t i = 0; i < codec->param_count; i++) {
        if (!isfinite(mean[i])) abort();
    }
    if (metrics.weight < 1 || metrics.weight > codec->weight_max) abort();
}

// What one client may have made is a sum, too.
static void check_counts(const fl_codec *codec, const uint64_t *sums)
{
    uint64_t counts[COUNT_MAX];
    fl_update_metrics metrics;
    if (fl_tally_decode(counts, &metrics, codec, sums, 1, NULL)) abort();
    for (size_t i = 0; i < codec->param_count; i++) {
        if (counts[i] > fl_tally_max(codec)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const uint64_t zeros[SUMS_MAX];
    uint64_t sums[SUMS_MAX] = {0};
    fl_reason why = {""};
    if (len < HEAD) return 0;
    const fl_codec codec = read_codec(data);
    if (fl_codec_check(&codec, &why)) abort();
    if (fl_codec_sums(&codec) > SUMS_MAX) abort();
    float *scratch = malloc((fl_codec_scratch(&codec) + 1) * sizeof *scratch);
    if (!scratch) abort();
    if (fl_codec_add(sums, &codec, data + HEAD, len - HEAD, scratch, &why)) {
        if (why.text[0] == 0) abort();
        if (memcmp(sums, zeros, sizeof sums) != 0) abort();
    } else if (codec.kind == FL_CODEC_TALLY) {
        check_counts(&codec, sums);
    } else {
        check_mean(&codec, sums, scratch);
    }
    free(scratch);
    return 0;
}
