/* Whatever decodes as a quantised model must encode, decode again to the same
 * bytes, and run or be refused with a reason.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static uint8_t *encode(const fl_int8_model *model, size_t *len)
{
    *len = fl_int8_bytes(model, FL_QDQ_PLAIN);
    uint8_t *bytes = malloc(*len);
    if (!bytes || fl_int8_encode(model, FL_QDQ_PLAIN, bytes, *len)) abort();
    return bytes;
}

// One example of zeros, unless the model is too large for a quick look.
static void run(const fl_int8_model *model)
{
    enum { FLOATS_MAX = 1 << 16 };
    static float x[FLOATS_MAX], logits[FLOATS_MAX];
    fl_runner *runner = NULL;
    fl_reason why = {""};
    if (fl_runner_new_int8(&runner, model, 1, &why)) {
        if (runner || !why.text[0]) abort();
        return;
    }
    if (fl_shape_size(fl_runner_input(runner)) <= FLOATS_MAX &&
        fl_runner_class_count(runner) <= FLOATS_MAX &&
        fl_runner_run(runner, logits, x, 1)) {
        abort();
    }
    fl_runner_free(runner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_int8_model *model = NULL, *again = NULL;
    fl_reason why = {""};
    const fl_err err = fl_int8_decode(&model, data, len, &why);
    if (err) {
        if (model || !why.text[0]) abort();  // a refusal says why
        return 0;
    }
    size_t once_len, twice_len;
    uint8_t *once = encode(model, &once_len);
    if (fl_int8_decode(&again, once, once_len, NULL)) abort();
    uint8_t *twice = encode(again, &twice_len);
    if (once_len != twice_len || memcmp(once, twice, once_len) != 0) abort();
    run(model);
    free(once);
    free(twice);
    fl_int8_free(again);
    fl_int8_free(model);
    return 0;
}
