/*
 * Whether a new INT8 form may take the place of the one that this board runs:
 * both, and the one before, are measured now, on the same rows of the board's
 * own, on those that are held out if there are any. No new form is further
 * below the better of these two than the owner allows.
 *
 * Private to client/. Pure.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_INSTALL_H
#define FL_CLIENT_INSTALL_H

#include "client/client.h"

enum { FL_INSTALL_ROWS_MAX = 4096 };  // measured on so many at most

typedef struct {
    fl_local_data data;  // ranges are there
    uint32_t holdout;
    const uint8_t *installed;  // ONNX, INT8; NULL: none; borrowed
    size_t installed_len;
    const uint8_t *previous;  // what that took the place of, likewise
    size_t previous_len;
    double max_drop;  // points of accuracy that a new one may lose
} fl_install;

/*
 * *bytes: the form, as ONNX; the caller frees it. One that is installed but
 * cannot be read, or does not fit the data, counts for nothing.
 * FL_ERR_FORMAT, FL_ERR_UNSUPPORTED, FL_ERR_RANGE: model, ranges and data do
 * not fit each other. FL_ERR_CANCELLED: *data.stop was set. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_install_try(fl_client_verdict *verdict, uint8_t **bytes,
                               size_t *len, const fl_install *install,
                               fl_reason *why);

#endif
