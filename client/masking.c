/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

#include "client/local.h"

enum {
    // A phase may take its time for others, and their time is not ours.
    PHASES_OF_PATIENCE = 3,
    PATIENCE_MS = 10 * 1000,
};

/* ---- our side of the talk ---- */

static void say(fl_client *client)
{
    const fl_task *task = &client->task;
    if (!client->status.is_connected) return;  // fl_task_resume comes back
    fl_emit_message(client, &(fl_message){.type = FL_MESSAGE_STEP,
                                          .operation = task->answer_operation,
                                          .round = task->plan.round,
                                          .step = {.step = task->answer,
                                                   .bytes = task->answer_bytes,
                                                   .len = task->answer_len}});
    fl_uplink_expect(client, true);
}

// Said until it is acknowledged: again after every loss of the link.
static fl_err answer(fl_client *client, fl_step step, const uint8_t *bytes,
                     size_t len)
{
    fl_task *task = &client->task;
    uint8_t *copy = malloc(len + 1);  // len may be 0
    if (!copy) return FL_ERR_MEMORY;
    if (len > 0) memcpy(copy, bytes, len);
    free(task->answer_bytes);
    task->answer = step;
    task->answer_bytes = copy;
    task->answer_len = len;
    task->answer_operation = fl_emit_operation(client);
    client->status.step = step;
    say(client);
    return FL_OK;
}

static void fail(fl_client *client, fl_err err, const char *why)
{
    const fl_task *task = &client->task;
    fl_emit_log(client, FL_LOG_ERROR, "session_failed",
                "round=%u err=%s why=%s", task->plan.round, fl_err_text(err),
                why);
    fl_task_decline(client);
}

// The party is aborted: it says why, and has wiped its secrets.
static void refuse(fl_client *client)
{
    const fl_task *task = &client->task;
    const fl_fault fault = fl_party_fault(task->party);
    client->status.fault_count++;
    fl_emit_log(client, FL_LOG_WARN, "session_refused",
                "round=%u session=%llu fault=%s meaning=%s", task->plan.round,
                (unsigned long long)task->plan.number, fl_fault_name(fault),
                fl_fault_meaning(fault));
    fl_reason_set(&client->status.declined, FL_ERR_STATE, "%s",
                  fl_fault_meaning(fault));
    fl_task_decline(client);
}

void fl_masking_begin(fl_client *client)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_SESSION;
    task->stalled_at_ms = INT64_MAX;
    const fl_err err = answer(client, FL_STEP_READY, NULL, 0);
    if (err) fail(client, err, "no memory");
}

/* ---- the session ---- */

_Static_assert(FL_SESSION_WORDS_MAX ==
                   FL_PROTO_OBJECT_BYTES_MAX / sizeof(uint64_t),
               "a session has as many words as an object");

static fl_err begin_party(fl_client *client)
{
    fl_task *task = &client->task;
    const fl_plan *plan = &task->plan;
    fl_codec codec;
    fl_local_codec(&codec, plan);
    uint8_t recipe[FL_HASH_BYTES], text[FL_CODEC_TASK_MAX];
    fl_party_options options = {
        .identity = &client->options.identity,
        .enrolment = client->enrolment,
        .round = plan->round,
        .word_count = (uint32_t)fl_update_words(&codec),
        .client_min = client->options.client_min,
        .number_after = client->past.number,
        .random_bytes = client->options.random_bytes,
        .random_self = client->options.random_self,
    };
    memcpy(options.federation, client->pin, FL_KEY_BYTES);
    memcpy(options.model, plan->model, FL_HASH_BYTES);
    // The plan has come to this client alone, the invite's hash to all.
    fl_plan_recipe(recipe, plan);
    const size_t text_len = fl_codec_task(text, &codec, recipe);
    fl_hash(options.task, text, text_len);
    return fl_party_new(&task->party, &options);
}

// From here on the number is used up, whatever happens to the session.
static void burn(fl_client *client)
{
    fl_task *task = &client->task;
    const fl_session *session = fl_party_session(task->party);
    client->past.number = session->number;
    client->past.enrolment_serial = client->enrolment->serial;
    memcpy(client->past.enrolment_hash, client->enrolment->hash, FL_HASH_BYTES);
    task->is_burned = true;
    task->state = FL_TASK_BURNING;
    // However it ends: many of these for one round are a reason to ask.
    fl_emit_log(client, FL_LOG_INFO, "session_masked", "round=%u session=%llu",
                task->plan.round, (unsigned long long)session->number);
    fl_emit(client,
            (fl_client_effect){.kind = FL_CLIENT_BURN, .past = &client->past});
}

void fl_masking_burned(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    if (task->state != FL_TASK_BURNING) return;  // dropped in between
    if (event->err) {  // not on disk: the update must not leave
        fail(client, event->err, event->why);
        return;
    }
    const fl_err err = fl_upload_pack(client, &why);
    if (err) {
        fail(client, err, why.text);
    } else {
        client->status.step = FL_STEP_MASKED;
        fl_upload_begin(client);
    }
}

void fl_masking_committed(fl_client *client)
{
    client->task.state = FL_TASK_SESSION;
    fl_uplink_expect(client, false);
}

static void await(fl_client *client)
{
    fl_task *task = &client->task;
    const uint32_t phase_ms = fl_party_session(task->party)->phase_ms;
    task->stalled_at_ms =
        client->now_ms + PATIENCE_MS + (int64_t)PHASES_OF_PATIENCE * phase_ms;
}

// What is drawn for an update follows from the plan's number. A session under
// a lower one would leave the plan's unburned, to ask for this update again.
static bool is_planned_session(const fl_client *client)
{
    const fl_task *task = &client->task;
    return fl_party_session(task->party)->number == task->plan.number;
}

void fl_masking_step(fl_client *client, const fl_step_body *step)
{
    fl_task *task = &client->task;
    fl_step reply;
    const uint8_t *bytes;
    size_t len;
    // Who survived is asked for when all is there, also if its ack got lost.
    if (task->state == FL_TASK_COMMITTING && step->step == FL_STEP_SURVIVORS) {
        fl_upload_acknowledged(client, task->commit_operation);
    }
    if (task->state != FL_TASK_SESSION) return;
    fl_err err = task->party ? FL_OK : begin_party(client);
    if (err) {
        fail(client, err, "no memory");
        return;
    }
    if (fl_party_step(task->party, (fl_step)step->step, step->bytes, step->len,
                      &reply, &bytes, &len)) {
        refuse(client);
        return;
    }
    if (!is_planned_session(client)) {
        fl_party_abort(task->party, FL_FAULT_NUMBER);
        refuse(client);
        return;
    }
    await(client);
    if (reply == FL_STEP_MASKED) {
        burn(client);
        return;
    }
    err = answer(client, reply, bytes, len);
    if (err) fail(client, err, "no memory");
}

/* ---- the link comes and goes, time passes ---- */

void fl_masking_acknowledged(fl_client *client, uint64_t operation)
{
    fl_task *task = &client->task;
    if (operation != task->answer_operation) return;
    task->answer_operation = 0;
    fl_uplink_expect(client, false);
    if (task->answer != FL_STEP_UNMASK) return;
    client->status.session_count++;
    fl_emit_log(client, FL_LOG_INFO, "session_finished",
                "round=%u session=%llu", task->plan.round,
                (unsigned long long)task->plan.number);
    fl_task_finish(client);
}

void fl_masking_resume(fl_client *client)
{
    if (client->task.answer_operation != 0) say(client);
}

void fl_masking_tick(fl_client *client)
{
    fl_task *task = &client->task;
    if (!task->party || client->now_ms < task->stalled_at_ms) return;
    fl_party_abort(task->party, FL_FAULT_STALLED);
    refuse(client);
}
