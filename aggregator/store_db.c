/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store_db.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/store_layout.h"

enum { BUSY_WAIT_MS = 5000 };

static fl_err damaged(fl_reason *why, const char *path, const char *detail)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: the database is damaged (%s); restore the state "
                         "folder from a backup, or move it away to start anew",
                         path, detail);
}

// The code and the sentence of what SQLite has just refused.
static fl_err failure(const fl_store_db *db, int code, fl_reason *why)
{
    const char *detail = sqlite3_errmsg(db->sqlite);
    const int number = sqlite3_system_errno(db->sqlite);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return fl_reason_set(why, FL_ERR_MEMORY, "%s: out of memory", db->path);
    case SQLITE_ERROR:  // our own SQL is right, so the tables are not
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_NOTADB: return damaged(why, db->path, detail);
    case SQLITE_FULL:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: the disk is full; make room", db->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: another program keeps the database locked; "
                             "end it (a backup, a sqlite3 shell) and try again",
                             db->path);
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: %s%s%s; run this as the user who owns the "
                             "state folder, and see that its disk is writable",
                             db->path, detail, number ? ": " : "",
                             number ? strerror(number) : "");
    default:
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: %s%s%s; look after the disk and start again",
                             db->path, detail, number ? ": " : "",
                             number ? strerror(number) : "");
    }
}

fl_err fl_store_db_run(fl_store_db *db, const char *sql, fl_reason *why)
{
    const int code = sqlite3_exec(db->sqlite, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? FL_OK : failure(db, code, why);
}

fl_err fl_store_db_begin(fl_store_db *db, fl_reason *why)
{
    if (db->is_uncertain) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "%s: an earlier write failed half-way; look after "
                             "the disk and start again",
                             db->path);
    }
    return fl_store_db_run(db, "BEGIN IMMEDIATE", why);
}

fl_err fl_store_db_finish(fl_store_db *db, fl_err err, fl_reason *why)
{
    if (!err) {
        const int code = sqlite3_exec(db->sqlite, "COMMIT", NULL, NULL, NULL);
        if (code == SQLITE_OK) return FL_OK;
        // A full disk stops the write before its last page, so it is undone
        // for sure. After any other I/O error the last page may be there.
        db->is_uncertain = (code & 0xff) == SQLITE_IOERR;
        err = failure(db, code, why);
    }
    // Some failures have rolled back by themselves.
    if (!sqlite3_get_autocommit(db->sqlite)) {
        sqlite3_exec(db->sqlite, "ROLLBACK", NULL, NULL, NULL);
    }
    return err;
}

fl_err fl_store_query_begin(fl_store_query *query, fl_store_db *db,
                            const char *sql, fl_reason *why)
{
    *query = (fl_store_query){.db = db};
    const int code =
        sqlite3_prepare_v2(db->sqlite, sql, -1, &query->statement, NULL);
    return code == SQLITE_OK ? FL_OK : failure(db, code, why);
}

static void note(fl_store_query *query, int code)
{
    if (query->code == SQLITE_OK) query->code = code;
}

void fl_store_query_bind_i64(fl_store_query *query, int64_t value)
{
    note(query, sqlite3_bind_int64(query->statement, ++query->at, value));
}

void fl_store_query_bind_u64(fl_store_query *query, uint64_t value)
{
    int64_t stored;  // the same bits: SQLite has no unsigned integers
    memcpy(&stored, &value, sizeof stored);
    fl_store_query_bind_i64(query, stored);
}

void fl_store_query_bind_double(fl_store_query *query, double value)
{
    // SQLite itself turns NaN into NULL.
    note(query, sqlite3_bind_double(query->statement, ++query->at, value));
}

void fl_store_query_bind_text(fl_store_query *query, const char *value)
{
    note(query, sqlite3_bind_text(query->statement, ++query->at, value, -1,
                                  SQLITE_STATIC));
}

void fl_store_query_bind_bytes(fl_store_query *query, const void *src,
                               size_t src_len)
{
    // SQLite itself turns NULL into NULL.
    note(query, sqlite3_bind_blob64(query->statement, ++query->at, src, src_len,
                                    SQLITE_STATIC));
}

bool fl_store_query_step(fl_store_query *query)
{
    query->at = 0;
    if (!fl_store_query_is_ok(query)) return false;
    const int code = sqlite3_step(query->statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE) note(query, code);
    return code == SQLITE_ROW;
}

// The next column, when it has the type that the schema promises.
static bool take(fl_store_query *query, int type, int *column)
{
    *column = query->at++;
    if (sqlite3_column_type(query->statement, *column) == type) return true;
    query->is_out_of_range = true;
    return false;
}

int64_t fl_store_query_i64(fl_store_query *query)
{
    int column;
    if (!take(query, SQLITE_INTEGER, &column)) return 0;
    return sqlite3_column_int64(query->statement, column);
}

uint64_t fl_store_query_u64(fl_store_query *query)
{
    return (uint64_t)fl_store_query_i64(query);
}

uint32_t fl_store_query_u32(fl_store_query *query)
{
    const int64_t value = fl_store_query_i64(query);
    if (value >= 0 && value <= UINT32_MAX) return (uint32_t)value;
    query->is_out_of_range = true;
    return 0;
}

double fl_store_query_double(fl_store_query *query)
{
    int column = query->at;
    if (sqlite3_column_type(query->statement, column) == SQLITE_NULL) {
        query->at++;
        return (double)NAN;
    }
    if (!take(query, SQLITE_FLOAT, &column)) return 0;
    return sqlite3_column_double(query->statement, column);
}

void fl_store_query_bytes(fl_store_query *query, void *dst, size_t len)
{
    memset(dst, 0, len);
    int column;
    if (!take(query, SQLITE_BLOB, &column)) return;
    const void *src = sqlite3_column_blob(query->statement, column);
    const int src_len = sqlite3_column_bytes(query->statement, column);
    if (src && src_len >= 0 && (size_t)src_len == len) {
        memcpy(dst, src, len);
    } else {
        query->is_out_of_range = true;
    }
}

const char *fl_store_query_text(fl_store_query *query)
{
    int column;
    if (!take(query, SQLITE_TEXT, &column)) return "";
    const void *text = sqlite3_column_text(query->statement, column);
    if (!text) note(query, SQLITE_NOMEM);
    return text ? text : "";
}

void fl_store_query_copy_text(fl_store_query *query, char *dst, size_t dst_cap)
{
    const char *text = fl_store_query_text(query);
    const size_t len = strnlen(text, dst_cap);
    memset(dst, 0, dst_cap);
    if (len < dst_cap) {
        memcpy(dst, text, len);
    } else {
        query->is_out_of_range = true;
    }
}

void fl_store_query_bind_null(fl_store_query *query)
{
    note(query, sqlite3_bind_null(query->statement, ++query->at));
}

bool fl_store_query_null(fl_store_query *query)
{
    if (sqlite3_column_type(query->statement, query->at) != SQLITE_NULL) {
        return false;
    }
    query->at++;
    return true;
}

bool fl_store_query_is_ok(const fl_store_query *query)
{
    return query->code == SQLITE_OK && !query->is_out_of_range;
}

fl_err fl_store_query_end(fl_store_query *query, fl_reason *why)
{
    fl_err err = FL_OK;
    if (query->code != SQLITE_OK) {
        err = failure(query->db, query->code, why);
    } else if (query->is_out_of_range) {
        err = damaged(why, query->db->path, "a value outside its range");
    }
    sqlite3_finalize(query->statement);  // its code has been seen already
    query->statement = NULL;
    return err;
}

static fl_err get_number(fl_store_db *db, const char *sql, int64_t *number,
                         fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, db, sql, why));
    if (fl_store_query_step(&query)) *number = fl_store_query_i64(&query);
    return fl_store_query_end(&query, why);
}

fl_err fl_store_db_count(fl_store_db *db, const char *sql, uint64_t *count,
                         fl_reason *why)
{
    int64_t number = 0;
    const fl_err err = get_number(db, sql, &number, why);
    *count = (uint64_t)number;
    return err;
}

fl_err fl_store_db_version(fl_store_db *db, int64_t *version, fl_reason *why)
{
    return get_number(db, "PRAGMA data_version", version, why);
}

// From the layout that is there (0: nothing yet) to the newest. Asked again in
// the transaction: two programs may have come at the same time.
static fl_err bring_up_to_date(fl_store_db *db, fl_reason *why)
{
    int64_t version = 0;
    FL_TRY(fl_store_db_begin(db, why));
    fl_err err = get_number(db, "PRAGMA user_version", &version, why);
    for (int64_t i = version; i < FL_STORE_LAYOUT && !err; i++) {
        err = fl_store_db_run(db, fl_store_layouts[i], why);
    }
    return fl_store_db_finish(db, err, why);
}

static fl_err never_used(const fl_store_db *db, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: no aggregator has kept anything here yet; start "
                         "fedge-aggregator run, or name another state folder",
                         db->path);
}

static fl_err refuse_old(const fl_store_db *db, fl_reason *why)
{
    return fl_reason_set(
        why, FL_ERR_FORMAT,
        "%s: written by an older fedge; start fedge-aggregator "
        "run there once, which brings it up to date",
        db->path);
}

static fl_err refuse_stranger(const fl_store_db *db, fl_reason *why)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: a database of some other program; name "
                         "another state folder",
                         db->path);
}

// The tables are ours, and of the layout that this program knows.
static fl_err check_version(fl_store_db *db, bool read_only, fl_reason *why)
{
    int64_t version = 0, table_count = 0;
    FL_TRY(get_number(db, "PRAGMA user_version", &version, why));
    if (version > FL_STORE_LAYOUT) {
        return fl_reason_set(why, FL_ERR_FORMAT,
                             "%s: written by a newer fedge (layout %lld, this "
                             "one knows %d); install that version again, or "
                             "name another state folder",
                             db->path, (long long)version, FL_STORE_LAYOUT);
    }
    if (version == FL_STORE_LAYOUT) return FL_OK;
    if (version < 0) return refuse_stranger(db, why);
    if (version > 0) {
        return read_only ? refuse_old(db, why) : bring_up_to_date(db, why);
    }

    FL_TRY(get_number(db, "SELECT count(*) FROM sqlite_schema", &table_count,
                      why));
    if (table_count > 0) return refuse_stranger(db, why);
    return read_only ? never_used(db, why) : bring_up_to_date(db, why);
}

static fl_err check_integrity(fl_store_db *db, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, db, "PRAGMA quick_check(1)", why));
    fl_err err = FL_OK;
    if (fl_store_query_step(&query)) {
        const char *verdict = fl_store_query_text(&query);
        if (strcmp(verdict, "ok") != 0) err = damaged(why, db->path, verdict);
    }
    const fl_err query_err = fl_store_query_end(&query, err ? NULL : why);
    return err ? err : query_err;
}

static fl_err use_wal(fl_store_db *db, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, db, "PRAGMA journal_mode = WAL", why));
    fl_err err = FL_OK;
    if (fl_store_query_step(&query) &&
        strcmp(fl_store_query_text(&query), "wal") != 0) {
        err = fl_reason_set(why, FL_ERR_SYSTEM,
                            "%s: this file system cannot hold a write-ahead "
                            "log; put the state folder on a local disk",
                            db->path);
    }
    const fl_err query_err = fl_store_query_end(&query, err ? NULL : why);
    return err ? err : query_err;
}

static fl_err prepare(fl_store_db *db, bool read_only, fl_reason *why)
{
    FL_TRY(fl_store_db_run(db,
                           "PRAGMA trusted_schema = OFF;"
                           "PRAGMA cell_size_check = ON;"
                           "PRAGMA foreign_keys = ON;"
                           "PRAGMA cache_size = -256;"  // KiB
                           "PRAGMA synchronous = FULL;",
                           why));
    if (read_only) return check_version(db, true, why);

    // Integrity first: nothing is written to a file that is damaged, and WAL
    // last: a file that is refused stays as it is.
    FL_TRY(check_integrity(db, why));
    FL_TRY(check_version(db, false, why));
    return use_wal(db, why);
}

// A path as SQLite's URI: what would end the name is escaped.
static fl_err encode_uri(char *uri, size_t uri_cap, const char *path,
                         const char *options)
{
    size_t len = (size_t)snprintf(uri, uri_cap, "file:");
    for (; *path; path++) {
        const bool is_special = *path == '?' || *path == '#' || *path == '%';
        if (len + 3 >= uri_cap) return FL_ERR_SPACE;
        len += (size_t)snprintf(uri + len, uri_cap - len,
                                is_special ? "%%%02x" : "%c", *path);
    }
    const int options_len = snprintf(uri + len, uri_cap - len, "%s", options);
    return (size_t)options_len < uri_cap - len ? FL_OK : FL_ERR_SPACE;
}

/*
 * A reader of a write-ahead log needs the index file beside it, and makes it
 * when it is missing. Where it may not do so and there is no log either,
 * nobody is writing: the database can be taken as it is.
 */
static bool is_at_rest(const char *path)
{
    char log[PATH_MAX + 8];
    snprintf(log, sizeof log, "%s-wal", path);
    return access(path, W_OK) != 0 && access(log, F_OK) != 0;
}

static fl_err open_file(fl_store_db *db, bool read_only, fl_reason *why)
{
    char uri[3 * PATH_MAX];
    const bool as_it_is = read_only && is_at_rest(db->path);
    if (encode_uri(uri, sizeof uri, db->path, as_it_is ? "?immutable=1" : "")) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: too long", db->path);
    }

    const int flags = SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE |
                      (read_only ? SQLITE_OPEN_READONLY
                                 : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
    const int code = sqlite3_open_v2(uri, &db->sqlite, flags, NULL);
    if (code != SQLITE_OK) return failure(db, code, why);
    sqlite3_busy_timeout(db->sqlite, BUSY_WAIT_MS);
    return FL_OK;
}

static bool is_missing(const char *path)
{
    return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

fl_err fl_store_db_open(fl_store_db *db, const char *path, bool read_only,
                        fl_reason *why)
{
    *db = (fl_store_db){.sqlite = NULL};
    const int len = snprintf(db->path, sizeof db->path, "%s", path);
    if (len < 0 || (size_t)len >= sizeof db->path) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: too long", path);
    }
    if (read_only && is_missing(path)) return never_used(db, why);

    fl_err err = open_file(db, read_only, why);
    if (!err) err = prepare(db, read_only, why);
    if (err) fl_store_db_close(db);
    return err;
}

void fl_store_db_close(fl_store_db *db)
{
    // Every query has ended, so this cannot fail.
    sqlite3_close(db->sqlite);
    db->sqlite = NULL;
}

fl_err fl_store_query_run(fl_store_query *query, fl_reason *why)
{
    (void)fl_store_query_step(query);
    return fl_store_query_end(query, why);
}
