/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/frame.h"

#include "base/bytes.h"
#include "tests/test.h"

enum { MAGIC = 0xFED6 };

size_t fl_frame_seal(uint8_t *dst, fl_line *line, const fl_message *header,
                     const uint8_t *body, size_t len)
{
    static const uint8_t none[FL_PROTO_SESSION_BYTES];
    const bool is_sealed = fl_line_is_sealed(line);
    const uint8_t *session = header->session;
    uint64_t counter = header->counter;
    if (memcmp(session, none, sizeof none) == 0) session = line->session;
    if (counter == 0 && is_sealed)
        counter = fl_channel_next_out(&line->channel);

    fl_writer out = fl_writer_over(dst, len + FL_PROTO_HEADER_BYTES);
    fl_writer_u16(&out, MAGIC);
    fl_writer_u8(&out, FL_PROTO_VERSION);
    fl_writer_u8(&out, (uint8_t)header->type);
    fl_writer_u16(&out, 0);
    fl_writer_u16(&out, FL_PROTO_HEADER_BYTES);
    fl_writer_bytes(&out, session, FL_PROTO_SESSION_BYTES);
    fl_writer_u64(&out, counter);
    fl_writer_u64(&out, header->operation);
    fl_writer_u32(&out, header->round);
    fl_writer_bytes(&out, body, len);
    assert_ok(fl_writer_finish(&out));
    if (!is_sealed) return out.len;
    assert_ok(
        fl_channel_seal(&line->channel, dst, FL_PROTO_HEADER_BYTES, out.len));
    return out.len + FL_PROTO_SEAL_BYTES;
}
