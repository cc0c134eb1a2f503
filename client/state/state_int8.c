/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_int8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/file.h"
#include "base/folder.h"
#include "client/state/state_record.h"
#include "model/model.h"

#define INT8_KIND "FEDGEi81"

enum { PAYLOAD_BYTES = 3 * FL_HASH_BYTES + 3 * 4 + 8 };

fl_err fl_state_int8_place(fl_state_int8 *int8, const char *folder,
                           fl_reason *why)
{
    FL_TRY(fl_folder_place(int8->model, folder, "int8.onnx", why));
    FL_TRY(fl_folder_place(int8->previous, folder, "int8.previous.onnx", why));
    return fl_folder_place(int8->record, folder, "int8", why);
}

/* ---- the record ---- */

static fl_err write_record(const fl_state_int8 *int8,
                           const fl_state_installed *installed,
                           const uint8_t hash[FL_HASH_BYTES], fl_reason *why)
{
    uint8_t payload[PAYLOAD_BYTES];
    fl_writer out = fl_writer_over(payload, sizeof payload);
    fl_writer_bytes(&out, hash, FL_HASH_BYTES);
    fl_writer_bytes(&out, installed->model, FL_HASH_BYTES);
    fl_writer_bytes(&out, installed->ranges, FL_HASH_BYTES);
    fl_writer_u32(&out, installed->round);
    fl_writer_u32(&out, installed->row_count);
    fl_writer_u32(&out, installed->correct_count);
    fl_writer_u64(&out, (uint64_t)installed->wall_ms);
    FL_TRY(fl_writer_finish(&out));
    return fl_state_record_write(int8->record, INT8_KIND, payload, out.len,
                                 true, why);
}

static fl_err decode(fl_state_installed *installed, const uint8_t *src,
                     size_t len, const uint8_t hash[FL_HASH_BYTES])
{
    fl_reader in = fl_reader_over(src, len);
    const uint8_t *of = fl_reader_bytes(&in, FL_HASH_BYTES);
    const uint8_t *model = fl_reader_bytes(&in, FL_HASH_BYTES);
    const uint8_t *ranges = fl_reader_bytes(&in, FL_HASH_BYTES);
    fl_state_installed read = {
        .round = fl_reader_u32(&in),
        .row_count = fl_reader_u32(&in),
        .correct_count = fl_reader_u32(&in),
        .wall_ms = (int64_t)fl_reader_u64(&in),
    };
    FL_TRY(fl_reader_finish(&in));
    if (memcmp(of, hash, FL_HASH_BYTES) != 0) return FL_ERR_STALE;
    memcpy(read.model, model, FL_HASH_BYTES);
    memcpy(read.ranges, ranges, FL_HASH_BYTES);
    *installed = read;
    return FL_OK;
}

// Of these bytes, or zeros: a stop between model and record, or damage.
static void read_record(fl_state_installed *installed,
                        const fl_state_int8 *int8, const uint8_t *bytes,
                        size_t len)
{
    uint8_t *file = NULL, hash[FL_HASH_BYTES];
    const uint8_t *payload;
    size_t payload_len;
    *installed = (fl_state_installed){.round = 0};
    if (fl_state_record_read(&file, &payload, &payload_len, int8->record,
                             INT8_KIND, PAYLOAD_BYTES, NULL)) {
        return;
    }
    fl_hash(hash, bytes, len);
    (void)!decode(installed, payload, payload_len, hash);
    free(file);
}

/* ---- models ---- */

// A second name for what is in use, so that it never is without one.
static fl_err keep_previous(const fl_state_int8 *int8, fl_reason *why)
{
    char link_path[PATH_MAX + 8];
    snprintf(link_path, sizeof link_path, "%s.tmp", int8->previous);
    (void)unlink(link_path);  // what a stop has left
    if (link(int8->model, link_path) != 0) {
        if (errno == ENOENT) return FL_OK;  // the first one
    } else if (rename(link_path, int8->previous) == 0) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_SYSTEM,
                         "%s: cannot be made: %s; see that the disk is "
                         "writable and has room",
                         int8->previous, strerror(errno));
}

static bool is_in_use(const fl_state_int8 *int8, const uint8_t *bytes,
                      size_t len)
{
    uint8_t *now = NULL;
    size_t now_len = 0;
    if (fl_file_read(&now, &now_len, int8->model, FL_MODEL_BYTES_MAX, NULL)) {
        return false;
    }
    const bool is_same = now_len == len && memcmp(now, bytes, len) == 0;
    free(now);
    return is_same;
}

fl_err fl_state_int8_save(const fl_state_int8 *int8,
                          const fl_state_installed *installed,
                          const uint8_t *bytes, size_t len, fl_reason *why)
{
    uint8_t hash[FL_HASH_BYTES];
    fl_hash(hash, bytes, len);
    if (!is_in_use(int8, bytes, len)) {
        FL_TRY(keep_previous(int8, why));
        FL_TRY(fl_state_file_write(int8->model, bytes, len, 0644, true, why));
    }
    return write_record(int8, installed, hash, why);
}

fl_err fl_state_int8_load(const fl_state_int8 *int8,
                          fl_state_installed *installed, uint8_t **bytes,
                          size_t *len, fl_reason *why)
{
    FL_TRY(fl_file_read(bytes, len, int8->model, FL_MODEL_BYTES_MAX, why));
    read_record(installed, int8, *bytes, *len);
    return FL_OK;
}

fl_err fl_state_int8_load_previous(const fl_state_int8 *int8, uint8_t **bytes,
                                   size_t *len, fl_reason *why)
{
    return fl_file_read(bytes, len, int8->previous, FL_MODEL_BYTES_MAX, why);
}

fl_err fl_state_int8_clear(const fl_state_int8 *int8, fl_reason *why)
{
    FL_TRY(fl_state_file_delete(int8->record, why));
    FL_TRY(fl_state_file_delete(int8->previous, why));
    return fl_state_file_delete(int8->model, why);
}
