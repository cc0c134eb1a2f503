/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_core.h"

#include <string.h>

#include "client/local.h"

bool fl_installing_needs_ranges(const fl_client *client)
{
    const fl_task *task = &client->task;
    if (!fl_local_has_ranges(&task->plan) || task->goes_without_ranges) {
        return false;
    }
    if (task->plan.work == FL_WORK_MEASURE) return true;
    return task->plan.work == FL_WORK_TRAIN && client->options.takes_int8;
}

/* ---- a form comes into use ---- */

static bool was_tried(const fl_client *client, const fl_plan *plan)
{
    return memcmp(client->tried_model, plan->model, FL_HASH_BYTES) == 0 &&
           memcmp(client->tried_ranges, plan->ranges, FL_HASH_BYTES) == 0;
}

// The newest one waits for its turn.
static void hold(fl_client *client, const fl_plan *plan, fl_task_files *files)
{
    fl_task_files_fini(&client->waiting);
    client->waiting = *files;
    client->waiting_plan = *plan;
    *files = (fl_task_files){.model = NULL};
}

void fl_installing_begin(fl_client *client, const fl_plan *plan,
                         fl_task_files *files)
{
    if (!client->options.takes_int8 || client->is_leaving || !files->ranges ||
        was_tried(client, plan)) {
        return;
    }
    if (client->installing.model) {
        hold(client, plan, files);
        return;
    }
    memcpy(client->tried_model, plan->model, FL_HASH_BYTES);
    memcpy(client->tried_ranges, plan->ranges, FL_HASH_BYTES);
    client->installing = *files;
    client->installing_plan = *plan;  // the task may end before the effect
    *files = (fl_task_files){.model = NULL};
    fl_emit(client, (fl_client_effect){
                        .kind = FL_CLIENT_INSTALL,
                        .plan = &client->installing_plan,
                        .bytes = client->installing.model,
                        .len = client->installing.model_len,
                        .ranges = client->installing.ranges,
                        .ranges_len = client->installing.ranges_len,
                    });
}

static double percent(uint32_t correct_count, const fl_client_verdict *verdict)
{
    return 100.0 * correct_count / verdict->row_count;
}

static void report(fl_client *client, const fl_client_verdict *verdict)
{
    const double accuracy = percent(verdict->correct_count, verdict);
    if (verdict->is_same) return;
    if (verdict->is_first) {
        fl_emit_log(client, FL_LOG_INFO, "int8_installed",
                    "accuracy=%.2f%% rows=%u", accuracy, verdict->row_count);
        return;
    }
    fl_emit_log(client, verdict->is_accepted ? FL_LOG_INFO : FL_LOG_WARN,
                verdict->is_accepted ? "int8_installed" : "int8_refused",
                "accuracy=%.2f%% installed=%.2f%% rows=%u", accuracy,
                percent(verdict->correct_before, verdict), verdict->row_count);
}

void fl_installing_done(fl_client *client, const fl_client_event *event)
{
    fl_task_files_fini(&client->installing);
    if (event->err) {
        fl_emit_log(client, FL_LOG_ERROR, "int8_failed", "err=%s why=%s",
                    fl_err_text(event->err), event->why);
    } else {
        report(client, event->verdict);
    }
    fl_installing_begin(client, &client->waiting_plan, &client->waiting);
    fl_task_files_fini(&client->waiting);
}

/* ---- the end of the federation ---- */

void fl_installing_last(fl_client *client, const fl_mail *mail)
{
    static const uint8_t none[FL_HASH_BYTES];
    fl_task *task = &client->task;
    client->has_finished = true;
    client->leave_by_ms = client->options.leave_when_finished
                              ? client->now_ms + FL_CLIENT_LAST_MS
                              : INT64_MAX;
    if (!client->options.takes_int8 ||
        memcmp(mail->model, none, sizeof none) == 0) {
        return;
    }
    task->is_last = true;
    task->first_operation = client->operation + 1;
    // Nothing is trained or sent: in the clear, no enrolment list is needed.
    task->plan = (fl_plan){.round = mail->round,
                           .aggregation = FL_AGGREGATION_CLEAR,
                           .holdout = client->past.holdout};
    memcpy(task->plan.model, mail->model, FL_HASH_BYTES);
    memcpy(task->plan.ranges, mail->ranges, FL_HASH_BYTES);
    fl_download_begin(client);
}

void fl_installing_leave(fl_client *client)
{
    if (!client->has_finished || !client->options.leave_when_finished ||
        client->is_leaving) {
        return;
    }
    const bool is_busy =
        client->task.state != FL_TASK_IDLE || client->installing.model;
    if (is_busy && client->now_ms < client->leave_by_ms) return;
    if (is_busy) {
        fl_emit_log(client, FL_LOG_WARN, "last_model_missed", "round=%u",
                    client->status.round);
    }
    fl_uplink_leave(client, FL_OK);
}
