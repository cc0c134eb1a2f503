/* All values as they are. SPDX-License-Identifier: Apache-2.0 */
#include "compress/update/codec_table.h"
#include "compress/update/floats.h"

static size_t bound(const fl_codec *codec)
{
    return fl_run_total(&codec->layout) * sizeof(float);
}

static void encode(fl_writer *out, float *values, const fl_codec *codec,
                   uint32_t place, fl_random *rounding, float *scratch)
{
    (void)place, (void)rounding, (void)scratch;
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        fl_floats_put(out, values + run.first, run.count);
    }
}

static fl_err decode(float *values, fl_reader *in, const fl_codec *codec,
                     float *scratch, fl_reason *why)
{
    (void)scratch, (void)why;
    fl_run run = fl_run_over(&codec->layout, FL_RUN_CODED);
    while (fl_run_next(&run)) {
        fl_floats_get(values + run.first, run.count, in);
    }
    return FL_OK;
}

const fl_codec_row fl_codec_none = {
    .name = "none",
    .kind = FL_CODEC_NONE,
    .value_bits = 32,
    .bound = bound,
    .encode = encode,
    .decode = decode,
};
