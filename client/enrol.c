/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <string.h>

// An old list, with somebody in it who was struck off, must not come back.
static fl_err check_serial(const fl_client *client, const fl_enrolment *list,
                           fl_reason *why)
{
    const fl_client_past *past = &client->past;
    const bool is_same =
        memcmp(list->hash, past->enrolment_hash, FL_HASH_BYTES) == 0;
    if (list->serial > past->enrolment_serial ||
        (list->serial == past->enrolment_serial && is_same)) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_STALE,
                         "the enrolment list has serial %llu, one with %llu "
                         "has been used here",
                         (unsigned long long)list->serial,
                         (unsigned long long)past->enrolment_serial);
}

// The first authority seen is kept, as the aggregator's key is.
static fl_err check_authority(fl_client *client, const fl_enrolment *list,
                              fl_reason *why)
{
    if (!client->has_authority) {
        memcpy(client->authority, list->authority, FL_KEY_BYTES);
        client->has_authority = true;
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PIN_AUTHORITY,
                                           .bytes = client->authority,
                                           .len = FL_KEY_BYTES});
        return FL_OK;
    }
    if (fl_secret_equal(client->authority, list->authority, FL_KEY_BYTES)) {
        return FL_OK;
    }
    return fl_reason_set(why, FL_ERR_AUTH,
                         "the enrolment list is signed by another authority "
                         "than the one that is pinned; if that is right, "
                         "delete authority.pub from the state directory");
}

fl_err fl_enrol_client(fl_client *client, const uint8_t *bytes, size_t len,
                       fl_reason *why)
{
    const fl_client_options *options = &client->options;
    client->enrolment = NULL;  // what was held is void from here on
    FL_TRY(options->enrol(options->enrol_self, &client->enrolment, bytes, len,
                          why));
    fl_err err = check_authority(client, client->enrolment, why);
    if (!err) err = check_serial(client, client->enrolment, why);
    if (!err &&
        fl_enrolment_find(client->enrolment, options->identity.public_key) ==
            FL_ENROLMENT_NONE) {
        err = fl_reason_set(why, FL_ERR_AUTH,
                            "this device is not in the enrolment list: the "
                            "authority enrols it with fedge-keys sign");
    }
    if (err) client->enrolment = NULL;
    return err;
}
