/* SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "compress/update/codec.h"

static void put_float(fl_writer *out, float number)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof number, "a float of 32 bits");
    memcpy(&bits, &number, sizeof bits);
    fl_writer_u32(out, bits);
}

size_t fl_codec_task(uint8_t dst[FL_CODEC_TASK_MAX], const fl_codec *codec,
                     const uint8_t recipe[FL_CODEC_RECIPE_BYTES])
{
    static const char label[] = "fedge update 1";
    fl_writer out = fl_writer_over(dst, FL_CODEC_TASK_MAX);
    fl_writer_bytes(&out, label, sizeof label);  // with its 0
    fl_writer_u32(&out, (uint32_t)codec->kind);
    fl_writer_u64(&out, codec->param_count);
    fl_writer_u32(&out, codec->bits);
    put_float(&out, codec->density);
    put_float(&out, codec->density_small);
    put_float(&out, codec->clip);
    fl_writer_u32(&out, codec->weight_max);
    fl_writer_u32(&out, codec->client_cap);
    fl_writer_u64(&out, codec->seed);
    fl_writer_u32(&out, codec->per_word);
    fl_writer_u32(&out, codec->value_max);
    put_float(&out, codec->step_large);
    put_float(&out, codec->step_small);
    fl_writer_u32(&out, codec->layout.run_count);
    for (uint32_t i = 0; i < codec->layout.run_count; i++) {
        fl_writer_u32(&out, codec->layout.runs[i]);
    }
    fl_writer_bytes(&out, recipe, FL_CODEC_RECIPE_BYTES);
    const fl_err err = fl_writer_finish(&out);
    assert(!err);
    (void)err;
    return out.len;
}
