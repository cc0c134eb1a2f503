/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "proto/body.h"
#include "proto/check.h"
#include "proto/proto.h"

enum {
    MAGIC = 0xFED6,

    CONTROL_MAX = 64 * 1024,
    CHUNK_MAX = FL_PROTO_HASH_BYTES + 4 + FL_PROTO_CHUNK_BYTES,
    BULK_MAX = FL_PROTO_FRAME_MAX - FL_PROTO_HEADER_BYTES - FL_PROTO_SEAL_BYTES,

    // Covers all of a body but its manifest, chunk, bitmap or runs, and the
    // seal.
    FIXED_BOUND = 512,
    RUN_BOUND = 5,
};

typedef struct {
    const char *name;
    size_t body_max;  // checked before a byte of the body is looked at
} type_limits;

static const type_limits TYPES[] = {
    [FL_MESSAGE_HELLO] = {"hello", FL_PROTO_GREETING_MAX},
    [FL_MESSAGE_WELCOME] = {"welcome", FL_PROTO_GREETING_MAX},
    [FL_MESSAGE_NOISE] = {"noise", FL_PROTO_GREETING_MAX},
    [FL_MESSAGE_CHECK_IN] = {"check_in", CONTROL_MAX},
    [FL_MESSAGE_ACK] = {"ack", CONTROL_MAX},
    [FL_MESSAGE_REFUSAL] = {"refusal", CONTROL_MAX},
    [FL_MESSAGE_MAIL] = {"mail", BULK_MAX},
    [FL_MESSAGE_FETCH] = {"fetch", CONTROL_MAX},
    [FL_MESSAGE_MANIFEST] = {"manifest", BULK_MAX},
    [FL_MESSAGE_CHUNK] = {"chunk", CHUNK_MAX},
    [FL_MESSAGE_OPEN] = {"open", BULK_MAX},
    [FL_MESSAGE_GRANT] = {"grant", CONTROL_MAX},
    [FL_MESSAGE_COMMIT] = {"commit", CONTROL_MAX},
    [FL_MESSAGE_PING] = {"ping", CONTROL_MAX},
    [FL_MESSAGE_PONG] = {"pong", CONTROL_MAX},
    [FL_MESSAGE_STEP] = {"step", BULK_MAX},
    [FL_MESSAGE_JOIN] = {"join", FL_PROTO_JOIN_MAX},
    [FL_MESSAGE_STANDING] = {"standing", CONTROL_MAX},
};

static const type_limits *limits_of(unsigned type)
{
    const bool is_known =
        type < sizeof TYPES / sizeof *TYPES && TYPES[type].name;
    return is_known ? &TYPES[type] : NULL;
}

const char *fl_message_type_name(fl_message_type type)
{
    const type_limits *limits = limits_of((unsigned)type);
    return limits ? limits->name : "unknown";
}

const char *fl_away_word(fl_away away)
{
    static const char *const words[] = {
#define WORD(name, value, word) [name] = (word),
        FL_AWAY_LIST(WORD)
#undef WORD
    };
    return words[(unsigned)away < FL_AWAY_COUNT ? away : FL_AWAY_OTHER];
}

static size_t bulk_len(const fl_message *message)
{
    switch ((unsigned)message->type) {
    case FL_MESSAGE_NOISE: return message->noise.len;
    case FL_MESSAGE_MANIFEST: return message->manifest.len;
    case FL_MESSAGE_CHUNK: return message->chunk.len;
    case FL_MESSAGE_OPEN: return message->open.manifest_len;
    case FL_MESSAGE_GRANT: return message->grant.bitmap_len;
    case FL_MESSAGE_STEP: return message->step.len;
    case FL_MESSAGE_MAIL:
        return message->mail.step.len +
               (size_t)RUN_BOUND * message->mail.plan.run_count;
    default: return 0;
    }
}

size_t fl_message_bound(const fl_message *message)
{
    // Longer ones do not encode.
    const size_t len = bulk_len(message);
    return FL_PROTO_HEADER_BYTES + FIXED_BOUND +
           (len < FL_PROTO_FRAME_MAX ? len : FL_PROTO_FRAME_MAX);
}

static void encode_header(fl_writer *out, const fl_message *message)
{
    fl_writer_u16(out, MAGIC);
    fl_writer_u8(out, FL_PROTO_VERSION);
    fl_writer_u8(out, (uint8_t)message->type);
    fl_writer_u16(out, 0);
    fl_writer_u16(out, FL_PROTO_HEADER_BYTES);
    fl_writer_bytes(out, message->session, FL_PROTO_SESSION_BYTES);
    fl_writer_u64(out, message->counter);
    fl_writer_u64(out, message->operation);
    fl_writer_u32(out, message->round);
}

fl_err fl_message_encode(uint8_t *dst, size_t dst_cap, size_t *len,
                         const fl_message *message)
{
    if (fl_check_message(message)) return FL_ERR_RANGE;
    fl_writer out = fl_writer_over(dst, dst_cap);
    encode_header(&out, message);
    fl_body_encode(&out, message);
    FL_TRY(fl_writer_finish(&out));
    assert(out.len - FL_PROTO_HEADER_BYTES <= TYPES[message->type].body_max);
    *len = out.len;
    return FL_OK;
}

// Leaves the body in *in; it ends in a seal of `seal_bytes`. The version comes
// before all that it may change.
static fl_err decode_header(fl_message *message, fl_reader *in,
                            size_t seal_bytes, fl_reason *why)
{
    const size_t frame_len = in->left;
    const unsigned magic = fl_reader_u16(in), version = fl_reader_u8(in);
    const unsigned type = fl_reader_u8(in), flags = fl_reader_u16(in);
    const unsigned header_len = fl_reader_u16(in);
    const uint8_t *session = fl_reader_bytes(in, FL_PROTO_SESSION_BYTES);
    message->counter = fl_reader_u64(in);
    message->operation = fl_reader_u64(in);
    message->round = fl_reader_u32(in);

    if (in->failed) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "frame of %zu bytes: shorter than its header",
                             frame_len);
    }
    if (magic != MAGIC) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "frame starts with 0x%04x: the peer does not "
                             "speak fedge's protocol",
                             magic);
    }
    if (version != FL_PROTO_VERSION) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "frame of protocol version %u: this program "
                             "speaks version %d; update the older of the two",
                             version, FL_PROTO_VERSION);
    }
    if (header_len != FL_PROTO_HEADER_BYTES || flags != 0) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "frame with header length %u and flags 0x%04x: "
                             "version 2 has 44 and 0",
                             header_len, flags);
    }
    const type_limits *limits = limits_of(type);
    if (!limits) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "frame of unknown type %u", type);
    }
    if (in->left < seal_bytes) {
        return fl_reason_set(why, FL_ERR_FORMAT, "%s: too short to be sealed",
                             limits->name);
    }
    if (in->left - seal_bytes > limits->body_max) {
        return fl_reason_set(
            why, FL_ERR_FORMAT, "%s: %zu bytes, at most %zu are allowed",
            limits->name, in->left - seal_bytes, limits->body_max);
    }
    message->type = (fl_message_type)type;
    memcpy(message->session, session, FL_PROTO_SESSION_BYTES);
    return FL_OK;
}

fl_err fl_message_decode_head(fl_message *message, const uint8_t *src,
                              size_t src_len, fl_reason *why)
{
    memset(message, 0, sizeof *message);
    fl_reader in = fl_reader_over(src, src_len);
    return decode_header(message, &in, FL_PROTO_SEAL_BYTES, why);
}

static fl_err decode_body(fl_message *message, fl_pb_source *source)
{
    FL_TRY(fl_body_decode(message, source));
    const char *fault = fl_check_message(message);
    return fault ? fl_reason_set(source->why, FL_ERR_FORMAT, "%s", fault)
                 : FL_OK;
}

fl_err fl_message_decode(fl_message *message, fl_arena *arena,
                         const uint8_t *src, size_t src_len, fl_reason *why)
{
    memset(message, 0, sizeof *message);
    fl_reader in = fl_reader_over(src, src_len);
    FL_TRY(decode_header(message, &in, 0, why));

    fl_pb_source source;
    fl_pb_source_init(&source, arena, in.at, in.left, why);
    const fl_err err = decode_body(message, &source);
    if (err) {
        fl_reason_prefix(why, err, "%s", fl_message_type_name(message->type));
    }
    return err;
}
