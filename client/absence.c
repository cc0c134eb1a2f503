/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

bool fl_absence_is_of_link(const fl_client *client)
{
    return client->away == FL_AWAY_METERED ||
           client->away == FL_AWAY_BYTE_BUDGET;
}

// Who is in a sum that has begun, or sends what it has trained, finishes that:
// it takes seconds, and others would have to begin anew.
static bool is_committed(const fl_client *client)
{
    const fl_task *task = &client->task;
    return task->party || task->state >= FL_TASK_BURNING;
}

void fl_absence_change(fl_client *client, fl_away away)
{
    if (away == client->away) return;
    client->away = away;
    fl_emit_log(client, FL_LOG_INFO, away ? "away" : "back", "reason=%s",
                fl_away_word(away));
    fl_uplink_tell_away(client);
}

void fl_absence_give_up(fl_client *client)
{
    if (client->task.state != FL_TASK_TRAINING) return;
    fl_emit_log(client, FL_LOG_INFO, "given_up", "round=%u reason=%s",
                client->task.plan.round, fl_away_word(client->away));
    fl_task_decline(client);
}

void fl_absence_settle(fl_client *client)
{
    if (!fl_absence_is_of_link(client) || is_committed(client)) return;
    if (client->task.state != FL_TASK_IDLE) fl_task_decline(client);
    if (client->uplink.state != FL_UPLINK_DOWN) {
        fl_uplink_hang_up_quietly(client);
    }
}
