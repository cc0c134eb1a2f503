/* Any bytes as a key file: no crash, and what is taken has one encoding but
 * for the case of its digits.
 * SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>

#include "secure/key_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t seed[FL_SEED_BYTES];
    char text[FL_KEY_FILE_BYTES];
    fl_reason why = {""};
    if (fl_key_file_decode(seed, (const char *)data, len, &why)) {
        if (why.text[0] == 0) abort();
        return 0;
    }
    fl_key_file_encode(text, seed);
    if (len != sizeof text) abort();
    for (size_t i = 0; i < len; i++) {
        if (tolower(data[i]) != text[i]) abort();
    }
    return 0;
}
