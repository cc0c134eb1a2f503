/*
 * The way in and out of protobuf-c: its memory comes from an arena, its
 * output goes to a writer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_PB_H
#define FL_PROTO_PB_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/err.h"
#include "base/reason.h"
#include "proto/proto.h"

/*
 * Bytes to unpack. What protobuf-c allocates for them is taken from the arena,
 * whose maximum is the budget of a hostile message; nothing is freed one by
 * one. Hand `&source->memory` to the generated unpack functions.
 */
typedef struct {
    ProtobufCAllocator memory;
    fl_arena *arena;
    bool is_full;  // the arena refused
    const uint8_t *bytes;
    size_t len;
    fl_reason *why;
} fl_pb_source;

/* `memory` points into *source: do not copy it. */
void fl_pb_source_init(fl_pb_source *source, fl_arena *arena,
                       const uint8_t *bytes, size_t len, fl_reason *why);

/* Why an unpack function gave NULL: FL_ERR_MEMORY or FL_ERR_FORMAT. */
fl_err fl_pb_refuse(const fl_pb_source *source);

/* Copies a field that must have exactly `len` bytes; else FL_ERR_FORMAT. */
FL_CHECK fl_err fl_pb_copy(uint8_t *dst, size_t len, ProtobufCBinaryData field,
                           const char *name, const fl_pb_source *source);

/*
 * Copies a text and its final 0. FL_ERR_FORMAT: longer than dst_cap - 1, or a
 * 0 inside it.
 */
FL_CHECK fl_err fl_pb_copy_text(char *dst, size_t dst_cap,
                                ProtobufCBinaryData field, const char *name,
                                const fl_pb_source *source);

/* A bytes field over memory of ours; protobuf-c only reads it. */
ProtobufCBinaryData fl_pb_borrow(const void *bytes, size_t len);

/*
 * The name of an object that need not be there: a hash; zeros, and on the wire
 * nothing, where it is not. fl_pb_copy_name: FL_ERR_FORMAT, another length.
 */
ProtobufCBinaryData fl_pb_borrow_name(const uint8_t name[FL_PROTO_HASH_BYTES]);
FL_CHECK fl_err fl_pb_copy_name(uint8_t name[FL_PROTO_HASH_BYTES],
                                ProtobufCBinaryData field, const char *what,
                                const fl_pb_source *source);

/* The same for a repeated field. */
uint32_t *fl_pb_borrow_numbers(const uint32_t *numbers);

void fl_pb_write(fl_writer *out, const ProtobufCMessage *message);

/* Whether `message` would be written as exactly these bytes. */
bool fl_pb_is_written_as(const ProtobufCMessage *message, const uint8_t *bytes,
                         size_t len);

#endif
