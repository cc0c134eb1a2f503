/* Whatever is applied as a patch, to a model, or read as a packed one, gives a
 * file that is a model or is refused with a reason.
 *
 * The first byte says what the rest is: 0 a packed model, 1 a patch of a small
 * built-in model.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "compress/model/patch.h"

enum { FILE_CAP = 1 << 20 };

static uint8_t *base;
static size_t base_len;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void make_base(void)
{
    fl_model *model = NULL;
    const fl_model_options options = {
        .name = "mlp", .input = {2, 2, 1}, .class_count = 3, .seed = 1};
    if (fl_model_new(&model, &options, NULL)) abort();
    base_len = fl_model_bytes(model);
    base = malloc(base_len);
    if (!base || fl_model_encode(model, base, base_len)) abort();
    fl_model_free(model);
}

// Our own form: decoded and encoded again it is the same.
static void check(const uint8_t *bytes, size_t len)
{
    fl_model *model = NULL;
    const fl_err err = fl_model_decode(&model, bytes, len, NULL);
    if (err == FL_ERR_FORMAT) return;  // a variance below 0
    if (err || fl_model_bytes(model) != len) abort();
    uint8_t *again = malloc(len);
    if (!again || fl_model_encode(model, again, len)) abort();
    if (memcmp(again, bytes, len) != 0) abort();
    free(again);
    fl_model_free(model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t *made = NULL;
    size_t made_len = 0;
    fl_reason why = {""};
    if (!base) make_base();
    if (len == 0) return 0;
    const fl_err err = data[0] == 0
                           ? fl_packed_decode(&made, &made_len, FILE_CAP,
                                              data + 1, len - 1, &why)
                           : fl_patch_apply(&made, &made_len, base, base_len,
                                            data + 1, len - 1, &why);
    if (err) {
        if (made || !why.text[0]) abort();  // a refusal says why
        return 0;
    }
    check(made, made_len);
    free(made);
    return 0;
}
