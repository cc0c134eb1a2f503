/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

static void request(fl_client *client, bool wants_manifest, uint32_t index)
{
    fl_message message = {
        .type = FL_MESSAGE_FETCH,
        .operation = fl_emit_operation(client),
        .round = client->task.plan.round,
        .fetch = {.wants_manifest = wants_manifest, .index = index},
    };
    memcpy(message.fetch.object, client->task.wanted, FL_HASH_BYTES);
    fl_emit_message(client, &message);
    fl_uplink_expect(client, true);
}

/* ---- the enrolment list ---- */

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

static fl_err enrol(fl_client *client, const uint8_t *bytes, size_t len,
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

/* ---- what has come ---- */

// The bytes may be those of the parts.
static void take_list(fl_client *client, const uint8_t *bytes, size_t len)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    const fl_err err = enrol(client, bytes, len, &why);
    fl_parts_free(task->parts);
    task->parts = NULL;
    if (err) {
        client->status.fault_count++;
        fl_emit_log(client, FL_LOG_ERROR, "enrolment_refused",
                    "round=%u err=%s why=%s", task->plan.round,
                    fl_err_text(err), why.text);
        fl_task_decline(client);
        return;
    }
    memcpy(client->enrolment_object, task->wanted, FL_HASH_BYTES);
    fl_download_begin(client);
}

// Takes the bytes.
static void take_model(fl_client *client, uint8_t *bytes, size_t len)
{
    fl_task *task = &client->task;
    fl_parts_free(task->parts);
    task->parts = NULL;
    task->model = bytes;
    task->model_len = len;
    fl_task_downloaded(client);
}

static void downloaded(fl_client *client)
{
    const fl_task *task = &client->task;
    uint8_t *bytes;
    size_t len;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_END,
                                       .object = client->downloading});
    if (task->wanted_kind == FL_OBJECT_ENROLMENT) {
        take_list(client, task->parts->buffer, task->parts->size);
        return;
    }
    // Complete, and not taken before: this cannot fail.
    if (fl_parts_take(task->parts, &bytes, &len)) return;
    take_model(client, bytes, len);
}

// Takes the bytes.
static void found(fl_client *client, uint8_t *bytes, size_t len)
{
    if (client->task.wanted_kind == FL_OBJECT_ENROLMENT) {
        take_list(client, bytes, len);
        free(bytes);
    } else {
        take_model(client, bytes, len);
    }
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

static fl_err make_parts(fl_client *client, const fl_manifest *manifest,
                         size_t cap)
{
    const fl_client_options *options = &client->options;
    fl_task *task = &client->task;
    uint8_t *room = NULL;
    FL_TRY(fl_parts_new(&task->parts, manifest->size, FL_PROTO_CHUNK_BYTES,
                        manifest->chunk_hashes, cap));
    if (task->wanted_kind != FL_OBJECT_ENROLMENT || !options->room) {
        return FL_OK;
    }
    const fl_err err = options->room(options->enrol_self, &room, task->wanted,
                                     task->parts->size);
    if (err) {
        fl_parts_free(task->parts);
        task->parts = NULL;
        return err;
    }
    fl_parts_share(task->parts, room);
    return FL_OK;
}

static fl_err begin_download(fl_client *client, const uint8_t *src, size_t len,
                             fl_reason *why)
{
    fl_task *task = &client->task;
    fl_manifest manifest;
    uint8_t name[FL_HASH_BYTES];
    const size_t cap = task->wanted_kind == FL_OBJECT_MODEL
                           ? client->options.model_cap
                           : FL_ENROLMENT_BYTES_MAX;
    fl_hash(name, src, len);
    if (memcmp(name, task->wanted, FL_HASH_BYTES) != 0) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "the manifest does not have the plan's hash");
    }
    FL_TRY(
        fl_manifest_decode(&manifest, client->options.scratch, src, len, why));
    if (manifest.kind != task->wanted_kind) {
        return fl_reason_set(
            why, FL_ERR_FORMAT, "the object is no %s",
            task->wanted_kind == FL_OBJECT_MODEL ? "model" : "enrolment list");
    }
    if (manifest.size > cap) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "the object has %llu bytes, the maximum is %zu",
                             (unsigned long long)manifest.size, cap);
    }
    return make_parts(client, &manifest, cap);
}

void fl_download_manifest(fl_client *client, const uint8_t *src, size_t len)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    if (task->state != FL_TASK_FETCHING || task->parts) return;
    const fl_err err = begin_download(client, src, len, &why);
    if (err) {
        fl_emit_log(client, FL_LOG_ERROR, "model_refused",
                    "round=%u err=%s why=%s", task->plan.round,
                    fl_err_text(err), why.text);
        fl_task_decline(client);
        return;
    }
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_BEGIN,
                                       .object = client->downloading,
                                       .bytes = src,
                                       .len = len});
    fetch_more(client);
}

void fl_download_chunk(fl_client *client, const fl_chunk *chunk)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FETCHING || !task->parts ||
        task->on_the_way == 0 ||
        memcmp(chunk->object, task->wanted, FL_HASH_BYTES) != 0) {
        return;
    }
    if (fl_parts_put(task->parts, chunk->index, chunk->bytes, chunk->len,
                     fl_hash)) {
        fl_uplink_hang_up(client, "a chunk that is not of this object");
        return;
    }
    task->on_the_way--;
    fl_uplink_expect(client, true);
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PUT,
                                       .object = client->downloading,
                                       .index = chunk->index,
                                       .bytes = chunk->bytes,
                                       .len = chunk->len});
    fetch_more(client);
}

/* ---- what is wanted ---- */

static void find(fl_client *client, fl_object_kind kind, const uint8_t *object)
{
    fl_task *task = &client->task;
    task->state = FL_TASK_FINDING;
    task->wanted_kind = kind;
    memcpy(task->wanted, object, FL_HASH_BYTES);
    task->next_chunk = 0;
    task->on_the_way = 0;
    fl_uplink_expect(client, false);
    fl_emit(client,
            (fl_client_effect){.kind = FL_CLIENT_FIND, .object = task->wanted});
}

void fl_download_begin(fl_client *client)
{
    const fl_plan *plan = &client->task.plan;
    const bool has_list =
        client->enrolment &&
        memcmp(client->enrolment_object, plan->enrolment, FL_HASH_BYTES) == 0;
    if (plan->aggregation == FL_AGGREGATION_SECURE && !has_list) {
        find(client, FL_OBJECT_ENROLMENT, plan->enrolment);
    } else if (fl_task_is_kept(client)) {
        fl_task_downloaded(client);
    } else {
        find(client, FL_OBJECT_MODEL, plan->model);
    }
}

void fl_download_found(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FINDING) {  // dropped in between
        free(event->model);
        fl_parts_free(event->parts);
        return;
    }
    if (event->model) {
        found(client, event->model, event->model_len);
        return;
    }
    task->parts = event->parts;
    task->state = FL_TASK_FETCHING;
    memcpy(client->downloading, task->wanted, FL_HASH_BYTES);
    fetch_more(client);
}

void fl_download_resume(fl_client *client)
{
    fetch_more(client);
}
