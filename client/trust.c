/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trust.h"

#include <string.h>

typedef fl_err get_key(const fl_state *state, uint8_t key[FL_KEY_BYTES],
                       fl_reason *why);
typedef fl_err set_key(fl_state *state, const uint8_t key[FL_KEY_BYTES],
                       fl_reason *why);

typedef struct {
    const char *name;
    get_key *get;
    set_key *set;
} kept_key;

// One that is kept is not replaced by another: who answers under a new key may
// be anybody.
static fl_err keep_key(fl_state *state, const uint8_t key[FL_KEY_BYTES],
                       const kept_key *kept, fl_reason *why)
{
    const fl_err err = kept->set(state, key, why);
    if (err != FL_ERR_STATE) return err;
    return fl_reason_prefix(why, FL_ERR_AUTH,
                            "--%s names another one than this device trusts",
                            kept->name);
}

// From the option, else from the folder. *key NULL: none yet.
static fl_err load_key(const uint8_t **key, uint8_t room[FL_KEY_BYTES],
                       fl_state *state, const char *option,
                       const kept_key *kept, fl_reason *why)
{
    *key = room;
    if (option) {
        if (fl_hex_decode(room, FL_KEY_BYTES, option)) {
            return fl_reason_set(why, FL_ERR_RANGE,
                                 "--%s takes 64 hexadecimal digits",
                                 kept->name);
        }
        return keep_key(state, room, kept, why);
    }
    fl_reason first;
    const fl_err err = kept->get(state, room, &first);
    if (err == FL_ERR_NOT_FOUND) *key = NULL;
    if (!err || err == FL_ERR_NOT_FOUND) return FL_OK;
    return fl_reason_set(why, err, "%s", first.text);
}

static const kept_key PIN = {"pin", fl_state_pin_get, fl_state_pin_set};
static const kept_key AUTHORITY = {"authority", fl_state_authority_get,
                                   fl_state_authority_set};

fl_err fl_trust_load(fl_trust *trust, fl_client_options *options,
                     fl_state *state, const fl_trust_options *given,
                     fl_reason *why)
{
    fl_state_session session;
    FL_TRY(load_key(&options->pin, trust->pin, state, given->pin, &PIN, why));
    FL_TRY(load_key(&options->authority, trust->authority, state,
                    given->authority, &AUTHORITY, why));
    FL_TRY(fl_state_session_get(state, &session, why));
    options->past = (fl_client_past){
        .number = session.number,
        .enrolment_serial = session.enrolment_serial,
        .has_holdout = session.has_holdout,
        .holdout = session.holdout,
    };
    memcpy(options->past.enrolment_hash, session.enrolment_hash, FL_HASH_BYTES);
    return FL_OK;
}
