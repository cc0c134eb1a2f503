/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/proto.h"

static const char LABEL[] = "fedge handshake 1";

// With its length in front: no two lists of texts give the same bytes.
static void write_text(fl_writer *out, const char *text)
{
    const size_t len = strlen(text);
    assert(len < FL_PROTO_TEXT_CAP);
    fl_writer_u16(out, (uint16_t)len);
    fl_writer_bytes(out, text, len);
}

size_t fl_handshake_transcript(uint8_t dst[FL_TRANSCRIPT_CAP],
                               const fl_hello *hello, const fl_welcome *welcome)
{
    fl_writer out = fl_writer_over(dst, FL_TRANSCRIPT_CAP);
    write_text(&out, LABEL);
    fl_writer_u32(&out, hello->version_min);
    fl_writer_u32(&out, hello->version_max);
    write_text(&out, hello->build);
    fl_writer_bytes(&out, hello->public_key, FL_PROTO_KEY_BYTES);
    fl_writer_bytes(&out, hello->nonce, FL_PROTO_NONCE_BYTES);
    fl_writer_u32(&out, welcome->version);
    fl_writer_bytes(&out, welcome->session, FL_PROTO_SESSION_BYTES);
    fl_writer_bytes(&out, welcome->public_key, FL_PROTO_KEY_BYTES);
    fl_writer_bytes(&out, welcome->nonce, FL_PROTO_NONCE_BYTES);
    assert(!out.failed);
    return out.len;
}
