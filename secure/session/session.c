/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG  // asserts stay on in this folder

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "secure/secure.h"

enum { VERSION = 2, SIGNED_BYTES = FL_INVITE_BYTES - FL_SIGNATURE_BYTES };

static const char LABEL[] = "fedge invite";

/* ---- how many ---- */

uint32_t fl_session_client_min(uint32_t client_count)
{
    const uint64_t share = (2 * (uint64_t)client_count + 2) / 3;
    return share > FL_SESSION_MIN_CLIENTS ? (uint32_t)share
                                          : FL_SESSION_MIN_CLIENTS;
}

uint32_t fl_session_neighbours(uint32_t n)
{
    // So that 10 % dropouts and 10 % corrupt clients neither stop a session nor
    // open it, but for one in 2^20 (Bell et al. 2020, section 3).
    static const struct {
        uint32_t n_max, k;
    } rows[] = {
        {FL_SESSION_COMPLETE_MAX, 0},
        {256, 80},
        {512, 88},
        {1024, 96},
        {2048, 104},
        {4096, 112},
        {FL_SESSION_CLIENTS_MAX, 122},
    };
    size_t i = 0;
    while (i + 1 < sizeof rows / sizeof *rows && n > rows[i].n_max) {
        i++;
    }
    return rows[i].k;
}

uint32_t fl_session_threshold(uint32_t n)
{
    if (n <= FL_SESSION_COMPLETE_MAX) return 2 * n / 3 + 1;
    return 7 * fl_session_neighbours(n) / 10;
}

/* ---- the invite ---- */

void fl_session_encode(uint8_t dst[FL_INVITE_BYTES], fl_session *session,
                       const fl_identity *aggregator)
{
    memcpy(session->federation, aggregator->public_key, FL_KEY_BYTES);
    fl_writer out = fl_writer_over(dst, SIGNED_BYTES);
    fl_writer_u32(&out, VERSION);
    fl_writer_u32(&out, session->client_min);
    fl_writer_u32(&out, session->client_cap);
    fl_writer_u32(&out, session->word_count);
    fl_writer_u32(&out, session->phase_ms);
    fl_writer_u32(&out, session->round);
    fl_writer_u64(&out, session->number);
    fl_writer_bytes(&out, session->id, sizeof session->id);
    fl_writer_bytes(&out, session->federation, sizeof session->federation);
    fl_writer_bytes(&out, session->model, sizeof session->model);
    fl_writer_bytes(&out, session->task, sizeof session->task);
    fl_writer_bytes(&out, session->enrolment, sizeof session->enrolment);
    assert(!fl_writer_finish(&out) && out.len == SIGNED_BYTES);
    fl_identity_sign(dst + SIGNED_BYTES, aggregator, LABEL, dst, SIGNED_BYTES);
}

static bool counts_ok(const fl_session *session)
{
    return session->client_min >= 2 &&
           session->client_cap >= session->client_min &&
           session->client_cap <= FL_SESSION_CLIENTS_MAX &&
           session->word_count > 0 &&
           session->word_count <= FL_SESSION_WORDS_MAX &&
           session->phase_ms > 0 && session->round > 0;
}

static void read_hash(uint8_t dst[32], fl_reader *in)
{
    memcpy(dst, fl_reader_bytes(in, 32), 32);
}

fl_err fl_session_decode(fl_session *session, const uint8_t *src,
                         size_t src_len)
{
    if (src_len != FL_INVITE_BYTES) return FL_ERR_FORMAT;
    fl_reader in = fl_reader_over(src, src_len);
    const uint32_t version = fl_reader_u32(&in);
    session->client_min = fl_reader_u32(&in);
    session->client_cap = fl_reader_u32(&in);
    session->word_count = fl_reader_u32(&in);
    session->phase_ms = fl_reader_u32(&in);
    session->round = fl_reader_u32(&in);
    session->number = fl_reader_u64(&in);
    read_hash(session->id, &in);
    read_hash(session->federation, &in);
    read_hash(session->model, &in);
    read_hash(session->task, &in);
    read_hash(session->enrolment, &in);

    if (version != VERSION || !counts_ok(session)) return FL_ERR_FORMAT;
    return fl_signature_check(src + SIGNED_BYTES, session->federation, LABEL,
                              src, SIGNED_BYTES);
}

/* ---- names ---- */

const char *fl_step_name(fl_step step)
{
    switch (step) {
    case FL_STEP_READY: return "ready";
    case FL_STEP_INVITE: return "invite";
    case FL_STEP_ADVERTISE: return "advertise";
    case FL_STEP_ROSTER: return "roster";
    case FL_STEP_CHOICE: return "choice";
    case FL_STEP_NEIGHBOURS: return "neighbours";
    case FL_STEP_SHARES: return "shares";
    case FL_STEP_INBOX: return "inbox";
    case FL_STEP_MASKED: return "masked";
    case FL_STEP_SURVIVORS: return "survivors";
    case FL_STEP_CONFIRM: return "confirm";
    case FL_STEP_CONFIRMATIONS: return "confirmations";
    case FL_STEP_UNMASK: return "unmask";
    case FL_STEP_DECLINE: return "decline";
    }
    return "unknown";
}

static const struct {
    const char *name, *meaning;
} faults[] = {
#define FAULT_ROW(name, text, meaning) {text, meaning},
    FL_FAULT_LIST(FAULT_ROW)
#undef FAULT_ROW
};

static bool fault_is_known(fl_fault fault)
{
    return (size_t)fault < sizeof faults / sizeof *faults;
}

const char *fl_fault_name(fl_fault fault)
{
    return fault_is_known(fault) ? faults[fault].name : "unknown";
}

const char *fl_fault_meaning(fl_fault fault)
{
    return fault_is_known(fault) ? faults[fault].meaning : "an unknown fault";
}
