/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/reduction_state.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

static const char label[15] = "fedge-reduction";  // without its final 0
enum {
    VERSION = 1,
    // Version, round, phase, recover_left, is_last_step, and three rounds;
    // four numbers and four lengths.
    HEAD_BYTES = sizeof label + 8 * sizeof(uint32_t) + 8 * sizeof(uint64_t),
};

/* ---- memory ---- */

static void drop(fl_reduction_bytes *bytes)
{
    free(bytes->bytes);
    *bytes = (fl_reduction_bytes){.len = 0};
}

void fl_reduction_before_fini(fl_reduction_before *before)
{
    drop(&before->model);
    drop(&before->master);
    before->round = 0;
}

void fl_reduction_ranges_fini(fl_reduction_ranges *ranges)
{
    drop(&ranges->encoded);
    ranges->round = 0;
}

void fl_reduction_state_fini(fl_reduction_state *state)
{
    fl_reduction_ranges_fini(&state->accepted);
    fl_reduction_ranges_fini(&state->candidate);
    fl_reduction_before_fini(&state->before);
}

/* ---- out ---- */

size_t fl_reduction_state_bytes(const fl_reduction_state *state)
{
    return HEAD_BYTES + state->accepted.encoded.len +
           state->candidate.encoded.len + state->before.model.len +
           state->before.master.len;
}

static void write_double(fl_writer *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    fl_writer_u64(out, bits);
}

static void write_bytes(fl_writer *out, const fl_reduction_bytes *bytes)
{
    if (bytes->len > 0) fl_writer_bytes(out, bytes->bytes, bytes->len);
}

fl_err fl_reduction_state_encode(const fl_reduction_state *state,
                                 uint32_t round, uint8_t *dst, size_t dst_cap)
{
    fl_writer out = fl_writer_over(dst, dst_cap);
    fl_writer_bytes(&out, label, sizeof label);
    fl_writer_u32(&out, VERSION);
    fl_writer_u32(&out, round);
    fl_writer_u32(&out, state->phase);
    fl_writer_u32(&out, state->recover_left);
    fl_writer_u32(&out, state->is_last_step);
    write_double(&out, state->reference);
    write_double(&out, state->accuracy);
    fl_writer_u64(&out, state->first_params);
    fl_writer_u64(&out, state->first_macs);
    fl_writer_u32(&out, state->accepted.round);
    fl_writer_u64(&out, state->accepted.encoded.len);
    fl_writer_u32(&out, state->candidate.round);
    fl_writer_u64(&out, state->candidate.encoded.len);
    fl_writer_u32(&out, state->before.round);
    fl_writer_u64(&out, state->before.model.len);
    fl_writer_u64(&out, state->before.master.len);
    write_bytes(&out, &state->accepted.encoded);
    write_bytes(&out, &state->candidate.encoded);
    write_bytes(&out, &state->before.model);
    write_bytes(&out, &state->before.master);
    return fl_writer_finish(&out);
}

/* ---- in ---- */

static fl_err malformed(fl_reason *why, const char *what)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "what was saved of pruning and quantising is damaged "
                         "(%s); restore the state folder from a backup",
                         what);
}

static double read_double(fl_reader *in)
{
    const uint64_t bits = fl_reader_u64(in);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

typedef struct {
    uint32_t version, round, phase, is_last_step;
    uint64_t accepted_len, candidate_len, model_len, master_len;
} head;

static fl_err read_head(head *found, fl_reduction_state *state, fl_reader *in,
                        fl_reason *why)
{
    const uint8_t *name = fl_reader_bytes(in, sizeof label);
    found->version = fl_reader_u32(in);
    found->round = fl_reader_u32(in);
    found->phase = fl_reader_u32(in);
    state->recover_left = fl_reader_u32(in);
    found->is_last_step = fl_reader_u32(in);
    state->reference = read_double(in);
    state->accuracy = read_double(in);
    state->first_params = fl_reader_u64(in);
    state->first_macs = fl_reader_u64(in);
    state->accepted.round = fl_reader_u32(in);
    found->accepted_len = fl_reader_u64(in);
    state->candidate.round = fl_reader_u32(in);
    found->candidate_len = fl_reader_u64(in);
    state->before.round = fl_reader_u32(in);
    found->model_len = fl_reader_u64(in);
    found->master_len = fl_reader_u64(in);
    if (!name || memcmp(name, label, sizeof label) != 0) {
        return malformed(why, "it does not begin as it should");
    }
    if (found->version > VERSION) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "what was saved of pruning and quantising has "
                             "version %u, made by a newer fedge; this one "
                             "knows version %d",
                             found->version, VERSION);
    }
    if (found->version < 1 || in->failed) return malformed(why, "it is cut");
    return FL_OK;
}

static bool is_share(double value)
{
    return value >= 0.0 && value <= 1.0;
}

// A round is named exactly where there are bytes of it.
static bool has_all_or_none(uint32_t round, uint64_t len, uint32_t now)
{
    return (round > 0) == (len > 0) && round <= now;
}

static const char *find_mistake(const head *found,
                                const fl_reduction_state *state)
{
    const uint32_t phase = found->phase;
    const bool is_step =
        phase == FL_REDUCTION_RECOVER || phase == FL_REDUCTION_GUARD;
    if (phase > FL_REDUCTION_TRAIN) return "a phase that there is not";
    if (found->is_last_step > 1) return "a flag";
    if ((phase == FL_REDUCTION_RECOVER) != (state->recover_left > 0)) {
        return "the rounds that are left of a step";
    }
    if (isnan(state->reference) != isnan(state->accuracy) ||
        (!isnan(state->reference) &&
         (!is_share(state->reference) || !is_share(state->accuracy)))) {
        return "an accuracy";
    }
    if (isnan(state->reference) &&
        (is_step || phase == FL_REDUCTION_IMPORTANCE)) {
        return "a step without a reference";
    }
    if (state->first_params == 0) return "the size of the first model";
    if (!has_all_or_none(state->accepted.round, found->accepted_len,
                         found->round) ||
        !has_all_or_none(state->candidate.round, found->candidate_len,
                         found->round) ||
        (phase == FL_REDUCTION_INT8) != (state->candidate.round > 0)) {
        return "its ranges";
    }
    if (!has_all_or_none(state->before.round, found->model_len, found->round) ||
        !has_all_or_none(state->before.round, found->master_len,
                         found->round) ||
        is_step != (state->before.round > 0)) {
        return "the model to go back to";
    }
    return NULL;
}

static fl_err read_bytes(fl_reduction_bytes *bytes, uint64_t len, fl_reader *in,
                         fl_reason *why)
{
    if (len == 0) return FL_OK;
    if (len > in->left) return malformed(why, "it is cut");
    const uint8_t *src = fl_reader_bytes(in, (size_t)len);
    bytes->bytes = malloc((size_t)len);
    if (!bytes->bytes) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory for what was saved of pruning");
    }
    memcpy(bytes->bytes, src, (size_t)len);
    bytes->len = (size_t)len;
    return FL_OK;
}

static fl_err read_parts(fl_reduction_state *state, const head *found,
                         fl_reader *in, fl_reason *why)
{
    FL_TRY(read_bytes(&state->accepted.encoded, found->accepted_len, in, why));
    FL_TRY(
        read_bytes(&state->candidate.encoded, found->candidate_len, in, why));
    FL_TRY(read_bytes(&state->before.model, found->model_len, in, why));
    FL_TRY(read_bytes(&state->before.master, found->master_len, in, why));
    if (fl_reader_finish(in)) return malformed(why, "it is too long");
    return FL_OK;
}

fl_err fl_reduction_state_decode(fl_reduction_state *state, uint32_t round,
                                 const uint8_t *src, size_t src_len,
                                 fl_reason *why)
{
    fl_reader in = fl_reader_over(src, src_len);
    head found = {.round = 0};
    fl_reduction_state read = {.phase = FL_REDUCTION_WAIT};
    FL_TRY(read_head(&found, &read, &in, why));
    if (found.round != round) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "what was saved of pruning is of round %u, the "
                             "model of round %u; restore the state folder "
                             "from one backup",
                             found.round, round);
    }
    const char *mistake = find_mistake(&found, &read);
    if (mistake) return malformed(why, mistake);
    read.phase = (fl_reduction_phase)found.phase;
    read.is_last_step = found.is_last_step;

    const fl_err err = read_parts(&read, &found, &in, why);
    if (err) {
        fl_reduction_state_fini(&read);
        return err;
    }
    *state = read;
    return FL_OK;
}
