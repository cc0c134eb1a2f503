/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "client/local.h"

/* ---- from the result to bytes ---- */

// What an update is made of and what is made from it, until both are wiped.
typedef struct {
    fl_codec codec;
    fl_update_metrics metrics;
    fl_random rounding;
    float *update, *scratch;
    size_t scratch_len;  // bytes
} packing;

static void decode_floats(float *dst, const uint8_t *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = fl_bytes_get_u32(src + i * sizeof bits);
        memcpy(&dst[i], &bits, sizeof bits);
    }
}

static void finish_packing(packing *p)
{
    if (p->update) {
        fl_secret_wipe(p->update, p->codec.param_count * sizeof *p->update);
    }
    if (p->scratch) fl_secret_wipe(p->scratch, p->scratch_len);
    free(p->update);
    free(p->scratch);
}

static fl_update_metrics metrics_of(const fl_result *result)
{
    return (fl_update_metrics){
        .weight = result->sample_count,
        .correct = result->correct_count,
        .loss_sum = (double)result->loss_sum_micro * 1e-6,
    };
}

// Floats and counts have the same length.
static fl_err check_result(const fl_result *result, const fl_codec *codec,
                           fl_reason *why)
{
    if (result->update_len == codec->param_count * sizeof(float)) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "the update has %zu bytes, the plan speaks of %zu "
                         "parameters",
                         result->update_len, codec->param_count);
}

// To be finished whatever the result.
static fl_err begin_packing(packing *p, const fl_client *client,
                            const fl_codec *codec, fl_reason *why)
{
    const fl_plan *plan = &client->task.plan;
    const fl_result *result = &client->task.result;
    const size_t count = codec->param_count;
    *p = (packing){.codec = *codec, .metrics = metrics_of(result)};
    FL_TRY(check_result(result, codec, why));
    uint64_t id;
    memcpy(&id, client->options.identity.public_key, sizeof id);
    fl_random_init(&p->rounding, fl_local_seed(plan), FL_RANDOM_ROUNDING, id);
    p->scratch_len = fl_codec_scratch(&p->codec) * sizeof *p->scratch;
    p->update = malloc(count * sizeof *p->update);
    p->scratch = malloc(p->scratch_len);
    if (!p->update || !p->scratch) {
        return fl_reason_set(why, FL_ERR_MEMORY,
                             "no memory to encode %zu parameters", count);
    }
    decode_floats(p->update, result->update, count);
    return FL_OK;
}

static fl_err make_upload_room(fl_task *task, size_t len, fl_reason *why)
{
    task->upload = malloc(len);
    task->upload_len = len;
    if (task->upload) return FL_OK;
    return fl_reason_set(why, FL_ERR_MEMORY,
                         "no memory for an update of %zu bytes", len);
}

// Words that are masked before anybody sees them.
static fl_err pack_masked(fl_client *client, packing *p, fl_reason *why)
{
    fl_task *task = &client->task;
    const size_t word_count = fl_update_words(&p->codec);
    const size_t len = word_count * sizeof(uint64_t);
    FL_TRY(make_upload_room(task, len, why));
    uint64_t *words = malloc(len);
    if (!words) return fl_reason_set(why, FL_ERR_MEMORY, "no memory for words");
    fl_err err =
        fl_update_encode(words, &p->codec, p->update, &p->metrics,
                         task->plan.place, &p->rounding, p->scratch, why);
    if (!err) {
        err = fl_party_mask(task->party, words, word_count);
        if (err) (void)!fl_reason_set(why, err, "the words cannot be masked");
    }
    if (err) {
        fl_secret_wipe(words, len);
    } else {
        fl_addend_encode(task->upload, words, word_count);
    }
    free(words);
    return err;
}

static fl_err pack_clear(fl_client *client, packing *p, fl_reason *why)
{
    fl_task *task = &client->task;
    const size_t cap = fl_codec_bound(&p->codec);
    const bool has_residual = fl_codec_has_residual(p->codec.kind);
    FL_TRY(make_upload_room(task, cap, why));
    if (has_residual) fl_residual_add(client, p->update, p->codec.param_count);
    FL_TRY(fl_codec_encode(task->upload, cap, &task->upload_len, &p->codec,
                           p->update, &p->metrics, task->plan.place,
                           &p->rounding, p->scratch, why));
    if (!has_residual) return FL_OK;
    return fl_residual_pend(client, p->update, p->codec.param_count);
}

// The words of a survey's answer, which is nobody's but the sum's to read.
static fl_err tally(uint64_t *words, const fl_client *client,
                    const fl_codec *codec, uint32_t *counts, fl_reason *why)
{
    const fl_task *task = &client->task;
    const fl_update_metrics metrics = metrics_of(&task->result);
    for (size_t i = 0; i < codec->param_count; i++) {
        counts[i] = fl_bytes_get_u32(task->result.update + i * sizeof *counts);
    }
    FL_TRY(fl_tally_encode(words, codec, counts, &metrics, why));
    if (!task->party) return FL_OK;
    const fl_err err =
        fl_party_mask(task->party, words, fl_update_words(codec));
    return err ? fl_reason_set(why, err, "the words cannot be masked") : FL_OK;
}

static fl_err pack_tally(fl_client *client, const fl_codec *codec,
                         fl_reason *why)
{
    fl_task *task = &client->task;
    const size_t count = codec->param_count;
    const size_t word_count = fl_update_words(codec);
    const size_t len = word_count * sizeof(uint64_t);
    FL_TRY(check_result(&task->result, codec, why));
    FL_TRY(make_upload_room(task, len, why));
    uint64_t *words = calloc(word_count, sizeof *words);
    uint32_t *counts = calloc(count, sizeof *counts);
    fl_err err = words && counts
                     ? tally(words, client, codec, counts, why)
                     : fl_reason_set(why, FL_ERR_MEMORY,
                                     "no memory to encode %zu counts", count);
    if (!err) fl_addend_encode(task->upload, words, word_count);
    if (words) fl_secret_wipe(words, len);
    if (counts) fl_secret_wipe(counts, count * sizeof *counts);
    free(words);
    free(counts);
    return err;
}

static fl_err pack_update(fl_client *client, const fl_codec *codec,
                          fl_reason *why)
{
    packing p;
    fl_err err = begin_packing(&p, client, codec, why);
    if (!err) {
        err = client->task.party ? pack_masked(client, &p, why)
                                 : pack_clear(client, &p, why);
    }
    finish_packing(&p);
    return err;
}

fl_err fl_upload_pack(fl_client *client, fl_reason *why)
{
    fl_codec codec;
    fl_local_codec(&codec, &client->task.plan);
    return codec.kind == FL_CODEC_TALLY ? pack_tally(client, &codec, why)
                                        : pack_update(client, &codec, why);
}

/* ---- the offer ---- */

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
        .open = {.manifest = task->offer, .manifest_len = task->offer_len},
    };
    memcpy(open.open.model, task->plan.model, FL_HASH_BYTES);
    fl_emit_message(client, &open);
    fl_uplink_expect(client, true);
}

void fl_upload_later(fl_client *client, int64_t delay_ms)
{
    client->task.state = FL_TASK_OFFERING;
    client->task.retry_at_ms = client->now_ms + delay_ms;
    fl_uplink_expect(client, false);
}

static fl_err encode_offer(fl_task *task)
{
    fl_err err = FL_ERR_MEMORY;
    fl_manifest manifest = {
        .kind = task->plan.aggregation == FL_AGGREGATION_SECURE
                    ? FL_OBJECT_MASKED
                    : FL_OBJECT_UPDATE,
        .round = task->plan.round,
        .size = task->upload_len,
        .chunk_bytes = FL_PROTO_CHUNK_BYTES,
        .chunk_count = fl_manifest_chunk_count(task->upload_len),
    };
    const size_t cap = fl_manifest_bound(manifest.chunk_count);
    uint8_t *hashes = malloc((size_t)manifest.chunk_count * FL_HASH_BYTES);
    task->offer = malloc(cap);
    if (!hashes || !task->offer) goto out;
    fl_parts_hash_all(hashes, task->upload, task->upload_len,
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

static void lose(fl_client *client, fl_err err, const char *why)
{
    fl_emit_log(client, FL_LOG_ERROR, "update_lost", "round=%u err=%s why=%s",
                client->task.plan.round, fl_err_text(err), why);
    fl_task_decline(client);
}

void fl_upload_begin(fl_client *client)
{
    const fl_err err = encode_offer(&client->task);
    if (err) {
        lose(client, err, "the offer cannot be made");
    } else {
        offer(client);
    }
}

void fl_upload_begin_clear(fl_client *client)
{
    fl_reason why = {""};
    const fl_err err = fl_upload_pack(client, &why);
    if (err) {
        lose(client, err, why.text);
    } else {
        fl_upload_begin(client);
    }
}

/* ---- chunks ---- */

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
    const size_t left = task->upload_len - at;
    fl_message message = {
        .type = FL_MESSAGE_CHUNK,
        .operation = fl_emit_operation(client),
        .round = task->plan.round,
        .chunk = {.index = index,
                  .bytes = task->upload + at,
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

void fl_upload_granted(fl_client *client, const fl_grant *grant)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_OFFERING ||
        memcmp(grant->object, task->update, FL_HASH_BYTES) != 0) {
        return;
    }
    if (grant->window == 0) {
        fl_upload_later(client, grant->later_ms);
        return;
    }
    free(task->bitmap);
    task->bitmap = malloc(fl_parts_bitmap_bytes(task->chunk_count));
    if (!task->bitmap) {
        fl_upload_later(client, FL_CLIENT_RETRY_MS);
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
    client->status.declined = (fl_reason){""};
    fl_residual_commit(client);
    fl_emit_log(client, FL_LOG_INFO, "update_committed", "round=%u bytes=%zu",
                client->task.plan.round, client->task.upload_len);
    if (client->task.party) {
        fl_masking_committed(client);
    } else {
        fl_task_finish(client);
    }
}

void fl_upload_acknowledged(fl_client *client, uint64_t operation)
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

void fl_upload_resume(fl_client *client)
{
    if (client->task.state == FL_TASK_COMMITTING) {
        commit(client);
    } else {
        offer(client);
    }
}
