/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

static bool is_task(const fl_client *client, uint32_t round,
                    const uint8_t *model)
{
    const fl_task *task = &client->task;
    return task->state != FL_TASK_IDLE && task->plan.round == round &&
           memcmp(task->plan.model, model, FL_HASH_BYTES) == 0;
}

static bool is_uploading(const fl_client *client)
{
    return client->task.state >= FL_TASK_OFFERING;
}

static void drop_kept(fl_client *client)
{
    if (!client->kept.update) return;
    fl_result_fini(&client->kept);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_DROP_UPDATE});
}

void fl_task_drop(fl_client *client)
{
    fl_task *task = &client->task;
    if (client->trained_model && client->is_trained_for_task) {
        client->is_trained_for_task = false;
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_CANCEL});
    }
    if (is_uploading(client)) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_DROP_UPDATE});
    }
    fl_parts_free(task->parts);
    free(task->model);
    fl_result_fini(&task->result);
    free(task->offer);
    free(task->bitmap);
    *task = (fl_task){.state = FL_TASK_IDLE};
    fl_uplink_expect(client, false);
}

/* ---- the update on its way up ---- */

static void offer(fl_client *client)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_OFFERING;
    task->retry_at_ms = INT64_MAX;
    if (!client->status.is_connected) return;  // fl_task_resume comes back
    fl_message open = {
        .type = FL_MESSAGE_OPEN,
        .operation = fl_emit_operation(client),
        .round = task->plan.round,
        .open = {.manifest = task->offer,
                 .manifest_len = task->offer_len,
                 .sample_count = task->result.sample_count,
                 .correct_count = task->result.correct_count,
                 .loss_sum_micro = task->result.loss_sum_micro},
    };
    memcpy(open.open.model, task->plan.model, FL_HASH_BYTES);
    fl_emit_message(client, &open);
    fl_uplink_expect(client, true);
}

static void offer_later(fl_client *client, int64_t delay_ms)
{
    client->task.state = FL_TASK_OFFERING;
    client->task.retry_at_ms = client->now_ms + delay_ms;
    fl_uplink_expect(client, false);
}

static fl_err encode_offer(fl_task *task)
{
    const fl_result *result = &task->result;
    fl_err err = FL_ERR_MEMORY;
    fl_manifest manifest = {
        .kind = FL_OBJECT_UPDATE,
        .round = task->plan.round,
        .size = result->update_len,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = fl_manifest_chunk_count(result->update_len),
    };
    const size_t cap = fl_manifest_bound(manifest.chunk_count);
    uint8_t *hashes = malloc((size_t)manifest.chunk_count * FL_HASH_BYTES);
    task->offer = malloc(cap);
    if (!hashes || !task->offer) goto out;
    fl_parts_hash_all(hashes, result->update, result->update_len,
                      FL_PROTO_CHUNK_BYTES, fl_hash);
    manifest.chunk_hashes = hashes;
    err = fl_manifest_encode(task->offer, cap, &task->offer_len, &manifest);
    if (err) goto out;
    task->chunk_count = manifest.chunk_count;
    fl_hash(task->update, task->offer, task->offer_len);

out:
    free(hashes);
    return err;
}

// Takes the result. Saved before it is offered: nothing is trained twice.
static void begin_upload(fl_client *client, fl_result *result, bool is_saved)
{
    fl_task *task = &client->task;
    task->result = *result;
    *result = (fl_result){0};
    if (encode_offer(task)) {
        fl_emit_log(client, FL_LOG_ERROR, "update_lost", "round=%u why=%s",
                    task->plan.round, "no memory");
        fl_task_drop(client);
        return;
    }
    if (!is_saved) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_SAVE_UPDATE,
                                           .plan = &task->plan,
                                           .result = &task->result});
    }
    offer(client);
}

static void commit(fl_client *client)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_COMMITTING;
    if (task->commit_operation == 0) {
        task->commit_operation = fl_emit_operation(client);
    }
    fl_message message = {.type = FL_MESSAGE_COMMIT,
                          .operation = task->commit_operation,
                          .round = task->plan.round};
    memcpy(message.commit.object, task->update, FL_HASH_BYTES);
    fl_emit_message(client, &message);
    fl_uplink_expect(client, true);
}

static void send_chunk(fl_client *client, uint32_t index)
{
    const fl_task *task = &client->task;
    const size_t at = (size_t)index * FL_PROTO_CHUNK_BYTES;
    const size_t left = task->result.update_len - at;
    fl_message message = {
        .type = FL_MESSAGE_CHUNK,
        .operation = fl_emit_operation(client),
        .round = task->plan.round,
        .chunk = {.index = index,
                  .bytes = task->result.update + at,
                  .len = left < FL_PROTO_CHUNK_BYTES ? left
                                                     : FL_PROTO_CHUNK_BYTES},
    };
    memcpy(message.chunk.object, task->update, FL_HASH_BYTES);
    fl_emit_message(client, &message);
}

// Fills the window; when all chunks are there, commits.
static void send_more(fl_client *client)
{
    fl_task *task = &client->task;
    while (task->on_the_way < task->window) {
        const uint32_t i = fl_parts_bitmap_next_zero(
            task->bitmap, task->chunk_count, task->next_chunk);
        if (i >= task->chunk_count) break;
        send_chunk(client, i);
        task->next_chunk = i + 1;
        task->on_the_way++;
    }
    if (task->on_the_way == 0) {
        commit(client);
    } else {
        fl_uplink_expect(client, true);
    }
}

static void granted(fl_client *client, const fl_grant *grant)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_OFFERING ||
        memcmp(grant->object, task->update, FL_HASH_BYTES) != 0) {
        return;
    }
    if (grant->window == 0) {
        offer_later(client, grant->later_ms);
        return;
    }
    free(task->bitmap);
    task->bitmap = malloc(fl_parts_bitmap_bytes(task->chunk_count));
    if (!task->bitmap) {
        offer_later(client, FL_CLIENT_RETRY_MS);
        return;
    }
    if (fl_parts_bitmap_decode(task->bitmap, task->chunk_count, grant->bitmap,
                               grant->bitmap_len)) {
        fl_uplink_hang_up(client, "a grant with a malformed bitmap");
        return;
    }
    task->state = FL_TASK_SENDING;
    task->window = grant->window < FL_CLIENT_UPLOAD_WINDOW_MAX
                       ? grant->window
                       : FL_CLIENT_UPLOAD_WINDOW_MAX;
    task->next_chunk = 0;
    task->on_the_way = 0;
    task->chunk_operation = client->operation + 1;
    send_more(client);
}

static void committed(fl_client *client)
{
    client->status.update_count++;
    fl_emit_log(client, FL_LOG_INFO, "update_committed", "round=%u bytes=%zu",
                client->task.plan.round, client->task.result.update_len);
    fl_task_drop(client);
}

/* ---- training ---- */

static void train(fl_client *client)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_TRAINING;
    fl_uplink_expect(client, false);
    if (client->is_leaving) return;
    if (client->trained_model) return;  // until the cancelled job has ended
    client->trained_model = task->model;
    client->is_trained_for_task = true;
    task->model = NULL;
    fl_emit_log(client, FL_LOG_INFO, "training", "round=%u", task->plan.round);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_TRAIN,
                                       .plan = &task->plan,
                                       .bytes = client->trained_model,
                                       .len = task->model_len});
}

void fl_task_trained(fl_client *client, const fl_client_event *event)
{
    free(client->trained_model);
    client->trained_model = NULL;
    if (!client->is_trained_for_task) {
        if (!event->err) fl_result_fini(event->result);
        if (client->task.state == FL_TASK_TRAINING) train(client);
        return;
    }
    client->is_trained_for_task = false;
    if (event->err) {
        fl_emit_log(client, FL_LOG_ERROR, "training_failed",
                    "round=%u err=%s why=%s", client->task.plan.round,
                    fl_err_text(event->err), event->why);
        fl_task_drop(client);
        return;
    }
    begin_upload(client, event->result, false);
}

/* ---- the model on its way down
 * ----------------------------------------------- */

static void request(fl_client *client, bool wants_manifest, uint32_t index)
{
    fl_message message = {
        .type = FL_MESSAGE_FETCH,
        .operation = fl_emit_operation(client),
        .round = client->task.plan.round,
        .fetch = {.wants_manifest = wants_manifest, .index = index},
    };
    memcpy(message.fetch.object, client->task.plan.model, FL_HASH_BYTES);
    fl_emit_message(client, &message);
    fl_uplink_expect(client, true);
}

static void downloaded(fl_client *client)
{
    fl_task *task = &client->task;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_END,
                                       .object = task->plan.model});
    // Complete, and not taken before: this cannot fail.
    if (fl_parts_take(task->parts, &task->model, &task->model_len)) return;
    fl_parts_free(task->parts);
    task->parts = NULL;
    train(client);
}

static void fetch_more(fl_client *client)
{
    fl_task *task = &client->task;
    if (!client->status.is_connected) return;  // fl_task_resume comes back
    if (!task->parts) {
        request(client, true, 0);
        return;
    }
    if (fl_parts_is_complete(task->parts)) {
        downloaded(client);
        return;
    }
    while (task->on_the_way < FL_CLIENT_WINDOW) {
        const uint32_t i = fl_parts_next_missing(task->parts, task->next_chunk);
        if (i >= task->parts->chunk_count) break;
        request(client, false, i);
        task->next_chunk = i + 1;
        task->on_the_way++;
    }
}

static fl_err begin_download(fl_client *client, const uint8_t *src, size_t len,
                             fl_reason *why)
{
    fl_task *task = &client->task;
    fl_manifest manifest;
    uint8_t name[FL_HASH_BYTES];
    fl_hash(name, src, len);
    if (memcmp(name, task->plan.model, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "the manifest does not have the plan's hash");
    }
    FL_TRY(
        fl_manifest_decode(&manifest, client->options.scratch, src, len, why));
    if (manifest.kind != FL_OBJECT_MODEL) {
        return fl_reason_set(why, FL_ERR_FORMAT, "the object is no model");
    }
    if (manifest.size > client->options.model_cap) {
        return fl_reason_set(
            why, FL_ERR_LIMIT, "the model has %llu bytes, the maximum is %zu",
            (unsigned long long)manifest.size, client->options.model_cap);
    }
    return fl_parts_new(&task->parts, manifest.size, FL_PROTO_CHUNK_BYTES,
                        manifest.chunk_hashes, client->options.model_cap);
}

static void got_manifest(fl_client *client, const uint8_t *src, size_t len)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    if (task->state != FL_TASK_FETCHING || task->parts) return;
    const fl_err err = begin_download(client, src, len, &why);
    if (err) {
        fl_emit_log(client, FL_LOG_ERROR, "model_refused",
                    "round=%u err=%s why=%s", task->plan.round,
                    fl_err_text(err), why.text);
        fl_task_drop(client);
        return;
    }
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_BEGIN,
                                       .object = task->plan.model,
                                       .bytes = src,
                                       .len = len});
    fetch_more(client);
}

static void got_chunk(fl_client *client, const fl_chunk *chunk)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FETCHING || !task->parts ||
        task->on_the_way == 0 ||
        memcmp(chunk->object, task->plan.model, FL_HASH_BYTES) != 0) {
        return;
    }
    if (fl_parts_put(task->parts, chunk->index, chunk->bytes, chunk->len,
                     fl_hash)) {
        fl_uplink_hang_up(client, "a chunk that is not of this model");
        return;
    }
    task->on_the_way--;
    fl_uplink_expect(client, true);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PUT,
                                       .object = task->plan.model,
                                       .index = chunk->index,
                                       .bytes = chunk->bytes,
                                       .len = chunk->len});
    fetch_more(client);
}

void fl_task_found(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FINDING) {  // dropped in between
        free(event->model);
        fl_parts_free(event->parts);
        return;
    }
    if (event->model) {
        task->model = event->model;
        task->model_len = event->model_len;
        train(client);
        return;
    }
    task->parts = event->parts;
    task->state = FL_TASK_FETCHING;
    fetch_more(client);
}

/* ---- what the aggregator says
 * ------------------------------------------------- */

static void planned(fl_client *client, const fl_plan *plan)
{
    if (is_task(client, plan->round, plan->model)) return;  // on it already
    fl_task_drop(client);
    client->task.plan = *plan;
    client->task.first_operation = client->operation + 1;
    client->status.round = plan->round;
    fl_emit_log(client, FL_LOG_INFO, "plan",
                "round=%u local_epochs=%u batch=%u lr=%g", plan->round,
                plan->local_epochs, plan->batch, (double)plan->lr);
    if (client->kept.update && client->kept_round == plan->round &&
        memcmp(client->kept_model, plan->model, FL_HASH_BYTES) == 0 &&
        client->kept.update_len == plan->param_count * sizeof(float)) {
        begin_upload(client, &client->kept, true);
        return;
    }
    drop_kept(client);
    client->task.state = FL_TASK_FINDING;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_FIND,
                                       .object = client->task.plan.model});
}

void fl_task_mail(fl_client *client, const fl_mail *mail)
{
    switch (mail->kind) {
    case FL_MAIL_PLAN: planned(client, &mail->plan); break;
    case FL_MAIL_CLOSED:
        if (client->task.state == FL_TASK_IDLE ||
            client->task.plan.round > mail->round) {
            break;
        }
        fl_emit_log(client, FL_LOG_INFO, "round_closed", "round=%u",
                    mail->round);
        fl_task_drop(client);
        break;
    case FL_MAIL_FINISHED:
        fl_emit_log(client, FL_LOG_INFO, "finished", "round=%u", mail->round);
        fl_task_drop(client);
        drop_kept(client);
        break;
    }
}

static void refused(fl_client *client, const fl_refusal *refusal)
{
    fl_task *task = &client->task;
    if (task->state == FL_TASK_IDLE) return;
    // Not yet complete there: the grant will say what is missing.
    if (is_uploading(client) && refusal->code == FL_ERR_NOT_FOUND) {
        offer_later(client, FL_CLIENT_RETRY_MS);
        return;
    }
    if (refusal->code != FL_ERR_STALE) client->status.refused_count++;
    fl_emit_log(client, FL_LOG_WARN, "task_refused",
                "round=%u activity=%s code=%u text=%s", task->plan.round,
                fl_client_activity(client), refusal->code, refusal->text);
    fl_task_drop(client);
}

static void acknowledged(fl_client *client, uint64_t operation)
{
    fl_task *task = &client->task;
    if (task->state == FL_TASK_COMMITTING &&
        operation == task->commit_operation) {
        committed(client);
    } else if (task->state == FL_TASK_SENDING &&
               operation >= task->chunk_operation && task->on_the_way > 0) {
        task->on_the_way--;
        send_more(client);
    }
}

void fl_task_answer(fl_client *client, const fl_message *message)
{
    if (message->operation < client->task.first_operation) return;
    if (message->type == FL_MESSAGE_ACK) {
        acknowledged(client, message->operation);
    } else if (message->type == FL_MESSAGE_REFUSAL) {
        refused(client, &message->refusal);
    } else if (message->type == FL_MESSAGE_MANIFEST) {
        got_manifest(client, message->manifest.bytes, message->manifest.len);
    } else if (message->type == FL_MESSAGE_CHUNK) {
        got_chunk(client, &message->chunk);
    } else if (message->type == FL_MESSAGE_GRANT) {
        granted(client, &message->grant);
    }
}

/* ---- the link comes and goes
 * --------------------------------------------------- */

void fl_task_resume(fl_client *client)
{
    fl_task *task = &client->task;
    if (task->state == FL_TASK_FETCHING) {
        fetch_more(client);
    } else if (task->state == FL_TASK_COMMITTING) {
        commit(client);
    } else if (is_uploading(client)) {
        offer(client);
    }
}

void fl_task_suspend(fl_client *client)
{
    client->task.next_chunk = 0;
    client->task.on_the_way = 0;
}

void fl_task_tick(fl_client *client)
{
    if (client->task.state == FL_TASK_OFFERING && client->status.is_connected &&
        client->now_ms >= client->task.retry_at_ms) {
        offer(client);
    }
}

int64_t fl_task_deadline(const fl_client *client)
{
    if (client->task.state != FL_TASK_OFFERING ||
        !client->status.is_connected || client->uplink.is_hanging_up) {
        return INT64_MAX;
    }
    return client->task.retry_at_ms;
}
