/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/backup.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "aggregator/store.h"
#include "aggregator/store_db.h"
#include "base/file.h"
#include "base/folder.h"

// Of rounds that finish while their files are copied.
enum { ATTEMPTS = 10 };

// Keys and lists are small; a model's size is checked when it is used.
static const size_t FILE_CAP = (size_t)4 << 30;

static const struct {
    const char *name;
    unsigned mode;
} FILES[] = {
    {"identity.key", 0600},
    {"authority.key", 0600},
    {"enrolment.list", 0644},
};

// FL_OK, too, when there is no such file, or no longer.
static fl_err copy_file(const char *from, const char *to, const char *name,
                        unsigned mode, fl_reason *why)
{
    char source[PATH_MAX], target[PATH_MAX];
    uint8_t *bytes = NULL;
    size_t len;
    FL_TRY(fl_folder_place(source, from, name, why));
    FL_TRY(fl_folder_place(target, to, name, why));
    fl_err err = fl_file_read(&bytes, &len, source, FILE_CAP, why);
    if (err == FL_ERR_NOT_FOUND) return FL_OK;
    if (err) return err;
    err = fl_file_write(target, bytes, len, mode, why);
    fl_secret_wipe(bytes, len);
    free(bytes);
    return err;
}

static bool has_ending(const char *name, const char *ending)
{
    const size_t len = strlen(name), ending_len = strlen(ending);
    return len > ending_len && strcmp(name + len - ending_len, ending) == 0;
}

static fl_err copy_models(const char *from, const char *to, const char *ending,
                          fl_reason *why)
{
    fl_err err = FL_OK;
    DIR *names = opendir(from);
    if (!names) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "%s: cannot be read", from);
    }
    for (struct dirent *entry; !err && (entry = readdir(names));) {
        if (!has_ending(entry->d_name, ending)) continue;
        err = copy_file(from, to, entry->d_name, 0600, why);
    }
    closedir(names);
    return err;
}

// The master first: of all files it is the one that stays for a round only.
static fl_err copy_all_models(const char *from, const char *to, fl_reason *why)
{
    char source[PATH_MAX], target[PATH_MAX];
    FL_TRY(fl_folder_place(source, from, "models", why));
    FL_TRY(fl_folder_place(target, to, "models", why));
    FL_TRY(fl_folder_make(target, 0700, why));
    FL_TRY(copy_models(source, target, ".master", why));
    return copy_models(source, target, ".onnx", why);
}

/* ---- the database ---- */

static fl_err vacuum_into(fl_store_db *db, const char *path, fl_reason *why)
{
    fl_store_query query;
    FL_TRY(fl_store_query_begin(&query, db, "VACUUM INTO ?", why));
    fl_store_query_bind_text(&query, path);
    (void)fl_store_query_step(&query);
    return fl_store_query_end(&query, why);
}

// What fl_store_open looks for.
static fl_err mark_as_copy(const char *path, fl_reason *why)
{
    fl_store_db db;
    FL_TRY(fl_store_db_open(&db, path, false, why));
    const fl_err err = fl_store_db_run(
        &db, "INSERT OR REPLACE INTO note (key, value) VALUES ('copy', '1')",
        why);
    fl_store_db_close(&db);
    return err;
}

static fl_err copy_database(fl_store *store, const char *to, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(fl_folder_place(path, to, "fedge.sqlite", why));
    (void)unlink(path);  // of an attempt before
    FL_TRY(vacuum_into(fl_store_database(store), path, why));
    return mark_as_copy(path, why);
}

// FL_ERR_FORMAT: a file of the last round is not there.
static fl_err check_whole(const char *folder, fl_reason *why)
{
    fl_store *store = NULL;
    fl_round_record record;
    uint8_t *model = NULL, *master = NULL;
    size_t len, master_len;
    FL_TRY(fl_store_open(&store, folder, true, why));
    const fl_err err = fl_store_last_round(store, &record, &model, &len,
                                           &master, &master_len, why);
    fl_store_close(store);
    free(model);
    free(master);
    return err == FL_ERR_NOT_FOUND ? FL_OK : err;  // no round yet
}

static fl_err copy_rounds(fl_store *store, const char *from, const char *to,
                          fl_reason *why)
{
    fl_err err = FL_ERR_FORMAT;
    for (int i = 0; i < ATTEMPTS && err == FL_ERR_FORMAT; i++) {
        FL_TRY(copy_database(store, to, why));
        FL_TRY(copy_all_models(from, to, why));
        err = check_whole(to, why);
    }
    if (err != FL_ERR_FORMAT || !fl_store_is_running(from)) return err;
    return fl_reason_prefix(why, FL_ERR_STATE,
                            "rounds finish faster than they can be copied; "
                            "stop the aggregator for the backup");
}

/* ---- the folder ---- */

static fl_err copy_folder(const char *from, const char *to, fl_reason *why)
{
    fl_store *store = NULL;
    FL_TRY(fl_store_open(&store, from, true, why));
    fl_err err = fl_folder_make(to, 0700, why);
    if (!err) err = copy_rounds(store, from, to, why);
    fl_store_close(store);
    for (size_t i = 0; !err && i < sizeof FILES / sizeof *FILES; i++) {
        err = copy_file(from, to, FILES[i].name, FILES[i].mode, why);
    }
    return err;
}

static void remove_files(const char *folder)
{
    char path[PATH_MAX];
    DIR *names = opendir(folder);
    if (!names) return;
    for (struct dirent *entry; (entry = readdir(names));) {
        if (!fl_path_join(path, sizeof path, folder, entry->d_name)) {
            (void)unlink(path);
        }
    }
    closedir(names);
    (void)rmdir(folder);
}

// What is left of a backup would keep the disk full that has ended it, and has
// keys in it.
static void remove_part(const char *part)
{
    char models[PATH_MAX];
    if (!fl_path_join(models, sizeof models, part, "models")) {
        remove_files(models);
    }
    remove_files(part);
}

fl_err fl_backup_write(const char *folder, const char *path, fl_reason *why)
{
    char part[PATH_MAX];
    const int len = snprintf(part, sizeof part, "%s.part", path);
    if (len < 0 || (size_t)len >= sizeof part) {
        return fl_reason_set(why, FL_ERR_RANGE, "%s: too long a path", path);
    }
    if (access(path, F_OK) == 0) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "%s: exists; name a folder that does not", path);
    }
    const bool is_new = access(part, F_OK) != 0;
    fl_err err = copy_folder(folder, part, why);
    if (!err) err = fl_file_publish(part, path, why);
    if (err && is_new) remove_part(part);
    return err;
}
