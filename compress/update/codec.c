/* SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "compress/update/clear.h"
#include "compress/update/codec_table.h"
#include "compress/update/metrics.h"
#include "compress/update/tally.h"
#include "compress/update/update.h"

static const fl_codec_row SKETCH = {
    .name = "sketch",
    .kind = FL_CODEC_SKETCH,
    .has_density = true,
};

static const fl_codec_row DENSE = {
    .name = "dense",
    .kind = FL_CODEC_DENSE,
    .bits = 8,
    .bits_min = 2,
    .bits_max = 20,
};

static const fl_codec_row TALLY = {
    .name = "tally",
    .kind = FL_CODEC_TALLY,
    .is_tally = true,
};

// A codec is a line here, and a file with what the line names.
static const fl_codec_row *const TABLE[] = {
    &SKETCH,        &DENSE,         &fl_codec_sketch1bit,
    &fl_codec_topk, &fl_codec_stc,  &fl_codec_qsgd,
    &fl_codec_fp16, &fl_codec_none, &TALLY,
};
enum { TABLE_COUNT = sizeof TABLE / sizeof *TABLE, WORD_BYTES = 8 };

/* ---- which codec ---- */

const fl_codec_row *fl_codec_find(fl_codec_kind kind)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (TABLE[i]->kind == kind) return TABLE[i];
    }
    return NULL;
}

static bool is_summable(const fl_codec_row *row)
{
    return !row->encode;
}

static const fl_codec_row *row_of(const fl_codec *codec)
{
    const fl_codec_row *row = fl_codec_find(codec->kind);
    assert(row);  // fl_codec_check has seen the codec
    return row;
}

const char *fl_codec_name(fl_codec_kind kind)
{
    const fl_codec_row *row = fl_codec_find(kind);
    return row ? row->name : NULL;
}

bool fl_codec_is_summable(fl_codec_kind kind)
{
    const fl_codec_row *row = fl_codec_find(kind);
    return row && is_summable(row);
}

bool fl_codec_has_residual(fl_codec_kind kind)
{
    const fl_codec_row *row = fl_codec_find(kind);
    return row && row->has_residual;
}

static fl_err refuse_name(const char *text, fl_reason *why)
{
    char names[FL_REASON_CAP] = "";
    fl_writer out = fl_writer_over((uint8_t *)names, sizeof names - 1);
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (TABLE[i]->is_tally) continue;
        if (i > 0) fl_writer_bytes(&out, ", ", 2);
        fl_writer_bytes(&out, TABLE[i]->name, strlen(TABLE[i]->name));
    }
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "there is no codec \"%s\"; there are %s", text, names);
}

// The bits behind the colon.
static fl_err parse_bits(uint32_t *bits, const fl_codec_row *row,
                         const char *text, fl_reason *why)
{
    if (row->bits == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s:%s: this codec has no bits to choose; say %s",
                             row->name, text, row->name);
    }
    uint32_t number = 0;
    const size_t digits = strspn(text, "0123456789");
    if (digits > 0 && digits <= 2 && text[digits] == 0) {
        number = (uint32_t)strtoul(text, NULL, 10);
    }
    if (number < row->bits_min || number > row->bits_max) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s:%s: the bits are a number from %u to %u",
                             row->name, text, row->bits_min, row->bits_max);
    }
    *bits = number;
    return FL_OK;
}

fl_err fl_codec_parse(fl_codec_kind *kind, uint32_t *bits, const char *text,
                      fl_reason *why)
{
    const size_t len = strcspn(text, ":");
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        const fl_codec_row *row = TABLE[i];
        if (row->is_tally) continue;
        if (strlen(row->name) != len || strncmp(row->name, text, len) != 0) {
            continue;
        }
        uint32_t chosen = row->bits;
        if (text[len]) FL_TRY(parse_bits(&chosen, row, text + len + 1, why));
        *kind = row->kind;
        *bits = chosen;
        return FL_OK;
    }
    return refuse_name(text, why);
}

/* ---- sizes ---- */

size_t fl_codec_bound(const fl_codec *codec)
{
    const fl_codec_row *row = row_of(codec);
    const size_t bytes = is_summable(row) ? fl_update_words(codec) * WORD_BYTES
                                          : fl_clear_bound(codec, row);
    return bytes <= FL_UPDATE_BYTES_MAX ? bytes : 0;
}

// The words lie at the beginning, where memory is aligned for them.
static size_t word_floats(const fl_codec *codec)
{
    return fl_update_words(codec) * (sizeof(uint64_t) / sizeof(float));
}

size_t fl_codec_scratch(const fl_codec *codec)
{
    const fl_codec_row *row = row_of(codec);
    return is_summable(row) ? word_floats(codec) + fl_update_scratch(codec)
                            : fl_clear_scratch(codec, row);
}

size_t fl_codec_sums(const fl_codec *codec)
{
    return is_summable(row_of(codec)) ? fl_update_words(codec)
                                      : fl_clear_sums(codec);
}

/* ---- summable codecs, in the clear ---- */

static fl_err encode_words(fl_writer *out, const fl_codec *codec,
                           const float *update,
                           const fl_update_metrics *metrics, uint32_t place,
                           fl_random *rounding, float *scratch, fl_reason *why)
{
    uint64_t *words = (void *)scratch;
    FL_TRY(fl_update_encode(words, codec, update, metrics, place, rounding,
                            scratch + word_floats(codec), why));
    const size_t count = fl_update_words(codec);
    for (size_t i = 0; i < count; i++) {
        fl_writer_u64(out, words[i]);
    }
    return FL_OK;
}

// Words that are not masked can be looked at before they spoil a sum.
static fl_err check_metrics(const fl_codec *codec, const uint8_t *words,
                            fl_reason *why)
{
    fl_update_metrics metrics;
    const fl_metrics_counts counts = {
        .weight = fl_bytes_get_u64(words),
        .correct = fl_bytes_get_u64(words + WORD_BYTES),
        .loss = fl_bytes_get_u64(words + (size_t)2 * WORD_BYTES),
    };
    return fl_metrics_restore(&metrics, &counts, codec->weight_max, 1, why);
}

static fl_err add_words(uint64_t *sums, const fl_codec *codec,
                        const fl_reader *in, fl_reason *why)
{
    const size_t count = fl_update_words(codec);
    if (in->left != count * WORD_BYTES) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "an update of %zu bytes: %zu words have %zu",
                             in->left, count, count * WORD_BYTES);
    }
    const uint8_t *words = in->at;
    FL_TRY(check_metrics(codec, words, why));
    if (row_of(codec)->is_tally) FL_TRY(fl_tally_check(codec, words, why));
    for (size_t i = 0; i < count; i++) {
        sums[i] += fl_bytes_get_u64(words + i * WORD_BYTES);
    }
    return FL_OK;
}

/* ---- all codecs ---- */

fl_err fl_codec_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                       const fl_codec *codec, float *update,
                       const fl_update_metrics *metrics, uint32_t place,
                       fl_random *rounding, float *scratch, fl_reason *why)
{
    const fl_codec_row *row = row_of(codec);
    const size_t bound = fl_codec_bound(codec);
    if (bound == 0 || dst_cap < bound) {
        return fl_reason_set(why, FL_ERR_SPACE,
                             "room for %zu bytes, an update may take %zu",
                             dst_cap, bound);
    }
    fl_writer out = fl_writer_over(dst, dst_cap);
    const fl_err err = is_summable(row)
                           ? encode_words(&out, codec, update, metrics, place,
                                          rounding, scratch, why)
                           : fl_clear_encode(&out, codec, row, update, metrics,
                                             place, rounding, scratch, why);
    if (err) return err;
    assert(!out.failed && out.len <= bound);
    *len = out.len;
    return FL_OK;
}

fl_err fl_codec_add(uint64_t *sums, const fl_codec *codec, const uint8_t *src,
                    size_t src_len, float *scratch, fl_reason *why)
{
    const fl_codec_row *row = row_of(codec);
    fl_reader in = fl_reader_over(src, src_len);
    return is_summable(row) ? add_words(sums, codec, &in, why)
                            : fl_clear_add(sums, codec, row, &in, scratch, why);
}

fl_err fl_codec_decode(float *mean, fl_update_metrics *metrics,
                       fl_update_spread *spread, const fl_codec *codec,
                       const uint64_t *sums, uint32_t client_count,
                       float *scratch, fl_reason *why)
{
    const fl_codec_row *row = row_of(codec);
    if (is_summable(row)) {
        return fl_update_decode(mean, metrics, spread, codec, sums,
                                client_count, scratch, why);
    }
    if (client_count < 1 || client_count > codec->client_cap) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "a sum of %u clients: at least 1 and at most %u",
                             client_count, codec->client_cap);
    }
    *spread = (fl_update_spread){{0}, {0}};
    return fl_clear_decode(mean, metrics, codec, row, sums, client_count, why);
}
