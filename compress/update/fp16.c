/* All values in half precision. SPDX-License-Identifier: Apache-2.0 */
#include "base/half.h"
#include "compress/update/codec_table.h"

static size_t bound(const fl_codec *codec)
{
    return fl_run_total(&codec->layout) * sizeof(uint16_t);
}

// The table's functions may change the values; this one need not.
// cppcheck-suppress constParameter
static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch)
{
    (void)place, (void)rounding, (void)scratch;
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = 0; i < run.count; i++) {
            const float value = values[run.first + i];
            fl_writer_u16(out, fl_half_encode(value));
        }
    }
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why)
{
    (void)scratch, (void)why;
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        for (size_t i = 0; i < run.count; i++) {
            values[run.first + i] = fl_half_decode(fl_reader_u16(in));
        }
    }
    return FL_OK;
}

// To the nearest, so a hair above the clip, or its double where that is tiny.
const fl_codec_row fl_codec_fp16 = {
    .name = "fp16",
    .kind = FL_CODEC_FP16,
    .value_bits = 16,
    .bound = bound,
    .encode = encode,
    .decode = decode,
    .reach = 1,
};
