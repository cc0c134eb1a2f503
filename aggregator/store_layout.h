/*
 * The tables of a store's database, layout by layout: each is SQL that makes it
 * from the one before and sets PRAGMA user_version to its number.
 *
 * Private to aggregator/store_db.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_LAYOUT_H
#define FL_AGGREGATOR_STORE_LAYOUT_H

enum { FL_STORE_LAYOUT = 5 };  // the newest

/* [0] makes layout 1 of an empty database. */
extern const char *const fl_store_layouts[FL_STORE_LAYOUT];

#endif
