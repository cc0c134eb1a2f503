/*
 * The models that boards of a simulation hold: each is in memory once, however
 * many boards hold it, and they remember its name.
 *
 * As a disk holds what was downloaded last, so does this: of the models that
 * boards have finished to download the last FL_MODELS_MAX, as long as they
 * take no more than FL_MODELS_BYTES_MAX.
 *
 * Zeroed, it holds nothing. One thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_SIM_MODELS_H
#define FL_SIM_MODELS_H

#include <stddef.h>
#include <stdint.h>

#include "secure/secure.h"

enum {
    FL_MODELS_MAX = 32,
    FL_MODELS_BYTES_MAX = 256 << 20,
};

typedef struct {
    uint8_t name[FL_HASH_BYTES];  // of its object
    uint8_t *bytes;
    size_t len;
} fl_models_entry;

typedef struct {
    fl_models_entry kept[FL_MODELS_MAX];  // the newest last
    size_t count, bytes;
} fl_models;

void fl_models_fini(fl_models *models);

/*
 * Keeps a copy; the oldest ones make room. One that is here stays as it is. A
 * model that is too long, or for which there is no memory, is not kept: it is
 * downloaded again.
 */
void fl_models_add(fl_models *models, const uint8_t name[FL_HASH_BYTES],
                   const uint8_t *bytes, size_t len);

/* A copy that the caller frees. NULL: it is not here, or no memory. */
uint8_t *fl_models_copy(const fl_models *models,
                        const uint8_t name[FL_HASH_BYTES], size_t *len);

#endif
