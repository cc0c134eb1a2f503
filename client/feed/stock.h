/*
 * The rows that a client trains on.
 *
 * --dataset is shared out: each client keeps its slice, and no other row is
 * ever in memory. --data is the device's own, and grows. Its rows have places
 * made of their values and the client's key, so that which of them are held
 * out does not depend on what came when.
 *
 * Classes of --data are those that --classes names, else those in the state
 * folder, which a model with as many outputs has confirmed; else the data's
 * own, in byte order.
 *
 * Private to client/. Read-only once loaded.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_CLIENT_STOCK_H
#define FL_CLIENT_STOCK_H

#include "client/feed/skips.h"
#include "client/service.h"

enum { FL_STOCK_NEW_MIN = 4 };  // fewer new rows would say too much about each

typedef struct {
    fl_dataset *dataset;  // NULL: there is no data
    uint32_t *rows;       // 0, 1, 2, ...
    uint64_t *places;     // of the device's own; else NULL
    uint32_t row_count;
    uint32_t record_count;  // of the files, also what does not fit or is bad
} fl_stock;

/*
 * This client's slice of options->data.dataset. Errors of fl_dataset_open, and
 * FL_ERR_RANGE, FL_ERR_LIMIT: of the partition.
 */
FL_CHECK fl_err fl_stock_load_shared(fl_stock *stock,
                                     const fl_service_options *options,
                                     fl_reason *why);

/*
 * All rows of options->own_data that are good, or that --samples or half of
 * --memory leave of them. Errors of fl_dataset_open_own. *stock is empty after
 * an error.
 */
FL_CHECK fl_err fl_stock_load_own(fl_stock *stock,
                                  const fl_service_options *options,
                                  uint64_t key, fl_skips *skips,
                                  const atomic_bool *stop, fl_reason *why);

/*
 * Leaves out rows that `before` does not have, while they are fewer than
 * FL_STOCK_NEW_MIN: the difference of two sums would tell them. *waiting_count
 * is how many these are. Rows that are gone are gone at once. FL_ERR_MEMORY.
 */
FL_CHECK fl_err fl_stock_hold_back(fl_stock *stock, uint32_t *waiting_count,
                                   const fl_stock *before);

/*
 * Whether this model can learn from it: shape, and classes that mean the same.
 * FL_ERR_RANGE: no; *why has the remedy.
 */
FL_CHECK fl_err fl_stock_check(const fl_stock *stock, const fl_model *model,
                               fl_reason *why);

/* The memory of the rows. */
size_t fl_stock_bytes(const fl_stock *stock);

/* Accepts one that is all zeros, and makes it so. */
void fl_stock_fini(fl_stock *stock);

#endif
