/*
 * The model files of a store, named by their content:
 *
 *   FOLDER/HASH.onnx    published models
 *   FOLDER/HASH.master  masters (master.h)
 *
 * Private to aggregator/. One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_MODELS_H
#define FL_AGGREGATOR_STORE_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/reason.h"
#include "secure/secure.h"

typedef struct {
    uint8_t bytes[FL_HASH_BYTES];
} fl_store_hash;

typedef enum {
    FL_STORE_PUBLISHED,
    FL_STORE_MASTER,
} fl_store_kind;

/* Durably. As fl_file_write: after an error there is no such new file. */
FL_CHECK fl_err fl_store_models_write(const char *folder, fl_store_kind kind,
                                      const fl_store_hash *hash,
                                      const uint8_t *bytes, size_t len,
                                      fl_reason *why);

/*
 * The caller frees *bytes. FL_ERR_NOT_FOUND: no such file. FL_ERR_FORMAT: it
 * does not have that hash and length.
 */
FL_CHECK fl_err fl_store_models_read(const char *folder, fl_store_kind kind,
                                     uint8_t **bytes, size_t len,
                                     const fl_store_hash *hash, fl_reason *why);

/* Whether the folder holds a published model. */
bool fl_store_models_exist(const char *folder);

/*
 * Deletes every file of this kind that is not in kept[0..kept_count), and what
 * an interrupted write left. A file that cannot be deleted stays for next time.
 */
void fl_store_models_keep(const char *folder, fl_store_kind kind,
                          const fl_store_hash *kept, size_t kept_count);

#endif
