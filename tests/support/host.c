/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/host.h"

#include <stdlib.h>

#include "tests/support/frame.h"
#include "tests/test.h"

enum {
    ARENA_CAP = 64 << 20,
    BODY_MAX = 4096,
    LAST_CHUNK_BYTES = 1000,
    MODEL_BYTES =
        (FL_HOST_CHUNKS - 1) * FL_PROTO_CHUNK_BYTES + LAST_CHUNK_BYTES,
};

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_host *host = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] =
            (uint8_t)((host->random = host->random * 69069 + 1) >> 8);
}

/* ---- the model that the aggregator serves ---- */

static void make_model(fl_parcel *model)
{
    uint8_t *bytes = malloc(MODEL_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < MODEL_BYTES; i++)
        bytes[i] = (uint8_t)(i * 2654435761U >> 16);
    fl_parcel_wrap(model, FL_OBJECT_MODEL, 0, bytes, MODEL_BYTES);
}

static uint8_t *copy_of(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static void model_init(fl_parcel *model)
{
    static fl_parcel made;  // once: fuzzers have a thousand hosts
    if (!made.bytes) make_model(&made);
    *model = made;
    model->bytes = copy_of(made.bytes, made.len);
    model->manifest = copy_of(made.manifest, made.manifest_len);
}

/* ---- the enrolment list ---- */

void fl_host_enrol(fl_host *host, uint8_t authority, uint64_t serial,
                   bool has_client)
{
    fl_identity signer;
    fl_device devices[FL_HOST_PEERS + 1];
    uint8_t *bytes;
    size_t len;
    for (uint8_t i = 0; i < FL_HOST_PEERS; i++) {
        fl_identity peer;
        fl_identity_init(
            &peer, (const uint8_t[FL_SEED_BYTES]){(uint8_t)(FL_HOST_PEER + i)});
        fl_device_init(&devices[i], &peer, "peer");
    }
    devices[FL_HOST_PEERS] = host->card;
    fl_identity_init(&signer, (const uint8_t[FL_SEED_BYTES]){authority});
    assert_ok(fl_enrolment_encode(&bytes, &len, &signer, serial, devices,
                                  FL_HOST_PEERS + has_client, NULL));
    fl_parcel_fini(&host->list);
    fl_parcel_wrap(&host->list, FL_OBJECT_ENROLMENT, 0, bytes, len);
}

static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    fl_host *host = self;
    fl_enrolment_free(host->enrolment);
    host->enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&host->enrolment, bytes, len, why));
    *enrolment = host->enrolment;
    return FL_OK;
}

/* ---- effects ---- */

static const fl_parcel *find_parcel(const fl_host *host, const uint8_t *name)
{
    const bool is_model = memcmp(name, host->model.name, FL_HASH_BYTES) == 0;
    const bool is_ranges = host->ranges.bytes &&
                           memcmp(name, host->ranges.name, FL_HASH_BYTES) == 0;
    const fl_parcel *parcel = is_model    ? &host->model
                              : is_ranges ? &host->ranges
                                          : &host->list;
    assert_memory_equal(name, parcel->name, FL_HASH_BYTES);
    return parcel;
}

static void deliver(fl_host *host, const fl_client_effect *effect)
{
    uint8_t *bytes = fl_arena_take(&host->kept, effect->len);
    if (!bytes || host->inbox_len == FL_HOST_INBOX) {
        fail_msg("nowhere to put a frame");
        return;
    }
    memcpy(bytes, effect->bytes, effect->len);
    if (!fl_line_is_sealed(&host->line)) {
        assert_in_range(effect->len, 1, sizeof host->frame);
        memcpy(host->frame, bytes, effect->len);
        host->frame_len = effect->len;
    }
    assert_ok(fl_line_receive(&host->line, &host->inbox[host->inbox_len++],
                              &host->kept, bytes, effect->len, NULL));
}

static void keep_update(fl_host *host, const fl_client_effect *effect)
{
    assert_non_null(effect->result->update);
    free(host->disk);
    host->disk_len = effect->result->update_len;
    assert_int_equal(host->disk_len, host->trained_len);
    host->disk = malloc(host->disk_len);
    assert_non_null(host->disk);
    memcpy(host->disk, effect->result->update, host->disk_len);
    assert_true(effect->plan->round > 0);
}

static void drop_update(fl_host *host)
{
    assert_non_null(host->disk);
    free(host->disk);
    host->disk = NULL;
}

static void keep_residual(fl_host *host, const fl_client_effect *effect)
{
    free(host->residual);
    host->residual_len = effect->len;
    host->residual = copy_of(effect->bytes, effect->len);
}

// One object at a time, and every effect names it.
static void download(fl_host *host, const fl_client_effect *effect)
{
    uint8_t hash[FL_HASH_BYTES];
    if (effect->bytes) fl_hash(hash, effect->bytes, effect->len);
    if (effect->kind == FL_CLIENT_BEGIN) {
        host->is_downloading = true;
        memcpy(host->begun, effect->object, FL_HASH_BYTES);
    }
    assert_non_null(find_parcel(host, effect->object));
    if (host->is_downloading)  // or it was on disk before the test
        assert_memory_equal(effect->object, host->begun, FL_HASH_BYTES);
    if (effect->kind == FL_CLIENT_END || effect->kind == FL_CLIENT_KEEP)
        host->is_downloading = false;
}

static void read_log(fl_host *host, const fl_client_effect *effect)
{
    snprintf(host->event, sizeof host->event, "%s", effect->event);
    if (effect->level <= FL_LOG_WARN)
        snprintf(host->why, sizeof host->why, "%s", effect->text);
    if (strncmp(effect->event, "session_", strlen("session_")) != 0) return;
    snprintf(host->session, sizeof host->session, "%s", effect->event);
    snprintf(host->session_pairs, sizeof host->session_pairs, "%s",
             effect->text);
}

// On the disk the update goes together with the number.
static void burn(fl_host *host, const fl_client_past *past)
{
    const uint32_t i = host->counts[FL_CLIENT_BURN] - 1;
    assert_in_range(i, 0, FL_HOST_BURNS - 1);
    assert_false(host->is_burning);
    host->is_burning = true;
    host->burns[i] = *past;
    if (host->burn_err) return;
    free(host->disk);
    host->disk = NULL;
}

// Reads all that an effect points to, so that a sanitizer sees it.
static bool do_effect(fl_host *host, const fl_client_effect *effect)
{
    host->counts[effect->kind]++;
    switch (effect->kind) {
    case FL_CLIENT_DIAL:
        assert_false(host->is_dialling || host->is_open);
        host->is_dialling = true;
        break;
    case FL_CLIENT_SEND:
        assert_true(host->is_open);
        deliver(host, effect);
        break;
    case FL_CLIENT_HANG_UP:
        assert_true(host->is_dialling || host->is_open);
        assert_false(host->has_hung_up);
        host->has_hung_up = true;
        break;
    case FL_CLIENT_PIN: memcpy(host->pin, effect->bytes, FL_KEY_BYTES); break;
    case FL_CLIENT_FIND: host->takes_base = effect->takes_base; return true;
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_KEEP:
    case FL_CLIENT_END: download(host, effect); break;
    case FL_CLIENT_TRAIN:
        assert_false(host->is_training);
        host->is_training = true;
        host->plan = *effect->plan;
        host->job = effect->bytes;
        host->job_len = effect->len;
        host->job_ranges = effect->ranges;
        host->job_ranges_len = effect->ranges_len;
        break;
    case FL_CLIENT_INSTALL:
        assert_false(host->is_installing);
        host->is_installing = true;
        host->install_plan = *effect->plan;
        host->install = effect->bytes;
        host->install_len = effect->len;
        host->install_ranges = effect->ranges;
        host->install_ranges_len = effect->ranges_len;
        break;
    case FL_CLIENT_PIN_AUTHORITY:
        memcpy(host->authority, effect->bytes, FL_KEY_BYTES);
        break;
    case FL_CLIENT_BURN: burn(host, effect->past); break;
    case FL_CLIENT_CANCEL: assert_true(host->is_training); break;
    case FL_CLIENT_SAVE_UPDATE: keep_update(host, effect); break;
    case FL_CLIENT_DROP_UPDATE: drop_update(host); break;
    case FL_CLIENT_SAVE_RESIDUAL: keep_residual(host, effect); break;
    case FL_CLIENT_LOG: read_log(host, effect); break;
    case FL_CLIENT_LEAVE:
        if (*effect->text)
            snprintf(host->why, sizeof host->why, "%s", effect->text);
        host->has_left = true;
        host->left_with = effect->err;
        break;
    }
    return false;
}

void fl_host_tell(fl_host *host, fl_client_event event)
{
    const fl_client_effect *effects;
    size_t count;
    bool must_find = false;
    event.now_ms = host->now_ms;
    fl_client_step(host->client, &event, &effects, &count);
    for (size_t i = 0; i < count; i++)
        must_find |= do_effect(host, &effects[i]);
    if (event.kind == FL_CLIENT_TICK)
        assert_true(fl_client_deadline(host->client) > host->now_ms);
    if (host->is_burning && !host->keeps_burn_waiting)
        fl_host_burned(host, host->burn_err);
    if (!must_find) return;
    event = (fl_client_event){.kind = FL_CLIENT_FOUND,
                              .model = host->found_model,
                              .model_len = host->found_model_len,
                              .parts = host->found_parts,
                              .base = host->found_base,
                              .base_len = host->found_base_len,
                              .base_name = host->base_name};
    host->found_model = NULL;
    host->found_base = NULL;
    host->found_parts = NULL;
    fl_host_tell(host, event);
}

void fl_host_burned(fl_host *host, fl_err err)
{
    assert_true(host->is_burning);
    host->is_burning = false;
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_BURNED,
                                         .err = err,
                                         .why = "no space left on the disk"});
}

/* ---- life ---- */

fl_client_options fl_host_options(void)
{
    fl_client_options options = {
        .start_count = 1,
        .allows_clear = true,
        .client_min = 2,
        .seed = 1,
        .model_cap = 1 << 24,
    };
    fl_identity_init(&options.identity, (const uint8_t[FL_SEED_BYTES]){5});
    return options;
}

void fl_host_init(fl_host *host, const fl_client_options *options)
{
    fl_client_options mine = *options;
    *host = (fl_host){.chunks = 1, .random = 1};
    assert_ok(fl_secure_start());
    fl_arena_init(&host->scratch, ARENA_CAP);
    fl_arena_init(&host->kept, ARENA_CAP);
    fl_identity_init(&host->identity, (const uint8_t[FL_SEED_BYTES]){99});
    model_init(&host->model);
    fl_device_init(&host->card, &options->identity, "client");
    if (!mine.scratch) mine.scratch = &host->scratch;
    mine.random_bytes = draw_bytes;
    mine.random_self = host;
    if (!mine.enrol) {
        mine.enrol = enrol;
        mine.enrol_self = host;
    }
    assert_ok(fl_client_new(&host->client, &mine));
    assert_true(fl_client_deadline(host->client) <= 0);
}

void fl_host_fini(fl_host *host)
{
    fl_client_free(host->client);
    fl_enrolment_free(host->enrolment);
    fl_parcel_fini(&host->model);
    fl_parcel_fini(&host->list);
    fl_parcel_fini(&host->ranges);
    fl_arena_fini(&host->scratch);
    fl_arena_fini(&host->kept);
    fl_parts_free(host->found_parts);
    free(host->found_model);
    free(host->found_base);
    free(host->disk);
    free(host->residual);
}

void fl_host_wait(fl_host *host, int64_t ms)
{
    host->now_ms += ms;
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_TICK});
}

/* ---- the link ---- */

void fl_host_open(fl_host *host)
{
    while (!host->is_dialling) {
        const int64_t due_ms = fl_client_deadline(host->client);
        assert_true(due_ms < INT64_MAX);
        fl_host_wait(host, due_ms > host->now_ms ? due_ms - host->now_ms : 0);
    }
    host->is_dialling = false;
    host->is_open = true;
    fl_line_fini(&host->line);
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_OPENED});
}

void fl_host_lose(fl_host *host)
{
    host->is_open = host->is_dialling = host->has_hung_up = false;
    host->inbox_len = 0;
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_LOST});
}

void fl_host_welcome(fl_host *host)
{
    uint8_t frame[FL_LINE_GREETING_CAP];
    size_t len;
    assert_non_null(fl_host_take(host, FL_MESSAGE_HELLO));
    fl_line_welcome(&host->line, frame, &len, &host->identity, host->frame,
                    host->frame_len);
    fl_host_send_bytes(host, frame, len);
}

void fl_host_noise(fl_host *host)
{
    uint8_t frame[FL_LINE_GREETING_CAP], fresh[FL_LINE_FRESH_BYTES];
    uint8_t session[FL_PROTO_SESSION_BYTES];
    size_t len;
    const fl_message *noise = fl_host_take(host, FL_MESSAGE_NOISE);
    assert_non_null(noise);
    draw_bytes(host, fresh, sizeof fresh);
    draw_bytes(host, session, sizeof session);
    assert_ok(fl_line_admit(&host->line, frame, &len, noise, session, fresh));
    fl_host_send_bytes(host, frame, len);
}

void fl_host_greet(fl_host *host)
{
    fl_host_welcome(host);
    // One that expects another key has left.
    if (!host->has_hung_up) fl_host_noise(host);
}

void fl_host_join(fl_host *host)
{
    fl_host_open(host);
    fl_host_greet(host);
    const fl_message *check_in = fl_host_take(host, FL_MESSAGE_CHECK_IN);
    assert_non_null(check_in);
    fl_host_ack(host, check_in);
}

/* ---- what the aggregator says ---- */

void fl_host_send_bytes(fl_host *host, const uint8_t *bytes, size_t len)
{
    fl_host_tell(
        host,
        (fl_client_event){.kind = FL_CLIENT_FRAME, .bytes = bytes, .len = len});
}

void fl_host_send(fl_host *host, fl_message *message)
{
    const size_t cap = fl_message_bound(message);
    uint8_t *bytes = malloc(cap);
    size_t len;
    assert_non_null(bytes);
    assert_ok(fl_line_send(&host->line, bytes, cap, &len, message));
    fl_host_send_bytes(host, bytes, len);
    free(bytes);
}

void fl_host_send_body(fl_host *host, const fl_message *header,
                       const uint8_t *body, size_t len)
{
    uint8_t frame[BODY_MAX + FL_FRAME_REST_BYTES];
    fl_host_send_bytes(host, frame,
                       fl_frame_seal(frame, &host->line, header, body, len));
}

void fl_host_answer(fl_host *host, const fl_message *request,
                    fl_message *message)
{
    message->operation = request->operation;
    message->round = request->round;
    fl_host_send(host, message);
}

void fl_host_ack(fl_host *host, const fl_message *request)
{
    fl_host_answer(host, request, &(fl_message){.type = FL_MESSAGE_ACK});
}

void fl_host_refuse(fl_host *host, const fl_message *request, fl_err code)
{
    fl_host_answer(host, request,
                   &(fl_message){.type = FL_MESSAGE_REFUSAL,
                                 .refusal = {.code = code, .text = "no"}});
}

static size_t param_count(uint32_t chunks)
{
    // The numbers before the values take a few bytes.
    return chunks * (FL_PROTO_CHUNK_BYTES / sizeof(float)) - FL_HOST_SPARE;
}

fl_plan fl_host_plan(const fl_host *host, uint32_t round)
{
    fl_plan plan = {.round = round,
                    .param_count = param_count(host->chunks),
                    .deadline_ms = 60000,
                    .local_epochs = 1,
                    .batch = 32,
                    .lr = 0.1F,
                    .aggregation = FL_AGGREGATION_CLEAR,
                    .number = round,
                    .client_cap = 8,
                    .client_min = 2,
                    .weight_max = 10,
                    .value_clip = 1.0F,
                    .codec = FL_CODEC_NONE,
                    .density = 1.0F,
                    .density_small = 1.0F,
                    .run_count = 1};
    plan.runs[0] = (uint32_t)plan.param_count * 4 + FL_GROUP_LARGE;
    memcpy(plan.model, host->model.name, FL_HASH_BYTES);
    return plan;
}

fl_plan fl_host_secure_plan(const fl_host *host, uint32_t round)
{
    fl_plan plan = fl_host_plan(host, round);
    plan.aggregation = FL_AGGREGATION_SECURE;
    plan.client_min = 3;
    plan.codec = FL_CODEC_DENSE;
    plan.codec_bits = 8;
    plan.per_word = 3;
    plan.value_max = 1 << 16;
    plan.step_large = plan.step_small = 1e-4F;
    memcpy(plan.enrolment, host->list.name, FL_HASH_BYTES);
    return plan;
}

fl_plan fl_host_survey_plan(const fl_host *host, uint32_t round, fl_work work,
                            size_t count)
{
    fl_plan plan = fl_host_plan(host, round);
    plan.work = work;
    plan.codec = FL_CODEC_TALLY;
    plan.param_count = count;
    plan.density = plan.density_small = 0;
    plan.row_cap = 100;
    plan.run_count = 0;
    plan.runs[0] = 0;
    return plan;
}

void fl_host_make_ranges(fl_host *host, const uint8_t *bytes, size_t len)
{
    fl_parcel_fini(&host->ranges);
    fl_parcel_wrap(&host->ranges, FL_OBJECT_RANGES, 0, copy_of(bytes, len),
                   len);
}

void fl_host_mail_last(fl_host *host, uint32_t round)
{
    fl_message message = {.type = FL_MESSAGE_MAIL,
                          .round = round,
                          .mail = {.sequence = ++host->mail,
                                   .kind = FL_MAIL_FINISHED,
                                   .round = round}};
    memcpy(message.mail.model, host->model.name, FL_HASH_BYTES);
    memcpy(message.mail.ranges, host->ranges.name, FL_HASH_BYTES);
    fl_host_send(host, &message);
}

void fl_host_mail(fl_host *host, fl_mail_kind kind, uint32_t round)
{
    fl_message message = {
        .type = FL_MESSAGE_MAIL,
        .round = round,
        .mail = {.sequence = ++host->mail, .kind = kind, .round = round}};
    if (kind == FL_MAIL_PLAN) message.mail.plan = fl_host_plan(host, round);
    fl_host_send(host, &message);
}

void fl_host_mail_plan(fl_host *host, const fl_plan *plan)
{
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_MAIL,
                                     .round = plan->round,
                                     .mail = {.sequence = ++host->mail,
                                              .kind = FL_MAIL_PLAN,
                                              .round = plan->round,
                                              .plan = *plan}});
}

void fl_host_mail_step(fl_host *host, uint32_t round, fl_step step,
                       const uint8_t *bytes, size_t len)
{
    fl_host_send(host, &(fl_message){.type = FL_MESSAGE_MAIL,
                                     .round = round,
                                     .mail = {.sequence = ++host->mail,
                                              .kind = FL_MAIL_STEP,
                                              .round = round,
                                              .step = {.step = step,
                                                       .bytes = bytes,
                                                       .len = len}}});
}

void fl_host_grant(fl_host *host, const fl_message *open, uint32_t window,
                   uint32_t has)
{
    const uint8_t bitmap[] = {(uint8_t)has, (uint8_t)(has >> 8),
                              (uint8_t)(has >> 16), (uint8_t)(has >> 24)};
    fl_manifest manifest;
    assert_ok(fl_manifest_decode(&manifest, &host->kept, open->open.manifest,
                                 open->open.manifest_len, NULL));
    fl_message grant = {
        .type = FL_MESSAGE_GRANT,
        .grant = {.window = window,
                  .bitmap = bitmap,
                  .bitmap_len = fl_parts_bitmap_bytes(manifest.chunk_count)}};
    fl_hash(grant.grant.object, open->open.manifest, open->open.manifest_len);
    fl_host_answer(host, open, &grant);
}

void fl_host_serve(fl_host *host, const fl_message *fetch)
{
    fl_host_serve_as(host, fetch, find_parcel(host, fetch->fetch.object));
}

void fl_host_serve_as(fl_host *host, const fl_message *fetch,
                      const fl_parcel *parcel)
{
    fl_message answer = {.type = FL_MESSAGE_MANIFEST};
    if (fetch->fetch.wants_manifest) {
        answer.manifest.bytes = parcel->manifest;
        answer.manifest.len = parcel->manifest_len;
    } else {
        const uint32_t i = fetch->fetch.index;
        answer.type = FL_MESSAGE_CHUNK;
        const size_t at = (size_t)i * FL_PROTO_CHUNK_BYTES;
        answer.chunk =
            (fl_chunk){.index = i,
                       .bytes = parcel->bytes + at,
                       .len = i + 1 < parcel->chunk_count ? FL_PROTO_CHUNK_BYTES
                                                          : parcel->len - at};
        memcpy(answer.chunk.object, parcel->name, FL_HASH_BYTES);
    }
    fl_host_answer(host, fetch, &answer);
}

/* ---- what the client says ---- */

const fl_message *fl_host_next(fl_host *host)
{
    if (host->inbox_len == 0) return NULL;
    fl_message *copy = fl_arena_take(&host->kept, sizeof *copy);
    assert_non_null(copy);
    *copy = host->inbox[0];
    host->inbox_len--;
    memmove(host->inbox, host->inbox + 1,
            host->inbox_len * sizeof *host->inbox);
    return copy;
}

const fl_message *fl_host_take(fl_host *host, fl_message_type type)
{
    const fl_message *message;
    while ((message = fl_host_next(host)) && message->type != type)
        continue;
    return message;
}

/* ---- training ---- */

fl_result fl_host_result(uint32_t chunks)
{
    fl_result result = {
        .sample_count = 10, .correct_count = 5, .loss_sum_micro = 20000000};
    result.update_len = chunks ? param_count(chunks) * sizeof(float) : 0;
    result.update = calloc(1, result.update_len + 1);
    assert_non_null(result.update);
    for (size_t i = 0; i < result.update_len / 4; i++)  // tiny, and all kinds
        result.update[4 * i] = (uint8_t)(i >> 14);
    return result;
}

// Reads the whole model first: the client must have kept it all the time.
static void end_training(fl_host *host)
{
    uint8_t hash[FL_HASH_BYTES];
    assert_true(host->is_training);
    fl_hash(hash, host->job, host->job_len);
    host->is_training = false;
}

void fl_host_trained(fl_host *host, uint32_t chunks)
{
    fl_result result = fl_host_result(chunks);
    host->trained_len = result.update_len;
    end_training(host);
    fl_host_tell(
        host, (fl_client_event){.kind = FL_CLIENT_TRAINED, .result = &result});
    assert_null(result.update);
}

// Reads all that was lent: the client must have kept it all the time.
void fl_host_installed(fl_host *host, const fl_client_verdict *verdict)
{
    uint8_t hash[FL_HASH_BYTES];
    assert_true(host->is_installing);
    fl_hash(hash, host->install, host->install_len);
    fl_hash(hash, host->install_ranges, host->install_ranges_len);
    host->is_installing = false;
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_INSTALLED,
                                         .verdict = verdict,
                                         .err = verdict ? FL_OK : FL_ERR_FORMAT,
                                         .why = "a reason"});
}

void fl_host_failed(fl_host *host, fl_err err)
{
    end_training(host);
    fl_host_tell(host, (fl_client_event){.kind = FL_CLIENT_TRAINED,
                                         .err = err,
                                         .why = "a reason"});
}

const fl_message *fl_host_bring_to_open(fl_host *host, uint32_t round,
                                        uint32_t chunks)
{
    host->found_model = malloc(1);
    assert_non_null(host->found_model);
    host->found_model[0] = 0;
    host->found_model_len = 1;
    host->chunks = chunks;
    fl_host_mail(host, FL_MAIL_PLAN, round);
    fl_host_trained(host, chunks);
    const fl_message *open = fl_host_take(host, FL_MESSAGE_OPEN);
    assert_non_null(open);
    return open;
}
