/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

fl_err fl_client_new(fl_client **client, const fl_client_options *options)
{
    if (options->join && options->join->has_token && !options->pin) {
        return FL_ERR_RANGE;
    }
    fl_client *new = calloc(1, sizeof *new);
    if (!new) return FL_ERR_MEMORY;
    new->options = *options;
    new->past = options->past;
    if (options->pin) {
        memcpy(new->pin, options->pin, FL_KEY_BYTES);
        new->has_pin = true;
    }
    if (options->authority) {
        memcpy(new->authority, options->authority, FL_KEY_BYTES);
        new->has_authority = true;
    }
    if (options->join) {
        new->join = *options->join;
        new->options.join = NULL;  // it was borrowed
        new->is_joining = true;
    }
    uint64_t id;
    memcpy(&id, options->identity.public_key, sizeof id);
    fl_random_init(&new->backoff, options->seed, FL_RANDOM_BACKOFF, id);
    new->operation = options->start_count << 32;
    new->leave_by_ms = INT64_MAX;
    new->uplink.dial_at_ms = INT64_MIN;  // set by the first event
    *client = new;
    return FL_OK;
}

void fl_client_free(fl_client *client)
{
    if (!client) return;
    client->effect_count = 0;
    fl_task_drop(client);
    fl_uplink_fini(client);
    fl_task_files_fini(&client->trained);
    fl_task_files_fini(&client->installing);
    fl_task_files_fini(&client->waiting);
    fl_task_files_fini(&client->spent);
    fl_result_fini(&client->kept);
    fl_residual_fini(client);
    free(client->ranges);
    fl_identity_fini(&client->options.identity);
    fl_secret_wipe(&client->join, sizeof client->join);
    free(client);
}

void fl_client_restore(fl_client *client, uint32_t round,
                       const uint8_t recipe[FL_HASH_BYTES], fl_result *result)
{
    fl_result_fini(&client->kept);
    client->kept = *result;
    client->kept_round = round;
    memcpy(client->kept_recipe, recipe, FL_HASH_BYTES);
    *result = (fl_result){0};
}

// A training that goes on is cancelled, what is saved stays for next time.
static void stop(fl_client *client)
{
    client->is_leaving = true;
    if (client->trained.model) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_CANCEL});
    }
    if (client->uplink.state != FL_UPLINK_DOWN &&
        !client->uplink.is_hanging_up) {
        client->uplink.is_hanging_up = true;
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_HANG_UP});
    }
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_LEAVE,
                                       .text = client->why.text});
}

void fl_client_step(fl_client *client, const fl_client_event *event,
                    const fl_client_effect **effects, size_t *count)
{
    fl_arena_reset(client->options.scratch);
    fl_task_files_fini(&client->spent);
    client->effect_count = 0;
    client->now_ms = event->now_ms;
    if (client->uplink.dial_at_ms == INT64_MIN) fl_uplink_start(client);

    switch (event->kind) {
    case FL_CLIENT_TICK:
        fl_uplink_tick(client);
        fl_task_tick(client);
        break;
    case FL_CLIENT_OPENED: fl_uplink_opened(client); break;
    case FL_CLIENT_FRAME:
        fl_uplink_frame(client, event->bytes, event->len);
        break;
    case FL_CLIENT_LOST: fl_uplink_lost(client); break;
    case FL_CLIENT_FOUND: fl_download_found(client, event); break;
    case FL_CLIENT_TRAINED: fl_task_trained(client, event); break;
    case FL_CLIENT_BURNED: fl_masking_burned(client, event); break;
    case FL_CLIENT_INSTALLED: fl_installing_done(client, event); break;
    case FL_CLIENT_AWAY: fl_absence_change(client, event->away); break;
    case FL_CLIENT_GIVE_UP: fl_absence_give_up(client); break;
    case FL_CLIENT_STOP: stop(client); break;
    }
    fl_installing_leave(client);
    fl_absence_settle(client);
    *effects = client->effects;
    *count = client->effect_count;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t fl_client_deadline(const fl_client *client)
{
    const int64_t leave_ms =
        client->is_leaving ? INT64_MAX : client->leave_by_ms;
    return earlier(leave_ms, earlier(fl_uplink_deadline(client),
                                     fl_task_deadline(client)));
}

int64_t fl_client_round_end(const fl_client *client)
{
    return client->task.state == FL_TASK_IDLE ? INT64_MAX
                                              : client->task.until_ms;
}

const char *fl_client_activity(const fl_client *client)
{
    switch (client->task.state) {
    case FL_TASK_IDLE: break;
    case FL_TASK_FINDING:
    case FL_TASK_FETCHING: return "downloading";
    case FL_TASK_TRAINING: return "training";
    case FL_TASK_SESSION:
    case FL_TASK_BURNING: return "aggregating";
    case FL_TASK_OFFERING:
    case FL_TASK_SENDING:
    case FL_TASK_COMMITTING: return "uploading";
    }
    if (client->away) return "away";
    if (client->is_pending) return "waiting for approval";
    return client->status.is_connected ? "idle" : "connecting";
}

bool fl_client_is_in_session(const fl_client *client)
{
    return client->task.party != NULL;
}

fl_client_status fl_client_get_status(const fl_client *client)
{
    return client->status;
}
