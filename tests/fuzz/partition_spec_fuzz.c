/* Whatever is accepted has options in their range.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"

enum { TEXT_CAP = 128 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char text[TEXT_CAP] = "";
    if (len >= sizeof text) return 0;
    if (len > 0) memcpy(text, data, len);
    fl_partition_options options = {
        .alpha = 1.0, .shards = 1, .client_count = 1};
    if (fl_partition_parse(&options, text, NULL)) return 0;
    if (!isfinite(options.alpha) || options.alpha <= 0.0) abort();
    if (options.shards < 1 || options.client_count < 1) abort();
    if (options.client_count > FL_DATA_ROWS_MAX) abort();
    return 0;
}
