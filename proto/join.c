/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/join.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/proquint.h"

static const char LABEL[] = "fedge token 1";

enum { ID_BYTES = 4 };

_Static_assert((int)FL_PROQUINT_CAP(ID_BYTES) == FL_TOKEN_ID_CAP, "an id");

/* ---- tokens ---- */

void fl_token_id_encode(char dst[FL_TOKEN_ID_CAP], uint32_t id)
{
    uint8_t bytes[ID_BYTES];
    for (unsigned i = 0; i < ID_BYTES; i++) {
        bytes[i] = (uint8_t)(id >> (24 - 8 * i));
    }
    fl_proquint_encode(dst, bytes, sizeof bytes);
}

fl_err fl_token_id_decode(uint32_t *id, const char *text)
{
    uint8_t bytes[ID_BYTES];
    FL_TRY(fl_proquint_decode(bytes, sizeof bytes, text));
    *id = 0;
    for (unsigned i = 0; i < ID_BYTES; i++) {
        *id = *id << 8 | bytes[i];
    }
    return FL_OK;
}

void fl_token_encode(char dst[FL_TOKEN_CAP], const fl_token *token)
{
    fl_token_id_encode(dst, token->id);
    dst[FL_TOKEN_ID_CAP - 1] = '.';
    fl_hex_encode(dst + FL_TOKEN_ID_CAP, FL_TOKEN_CAP - FL_TOKEN_ID_CAP,
                  token->secret, FL_TOKEN_SECRET_BYTES);
}

static fl_err decode(fl_token *token, const char *text)
{
    char id[FL_TOKEN_ID_CAP];
    if (strnlen(text, FL_TOKEN_CAP) < FL_TOKEN_ID_CAP) return FL_ERR_FORMAT;
    if (text[FL_TOKEN_ID_CAP - 1] != '.') return FL_ERR_FORMAT;
    memcpy(id, text, sizeof id - 1);
    id[sizeof id - 1] = 0;
    FL_TRY(fl_token_id_decode(&token->id, id));
    return fl_hex_decode(token->secret, FL_TOKEN_SECRET_BYTES,
                         text + FL_TOKEN_ID_CAP);
}

fl_err fl_token_decode(fl_token *token, const char *text, fl_reason *why)
{
    const fl_err err = decode(token, text);
    if (!err) return FL_OK;
    fl_secret_wipe(token, sizeof *token);
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "not a token: two words, a full stop and 32 "
                         "hexadecimal digits, as fedge-aggregator token "
                         "prints them");
}

void fl_token_hash(uint8_t hash[FL_HASH_BYTES], const fl_token *token)
{
    uint8_t bytes[sizeof LABEL + ID_BYTES + FL_TOKEN_SECRET_BYTES];
    fl_writer out = fl_writer_over(bytes, sizeof bytes);
    fl_writer_bytes(&out, LABEL, sizeof LABEL);  // with its final 0
    fl_writer_u32(&out, token->id);
    fl_writer_bytes(&out, token->secret, FL_TOKEN_SECRET_BYTES);
    fl_hash(hash, bytes, out.len);
    fl_secret_wipe(bytes, sizeof bytes);
}

/* ---- causes ---- */

fl_cause fl_cause_of(uint32_t value)
{
    static const fl_cause known[] = {
#define CAUSE_VALUE(name, number, word, text) name,
        FL_CAUSE_LIST(CAUSE_VALUE)
#undef CAUSE_VALUE
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i] == value) return known[i];
    }
    return FL_CAUSE_OTHER;
}

const char *fl_cause_word(fl_cause cause)
{
    switch (cause) {
#define CAUSE_CASE(name, number, word, text) \
    case name: return word;
        FL_CAUSE_LIST(CAUSE_CASE)
#undef CAUSE_CASE
    }
    return "other";
}

const char *fl_cause_text(fl_cause cause)
{
    switch (cause) {
#define CAUSE_CASE(name, number, word, text) \
    case name: return text;
        FL_CAUSE_LIST(CAUSE_CASE)
#undef CAUSE_CASE
    }
    return "the aggregator refuses this device";
}

bool fl_cause_is_temporary(fl_cause cause)
{
    return cause == FL_CAUSE_FULL || cause == FL_CAUSE_BUSY;
}
