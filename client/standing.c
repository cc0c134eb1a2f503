/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <string.h>

void fl_standing_ask(fl_client *client)
{
    fl_message message = {.type = FL_MESSAGE_JOIN,
                          .operation = fl_emit_operation(client),
                          .join = client->join};
    fl_emit_message(client, &message);
    fl_secret_wipe(&message.join.token, sizeof message.join.token);
    fl_uplink_expect(client, true);
}

// Another authority than the one that is known is somebody else's federation.
static fl_err take_authority(fl_client *client, const fl_standing *standing)
{
    if (!standing->has_authority) return FL_OK;
    if (!client->has_authority) {
        memcpy(client->authority, standing->authority, FL_KEY_BYTES);
        client->has_authority = true;
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PIN_AUTHORITY,
                                           .bytes = client->authority,
                                           .len = FL_KEY_BYTES});
        return FL_OK;
    }
    if (fl_secret_equal(client->authority, standing->authority, FL_KEY_BYTES)) {
        return FL_OK;
    }
    return fl_reason_set(&client->why, FL_ERR_AUTH,
                         "another authority signs this federation's enrolment "
                         "list than the one that this device knows; if that is "
                         "right, delete authority.pub from the state directory "
                         "and join again");
}

static void joined(fl_client *client, const fl_standing *standing)
{
    client->standing = *standing;
    fl_emit_log(client, FL_LOG_INFO, "joined", "state=%s name=%s",
                standing->state == FL_STANDING_ENROLLED ? "enrolled"
                                                        : "pending",
                standing->name);
    fl_uplink_leave(client, take_authority(client, standing));
}

// It goes on by itself once somebody has approved it: it asks again with every
// connection, whose waiting times grow.
static void wait_for_approval(fl_client *client)
{
    if (!client->is_pending) {
        fl_emit_log(client, FL_LOG_WARN, "pending", "remedy=%s",
                    "somebody has to approve this device: fedge-aggregator "
                    "clients list shows it there");
    }
    client->is_pending = true;
    fl_uplink_hang_up_quietly(client);
}

static void refused(fl_client *client, const fl_standing *standing)
{
    client->standing = *standing;
    fl_emit_log(client, FL_LOG_ERROR, "refused", "why=%s",
                fl_cause_word(standing->cause));
    if (!client->is_joining && fl_cause_is_temporary(standing->cause)) {
        fl_uplink_hang_up_quietly(client);
        return;
    }
    (void)!fl_reason_set(&client->why, FL_ERR_AUTH, "%s",
                         fl_cause_text(standing->cause));
    fl_uplink_leave(client, FL_ERR_AUTH);
}

void fl_standing_told(fl_client *client, const fl_standing *standing)
{
    if (standing->state == FL_STANDING_REFUSED) {
        refused(client, standing);
    } else if (client->is_joining) {
        joined(client, standing);
    } else if (standing->state == FL_STANDING_PENDING) {
        wait_for_approval(client);
    }
}

const fl_standing *fl_client_standing(const fl_client *client)
{
    return client->standing.state ? &client->standing : NULL;
}
