/* SPDX-License-Identifier: Apache-2.0 */
#include "client/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/control.h"
#include "base/file.h"
#include "client/activity.h"
#include "client/board/watch.h"
#include "client/disk.h"
#include "client/jobs.h"
#include "client/state/state_address.h"
#include "client/trainer/workdir.h"
#include "client/trust.h"

enum {
    SCRATCH_CAP = 32 * 1024 * 1024,
    GOODBYE_MS = 5000,  // for what is queued when we leave
    STATUS_MS = 1000,   // at most one status a second
};

typedef struct service {
    const fl_service_options *options;
    const char *url;  // of the aggregator
    fl_control control;
    fl_state *state;
    fl_disk disk;
    fl_identity identity;
    fl_trust trust;
    fl_enrolment *enrolment;
    fl_jobs jobs;
    uint64_t number;  // names this client's random streams
    fl_arena scratch;
    fl_net *net;
    fl_client *client;

    fl_conn conn;
    bool is_dialling;
    fl_watch watch;
    fl_state_installed installed;  // what status says of it
    size_t installed_bytes;
    bool has_installed, has_left;
    fl_err left_with;
    fl_reason left_why;
    bool has_kept_address;
    int64_t status_at_ms;
} service;

static void post(void *self, void *posted)
{
    const service *s = self;
    // The inbox has a place for this one; without it SIGKILL is left.
    (void)!fl_net_post(s->net, posted);
}

/* ---- status ---- */

static void look_at_installed(service *s)
{
    uint8_t *bytes = NULL;
    s->has_installed = !fl_state_installed_load(
        &s->installed, &bytes, &s->installed_bytes, s->options->state, NULL);
    free(bytes);
}

static void write_status(service *s)
{
    fl_reason why;
    char line[FL_ACTIVITY_TEXT_CAP];
    const fl_client_status status = fl_client_get_status(s->client);
    const fl_activity activity = {
        .aggregator = s->url,
        .activity = fl_client_activity(s->client),
        .public_key = s->identity.public_key,
        .feed = &s->jobs.feed,
        .status = &status,
        .installed = s->has_installed ? &s->installed : NULL,
        .installed_bytes = s->installed_bytes,
        .watch = &s->watch,
        .peak_kb = fl_activity_peak_kb(),
        .footprint = s->jobs.footprint,
        .trouble = s->disk.trouble.text,
        .trainer = &s->jobs.external,
    };
    fl_disk_report(fl_activity_write(s->state, &activity, &why), "status",
                   &why);
    fl_activity_describe(line, &activity);
    fl_notify_status(&s->control.notify, line);
    // Here the aggregator that is pinned has answered: next time nobody has to
    // say where it is.
    if (status.is_connected && !s->has_kept_address) {
        s->has_kept_address = true;
        fl_disk_report(fl_state_address_keep(s->options->state, s->url, &why),
                       "address", &why);
    }
}

/* ---- the machine ---- */

static fl_err enrol(void *self, const fl_enrolment **enrolment,
                    const uint8_t *bytes, size_t len, fl_reason *why)
{
    service *s = self;
    fl_enrolment_free(s->enrolment);
    s->enrolment = NULL;
    FL_TRY(fl_enrolment_decode(&s->enrolment, bytes, len, why));
    *enrolment = s->enrolment;
    return FL_OK;
}

static void dial(service *s)
{
    fl_reason why;
    s->is_dialling = true;
    if (fl_net_dial(s->net, s->url, &s->conn, &why)) {
        fl_log(FL_LOG_WARN, "dial_failed", "why=%s", why.text);
        s->conn = 0;
    }
}

static void do_effect(service *s, const fl_client_effect *effect)
{
    switch (effect->kind) {
    case FL_CLIENT_DIAL: dial(s); break;
    case FL_CLIENT_SEND:
        // A connection that has gone is reported by its CLOSED event.
        (void)!fl_net_send(s->net, s->conn, effect->bytes, effect->len);
        break;
    case FL_CLIENT_HANG_UP: fl_net_close(s->net, s->conn); break;
    case FL_CLIENT_TRAIN: fl_jobs_train(&s->jobs, effect); break;
    case FL_CLIENT_INSTALL: fl_jobs_install(&s->jobs, effect); break;
    case FL_CLIENT_CANCEL: fl_jobs_cancel(&s->jobs); break;
    case FL_CLIENT_LOG:
        fl_log_line(effect->level, effect->event, effect->text);
        break;
    case FL_CLIENT_LEAVE:
        s->has_left = true;
        s->left_with = effect->err;
        (void)!fl_reason_set(&s->left_why, effect->err, "%s", effect->text);
        break;
    case FL_CLIENT_PIN:
    case FL_CLIENT_PIN_AUTHORITY:
    case FL_CLIENT_FIND:
    case FL_CLIENT_BEGIN:
    case FL_CLIENT_PUT:
    case FL_CLIENT_KEEP:
    case FL_CLIENT_END:
    case FL_CLIENT_SAVE_UPDATE:
    case FL_CLIENT_DROP_UPDATE:
    case FL_CLIENT_SAVE_RESIDUAL:
    case FL_CLIENT_BURN: fl_disk_do(&s->disk, effect); break;
    }
}

static void step(service *s, fl_client_event event)
{
    const fl_client_effect *effects;
    size_t count;
    event.now_ms = fl_net_now(s->net);
    fl_client_step(s->client, &event, &effects, &count);
    for (size_t i = 0; i < count; i++) {
        do_effect(s, &effects[i]);
    }
}

static void tell(service *s, fl_client_event event)
{
    step(s, event);
    while (fl_disk_answer(&s->disk, &event)) {
        step(s, event);
    }
    if (s->is_dialling && s->conn == 0) {  // not even begun: lost at once
        s->is_dialling = false;
        step(s, (fl_client_event){.kind = FL_CLIENT_LOST});
    }
    s->is_dialling = false;
}

static fl_err check_options(void *self, fl_reason *why)
{
    const service *s = self;
    return fl_service_check(s->options, why);
}

// The rest of what may change is read when it is needed.
static void reload(service *s)
{
    fl_reason why;
    if (!fl_control_reload(&s->control, check_options, s)) return;
    (void)!fl_watch_follow(&s->watch, &s->options->rules, &why);  // checked
}

static void take_job(service *s, const void *posted)
{
    fl_client_event event;
    if (!fl_jobs_take(&s->jobs, posted, &event)) return;
    tell(s, event);
    fl_jobs_settle(&s->jobs);
    if (event.kind == FL_CLIENT_INSTALLED) look_at_installed(s);
}

static void handle_posted(service *s, void *posted)
{
    switch (fl_control_take(&s->control, posted)) {
    case FL_CONTROL_NOTHING: take_job(s, posted); break;
    case FL_CONTROL_STOP:
        tell(s, (fl_client_event){.kind = FL_CLIENT_STOP});
        break;
    case FL_CONTROL_RELOAD: reload(s); break;
    }
}

static void handle(service *s, const fl_net_event *event)
{
    if (event->kind == FL_NET_POSTED) {
        handle_posted(s, event->posted);
        return;
    }
    if (event->kind == FL_NET_TIME) {
        tell(s, (fl_client_event){.kind = FL_CLIENT_TICK});
        return;
    }
    if (event->conn != s->conn) return;  // one that was given up
    switch (event->kind) {
    case FL_NET_OPENED:
        tell(s, (fl_client_event){.kind = FL_CLIENT_OPENED});
        break;
    case FL_NET_FRAME:
        tell(s, (fl_client_event){.kind = FL_CLIENT_FRAME,
                                  .bytes = event->bytes,
                                  .len = event->len});
        fl_net_arm(s->net, event->conn);
        break;
    case FL_NET_CLOSED:
        s->conn = 0;
        tell(s, (fl_client_event){.kind = FL_CLIENT_LOST});
        break;
    case FL_NET_POSTED:
    case FL_NET_TIME: break;
    }
}

/* ---- pauses ---- */

static uint64_t bytes_moved(const service *s)
{
    const fl_client_status status = fl_client_get_status(s->client);
    return status.bytes_up + status.bytes_down;
}

static void look(service *s)
{
    const bool was_away = fl_watch_away(&s->watch) != FL_AWAY_NONE;
    const fl_watch_self self = {
        .now_ms = fl_net_now(s->net),
        .bytes = bytes_moved(s),
        .samples = s->jobs.feed.stock.row_count,
        .own_tasks = s->jobs.is_training && !was_away
                         ? (uint32_t)s->options->rules.threads
                         : 0,
        .trainer_rest_ms =
            fl_retreat_left_ms(&s->jobs.external.retreat, fl_net_now(s->net)),
        .trainer_failures = s->jobs.external.retreat.failure_count,
    };
    if (!fl_watch_look(&s->watch, &self)) return;
    const fl_away away = fl_watch_away(&s->watch);
    if ((away != FL_AWAY_NONE) != was_away) {
        fl_jobs_pause(&s->jobs, !was_away);
    }
    tell(s, (fl_client_event){.kind = FL_CLIENT_AWAY, .away = away});
}

// When a training that is paused has to be left to others.
static int64_t patience(const service *s)
{
    if (!fl_watch_away(&s->watch)) return INT64_MAX;
    return fl_jobs_patience(&s->jobs, fl_client_round_end(s->client));
}

static void give_up_in_time(service *s)
{
    if (fl_net_now(s->net) < patience(s)) return;
    fl_jobs_give_up(&s->jobs);
    tell(s, (fl_client_event){.kind = FL_CLIENT_GIVE_UP});
}

/* ---- the loop ---- */

// A loop that hangs sends none, and neither does one whose training does: the
// manager starts the program again then.
static int64_t beat(service *s)
{
    if (fl_jobs_are_stuck(&s->jobs)) return INT64_MAX;
    fl_notify_beat(&s->control.notify, fl_net_now(s->net));
    return fl_notify_deadline(&s->control.notify);
}

static fl_err loop(service *s)
{
    fl_net_event event;
    look(s);  // before the first check-in says whether we may work
    tell(s, (fl_client_event){.kind = FL_CLIENT_TICK});
    while (!s->has_left) {
        look(s);
        fl_jobs_seek(&s->jobs);
        give_up_in_time(s);
        if (fl_net_now(s->net) >= s->status_at_ms) {
            s->status_at_ms = fl_net_now(s->net) + STATUS_MS;
            write_status(s);
        }
        const int64_t until_ms = fl_clock_earlier(
            fl_clock_earlier(fl_client_deadline(s->client), s->status_at_ms),
            fl_clock_earlier(fl_watch_deadline(&s->watch), patience(s)));
        FL_TRY(
            fl_net_next(s->net, &event, fl_clock_earlier(until_ms, beat(s))));
        handle(s, &event);
    }
    write_status(s);
    return s->left_with;
}

// Lets queued frames out, and the training come to its next step.
static void say_goodbye(service *s)
{
    fl_net_event event;
    const int64_t until_ms = fl_net_now(s->net) + GOODBYE_MS;
    fl_jobs_leave(&s->jobs);
    while ((s->conn || fl_jobs_are_busy(&s->jobs)) &&
           fl_net_now(s->net) < until_ms) {
        if (fl_net_next(s->net, &event, until_ms)) break;
        if (event.kind == FL_NET_CLOSED && event.conn == s->conn) s->conn = 0;
        if (event.kind == FL_NET_POSTED) {
            fl_jobs_forget(&s->jobs, event.posted);
        }
    }
}

/* ---- start ---- */

static fl_err open_state(service *s, fl_reason *why)
{
    char path[4096];
    FL_TRY(fl_state_open(&s->state, s->options->state, why));
    s->disk.state = s->state;
    if (fl_state_warning(s->state)[0]) {
        fl_log(FL_LOG_WARN, "state_repaired", "why=%s",
               fl_state_warning(s->state));
    }
    if (fl_path_join(path, sizeof path, s->options->state, "identity.key")) {
        return fl_reason_set(why, FL_ERR_RANGE, "--state: too long a path");
    }
    FL_TRY(fl_identity_open(&s->identity, path, why));
    memcpy(&s->number, s->identity.public_key, sizeof s->number);
    return FL_OK;
}

static fl_err make_machine(service *s, fl_reason *why)
{
    fl_client_options options = {
        .client_min = (uint32_t)s->options->min_survivors,
        .allows_clear = strcmp(s->options->aggregation, "clear") == 0,
        .min_fields = (uint32_t)s->options->min_fields,
        .min_step = (float)s->options->min_step,
        .takes_surveys = !s->options->refuses_surveys,
        .takes_int8 = true,
        .start_count = fl_state_start_count(s->state),
        .seed = s->number,
        .leave_when_finished = s->options->leave_when_finished,
        .model_cap = FL_MODEL_BYTES_MAX,
        .scratch = &s->scratch,
        .random_bytes = fl_secret_draw,
        .enrol = enrol,
        .enrol_self = s,
    };
    const fl_trust_options trust = {.pin = s->options->pin,
                                    .authority = s->options->authority};
    FL_TRY(fl_trust_load(&s->trust, &options, s->state, &trust, why));
    const fl_net_tcp_options tcp = {.connection_cap = 4};
    FL_TRY(fl_net_tcp_new(&s->net, &tcp, why));
    options.identity = s->identity;
    const fl_err err = fl_client_new(&s->client, &options);
    fl_identity_fini(&options.identity);
    if (err) return fl_reason_set(why, err, "no memory for a client");
    fl_disk_restore(&s->disk, s->client);
    look_at_installed(s);
    return fl_watch_open(&s->watch, &s->options->rules, s->options->state, why);
}

static fl_err start(service *s, fl_reason *why)
{
    if (fl_secure_start() || fl_secure_hide()) {
        return fl_reason_set(why, FL_ERR_SYSTEM,
                             "libsodium cannot start, or core files cannot be "
                             "forbidden");
    }
    // Dialling it again and again would never help.
    FL_TRY(fl_net_tcp_check(s->url, why));
    FL_TRY(open_state(s, why));
    fl_workdir_clear(s->options->state);
    FL_TRY(fl_jobs_open(&s->jobs, s->options, s->state, s->number, why));
    FL_TRY(make_machine(s, why));
    // The mask comes first: no thread of ours takes the signals.
    if (fl_control_start(&s->control, post, s) ||
        fl_jobs_start(&s->jobs, s->net)) {
        return fl_reason_set(why, FL_ERR_SYSTEM, "cannot start a thread");
    }
    return FL_OK;
}

static void finish(service *s)
{
    fl_control_close(&s->control);
    fl_jobs_close(&s->jobs);
    if (s->client) fl_watch_close(&s->watch, bytes_moved(s));
    fl_client_free(s->client);
    fl_enrolment_free(s->enrolment);
    fl_net_free(s->net);
    fl_arena_fini(&s->scratch);
    fl_identity_fini(&s->identity);
    fl_state_close(s->state);
}

fl_err fl_service_run(const fl_service_options *options, const char *url,
                      fl_reason *why)
{
    service s = {.options = options, .url = url};
    fl_arena_init(&s.scratch, SCRATCH_CAP);
    fl_control_open(&s.control, options->reload);
    fl_err err = start(&s, why);
    if (!err) {
        fl_log(FL_LOG_INFO, "started", "aggregator=%s samples=%u", url,
               s.jobs.feed.stock.row_count);
        fl_notify_ready(&s.control.notify);
        err = loop(&s);
        if (err) {
            const char *text = s.left_why.text;
            fl_reason_set(why, err, "%s", *text ? text : fl_err_text(err));
        }
        fl_notify_stopping(&s.control.notify);
        say_goodbye(&s);
        fl_log(FL_LOG_INFO, "stopped", NULL);
    }
    finish(&s);
    return err;
}
