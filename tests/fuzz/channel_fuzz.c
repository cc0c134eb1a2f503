/* Whatever a peer sends to a channel: no crash, and only what the other end
 * has said is taken. The input is the peer's handshake message, or a frame on
 * a channel that is up.
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "secure/secure.h"

enum { FRAME_CAP = 4096 };

typedef struct {
    fl_channel client, aggregator;
} ends;

static ends begin(void)
{
    fl_identity client, aggregator;
    ends e;
    if (fl_secure_start()) abort();
    fl_identity_init(&client, (const uint8_t[FL_SEED_BYTES]){1});
    fl_identity_init(&aggregator, (const uint8_t[FL_SEED_BYTES]){2});
    fl_channel_init(&e.client, &client, aggregator.channel_key, "", 0);
    fl_channel_init(&e.aggregator, &aggregator, NULL, "", 0);
    return e;
}

static size_t speak(fl_channel *from, uint8_t *message)
{
    size_t len;
    if (fl_channel_write(from, message, &len, (const uint8_t[32]){0, 3}, "x",
                         1)) {
        abort();
    }
    return len;
}

// Takes `data` for one of the handshake's messages; true: it was the real one.
static bool hear(fl_channel *to, const uint8_t *real, size_t real_len,
                 const uint8_t *data, size_t len)
{
    uint8_t payload[FL_CHANNEL_PAYLOAD_MAX];
    size_t payload_len;
    const bool is_real = len == real_len && memcmp(data, real, len) == 0;
    const bool is_taken =
        !fl_channel_read(to, payload, &payload_len, data, len);
    if (is_taken != is_real) abort();
    return is_taken;
}

static void hear_frame(ends *e, const uint8_t *data, size_t len)
{
    uint8_t frame[FRAME_CAP];
    if (len > sizeof frame || len < 2) return;
    const size_t head_len = data[0] % len;
    memcpy(frame, data + 1, --len);
    if (!fl_channel_unseal(&e->aggregator, frame, head_len, &len)) abort();
    if (e->aggregator.state != FL_CHANNEL_FAILED) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0) return 0;
    ends e = begin();
    uint8_t message[FL_CHANNEL_WRITE_1_BYTES + FL_CHANNEL_PAYLOAD_MAX];
    const uint8_t what = *data++;
    len--;
    size_t message_len = speak(&e.client, message);
    if (what % 3 == 0) {
        hear(&e.aggregator, message, message_len, data, len);
        return 0;
    }
    if (!hear(&e.aggregator, message, message_len, message, message_len)) {
        abort();
    }
    message_len = speak(&e.aggregator, message);
    if (what % 3 == 1) {
        hear(&e.client, message, message_len, data, len);
        return 0;
    }
    if (!hear(&e.client, message, message_len, message, message_len)) abort();
    hear_frame(&e, data, len);
    return 0;
}
