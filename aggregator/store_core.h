/*
 * An open store, for the files that make it up.
 *
 * Private to aggregator/store*.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_CORE_H
#define FL_AGGREGATOR_STORE_CORE_H

#include "aggregator/store.h"
#include "aggregator/store_db.h"

enum { FL_STORE_NO_LOCK = -1 };

struct fl_store {
    fl_store_db db;
    int lock;  // FL_STORE_NO_LOCK: read-only
    bool is_copy;
    uint64_t start_count;
    uint64_t client_count;
    char models[PATH_MAX];  // the folder
};

/* Whether all of it may be written: not read-only, not beside another. */
bool fl_store_is_writable(const fl_store *store);

#endif
