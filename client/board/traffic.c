/* SPDX-License-Identifier: Apache-2.0 */
#include "client/board/traffic.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/file.h"
#include "client/state/state_record.h"

#define KIND        "FEDGEtr1"
#define KIND_PREFIX "FEDGEtr"

enum {
    PAYLOAD_BYTES = 4 + 8,
    FILE_CAP = 4096,
};

/* ---- the file ---- */

static bool is_newer(const char *path)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (fl_file_read(&bytes, &len, path, FILE_CAP, NULL)) return false;
    const size_t at = sizeof KIND_PREFIX - 1;
    const bool is = len > at && memcmp(bytes, KIND_PREFIX, at) == 0 &&
                    bytes[at] > (uint8_t)KIND[at];
    free(bytes);
    return is;
}

static fl_err load(fl_traffic *traffic, fl_reason *why)
{
    uint8_t *file;
    const uint8_t *payload;
    size_t len;
    fl_err err = fl_state_record_read(&file, &payload, &len, traffic->path,
                                      KIND, PAYLOAD_BYTES, why);
    if (err == FL_ERR_FORMAT && is_newer(traffic->path)) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "%s: written by a newer fedge-client; use that "
                             "one, or delete the file: the bytes of this month "
                             "are counted anew then",
                             traffic->path);
    }
    if (err) return err;
    fl_reader in = fl_reader_over(payload, len);
    traffic->month = fl_reader_u32(&in);
    traffic->bytes = traffic->saved = fl_reader_u64(&in);
    err = fl_reader_finish(&in);
    free(file);
    if (!err) return FL_OK;
    traffic->month = 0;
    traffic->bytes = traffic->saved = 0;
    return fl_reason_set(why, FL_ERR_FORMAT, "%s: damaged", traffic->path);
}

static fl_err save(fl_traffic *traffic, uint64_t bytes, fl_reason *why)
{
    uint8_t payload[PAYLOAD_BYTES];
    fl_writer out = fl_writer_over(payload, sizeof payload);
    fl_writer_u32(&out, traffic->month);
    fl_writer_u64(&out, bytes);
    FL_TRY(fl_writer_finish(&out));
    FL_TRY(fl_state_record_force(traffic->path, KIND, payload, out.len, why));
    traffic->saved = bytes;
    return FL_OK;
}

fl_err fl_traffic_open(fl_traffic *traffic, const char *folder, fl_reason *why)
{
    *traffic = (fl_traffic){.month = 0};
    if (fl_path_join(traffic->path, sizeof traffic->path, folder, "traffic")) {
        return fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path");
    }
    const fl_err err = load(traffic, why);
    return err == FL_ERR_NOT_FOUND ? FL_OK : err;
}

fl_err fl_traffic_peek(uint64_t *bytes, const char *folder, fl_reason *why)
{
    fl_traffic traffic;
    FL_TRY(fl_traffic_open(&traffic, folder, why));
    *bytes = traffic.bytes;
    return FL_OK;
}

/* ---- counting ---- */

static uint32_t month_of(int64_t wall_s)
{
    struct tm local;
    const time_t time = (time_t)wall_s;
    if (wall_s < FL_TRAFFIC_PLAUSIBLE_S) return 0;
    if (!localtime_r(&time, &local)) return 0;
    return (uint32_t)(local.tm_year + 1900) * 12 + (uint32_t)local.tm_mon;
}

// True: there is something new to keep.
static bool roll(fl_traffic *traffic, uint32_t month)
{
    if (month == 0 || month == traffic->month) return false;
    const bool is_later = month > traffic->month && traffic->month > 0;
    if (is_later) traffic->bytes = 0;
    traffic->month = month;
    return true;
}

fl_err fl_traffic_count(fl_traffic *traffic, uint64_t total, int64_t wall_s,
                        fl_reason *why)
{
    const bool is_new = roll(traffic, month_of(wall_s));
    traffic->bytes += total - traffic->total;
    traffic->total = total;
    if (!is_new && traffic->bytes <= traffic->saved) return FL_OK;
    return save(traffic, traffic->bytes + FL_TRAFFIC_STEP, why);
}

fl_err fl_traffic_close(fl_traffic *traffic, fl_reason *why)
{
    if (traffic->bytes == traffic->saved) return FL_OK;
    return save(traffic, traffic->bytes, why);
}
