/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store.h"

#include <assert.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aggregator/store_core.h"
#include "aggregator/store_models.h"
#include "aggregator/store_round.h"
#include "base/clock.h"
#include "base/folder.h"
#include "base/lock.h"

#define DATABASE_NAME "fedge.sqlite"
#define MODELS_NAME   "models"

/* ---- open and close ---- */

// Deletes the files of this kind whose hashes the query does not give. Each of
// its rows is one of the last FL_STORE_MODELS_KEPT rounds, or the best.
static fl_err keep_files(fl_store *store, fl_store_kind kind, const char *sql,
                         int64_t round_count, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db, sql, why));
    fl_store_query_bind_i64(&query, round_count);

    fl_store_hash kept[FL_STORE_MODELS_KEPT + 1];
    size_t kept_count = 0;
    while (fl_store_query_step(&query)) {
        assert(kept_count <= FL_STORE_MODELS_KEPT);
        fl_store_query_bytes(&query, kept[kept_count++].bytes, FL_HASH_BYTES);
    }
    FL_TRY(fl_store_query_end(&query, why));
    fl_store_models_keep(store->models, kind, kept, kept_count);
    return FL_OK;
}

// Deletes the models that are neither new nor good enough to stay, and all
// masters but that of the last round.
static fl_err delete_old_files(fl_store *store, fl_reason *why)
{
    FL_TRY(keep_files(store, FL_STORE_PUBLISHED,
                      "SELECT model FROM round"
                      " WHERE round > (SELECT max(round) FROM round) - ? "
                      "UNION SELECT model FROM (SELECT model FROM round"
                      " WHERE accuracy IS NOT NULL"
                      " ORDER BY accuracy DESC, round DESC LIMIT 1)",
                      FL_STORE_MODELS_KEPT, why));
    return keep_files(store, FL_STORE_MASTER,
                      "SELECT master FROM round"
                      " WHERE round > (SELECT max(round) FROM round) - ?"
                      " AND master IS NOT NULL",
                      1, why);
}

// A copy (backup.h) does not know how often the original has been started
// since: not more than ten times a second after the last round that both have.
static fl_err count_unknown_starts(fl_store *store, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, &store->db,
        "UPDATE start SET count = count + (SELECT"
        " max(0, ?1 - coalesce(max(finished_ms), ?1)) / 100 FROM round)",
        why));
    fl_store_query_bind_i64(&query, fl_clock_wall_ms());
    return fl_store_query_run(&query, why);
}

static fl_err count_start(fl_store *store, fl_reason *why)
{
    uint64_t copies;
    fl_err err = FL_OK;
    FL_TRY(fl_store_db_count(&store->db,
                             "SELECT count(*) FROM note WHERE key = 'copy'",
                             &copies, why));
    store->is_copy = copies > 0;
    FL_TRY(fl_store_db_begin(&store->db, why));
    if (store->is_copy) err = count_unknown_starts(store, why);
    if (!err) {
        err = fl_store_db_run(&store->db, "UPDATE start SET count = count + 1",
                              why);
    }
    return fl_store_db_finish(&store->db, err, why);
}

// Models without a database mean that it was lost: going on with a new one
// would delete them all. SQLite takes an empty file for a new one.
static fl_err check_not_lost(const fl_store *store, const char *database,
                             fl_reason *why)
{
    struct stat file;
    const bool is_there = stat(database, &file) == 0;
    if ((is_there && file.st_size > 0) ||
        !fl_store_models_exist(store->models)) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: %s, though there are models beside it; "
                         "restore it from a backup, or move the state folder "
                         "away to start anew",
                         database, is_there ? "empty" : "missing");
}

static fl_err open_for_writing(fl_store *store, const char *folder,
                               const char *database, fl_reason *why)
{
    FL_TRY(fl_folder_make(folder, 0700, why));
    FL_TRY(fl_folder_lock(&store->lock, folder, why));
    FL_TRY(fl_folder_make(store->models, 0700, why));
    FL_TRY(check_not_lost(store, database, why));
    FL_TRY(fl_store_db_open(&store->db, database, false, why));
    FL_TRY(count_start(store, why));
    return delete_old_files(store, why);
}

typedef enum { READ_ONLY, BESIDE, WRITING } access_kind;

static fl_err open_database(fl_store *store, const char *folder,
                            const char *database, access_kind kind,
                            fl_reason *why)
{
    switch (kind) {
    case READ_ONLY: return fl_store_db_open(&store->db, database, true, why);
    case BESIDE: return fl_store_db_open(&store->db, database, false, why);
    case WRITING: break;
    }
    return open_for_writing(store, folder, database, why);
}

static fl_err open_parts(fl_store *store, const char *folder, access_kind kind,
                         fl_reason *why)
{
    char database[PATH_MAX];
    FL_TRY(fl_folder_place(database, folder, DATABASE_NAME, why));
    FL_TRY(fl_folder_place(store->models, folder, MODELS_NAME, why));
    FL_TRY(open_database(store, folder, database, kind, why));
    FL_TRY(fl_store_db_count(&store->db, "SELECT count FROM start",
                             &store->start_count, why));
    return fl_store_db_count(&store->db, "SELECT count(*) FROM client",
                             &store->client_count, why);
}

static fl_err open_as(fl_store **store, const char *folder, access_kind kind,
                      fl_reason *why)
{
    fl_store *made = calloc(1, sizeof *made);
    if (!made) return fl_reason_set(why, FL_ERR_MEMORY, "out of memory");
    made->lock = FL_STORE_NO_LOCK;
    const fl_err err = open_parts(made, folder, kind, why);
    if (err) {
        fl_store_close(made);
        return err;
    }
    *store = made;
    return FL_OK;
}

fl_err fl_store_open(fl_store **store, const char *folder, bool read_only,
                     fl_reason *why)
{
    return open_as(store, folder, read_only ? READ_ONLY : WRITING, why);
}

// Beside an aggregator there is nothing to make: it has done so.
fl_err fl_store_open_beside(fl_store **store, const char *folder,
                            fl_reason *why)
{
    if (!fl_store_is_running(folder)) {
        fl_store *own = NULL;
        const fl_err err = open_as(&own, folder, WRITING, why);
        if (err && err != FL_ERR_STATE) return err;
        if (!err) fl_store_close(own);
    }
    return open_as(store, folder, BESIDE, why);
}

bool fl_store_is_writable(const fl_store *store)
{
    return store->lock != FL_STORE_NO_LOCK;
}

fl_store_db *fl_store_database(fl_store *store)
{
    return &store->db;
}

void fl_store_close(fl_store *store)
{
    if (!store) return;
    fl_store_db_close(&store->db);
    // Last: whoever gets the lock finds everything closed.
    if (store->lock != FL_STORE_NO_LOCK) fl_lock_release(store->lock);
    free(store);
}

bool fl_store_is_running(const char *folder)
{
    return fl_folder_is_locked(folder);
}

fl_err fl_store_ask_to_reload(const char *folder, fl_reason *why)
{
    return fl_folder_ask_to_reload(folder, "aggregator", why);
}

uint64_t fl_store_start_count(const fl_store *store)
{
    return store->start_count;
}

bool fl_store_is_copy(const fl_store *store)
{
    return store->is_copy;
}

/* ---- settings ---- */

static fl_err compare_setting(fl_store *store, bool *is_pinned, const char *key,
                              const char *value, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, &store->db, "SELECT value FROM setting WHERE key = ?", why));
    fl_store_query_bind_text(&query, key);
    *is_pinned = fl_store_query_step(&query);
    const char *pinned = *is_pinned ? fl_store_query_text(&query) : value;
    fl_err err = FL_OK;
    if (strcmp(pinned, value) != 0) {
        err = fl_reason_set(
            why, FL_ERR_STATE,
            "%s: %s is \"%s\" here for life, now it is \"%s\"; set it back, "
            "or name another state folder for a new federation",
            store->db.path, key, pinned, value);
    }
    const fl_err query_err = fl_store_query_end(&query, why);
    return query_err ? query_err : err;
}

static fl_err insert_setting(fl_store *store, const char *key,
                             const char *value, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, &store->db, "INSERT INTO setting (key, value) VALUES (?, ?)",
        why));
    fl_store_query_bind_text(&query, key);
    fl_store_query_bind_text(&query, value);
    return fl_store_query_run(&query, why);
}

fl_err fl_store_pin_setting(fl_store *store, const char *key, const char *value,
                            fl_reason *why)
{
    assert(fl_store_is_writable(store));
    bool is_pinned;
    FL_TRY(compare_setting(store, &is_pinned, key, value, why));
    if (is_pinned) return FL_OK;

    FL_TRY(fl_store_db_begin(&store->db, why));
    const fl_err err = insert_setting(store, key, value, why);
    return fl_store_db_finish(&store->db, err, why);
}

/* ---- rounds ---- */

// FL_ERR_NOT_FOUND: no round names this model.
static fl_err get_model_len(fl_store *store, const fl_store_hash *hash,
                            size_t *len, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "SELECT len FROM model WHERE hash = ?", why));
    fl_store_query_bind_bytes(&query, hash->bytes, sizeof hash->bytes);
    const bool found = fl_store_query_step(&query);
    if (found) *len = (size_t)fl_store_query_u64(&query);
    FL_TRY(fl_store_query_end(&query, why));
    if (found) return FL_OK;
    return fl_reason_set(why, FL_ERR_NOT_FOUND,
                         "%s: no round has made this model", store->db.path);
}

fl_err fl_store_read_model(fl_store *store, uint8_t **bytes, size_t *len,
                           const uint8_t model[FL_HASH_BYTES], fl_reason *why)
{
    fl_store_hash hash;
    memcpy(hash.bytes, model, sizeof hash.bytes);
    size_t model_len = 0;
    FL_TRY(get_model_len(store, &hash, &model_len, why));
    FL_TRY(fl_store_models_read(store->models, FL_STORE_PUBLISHED, bytes,
                                model_len, &hash, why));
    *len = model_len;
    return FL_OK;
}

static fl_err find_last_round(fl_store *store, bool *found,
                              fl_round_record *record, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "SELECT " FL_STORE_ROUND_COLUMNS " FROM round"
                                " ORDER BY round DESC LIMIT 1",
                                why));
    *found = fl_store_query_step(&query);
    if (*found) fl_store_round_take(&query, record);
    return fl_store_query_end(&query, why);
}

// A file that the last round needs is not there.
static fl_err lost(fl_reason *why, const char *what, uint32_t round)
{
    return fl_reason_prefix(why, FL_ERR_FORMAT,
                            "the %s of round %u is lost; restore it from a "
                            "backup, or move the state folder away to start "
                            "anew",
                            what, round);
}

static fl_err find_master(fl_store *store, bool *found, fl_store_hash *hash,
                          size_t *len, uint32_t round, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "SELECT master, master_len FROM round"
                                " WHERE round = ? AND master IS NOT NULL",
                                why));
    fl_store_query_bind_u64(&query, round);
    *found = fl_store_query_step(&query);
    if (*found) {
        fl_store_query_bytes(&query, hash->bytes, sizeof hash->bytes);
        *len = (size_t)fl_store_query_u64(&query);
    }
    return fl_store_query_end(&query, why);
}

static fl_err read_master(fl_store *store, uint8_t **master, size_t *master_len,
                          uint32_t round, fl_reason *why)
{
    bool found;
    fl_store_hash hash;
    *master = NULL;
    *master_len = 0;
    FL_TRY(find_master(store, &found, &hash, master_len, round, why));
    if (!found) return FL_OK;
    const fl_err err = fl_store_models_read(store->models, FL_STORE_MASTER,
                                            master, *master_len, &hash, why);
    return err == FL_ERR_NOT_FOUND ? lost(why, "master model", round) : err;
}

fl_err fl_store_last_round(fl_store *store, fl_round_record *record,
                           uint8_t **bytes, size_t *len, uint8_t **master,
                           size_t *master_len, fl_reason *why)
{
    bool found;
    FL_TRY(find_last_round(store, &found, record, why));
    if (!found) {
        return fl_reason_set(why, FL_ERR_NOT_FOUND, "%s: no round is saved yet",
                             store->db.path);
    }
    uint8_t *model = NULL;
    fl_err err = fl_store_read_model(store, &model, len, record->model, why);
    if (err == FL_ERR_NOT_FOUND) return lost(why, "model", record->round);
    if (err) return err;
    if (master) {
        err = read_master(store, master, master_len, record->round, why);
    }
    if (err) {
        free(model);
        return err;
    }
    *bytes = model;
    return FL_OK;
}

static fl_err check_is_next(fl_store *store, uint32_t round, fl_reason *why)
{
    bool found;
    fl_round_record last;
    FL_TRY(find_last_round(store, &found, &last, why));
    const uint32_t next = found ? last.round + 1 : 0;
    if (round == next) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "%s: round %u cannot be saved, round %u is the next",
                         store->db.path, round, next);
}

static fl_err insert_model(fl_store *store, const fl_store_hash *hash,
                           size_t len, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(
        &query, &store->db,
        "INSERT OR IGNORE INTO model (hash, len) VALUES (?, ?)", why));
    fl_store_query_bind_bytes(&query, hash->bytes, sizeof hash->bytes);
    fl_store_query_bind_u64(&query, len);
    return fl_store_query_run(&query, why);
}

// What a round is saved with.
typedef struct {
    const uint8_t *bytes;  // NULL: there is none
    size_t len;
    fl_store_hash hash;
} content;

static content make_content(const uint8_t *bytes, size_t len)
{
    content made = {.bytes = bytes, .len = len};
    if (bytes) fl_hash(made.hash.bytes, bytes, len);
    return made;
}

static fl_err insert_round(fl_store *store, const fl_round_record *record,
                           const content *master, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, &store->db,
                                "INSERT INTO round (" FL_STORE_ROUND_COLUMNS
                                ", master, master_len) VALUES "
                                "(" FL_STORE_ROUND_MARKS ", ?, ?)",
                                why));
    fl_store_round_bind(&query, record);
    fl_store_query_bind_bytes(&query, master->bytes ? master->hash.bytes : NULL,
                              FL_HASH_BYTES);
    fl_store_query_bind_u64(&query, master->len);
    return fl_store_query_run(&query, why);
}

// Both files first: whatever the row names is on disk.
static fl_err save_round(fl_store *store, const fl_round_record *record,
                         const content *model, const content *master,
                         fl_reason *why)
{
    FL_TRY(fl_store_db_begin(&store->db, why));
    fl_err err =
        fl_store_models_write(store->models, FL_STORE_PUBLISHED, &model->hash,
                              model->bytes, model->len, why);
    if (!err && master->bytes) {
        err =
            fl_store_models_write(store->models, FL_STORE_MASTER, &master->hash,
                                  master->bytes, master->len, why);
    }
    if (!err) err = insert_model(store, &model->hash, model->len, why);
    if (!err) err = insert_round(store, record, master, why);
    if (!err && store->is_copy) {
        err = fl_store_db_run(&store->db, "DELETE FROM note WHERE key = 'copy'",
                              why);
    }
    return fl_store_db_finish(&store->db, err, why);
}

fl_err fl_store_finish_round(fl_store *store, fl_round_record *record,
                             const uint8_t *bytes, size_t len,
                             const uint8_t *master, size_t master_len,
                             fl_reason *why)
{
    assert(fl_store_is_writable(store));
    FL_TRY(check_is_next(store, record->round, why));
    const content model_content = make_content(bytes, len);
    const content master_content = make_content(master, master_len);
    memcpy(record->model, model_content.hash.bytes, sizeof record->model);

    const fl_err err =
        save_round(store, record, &model_content, &master_content, why);
    // A file whose round may be on disk after all must stay. Not being able
    // to delete is no failure of this round; the next one tries again.
    if (!store->db.is_uncertain) (void)delete_old_files(store, NULL);
    if (!err) store->is_copy = false;
    return err;
}
