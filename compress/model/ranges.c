/* docs/format.md, "Ranges". SPDX-License-Identifier: Apache-2.0 */
#include "compress/model/ranges.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { HEAD_BYTES = 4, RANGE_BYTES = 8 };

size_t fl_ranges_bytes(size_t range_count)
{
    return HEAD_BYTES + range_count * RANGE_BYTES;
}

/* ---- encode ---- */

static void put_edge(fl_writer *out, float edge)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof edge, "a float of 32 bits");
    edge += 0.0F;  // -0 becomes 0: one encoding
    memcpy(&bits, &edge, sizeof bits);
    fl_writer_u32(out, bits);
}

fl_err fl_ranges_encode(uint8_t *dst, size_t dst_cap, const fl_range *ranges,
                        size_t range_count)
{
    if (dst_cap < fl_ranges_bytes(range_count)) return FL_ERR_SPACE;
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_writer_u32(&out, (uint32_t)range_count);
    for (size_t i = 0; i < range_count; i++) {
        put_edge(&out, ranges[i].low);
        put_edge(&out, ranges[i].high);
    }
    return fl_writer_finish(&out);
}

/* ---- decode ---- */

static float get_edge(fl_reader *in)
{
    const uint32_t bits = fl_reader_u32(in);
    float edge;
    memcpy(&edge, &bits, sizeof edge);
    return edge;
}

static bool is_negative_zero(float edge)
{
    return edge == 0.0F && signbit(edge);
}

static fl_err check_range(const fl_range *range, size_t i, fl_reason *why)
{
    // False for NaN, too.
    if (!(range->low <= 0.0F && range->high >= 0.0F) || isinf(range->low) ||
        isinf(range->high)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "range %zu is from %g to %g: not from a finite "
                             "number below 0 to one above",
                             i, (double)range->low, (double)range->high);
    }
    if (is_negative_zero(range->low) || is_negative_zero(range->high)) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "range %zu has a zero with a sign", i);
    }
    return FL_OK;
}

fl_err fl_ranges_decode(fl_range *ranges, size_t range_count,
                        const uint8_t *src, size_t src_len, fl_reason *why)
{
    fl_reader in = fl_reader_over(src, src_len);
    const uint32_t count = fl_reader_u32(&in);
    if (in.failed || in.left % RANGE_BYTES || count != in.left / RANGE_BYTES) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%zu bytes are not whole ranges", src_len);
    }
    if (count != range_count) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%u ranges are of another model; this one has %zu",
                             count, range_count);
    }
    for (size_t i = 0; i < range_count; i++) {
        ranges[i].low = get_edge(&in);
        ranges[i].high = get_edge(&in);
        FL_TRY(check_range(&ranges[i], i, why));
    }
    return FL_OK;
}

fl_err fl_ranges_quantize(fl_int8_model **quantized, const fl_model *model,
                          const uint8_t *src, size_t src_len, fl_reason *why)
{
    size_t count;
    FL_TRY(fl_int8_range_count(&count, model, why));
    fl_range *ranges = calloc(count + 1, sizeof *ranges);
    if (!ranges) {
        return fl_reason_set(why, FL_ERR_MEMORY, "no memory for %zu ranges",
                             count);
    }
    fl_err err = fl_ranges_decode(ranges, count, src, src_len, why);
    if (!err) {
        err = fl_int8_quantize_ranges(quantized, model, ranges, count, false,
                                      why);
    }
    free(ranges);
    return err;
}
