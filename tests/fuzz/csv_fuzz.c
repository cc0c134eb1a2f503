/* Training and test rows from the same input, cut at the first zero byte.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/data_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    data_files *files = data_fuzz_files();
    static char train[4 * DATA_PATH_CAP], test[4 * DATA_PATH_CAP];
    if (!train[0]) {
        data_files_spec(train, files, "csv", "train", NULL);
        data_files_spec(test, files, "csv", "test", NULL);
    }
    const uint8_t *zero = len ? memchr(data, 0, len) : NULL;
    const size_t cut = zero ? (size_t)(zero - data) : len;
    data_files_put(files, "train", data, cut);
    fl_data_options options = {.spec = train, .group_column = "who"};
    data_fuzz_open(&options);
    options.group_column = NULL;
    if (zero) {
        data_files_put(files, "test", zero + 1, len - cut - 1);
        options.test_spec = test;
    }
    data_fuzz_open(&options);
    return 0;
}
