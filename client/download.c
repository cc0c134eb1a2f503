/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <stdlib.h>
#include <string.h>

static bool may_take_shortcut(const fl_task *task)
{
    return task->wanted_kind == FL_OBJECT_MODEL && !task->is_plain;
}

static bool is_shortcut(const fl_task *task)
{
    return task->coming_kind != task->wanted_kind;
}

static bool goes_to_disk(const fl_task *task)
{
    return !is_shortcut(task) && task->wanted_kind != FL_OBJECT_RANGES;
}

// Nothing has come yet of what will come now.
static void forget_parts(fl_task *task)
{
    fl_parts_free(task->parts);
    task->parts = NULL;
    task->next_chunk = 0;
    task->on_the_way = 0;
}

static void forget_base(fl_task *task)
{
    free(task->base);
    task->base = NULL;
}

/* ---- requests ---- */

static void request(fl_client *client, const fl_fetch *fetch)
{
    fl_message message = {
        .type = FL_MESSAGE_FETCH,
        .operation = fl_emit_operation(client),
        .round = client->task.plan.round,
        .fetch = *fetch,
    };
    fl_emit_message(client, &message);
    fl_uplink_expect(client, true);
}

static void request_manifest(fl_client *client)
{
    const fl_task *task = &client->task;
    fl_fetch fetch = {.wants_manifest = true};
    memcpy(fetch.object, task->wanted, FL_HASH_BYTES);
    if (may_take_shortcut(task)) {
        fetch.takes_packed = true;
        fetch.has_base = task->base != NULL;
        if (fetch.has_base) memcpy(fetch.base, task->base_name, FL_HASH_BYTES);
    }
    request(client, &fetch);
}

static void request_chunk(fl_client *client, uint32_t index)
{
    fl_fetch fetch = {.index = index};
    memcpy(fetch.object, client->task.coming, FL_HASH_BYTES);
    request(client, &fetch);
}

/* ---- what has come ---- */

// The bytes may be those of the parts.
static void take_list(fl_client *client, const uint8_t *bytes, size_t len)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    const fl_err err = fl_enrol_client(client, bytes, len, &why);
    forget_parts(task);
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
    forget_parts(task);
    forget_base(task);
    task->files.model = bytes;
    task->files.model_len = len;
    fl_task_downloaded(client);
}

static void downloaded_ranges(fl_client *client)
{
    fl_task *task = &client->task;
    free(client->ranges);
    client->ranges = NULL;
    // Complete, and not taken before: this cannot fail.
    if (fl_parts_take(task->parts, &client->ranges, &client->ranges_len)) {
        return;
    }
    memcpy(client->ranges_object, task->wanted, FL_HASH_BYTES);
    forget_parts(task);
    fl_download_begin(client);
}

static void downloaded_list(fl_client *client)
{
    const fl_parts *parts = client->task.parts;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_END,
                                       .object = client->downloading});
    take_list(client, parts->buffer, parts->size);
}

static void log_downloaded(fl_client *client)
{
    const fl_task *task = &client->task;
    const char *way = task->coming_kind == FL_OBJECT_PATCH    ? "patch"
                      : task->coming_kind == FL_OBJECT_PACKED ? "packed"
                                                              : "model";
    fl_emit_log(client, FL_LOG_INFO, "downloaded", "round=%u as=%s bytes=%zu",
                task->plan.round, way, task->parts->size);
}

static void downloaded_model(fl_client *client)
{
    uint8_t *bytes;
    size_t len;
    log_downloaded(client);
    // Complete, and not taken before: this cannot fail.
    if (fl_parts_take(client->task.parts, &bytes, &len)) return;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_END,
                                       .object = client->downloading,
                                       .bytes = bytes,
                                       .len = len});
    take_model(client, bytes, len);
}

// The way that is always open: the model as it is. What was asked for on the
// other one is no longer of interest.
static void refuse_shortcut(fl_client *client, fl_err err, const char *why)
{
    fl_task *task = &client->task;
    fl_emit_log(client, FL_LOG_WARN, "patch_refused", "round=%u err=%s why=%s",
                task->plan.round, fl_err_text(err), why);
    forget_parts(task);
    forget_base(task);
    task->is_plain = true;
    task->first_operation = client->operation + 1;
    if (client->status.is_connected) request_manifest(client);
}

static void downloaded_shortcut(fl_client *client)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    fl_reason why = {""};
    const fl_err err = fl_shortcut_finish(client, &bytes, &len, &why);
    if (err) {
        refuse_shortcut(client, err, why.text);
    } else {
        log_downloaded(client);
        take_model(client, bytes, len);
    }
}

static void downloaded(fl_client *client)
{
    const fl_task *task = &client->task;
    if (is_shortcut(task)) {
        downloaded_shortcut(client);
    } else if (task->wanted_kind == FL_OBJECT_ENROLMENT) {
        downloaded_list(client);
    } else if (task->wanted_kind == FL_OBJECT_RANGES) {
        downloaded_ranges(client);
    } else {
        downloaded_model(client);
    }
}

static void fetch_more(fl_client *client)
{
    fl_task *task = &client->task;
    if (!client->status.is_connected) return;  // fl_task_resume comes back
    if (!task->parts) {
        request_manifest(client);
        return;
    }
    if (fl_parts_is_complete(task->parts)) {
        downloaded(client);
        return;
    }
    while (task->on_the_way < FL_CLIENT_WINDOW) {
        const uint32_t i = fl_parts_next_missing(task->parts, task->next_chunk);
        if (i >= task->parts->chunk_count) break;
        request_chunk(client, i);
        task->next_chunk = i + 1;
        task->on_the_way++;
    }
}

/* ---- manifests ---- */

static const char *name_of(fl_object_kind kind)
{
    if (kind == FL_OBJECT_ENROLMENT) return "enrolment list";
    return kind == FL_OBJECT_RANGES ? "list of ranges" : "model";
}

// Of what is wanted, or of a shortcut to it that was asked for.
static fl_err check_kind(const fl_task *task, fl_object_kind kind,
                         bool is_wanted, fl_reason *why)
{
    if (is_wanted) {
        if (kind == task->wanted_kind) return FL_OK;
        return fl_reason_set(why, FL_ERR_FORMAT, "the object is no %s",
                             name_of(task->wanted_kind));
    }
    if (kind == FL_OBJECT_PACKED) return FL_OK;
    if (kind == FL_OBJECT_PATCH && task->base) return FL_OK;
    return fl_reason_set(why, FL_ERR_AUTH,
                         "the manifest does not have the plan's hash, and is "
                         "of no patch or packed model that was asked for");
}

static size_t cap_of(const fl_client *client)
{
    if (client->task.wanted_kind == FL_OBJECT_ENROLMENT) {
        return FL_ENROLMENT_BYTES_MAX;
    }
    return client->task.wanted_kind == FL_OBJECT_RANGES
               ? FL_CLIENT_RANGES_CAP
               : client->options.model_cap;
}

static fl_err check_manifest(fl_client *client, fl_manifest *manifest,
                             const uint8_t *src, size_t len, bool is_wanted,
                             fl_reason *why)
{
    const fl_task *task = &client->task;
    const size_t cap = cap_of(client);
    if (!is_wanted && !may_take_shortcut(task)) {
        return fl_reason_set(why, FL_ERR_AUTH,
                             "the manifest does not have the plan's hash");
    }
    FL_TRY(
        fl_manifest_decode(manifest, client->options.scratch, src, len, why));
    FL_TRY(check_kind(task, manifest->kind, is_wanted, why));
    if (manifest->size > cap) {
        return fl_reason_set(why, FL_ERR_LIMIT,
                             "the object has %llu bytes, the maximum is %zu",
                             (unsigned long long)manifest->size, cap);
    }
    return FL_OK;
}

static fl_err make_parts(fl_client *client, const fl_manifest *manifest,
                         fl_reason *why)
{
    const fl_client_options *options = &client->options;
    fl_task *task = &client->task;
    uint8_t *room = NULL;
    fl_err err =
        fl_parts_new(&task->parts, manifest->size, FL_PROTO_CHUNK_BYTES,
                     manifest->chunk_hashes, manifest->size);
    if (!err && manifest->kind == FL_OBJECT_ENROLMENT && options->room) {
        err = options->room(options->enrol_self, &room, task->wanted,
                            task->parts->size);
        if (!err) fl_parts_share(task->parts, room);
    }
    if (!err) return FL_OK;
    forget_parts(task);
    return fl_reason_set(why, err, "no memory for an object of %llu bytes",
                         (unsigned long long)manifest->size);
}

// What comes from now on.
static fl_err begin_download(fl_client *client, const uint8_t *name,
                             const uint8_t *src, size_t len, fl_reason *why)
{
    fl_task *task = &client->task;
    fl_manifest manifest = {.size = 0};
    const bool is_wanted = memcmp(name, task->wanted, FL_HASH_BYTES) == 0;
    forget_parts(task);
    FL_TRY(check_manifest(client, &manifest, src, len, is_wanted, why));
    FL_TRY(make_parts(client, &manifest, why));
    memcpy(task->coming, name, FL_HASH_BYTES);
    task->coming_kind = manifest.kind;
    task->coming_round = manifest.round;
    if (goes_to_disk(task)) {
        forget_base(task);  // as long as the model, and of no use any more
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_BEGIN,
                                           .object = client->downloading,
                                           .bytes = src,
                                           .len = len});
    }
    return FL_OK;
}

// An update can be made without the ranges of an INT8 form.
static bool skip_ranges(fl_client *client)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FETCHING ||
        task->wanted_kind != FL_OBJECT_RANGES ||
        task->plan.work != FL_WORK_TRAIN) {
        return false;
    }
    forget_parts(task);
    task->goes_without_ranges = true;
    task->first_operation = client->operation + 1;
    fl_download_begin(client);
    return true;
}

static void refuse_manifest(fl_client *client, bool is_wanted, fl_err err,
                            const char *why)
{
    if (!is_wanted && may_take_shortcut(&client->task)) {
        refuse_shortcut(client, err, why);
        return;
    }
    fl_emit_log(client, FL_LOG_ERROR, "model_refused", "round=%u err=%s why=%s",
                client->task.plan.round, fl_err_text(err), why);
    if (!skip_ranges(client)) fl_task_decline(client);
}

void fl_download_manifest(fl_client *client, const uint8_t *src, size_t len)
{
    fl_task *task = &client->task;
    fl_reason why = {""};
    uint8_t name[FL_HASH_BYTES];
    if (task->state != FL_TASK_FETCHING) return;
    if (task->parts && !is_shortcut(task)) return;
    fl_hash(name, src, len);
    // After a lost link the same shortcut goes on where it was.
    if (!task->parts || memcmp(name, task->coming, FL_HASH_BYTES) != 0) {
        const fl_err err = begin_download(client, name, src, len, &why);
        if (err) {
            const bool is_wanted =
                memcmp(name, task->wanted, FL_HASH_BYTES) == 0;
            refuse_manifest(client, is_wanted, err, why.text);
            return;
        }
    }
    fetch_more(client);
}

/* ---- chunks ---- */

static void refuse_chunk(fl_client *client, fl_err err)
{
    if (is_shortcut(&client->task)) {
        refuse_shortcut(client, err, "a chunk that is not of this object");
    } else {
        fl_uplink_hang_up(client, "a chunk that is not of this object");
    }
}

void fl_download_chunk(fl_client *client, const fl_chunk *chunk)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FETCHING || !task->parts ||
        task->on_the_way == 0 ||
        memcmp(chunk->object, task->coming, FL_HASH_BYTES) != 0) {
        return;
    }
    const fl_err err = fl_parts_put(task->parts, chunk->index, chunk->bytes,
                                    chunk->len, fl_hash);
    if (err) {
        refuse_chunk(client, err);
        return;
    }
    task->on_the_way--;
    fl_uplink_expect(client, true);
    if (goes_to_disk(task)) {
        fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_PUT,
                                           .object = client->downloading,
                                           .index = chunk->index,
                                           .bytes = chunk->bytes,
                                           .len = chunk->len});
    }
    fetch_more(client);
}

bool fl_download_refused(fl_client *client, const fl_refusal *refusal)
{
    const fl_task *task = &client->task;
    if (skip_ranges(client)) return true;
    if (task->state != FL_TASK_FETCHING || !task->parts || !is_shortcut(task)) {
        return false;
    }
    refuse_shortcut(client, (fl_err)refusal->code, refusal->text);
    return true;
}

/* ---- what is wanted ---- */

static void want(fl_client *client, fl_object_kind kind, const uint8_t *object)
{
    fl_task *task = &client->task;
    task->wanted_kind = kind;
    memcpy(task->wanted, object, FL_HASH_BYTES);
    task->next_chunk = 0;
    task->on_the_way = 0;
    fl_uplink_expect(client, false);
}

static void find(fl_client *client, fl_object_kind kind, const uint8_t *object)
{
    want(client, kind, object);
    client->task.state = FL_TASK_FINDING;
    fl_emit(client, (fl_client_effect){.kind = FL_CLIENT_FIND,
                                       .object = client->task.wanted,
                                       .takes_base = kind == FL_OBJECT_MODEL});
}

// Nothing is on the disk of these: they are asked for at once.
static void fetch_ranges(fl_client *client)
{
    fl_task *task = &client->task;
    want(client, FL_OBJECT_RANGES, task->plan.ranges);
    task->coming_kind = FL_OBJECT_RANGES;
    memcpy(task->coming, task->wanted, FL_HASH_BYTES);
    task->state = FL_TASK_FETCHING;
    if (client->status.is_connected) request_manifest(client);
}

static bool holds_ranges(const fl_client *client)
{
    return client->ranges &&
           memcmp(client->ranges_object, client->task.plan.ranges,
                  FL_HASH_BYTES) == 0;
}

// A copy of those that came last, which outlives them. False: no memory.
static bool copy_held_ranges(fl_client *client)
{
    fl_task_files *files = &client->task.files;
    files->ranges = malloc(client->ranges_len);
    if (!files->ranges) return false;
    memcpy(files->ranges, client->ranges, client->ranges_len);
    files->ranges_len = client->ranges_len;
    return true;
}

static void find_model(fl_client *client)
{
    find(client, FL_OBJECT_MODEL, client->task.plan.model);
}

// Fetched again they would need the same memory.
static void get_ranges(fl_client *client)
{
    fl_task *task = &client->task;
    if (!holds_ranges(client)) {
        fetch_ranges(client);
    } else if (copy_held_ranges(client)) {
        find_model(client);
    } else if (task->plan.work == FL_WORK_TRAIN) {
        task->goes_without_ranges = true;
        find_model(client);
    } else {
        fl_emit_log(client, FL_LOG_ERROR, "ranges_lost",
                    "round=%u err=%s bytes=%zu", task->plan.round,
                    fl_err_text(FL_ERR_MEMORY), client->ranges_len);
        fl_task_decline(client);
    }
}

void fl_download_begin(fl_client *client)
{
    const fl_task *task = &client->task;
    const fl_plan *plan = &task->plan;
    const bool has_list =
        client->enrolment &&
        memcmp(client->enrolment_object, plan->enrolment, FL_HASH_BYTES) == 0;
    if (plan->aggregation == FL_AGGREGATION_SECURE && !has_list) {
        find(client, FL_OBJECT_ENROLMENT, plan->enrolment);
    } else if (!task->is_last && fl_task_is_kept(client)) {
        fl_task_downloaded(client);
    } else if (fl_installing_needs_ranges(client) && !task->files.ranges) {
        get_ranges(client);
    } else {
        find_model(client);
    }
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

static void take_base(fl_task *task, const fl_client_event *event)
{
    free(task->base);
    task->base = event->base;
    task->base_len = event->base_len;
    if (event->base) memcpy(task->base_name, event->base_name, FL_HASH_BYTES);
}

void fl_download_found(fl_client *client, const fl_client_event *event)
{
    fl_task *task = &client->task;
    if (task->state != FL_TASK_FINDING) {  // dropped in between
        free(event->model);
        free(event->base);
        fl_parts_free(event->parts);
        return;
    }
    take_base(task, event);
    if (event->model) {
        found(client, event->model, event->model_len);
        return;
    }
    // What has come of the object itself is not thrown away for a shortcut.
    task->parts = event->parts;
    task->coming_kind = task->wanted_kind;
    memcpy(task->coming, task->wanted, FL_HASH_BYTES);
    task->state = FL_TASK_FETCHING;
    memcpy(client->downloading, task->wanted, FL_HASH_BYTES);
    fetch_more(client);
}

void fl_download_resume(fl_client *client)
{
    if (client->task.parts && is_shortcut(&client->task)) {
        request_manifest(client);  // it may have been withdrawn
    } else {
        fetch_more(client);
    }
}
