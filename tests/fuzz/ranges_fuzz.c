/* Whatever is read as ranges is refused with a reason, or is what the ranges
 * are written as, with edges that a quantisation can have.
 *
 * The first byte is how many ranges the model has.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compress/compress.h"

enum { COUNT_MAX = UINT8_MAX, BYTES_MAX = 4 + 8 * COUNT_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_range ranges[COUNT_MAX];
    uint8_t again[BYTES_MAX];
    fl_reason why = {""};
    if (len == 0) return 0;
    const size_t count = *data++;
    len--;
    if (fl_ranges_decode(ranges, count, data, len, &why)) {
        if (!why.text[0]) abort();
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(ranges[i].low) || !isfinite(ranges[i].high)) abort();
        if (ranges[i].low > 0 || ranges[i].high < 0) abort();
    }
    if (fl_ranges_bytes(count) != len) abort();
    if (fl_ranges_encode(again, sizeof again, ranges, count)) abort();
    if (memcmp(again, data, len) != 0) abort();
    return 0;
}
