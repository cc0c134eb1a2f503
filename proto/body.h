/*
 * What stands behind a frame's header, type by type: protobuf for control
 * messages, raw bytes for chunks and manifests. Values are not checked here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_BODY_H
#define FL_PROTO_BODY_H

#include "base/bytes.h"
#include "proto/pb.h"
#include "proto/proto.h"

/* Needs a message without a fault (check.h); failures are the writer's. */
void fl_body_encode(fl_writer *out, const fl_message *message);

/*
 * Fills the member of the union that message->type names.
 * FL_ERR_FORMAT: malformed, or the length of a field is wrong.
 * FL_ERR_MEMORY: the arena's maximum was reached.
 */
FL_CHECK fl_err fl_body_decode(fl_message *message, fl_pb_source *source);

#endif
