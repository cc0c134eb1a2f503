/*
 * Frames that no honest peer would write: any header, any body, sealed as they
 * should be.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_FRAME_H
#define FL_TESTS_SUPPORT_FRAME_H

#include "proto/proto.h"

/* Header and seal. */
enum { FL_FRAME_REST_BYTES = FL_PROTO_HEADER_BYTES + FL_PROTO_SEAL_BYTES };

/*
 * Writes a frame with the type, operation and round of `header`, and this
 * body. Session and counter are those of the line where they are 0. Seals it
 * when the line is sealed. Returns its length, at most len +
 * FL_FRAME_REST_BYTES.
 */
size_t fl_frame_seal(uint8_t *dst, fl_line *line, const fl_message *header,
                     const uint8_t *body, size_t len);

#endif
