/* Values and labels from the same input: its first byte says where to cut.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/data_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    data_files *files = data_fuzz_files();
    static char spec[4 * DATA_PATH_CAP];
    if (!spec[0]) {
        data_files_spec(spec, files, "npy", "values", "labels");
    }
    if (len < 1) return 0;
    const size_t cut = data[0] < len ? data[0] : len - 1;
    data_files_put(files, "values", data + 1, cut);
    data_files_put(files, "labels", data + 1 + cut, len - 1 - cut);
    const fl_data_options options = {.spec = spec};
    data_fuzz_open(&options);
    return 0;
}
