/*
 * A plan as protobuf and back. Values are not checked here.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_PROTO_PLAN_H
#define FL_PROTO_PLAN_H

#include "proto/fedge.pb-c.h"
#include "proto/pb.h"
#include "proto/proto.h"

/* Borrows hashes and runs from the plan. */
Fedge__Plan fl_plan_to_pb(const fl_plan *plan);

/*
 * FL_ERR_FORMAT: a hash of another length, an enrolment list in the clear, or
 * more runs than a plan has room for.
 */
FL_CHECK fl_err fl_plan_from_pb(fl_plan *plan, const Fedge__Plan *pb,
                                const fl_pb_source *source);

#endif
