/*
 * What clients download: bytes, how they are cut into chunks, and their name.
 *
 * Private to aggregator/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_OBJECT_H
#define FL_AGGREGATOR_OBJECT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "proto/proto.h"
#include "secure/secure.h"

/* Zeroed: nothing is published. */
typedef struct {
    uint8_t *bytes;
    size_t len;
    uint8_t *manifest;  // encoded
    size_t manifest_len;
    uint8_t name[FL_HASH_BYTES];  // the manifest's hash
} fl_published;

/* Makes `bytes` what clients download, taken when the result is FL_OK. */
FL_CHECK fl_err fl_object_publish(fl_published *published, fl_object_kind kind,
                                  uint32_t round, uint8_t *bytes, size_t len);
void fl_object_withdraw(fl_published *published);

#endif
