/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

#include "client/local.h"

static bool is_uploading(const fl_client *client)
{
    return client->task.state >= FL_TASK_OFFERING;
}

/* ---- what is kept and what is dropped ---- */

// An update that was never masked may, when its round is tried again. Counts of
// a survey may not: they are scaled for their plan's client_cap, and of rows
// that its number has drawn.
static bool may_serve_again(const fl_task *task)
{
    return task->result.update && !task->is_burned &&
           task->plan.work == FL_WORK_TRAIN;
}

static void drop_kept(fl_client *client)
{
    if (!client->kept.update) return;
    fl_result_fini(&client->kept);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_DROP_UPDATE});
}

bool fl_task_is_kept(const fl_client *client)
{
    const fl_plan *plan = &client->task.plan;
    uint8_t recipe[FL_HASH_BYTES];
    fl_plan_recipe(recipe, plan);
    return plan->work == FL_WORK_TRAIN && client->kept.update &&
           client->kept_round == plan->round &&
           memcmp(client->kept_recipe, recipe, FL_HASH_BYTES) == 0 &&
           client->kept.update_len == plan->param_count * sizeof(float);
}

static void keep_result(fl_client *client)
{
    fl_task *task = &client->task;
    if (!may_serve_again(task)) return;
    fl_result_fini(&client->kept);
    client->kept = task->result;
    client->kept_round = task->plan.round;
    fl_plan_recipe(client->kept_recipe, &task->plan);
    task->result = (fl_result){0};
}

void fl_task_files_fini(fl_task_files *files)
{
    free(files->model);
    free(files->ranges);
    *files = (fl_task_files){.model = NULL};
}

void fl_task_drop(fl_client *client)
{
    fl_task *task = &client->task;
    if (client->trained.model && client->is_trained_for_task) {
        client->is_trained_for_task = false;
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_CANCEL});
    }
    if (may_serve_again(task)) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_DROP_UPDATE});
    }
    fl_residual_forget_pending(client);
    fl_party_free(task->party);
    fl_parts_free(task->parts);
    free(task->base);
    fl_task_files_fini(&task->files);
    fl_result_fini(&task->result);
    free(task->answer_bytes);
    free(task->upload);
    free(task->offer);
    free(task->bitmap);
    *task = (fl_task){.state = FL_TASK_IDLE};
    fl_uplink_expect(client, false);
}

void fl_task_finish(fl_client *client)
{
    fl_task_drop(client);
}

static void say_no(fl_client *client, uint32_t round)
{
    if (!client->status.is_connected) return;  // its absence says so too
    fl_message no = {.type = FL_MESSAGE_STEP,
                     .operation = fl_emit_operation(client),
                     .round = round};
    no.step.step = FL_STEP_DECLINE;
    fl_emit_message(client, &no);
}

void fl_task_decline(fl_client *client)
{
    if (!client->task.is_last) say_no(client, client->task.plan.round);
    keep_result(client);
    fl_task_drop(client);
}

/* ---- training ---- */

static void take_result(fl_client *client, fl_result *result)
{
    client->task.result = *result;
    *result = (fl_result){0};
}

// In the clear, or as a part of a sum that hides it.
static void hand_in(fl_client *client)
{
    if (client->task.plan.aggregation == FL_AGGREGATION_SECURE) {
        fl_masking_begin(client);
    } else {
        fl_upload_begin_clear(client);
    }
}

// What the log calls it.
static const char *const WORK_NAMES[] = {
    [FL_WORK_TRAIN] = "training",
    [FL_WORK_MEASURE] = "measuring",
    [FL_WORK_IMPORTANCE] = "weighing_channels",
    [FL_WORK_RANGES] = "observing_ranges",
};

static void train(fl_client *client)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_TRAINING;
    fl_uplink_expect(client, false);
    if (client->is_leaving) return;
    if (client->trained.model) return;  // until the cancelled job has ended
    client->trained = task->files;
    client->is_trained_for_task = true;
    task->files = (fl_task_files){.model = NULL};
    fl_emit_log(client, FL_LOG_INFO, WORK_NAMES[task->plan.work], "round=%u",
                task->plan.round);
    fl_emit(client,
            (fl_client_effect){.kind = FL_CLIENT_TRAIN,
                               .plan = &task->plan,
                               .bytes = client->trained.model,
                               .len = client->trained.model_len,
                               .ranges = client->trained.ranges,
                               .ranges_len = client->trained.ranges_len});
}

static void install_last(fl_client *client)
{
    fl_task *task = &client->task;
    fl_installing_begin(client, &task->plan, &task->files);
    client->spent = task->files;  // KEEP or END has not been carried out yet
    task->files = (fl_task_files){.model = NULL};
    fl_task_drop(client);
}

void fl_task_downloaded(fl_client *client)
{
    if (client->task.is_last) {
        install_last(client);
    } else if (client->task.files.model) {
        train(client);
    } else {
        take_result(client, &client->kept);
        hand_in(client);
    }
}

static void take_answer(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    client->is_trained_for_task = false;
    if (event->err) {
        fl_emit_log(client, FL_LOG_ERROR, "training_failed",
                    "round=%u err=%s why=%s", task->plan.round,
                    fl_err_text(event->err), event->why);
        fl_reason_set(&client->status.declined, event->err, "%s", event->why);
        fl_task_decline(client);
        return;
    }
    take_result(client, event->result);
    // Saved before it is offered: nothing is trained twice.
    if (may_serve_again(task)) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_SAVE_UPDATE,
                                           .plan = &task->plan,
                                           .result = &task->result});
    }
    hand_in(client);
}

void fl_task_trained(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    fl_task_files files = client->trained;
    client->trained = (fl_task_files){.model = NULL};
    if (client->is_trained_for_task) {
        if (task->plan.work == FL_WORK_TRAIN) {
            fl_installing_begin(client, &task->plan, &files);
        }
        take_answer(client, event);
    } else {
        if (!event->err) fl_result_fini(event->result);
        if (task->state == FL_TASK_TRAINING) train(client);
    }
    fl_task_files_fini(&files);
}

/* ---- plans ---- */

// A sum of few numbers, or of very fine ones, says more about each client.
static fl_err check_sketch(const fl_client_options *options,
                           const fl_codec *codec, fl_reason *why)
{
    if (!fl_codec_is_summable(codec->kind)) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "it asks for updates that cannot be masked");
    }
    const size_t fewest = codec->param_count < options->min_fields
                              ? codec->param_count
                              : options->min_fields;
    if (fl_codec_support(codec) < fewest) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "its sketch isolates values: it has fewer numbers "
                             "than --min-fields");
    }
    if (codec->step_large < options->min_step ||
        codec->step_small < options->min_step) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "it rounds updates more finely than --min-step");
    }
    return FL_OK;
}

static fl_err check_work(const fl_client_options *options, const fl_plan *plan,
                         fl_reason *why)
{
    if (plan->work == FL_WORK_TRAIN || options->takes_surveys) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "it asks what this data says about the model, which "
                         "--no-surveys forbids");
}

static fl_err check_codec(const fl_client_options *options, const fl_plan *plan,
                          fl_reason *why)
{
    fl_codec codec;
    fl_local_codec(&codec, plan);
    const fl_err err = fl_codec_check(&codec, why);
    if (err) {
        return fl_reason_prefix(why, err, "its numbers make no update");
    }
    if (plan->aggregation == FL_AGGREGATION_CLEAR ||
        codec.kind == FL_CODEC_TALLY) {  // the exact sum is all there is
        return FL_OK;
    }
    return check_sketch(options, &codec, why);
}

// With two ways to hold rows out, two sums differ by the rows in between.
static fl_err check_holdout(const fl_client_past *past, const fl_plan *plan,
                            fl_reason *why)
{
    if (!past->has_holdout || plan->holdout == past->holdout) return FL_OK;
    return fl_reason_set(why, FL_ERR_STATE,
                         "its holdout is %u, that of the first plan was %u and "
                         "holds for life; a state folder of its own for "
                         "another federation",
                         plan->holdout, past->holdout);
}

// What this client's owner has not agreed to is not trained for either.
static fl_err check_plan(const fl_client *client, const fl_plan *plan,
                         fl_reason *why)
{
    const fl_client_options *options = &client->options;
    FL_TRY(check_work(options, plan, why));
    FL_TRY(check_codec(options, plan, why));
    FL_TRY(check_holdout(&client->past, plan, why));
    if (plan->aggregation == FL_AGGREGATION_CLEAR) {
        if (options->allows_clear) return FL_OK;
        return fl_reason_set(why, FL_ERR_STATE,
                             "it asks for updates in the clear, where the "
                             "aggregator sees each of them; --aggregation "
                             "clear allows that");
    }
    if (plan->client_min < options->client_min) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "it hides updates among fewer clients than "
                             "--min-survivors");
    }
    if (plan->number <= client->past.number) {
        return fl_reason_set(why, FL_ERR_STALE, "its session is not a new one");
    }
    return FL_OK;
}

// The training goes on when this plan has the same recipe, whatever else has
// changed. A survey begins anew: see may_serve_again.
static bool is_in_training(const fl_client *client, const fl_plan *plan)
{
    const fl_task *task = &client->task;
    uint8_t before[FL_HASH_BYTES], now[FL_HASH_BYTES];
    fl_plan_recipe(before, &task->plan);
    fl_plan_recipe(now, plan);
    return task->state == FL_TASK_TRAINING && plan->work == FL_WORK_TRAIN &&
           task->plan.round == plan->round &&
           memcmp(before, now, FL_HASH_BYTES) == 0 &&
           memcmp(task->plan.enrolment, plan->enrolment, FL_HASH_BYTES) == 0;
}

// The plan was on its way when the aggregator was told.
static void decline_plan(fl_client *client, const fl_plan *plan)
{
    fl_emit_log(client, FL_LOG_INFO, "plan_declined", "round=%u reason=%s",
                plan->round, fl_away_word(client->away));
    keep_result(client);
    fl_task_drop(client);
    say_no(client, plan->round);
}

static void planned(fl_client *client, const fl_plan *plan)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_IDLE && task->plan.number == plan->number) {
        return;  // on it already
    }
    client->has_finished = false;
    client->leave_by_ms = INT64_MAX;
    if (plan->round == client->residual_round) {  // once more
        fl_residual_undo(client, plan->round);
    } else {
        fl_residual_settle(client);
    }
    fl_reason why = {""};
    if (check_plan(client, plan, &why)) {
        fl_emit_log(client, FL_LOG_ERROR, "plan_refused", "round=%u why=%s",
                    plan->round, why.text);
        client->status.declined = why;
        fl_task_drop(client);
        say_no(client, plan->round);
        return;
    }
    if (is_in_training(client, plan)) {
        task->plan = *plan;
        task->until_ms = client->now_ms + plan->deadline_ms;
        return;
    }
    if (client->away) {
        decline_plan(client, plan);
        return;
    }
    client->past.has_holdout = true;
    client->past.holdout = plan->holdout;
    if (task->state == FL_TASK_COMMITTING) {
        fl_residual_await(client, task->commit_operation);
    }
    keep_result(client);
    fl_task_drop(client);
    task->plan = *plan;
    task->until_ms = client->now_ms + plan->deadline_ms;
    task->first_operation = client->operation + 1;
    client->status.round = plan->round;
    fl_emit_log(client, FL_LOG_INFO, "plan",
                "round=%u local_epochs=%u batch=%u lr=%g", plan->round,
                plan->local_epochs, plan->batch, (double)plan->lr);
    if (!fl_task_is_kept(client)) drop_kept(client);
    fl_download_begin(client);
}

/* ---- what the aggregator says ---- */

static void closed(fl_client *client, uint32_t round)
{
    fl_residual_undo(client, round);  // who is in a model does not hear this
    if (client->task.state == FL_TASK_IDLE || client->task.plan.round > round) {
        return;
    }
    fl_emit_log(client, FL_LOG_INFO, "round_closed", "round=%u", round);
    keep_result(client);
    fl_task_drop(client);
}

void fl_task_mail(fl_client *client, const fl_mail *mail)
{
    const fl_task *task = &client->task;
    switch (mail->kind) {
    case FL_MAIL_PLAN: planned(client, &mail->plan); break;
    case FL_MAIL_CLOSED: closed(client, mail->round); break;
    case FL_MAIL_FINISHED:
        fl_emit_log(client, FL_LOG_INFO, "finished", "round=%u", mail->round);
        fl_task_drop(client);
        drop_kept(client);
        fl_installing_last(client, mail);
        break;
    case FL_MAIL_STEP:
        if (task->state == FL_TASK_IDLE) {
            say_no(client, mail->round);  // of before a restart of ours
        } else if (task->plan.round == mail->round) {
            fl_masking_step(client, &mail->step);
        }
        break;
    }
}

static void refused(fl_client *client, const fl_refusal *refusal)
{
    fl_task *task = &client->task;
    if (task->state == FL_TASK_IDLE) return;
    if (fl_download_refused(client, refusal)) return;
    // Not yet complete there: the grant will say what is missing.
    if (is_uploading(client) && refusal->code == FL_ERR_NOT_FOUND) {
        fl_upload_later(client, FL_CLIENT_RETRY_MS);
        return;
    }
    if (refusal->code != FL_ERR_STALE) client->status.refused_count++;
    fl_emit_log(client, FL_LOG_WARN, "task_refused",
                "round=%u activity=%s code=%u text=%s", task->plan.round,
                fl_client_activity(client), refusal->code, refusal->text);
    // A step was refused, not the update: another session may have it.
    if (task->state == FL_TASK_SESSION) keep_result(client);
    fl_task_drop(client);
}

static void acknowledged(fl_client *client, uint64_t operation)
{
    if (client->task.state == FL_TASK_SESSION) {
        fl_masking_acknowledged(client, operation);
    } else {
        fl_upload_acknowledged(client, operation);
    }
}

void fl_task_answer(fl_client *client, const fl_message *message)
{
    if (message->type == FL_MESSAGE_ACK) {
        fl_residual_answered(client, message->operation);
    }
    if (message->operation < client->task.first_operation) return;
    if (message->type == FL_MESSAGE_ACK) {
        acknowledged(client, message->operation);
    } else if (message->type == FL_MESSAGE_REFUSAL) {
        refused(client, &message->refusal);
    } else if (message->type == FL_MESSAGE_MANIFEST) {
        fl_download_manifest(client, message->manifest.bytes,
                             message->manifest.len);
    } else if (message->type == FL_MESSAGE_CHUNK) {
        fl_download_chunk(client, &message->chunk);
    } else if (message->type == FL_MESSAGE_GRANT) {
        fl_upload_granted(client, &message->grant);
    }
}

/* ---- the link comes and goes, time passes ---- */

void fl_task_resume(fl_client *client)
{
    const fl_task *task = &client->task;
    if (task->state == FL_TASK_FETCHING) {
        fl_download_resume(client);
    } else if (task->state == FL_TASK_SESSION) {
        fl_masking_resume(client);
    } else if (is_uploading(client)) {
        fl_upload_resume(client);
    }
}

void fl_task_suspend(fl_client *client)
{
    client->task.next_chunk = 0;
    client->task.on_the_way = 0;
}

void fl_task_tick(fl_client *client)
{
    const fl_task *task = &client->task;
    if (task->state == FL_TASK_OFFERING && client->status.is_connected &&
        client->now_ms >= task->retry_at_ms) {
        fl_upload_resume(client);
    }
    fl_masking_tick(client);
}

int64_t fl_task_deadline(const fl_client *client)
{
    const fl_task *task = &client->task;
    const int64_t stalled_at_ms = task->party ? task->stalled_at_ms : INT64_MAX;
    if (task->state != FL_TASK_OFFERING || !client->status.is_connected ||
        client->uplink.is_hanging_up) {
        return stalled_at_ms;
    }
    return task->retry_at_ms < stalled_at_ms ? task->retry_at_ms
                                             : stalled_at_ms;
}
