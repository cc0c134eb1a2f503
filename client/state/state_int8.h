/*
 * The INT8 model that a client has in use, and the one before it: ONNX files
 * that other programs may read, and what is known of the first.
 *
 *   STATE/int8.onnx            in use
 *   STATE/int8.previous.onnx   what it took the place of
 *   STATE/int8                 how good it is here, and the hash of its bytes
 *
 * The files change places by renaming: whoever opens int8.onnx finds a whole
 * model at every moment. A record that does not have its hash says nothing.
 *
 * Private to client/. One thread writes; any process reads.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STATE_INT8_H
#define FL_CLIENT_STATE_INT8_H

#include <limits.h>

#include "client/state/state.h"

typedef struct {
    char model[PATH_MAX], previous[PATH_MAX], record[PATH_MAX];
} fl_state_int8;

/* FL_ERR_SYSTEM: the folder's name is too long. */
FL_CHECK fl_err fl_state_int8_place(fl_state_int8 *int8, const char *folder,
                                    fl_reason *why);

/* As their namesakes in state.h. */
FL_CHECK fl_err fl_state_int8_save(const fl_state_int8 *int8,
                                   const fl_state_installed *installed,
                                   const uint8_t *bytes, size_t len,
                                   fl_reason *why);
FL_CHECK fl_err fl_state_int8_load(const fl_state_int8 *int8,
                                   fl_state_installed *installed,
                                   uint8_t **bytes, size_t *len,
                                   fl_reason *why);

FL_CHECK fl_err fl_state_int8_load_previous(const fl_state_int8 *int8,
                                            uint8_t **bytes, size_t *len,
                                            fl_reason *why);

/* Deletes all three. */
FL_CHECK fl_err fl_state_int8_clear(const fl_state_int8 *int8, fl_reason *why);

#endif
