/* SPDX-License-Identifier: Apache-2.0 */
#include "client/activity.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"

enum { SCHEMA = 1, DATE_CAP = 32, WORDS_CAP = 200 };

static void date(char text[DATE_CAP], int64_t wall_ms)
{
    struct tm utc;
    const time_t seconds = (time_t)(wall_ms / 1000);
    text[0] = 0;
    if (gmtime_r(&seconds, &utc)) {
        strftime(text, DATE_CAP, "%Y-%m-%dT%H:%M:%SZ", &utc);
    }
}

// Of a model of which nothing is known the size is said alone.
static void add_installed(fl_json *line, const fl_activity *activity)
{
    const fl_state_installed *installed = activity->installed;
    if (!installed) return;
    fl_json_count_set(line, "int8_bytes", activity->installed_bytes);
    if (installed->row_count == 0) return;
    char model[FL_HEX_CAP], when[DATE_CAP];
    fl_hex_encode(model, sizeof model, installed->model, FL_HASH_BYTES);
    date(when, installed->wall_ms);
    fl_json_text_set(line, "int8_model", model);
    fl_json_count_set(line, "int8_round", installed->round);
    fl_json_number_set(line, "int8_accuracy",
                       (double)installed->correct_count / installed->row_count);
    fl_json_count_set(line, "int8_rows", installed->row_count);
    fl_json_text_set(line, "int8_installed", when);
}

/* ---- why it may not work ---- */

// "busy, quiet_hours": what also holds, beside the first reason.
static void list_others(char words[WORDS_CAP], const fl_eligibility *e)
{
    words[0] = 0;
    for (size_t i = 1; i < e->reason_count; i++) {
        const size_t len = strlen(words);
        snprintf(words + len, WORDS_CAP - len, "%s%s", len > 0 ? ", " : "",
                 fl_away_word(e->reasons[i]));
    }
}

static void add_reasons(fl_json *line, const fl_watch *watch)
{
    char why[FL_ELIGIBILITY_TEXT_CAP], when[DATE_CAP], others[WORDS_CAP];
    const fl_eligibility *e = &watch->eligibility;
    const fl_away away = fl_eligibility_away(e);
    fl_json_text_set(line, "away", fl_away_word(away));
    if (!away) return;
    const int64_t until_s =
        fl_eligibility_until(e, away, fl_clock_wall_ms() / 1000);
    fl_eligibility_explain(e, away, why);
    fl_json_text_set(line, "away_why", why);
    date(when, fl_eligibility_since(e, away) * 1000);
    fl_json_text_set(line, "away_since", when);
    if (until_s > 0) {
        date(when, until_s * 1000);
        fl_json_text_set(line, "away_until", when);
    } else {
        fl_json_count_set(line, "look_every_s",
                          (uint64_t)watch->every_ms / 1000);
    }
    list_others(others, e);
    if (others[0]) fl_json_text_set(line, "away_also", others);
}

/* ---- one line ---- */

// Words that need no round: nothing of one is going on.
static bool is_between_rounds(const char *activity)
{
    static const char *const words[] = {"idle", "connecting",
                                        "waiting for approval"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(activity, words[i]) == 0) return true;
    }
    return false;
}

void fl_activity_describe(char text[FL_ACTIVITY_TEXT_CAP],
                          const fl_activity *activity)
{
    const fl_eligibility *e = &activity->watch->eligibility;
    const fl_away away = fl_eligibility_away(e);
    if (away) {
        char why[FL_ELIGIBILITY_TEXT_CAP];
        fl_eligibility_explain(e, away, why);
        snprintf(text, FL_ACTIVITY_TEXT_CAP, "resting: %s, %s",
                 fl_away_word(away), why);
    } else if (is_between_rounds(activity->activity)) {
        snprintf(text, FL_ACTIVITY_TEXT_CAP, "%s, %llu updates so far",
                 activity->activity,
                 (unsigned long long)activity->status->update_count);
    } else {
        snprintf(text, FL_ACTIVITY_TEXT_CAP, "round %u, %s",
                 activity->status->round, activity->activity);
    }
}

/* ---- data ---- */

static void add_data(fl_json *line, const fl_feed *feed)
{
    const fl_skips *skips = &feed->skips;
    fl_json_count_set(line, "samples", feed->stock.row_count);
    if (!fl_feed_grows(feed)) return;
    fl_json_count_set(line, "data_records", feed->stock.record_count);
    fl_json_count_set(line, "data_waiting", feed->waiting_count);
    fl_json_count_set(line, "data_skipped", skips->count);
    if (skips->count > 0) {
        char first[FL_SKIPS_TEXT_CAP];
        fl_skips_list(first, skips);
        fl_json_text_set(line, "data_skipped_first", first);
    }
    if (feed->trouble.text[0]) {
        fl_json_text_set(line, "data_trouble", feed->trouble.text);
    }
}

/* ---- memory, disk, bytes ---- */

uint64_t fl_activity_peak_kb(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) ? 0 : (uint64_t)usage.ru_maxrss;
}

static void add_resources(fl_json *line, const fl_activity *activity)
{
    const fl_footprint *training = &activity->footprint;
    const fl_watch *watch = activity->watch;
    fl_json_count_set(line, "peak_kb", activity->peak_kb);
    if (training->bytes > 0) {
        fl_json_count_set(line, "training_kb", training->bytes / 1024);
        fl_json_count_set(line, "threads", training->thread_count);
        fl_json_bool_set(line, "recomputes", training->recomputes);
    }
    fl_json_count_set(line, "bytes_month", watch->traffic.bytes);
    if (watch->sensors.fault_count > 0) {
        fl_json_count_set(line, "sensors_broken", watch->sensors.fault_count);
    }
    if (activity->trouble[0]) {
        fl_json_text_set(line, "disk", activity->trouble);
    }
}

static void add_trainer(fl_json *line, const fl_external *trainer)
{
    if (!trainer || !trainer->options.command) return;
    fl_json_text_set(line, "trainer", trainer->options.command);
    fl_json_count_set(line, "trainer_failures", trainer->retreat.failure_count);
    if (trainer->trouble.text[0]) {
        fl_json_text_set(line, "trainer_why", trainer->trouble.text);
    }
}

fl_err fl_activity_write(fl_state *state, const fl_activity *activity,
                         fl_reason *why)
{
    const fl_client_status *status = activity->status;
    char key[FL_HEX_CAP];
    char *text = NULL;
    fl_hex_encode(key, sizeof key, activity->public_key, FL_KEY_BYTES);
    fl_json *line = fl_json_new();
    fl_json_text_set(line, "event", "status");
    fl_json_count_set(line, "schema", SCHEMA);
    fl_json_text_set(line, "activity", activity->activity);
    add_reasons(line, activity->watch);
    fl_json_bool_set(line, "connected", status->is_connected);
    fl_json_text_set(line, "aggregator", activity->aggregator);
    fl_json_count_set(line, "round", status->round);
    fl_json_count_set(line, "updates", status->update_count);
    fl_json_count_set(line, "refused", status->refused_count);
    fl_json_count_set(line, "sessions", status->session_count);
    fl_json_count_set(line, "faults", status->fault_count);
    if (status->declined.text[0]) {
        fl_json_text_set(line, "declined_why", status->declined.text);
    }
    add_data(line, activity->feed);
    fl_json_count_set(line, "bytes_up", status->bytes_up);
    fl_json_count_set(line, "bytes_down", status->bytes_down);
    add_resources(line, activity);
    add_trainer(line, activity->trainer);
    add_installed(line, activity);
    fl_json_text_set(line, "key", key);
    fl_json_text_set(line, "version", FL_VERSION);
    fl_err err = fl_json_text(&text, line);
    if (!err) {
        err = fl_state_status_write(state, text, why);
    } else {
        (void)!fl_reason_set(why, err, "no memory for the status");
    }
    free(text);
    fl_json_free(line);
    return err;
}

// A client whose disk fails cannot always leave word of it there.
static void add_disk_now(fl_json *status, const char *folder)
{
    char path[PATH_MAX];
    fl_reason why;
    if (fl_path_join(path, sizeof path, folder, "probe")) return;
    if (fl_file_check(path, &why)) fl_json_text_set(status, "disk", why.text);
}

fl_err fl_activity_print(FILE *out, const char *folder, bool is_json,
                         bool *is_running, fl_reason *why)
{
    char *text = NULL;
    fl_json *status = NULL;
    *is_running = fl_state_is_running(folder);
    FL_TRY(fl_state_status_read(&text, folder, why));
    fl_err err = fl_json_read(&status, text);
    free(text);
    text = NULL;
    if (err) {
        return fl_reason_set(why, err, "%s: the status is damaged", folder);
    }
    add_disk_now(status, folder);
    if (!*is_running) {  // what was true when it ended
        fl_json_text_set(status, "activity", "not running");
        fl_json_bool_set(status, "connected", false);
    }
    fl_json_bool_set(status, "running", *is_running);
    if (!is_json) {
        fl_json_print(out, status);
    } else {
        err = fl_json_text(&text, status);
        if (!err) fprintf(out, "%s\n", text);
        free(text);
    }
    fl_json_free(status);
    return err;
}
