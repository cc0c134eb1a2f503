/*
 * docs/format.md, "Tallies": counts instead of an update.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compress/update/tally.h"

#include "base/bytes.h"
#include "compress/update/metrics.h"
#include "compress/update/update.h"

enum { PER_WORD = 2, COUNT_BITS = 32, WORD_BYTES = 8 };

/* ---- form ---- */

uint32_t fl_tally_max(const fl_codec *codec)
{
    return UINT32_MAX / codec->client_cap;
}

size_t fl_tally_words(const fl_codec *codec)
{
    return FL_UPDATE_METRICS + (codec->param_count + PER_WORD - 1) / PER_WORD;
}

// Counts 2 i and 2 i + 1 are the lower and the upper half of word i behind the
// metrics. As no sum of halves is above 32 bits, words are added, not halves.
static uint32_t half_of(uint64_t word, size_t i)
{
    return (uint32_t)(word >> i % PER_WORD * COUNT_BITS);
}

/* ---- limits ---- */

// `count` is the i-th of `client_count` clients; behind the last there is 0.
static fl_err check_count(const fl_codec *codec, size_t i, uint32_t count,
                          uint32_t client_count, fl_reason *why)
{
    const uint64_t most = i < codec->param_count
                              ? (uint64_t)fl_tally_max(codec) * client_count
                              : 0;
    if (count <= most) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "count %zu of a tally of %zu is %u: %u %s cannot have "
                         "made more than %llu",
                         i, codec->param_count, count, client_count,
                         client_count == 1 ? "client" : "clients",
                         (unsigned long long)most);
}

static fl_err check_word(const fl_codec *codec, size_t i, uint64_t word,
                         uint32_t client_count, fl_reason *why)
{
    for (size_t j = PER_WORD * i; j < PER_WORD * (i + 1); j++) {
        FL_TRY(check_count(codec, j, half_of(word, j), client_count, why));
    }
    return FL_OK;
}

fl_err fl_tally_check(const fl_codec *codec, const uint8_t *words,
                      fl_reason *why)
{
    const size_t count = fl_tally_words(codec) - FL_UPDATE_METRICS;
    words += (size_t)FL_UPDATE_METRICS * WORD_BYTES;
    for (size_t i = 0; i < count; i++) {
        const uint64_t word = fl_bytes_get_u64(words + i * WORD_BYTES);
        FL_TRY(check_word(codec, i, word, 1, why));
    }
    return FL_OK;
}

/* ---- encode, decode ---- */

fl_err fl_tally_encode(uint64_t *words, const fl_codec *codec,
                       const uint32_t *counts, const fl_update_metrics *metrics,
                       fl_reason *why)
{
    fl_metrics_counts told;
    FL_TRY(fl_metrics_count(&told, metrics, codec->weight_max, why));
    for (size_t i = 0; i < codec->param_count; i++) {
        FL_TRY(check_count(codec, i, counts[i], 1, why));
    }
    *words++ = told.weight;
    *words++ = told.correct;
    *words++ = told.loss;
    for (size_t i = 0; i < codec->param_count; i += PER_WORD) {
        const uint64_t upper =
            i + 1 < codec->param_count ? counts[i + 1] : UINT64_C(0);
        *words++ = upper << COUNT_BITS | counts[i];
    }
    return FL_OK;
}

fl_err fl_tally_decode(uint64_t *counts, fl_update_metrics *metrics,
                       const fl_codec *codec, const uint64_t *sums,
                       uint32_t client_count, fl_reason *why)
{
    if (client_count < 1 || client_count > codec->client_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a sum of %u clients: at least 1 and at most %u",
                             client_count, codec->client_cap);
    }
    const fl_metrics_counts told = {sums[0], sums[1], sums[2]};
    FL_TRY(fl_metrics_restore(metrics, &told, codec->weight_max, client_count,
                              why));
    const size_t words = fl_tally_words(codec) - FL_UPDATE_METRICS;
    sums += FL_UPDATE_METRICS;
    for (size_t i = 0; i < words; i++) {
        FL_TRY(check_word(codec, i, sums[i], client_count, why));
    }
    for (size_t i = 0; i < codec->param_count; i++) {
        counts[i] = half_of(sums[i / PER_WORD], i);
    }
    return FL_OK;
}
