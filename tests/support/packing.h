/*
 * What a plan says about the form of updates: the codec, and how its fields lie
 * in words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_PACKING_H
#define FL_TESTS_SUPPORT_PACKING_H

#include "compress/compress.h"
#include "proto/proto.h"

fl_dense_codec fl_packing_codec(const fl_plan *plan);

fl_fields fl_packing_fields(const fl_plan *plan);

#endif
