/* Whatever is taken as the state of a reduction encodes to the same bytes.
 *
 * An input says where in a good one (u16) its bytes lie, by how many bytes that
 * one is cut (u8), and which of several good ones it is (u8).
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/reduction_state.h"

enum { ROUND = 7, HEAD = 4, PART = 40, CAP = 1024, KINDS = 4 };

static uint8_t part[PART];

// One before anything was asked, one in the middle of a step, one whose INT8
// form is being measured, one that is done.
static fl_reduction_state make(unsigned kind)
{
    fl_reduction_state state = {.phase = FL_REDUCTION_WAIT,
                                .reference = (double)NAN,
                                .accuracy = (double)NAN,
                                .first_params = 100,
                                .first_macs = 200};
    if (kind == 0) return state;
    state.reference = 0.5;
    state.accuracy = 0.75;
    state.phase = FL_REDUCTION_TRAIN;
    if (kind == 1) {
        state.phase = FL_REDUCTION_RECOVER;
        state.recover_left = 2;
        state.is_last_step = true;
        state.before = (fl_reduction_before){{part, 11}, {part, PART}, 6};
    }
    if (kind >= 2) state.accepted = (fl_reduction_ranges){{part, 8}, 3};
    if (kind == 2) {
        state.phase = FL_REDUCTION_INT8;
        state.candidate = (fl_reduction_ranges){{part, 16}, 7};
    }
    return state;
}

static void check(const fl_reduction_state *state, const uint8_t *src,
                  size_t len)
{
    uint8_t encoded[CAP];
    if (fl_reduction_state_bytes(state) != len) abort();
    if (fl_reduction_state_encode(state, ROUND, encoded, sizeof encoded)) {
        abort();
    }
    if (memcmp(encoded, src, len) != 0) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    uint8_t good[CAP];
    if (len < HEAD) return 0;
    const fl_reduction_state known = make(data[3] % KINDS);
    const size_t good_len = fl_reduction_state_bytes(&known);
    if (fl_reduction_state_encode(&known, ROUND, good, sizeof good)) abort();
    const size_t src_len = good_len - data[2] % good_len;
    const size_t at = ((size_t)data[0] << 8 | data[1]) % src_len;
    const size_t room = src_len - at;
    uint8_t *src = malloc(src_len);  // its end is where asan looks
    if (!src) abort();
    memcpy(src, good, src_len);
    memcpy(src + at, data + HEAD, len - HEAD < room ? len - HEAD : room);

    fl_reduction_state state;
    fl_reason why = {""};
    if (fl_reduction_state_decode(&state, ROUND, src, src_len, &why)) {
        if (why.text[0] == 0) abort();
    } else {
        check(&state, src, src_len);
        fl_reduction_state_fini(&state);
    }
    free(src);
    return 0;
}
