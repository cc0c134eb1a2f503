/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/server.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aggregator/display.h"
#include "aggregator/joining/door.h"
#include "aggregator/joining/meeting.h"
#include "aggregator/roll_file.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/pool.h"
#include "base/progress.h"
#include "base/signals.h"

enum {
    SCRATCH_CAP = 64 * 1024 * 1024,
    GOODBYE_MS = 5000,  // for what is queued when we leave
};

typedef struct {
    fl_job job;  // first: the pool hands this address back
    struct server *server;
    fl_aggregator_effect asked;
    fl_metrics metrics, int8_metrics;
    fl_err err, int8_err;
    fl_reason why;
} measurement;

typedef struct {
    fl_job job;  // first: the pool hands this address back
    struct server *server;
    fl_secagg *secagg;
    fl_err err;
    fl_reason why;
} unmasking;

// The aggregator's state as the store had it; NULL: none.
typedef struct {
    uint8_t *bytes;
    size_t len;
} saved_master;

typedef struct server {
    const fl_server_options *options;
    fl_store *store;
    fl_identity identity;
    fl_roll_file roll;
    fl_door door;
    fl_dataset *test;
    fl_arena scratch;
    fl_net *net;
    fl_pool *workers;     // measure blocks of rows
    fl_pool *background;  // waits for them, so that the loop need not
    fl_evaluation *evaluation;
    fl_aggregator *aggregator;
    fl_signals *signals;
    fl_progress progress;

    measurement measurement;
    unmasking unmasking;
    bool is_measuring, is_unmasking, has_left;
    uint32_t open_count;  // connections
    fl_totals totals;     // of all rounds, also those before this start
    int64_t start_us;
    // Answers owed to the machine when its effects are done.
    bool must_follow;  // the registry
    bool must_answer;  // a device that asks
    fl_conn asking;
    fl_standing standing;
    bool must_save;
    fl_round_record round;
    const uint8_t *model, *master;
    size_t model_len, master_len;
    uint32_t client_count;  // known to the store
    uint64_t param_count;
    fl_display display;
} server;

static int stop_asked;  // its address is what the signal thread posts

static void ask_to_stop(void *self)
{
    server *s = self;
    // The inbox has a place for this one; without it SIGKILL is left.
    (void)!fl_net_post(s->net, &stop_asked);
}

static void show(server *s, bool is_last)
{
    const fl_display_figures figures = {.totals = &s->totals,
                                        .param_count = s->param_count,
                                        .known_count = s->client_count};
    fl_display_show(&s->display, s->aggregator, &figures, is_last);
}

/* ---- rounds ---- */

static void print_json(fl_json *line)
{
    char *text = NULL;
    if (!fl_json_text(&text, line)) {
        puts(text);
        fflush(stdout);
    }
    free(text);
    fl_json_free(line);
}

static double seconds_since_start(const server *s)
{
    return (double)(fl_clock_monotonic_us() - s->start_us) * 1e-6;
}

// In a daemon virtual time is the time on the wall.
static void set_times(const server *s, fl_json *line)
{
    fl_json_number_set(line, "virtual_s", seconds_since_start(s));
    fl_json_number_set(line, "wall_s", seconds_since_start(s));
}

static void report(server *s, const fl_round_record *round)
{
    const bool is_measured = isfinite(round->accuracy);
    fl_totals_add(&s->totals, round);
    fl_progress_show(&s->progress, round->round, "%s %.4f loss %.3f clients %u",
                     is_measured ? "acc" : "client acc",
                     is_measured ? round->accuracy : round->client_accuracy,
                     is_measured ? round->loss : round->client_loss,
                     round->update_count);
    if (!s->options->is_json) return;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "round");
    fl_totals_round_json(line, round, s->param_count);
    fl_json_number_set(line, "took_ms", (double)round->took_ms);
    set_times(s, line);
    print_json(line);
}

static void report_all(server *s)
{
    const fl_federation *federation = &s->options->federation;
    if (!s->options->is_json) return;
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "summary");
    fl_totals_json(line, &s->totals, s->param_count);
    fl_json_count_set(line, "clients", s->client_count);
    set_times(s, line);
    fl_json_count_set(line, "seed", federation->seed);
    fl_json_text_set(line, "version", FL_VERSION);
    fl_json_count_set(line, "params", s->param_count);
    fl_json_text_set(line, "model", federation->model);
    print_json(line);
}

static void recall_round(void *self, const fl_round_record *round)
{
    fl_totals_add(self, round);
}

static void count_client(void *self, const fl_client_record *client)
{
    (void)client;
    ++*(uint32_t *)self;
}

// For people; the one that counts is in the store. The INT8 form is written
// when there is a new one.
static void write_copy(const server *s)
{
    fl_reason why;
    size_t ranges_len = 0;
    const uint8_t *ranges = NULL;
    if (!s->options->out) return;
    if (isfinite(s->round.int8_accuracy)) {
        ranges = fl_aggregator_ranges(s->aggregator, &ranges_len);
    }
    if (fl_export_write(s->options->out, s->model, s->model_len, ranges,
                        ranges_len, NULL, &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=model why=%s", why.text);
    }
}

static fl_err save(server *s)
{
    fl_reason why;
    s->round.finished_ms = fl_clock_wall_ms();
    const fl_err err =
        fl_store_finish_round(s->store, &s->round, s->model, s->model_len,
                              s->master, s->master_len, &why);
    if (err) {
        fl_log(FL_LOG_ERROR, "store_failed", "round=%u why=%s", s->round.round,
               why.text);
        return err;
    }
    write_copy(s);
    report(s, &s->round);
    fl_display_round(&s->display, s->aggregator, &s->round, s->model,
                     s->model_len);
    return FL_OK;
}

static void measure(fl_job *job)
{
    measurement *m = (measurement *)(void *)job;
    m->err = fl_evaluation_run(m->server->evaluation, &m->metrics,
                               m->asked.model, &m->why);
    if (m->err || !m->asked.bytes) return;
    m->int8_err = fl_evaluation_run_int8(m->server->evaluation,
                                         &m->int8_metrics, m->asked.model,
                                         m->asked.bytes, m->asked.len, &m->why);
    if (m->int8_err) m->int8_metrics = (fl_metrics){0};
}

static void measured(fl_job *job)
{
    measurement *m = (measurement *)(void *)job;
    (void)!fl_net_post(m->server->net, m);
}

static void begin_measuring(server *s, const fl_aggregator_effect *effect)
{
    s->measurement = (measurement){.job = {.run = measure, .done = measured},
                                   .server = s,
                                   .asked = *effect};
    s->is_measuring = true;
    fl_pool_submit(s->background, &s->measurement.job);
}

static void unmask(fl_job *job)
{
    unmasking *u = (unmasking *)(void *)job;
    u->err = fl_secagg_unmask(u->secagg, (unsigned)u->server->options->threads,
                              &u->why);
}

static void unmasked(fl_job *job)
{
    unmasking *u = (unmasking *)(void *)job;
    (void)!fl_net_post(u->server->net, u);
}

static void begin_unmasking(server *s, fl_secagg *secagg)
{
    s->unmasking = (unmasking){.job = {.run = unmask, .done = unmasked},
                               .server = s,
                               .secagg = secagg};
    s->is_unmasking = true;
    fl_pool_submit(s->background, &s->unmasking.job);
}

/* ---- the machine ---- */

// A list that is not on disk would be signed again with the same serial.
static void save_list(server *s, const fl_aggregator_effect *effect)
{
    fl_reason why;
    if (fl_roll_file_save(s->options->state, effect->bytes, effect->len,
                          &why)) {
        fl_log(FL_LOG_ERROR, "not_saved", "what=enrolment why=%s", why.text);
        s->has_left = true;
    }
}

static void save_client(server *s, const fl_client_record *client)
{
    fl_reason why;
    fl_client_record record = *client;
    fl_client_record known;
    bool is_new = true;
    record.last_seen_ms = fl_clock_wall_ms();
    record.first_seen_ms = record.last_seen_ms;
    if (fl_store_get_client(s->store, &known, record.public_key, &why) ==
        FL_OK) {
        is_new = false;
        record.first_seen_ms = known.first_seen_ms;
        // The machine counts from its own start, the store from the first.
        if (record.last_round > known.last_round) {
            record.round_count = known.round_count + 1;
        } else {
            record.round_count = known.round_count;
        }
        if (record.last_round < known.last_round) {
            record.last_round = known.last_round;
        }
    }
    if (fl_store_put_client(s->store, &record, &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=client why=%s", why.text);
    } else if (is_new) {
        s->client_count++;
    }
}

static void do_effect(server *s, const fl_aggregator_effect *effect)
{
    switch (effect->kind) {
    case FL_AGGREGATOR_SEND:
        // A connection that has gone is reported by its CLOSED event.
        (void)!fl_net_send(s->net, effect->conn, effect->bytes, effect->len);
        break;
    case FL_AGGREGATOR_CLOSE: fl_net_close(s->net, effect->conn); break;
    case FL_AGGREGATOR_EVALUATE: begin_measuring(s, effect); break;
    case FL_AGGREGATOR_UNMASK: begin_unmasking(s, effect->secagg); break;
    case FL_AGGREGATOR_SAVE_LIST: save_list(s, effect); break;
    case FL_AGGREGATOR_SAVE_ROUND:
        s->must_save = true;
        s->round = *effect->round;
        s->model = effect->bytes;
        s->model_len = effect->len;
        s->master = effect->master;
        s->master_len = effect->master_len;
        break;
    case FL_AGGREGATOR_SAVE_CLIENT:
        save_client(s, effect->client);
        if (effect->device) fl_door_came(&s->door, effect->device);
        break;
    case FL_AGGREGATOR_JOIN:
        s->must_follow |=
            fl_door_join(&s->door, &s->standing, effect->device, effect->join);
        s->asking = effect->conn;
        s->must_answer = true;
        break;
    case FL_AGGREGATOR_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_AGGREGATOR_LEAVE: s->has_left = true; break;
    }
}

static void step(server *s, fl_aggregator_event event)
{
    const fl_aggregator_effect *effects;
    size_t count;
    event.now_ms = fl_net_now(s->net);
    fl_aggregator_step(s->aggregator, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_effect(s, &effects[i]);
    }
}

// One of the answers that are owed: who asked to join is in when it hears so.
static void answer(server *s)
{
    if (s->must_follow) {
        const fl_registry registry = fl_door_registry(&s->door);
        s->must_follow = false;
        step(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_REGISTRY,
                                      .registry = &registry});
    } else if (s->must_answer) {
        s->must_answer = false;
        step(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_JOINED,
                                      .conn = s->asking,
                                      .standing = s->standing});
    } else {
        s->must_save = false;
        step(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_SAVED,
                                      .err = save(s)});
    }
}

static void tell(server *s, fl_aggregator_event event)
{
    step(s, event);
    while (s->must_save || s->must_follow || s->must_answer) {
        answer(s);
    }
}

static void follow_registry(server *s)
{
    s->must_follow = fl_door_look(&s->door, fl_net_now(s->net));
    if (s->must_follow) answer(s);
}

static void handle_posted(server *s, void *posted)
{
    if (posted == &stop_asked) {
        fl_log(FL_LOG_INFO, "stopping", NULL);
        tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_STOP});
        return;
    }
    if (posted == &s->unmasking) {
        s->is_unmasking = false;
        tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_UNMASKED,
                                      .err = s->unmasking.err,
                                      .why = s->unmasking.why.text});
        return;
    }
    const measurement *m = posted;
    s->is_measuring = false;
    if (m->err || m->int8_err) {
        fl_log(FL_LOG_ERROR, "evaluation_failed", "why=%s", m->why.text);
    }
    tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_EVALUATED,
                                  .metrics = m->metrics,
                                  .int8_metrics = m->int8_metrics,
                                  .err = m->err});
}

static void handle(server *s, const fl_net_event *event)
{
    fl_aggregator_event told = {
        .conn = event->conn, .bytes = event->bytes, .len = event->len};
    switch (event->kind) {
    case FL_NET_OPENED:
        told.kind = FL_AGGREGATOR_OPENED;
        s->open_count++;
        break;
    case FL_NET_FRAME: told.kind = FL_AGGREGATOR_FRAME; break;
    case FL_NET_CLOSED:
        told.kind = FL_AGGREGATOR_CLOSED;
        s->open_count--;
        break;
    case FL_NET_TIME: told.kind = FL_AGGREGATOR_TICK; break;
    case FL_NET_POSTED: handle_posted(s, event->posted); return;
    }
    tell(s, told);
    if (event->kind == FL_NET_FRAME) fl_net_arm(s->net, event->conn);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static fl_err loop(server *s, fl_reason *why)
{
    fl_net_event event;
    s->must_follow = true;
    tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
    show(s, false);
    while (!s->has_left) {
        const int64_t until_ms = earlier(fl_aggregator_deadline(s->aggregator),
                                         fl_door_deadline(&s->door));
        const fl_err err = fl_net_next(s->net, &event, until_ms);
        if (err) return fl_reason_set(why, err, "the network has failed");
        handle(s, &event);
        follow_registry(s);
        show(s, false);
    }
    show(s, true);
    return FL_OK;
}

// Lets queued frames out, so that clients hear that it is over.
static void say_goodbye(server *s)
{
    fl_net_event event;
    const int64_t until_ms = fl_net_now(s->net) + GOODBYE_MS;
    while ((s->open_count > 0 || s->is_measuring || s->is_unmasking) &&
           fl_net_now(s->net) < until_ms) {
        if (fl_net_next(s->net, &event, until_ms)) break;
        if (event.kind == FL_NET_CLOSED) s->open_count--;
        if (event.kind == FL_NET_OPENED) {
            s->open_count++;
            fl_net_close(s->net, event.conn);
        }
        if (event.kind != FL_NET_POSTED) continue;
        if (event.posted == &s->measurement) s->is_measuring = false;
        if (event.posted == &s->unmasking) s->is_unmasking = false;
    }
}

/* ---- start ---- */

static fl_err open_state(server *s, fl_reason *why)
{
    char path[4096];
    fl_join_mode mode;
    FL_TRY(fl_join_mode_parse(&mode, s->options->join,
                              s->options->enrolment != NULL, why));
    FL_TRY(fl_store_open(&s->store, s->options->state, false, why));
    if (fl_path_join(path, sizeof path, s->options->state, "identity.key")) {
        return fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path");
    }
    FL_TRY(fl_identity_open(&s->identity, path, why));
    FL_TRY(fl_roll_file_open(&s->roll, s->options->state, s->options->enrolment,
                             why));
    return fl_door_init(&s->door, s->store, mode, s->options->enrolment,
                        s->roll.list, s->roll.list_len, why);
}

static bool is_clear(const server *s)
{
    return strcmp(s->options->federation.aggregation, "secure") != 0;
}

// Whether the registry alone says who may come.
static bool is_guarded(const server *s)
{
    switch (s->door.mode) {
    case FL_JOIN_TOKEN:
    case FL_JOIN_APPROVE: return true;
    case FL_JOIN_LIST: return is_clear(s);  // nobody looks at the list itself
    case FL_JOIN_OPEN: break;
    }
    return false;
}

// Who the operator has to be trusted as, and with what.
static void say_what_is_trusted(const server *s)
{
    if (s->door.mode == FL_JOIN_OPEN) {
        fl_log(FL_LOG_INFO, "open", "meaning=%s",
               "this aggregator enrols whoever comes; without --join open it "
               "takes those who have a token (fedge-aggregator token)");
    }
    if (is_clear(s)) {
        fl_log(FL_LOG_WARN, "clear", "meaning=%s",
               "this aggregator sees every client's update");
    } else if (s->roll.holds_authority) {
        fl_log(FL_LOG_INFO, "holds_authority", "meaning=%s",
               "this aggregator decides who is enrolled; against an "
               "operator who makes up clients, keep the authority elsewhere "
               "(docs/keys.md) and start with --enrolment");
    }
}

static fl_err pin_setting(void *self, const char *key, const char *value,
                          fl_reason *why)
{
    return fl_store_pin_setting(self, key, value, why);
}

// A state folder belongs to one federation for life.
static fl_err pin_settings(server *s, fl_reason *why)
{
    return fl_federation_each_setting(&s->options->federation, pin_setting,
                                      s->store, why);
}

// Round 0: the first model, saved before anyone trains it. And not before all
// else fits together: who mistypes an option can start again in this folder.
static fl_err save_first(server *s, fl_reason *why)
{
    const fl_model_cost cost = fl_aggregator_cost(s->aggregator);
    fl_round_record first = {.finished_ms = fl_clock_wall_ms(),
                             .param_count = cost.param_count,
                             .mac_count = cost.mac_count};
    const fl_master *master = fl_aggregator_master(s->aggregator);
    const size_t master_len = fl_master_bytes(master);
    size_t len;
    const uint8_t *bytes = fl_aggregator_model(s->aggregator, &len);
    uint8_t *encoded = malloc(master_len);
    fl_err err = encoded ? fl_master_encode(master, 0, encoded, master_len)
                         : FL_ERR_MEMORY;
    if (err) {
        (void)!fl_reason_set(why, err, "no memory to save %zu bytes",
                             master_len);
    }
    if (!err) err = pin_settings(s, why);
    if (!err) {
        err = fl_store_finish_round(s->store, &first, bytes, len, encoded,
                                    master_len, why);
    }
    free(encoded);
    return err;
}

// What to go on with: the model of s->round as it is saved, or a first one.
static fl_err load_model(server *s, fl_model **model, saved_master *master,
                         bool *is_first, fl_reason *why)
{
    uint8_t *bytes = NULL;
    size_t len;
    fl_err err = fl_store_last_round(s->store, &s->round, &bytes, &len,
                                     &master->bytes, &master->len, why);
    *is_first = err == FL_ERR_NOT_FOUND;
    if (*is_first) {
        return fl_federation_model(&s->options->federation, model, s->test,
                                   why);
    }
    if (!err) err = pin_settings(s, why);
    if (!err) err = fl_model_decode(model, bytes, len, why);
    free(bytes);
    return err;
}

static fl_err load_test(server *s, fl_reason *why)
{
    if (!s->options->data.dataset) return FL_OK;
    const fl_data_options data = fl_data_settings_options(
        &s->options->data, s->options->federation.seed);
    return fl_dataset_open(&s->test, FL_DATA_TEST, &data, why);
}

// Takes the model when the result is FL_OK.
static fl_err make_machine(server *s, fl_model *model,
                           const saved_master *master, fl_reason *why)
{
    const fl_server_options *options = s->options;
    fl_aggregator_options machine = {
        .identity = s->identity,
        .min_clients = (uint32_t)options->min_clients,
        .gather_ms = (int64_t)(options->gather_s * 1e3),
        .start_count = fl_store_start_count(s->store),
        .is_copy = fl_store_is_copy(s->store),
        .client_cap = (uint32_t)options->client_cap,
        .known_count = s->client_count,
        .upload_bytes_cap = (size_t)options->upload_mb * 1000000,
        .scratch = &s->scratch,
        .random_bytes = fl_secret_draw,
        .is_guarded = is_guarded(s),
        .authority = s->roll.holds_authority ? &s->roll.authority : NULL,
        .list = s->roll.list,
        .list_len = s->roll.list_len,
        .master = master->bytes,
        .master_len = master->len,
    };
    fl_federation_apply(&options->federation, &machine);
    if (!s->test) machine.evaluate_every = 0;
    const fl_err err =
        fl_aggregator_new(&s->aggregator, &machine, s->round.round, model, why);
    fl_identity_fini(&machine.identity);
    return err;
}

static fl_err set_up_rounds(server *s, fl_reason *why)
{
    saved_master master = {.len = 0};
    bool is_first;
    fl_model *model = NULL;
    fl_err err = load_model(s, &model, &master, &is_first, why);
    if (err) goto out;
    s->param_count = fl_model_param_count(model);
    if (s->test) {
        err = fl_evaluation_new(&s->evaluation, s->workers,
                                (unsigned)s->options->threads, s->test, model,
                                why);
        if (err) goto out;
    }
    fl_totals_init(&s->totals);
    err = fl_store_each_round(s->store, 0, recall_round, &s->totals, why);
    if (!err) {
        err =
            fl_store_each_client(s->store, count_client, &s->client_count, why);
    }
    if (err) goto out;
    if (s->totals.dense.params == 0) s->totals.dense.params = s->param_count;
    s->param_count = s->totals.dense.params;
    err = make_machine(s, model, &master, why);
    if (err) goto out;
    model = NULL;
    if (is_first) err = save_first(s, why);

out:
    fl_model_free(model);
    free(master.bytes);
    return err;
}

static fl_err start_threads(server *s, fl_reason *why)
{
    const fl_net_tcp_options tcp = {.connection_cap =
                                        (uint32_t)s->options->client_cap};
    // The mask comes first: no other thread takes the signals.
    FL_TRY(fl_net_tcp_new(&s->net, &tcp, why));
    if (fl_signals_start(&s->signals, ask_to_stop, s) ||
        fl_pool_new(&s->workers, (unsigned)s->options->threads) ||
        fl_pool_new(&s->background, 1)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "cannot start a thread");
    }
    return FL_OK;
}

// For the join lines that fedge-aggregator token prints.
static fl_err note_meeting(server *s, fl_reason *why)
{
    char url[FL_MEETING_CAP];
    const fl_meeting_place place = {.address = s->options->address,
                                    .listen = s->options->listen,
                                    .port = fl_net_tcp_port(s->net)};
    FL_TRY(fl_meeting_find(url, &place, why));
    return fl_registry_set_note(s->store, "address", url, why);
}

static fl_err start(server *s, fl_reason *why)
{
    char key[FL_HEX_CAP];
    if (fl_secure_start() || fl_secure_hide()) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "libsodium cannot start, or core files cannot be "
                             "forbidden");
    }
    if (s->options->out) FL_TRY(fl_file_check(s->options->out, why));
    if (s->options->http) FL_TRY(fl_http_check(s->options->http, why));
    FL_TRY(open_state(s, why));
    FL_TRY(load_test(s, why));
    FL_TRY(start_threads(s, why));
    FL_TRY(set_up_rounds(s, why));
    FL_TRY(fl_net_listen(s->net, s->options->listen, why));
    FL_TRY(fl_display_start(&s->display, s->options->http, s->options->state,
                            s->options->federation.model, s->aggregator, why));
    fl_hex_encode(key, sizeof key, s->identity.public_key, FL_KEY_BYTES);
    fl_log(FL_LOG_INFO, "listening", "url=%s port=%u pin=%s rounds_done=%u",
           s->options->listen, fl_net_tcp_port(s->net), key, s->round.round);
    say_what_is_trusted(s);
    return note_meeting(s, why);
}

static void finish(server *s)
{
    fl_display_stop(&s->display);
    fl_signals_stop(s->signals);
    fl_pool_free(s->background);
    fl_pool_free(s->workers);
    fl_evaluation_free(s->evaluation);
    fl_aggregator_free(s->aggregator);
    fl_net_free(s->net);
    fl_arena_fini(&s->scratch);
    fl_dataset_free(s->test);
    fl_door_fini(&s->door);
    fl_roll_file_fini(&s->roll);
    fl_identity_fini(&s->identity);
    fl_store_close(s->store);
}

fl_err fl_server_run(const fl_server_options *options, fl_reason *why)
{
    server s = {.options = options, .start_us = fl_clock_monotonic_us()};
    fl_arena_init(&s.scratch, SCRATCH_CAP);
    fl_err err = start(&s, why);
    if (!err) {
        fl_progress_start(&s.progress, stderr, "round", s.round.round,
                          options->federation.round_count);
        // Elsewhere the log says as much. No line is drawn over: the log
        // would tear it.
        s.progress.is_quiet = options->is_quiet || !s.progress.is_terminal;
        s.progress.is_terminal = false;
        err = loop(&s, why);
        fl_progress_finish(&s.progress);
        say_goodbye(&s);
        if (!err) {
            s.client_count = 0;
            err = fl_store_each_client(s.store, count_client, &s.client_count,
                                       why);
        }
        if (!err) report_all(&s);
        fl_log(FL_LOG_INFO, "stopped", NULL);
    }
    finish(&s);
    return err;
}
