/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store_models.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/folder.h"

#define CUT_ENDING ".tmp"  // what fl_file_write leaves when it is killed

enum {
    HASH_DIGITS = 2 * FL_HASH_BYTES,
    NAME_CAP = HASH_DIGITS + 16,
};

static const struct {
    const char *ending, *text;
} kinds[] = {
    [FL_STORE_PUBLISHED] = {".onnx", "model"},
    [FL_STORE_MASTER] = {".master", "master model"},
};

static fl_err path_of(char path[PATH_MAX], const char *folder,
                      fl_store_kind kind, const fl_store_hash *hash,
                      fl_reason *why)
{
    char digits[FL_HEX_CAP], name[NAME_CAP];
    fl_hex_encode(digits, sizeof digits, hash->bytes, FL_HASH_BYTES);
    snprintf(name, sizeof name, "%.*s%s", HASH_DIGITS, digits,
             kinds[kind].ending);
    return fl_folder_place(path, folder, name, why);
}

fl_err fl_store_models_write(const char *folder, fl_store_kind kind,
                             const fl_store_hash *hash, const uint8_t *bytes,
                             size_t len, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(path_of(path, folder, kind, hash, why));
    const fl_err err = fl_file_write(path, bytes, len, 0600, why);
    if (!err) return FL_OK;
    return fl_reason_prefix(why, err,
                            "the new %s is not saved; make room or make the "
                            "folder writable",
                            kinds[kind].text);
}

static fl_err damaged(fl_reason *why, const char *path, fl_store_kind kind)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: the %s is damaged: its content does not have "
                         "the hash that is its name; restore this file from a "
                         "backup, or move the state folder away to start anew",
                         path, kinds[kind].text);
}

fl_err fl_store_models_read(const char *folder, fl_store_kind kind,
                            uint8_t **bytes, size_t len,
                            const fl_store_hash *hash, fl_reason *why)
{
    char path[PATH_MAX];
    FL_TRY(path_of(path, folder, kind, hash, why));
    uint8_t *content = NULL;
    size_t content_len = 0;
    const fl_err err = fl_file_read(&content, &content_len, path, len, why);
    if (err == FL_ERR_LIMIT) return damaged(why, path, kind);
    if (err) return err;

    fl_store_hash found = {{0}};
    fl_hash(found.bytes, content, content_len);
    if (content_len != len || memcmp(&found, hash, sizeof found) != 0) {
        free(content);
        return damaged(why, path, kind);
    }
    *bytes = content;
    return FL_OK;
}

// Whether it is a name that path_of gives; *is_cut: with the ending of a
// write that was interrupted.
static bool parse_name(const char *name, fl_store_kind kind,
                       fl_store_hash *hash, bool *is_cut)
{
    char digits[HASH_DIGITS + 1];
    const char *ending = kinds[kind].ending;
    if (strspn(name, "0123456789abcdef") != HASH_DIGITS) return false;
    memcpy(digits, name, HASH_DIGITS);
    digits[HASH_DIGITS] = 0;
    name += HASH_DIGITS;
    if (strncmp(name, ending, strlen(ending)) != 0) return false;
    name += strlen(ending);
    *is_cut = strcmp(name, CUT_ENDING) == 0;
    return (*is_cut || !*name) &&
           fl_hex_decode(hash->bytes, FL_HASH_BYTES, digits) == FL_OK;
}

bool fl_store_models_exist(const char *folder)
{
    DIR *names = opendir(folder);
    if (!names) return false;
    bool found = false;
    for (struct dirent *entry; !found && (entry = readdir(names));) {
        fl_store_hash hash;
        bool is_cut;
        found = parse_name(entry->d_name, FL_STORE_PUBLISHED, &hash, &is_cut) &&
                !is_cut;
    }
    closedir(names);
    return found;
}

static bool is_kept(const fl_store_hash *hash, const fl_store_hash *kept,
                    size_t kept_count)
{
    for (size_t i = 0; i < kept_count; i++) {
        if (memcmp(&kept[i], hash, sizeof *hash) == 0) return true;
    }
    return false;
}

void fl_store_models_keep(const char *folder, fl_store_kind kind,
                          const fl_store_hash *kept, size_t kept_count)
{
    DIR *names = opendir(folder);
    if (!names) return;
    for (struct dirent *entry; (entry = readdir(names));) {
        fl_store_hash hash;
        bool is_cut;
        if (!parse_name(entry->d_name, kind, &hash, &is_cut)) continue;
        if (is_cut || !is_kept(&hash, kept, kept_count)) {
            (void)unlinkat(dirfd(names), entry->d_name, 0);
        }
    }
    closedir(names);
}
