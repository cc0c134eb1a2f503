/* SPDX-License-Identifier: Apache-2.0 */
#include "client/state/state_session.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/state/state_record.h"

#define SESSION_KIND    "FEDGEse2"
#define KIND_NO_HOLDOUT "FEDGEse1"

enum {
    BYTES_NO_HOLDOUT = 8 + 8 + FL_HASH_BYTES,
    PAYLOAD_BYTES = BYTES_NO_HOLDOUT + 4 + 4,
};

// It is never guessed: zeros would let an update be masked a second time, or
// bring a revoked device back.
static fl_err refuse_damaged(fl_reason *why, const char *path)
{
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "%s: damaged, does not have its checksum; restore it, "
                         "or delete it together with update and update.bytes "
                         "beside it: the round is trained again then, and the "
                         "next enrolment list of the authority is taken",
                         path);
}

// Both kinds: nothing else is as long as the older one.
static fl_err decode(fl_state_session *session, const uint8_t *src, size_t len)
{
    fl_reader in = fl_reader_over(src, len);
    session->number = fl_reader_u64(&in);
    session->enrolment_serial = fl_reader_u64(&in);
    const uint8_t *hash = fl_reader_bytes(&in, FL_HASH_BYTES);
    if (len != BYTES_NO_HOLDOUT) {
        session->has_holdout = fl_reader_u32(&in) != 0;
        session->holdout = fl_reader_u32(&in);
    }
    FL_TRY(fl_reader_finish(&in));
    memcpy(session->enrolment_hash, hash, FL_HASH_BYTES);
    return FL_OK;
}

fl_err fl_state_session_read(fl_state_session *session, const char *path,
                             fl_reason *why)
{
    uint8_t *file = NULL;
    const uint8_t *payload;
    size_t len;
    fl_reason read = {""};
    *session = (fl_state_session){.number = 0};
    fl_err err = fl_state_record_read(&file, &payload, &len, path, SESSION_KIND,
                                      PAYLOAD_BYTES, &read);
    if (err == FL_ERR_NOT_FOUND) return FL_OK;
    if (err == FL_ERR_FORMAT) {
        err = fl_state_record_read(&file, &payload, &len, path, KIND_NO_HOLDOUT,
                                   BYTES_NO_HOLDOUT, &read);
    }
    if (!err) err = decode(session, payload, len);
    free(file);
    if (err == FL_ERR_FORMAT) return refuse_damaged(why, path);
    return err ? fl_reason_set(why, err, "%s", read.text) : FL_OK;
}

fl_err fl_state_session_write(const char *path, const fl_state_session *session,
                              fl_reason *why)
{
    uint8_t payload[PAYLOAD_BYTES];
    fl_writer out = fl_writer_over(payload, sizeof payload);
    fl_writer_u64(&out, session->number);
    fl_writer_u64(&out, session->enrolment_serial);
    fl_writer_bytes(&out, session->enrolment_hash, FL_HASH_BYTES);
    fl_writer_u32(&out, session->has_holdout);
    fl_writer_u32(&out, session->holdout);
    FL_TRY(fl_writer_finish(&out));
    return fl_state_record_force(path, SESSION_KIND, payload, out.len, why);
}

fl_err fl_state_session_check(const fl_state_session *now,
                              const fl_state_session *next, const char *path,
                              fl_reason *why)
{
    if (next->number < now->number) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: session %" PRIu64 " has been, session "
                             "%" PRIu64 " comes too late",
                             path, now->number, next->number);
    }
    if (next->enrolment_serial < now->enrolment_serial) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: enrolment list %" PRIu64 " is known, list "
                             "%" PRIu64 " is an old one; a new list must have "
                             "a higher serial",
                             path, now->enrolment_serial,
                             next->enrolment_serial);
    }
    if (now->enrolment_serial > 0 &&
        next->enrolment_serial == now->enrolment_serial &&
        memcmp(next->enrolment_hash, now->enrolment_hash, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: another enrolment list with serial %" PRIu64
                             " is known; a new list must have a higher serial",
                             path, now->enrolment_serial);
    }
    if (now->has_holdout &&
        (!next->has_holdout || next->holdout != now->holdout)) {
        return fl_reason_set(why, FL_ERR_STATE,
                             "%s: the holdout is %" PRIu32
                             " for life and cannot become %" PRIu32,
                             path, now->holdout, next->holdout);
    }
    return FL_OK;
}
