/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "compress/update/codec.h"
#include "compress/update/codec_table.h"
#include "compress/update/layout.h"

enum { VALUE_MAX_CAP = 1 << 30 };

static fl_err check_number(const char *name, uint64_t number, uint64_t low,
                           uint64_t high, fl_reason *why)
{
    if (number >= low && number <= high) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the codec has %s %llu, not %llu to %llu", name,
                         (unsigned long long)number, (unsigned long long)low,
                         (unsigned long long)high);
}

static fl_err check_float(const char *name, float number, float most,
                          fl_reason *why)
{
    // NaN is not above anything.
    if (number > 0.0F && number <= most) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the codec has %s %g, not above 0 and at most %g",
                         name, (double)number, (double)most);
}

static fl_err check_kind(const fl_codec *codec, fl_reason *why)
{
    const fl_codec_row *row = fl_codec_find(codec->kind);
    if (!row) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "the codec has kind %d, which this version does "
                             "not know",
                             (int)codec->kind);
    }
    if (row->bits > 0) {
        FL_TRY(check_number("bits", codec->bits, row->bits_min, row->bits_max,
                            why));
    }
    if (!row->has_density) return FL_OK;
    FL_TRY(check_float("a density of", codec->density, 1.0F, why));
    return check_float("a density of SMALL of", codec->density_small, 1.0F,
                       why);
}

static fl_err check_integers(const fl_codec *codec, fl_reason *why)
{
    FL_TRY(check_number("integers in a word:", codec->per_word,
                        FL_CODEC_PER_WORD_MIN, FL_CODEC_PER_WORD_MAX, why));
    FL_TRY(check_number("a largest integer of", codec->value_max, 1,
                        VALUE_MAX_CAP, why));
    const float most = (float)FL_CODEC_CLIP_MAX;
    FL_TRY(check_float("a step of LARGE of", codec->step_large, most, why));
    return check_float("a step of SMALL of", codec->step_small, most, why);
}

static fl_err check_layout(const fl_codec *codec, fl_reason *why)
{
    const fl_layout *layout = &codec->layout;
    FL_TRY(
        check_number("runs:", layout->run_count, 1, FL_LAYOUT_RUNS_MAX, why));
    uint64_t count = 0;
    for (uint32_t i = 0; i < layout->run_count; i++) {
        const size_t run = fl_layout_run_count(layout->runs[i]);
        if (run == 0) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "run %u of the codec's layout is empty", i);
        }
        count += run;
    }
    if (count == codec->param_count) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the runs of the codec's layout have %llu "
                         "coordinates, an update has %zu",
                         (unsigned long long)count, codec->param_count);
}

fl_err fl_codec_check(const fl_codec *codec, fl_reason *why)
{
    FL_TRY(check_kind(codec, why));
    FL_TRY(check_number("coordinates:", codec->param_count, 1,
                        FL_MODEL_PARAMS_MAX, why));
    FL_TRY(check_number("a largest weight of", codec->weight_max, 1,
                        FL_CODEC_WEIGHT_MAX, why));
    FL_TRY(check_number("clients:", codec->client_cap, 1, FL_CODEC_CLIENTS_MAX,
                        why));
    if (codec->kind == FL_CODEC_TALLY) {
        return check_number("runs:", codec->layout.run_count, 0, 0, why);
    }
    FL_TRY(
        check_float("a clip of", codec->clip, (float)FL_CODEC_CLIP_MAX, why));
    if (fl_codec_is_summable(codec->kind)) FL_TRY(check_integers(codec, why));
    return check_layout(codec, why);
}
