/* Any bytes as a frame: what is taken encodes, and that encoding is a fixed
 * point.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "proto/proto.h"
#include "tests/support/messages.h"

enum { ARENA_CAP = 4 << 20 };

static uint8_t *encode(const fl_message *message, size_t *len)
{
    const size_t cap = fl_message_bound(message);
    uint8_t *frame = malloc(cap);
    if (!frame || fl_message_encode(frame, cap, len, message)) abort();
    return frame;
}

// The values survive a trip, and so do the bytes.
static void check(const fl_message *message, fl_arena *arena)
{
    size_t first_len, second_len;
    uint8_t *first = encode(message, &first_len);
    fl_message again;
    if (fl_message_decode(&again, arena, first, first_len, NULL)) abort();
    if (!fl_message_equal(message, &again)) abort();
    uint8_t *second = encode(&again, &second_len);
    if (first_len != second_len) abort();
    if (memcmp(first, second, first_len) != 0) abort();
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    fl_arena arena;
    fl_message message;
    fl_reason why = {""};
    fl_arena_init(&arena, ARENA_CAP);
    if (fl_message_decode(&message, &arena, data, len, &why)) {
        if (why.text[0] == 0) abort();
    } else {
        check(&message, &arena);
    }
    fl_arena_fini(&arena);
    return 0;
}
