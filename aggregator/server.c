/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/server.h"

#include "aggregator/display.h"
#include "aggregator/errands.h"
#include "aggregator/home.h"
#include "aggregator/joining/meeting.h"
#include "aggregator/keeper.h"
#include "aggregator/status.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/file.h"

enum {
    SCRATCH_CAP = 64 * 1024 * 1024,
    GOODBYE_MS = 5000,  // for what is queued when we leave
    STATUS_MS = 1000,   // at most one status a second
};

typedef struct {
    const fl_server_options *options;
    fl_home home;
    fl_dataset *test;
    fl_arena scratch;
    fl_net *net;
    fl_control control;
    fl_errands errands;
    fl_keeper keeper;
    fl_aggregator *aggregator;
    fl_display display;

    int64_t start_us, status_at_ms;
    bool has_left;
    uint32_t open_count;  // connections
    // Answers owed to the machine when its effects are done.
    bool must_follow;  // the registry
    bool must_answer;  // a device that asks
    fl_conn asking;
    fl_standing standing;
    bool must_save;
    fl_keeper_round round;
} server;

static void post(void *self, void *posted)
{
    const server *s = self;
    // The inbox has a place for this one; without it SIGKILL is left.
    (void)!fl_net_post(s->net, posted);
}

static void show(server *s, bool is_last)
{
    const fl_display_figures figures = {.totals = &s->keeper.totals,
                                        .param_count = s->keeper.param_count,
                                        .known_count = s->keeper.client_count};
    fl_display_show(&s->display, s->aggregator, &figures, is_last);
}

/* ---- effects ---- */

// A list that is not on disk would be signed again with the same serial.
static void save_list(server *s, const fl_aggregator_effect *effect)
{
    if (fl_home_save_list(&s->home, effect->bytes, effect->len)) {
        s->has_left = true;
    }
}

static void save_client(server *s, const fl_aggregator_effect *effect)
{
    fl_keeper_save_client(&s->keeper, effect->client);
    if (effect->device) fl_door_came(&s->home.door, effect->device);
}

static void owe_round(server *s, const fl_aggregator_effect *effect)
{
    s->must_save = true;
    s->round = (fl_keeper_round){.record = *effect->round,
                                 .model = effect->bytes,
                                 .model_len = effect->len,
                                 .master = effect->master,
                                 .master_len = effect->master_len};
}

static void ask_door(server *s, const fl_aggregator_effect *effect)
{
    s->must_follow |=
        fl_door_join(&s->home.door, &s->standing, effect->device, effect->join);
    s->asking = effect->conn;
    s->must_answer = true;
}

static void do_effect(server *s, const fl_aggregator_effect *effect)
{
    switch (effect->kind) {
    case FL_AGGREGATOR_SEND:
        // A connection that has gone is reported by its CLOSED event.
        (void)!fl_net_send(s->net, effect->conn, effect->bytes, effect->len);
        break;
    case FL_AGGREGATOR_CLOSE: fl_net_close(s->net, effect->conn); break;
    case FL_AGGREGATOR_EVALUATE: fl_errands_measure(&s->errands, effect); break;
    case FL_AGGREGATOR_UNMASK:
        fl_errands_unmask(&s->errands, effect->secagg);
        break;
    case FL_AGGREGATOR_SAVE_LIST: save_list(s, effect); break;
    case FL_AGGREGATOR_SAVE_ROUND: owe_round(s, effect); break;
    case FL_AGGREGATOR_SAVE_CLIENT: save_client(s, effect); break;
    case FL_AGGREGATOR_JOIN: ask_door(s, effect); break;
    case FL_AGGREGATOR_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_AGGREGATOR_LEAVE: s->has_left = true; break;
    }
}

/* ---- events ---- */

static fl_err save(server *s)
{
    FL_TRY(fl_keeper_save(&s->keeper, &s->round, s->aggregator));
    fl_display_round(&s->display, s->aggregator, &s->round.record,
                     s->round.model, s->round.model_len);
    return FL_OK;
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
        const fl_registry registry = fl_door_registry(&s->home.door);
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
    s->must_follow = fl_door_look(&s->home.door, fl_net_now(s->net));
    if (s->must_follow) answer(s);
}

// For the join lines that fedge-aggregator token prints.
static fl_err note_meeting(server *s, fl_reason *why)
{
    char url[FL_MEETING_CAP];
    const fl_meeting_place place = {.address = s->options->address,
                                    .listen = s->options->listen,
                                    .port = fl_net_tcp_port(s->net)};
    FL_TRY(fl_meeting_find(url, &place, why));
    return fl_registry_set_note(s->home.store, "address", url, why);
}

static fl_err check_options(void *self, fl_reason *why)
{
    const server *s = self;
    const fl_server_options *options = s->options;
    fl_join_mode mode;
    FL_TRY(fl_federation_check(&options->federation, why));
    FL_TRY(fl_join_mode_parse(&mode, options->join, options->enrolment != NULL,
                              why));
    if (options->address) FL_TRY(fl_net_tcp_check(options->address, why));
    return options->http ? fl_http_check(options->http, why) : FL_OK;
}

// What may change is told to the machine, and to those who print join lines.
static void reload(server *s)
{
    fl_reason why;
    if (!fl_control_reload(&s->control, check_options, s)) return;
    fl_aggregator_settings settings =
        fl_federation_settings(&s->options->federation);
    if (!s->test) settings.evaluate_every = 0;
    tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_SETTINGS,
                                  .settings = &settings});
    if (note_meeting(s, &why)) {
        fl_log(FL_LOG_WARN, "not_saved", "what=address why=%s", why.text);
    }
}

static void handle_posted(server *s, const void *posted)
{
    fl_aggregator_event told = {.kind = FL_AGGREGATOR_STOP};
    switch (fl_control_take(&s->control, posted)) {
    case FL_CONTROL_RELOAD: reload(s); return;
    case FL_CONTROL_STOP: break;
    case FL_CONTROL_NOTHING:
        if (!fl_errands_end(&s->errands, posted, &told)) return;
    }
    tell(s, told);
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

/* ---- the loop ---- */

static void say_status(server *s)
{
    char line[FL_STATUS_LINE_CAP];
    const fl_aggregator_status status = fl_aggregator_get_status(s->aggregator);
    if (fl_net_now(s->net) < s->status_at_ms) return;
    s->status_at_ms = fl_net_now(s->net) + STATUS_MS;
    fl_status_line(line, &status);
    fl_notify_status(&s->control.notify, line);
}

static int64_t next_deadline(const server *s)
{
    const int64_t machine_ms = fl_aggregator_deadline(s->aggregator);
    return fl_clock_earlier(
        fl_clock_earlier(machine_ms, fl_door_deadline(&s->home.door)),
        fl_notify_deadline(&s->control.notify));
}

static fl_err loop(server *s, fl_reason *why)
{
    fl_net_event event;
    s->must_follow = true;
    tell(s, (fl_aggregator_event){.kind = FL_AGGREGATOR_TICK});
    show(s, false);
    while (!s->has_left) {
        fl_notify_beat(&s->control.notify, fl_net_now(s->net));
        const fl_err err = fl_net_next(s->net, &event, next_deadline(s));
        if (err) return fl_reason_set(why, err, "the network has failed");
        handle(s, &event);
        follow_registry(s);
        show(s, false);
        say_status(s);
    }
    show(s, true);
    return FL_OK;
}

// Lets queued frames out, so that clients hear that it is over.
static void say_goodbye(server *s)
{
    fl_net_event event;
    const int64_t until_ms = fl_net_now(s->net) + GOODBYE_MS;
    while ((s->open_count > 0 || fl_errands_is_busy(&s->errands)) &&
           fl_net_now(s->net) < until_ms) {
        if (fl_net_next(s->net, &event, until_ms)) break;
        if (event.kind == FL_NET_CLOSED) s->open_count--;
        if (event.kind == FL_NET_OPENED) {
            s->open_count++;
            fl_net_close(s->net, event.conn);
        }
        if (event.kind != FL_NET_POSTED) continue;
        fl_aggregator_event ended;  // nobody waits for it any more
        (void)fl_errands_end(&s->errands, event.posted, &ended);
    }
}

/* ---- start ---- */

static fl_err open_home(server *s, fl_reason *why)
{
    const fl_home_options home = {.folder = s->options->state,
                                  .enrolment = s->options->enrolment,
                                  .join = s->options->join,
                                  .federation = &s->options->federation};
    return fl_home_open(&s->home, &home, why);
}

static fl_err load_test(server *s, fl_reason *why)
{
    if (!s->options->data.dataset) return FL_OK;
    const fl_data_options data = fl_data_settings_options(
        &s->options->data, s->options->federation.seed);
    return fl_dataset_open(&s->test, FL_DATA_TEST, &data, why);
}

static fl_err start_keeper(server *s, const fl_model *model, fl_reason *why)
{
    const fl_keeper_options keeper = {
        .store = s->home.store,
        .federation = &s->options->federation,
        .out = s->options->out,
        .is_json = s->options->is_json,
        .param_count = fl_model_param_count(model),
        .start_us = s->start_us,
    };
    return fl_keeper_init(&s->keeper, &keeper, why);
}

// Clients take no list with a lower serial than that of the last one, which is
// lost if there have been rounds without one here now. Not more than ten a
// second were signed.
static uint64_t lost_serials(const server *s, const fl_heritage *heritage,
                             fl_aggregation aggregation)
{
    const fl_roll_file *roll = &s->home.roll;
    if (aggregation != FL_AGGREGATION_SECURE || !roll->holds_authority ||
        roll->list || heritage->rounds_done == 0) {
        return 0;
    }
    fl_log(FL_LOG_WARN, "enrolment_lost", "meaning=%s",
           "enrolment.list is missing in the state folder, though there have "
           "been rounds; it is signed anew");
    return (uint64_t)fl_clock_wall_ms() / 100;
}

// Takes the heritage's model when the result is FL_OK.
static fl_err make_machine(server *s, fl_heritage *heritage, fl_reason *why)
{
    const fl_server_options *options = s->options;
    const fl_roll_file *roll = &s->home.roll;
    fl_aggregator_options machine = {
        .identity = s->home.identity,
        .min_clients = (uint32_t)options->min_clients,
        .gather_ms = (int64_t)(options->gather_s * 1e3),
        .start_count = fl_store_start_count(s->home.store),
        .is_copy = fl_store_is_copy(s->home.store),
        .client_cap = (uint32_t)options->client_cap,
        .known_count = s->keeper.client_count,
        .upload_bytes_cap = (size_t)options->upload_mb * 1000000,
        .scratch = &s->scratch,
        .random_bytes = fl_secret_draw,
        .is_guarded = fl_home_is_guarded(&s->home),
        .authority = roll->holds_authority ? &roll->authority : NULL,
        .list = roll->list,
        .list_len = roll->list_len,
        .master = heritage->master,
        .master_len = heritage->master_len,
    };
    fl_federation_apply(&options->federation, &machine);
    machine.serial_floor = lost_serials(s, heritage, machine.aggregation);
    if (!s->test) machine.evaluate_every = 0;
    const fl_err err = fl_aggregator_new(
        &s->aggregator, &machine, heritage->rounds_done, heritage->model, why);
    if (!err) heritage->model = NULL;
    fl_identity_fini(&machine.identity);
    return err;
}

static fl_err set_up_rounds(server *s, fl_reason *why)
{
    fl_heritage heritage;
    fl_err err = fl_home_load(&s->home, &heritage, s->test, why);
    if (!err && s->test) {
        err = fl_errands_prepare(&s->errands, s->test, heritage.model, why);
    }
    if (!err) err = start_keeper(s, heritage.model, why);
    if (!err) err = make_machine(s, &heritage, why);
    if (!err && heritage.is_first) {
        err = fl_home_found(&s->home, s->aggregator, why);
    }
    fl_heritage_fini(&heritage);
    return err;
}

static fl_err start_threads(server *s, fl_reason *why)
{
    const fl_net_tcp_options tcp = {.connection_cap =
                                        (uint32_t)s->options->client_cap};
    // The mask comes first: no other thread takes the signals.
    FL_TRY(fl_net_tcp_new(&s->net, &tcp, why));
    if (fl_control_start(&s->control, post, s)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "cannot start a thread");
    }
    return fl_errands_init(&s->errands, s->net, (unsigned)s->options->threads,
                           why);
}

static uint32_t rounds_done(const server *s)
{
    return fl_aggregator_get_status(s->aggregator).rounds_done;
}

static fl_err start(server *s, fl_reason *why)
{
    char key[FL_HEX_CAP];
    if (fl_secure_start() || fl_secure_hide()) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "libsodium cannot start, or core files cannot be "
                             "forbidden");
    }
    if (s->options->out) {
        FL_TRY(fl_export_check(s->options->out, s->options->state, why));
    }
    if (s->options->http) FL_TRY(fl_http_check(s->options->http, why));
    FL_TRY(open_home(s, why));
    FL_TRY(load_test(s, why));
    FL_TRY(start_threads(s, why));
    FL_TRY(set_up_rounds(s, why));
    FL_TRY(fl_net_listen(s->net, s->options->listen, why));
    FL_TRY(fl_display_start(&s->display, s->options->http, s->options->state,
                            s->options->federation.model, s->aggregator, why));
    fl_hex_encode(key, sizeof key, s->home.identity.public_key, FL_KEY_BYTES);
    fl_log(FL_LOG_INFO, "listening", "url=%s port=%u pin=%s rounds_done=%u",
           s->options->listen, fl_net_tcp_port(s->net), key, rounds_done(s));
    fl_home_say_trust(&s->home);
    return note_meeting(s, why);
}

static void finish(server *s)
{
    fl_display_stop(&s->display);
    fl_control_close(&s->control);
    fl_errands_fini(&s->errands);
    fl_aggregator_free(s->aggregator);
    fl_net_free(s->net);
    fl_arena_fini(&s->scratch);
    fl_dataset_free(s->test);
    fl_home_close(&s->home);
}

fl_err fl_server_run(const fl_server_options *options, fl_reason *why)
{
    server s = {.options = options, .start_us = fl_clock_monotonic_us()};
    fl_arena_init(&s.scratch, SCRATCH_CAP);
    fl_control_open(&s.control, options->reload);
    fl_err err = start(&s, why);
    if (!err) {
        fl_keeper_show(&s.keeper, rounds_done(&s), options->is_quiet);
        fl_notify_ready(&s.control.notify);
        err = loop(&s, why);
        fl_notify_stopping(&s.control.notify);
        say_goodbye(&s);
        if (!err) err = fl_keeper_finish(&s.keeper, why);
        fl_log(FL_LOG_INFO, "stopped", NULL);
    }
    finish(&s);
    return err;
}
