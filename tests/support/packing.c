/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/packing.h"

#include <stdlib.h>

#include "client/client_core.h"
#include "client/local.h"
#include "tests/test.h"

static const fl_update_metrics metrics = {10, 5, 20.0};

size_t fl_packing_words(const fl_plan *plan)
{
    fl_codec codec;
    fl_local_codec(&codec, plan);
    return fl_update_words(&codec);
}

void fl_packing_task(uint8_t task[FL_PROTO_HASH_BYTES], const fl_plan *plan)
{
    fl_codec codec;
    uint8_t recipe[FL_HASH_BYTES], text[FL_CODEC_TASK_MAX];
    fl_local_codec(&codec, plan);
    fl_plan_recipe(recipe, plan);
    fl_hash(task, text, fl_codec_task(text, &codec, recipe));
}

static float *make_update(size_t count, float value)
{
    float *update = malloc(count * sizeof *update);
    assert_non_null(update);
    for (size_t i = 0; i < count; i++)
        update[i] = value;
    return update;
}

// The caller frees it.
static float *make_scratch(const fl_codec *codec)
{
    float *scratch = malloc(fl_codec_scratch(codec) * sizeof *scratch);
    assert_non_null(scratch);
    return scratch;
}

void fl_packing_encode(uint64_t *words, const fl_plan *plan, float value)
{
    fl_codec codec;
    fl_random rounding;
    fl_local_codec(&codec, plan);
    float *update = make_update(codec.param_count, value);
    float *scratch = make_scratch(&codec);
    fl_random_init(&rounding, 1, FL_RANDOM_TEST, 1);
    assert_ok(fl_update_encode(words, &codec, update, &metrics, plan->place,
                               &rounding, scratch, NULL));
    free(update);
    free(scratch);
}

uint8_t *fl_packing_bytes(size_t *len, const fl_plan *plan, float value)
{
    fl_codec codec;
    fl_random rounding;
    fl_local_codec(&codec, plan);
    const size_t cap = fl_codec_bound(&codec);
    float *update = make_update(codec.param_count, value);
    float *scratch = make_scratch(&codec);
    uint8_t *bytes = malloc(cap);
    assert_non_null(bytes);
    fl_random_init(&rounding, 1, FL_RANDOM_TEST, 1);
    assert_ok(fl_codec_encode(bytes, cap, len, &codec, update, &metrics,
                              plan->place, &rounding, scratch, NULL));
    free(update);
    free(scratch);
    return bytes;
}
