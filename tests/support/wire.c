/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/wire.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "tests/test.h"

enum {
    ARENA_CAP = 64 << 20,
    COLUMNS = 512,
    MODEL_CAP = 1 << 24,
    STEPS_MAX = 20000
};

struct fl_wire_frame {
    fl_wire_frame *next;
    fl_conn conn;
    bool is_up;
    size_t len;
    uint8_t bytes[];
};

static void draw_bytes(void *self, void *dst, size_t len)
{
    fl_wires *wires = self;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)dst)[i] =
            (uint8_t)((wires->random = wires->random * 69069 + 1) >> 8);
}

/* ---- the wire ---- */

static void send_frame(fl_wires *wires, fl_conn conn, bool is_up,
                       const uint8_t *bytes, size_t len)
{
    fl_wire_frame *frame = malloc(sizeof *frame + len);
    assert_non_null(frame);
    *frame = (fl_wire_frame){.conn = conn, .is_up = is_up, .len = len};
    memcpy(frame->bytes, bytes, len);
    if (wires->last)
        wires->last->next = frame;
    else
        wires->first = frame;
    wires->last = frame;
}

static fl_wire_frame *take_frame(fl_wires *wires)
{
    fl_wire_frame *frame = wires->first;
    wires->first = frame->next;
    if (!wires->first) wires->last = NULL;
    return frame;
}

static void drop_frames(fl_wires *wires, fl_conn conn)
{
    fl_wire_frame *frame = wires->first;
    wires->first = wires->last = NULL;
    while (frame) {
        fl_wire_frame *next = frame->next;
        if (frame->conn != conn)
            send_frame(wires, frame->conn, frame->is_up, frame->bytes,
                       frame->len);
        free(frame);
        frame = next;
    }
}

/* ---- the aggregator ---- */

static fl_wire_end *end_of(fl_wires *wires, fl_conn conn)
{
    for (uint32_t i = 0; i < wires->client_count; i++) {
        if (wires->ends[i].conn == conn) return &wires->ends[i];
    }
    return NULL;
}

static void tell_client(fl_wire_end *end, fl_client_event event);

static void keep(uint8_t **kept, size_t *kept_len, const uint8_t *bytes,
                 size_t len)
{
    uint8_t *copy = malloc(len);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    free(*kept);
    *kept = copy;
    *kept_len = len;
}

static void save_round(fl_wires *wires, const fl_aggregator_effect *effect)
{
    assert_int_equal(effect->round->round, wires->rounds_done + 1);
    assert_true(wires->rounds_done < FL_WIRE_ROUNDS);
    wires->rounds[wires->rounds_done++] = *effect->round;
    keep(&wires->bytes, &wires->len, effect->bytes, effect->len);
    keep(&wires->master, &wires->master_len, effect->master,
         effect->master_len);
}

static void save_list(fl_wires *wires, const fl_aggregator_effect *effect)
{
    keep(&wires->list, &wires->list_len, effect->bytes, effect->len);
}

static void count_log(fl_wires *wires, const fl_aggregator_effect *effect)
{
    wires->failed_count += strcmp(effect->event, "round_failed") == 0;
}

static void tell_aggregator(fl_wires *wires, fl_aggregator_event event);

static void unmask(fl_wires *wires, fl_secagg *secagg)
{
    fl_reason why = {""};
    const fl_err err = fl_secagg_unmask(secagg, 1, &why);
    tell_aggregator(wires, (fl_aggregator_event){.kind = FL_AGGREGATOR_UNMASKED,
                                                 .err = err,
                                                 .why = why.text});
}

static void tell_aggregator(fl_wires *wires, fl_aggregator_event event)
{
    const fl_aggregator_effect *effects;
    size_t count;
    bool must_evaluate = false, must_save = false;
    fl_secagg *secagg = NULL;
    fl_conn closed[FL_WIRE_CLIENTS * 2];
    size_t closed_count = 0;
    event.now_ms = wires->now_ms;
    fl_aggregator_step(wires->aggregator, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        const fl_aggregator_effect *effect = &effects[i];
        if (effect->kind == FL_AGGREGATOR_SEND)
            send_frame(wires, effect->conn, false, effect->bytes, effect->len);
        if (effect->kind == FL_AGGREGATOR_CLOSE)
            closed[closed_count++] = effect->conn;
        if (effect->kind == FL_AGGREGATOR_EVALUATE) must_evaluate = true;
        if (effect->kind == FL_AGGREGATOR_UNMASK) secagg = effect->secagg;
        if (effect->kind == FL_AGGREGATOR_SAVE_LIST) save_list(wires, effect);
        if (effect->kind == FL_AGGREGATOR_LOG) count_log(wires, effect);
        if (effect->kind == FL_AGGREGATOR_LEAVE) wires->has_left = true;
        if (effect->kind != FL_AGGREGATOR_SAVE_ROUND) continue;
        save_round(wires, effect);
        must_save = true;
    }
    if (event.kind == FL_AGGREGATOR_TICK)
        assert_true(fl_aggregator_deadline(wires->aggregator) > wires->now_ms);
    for (size_t i = 0; i < closed_count; i++) {
        const fl_wire_end *end = end_of(wires, closed[i]);
        if (end) fl_wires_cut(wires, (uint32_t)(end - wires->ends));
    }
    if (secagg) unmask(wires, secagg);
    if (must_evaluate)
        tell_aggregator(wires,
                        (fl_aggregator_event){.kind = FL_AGGREGATOR_EVALUATED,
                                              .metrics = {.sample_count = 1}});
    if (must_save)
        tell_aggregator(wires,
                        (fl_aggregator_event){.kind = FL_AGGREGATOR_SAVED});
}

static void start_aggregator(fl_wires *wires)
{
    fl_aggregator_options options = wires->options;
    fl_model *model;
    options.scratch = &wires->scratch;
    options.random_bytes = draw_bytes;
    options.random_self = wires;
    options.start_count = ++wires->start_count;
    if (wires->start_count > 1) options.known_count = wires->client_count;
    options.list = wires->list;
    options.list_len = wires->list_len;
    options.master = wires->master;
    options.master_len = wires->master_len;
    assert_ok(fl_model_decode(&model, wires->bytes, wires->len, NULL));
    assert_ok(fl_aggregator_new(&wires->aggregator, &options,
                                wires->rounds_done, model, NULL));
    tell_aggregator(wires, (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
}

/* ---- a client ---- */

float fl_wires_update(const fl_wires *wires, size_t i)
{
    const float spread = wires->has_disks ? (float)(i * 37 % 101) / 100 : 0.5F;
    return wires->value * (0.5F + spread);
}

static fl_result make_result(const fl_wires *wires, size_t param_count)
{
    fl_result result = {.sample_count = 10, .correct_count = 5};
    result.update_len = param_count * sizeof(float);
    result.update = malloc(result.update_len);
    assert_non_null(result.update);
    for (size_t i = 0; i < param_count; i++) {
        const float value = fl_wires_update(wires, i);
        memcpy(result.update + i * sizeof value, &value, sizeof value);
    }
    return result;
}

// A client looks at as many rows as it may, 1000 at most.
static fl_result make_answer(const fl_wire_end *end, const fl_plan *plan)
{
    const fl_wires *wires = end->wires;
    const bool is_measure = plan->work == FL_WORK_MEASURE;
    const size_t count = (size_t)plan->param_count;
    fl_result result = {.sample_count = 1000, .correct_count = wires->right};
    result.update_len = count * sizeof(uint32_t);
    result.update = malloc(result.update_len);
    assert_non_null(result.update);
    for (size_t i = 0; i < count; i++) {
        const size_t some = 1 + i * 7 % 50;
        const uint32_t honest = is_measure ? wires->whole : (uint32_t)some;
        fl_bytes_put_u32(result.update + i * sizeof(uint32_t),
                         end->is_lying ? UINT32_MAX / plan->client_cap
                                       : honest);
    }
    return result;
}

static size_t param_count_of(const fl_wires *wires)
{
    fl_model *model;
    assert_ok(fl_model_decode(&model, wires->bytes, wires->len, NULL));
    const size_t count = fl_model_param_count(model);
    fl_model_free(model);
    return count;
}

static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    fl_wire_end *end = self;
    fl_enrolment_free(end->enrolment);
    end->enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&end->enrolment, bytes, len, why));
    *enrolment = end->enrolment;
    return FL_OK;
}

static void burn(fl_wire_end *end, const fl_client_past *past)
{
    assert_true(past->number > end->past.number);
    assert_true(past->enrolment_serial >= end->past.enrolment_serial);
    end->must_burn = true;
    end->past = *past;
    end->kept_round = 0;
    end->burn_count++;
}

/* ---- its disk ---- */

void fl_wires_put_model(fl_wires *wires, uint32_t client,
                        const uint8_t name[FL_HASH_BYTES], const uint8_t *bytes,
                        size_t len)
{
    fl_wire_end *end = &wires->ends[client];
    keep(&end->model, &end->model_len, bytes, len);
    memcpy(end->model_name, name, FL_HASH_BYTES);
}

static void keep_model(fl_wire_end *end, const fl_client_effect *effect)
{
    if (!effect->bytes) return;  // a list
    if (effect->kind == FL_CLIENT_KEEP)
        end->patched_count++;
    else
        end->plain_count++;
    if (!end->wires->has_disks) return;
    fl_wires_put_model(end->wires, (uint32_t)(end - end->wires->ends),
                       effect->object, effect->bytes, effect->len);
}

// Answers FIND.
static fl_client_event find_model(const fl_wire_end *end,
                                  const fl_client_effect *effect)
{
    fl_client_event found = {.kind = FL_CLIENT_FOUND};
    if (!end->model) return found;
    const bool is_it =
        memcmp(end->model_name, effect->object, FL_HASH_BYTES) == 0;
    if (is_it)
        keep(&found.model, &found.model_len, end->model, end->model_len);
    else if (effect->takes_base)
        keep(&found.base, &found.base_len, end->model, end->model_len);
    found.base_name = end->model_name;
    return found;
}

// Whatever way the model has come.
static void check_model(const fl_wires *wires, const fl_client_effect *effect)
{
    size_t len;
    const uint8_t *bytes = fl_aggregator_model(wires->aggregator, &len);
    if (effect->plan->round != wires->rounds_done + 1) return;
    assert_int_equal(effect->len, len);
    assert_memory_equal(effect->bytes, bytes, len);
}

static void do_effect(fl_wire_end *end, const fl_client_effect *effect)
{
    fl_wires *wires = end->wires;
    switch (effect->kind) {
    case FL_CLIENT_DIAL: end->is_dialling = true; break;
    case FL_CLIENT_SEND:
        if (end->conn)
            send_frame(wires, end->conn, true, effect->bytes, effect->len);
        break;
    case FL_CLIENT_PIN:
        memcpy(end->pin, effect->bytes, FL_KEY_BYTES);
        end->has_pin = true;
        break;
    case FL_CLIENT_FIND:
        end->must_find = true;
        end->found = find_model(end, effect);
        break;
    case FL_CLIENT_TRAIN:
        check_model(wires, effect);
        assert_false(end->is_training);
        end->is_training = true;
        end->train_count++;
        end->plan = *effect->plan;
        break;
    case FL_CLIENT_SAVE_UPDATE:
        end->saved_count++;
        end->kept_round = effect->plan->round;
        fl_plan_recipe(end->kept_recipe, effect->plan);
        break;
    case FL_CLIENT_DROP_UPDATE: end->kept_round = 0; break;
    case FL_CLIENT_PIN_AUTHORITY:
        memcpy(end->authority, effect->bytes, FL_KEY_BYTES);
        end->has_authority = true;
        break;
    case FL_CLIENT_BURN: burn(end, effect->past); break;
    case FL_CLIENT_HANG_UP:  // below, when all effects are done
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_CANCEL:
    case FL_CLIENT_LEAVE: break;
    case FL_CLIENT_KEEP:
    case FL_CLIENT_END: keep_model(end, effect); break;
    case FL_CLIENT_SAVE_RESIDUAL:
        keep(&end->residual, &end->residual_len, effect->bytes, effect->len);
        break;
    case FL_CLIENT_INSTALL: fail_msg("nothing is to be installed"); break;
    case FL_CLIENT_LOG:
        end->patch_refused_count += strcmp(effect->event, "patch_refused") == 0;
        end->finished_count += strcmp(effect->event, "finished") == 0;
        break;
    }
}

static void tell_client(fl_wire_end *end, fl_client_event event)
{
    fl_wires *wires = end->wires;
    const fl_client_effect *effects;
    size_t count;
    bool has_hung_up = false;
    event.now_ms = wires->now_ms;
    fl_client_step(end->client, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_effect(end, &effects[i]);
        has_hung_up |= effects[i].kind == FL_CLIENT_HANG_UP;
    }
    if (event.kind == FL_CLIENT_TICK)
        assert_true(fl_client_deadline(end->client) > wires->now_ms);
    if (end->must_find) {
        end->must_find = false;
        tell_client(end, end->found);
    }
    if (end->must_burn) {
        end->must_burn = false;
        tell_client(end, (fl_client_event){.kind = FL_CLIENT_BURNED});
    }
    if (has_hung_up) fl_wires_cut(wires, (uint32_t)(end - wires->ends));
}

static void start_client(fl_wire_end *end)
{
    fl_wires *wires = end->wires;
    const fl_aggregator_options *theirs = &wires->options;
    fl_client_options options = {
        .start_count = ++end->start_count,
        .allows_clear = theirs->aggregation == FL_AGGREGATION_CLEAR,
        .client_min = theirs->min_survivors,
        .takes_surveys = true,
        .seed = end->start_count,
        .model_cap = MODEL_CAP,
        .scratch = &wires->scratch,
        .random_bytes = draw_bytes,
        .random_self = wires,
        .past = end->past,
        .enrol = enrol,
        .enrol_self = end,
    };
    if (end->has_pin) options.pin = end->pin;
    if (end->has_authority) options.authority = end->authority;
    fl_identity_init(&options.identity,
                     (const uint8_t[FL_SEED_BYTES]){end->key});
    assert_ok(fl_client_new(&end->client, &options));
    if (end->kept_round) {
        fl_result result = end->plan.work == FL_WORK_TRAIN
                               ? make_result(wires, param_count_of(wires))
                               : make_answer(end, &end->plan);
        fl_client_restore(end->client, end->kept_round, end->kept_recipe,
                          &result);
    }
    if (end->residual && wires->has_disks) {
        uint8_t *copy = NULL;
        size_t len;
        keep(&copy, &len, end->residual, end->residual_len);
        fl_client_restore_residual(end->client, copy, len);
    }
    tell_client(end, (fl_client_event){.kind = FL_CLIENT_TICK});
}

static void open_wire(fl_wire_end *end)
{
    fl_wires *wires = end->wires;
    end->is_dialling = false;
    end->conn = ++wires->last_conn;
    tell_aggregator(wires, (fl_aggregator_event){.kind = FL_AGGREGATOR_OPENED,
                                                 .conn = end->conn});
    tell_client(end, (fl_client_event){.kind = FL_CLIENT_OPENED});
}

static void end_training(fl_wire_end *end)
{
    fl_result result = end->plan.work == FL_WORK_TRAIN
                           ? make_result(end->wires, end->plan.param_count)
                           : make_answer(end, &end->plan);
    end->is_training = false;
    end->trained_count++;
    tell_client(
        end, (fl_client_event){.kind = FL_CLIENT_TRAINED, .result = &result});
}

/* ---- all of them ---- */

static void deliver(fl_wires *wires)
{
    fl_wire_frame *frame = take_frame(wires);
    wires->delivered_count++;
    if (frame->is_up) {
        tell_aggregator(wires,
                        (fl_aggregator_event){.kind = FL_AGGREGATOR_FRAME,
                                              .conn = frame->conn,
                                              .bytes = frame->bytes,
                                              .len = frame->len});
    } else {
        fl_wire_end *end = end_of(wires, frame->conn);
        if (end)
            tell_client(end, (fl_client_event){.kind = FL_CLIENT_FRAME,
                                               .bytes = frame->bytes,
                                               .len = frame->len});
    }
    free(frame);
}

static void pass_time(fl_wires *wires)
{
    int64_t due_ms = fl_aggregator_deadline(wires->aggregator);
    for (uint32_t i = 0; i < wires->client_count; i++) {
        const int64_t client_ms = fl_client_deadline(wires->ends[i].client);
        if (client_ms < due_ms) due_ms = client_ms;
    }
    assert_true(due_ms < INT64_MAX);
    if (due_ms > wires->now_ms) wires->now_ms = due_ms;
    if (fl_aggregator_deadline(wires->aggregator) <= due_ms)
        tell_aggregator(wires,
                        (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
    for (uint32_t i = 0; i < wires->client_count; i++) {
        if (fl_client_deadline(wires->ends[i].client) <= due_ms)
            tell_client(&wires->ends[i],
                        (fl_client_event){.kind = FL_CLIENT_TICK});
    }
}

void fl_wires_step(fl_wires *wires)
{
    for (uint32_t i = 0; i < wires->client_count; i++) {
        fl_wire_end *end = &wires->ends[i];
        if (!end->is_dialling) continue;
        if (end->is_offline) {
            end->dial_count++;
            fl_wires_cut(wires, i);
        } else {
            open_wire(end);
        }
        return;
    }
    if (wires->first) {
        deliver(wires);
        return;
    }
    for (uint32_t i = 0; i < wires->client_count; i++) {
        if (!wires->ends[i].is_training || wires->ends[i].is_stuck) continue;
        end_training(&wires->ends[i]);
        return;
    }
    pass_time(wires);
}

void fl_wires_run_to(fl_wires *wires, uint32_t round)
{
    for (int i = 0; wires->rounds_done < round; i++) {
        assert_true(i < STEPS_MAX);
        fl_wires_step(wires);
    }
}

// The aggregator's side of a cut.
static void close_conn(fl_wires *wires, fl_wire_end *end)
{
    const fl_conn conn = end->conn;
    end->conn = 0;
    end->is_dialling = false;
    if (conn == 0) return;
    drop_frames(wires, conn);
    tell_aggregator(wires, (fl_aggregator_event){.kind = FL_AGGREGATOR_CLOSED,
                                                 .conn = conn});
}

void fl_wires_cut(fl_wires *wires, uint32_t client)
{
    fl_wire_end *end = &wires->ends[client];
    const bool is_there = end->conn || end->is_dialling;
    close_conn(wires, end);
    if (is_there) tell_client(end, (fl_client_event){.kind = FL_CLIENT_LOST});
}

void fl_wires_restart_client(fl_wires *wires, uint32_t client)
{
    fl_wire_end *end = &wires->ends[client];
    close_conn(wires, end);
    fl_client_free(end->client);
    end->is_training = false;
    start_client(end);
}

void fl_wires_restart_aggregator(fl_wires *wires)
{
    fl_aggregator_free(wires->aggregator);
    for (uint32_t i = 0; i < wires->client_count; i++) {
        drop_frames(wires, wires->ends[i].conn);
        wires->ends[i].conn = 0;
        wires->ends[i].is_dialling = false;
    }
    start_aggregator(wires);
    for (uint32_t i = 0; i < wires->client_count; i++)
        tell_client(&wires->ends[i], (fl_client_event){.kind = FL_CLIENT_LOST});
}

void fl_wires_init(fl_wires *wires, const fl_aggregator_options *options,
                   uint32_t client_count)
{
    fl_model *model;
    assert_ok(fl_secure_start());
    *wires = (fl_wires){.options = *options,
                        .client_count = client_count,
                        .random = 1,
                        .now_ms = 1000,
                        .value = FL_WIRE_VALUE};
    fl_arena_init(&wires->scratch, ARENA_CAP);
    assert_ok(fl_model_new(&model,
                           &(fl_model_options){.name = "mlp",
                                               .input = {1, 1, COLUMNS},
                                               .class_count = 3},
                           NULL));
    wires->len = fl_model_bytes(model);
    wires->bytes = malloc(wires->len);
    assert_non_null(wires->bytes);
    assert_ok(fl_model_encode(model, wires->bytes, wires->len));
    fl_model_free(model);
    start_aggregator(wires);
    for (uint32_t i = 0; i < client_count; i++) {
        wires->ends[i] = (fl_wire_end){.wires = wires, .key = (uint8_t)(i + 1)};
        start_client(&wires->ends[i]);
    }
}

void fl_wires_fini(fl_wires *wires)
{
    for (uint32_t i = 0; i < wires->client_count; i++) {
        fl_client_free(wires->ends[i].client);
        fl_enrolment_free(wires->ends[i].enrolment);
        free(wires->ends[i].model);
        free(wires->ends[i].residual);
    }
    fl_aggregator_free(wires->aggregator);
    while (wires->first)
        free(take_frame(wires));
    fl_arena_fini(&wires->scratch);
    free(wires->bytes);
    free(wires->list);
    free(wires->master);
}

float fl_wires_param(const fl_wires *wires)
{
    fl_model *model;
    assert_ok(fl_model_decode(&model, wires->bytes, wires->len, NULL));
    const float param = fl_model_params(model)[7];
    fl_model_free(model);
    return param;
}
