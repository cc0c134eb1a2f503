/*
 * The database of a store: one SQLite file, opened with care.
 *
 * A query is used like the cursors of base/bytes.h: bind what it needs in
 * order, step, take the columns in order, end. What a bind or a column did
 * wrong is remembered, and reported by the next step or the end; until then
 * columns give zeros.
 *
 *   fl_store_query query;
 *   FL_TRY(fl_store_query_begin(&query, db, "SELECT ... WHERE key = ?", why));
 *   fl_store_query_bind_text(&query, key);
 *   while (fl_store_query_step(&query)) {
 *       count = fl_store_query_u64(&query);
 *   }
 *   return fl_store_query_end(&query, why);
 *
 * Private to aggregator/. One thread at a time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FL_AGGREGATOR_STORE_DB_H
#define FL_AGGREGATOR_STORE_DB_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sqlite3.h>

#include "base/err.h"
#include "base/reason.h"

typedef struct {
    sqlite3 *sqlite;
    bool is_uncertain;  // a commit failed in a way that may yet be on disk
    char path[PATH_MAX];
} fl_store_db;

/*
 * Opens the file; unless `read_only` checks its integrity, makes the tables
 * when it is new and changes them when it is older. FL_ERR_NOT_FOUND:
 * read_only, and there is no file or nothing in it. FL_ERR_FORMAT: damaged,
 * newer, not ours, or read_only and older. FL_ERR_SYSTEM, FL_ERR_MEMORY. After
 * an error *db needs no closing, and the file is as it was.
 */
FL_CHECK fl_err fl_store_db_open(fl_store_db *db, const char *path,
                                 bool read_only, fl_reason *why);

/* Accepts one that is closed already or all zeros. */
void fl_store_db_close(fl_store_db *db);

/* Runs statements that take and give nothing. */
FL_CHECK fl_err fl_store_db_run(fl_store_db *db, const char *sql,
                                fl_reason *why);

/* The one number, not negative, that a query gives; 0: it gives no row. */
FL_CHECK fl_err fl_store_db_count(fl_store_db *db, const char *sql,
                                  uint64_t *count, fl_reason *why);

/* A number that is another one when another connection has written. */
FL_CHECK fl_err fl_store_db_version(fl_store_db *db, int64_t *version,
                                    fl_reason *why);

/*
 * Starts a transaction. FL_ERR_SYSTEM: also when an earlier commit was cut by
 * an I/O error: only opening again shows what is on disk.
 */
FL_CHECK fl_err fl_store_db_begin(fl_store_db *db, fl_reason *why);

/*
 * Commits when `err` is FL_OK, else undoes everything since the begin.
 * Returns what is true then: FL_OK only if all of it is durable.
 */
FL_CHECK fl_err fl_store_db_finish(fl_store_db *db, fl_err err, fl_reason *why);

/* That of an open store; for the registry, which is kept in the same file. */
struct fl_store;
fl_store_db *fl_store_database(struct fl_store *store);

typedef struct {
    fl_store_db *db;
    sqlite3_stmt *statement;
    int at;    // parameters bound; then columns taken
    int code;  // SQLite's, of the first failure
    bool is_out_of_range;
} fl_store_query;

FL_CHECK fl_err fl_store_query_begin(fl_store_query *query, fl_store_db *db,
                                     const char *sql, fl_reason *why);

/* Bound bytes and texts are borrowed until the end of the query; bytes at NULL
 * are stored as NULL. */
void fl_store_query_bind_u64(fl_store_query *query, uint64_t value);
void fl_store_query_bind_i64(fl_store_query *query, int64_t value);
void fl_store_query_bind_double(fl_store_query *query, double value);
void fl_store_query_bind_text(fl_store_query *query, const char *value);
void fl_store_query_bind_bytes(fl_store_query *query, const void *src,
                               size_t src_len);

/* The next row; false after the last one or a failure. */
bool fl_store_query_step(fl_store_query *query);

/* The next column of the row. NaN is stored as NULL. */
uint32_t fl_store_query_u32(fl_store_query *query);
uint64_t fl_store_query_u64(fl_store_query *query);
int64_t fl_store_query_i64(fl_store_query *query);
double fl_store_query_double(fl_store_query *query);
void fl_store_query_bytes(fl_store_query *query, void *dst, size_t len);

/* Borrowed until the next step; never NULL. */
const char *fl_store_query_text(fl_store_query *query);

/* A copy, filled up with zeros; a failure when that takes more than dst_cap. */
void fl_store_query_copy_text(fl_store_query *query, char *dst, size_t dst_cap);

/* Whether everything so far went well; a row may be believed then. */
bool fl_store_query_is_ok(const fl_store_query *query);

/* Binds a NULL; whether the next column is one, which it then skips. */
void fl_store_query_bind_null(fl_store_query *query);
bool fl_store_query_null(fl_store_query *query);

/* Reports the first failure since the begin. */
FL_CHECK fl_err fl_store_query_end(fl_store_query *query, fl_reason *why);

/* Steps and ends one that gives no rows. */
FL_CHECK fl_err fl_store_query_run(fl_store_query *query, fl_reason *why);

#endif
