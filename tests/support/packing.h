/*
 * What a plan says about the form of updates: one as words, or as bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_TESTS_SUPPORT_PACKING_H
#define FL_TESTS_SUPPORT_PACKING_H

#include "compress/compress.h"
#include "proto/proto.h"

/* Words of an update that this plan asks for. */
size_t fl_packing_words(const fl_plan *plan);

/* The hash that a session names the plan's codec and recipe by. */
void fl_packing_task(uint8_t task[FL_PROTO_HASH_BYTES], const fl_plan *plan);

/*
 * An update whose values are all `value`, by a client with 10 examples, 5 of
 * them right, and a loss of 20: as words; as bytes, which the caller frees.
 */
void fl_packing_encode(uint64_t *words, const fl_plan *plan, float value);
uint8_t *fl_packing_bytes(size_t *len, const fl_plan *plan, float value);

#endif
