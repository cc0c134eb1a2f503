/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/random.h"
#include "proto/proto.h"
#include "secure/secure.h"

static const char LABEL[] = "fedge recipe 2";

enum {
    NAMES_BYTES = 2 * FL_PROTO_HASH_BYTES,
    NUMBERS_BYTES = 13 * 4 + 8,
    RECIPE_BYTES = sizeof LABEL + NAMES_BYTES + NUMBERS_BYTES,
};

static void write_float(fl_writer *out, float value)
{
    uint32_t bits;
    _Static_assert(sizeof bits == sizeof value, "a float of 32 bits");
    memcpy(&bits, &value, sizeof bits);
    fl_writer_u32(out, bits);
}

void fl_plan_recipe(uint8_t hash[FL_PROTO_HASH_BYTES], const fl_plan *plan)
{
    uint8_t bytes[RECIPE_BYTES];
    fl_writer out = fl_writer_over(bytes, sizeof bytes);
    fl_writer_bytes(&out, LABEL, sizeof LABEL);  // with its final 0
    fl_writer_bytes(&out, plan->model, FL_PROTO_HASH_BYTES);
    fl_writer_bytes(&out, plan->ranges, FL_PROTO_HASH_BYTES);
    fl_writer_u32(&out, (uint32_t)plan->work);
    fl_writer_u32(&out, plan->holdout);
    fl_writer_u32(&out, plan->row_cap);
    fl_writer_u32(&out, plan->local_epochs);
    fl_writer_u32(&out, plan->batch);
    write_float(&out, plan->lr);
    write_float(&out, plan->momentum);
    write_float(&out, plan->weight_decay);
    write_float(&out, plan->clip_norm);
    fl_writer_u32(&out, plan->schedule);
    fl_writer_u32(&out, plan->schedule_steps);
    write_float(&out, plan->schedule_factor);
    fl_writer_u32(&out, plan->norm);
    fl_writer_u64(&out, plan->seed);
    assert(!fl_writer_finish(&out) && out.len == RECIPE_BYTES);
    fl_hash(hash, bytes, sizeof bytes);
}

uint64_t fl_plan_codec_seed(const fl_plan *plan)
{
    fl_random mix;
    fl_random_init(&mix, plan->seed, FL_RANDOM_SKETCH, plan->number);
    return fl_random_u64(&mix);
}
