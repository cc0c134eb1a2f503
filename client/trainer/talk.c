/* SPDX-License-Identifier: Apache-2.0 */
#include "client/trainer/talk.h"

#include <stdbool.h>
#include <string.h>

#include "base/json.h"

/* ---- the task ---- */

static void add_files(fl_json *line)
{
    fl_json_text_set(line, "model", FL_TALK_MODEL);
    fl_json_text_set(line, "graph", FL_TALK_GRAPH);
    fl_json_text_set(line, "examples", FL_TALK_EXAMPLES);
    fl_json_text_set(line, "result", FL_TALK_RESULT);
}

static void add_data(fl_json *line, const fl_talk_task *task)
{
    const uint64_t input[] = {task->input.channels, task->input.height,
                              task->input.width};
    fl_json_text_set(line, "dataset", task->dataset);
    fl_json_count_set(line, "example_count", task->row_count);
    fl_json_count_set(line, "class_count", task->class_count);
    fl_json_counts_set(line, "input", input, 3);
}

static const char *const SCHEDULES[] = {"constant", "cosine", "step"};
static const char *const NORMS[] = {"train", "frozen"};

static void add_recipe(fl_json *line, const fl_plan *plan)
{
    fl_json_count_set(line, "epochs", plan->local_epochs);
    fl_json_count_set(line, "batch", plan->batch);
    fl_json_number_set(line, "lr", (double)plan->lr);
    fl_json_number_set(line, "momentum", (double)plan->momentum);
    fl_json_number_set(line, "weight_decay", (double)plan->weight_decay);
    fl_json_number_set(line, "clip_norm", (double)plan->clip_norm);
    fl_json_text_set(line, "schedule", SCHEDULES[plan->schedule]);
    fl_json_count_set(line, "schedule_steps", plan->schedule_steps);
    fl_json_number_set(line, "schedule_factor", (double)plan->schedule_factor);
    fl_json_text_set(line, "norm", NORMS[plan->norm]);
}

fl_err fl_talk_encode(char **line, const fl_talk_task *task)
{
    fl_json *object = fl_json_new();
    fl_json_count_set(object, "version", FL_TALK_VERSION);
    fl_json_text_set(object, "type", "task");
    fl_json_count_set(object, "round", task->plan->round);
    add_files(object);
    add_data(object, task);
    add_recipe(object, task->plan);
    fl_json_count_set(object, "seed", task->seed);
    fl_json_count_set(object, "threads", task->threads);
    fl_json_count_set(object, "seconds", task->seconds);
    const fl_err err = fl_json_text(line, object);
    fl_json_free(object);
    return err;
}

/* ---- reports ---- */

static fl_err lacks(fl_reason *why, const char *type, const char *what)
{
    return fl_reason_set(why, FL_ERR_FORMAT, "its line \"%s\" lacks %s", type,
                         what);
}

static fl_err read_progress(fl_talk_report *report, const fl_json *line,
                            fl_reason *why)
{
    report->kind = FL_TALK_PROGRESS;
    if (!fl_json_count_get(&report->step, line, "step") ||
        !fl_json_count_get(&report->step_count, line, "steps")) {
        return lacks(why, "progress", "step and steps, two whole numbers");
    }
    if (report->step <= report->step_count) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE,
                         "its step %llu is beyond steps %llu",
                         (unsigned long long)report->step,
                         (unsigned long long)report->step_count);
}

static fl_err read_done(fl_talk_report *report, const fl_json *line,
                        fl_reason *why)
{
    report->kind = FL_TALK_DONE;
    if (!fl_json_count_get(&report->example_count, line, "examples")) {
        return lacks(why, "done", "examples, a whole number");
    }
    if (!fl_json_number_get(&report->loss, line, "loss") ||
        !fl_json_number_get(&report->accuracy, line, "accuracy")) {
        return lacks(why, "done", "loss and accuracy, two finite numbers");
    }
    if (report->example_count < 1) {
        return fl_reason_set(why, FL_ERR_RANGE,
                             "it has trained on no examples");
    }
    if (report->accuracy >= 0 && report->accuracy <= 1) return FL_OK;
    return fl_reason_set(why, FL_ERR_RANGE, "its accuracy %g is not 0 to 1",
                         report->accuracy);
}

static fl_err read_failed(fl_talk_report *report, const fl_json *line,
                          fl_reason *why)
{
    const char *text;
    report->kind = FL_TALK_FAILED;
    if (!fl_json_text_get(&text, line, "why")) {
        return lacks(why, "failed", "why, a text");
    }
    (void)!fl_reason_set(&report->why, FL_ERR_STATE, "%s", text);
    return FL_OK;
}

static fl_err read_line(fl_talk_report *report, const fl_json *line,
                        fl_reason *why)
{
    uint64_t version;
    const char *type;
    if (!fl_json_count_get(&version, line, "version")) {
        return fl_reason_set(why, FL_ERR_FORMAT, "a line without version");
    }
    if (version != FL_TALK_VERSION) {
        return fl_reason_set(why, FL_ERR_UNSUPPORTED,
                             "it speaks version %llu; this client speaks %d",
                             (unsigned long long)version, FL_TALK_VERSION);
    }
    if (!fl_json_text_get(&type, line, "type")) {
        return fl_reason_set(why, FL_ERR_FORMAT, "a line without type");
    }
    if (strcmp(type, "progress") == 0) return read_progress(report, line, why);
    if (strcmp(type, "done") == 0) return read_done(report, line, why);
    if (strcmp(type, "failed") == 0) return read_failed(report, line, why);
    return fl_reason_set(why, FL_ERR_FORMAT,
                         "type \"%s\" is not progress, done or failed", type);
}

fl_err fl_talk_decode(fl_talk_report *report, const char *line, size_t len,
                      fl_reason *why)
{
    fl_json *object = NULL;
    *report = (fl_talk_report){.kind = FL_TALK_FAILED};
    const fl_err json_err = fl_json_decode(&object, line, len);
    if (json_err) {
        return fl_reason_set(why, json_err,
                             "its standard output has a line that is no JSON "
                             "object: %.60s (write what is for people to "
                             "standard error)",
                             line);
    }
    const fl_err err = read_line(report, object, why);
    fl_json_free(object);
    return err;
}
