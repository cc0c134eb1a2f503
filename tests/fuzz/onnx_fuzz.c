/* Whatever decodes must encode, and decode again to the same bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t *encode(const fl_model *model, size_t *len)
{
    *len = fl_model_bytes(model);
    uint8_t *bytes = malloc(*len);
    if (!bytes || fl_model_encode(model, bytes, *len)) abort();
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_model *model = NULL, *again = NULL;
    fl_reason why = {""};
    const fl_err err = fl_model_decode(&model, data, len, &why);
    if (err) {
        if (model || !why.text[0]) abort();  // a refusal says why
        return 0;
    }
    size_t once_len, twice_len;
    uint8_t *once = encode(model, &once_len);
    if (fl_model_decode(&again, once, once_len, NULL)) abort();
    uint8_t *twice = encode(again, &twice_len);
    if (once_len != twice_len || memcmp(once, twice, once_len) != 0) abort();
    free(once);
    free(twice);
    fl_model_free(again);
    fl_model_free(model);
    return 0;
}
