/*
 * The limits of a message's values, the same for what is sent and for what
 * arrives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_CHECK_H
#define FL_PROTO_CHECK_H

#include "proto/proto.h"

/* NULL, or which limit of proto.h is broken, as a sentence without a stop. */
const char *fl_check_message(const fl_message *message);
const char *fl_check_manifest(const fl_manifest *manifest);

#endif
