/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/pb.h"

#include <string.h>

static void *take(void *self, size_t len)
{
    fl_pb_source *source = self;
    void *taken = fl_arena_take(source->arena, len);
    if (!taken) source->is_full = true;
    return taken;
}

static void give_back_later(void *self, void *taken)
{
    (void)self;  // the arena's reset does
    (void)taken;
}

void fl_pb_source_init(fl_pb_source *source, fl_arena *arena,
                       const uint8_t *bytes, size_t len, fl_reason *why)
{
    *source = (fl_pb_source){
        .memory = {take, give_back_later, source},
        .arena = arena,
        .bytes = bytes,
        .len = len,
        .why = why,
    };
}

fl_err fl_pb_refuse(const fl_pb_source *source)
{
    if (source->is_full) {
        return fl_reason_set(source->why, FL_ERR_MEMORY,
                             "%zu bytes need more memory than one message may "
                             "have",
                             source->len);
    }
    return fl_reason_set(source->why, FL_ERR_FORMAT,
                         "%zu bytes are not protobuf, or cut off", source->len);
}

fl_err fl_pb_copy(uint8_t *dst, size_t len, ProtobufCBinaryData field,
                  const char *name, const fl_pb_source *source)
{
    if (field.len != len) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%s has %zu bytes, not %zu", name, field.len, len);
    }
    memcpy(dst, field.data, len);
    return FL_OK;
}

fl_err fl_pb_copy_text(char *dst, size_t dst_cap, ProtobufCBinaryData field,
                       const char *name, const fl_pb_source *source)
{
    if (field.len >= dst_cap) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%s has %zu bytes, at most %zu are allowed", name,
                             field.len, dst_cap - 1);
    }
    if (field.len > 0 && memchr(field.data, 0, field.len)) {
        return fl_reason_set(source->why, FL_ERR_FORMAT,
                             "%s has control characters", name);
    }
    if (field.len > 0) memcpy(dst, field.data, field.len);
    dst[field.len] = 0;
    return FL_OK;
}

ProtobufCBinaryData fl_pb_borrow(const void *bytes, size_t len)
{
    ProtobufCBinaryData field = {.len = len};
    memcpy(&field.data, &bytes, sizeof bytes);  // its type lacks the const
    return field;
}

ProtobufCBinaryData fl_pb_borrow_name(const uint8_t name[FL_PROTO_HASH_BYTES])
{
    static const uint8_t none[FL_PROTO_HASH_BYTES] = {0};
    const bool is_there = memcmp(name, none, sizeof none) != 0;
    return fl_pb_borrow(name, is_there ? FL_PROTO_HASH_BYTES : 0);
}

fl_err fl_pb_copy_name(uint8_t name[FL_PROTO_HASH_BYTES],
                       ProtobufCBinaryData field, const char *what,
                       const fl_pb_source *source)
{
    memset(name, 0, FL_PROTO_HASH_BYTES);
    if (field.len == 0) return FL_OK;
    return fl_pb_copy(name, FL_PROTO_HASH_BYTES, field, what, source);
}

uint32_t *fl_pb_borrow_numbers(const uint32_t *numbers)
{
    uint32_t *field;
    memcpy(&field, &numbers, sizeof numbers);
    return field;
}

typedef struct {
    ProtobufCBuffer base;
    fl_writer *out;
} writer_sink;

static void append_to_writer(ProtobufCBuffer *base, size_t len,
                             const uint8_t *bytes)
{
    fl_writer_bytes(((writer_sink *)base)->out, bytes, len);
}

void fl_pb_write(fl_writer *out, const ProtobufCMessage *message)
{
    writer_sink sink = {{append_to_writer}, out};
    protobuf_c_message_pack_to_buffer(message, &sink.base);
}

typedef struct {
    ProtobufCBuffer base;
    fl_reader expected;
    bool differs;
} comparing_sink;

static void compare(ProtobufCBuffer *base, size_t len, const uint8_t *bytes)
{
    comparing_sink *sink = (comparing_sink *)base;
    const uint8_t *expected = fl_reader_bytes(&sink->expected, len);
    if (!expected || memcmp(expected, bytes, len) != 0) sink->differs = true;
}

bool fl_pb_is_written_as(const ProtobufCMessage *message, const uint8_t *bytes,
                         size_t len)
{
    comparing_sink sink = {{compare}, fl_reader_over(bytes, len), false};
    protobuf_c_message_pack_to_buffer(message, &sink.base);
    return !sink.differs && fl_reader_finish(&sink.expected) == FL_OK;
}
