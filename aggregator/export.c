/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/export.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "aggregator/master.h"
#include "aggregator/reduction_state.h"
#include "aggregator/store.h"
#include "base/file.h"
#include "base/folder.h"
#include "compress/compress.h"

fl_err fl_export_int8(uint8_t **bytes, size_t *len, const uint8_t *model,
                      size_t model_len, const uint8_t *ranges,
                      size_t ranges_len, fl_reason *why)
{
    fl_model *decoded = NULL;
    fl_int8_model *quantized = NULL;
    FL_TRY(fl_model_decode(&decoded, model, model_len, why));
    fl_err err =
        fl_ranges_quantize(&quantized, decoded, ranges, ranges_len, why);
    fl_model_free(decoded);
    if (err) return err;
    err = fl_int8_encode_new(bytes, len, quantized, FL_QDQ_PLAIN, why);
    fl_int8_free(quantized);
    return err;
}

static bool is_same(const char *path, const char *other)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 &&
           a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Of the state folder's own files only those in models/ have the ending.
fl_err fl_export_check(const char *path, const char *folder, fl_reason *why)
{
    static const char ending[] = ".onnx";
    char parent[PATH_MAX] = "./", models[PATH_MAX];
    FL_TRY(fl_file_check(path, why));
    FL_TRY(fl_folder_place(models, folder, "models", why));
    const char *slash = strrchr(path, '/');
    if (slash) {
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path) + 1, path);
    }
    const size_t len = strlen(path), end = strlen(ending);
    const bool is_model = len > end && strcmp(path + len - end, ending) == 0;
    const bool is_own =
        is_same(parent, models) || (!is_model && is_same(parent, folder));
    if (!is_own) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "--out %s: could take the place of a file that the "
                         "aggregator keeps in %s; write to another folder",
                         path, folder);
}

// "model.onnx" becomes "model-int8.onnx", "model" becomes "model-int8".
static fl_err name_int8(char name[PATH_MAX], const char *path, fl_reason *why)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash ? slash + 1 : path;
    const char *dot = strrchr(file, '.');
    if (!dot || dot == file) dot = path + strlen(path);
    const int len =
        snprintf(name, PATH_MAX, "%.*s-int8%s", (int)(dot - path), path, dot);
    if (len > 0 && len < PATH_MAX) return FL_OK;
    return fl_reason_set(why, FL_ERR_SYSTEM, "%s: too long", path);
}

fl_err fl_export_write(const char *path, const uint8_t *model, size_t model_len,
                       const uint8_t *ranges, size_t ranges_len,
                       size_t *int8_len, fl_reason *why)
{
    char name[PATH_MAX];
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (int8_len) *int8_len = 0;
    FL_TRY(fl_file_write(path, model, model_len, 0644, why));
    if (!ranges) return FL_OK;
    FL_TRY(name_int8(name, path, why));
    FL_TRY(fl_export_int8(&bytes, &len, model, model_len, ranges, ranges_len,
                          why));
    const fl_err err = fl_file_write(name, bytes, len, 0644, why);
    free(bytes);
    if (!err && int8_len) *int8_len = len;
    return err;
}

/* ---- from a state folder ---- */

// What the aggregator has said of its INT8 form, behind its master.
static fl_err find_ranges(fl_reduction_state *state, uint32_t round,
                          const uint8_t *master, size_t master_len,
                          fl_reason *why)
{
    const size_t len = master ? fl_master_len(master, master_len) : 0;
    if (len == master_len) return FL_OK;  // nothing was to become smaller
    return fl_reduction_state_decode(state, round, master + len,
                                     master_len - len, why);
}

static fl_err export_last(fl_store *store, const char *path, fl_reason *why)
{
    fl_round_record record;
    fl_reduction_state state = {.phase = FL_REDUCTION_WAIT};
    uint8_t *model = NULL, *master = NULL;
    size_t len, master_len;
    FL_TRY(fl_store_last_round(store, &record, &model, &len, &master,
                               &master_len, why));
    fl_err err = find_ranges(&state, record.round, master, master_len, why);
    if (!err) {
        const fl_reduction_bytes *ranges = &state.accepted.encoded;
        err = fl_export_write(path, model, len, ranges->bytes, ranges->len,
                              NULL, why);
    }
    fl_reduction_state_fini(&state);
    free(model);
    free(master);
    return err;
}

fl_err fl_export_state(const char *folder, const char *path, fl_reason *why)
{
    fl_store *store = NULL;
    FL_TRY(fl_export_check(path, folder, why));
    FL_TRY(fl_store_open(&store, folder, true, why));
    const fl_err err = export_last(store, path, why);
    fl_store_close(store);
    return err;
}
